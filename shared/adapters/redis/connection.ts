import { Redis } from 'ioredis';
import { describeError, ServerUnavailableError } from '../../errors.ts';
import type { Logger } from '../../ports.ts';

export interface RedisConnectionOptions {
  /** Credentials included: never printed. */
  readonly url: string;
  readonly log: Logger;
  /** How long a command may wait for its answer. Default: 10 s. */
  readonly commandTimeoutMs?: number;
}

/** A connected Redis and the identity of that very process: another `run_id` may hold other data. */
export interface RedisSession {
  readonly redis: Redis;
  readonly runId: string;
}

const COMMAND_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 5_000;
const DISCONNECT_TIMEOUT_MS = 200;
const MAX_BACKOFF_MS = 5_000;

/**
 * A connection to Redis that comes back by itself and never repeats a command on its own: ioredis would send an
 * unanswered one again after a reconnect, and would queue without bound while Redis is away. Callers repeat, with
 * commands made to be repeated.
 */
export class RedisConnection {
  readonly #redis: Redis;
  readonly #log: Logger;
  readonly #server: string;
  #runId: string | undefined;
  #lastError: unknown;
  #isTold = false;

  constructor({ url, log, commandTimeoutMs = COMMAND_TIMEOUT_MS }: RedisConnectionOptions) {
    this.#log = log;
    const { hostname, port } = new URL(url);
    this.#server = `${hostname}:${port === '' ? '6379' : port}`;
    this.#redis = new Redis(url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout: commandTimeoutMs,
      connectTimeout: CONNECT_TIMEOUT_MS,
      // A frozen server must not hold up our own end.
      disconnectTimeout: DISCONNECT_TIMEOUT_MS,
      // ACLs of least privilege do not allow CLIENT SETINFO.
      disableClientInfo: true,
      retryStrategy: (tries) => Math.random() * Math.min(MAX_BACKOFF_MS, 50 * 2 ** Math.min(tries, 10)),
    });
    this.#redis.on('ready', () => void this.#identify());
    this.#redis.on('close', () => this.#lose());
    this.#redis.on('error', (error: unknown) => this.#note(error));
  }

  /** Begins to connect, and goes on trying for ever. */
  start(): void {
    this.#redis.connect().catch((error: unknown) => this.#note(error));
  }

  /** `start`, and resolves when connected. @throws ServerUnavailableError at once when refused, else after the deadline */
  async open(deadlineMs: number): Promise<void> {
    this.start();
    const giveUpAtMs = Date.now() + deadlineMs;
    while (this.#runId === undefined) {
      const isRefusal = this.#isRefused;
      if (isRefusal || Date.now() >= giveUpAtMs) {
        this.close();
        throw isRefusal ? this.#refused() : this.#unreachable(deadlineMs);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** @throws ServerUnavailableError while there is no connection */
  session(): RedisSession {
    if (this.#runId === undefined) throw this.#isRefused ? this.#refused() : this.#unreachable(0);
    return { redis: this.#redis, runId: this.#runId };
  }

  close(): void {
    this.#isTold = true;
    this.#redis.disconnect();
  }

  // Calls are let through only when we know which Redis process this connection leads to.
  async #identify(): Promise<void> {
    try {
      const info = await this.#redis.info('server');
      const runId = /run_id:(\w+)/.exec(info)?.[1];
      if (runId === undefined) throw new Error('INFO tells no run_id');
      this.#runId = runId;
      if (this.#isTold) this.#log.warn({ server: this.#server }, 'Redis is back');
      this.#isTold = false;
    } catch (error) {
      this.#note(error);
      this.#redis.disconnect(true);
    }
  }

  // A reply that is an error carries the command it answers, and so the password.
  #note(error: unknown): void {
    if (error instanceof Error) delete (error as { command?: unknown }).command;
    this.#lastError = error;
  }

  #lose(): void {
    this.#runId = undefined;
    if (!this.#isTold)
      this.#log.warn({ server: this.#server, err: this.#lastError }, 'Redis is away, trying again');
    this.#isTold = true;
  }

  get #isRefused(): boolean {
    return /WRONGPASS|NOAUTH|NOPERM|invalid password/i.test(describeError(this.#lastError));
  }

  #unreachable(deadlineMs: number): ServerUnavailableError {
    const within = deadlineMs > 0 ? ` within ${deadlineMs / 1_000} s` : '';
    const reason = this.#lastError === undefined ? '' : ` (${describeError(this.#lastError)})`;
    return new ServerUnavailableError(
      `Redis at ${this.#server} did not answer${within}${reason}. Start it, or set REDIS_URL to where it is.`,
      { isRefusal: false, cause: this.#lastError },
    );
  }

  #refused(): ServerUnavailableError {
    return new ServerUnavailableError(
      `Redis at ${this.#server} refused us: access refused. Check REDIS_PASSWORD or REDIS_URL and the user's rights.`,
      { isRefusal: true, cause: this.#lastError },
    );
  }
}
