/** What tests ask of RabbitMQ from outside: what it holds, and the interventions of an operator. */
export class ManagementApi {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${this.#url}/api/${path}`, {
      method,
      headers: {
        authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}`,
        'content-type': 'application/json',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as Answer;
  }

  /** Connections as RabbitMQ calls them, by the name they gave themselves. */
  async connections(name: string): Promise<string[]> {
    type Listed = { name: string; client_properties?: { connection_name?: string } };
    const list = () => this.call<Listed[]>('GET', 'connections');
    // RabbitMQ 3.10 answers 500 where a connection ends while it lists them.
    const all = await list().catch(list).catch(list);
    return all.filter((each) => each.client_properties?.connection_name === name).map((each) => each.name);
  }

  /** Ends them as an operator would; says how many there were. */
  async killConnections(name: string): Promise<number> {
    const connections = await this.connections(name);
    for (const each of connections) {
      // One that ended by itself meanwhile is not there any more.
      await this.call('DELETE', `connections/${encodeURIComponent(each)}`).catch(() => {});
    }
    return connections.length;
  }

  queue(name: string): Promise<{
    readonly type: string;
    readonly durable: boolean;
    readonly auto_delete: boolean;
    readonly arguments: Record<string, string | number>;
  }> {
    return this.call('GET', `queues/%2F/${encodeURIComponent(name)}`);
  }

  async deleteQueue(name: string): Promise<void> {
    await this.call('DELETE', `queues/%2F/${encodeURIComponent(name)}`);
  }

  async deleteBinding(exchange: string, queue: string, routingKey: string): Promise<void> {
    await this.call('DELETE', `bindings/%2F/e/${exchange}/q/${queue}/${encodeURIComponent(routingKey)}`);
  }

  /** Takes all ready messages out of a queue, and tells their ids. */
  async takeMessageIds(queue: string): Promise<string[]> {
    type Taken = { properties: { message_id?: string } };
    const taken = await this.call<Taken[]>('POST', `queues/%2F/${encodeURIComponent(queue)}/get`, {
      count: 20_000,
      ackmode: 'ack_requeue_false',
      encoding: 'base64',
    });
    return taken.map(({ properties }) => properties.message_id ?? '');
  }
}
