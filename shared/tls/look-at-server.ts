import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { printable } from '../domain/printable.ts';
import type { ServerLook, ShownCertificate, TlsPlace } from './explain-failure.ts';

const LOOK_WITHIN_MS = 2_000;
/** With TLS 1.3 a server refuses a client without a certificate after the handshake. */
const REFUSED_WITHIN_MS = 200;

/**
 * Shakes hands with a server and looks at its certificate, only to explain why an encrypted connection failed. This is the
 * one place that accepts any certificate: it sends nothing and reads nothing.
 * @returns undefined where the server shows nothing
 */
export async function lookAtServer(place: TlsPlace, signal: AbortSignal): Promise<ServerLook | undefined> {
  const { host, port, isEncrypted, hello } = place;
  // Node.js 20 crashes of a connection whose signal was aborted before it began.
  if (signal.aborted) return undefined;
  if (isEncrypted && hello !== undefined && (await answersPlain(place, hello, signal)))
    return { kind: 'plain' };
  if (signal.aborted) return undefined;
  const socket = connect({
    ...{ host, port, rejectUnauthorized: false, signal },
    ...(isIP(host) === 0 ? { servername: host } : {}),
  });
  return new Promise((resolve) => {
    let look: Extract<ServerLook, { kind: 'encrypted' }> | undefined;
    const end = setTimeout(() => socket.destroy(), LOOK_WITHIN_MS);
    socket.once('secureConnect', () => {
      const certificate = shownBy(socket);
      if (certificate !== undefined) look = { kind: 'encrypted', wantsCertificate: false, certificate };
      setTimeout(() => socket.destroy(), REFUSED_WITHIN_MS);
    });
    socket.once('error', ({ message }) => {
      if (/certificate required/i.test(message) && look !== undefined)
        look = { ...look, wantsCertificate: true };
    });
    socket.once('close', () => {
      clearTimeout(end);
      resolve(look);
    });
  });
}

function shownBy(socket: TLSSocket): ShownCertificate | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const { issuer, subjectAltName = '', validFrom, validTo } = certificate;
  return {
    // Lines such as `O=Example` and `CN=Example CA`. A stranger may have written them.
    issuer: printable(/^CN=(.*)$/m.exec(issuer)?.[1] ?? issuer.replaceAll('\n', ', ')),
    names: subjectAltName
      .split(', ')
      .filter((name) => /^(DNS|IP Address):/.test(name))
      .map((name) => printable(name.replace(/^(DNS|IP Address):/, ''))),
    validFromMs: Date.parse(validFrom),
    validUntilMs: Date.parse(validTo),
  };
}

function answersPlain(
  { host, port }: TlsPlace,
  hello: NonNullable<TlsPlace['hello']>,
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connectPlain({ host, port, signal });
    const end = setTimeout(() => socket.destroy(), LOOK_WITHIN_MS);
    let isAnswer = false;
    socket.once('connect', () => socket.write(hello.request));
    socket.once('data', (chunk) => {
      isAnswer = hello.answer.test(chunk.toString('latin1'));
      socket.destroy();
    });
    socket.once('error', () => socket.destroy());
    socket.once('close', () => {
      clearTimeout(end);
      resolve(isAnswer);
    });
  });
}
