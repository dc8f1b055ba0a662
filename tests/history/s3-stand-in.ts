import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen } from '../kit/rabbitmq/tcp-proxy.ts';
import type { MadeUpHistory } from './made-up-history.ts';

const KEYS_PER_PAGE = 1_000;

/** Speaks as much of S3 as Redial asks for: lists, gets and puts in one bucket, whatever its name. */
export class S3StandIn {
  readonly #history: MadeUpHistory;
  readonly #latencyMs: number;
  readonly #put = new Map<string, Buffer>();
  readonly #server: Server;
  readonly #requestCounts = { list: 0, get: 0, put: 0 };

  constructor(history: MadeUpHistory, latencyMs: number) {
    this.#history = history;
    this.#latencyMs = latencyMs;
    this.#server = createServer((incoming, outgoing) => {
      this.#answer(incoming, outgoing).catch(() => outgoing.destroy());
    });
  }

  /** Its address. */
  async open(): Promise<string> {
    return `http://127.0.0.1:${await listen(this.#server, 0)}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** Since the last time. */
  takeRequestCounts(): { readonly list: number; readonly get: number; readonly put: number } {
    const counts = { ...this.#requestCounts };
    Object.assign(this.#requestCounts, { list: 0, get: 0, put: 0 });
    return counts;
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await buffer(incoming);
    if (this.#latencyMs > 0) await sleep(this.#latencyMs);
    const url = new URL(incoming.url ?? '/', 'http://s3');
    const key = decodeURIComponent(url.pathname).split('/').slice(2).join('/');
    if (incoming.method === 'PUT') {
      this.#requestCounts.put += 1;
      if (key !== '') this.#put.set(key, body);
      outgoing.writeHead(200, { etag: '"made-up"' }).end();
    } else if (key === '') {
      this.#requestCounts.list += 1;
      outgoing.writeHead(200, { 'content-type': 'application/xml' }).end(this.#list(url.searchParams));
    } else {
      this.#requestCounts.get += 1;
      const found = this.#put.get(key) ?? this.#history.body(key);
      if (found === undefined) outgoing.writeHead(404, { 'content-type': 'application/xml' }).end(NO_KEY);
      else outgoing.writeHead(200, { 'content-length': found.length }).end(found);
    }
  }

  /** A token is the last key of the page before. */
  #list(query: URLSearchParams): string {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
    const ours = [...this.#put.keys()].filter((key) => key.startsWith(prefix) && key > after);
    const keys: string[] = [];
    for (const key of this.#history.keys(prefix, after)) {
      if (keys.push(key) > KEYS_PER_PAGE) break;
    }
    const page = [...new Set([...keys, ...ours])].sort().slice(0, KEYS_PER_PAGE + 1);
    const isTruncated = page.length > KEYS_PER_PAGE;
    const told = page.slice(0, KEYS_PER_PAGE);
    const contents = told.map((key) => `<Contents><Key>${key}</Key></Contents>`).join('');
    const next = isTruncated ? `<NextContinuationToken>${told.at(-1)}</NextContinuationToken>` : '';
    return `<ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${next}${contents}</ListBucketResult>`;
  }
}

const NO_KEY = '<Error><Code>NoSuchKey</Code><Message>made up</Message></Error>';
