import { connect, createServer, type Server, type Socket } from 'node:net';

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

  /** What the client sends still arrives, the server's answers wait: carried out, but nobody knows. */
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

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' ? (address?.port ?? 0) : 0);
    });
  });
}
