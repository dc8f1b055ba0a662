import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

// Enough of each protocol to know that such a server answers; whether it lets us in is for the real clients to find
// out, which have better sentences for it.
const amqpHeader = Buffer.from([...Buffer.from('AMQP'), 0, 0, 9, 1]);
const tlsSchemes = new Set(['amqps:', 'rediss:', 'https:']);
const patienceMs = 5_000;

/** Whether a RabbitMQ answers at an amqp:// or amqps:// URL. */
export async function answersAmqp(url: string): Promise<boolean> {
  // A method frame (1) on channel 0: connection.start.
  return (await firstBytes(url, 5672, 5671, amqpHeader)).startsWith('\u0001\u0000\u0000');
}

/** Whether a Redis answers at a redis:// or rediss:// URL; a demand for a password is an answer. */
export async function answersRedis(url: string): Promise<boolean> {
  return /^[+-]/.test(await firstBytes(url, 6379, 6379, Buffer.from('PING\r\n')));
}

/** Whether an HTTP server answers at an http:// or https:// URL, whatever it says. */
export async function answersHttp(url: string): Promise<boolean> {
  return (await firstBytes(url, 80, 443, Buffer.from('HEAD / HTTP/1.0\r\n\r\n'))).startsWith('HTTP/');
}

function firstBytes(url: string, port: number, tlsPort: number, hello: Buffer): Promise<string> {
  const target = new URL(url);
  const isTls = tlsSchemes.has(target.protocol);
  const host = target.hostname.replace(/^\[|\]$/g, '');
  const address = { host, port: Number(target.port) || (isTls ? tlsPort : port) };
  return new Promise((resolve) => {
    const socket: Socket = isTls
      ? connectTls({
          ...address,
          ...(isIP(host) === 0 ? { servername: host } : {}),
          rejectUnauthorized: false,
        })
      : connect(address);
    socket.setTimeout(patienceMs, () => socket.destroy());
    socket.once(isTls ? 'secureConnect' : 'connect', () => socket.write(hello));
    socket.once('data', (chunk) => {
      resolve(chunk.toString('latin1'));
      socket.destroy();
    });
    socket.once('error', () => socket.destroy());
    socket.once('close', () => resolve(''));
  });
}
