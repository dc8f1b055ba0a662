import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { ServerCertificate } from '../../../scripts/servers/private/rabbitmq-configuration.ts';

/** Shows a certificate to whoever comes, and says nothing. Notes what clients tell: names that they ask for, and bytes. */
export class TlsStandIn {
  /** As each client has asked for it; undefined where it gave no name. */
  readonly askedFor: (string | undefined)[] = [];
  /** What clients have sent after a handshake. */
  heard = '';
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();

  private constructor({ certificateFile, keyFile }: ServerCertificate) {
    const certificate = { cert: readFileSync(certificateFile), key: readFileSync(keyFile) };
    this.#server = createServer(certificate, (socket) => {
      this.#sockets.add(socket);
      this.askedFor.push(socket.servername === false ? undefined : (socket.servername ?? undefined));
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        this.heard += chunk.toString('latin1');
      });
    });
    // Clients that do not trust it go in the middle of the handshake.
    this.#server.on('tlsClientError', () => {});
  }

  static async open(certificate: ServerCertificate, host = '127.0.0.1'): Promise<TlsStandIn> {
    const standIn = new TlsStandIn(certificate);
    await once(standIn.#server.listen(0, host), 'listening');
    return standIn;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
