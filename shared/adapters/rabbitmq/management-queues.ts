import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { isQueueOf, queueNamePatternOf } from '../../domain/topology/topology.ts';
import { describeError, ServerUnavailableError } from '../../errors.ts';
import type { QueueReader, QueueReading, QueueReadings } from '../../ports/queue-reader.ts';
import { placeOf, type TlsServer } from '../../tls/explain-failure.ts';
import { tlsRefusalOf } from '../../tls/tls-refusal.ts';
import { type Trust, tlsOptionsOf } from '../../tls/trust.ts';

type Fetch = typeof globalThis.fetch;

export interface ManagementOptions {
  /** Base URL without credentials: `http://localhost:15672`. */
  readonly url: string;
  /** Base URLs of the other nodes of a cluster: they are asked where the first does not answer. */
  readonly otherUrls?: readonly string[];
  /** Certificates for `https://`. Default: those of Node.js. */
  readonly trust?: Trust | undefined;
  readonly user: string;
  /** Never printed. */
  readonly password: string;
  readonly vhost: string;
  /** QUEUE_NAME. */
  readonly prefix: string;
  readonly timeoutMs?: number;
  readonly fetch?: Fetch;
}

const MANAGEMENT: TlsServer = {
  server: 'the management API',
  ...{ urlSetting: 'RABBITMQ_MANAGEMENT_URL', trustSetting: 'RABBITMQ_CA_FILE' },
  schemes: { plain: 'http://', encrypted: 'https://' },
  ports: { plain: 80, encrypted: 443 },
  noClientCertificates: 'management.ssl.fail_if_no_peer_cert = false',
};
const TIMEOUT_MS = 5_000;
const PAGE_SIZE = 500;
/** `quorum_tick_interval` of a broker that nobody has configured. */
const MAX_AGE_MS = 5_000;

// A queue that was just declared, or whose leader is being elected, has no statistics yet.
const statistic = z
  .number()
  .nullish()
  .transform((value) => value ?? 0);
const queueShape = z
  .object({
    name: z.string(),
    messages: statistic,
    messages_ready: z.number().nullish(),
    messages_unacknowledged: z.number().nullish(),
  })
  .transform(({ name, messages, messages_ready, messages_unacknowledged }): QueueReading => {
    const reading = { name, messages, ready: messages_ready ?? messages };
    if (typeof messages_ready !== 'number' || typeof messages_unacknowledged !== 'number') return reading;
    // A quorum queue counts what it dead-letters until the target has confirmed it, as neither of the two.
    return { ...reading, deadLettering: Math.max(0, messages - messages_ready - messages_unacknowledged) };
  });
const pageShape = z.object({ items: z.array(queueShape), page_count: z.number() });

/**
 * Reads the depth of a pipeline's queues from the management API. Only the management API knows all queues of a pipeline,
 * and counts what is unacknowledged or on its way to a dead-letter target. The list of queues is of now, the numbers are
 * old: asked for totals without statistics, the management API tells what each queue reported last, which a queue does
 * every `quorum_tick_interval` (5 s by default). Its statistics would add seconds of their own.
 */
export class ManagementQueueReader implements QueueReader {
  readonly #options: ManagementOptions;
  readonly #fetch: Fetch;
  // Node.js 20 keeps a little of each signal that AbortSignal.any() made of one that lives on: no signal for all readings.
  readonly #running = new Set<AbortController>();
  #isClosed = false;
  /** The node that answered last stands first. */
  #urls: readonly string[];

  constructor(options: ManagementOptions) {
    this.#options = options;
    this.#urls = [options.url, ...(options.otherUrls ?? [])];
    this.#fetch = options.fetch ?? createFetch(options.trust);
  }

  /** @throws ServerUnavailableError where no node answers, with what the first said */
  async read(): Promise<QueueReadings> {
    const urls = this.#urls;
    let failure: unknown;
    for (const url of urls) {
      try {
        const readings = await this.#readFrom(url);
        this.#urls = [url, ...urls.filter((other) => other !== url)];
        return readings;
      } catch (error) {
        failure ??= error;
        if (this.#isClosed) break;
      }
    }
    throw failure;
  }

  async #readFrom(url: string): Promise<QueueReadings> {
    // All nodes together take no longer than one may. One deadline for all pages: a slow server must not take the time once
    // for each page.
    const timeoutMs = (this.#options.timeoutMs ?? TIMEOUT_MS) / this.#urls.length;
    const reading = new AbortController();
    const timer = setTimeout(
      () => reading.abort(new Error(`no answer within ${timeoutMs / 1_000} s`)),
      timeoutMs,
    );
    this.#running.add(reading);
    const queues = new Map<string, QueueReading>();
    try {
      for (let page = 1, pageCount = 1; page <= pageCount; page += 1) {
        const { items, page_count } = await this.#readPage(url, page, reading.signal);
        // A queue declared between two pages shifts the rest, so one may be told twice.
        for (const queue of items)
          if (isQueueOf(this.#options.prefix, queue.name)) queues.set(queue.name, queue);
        pageCount = page_count;
      }
    } finally {
      clearTimeout(timer);
      this.#running.delete(reading);
    }
    return { queues: [...queues.values()], isComplete: true, readyAgeMs: MAX_AGE_MS };
  }

  /** Ends the requests that are under way: one that hangs would hold the process. */
  close(): void {
    this.#isClosed = true;
    for (const reading of this.#running) reading.abort(new Error('closed'));
  }

  async #readPage(url: string, page: number, signal: AbortSignal): Promise<z.output<typeof pageShape>> {
    const { vhost, prefix, user, password } = this.#options;
    const query = new URLSearchParams({
      page: String(page),
      page_size: String(PAGE_SIZE),
      name: queueNamePatternOf(prefix),
      use_regex: 'true',
      ...{ disable_stats: 'true', enable_queue_totals: 'true' },
    });
    const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    try {
      const response = await this.#fetch(
        `${url.replace(/\/$/, '')}/api/queues/${encodeURIComponent(vhost)}?${query}`,
        { headers: { authorization, accept: 'application/json' }, signal },
      );
      if (!response.ok) throw this.#refused(url, response.status);
      return pageShape.parse(await response.json());
    } catch (error) {
      if (error instanceof ServerUnavailableError) throw error;
      throw (await tlsRefusalOf(placeOf(MANAGEMENT, url), causeOf(error), signal)) ?? unreachable(url, error);
    }
  }

  #refused(url: string, status: number): ServerUnavailableError {
    const { vhost } = this.#options;
    const isRefusal = [401, 403, 404].includes(status);
    const reason =
      status === 404
        ? `knows no virtual host "${vhost}"`
        : isRefusal
          ? 'refused us: access refused. The user needs the tag "monitoring" or "management"'
          : `answered with HTTP status ${status}`;
    return new ServerUnavailableError(`the management API at ${url} ${reason}`, { isRefusal });
  }
}

function unreachable(url: string, error: unknown): ServerUnavailableError {
  return new ServerUnavailableError(`the management API at ${url} did not answer: ${describeReason(error)}`, {
    isRefusal: false,
    cause: error,
  });
}

function describeReason(error: unknown): string {
  if (error instanceof z.ZodError || error instanceof SyntaxError)
    return 'its answer was not the one expected';
  return describeError(causeOf(error));
}

// fetch says "fetch failed" and keeps the reason in the cause; an abort rejects with our own reason.
function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error;
}

/** `fetch` for the management API, for requests without a body. The one of Node.js takes no certificates to trust. */
export function createFetch(trust: Trust | undefined): Fetch {
  return async (input, init = {}) => {
    const url = String(input);
    if (!url.startsWith('https:')) return fetch(input, init);
    const { method = 'GET', signal } = init;
    const headers = Object.fromEntries(new Headers(init.headers));
    const asked = request(url, { method, headers, ...(signal ? { signal } : {}), ...tlsOptionsOf(trust) });
    // An error that comes after the answer has begun is one of the answer, too.
    asked.on('error', () => {}).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const body = await text(response);
    return new Response(body === '' ? null : body, { status: response.statusCode ?? 500 });
  };
}
