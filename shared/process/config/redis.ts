import { anyText, CERTIFICATES, HOST, PORT, url } from './kinds.ts';
import { secret, setting, type ValuesOf } from './setting.ts';

/** Where Redis is. */
export const REDIS = {
  redisUrl: secret('REDIS_URL', '', url('redis', 'rediss'), 'wins over the parts'),
  redisHost: setting('REDIS_HOST', 'localhost', HOST, 'where Redis runs'),
  redisPort: setting('REDIS_PORT', '6379', PORT, 'port of Redis'),
  redisPassword: secret('REDIS_PASSWORD', '', anyText(), 'password of Redis; unset: none'),
  redisTrust: setting(
    'REDIS_CA_FILE',
    '',
    CERTIFICATES,
    'certificates to trust beside those of Node.js, for rediss://',
  ),
};
type RedisConfig = ValuesOf<typeof REDIS>;

/** What is wrong with settings that can be read each by itself. */
export function contradictionsInRedis({ redisTrust, redisUrl }: RedisConfig): string[] {
  if (redisTrust === undefined || /^rediss:/i.test(redisUrl ?? '')) return [];
  const found =
    redisUrl === undefined
      ? 'REDIS_HOST and REDIS_PORT mean a connection without encryption'
      : 'REDIS_URL begins with redis://';
  return [`REDIS_CA_FILE is for encrypted connections, but ${found}: set REDIS_URL=rediss://…, or unset it`];
}

/** Where Redis is, and which certificates to trust. */
export function redisAddressOf(config: RedisConfig) {
  return { url: redisUrlOf(config), trust: config.redisTrust };
}

/** The Redis URL, credentials included: never print it. */
export function redisUrlOf(config: RedisConfig): string {
  const { redisUrl, redisHost, redisPort, redisPassword } = config;
  if (redisUrl !== undefined) return redisUrl;
  const credentials = redisPassword === undefined ? '' : `:${encodeURIComponent(redisPassword)}@`;
  return `redis://${credentials}${redisHost}:${redisPort}`;
}
