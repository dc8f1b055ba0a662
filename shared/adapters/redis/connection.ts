import { isIP } from 'node:net';
import { Redis } from 'ioredis';
import { fullJitterMs } from '../../domain/schedule/backoff.ts';
import { describeError, ServerUnavailableError } from '../../errors.ts';
import type { StoreMemory } from '../../ports/counter-reader.ts';
import type { Logger } from '../../ports/logger.ts';
import { placeOf, type TlsPlace, type TlsServer, titleOf } from '../../tls/explain-failure.ts';
import { tlsRefusalOf } from '../../tls/tls-refusal.ts';
import { type Trust, tlsOptionsOf } from '../../tls/trust.ts';
import { TlsConnector } from './tls-connector.ts';

/** Where a Redis is. */
export interface RedisAddress {
  /** Credentials included: never printed. */
  readonly url: string;
  /** Certificates for `rediss://`. Default: those of Node.js. */
  readonly trust?: Trust | undefined;
}

export interface RedisConnectionOptions extends RedisAddress {
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

const REDIS: TlsServer = {
  ...{ server: 'Redis', urlSetting: 'REDIS_URL', trustSetting: 'REDIS_CA_FILE' },
  schemes: { plain: 'redis://', encrypted: 'rediss://' },
  ports: { plain: 6379, encrypted: 6379 },
  noClientCertificates: 'tls-auth-clients no',
  // Without TLS it waits for the end of a line, which a TLS client may never send.
  hello: { request: 'PING\r\n', answer: /^[+-]/ },
};
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
  readonly #place: TlsPlace;
  readonly #closing = new AbortController();
  #generation: string | undefined;
  #memory: StoreMemory = { usedBytes: 0, maxBytes: 0, policy: 'noeviction' };
  #identifiedAtMs = 0;
  #lastError: unknown;
  /** Why TLS fails, once the server was looked at; undefined where TLS is not the reason. */
  #tlsRefusal: ServerUnavailableError | undefined;
  #isExplaining = false;
  #wasUp = false;
  readonly #told = new Set<string>();

  constructor({ url, trust, log, commandTimeoutMs = COMMAND_TIMEOUT_MS }: RedisConnectionOptions) {
    this.#log = log;
    this.#place = placeOf(REDIS, url);
    const { host, isEncrypted } = this.#place;
    // The name by which a server may choose its certificate. An address is no name.
    const servername = isIP(host) === 0 ? { servername: host } : {};
    this.#redis = new Redis(withoutTls(url), {
      ...(isEncrypted ? { Connector: TlsConnector, tls: { ...tlsOptionsOf(trust), ...servername } } : {}),
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
      const refusal = this.#refusal;
      if (refusal !== undefined || Date.now() >= giveUpAtMs) {
        this.close();
        throw refusal ?? this.#unreachable(deadlineMs);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** @throws ServerUnavailableError while there is no connection */
  session(): RedisSession {
    if (this.#generation === undefined) throw this.#refusal ?? this.#unreachable(0);
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
    this.#closing.abort();
    this.#redis.disconnect();
  }

  // Callers get a session only once we know which data this connection leads to.
  async #identify(): Promise<void> {
    try {
      await this.#readGeneration();
      if (this.#told.size > 0) this.#log.warn({ server: this.#place.address }, 'Redis is back');
      this.#told.clear();
      this.#wasUp = true;
      this.#lastError = undefined;
      this.#tlsRefusal = undefined;
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
    // A URL without TLS that has worked is not doubted.
    const mayBeTls = this.#place.isEncrypted || !this.#wasUp;
    if (mayBeTls && !this.#isRefused) void this.#explain();
    else this.#tell();
  }

  async #explain(): Promise<void> {
    if (this.#isExplaining) return;
    this.#isExplaining = true;
    const refusal = await tlsRefusalOf(this.#place, this.#lastError, this.#closing.signal);
    this.#isExplaining = false;
    if (this.#generation !== undefined) return;
    this.#tlsRefusal = refusal;
    this.#tell();
  }

  #tell(): void {
    const away = this.#tlsRefusal === undefined ? 'Redis is away' : 'TLS with Redis fails';
    const tidings = this.#isCluster ? NO_CLUSTER : `${away}, trying again`;
    if (this.#told.has(tidings) || this.#closing.signal.aborted) return;
    this.#told.add(tidings);
    const err = this.#tlsRefusal ?? this.#lastError;
    this.#log.warn({ server: this.#place.address, err }, tidings);
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
      `${titleOf(this.#place)} did not answer${within}${reason}. Start it, or set REDIS_URL to where it is; ` +
        '"npm start -- --keep" in a checkout brings servers up.',
      { isRefusal: false, cause: this.#lastError },
    );
  }

  get #refusal(): ServerUnavailableError | undefined {
    if (this.#tlsRefusal !== undefined || !this.#isRefused) return this.#tlsRefusal;
    const message = `${titleOf(this.#place)} ${this.#describeRefusal()}`;
    return new ServerUnavailableError(message, { isRefusal: true, cause: this.#lastError });
  }

  #describeRefusal(): string {
    if (this.#isCluster) return `cannot be used: ${NO_CLUSTER}. Set REDIS_URL to it.`;
    if (this.#isOtherServer)
      return 'is something else, or speaks TLS only. Set REDIS_URL to where Redis is (rediss:// for TLS).';
    return "refused us: access refused. Check REDIS_PASSWORD or REDIS_URL and the user's rights.";
  }
}

/** ioredis knows `rediss` in small letters only, and lets `?tls=` of a URL win over its options. */
function withoutTls(url: string): string {
  const plain = new URL(url);
  plain.protocol = 'redis:';
  plain.searchParams.delete('tls');
  return plain.href;
}

function memoryIn(info: string): StoreMemory {
  const numberOf = (field: string) => Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return {
    usedBytes: numberOf('used_memory'),
    maxBytes: numberOf('maxmemory'),
    policy: /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'noeviction',
  };
}
