import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen } from '../../kit/rabbitmq/tcp-proxy.ts';

/** What becomes of a request to S3. */
export type S3Fault =
  /** Accepted and never answered; nothing is carried out. */
  | { readonly kind: 'hang' }
  /** Carried out after a while. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** Carried out, but the connection ends instead of the answer. */
  | { readonly kind: 'lose-reply' }
  /** Refused with that status; nothing is carried out. */
  | { readonly kind: 'refuse'; readonly status: number }
  /** The connection ends before the request has arrived whole; nothing is carried out. */
  | { readonly kind: 'cut-request' }
  /** Carried out, but the answer ends after so many bytes of its body. */
  | { readonly kind: 'cut-reply'; readonly afterBytes: number };

/** Decides about each request; undefined lets it through. */
export type ChooseFault = (method: string, path: string) => S3Fault | undefined;

const CODES: Record<number, string> = { 403: 'AccessDenied', 429: 'TooManyRequests', 503: 'SlowDown' };

/** Stands between senders and the S3 server, and does to their requests what a test chooses. */
export class S3FaultProxy {
  readonly #targetPort: number;
  #server: Server | undefined;
  #port = 0;
  #chooseFault: ChooseFault = () => undefined;

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** From now on. Requests that hang already stay so until the connections are ended. */
  inject(chooseFault: ChooseFault): void {
    this.#chooseFault = chooseFault;
  }

  /** No faults any more; what hangs is cut off. */
  heal(): void {
    this.#chooseFault = () => undefined;
    this.#server?.closeAllConnections();
  }

  /** Accepts connections, on the same port as before. */
  async open(): Promise<this> {
    const server = createServer((incoming, outgoing) => {
      this.#answer(incoming, outgoing).catch(() => outgoing.destroy());
    });
    this.#port = await listen(server, this.#port);
    this.#server = server;
    return this;
  }

  /** Refuses connections. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const fault = this.#chooseFault(incoming.method ?? '', incoming.url ?? '');
    if (fault?.kind === 'cut-request') {
      incoming.once('data', () => incoming.destroy());
      incoming.resume().once('end', () => outgoing.destroy());
      return;
    }
    const body = await buffer(incoming);
    switch (fault?.kind) {
      case 'hang':
        return;
      case 'refuse':
        outgoing.writeHead(fault.status, { 'content-type': 'application/xml' });
        outgoing.end(
          `<Error><Code>${CODES[fault.status] ?? 'InternalError'}</Code><Message>injected</Message></Error>`,
        );
        return;
      case 'slow':
        await sleep(fault.delayMs);
    }
    const reply = await this.#carryOut(incoming, body);
    if (fault?.kind === 'lose-reply') {
      outgoing.destroy();
    } else if (fault?.kind === 'cut-reply') {
      outgoing.writeHead(reply.status, reply.headers);
      outgoing.write(reply.body.subarray(0, fault.afterBytes), () => outgoing.destroy());
    } else {
      outgoing.writeHead(reply.status, reply.headers);
      outgoing.end(reply.body);
    }
  }

  #carryOut(
    { method, url, headers }: IncomingMessage,
    body: Buffer,
  ): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const forwarded = request(
        { host: '127.0.0.1', port: this.#targetPort, method, path: url, headers, agent: false },
        (reply) => {
          buffer(reply).then(
            (replyBody) =>
              resolve({ status: reply.statusCode ?? 502, headers: reply.headers, body: replyBody }),
            reject,
          );
        },
      );
      forwarded.once('error', reject);
      forwarded.end(body);
    });
  }
}
