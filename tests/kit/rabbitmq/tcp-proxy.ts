import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a client and its server: can hold back the server's answers, cut connections and refuse them. */
export class TcpProxy {
  readonly #targetPort: number;
  readonly #pairs = new Set<{ readonly client: Socket; readonly upstream: Socket }>();
  #server: Server | undefined;
  #port = 0;
  #isHolding = false;

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
  }

  get port(): number {
    return this.#port;
  }

  get connectionCount(): number {
    return this.#pairs.size;
  }

  /** Accepts connections from now on, on the same port as before. */
  async open(): Promise<this> {
    const server = createServer((client) => this.#join(client));
    this.#port = await listen(server, this.#port);
    this.#server = server;
    return this;
  }

  /** Ends all connections and refuses new ones. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = new Promise((resolve) => server?.close(resolve) ?? resolve(undefined));
    this.cut();
    await closed;
  }

  /** Requests still reach the server and are carried out, but the answers wait here. */
  holdAnswers(): void {
    this.#isHolding = true;
    for (const { client, upstream } of this.#pairs) upstream.unpipe(client);
  }

  releaseAnswers(): void {
    this.#isHolding = false;
    for (const { client, upstream } of this.#pairs) upstream.pipe(client);
  }

  /** Ends all connections, without the answers that were held back. */
  cut(): void {
    for (const { client, upstream } of this.#pairs) {
      client.destroy();
      upstream.destroy();
    }
    this.#pairs.clear();
  }

  #join(client: Socket): void {
    const upstream = connect({ host: '127.0.0.1', port: this.#targetPort, noDelay: true });
    const pair = { client, upstream };
    this.#pairs.add(pair);
    for (const socket of [client, upstream]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#pairs.delete(pair);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    if (!this.#isHolding) upstream.pipe(client);
  }
}

/** A server that accepts connections and says nothing, or always the same. */
export async function startMonotonousServer(
  answer = '',
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', () => socket.write(answer));
  });
  const close = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return { port: await listen(server, 0), close };
}

/** @param port 0 for any that is free @returns the port */
export async function listen(server: Server, port: number): Promise<number> {
  await once(server.listen(port, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}
