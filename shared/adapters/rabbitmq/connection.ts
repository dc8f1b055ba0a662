/**
 * A connection that comes back. Roles (topology, publisher, consumer) are attached in order at every connect and
 * detached when it ends. The death of any channel ends the whole connection: rebuilding everything is simple and
 * always right, while reviving single channels is where deliveries get acknowledged on the wrong one.
 *
 * Why not amqplib's own `recovery`: a connection lost while its `setup` awaits is reported as connected and never
 * retried, a socket error during `setup` ends the process, and it knows one URL only (amqplib 2.3.1).
 */
import { unescape as decodePercents } from 'node:querystring';
import { type ChannelModel, connect, credentials } from 'amqplib';
import { describeError, ServerUnavailableError } from '../../errors.ts';
import type { Logger } from '../../ports.ts';
import { surviveDeepHeaders } from './deep-headers.ts';
import { GATHERED_BYTES, gatherWrites } from './gather-writes.ts';
import { Reading } from './reading.ts';

export interface ConnectionRole {
  /**
   * Opens its channels.
   * @param die ends this connection, because a channel of the role cannot go on
   * @param reading bounds what is read from this connection and not settled
   */
  attach(connection: ChannelModel, die: (cause: unknown) => void, reading: Reading): Promise<void>;
  /**
   * The connection ends: from now on its channels are dead. Called once for each attach, also a failed one.
   * Where it is we who end it, it is closed when the returned promise has settled.
   */
  detach(cause: unknown): void | Promise<void>;
  /** RabbitMQ stopped (or again allowed) publishing, because of a memory or disk alarm. */
  setBlocked?(isBlocked: boolean): void;
}

export interface RabbitMqConnectionOptions {
  /** AMQP URLs with credentials, tried in turn from one at random: so connections spread over a cluster. */
  readonly urls: readonly string[];
  /** Shown in the management UI, such as `redial sender@host:pid`. */
  readonly name: string;
  readonly log: Logger;
}

const CONNECT_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;
const HEARTBEAT_SECONDS = 10;
const MIN_BACKOFF_MS = 100;
/** Deliveries in hand of one connection. Those of a drain are 2 MB. */
const MAX_BYTES_IN_HAND = 32 * 2 ** 20;
const MAX_BACKOFF_MS = 10_000;
// Reply codes of AMQP that no repetition mends.
const ACCESS_REFUSED = 403;
const PRECONDITION_FAILED = 406;
const NOT_ALLOWED = 530;
const REFUSALS = new Set([ACCESS_REFUSED, PRECONDITION_FAILED, NOT_ALLOWED]);

export class RabbitMqConnection {
  readonly #options: RabbitMqConnectionOptions;
  readonly #roles: ConnectionRole[] = [];
  readonly #closing = new AbortController();
  #ended: Promise<void> | undefined;
  #isUp = false;
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
      const giveUp = (error: ServerUnavailableError) => {
        reject(error);
        void this.close();
      };
      const timer = setTimeout(() => giveUp(this.#unreachable(deadlineMs, lastCause)), deadlineMs);
      this.#ended = this.#keepUp({
        onUp: () => {
          clearTimeout(timer);
          resolve();
        },
        onFailure: (cause, isRefusal) => {
          lastCause = cause;
          if (isRefusal) giveUp(this.#refused(cause));
        },
      });
      void this.#ended.then(() => {
        clearTimeout(timer);
        reject(new ServerUnavailableError('closed before RabbitMQ answered', { isRefusal: false }));
      });
    });
  }

  /** Ends for good: what was acknowledged before arrives first. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#endConnection?.(undefined);
    await this.#ended;
  }

  async #keepUp(first: {
    onUp: () => void;
    onFailure: (cause: unknown, isRefusal: boolean) => void;
  }): Promise<void> {
    const { log, urls } = this.#options;
    let failures = 0;
    let wasUp = false;
    let isTold = false;
    const start = Math.floor(Math.random() * urls.length);
    for (let turn = start; !this.#closing.signal.aborted; turn += 1) {
      const server = urls[turn % urls.length] ?? '';
      const cause = await this.#hold(server, () => {
        log[isTold ? 'warn' : 'info'](
          { server: describeServer(server) },
          isTold ? 'RabbitMQ is back' : 'connected to RabbitMQ',
        );
        [failures, wasUp, isTold] = [0, true, false];
        first.onUp();
      });
      if (this.#closing.signal.aborted) return;
      if (!wasUp) first.onFailure(cause, isRefusal(cause));
      if (this.#closing.signal.aborted) return;
      if (!isTold) log.warn({ server: describeServer(server), err: cause }, 'RabbitMQ is away, trying again');
      isTold = true;
      await this.#pause(Math.random() * Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** failures));
      failures = Math.min(failures + 1, 20);
    }
  }

  /** Connects, attaches the roles, and resolves with the cause when the connection has ended. */
  async #hold(server: string, onUp: () => void): Promise<unknown> {
    let connection: ChannelModel;
    try {
      connection = await this.#connect(server);
    } catch (error) {
      return error;
    }
    // Bound to this connection: a late event of its channels must not end the next one.
    let end: (cause: unknown) => void = () => {};
    const ended = new Promise<unknown>((resolve) => {
      let firstError: unknown;
      connection.on('error', (error) => {
        firstError ??= error;
      });
      connection.on('close', (error) => resolve(firstError ?? error ?? new Error('connection closed')));
      end = (cause) => resolve(firstError ?? cause);
    });
    this.#endConnection = end;
    const reading = new Reading(connection, MAX_BYTES_IN_HAND);
    if (this.#closing.signal.aborted) end(undefined);
    const setBlocked = (isBlocked: boolean) => this.#setBlocked(isBlocked);
    connection.on('blocked', () => setBlocked(true));
    connection.on('unblocked', () => setBlocked(false));
    const attached: ConnectionRole[] = [];
    const up = this.#attachRoles(connection, attached, end, reading).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    const early = await Promise.race([up, ended.then((error) => ({ error }))]);
    if (early === undefined && !this.#closing.signal.aborted) {
      this.#isUp = true;
      onUp();
    }
    const cause = early === undefined ? await ended : early.error;
    this.#isUp = false;
    const detached = Promise.all(attached.map((role) => role.detach(cause)));
    await closeQuietly(connection, detached);
    reading.end();
    return cause;
  }

  /** Gives up when `close` is called, and after a deadline for a server that says something but never enough. */
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
    };
    try {
      const connection = await connect(withHeartbeat(server), options);
      surviveDeepHeaders(connection);
      gatherWrites(connection);
      return connection;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
    }
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

  #pause(delayMs: number): Promise<void> {
    const { signal } = this.#closing;
    return new Promise((resolve) => {
      const timer = setTimeout(done, delayMs);
      function done() {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
      signal.addEventListener('abort', done);
      if (signal.aborted) done();
    });
  }

  #servers(): string {
    return this.#options.urls.map(describeServer).join(', ');
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

/** Host and port of an AMQP URL: what may be printed of it. */
export function describeServer(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  return `${hostname}:${port === '' ? (protocol === 'amqps:' ? '5671' : '5672') : port}`;
}

// Heartbeats at 10 s find a dead peer in 20 to 30 s, where TCP alone may take a quarter of an hour.
function withHeartbeat(server: string): string {
  const url = new URL(server);
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(HEARTBEAT_SECONDS));
  return url.href;
}

// amqplib would take each byte of a percent-encoded character for a character of its own.
function credentialsOf(server: string) {
  const { username, password } = new URL(server);
  if (username === '' && password === '') return credentials.plain('guest', 'guest');
  return credentials.plain(decodePercents(username), decodePercents(password));
}

function isRefusal(cause: unknown): boolean {
  return REFUSALS.has(codeOf(cause));
}

/** The reply code that RabbitMQ gave, NaN where the cause is another. */
function codeOf(cause: unknown): number {
  const code = (cause as { code?: unknown } | null | undefined)?.code;
  if (typeof code === 'number') return code;
  const said = describeError(cause);
  // amqplib keeps the reason of a refusal after the login to itself; there it is about the virtual host.
  if (said.startsWith('Expected ConnectionOpenOk; got <ConnectionClose')) return NOT_ALLOWED;
  // One during the login has its code in the text only.
  return Number(/^Handshake terminated by server: (\d+)/.exec(said)?.[1]);
}

function explainRefusal(cause: unknown): string {
  switch (codeOf(cause)) {
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
    // Already closed, or the server does not answer any more: the socket goes either way.
  }
  // Where the server did not answer, the error ends whatever still waits for a reply of it.
  const { stream } = connection.connection as unknown as { stream: { destroy(error: Error): void } };
  stream.destroy(new Error('the connection was given up'));
}

function withDeadline<Value>(promise: Promise<Value>, deadlineMs: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs / 1_000} s`)), deadlineMs);
  });
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}
