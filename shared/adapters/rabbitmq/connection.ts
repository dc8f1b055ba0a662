/**
 * A connection that comes back. Its roles (topology, publisher, consumer) are attached in order at every connect and
 * detached when the connection ends. The death of any channel ends the whole connection: making everything again is simple
 * and always right, whereas a single channel that is revived may acknowledge deliveries of the dead one.
 *
 * Why not amqplib's own `recovery` (2.3.1): a connection that is lost while its `setup` awaits counts as connected and is
 * never retried, a socket error during `setup` ends the process, and `recovery` knows one URL only.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChannelModel, connect } from 'amqplib';
import { fullJitterMs } from '../../domain/schedule/backoff.ts';
import { describeError, isRefusal, ServerUnavailableError } from '../../errors.ts';
import type { Logger } from '../../ports/logger.ts';
import { tlsRefusalOf } from '../../tls/tls-refusal.ts';
import { type Trust, tlsOptionsOf } from '../../tls/trust.ts';
import {
  destroySocket,
  GATHERED_BYTES,
  gatherWrites,
  NOT_ALLOWED,
  replyCodeOf,
  surviveUndecodableHeaders,
} from './amqplib-internals.ts';
import { Reading } from './reading.ts';
import { credentialsOf, rabbitMqAt, serverNamesOf, withHeartbeat } from './server-urls.ts';

export interface ConnectionRole {
  /**
   * Opens its channels.
   * @param die ends this connection, because a channel of the role cannot go on
   * @param reading bounds what is read from this connection and not settled
   */
  attach(connection: ChannelModel, die: (cause: unknown) => void, reading: Reading): Promise<void>;
  /**
   * The connection ends: from now on its channels are dead. Called once for each attach, also for a failed one.
   * Where we end the connection, it is closed after the returned promise has settled.
   */
  detach(cause: unknown): void | Promise<void>;
  /** RabbitMQ stopped (or again allowed) publishing, because of a memory or disk alarm. */
  setBlocked?(isBlocked: boolean): void;
}

export interface RabbitMqConnectionOptions {
  /** AMQP URLs with credentials, tried in turn from one at random: so connections spread over a cluster. */
  readonly urls: readonly string[];
  /** Certificates for `amqps://`. Default: those of Node.js. */
  readonly trust?: Trust | undefined;
  /** Shown in the management UI, such as `redial sender@host:pid`. */
  readonly name: string;
  readonly log: Logger;
}

const CONNECT_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** Deliveries in hand of one connection. Those of a drain are 2 MB. */
const MAX_BYTES_IN_HAND = 32 * 2 ** 20;
const MAX_BACKOFF_MS = 10_000;
// Reply codes of AMQP that no repetition mends.
const ACCESS_REFUSED = 403;
const PRECONDITION_FAILED = 406;
const REFUSALS = new Set([ACCESS_REFUSED, PRECONDITION_FAILED, NOT_ALLOWED]);

export class RabbitMqConnection {
  readonly #options: RabbitMqConnectionOptions;
  readonly #roles: ConnectionRole[] = [];
  readonly #closing = new AbortController();
  #ended: Promise<void> | undefined;
  #isUp = false;
  #wasUp = false;
  #endConnection: ((cause: unknown) => void) | undefined;

  constructor(options: RabbitMqConnectionOptions) {
    this.#options = options;
  }

  /** Roles are attached in the order they were added; add them before `open`. */
  add(role: ConnectionRole): void {
    this.#roles.push(role);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /**
   * Resolves when the first connection is up; from then on it comes back by itself.
   * @param deadlineMs how long the first connect may take
   * @throws ServerUnavailableError at once when RabbitMQ refuses us or `close` is called, after the deadline when it
   * does not answer
   */
  open(deadlineMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let lastCause: unknown;
      // By server: a certificate is that of one node, and another node may have a good one.
      const refusals = new Map<string, ServerUnavailableError>();
      const giveUp = (error: ServerUnavailableError) => {
        reject(error);
        void this.close();
      };
      const timer = setTimeout(
        () => giveUp(this.#unreachable(deadlineMs, [...refusals.values()][0] ?? lastCause)),
        deadlineMs,
      );
      const onUp = () => {
        clearTimeout(timer);
        resolve();
      };
      const onFailure = (cause: unknown, server: string) => {
        lastCause = cause;
        if (REFUSALS.has(replyCodeOf(cause))) return giveUp(this.#refused(cause));
        if (cause instanceof ServerUnavailableError) refusals.set(server, cause);
        if (refusals.size === new Set(this.#options.urls).size) giveUp(inOne([...refusals.values()]));
      };
      this.#ended = this.#keepUp(onUp, onFailure);
      void this.#ended.then(() => {
        clearTimeout(timer);
        reject(new ServerUnavailableError('closed before RabbitMQ answered', { isRefusal: false }));
      });
    });
  }

  /** Ends for good. Acknowledgements that were given before arrive first. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#endConnection?.(undefined);
    await this.#ended;
  }

  /** @param onFailureBefore is called with the cause of each failure before the first connection is up */
  async #keepUp(onUp: () => void, onFailureBefore: (cause: unknown, server: string) => void): Promise<void> {
    const { log, urls } = this.#options;
    let failures = 0;
    const told = new Set<string>();
    const start = Math.floor(Math.random() * urls.length);
    for (let turn = start; !this.#closing.signal.aborted; turn += 1) {
      const server = urls[turn % urls.length] ?? '';
      const cause = await this.#hold(server, () => {
        log[told.size > 0 ? 'warn' : 'info'](
          { server: rabbitMqAt(server).address },
          told.size > 0 ? 'RabbitMQ is back' : 'connected to RabbitMQ',
        );
        failures = 0;
        this.#wasUp = true;
        told.clear();
        onUp();
      });
      if (this.#closing.signal.aborted) return;
      if (!this.#wasUp) onFailureBefore(cause, server);
      if (this.#closing.signal.aborted) return;
      const tidings = isRefusal(cause)
        ? 'TLS with RabbitMQ fails, trying again'
        : 'RabbitMQ is away, trying again';
      if (!told.has(tidings)) log.warn({ server: rabbitMqAt(server).address, err: cause }, tidings);
      told.add(tidings);
      const waitMs = fullJitterMs(failures, Math.random(), MAX_BACKOFF_MS);
      await sleep(waitMs, undefined, this.#closing).catch(() => {});
      failures += 1;
    }
  }

  /** Connects, attaches the roles, and resolves with the cause when the connection has ended. */
  async #hold(server: string, onUp: () => void): Promise<unknown> {
    let connection: ChannelModel;
    try {
      connection = await this.#connect(server);
    } catch (error) {
      return (await this.#explain(server, error)) ?? error;
    }
    // Bound to this connection: a late event of its channels must not end the next one.
    let end: (cause: unknown) => void = () => {};
    let hasEnded = false;
    const ended = new Promise<unknown>((resolve) => {
      let firstError: unknown;
      end = (cause) => {
        hasEnded = true;
        resolve(firstError ?? cause);
      };
      connection.on('error', (error) => {
        firstError ??= error;
      });
      connection.on('close', (error) => end(error ?? new Error('connection closed')));
    });
    this.#endConnection = end;
    if (this.#closing.signal.aborted) end(undefined);
    connection.on('blocked', () => this.#setBlocked(true));
    connection.on('unblocked', () => this.#setBlocked(false));
    const reading = new Reading(connection, MAX_BYTES_IN_HAND);
    const attached: ConnectionRole[] = [];
    this.#attachRoles(connection, attached, end, reading).then(() => {
      if (hasEnded) return;
      this.#isUp = true;
      onUp();
    }, end);
    const cause = await ended;
    this.#isUp = false;
    const detached = Promise.all(attached.map((role) => role.detach(cause)));
    await closeQuietly(connection, detached);
    reading.end();
    return cause;
  }

  /** Gives up when `close` is called, and after a deadline: a server may answer and never finish the handshake. */
  async #connect(server: string): Promise<ChannelModel> {
    const { signal } = this.#closing;
    const socket = new AbortController();
    const giveUp = () => socket.abort();
    signal.addEventListener('abort', giveUp);
    const timer = setTimeout(giveUp, CONNECT_TIMEOUT_MS * 1.5);
    const options = {
      // Nagle's algorithm alone would add 40 ms to retries that come in one at a time.
      noDelay: true,
      keepAlive: true,
      timeout: CONNECT_TIMEOUT_MS,
      signal: socket.signal,
      credentials: credentialsOf(server),
      clientProperties: { connection_name: this.#options.name },
      writableHighWaterMark: GATHERED_BYTES,
      ...(rabbitMqAt(server).isEncrypted ? tlsOptionsOf(this.#options.trust) : {}),
    };
    try {
      const connection = await connect(withHeartbeat(server), options);
      surviveUndecodableHeaders(connection);
      gatherWrites(connection);
      return connection;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** A URL without TLS that has worked is not doubted. */
  async #explain(server: string, error: unknown): Promise<ServerUnavailableError | undefined> {
    const place = rabbitMqAt(server);
    if (this.#wasUp && !place.isEncrypted) return undefined;
    return tlsRefusalOf(place, error, this.#closing.signal);
  }

  async #attachRoles(
    connection: ChannelModel,
    attached: ConnectionRole[],
    end: (cause: unknown) => void,
    reading: Reading,
  ): Promise<void> {
    for (const role of this.#roles) {
      attached.push(role);
      await role.attach(connection, end, reading);
    }
  }

  #setBlocked(isBlocked: boolean): void {
    this.#options.log.warn(
      {},
      isBlocked
        ? 'RabbitMQ has a memory or disk alarm: publishing pauses until it is over'
        : 'the alarm of RabbitMQ is over: publishing goes on',
    );
    for (const role of this.#roles) role.setBlocked?.(isBlocked);
  }

  #servers(): string {
    return serverNamesOf(this.#options.urls);
  }

  #unreachable(deadlineMs: number, cause: unknown): ServerUnavailableError {
    const reason = cause === undefined ? '' : ` (${describeError(cause)})`;
    return new ServerUnavailableError(
      `RabbitMQ at ${this.#servers()} did not answer within ${deadlineMs / 1_000} s${reason}. ` +
        'Start it, or set RABBITMQ_URL to where it is; "npm start -- --keep" in a checkout brings servers up.',
      { isRefusal: false, cause },
    );
  }

  #refused(cause: unknown): ServerUnavailableError {
    return new ServerUnavailableError(`RabbitMQ at ${this.#servers()} refused us: ${explainRefusal(cause)}`, {
      isRefusal: true,
      cause,
    });
  }
}

function inOne(refusals: readonly ServerUnavailableError[]): ServerUnavailableError {
  const message = refusals.map(describeError).join('\n');
  return new ServerUnavailableError(message, { isRefusal: true, cause: refusals[0]?.cause });
}

function explainRefusal(cause: unknown): string {
  switch (replyCodeOf(cause)) {
    case NOT_ALLOWED:
      return 'the virtual host does not exist or is not open to this user. Check RABBITMQ_VHOST (or the path of RABBITMQ_URL).';
    case PRECONDITION_FAILED:
      return (
        `a queue or exchange of that name exists with other arguments (${describeError(cause)}). An older version of Redial ` +
        'may have made it. Use another QUEUE_NAME, or let the pipeline run empty with that version, then run "npm run reset".'
      );
    default:
      return 'access refused. Check user and password (RABBITMQ_USER, RABBITMQ_PASSWORD or RABBITMQ_URL) and the permissions of that user.';
  }
}

async function closeQuietly(connection: ChannelModel, detached: Promise<unknown>): Promise<void> {
  try {
    await withDeadline(
      detached.then(() => connection.close()),
      CLOSE_TIMEOUT_MS,
    );
  } catch {
    // The connection is closed already, or the server does not answer any more: the socket goes either way.
  }
  destroySocket(connection);
}

function withDeadline<Value>(promise: Promise<Value>, deadlineMs: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs / 1_000} s`)), deadlineMs);
  });
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}
