import { findFreePorts } from '../../../scripts/servers/free-ports.ts';
import { waitFor } from '../wait-for.ts';
import type { PipelineUnderTest } from './pipeline-under-test.ts';
import type { RunningProcess } from './running-process.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the API says, tests look into it
  readonly body: any;
}

/** `producer serve` as a process, and requests to it. */
export class ApiUnderTest {
  readonly process: RunningProcess;
  readonly url: string;
  readonly #token: string | undefined;

  private constructor(process: RunningProcess, url: string, token: string | undefined) {
    this.process = process;
    this.url = url;
    this.#token = token;
  }

  /** Started, and ready to accept SMS. */
  static async start(
    pipeline: PipelineUnderTest,
    settings: Record<string, string> = {},
  ): Promise<ApiUnderTest> {
    const [port] = await findFreePorts(1);
    const process = pipeline.start('producer', ['serve', '--port', String(port)], settings);
    const api = new ApiUnderTest(process, `http://127.0.0.1:${port}`, settings.API_TOKEN);
    await waitFor('the API to be ready', async () => {
      if (process.hasEnded) throw new Error(`the API ended: ${process.stdout}${process.stderr}`);
      const answer = await api.get('/readyz').catch(() => undefined);
      return answer?.status === 200;
    });
    return api;
  }

  get(path: string): Promise<ApiAnswer> {
    return this.ask('GET', path);
  }

  /** Sends a JSON body. */
  post(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<ApiAnswer> {
    return this.ask('POST', path, body === undefined ? undefined : JSON.stringify(body), {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    });
  }

  async ask(
    method: string,
    path: string,
    body?: string | Buffer,
    headers: Record<string, string> = {},
  ): Promise<ApiAnswer> {
    const authorization = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { ...authorization, ...headers },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    const isJson = /[/+]json(;|$)/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  }
}
