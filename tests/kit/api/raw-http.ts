import { connect } from 'node:net';

/** What a server sent until the connection ended. */
export interface RawAnswer {
  /** Undefined where the server said nothing. */
  readonly status: number | undefined;
  readonly text: string;
}

/** Sends bytes over a connection of its own, and reads until the server ends it, or says nothing more for a while. */
export function sendRaw(
  port: number,
  chunks: readonly (string | Buffer)[],
  quietMs = 5_000,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const received: Buffer[] = [];
    const end = () => {
      socket.destroy();
      const text = Buffer.concat(received).toString('latin1');
      const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(text) ?? [];
      resolve({ status: status === undefined ? undefined : Number(status), text });
    };
    socket.setTimeout(quietMs, end);
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('close', end);
    // The server may close while more is being written.
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNREFUSED' ? reject(error) : end(),
    );
    socket.on('connect', () => {
      for (const chunk of chunks) socket.write(chunk);
    });
  });
}
