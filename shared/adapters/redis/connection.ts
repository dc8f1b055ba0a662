import { Redis } from 'ioredis';
import { fullJitterMs } from '../../domain/schedule/backoff.ts';
import { describeError, ServerUnavailableError } from '../../errors.ts';
import type { StoreMemory } from '../../ports/counter-reader.ts';
import type { Logger } from '../../ports/logger.ts';

export interface RedisConnectionOptions {
  /** Credentials included: never printed. */
  readonly url: string;
  readonly log: Logger;
  /** How long a command may wait for its answer. Default: 10 s. */
  readonly commandTimeoutMs?: number;
}

/** A connected Redis and the identity of its data. */
export interface RedisSession {
  readonly redis: Redis;
  /**
   * `run_id/master_replid`. Another Redis process may hold other data, and has another run_id. A master that was demoted, took
   * over the data of another master and was promoted again keeps its run_id, and has another replication id.
   */
  readonly generation: string;
  /** At most a second old while it is asked for. */
  readonly memory: StoreMemory;
}

const COMMAND_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 5_000;
const DISCONNECT_TIMEOUT_MS = 200;
// One call counts many SMS, and the scripts make keys of their arguments. So all keys must be on one node.
const NO_CLUSTER = 'Redis Cluster is not supported, use one Redis (with replicas)';
// A master may be demoted and promoted again without closing its connections.
const IDENTIFY_AGAIN_MS = 1_000;

/**
 * A connection to Redis that comes back by itself. It never repeats a command: ioredis would send an unanswered command
 * again after a reconnect, and would queue commands without bound while Redis is away. Callers repeat their commands, which
 * are made for that.
 */
export class RedisConnection {
  readonly #redis: Redis;
  readonly #log: Logger;
  readonly #server: string;
  #generation: string | undefined;
  #memory: StoreMemory = { usedBytes: 0, maxBytes: 0, policy: 'noeviction' };
  #identifiedAtMs = 0;
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
      // ioredis counts tries from 1.
      retryStrategy: (tries) => fullJitterMs(tries - 1, Math.random()),
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
    while (this.#generation === undefined) {
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
    if (this.#generation === undefined) throw this.#isRefused ? this.#refused() : this.#unreachable(0);
    const session = { redis: this.#redis, generation: this.#generation, memory: this.#memory };
    if (Math.abs(Date.now() - this.#identifiedAtMs) >= IDENTIFY_AGAIN_MS) this.#identifyAgain();
    return session;
  }

  /** @throws ServerUnavailableError where Redis does not answer the call, or while there is no connection */
  async ask<Value>(call: (session: RedisSession) => Promise<Value>): Promise<Value> {
    const session = this.session();
    try {
      return await call(session);
    } catch (error) {
      const said = `Redis did not answer: ${describeError(error)}`;
      throw new ServerUnavailableError(said, { isRefusal: false, cause: error });
    }
  }

  close(): void {
    this.#isTold = true;
    this.#redis.disconnect();
  }

  // Callers get a session only once we know which data this connection leads to.
  async #identify(): Promise<void> {
    try {
      await this.#readGeneration();
      if (this.#isTold) this.#log.warn({ server: this.#server }, 'Redis is back');
      this.#isTold = false;
    } catch (error) {
      this.#note(error);
      this.#redis.disconnect(true);
    }
  }

  // Where Redis does not answer this, Redis does not answer the callers either, and they say so.
  #identifyAgain(): void {
    this.#readGeneration().catch((error: unknown) => this.#note(error));
  }

  async #readGeneration(): Promise<void> {
    this.#identifiedAtMs = Date.now();
    const [server, replication, memory] = await Promise.all([
      this.#redis.info('server'),
      this.#redis.info('replication'),
      this.#redis.info('memory'),
    ]);
    if (/^redis_mode:cluster/m.test(server)) throw new Error(NO_CLUSTER);
    const runId = /run_id:(\w+)/.exec(server)?.[1];
    if (runId === undefined) throw new Error('INFO tells no run_id');
    this.#memory = memoryIn(memory);
    this.#generation = `${runId}/${/master_replid:(\w+)/.exec(replication)?.[1] ?? ''}`;
  }

  // An error of ioredis carries the command that it answers, and so the password.
  #note(error: unknown): void {
    if (error instanceof Error) delete (error as { command?: unknown }).command;
    this.#lastError = error;
  }

  #lose(): void {
    this.#generation = undefined;
    const told = this.#isCluster ? NO_CLUSTER : 'Redis is away, trying again';
    if (!this.#isTold) this.#log.warn({ server: this.#server, err: this.#lastError }, told);
    this.#isTold = true;
  }

  get #isCluster(): boolean {
    return describeError(this.#lastError) === NO_CLUSTER;
  }

  // What ioredis says of bytes that are no reply of a Redis.
  get #isOtherServer(): boolean {
    return describeError(this.#lastError).startsWith('Unknown RESP type');
  }

  get #isRefused(): boolean {
    if (this.#isCluster || this.#isOtherServer) return true;
    return /WRONGPASS|NOAUTH|NOPERM|invalid password/i.test(describeError(this.#lastError));
  }

  #unreachable(deadlineMs: number): ServerUnavailableError {
    const within = deadlineMs > 0 ? ` within ${deadlineMs / 1_000} s` : '';
    const reason = this.#lastError === undefined ? '' : ` (${describeError(this.#lastError)})`;
    return new ServerUnavailableError(
      `Redis at ${this.#server} did not answer${within}${reason}. Start it, or set REDIS_URL to where it is; ` +
        '"npm start -- --keep" in a checkout brings servers up.',
      { isRefusal: false, cause: this.#lastError },
    );
  }

  get #refusal(): string {
    if (this.#isCluster) return `cannot be used: ${NO_CLUSTER}. Set REDIS_URL to it.`;
    if (this.#isOtherServer)
      return 'is something else, or speaks TLS only. Set REDIS_URL to where Redis is (rediss:// for TLS).';
    return "refused us: access refused. Check REDIS_PASSWORD or REDIS_URL and the user's rights.";
  }

  #refused(): ServerUnavailableError {
    return new ServerUnavailableError(`Redis at ${this.#server} ${this.#refusal}`, {
      isRefusal: true,
      cause: this.#lastError,
    });
  }
}

function memoryIn(info: string): StoreMemory {
  const numberOf = (field: string) => Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return {
    usedBytes: numberOf('used_memory'),
    maxBytes: numberOf('maxmemory'),
    policy: /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'noeviction',
  };
}
