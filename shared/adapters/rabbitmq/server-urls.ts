/** What an AMQP URL says: where the server is, whether TLS is spoken there, and the account. */
import { unescape as decodePercents } from 'node:querystring';
import { credentials } from 'amqplib';
import { placeOf, type TlsPlace, type TlsServer } from '../../tls/explain-failure.ts';

const HEARTBEAT_SECONDS = 10;

const RABBITMQ: TlsServer = {
  ...{ server: 'RabbitMQ', urlSetting: 'RABBITMQ_URL', trustSetting: 'RABBITMQ_CA_FILE' },
  schemes: { plain: 'amqp://', encrypted: 'amqps://' },
  ports: { plain: 5672, encrypted: 5671 },
  noClientCertificates: 'ssl_options.fail_if_no_peer_cert = false',
};

/** Host and port of each AMQP URL: what may be printed of them. */
export function serverNamesOf(urls: readonly string[]): string {
  return urls.map((url) => rabbitMqAt(url).address).join(', ');
}

export function rabbitMqAt(url: string): TlsPlace {
  return placeOf(RABBITMQ, url);
}

// Heartbeats at 10 s find a dead peer in 20 to 30 s, where TCP alone may take a quarter of an hour.
export function withHeartbeat(server: string): string {
  const url = new URL(server);
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(HEARTBEAT_SECONDS));
  return url.href;
}

// amqplib takes each byte of a percent-encoded character for a character.
export function credentialsOf(server: string) {
  const { username, password } = new URL(server);
  if (username === '' && password === '') return credentials.plain('guest', 'guest');
  return credentials.plain(decodePercents(username), decodePercents(password));
}
