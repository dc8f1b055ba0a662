import { hostname } from 'node:os';
import type { Logger } from '../../ports/logger.ts';
import { anyText, CERTIFICATES, HOST, PORT, urls } from './kinds.ts';
import { secret, setting, type ValuesOf } from './setting.ts';

/** Where RabbitMQ is. */
export const RABBITMQ = {
  rabbitmqUrl: secret(
    'RABBITMQ_URL',
    '',
    urls('amqp', 'amqps'),
    'wins over the parts; a comma-separated list is a cluster',
  ),
  rabbitmqHost: setting('RABBITMQ_HOST', 'localhost', HOST, 'where RabbitMQ runs'),
  rabbitmqPort: setting('RABBITMQ_PORT', '5672', PORT, 'AMQP port of RabbitMQ'),
  rabbitmqUser: setting('RABBITMQ_USER', 'guest', anyText(), 'user of RabbitMQ'),
  rabbitmqPassword: secret('RABBITMQ_PASSWORD', 'guest', anyText(), 'password of that user'),
  rabbitmqVhost: setting('RABBITMQ_VHOST', '/', anyText(), 'virtual host of RabbitMQ'),
  // A secret, because it may carry user and password.
  rabbitmqManagementUrl: secret(
    'RABBITMQ_MANAGEMENT_URL',
    '',
    urls('http', 'https'),
    'management API, of a cluster separated by commas; unset: port 15672 of each host, with amqps:// https on port 15671',
  ),
  rabbitmqTrust: setting(
    'RABBITMQ_CA_FILE',
    '',
    CERTIFICATES,
    'certificates to trust beside those of Node.js, for amqps:// and for https:// of the management API',
  ),
};
type RabbitMqConfig = ValuesOf<typeof RABBITMQ>;

/** What is wrong with settings that can be read each by itself. */
export function contradictionsInRabbitMq(config: RabbitMqConfig): string[] {
  const { rabbitmqTrust, rabbitmqUrl, rabbitmqManagementUrl = [] } = config;
  if (rabbitmqTrust === undefined) return [];
  const isEncrypted = (url: string) => /^(amqps|https):/i.test(url);
  const encryptedCount = rabbitmqUrlsOf(config).filter(isEncrypted).length;
  // AMQP may go through a tunnel of somebody else's.
  if (encryptedCount === 0 && rabbitmqManagementUrl.some(isEncrypted)) return [];
  if (encryptedCount === rabbitmqUrlsOf(config).length) return [];
  const found =
    rabbitmqUrl === undefined
      ? 'RABBITMQ_HOST and RABBITMQ_PORT mean a connection without encryption'
      : `RABBITMQ_URL begins with amqp://${encryptedCount > 0 ? ' in one of its parts' : ''}`;
  return [
    `RABBITMQ_CA_FILE is for encrypted connections, but ${found}: set RABBITMQ_URL=amqps://…, or unset it`,
  ];
}

/** The AMQP URLs to try in turn, credentials included: never print them. */
export function rabbitmqUrlsOf(config: RabbitMqConfig): readonly string[] {
  if (config.rabbitmqUrl !== undefined) return config.rabbitmqUrl;
  const { rabbitmqHost, rabbitmqPort, rabbitmqUser, rabbitmqPassword, rabbitmqVhost } = config;
  const credentials = `${encodeURIComponent(rabbitmqUser)}:${encodeURIComponent(rabbitmqPassword)}`;
  return [`amqp://${credentials}@${rabbitmqHost}:${rabbitmqPort}/${encodeURIComponent(rabbitmqVhost)}`];
}

/** What a connection to RabbitMQ needs. @param role tells this connection from the others, in the management UI too */
export function connectionOptionsOf(config: RabbitMqConfig, role: string, log: Logger) {
  const name = `redial ${role}@${hostname()}:${process.pid}`;
  return { urls: rabbitmqUrlsOf(config), trust: config.rabbitmqTrust, name, log };
}

/** The management API's base URL, those of the cluster's other nodes, and the account for them. */
export function managementOf(config: RabbitMqConfig) {
  const amqpUrls = rabbitmqUrlsOf(config).map((url) => new URL(url));
  const [first = new URL('amqp://localhost')] = amqpUrls;
  // The account of an encrypted connection goes in clear to the management API only where its URL says so.
  const isEncrypted = amqpUrls.some(({ protocol }) => protocol === 'amqps:');
  const derive = ({ hostname }: URL) =>
    isEncrypted ? `https://${hostname}:15671` : `http://${hostname}:15672`;
  const urls = config.rabbitmqManagementUrl ?? amqpUrls.map(derive);
  const [own = first, ...others] = urls.map((url) => new URL(url));
  const baseOf = ({ protocol, host, pathname }: URL) => `${protocol}//${host}${pathname.replace(/\/$/, '')}`;
  return {
    url: baseOf(own),
    otherUrls: others.map(baseOf),
    user: decodeURIComponent(own.username || first.username || 'guest'),
    password: decodeURIComponent(own.password || first.password || 'guest'),
    trust: config.rabbitmqTrust,
    vhost: first.pathname.length > 1 ? decodeURIComponent(first.pathname.slice(1)) : '/',
  };
}
