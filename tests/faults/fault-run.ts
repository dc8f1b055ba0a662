/**
 * One run under a fault: a pipeline with a QUEUE_NAME, a bucket and a Redis of its own, the ways to its servers
 * through proxies, real producers and senders, and at the end the evidence of what became of every SMS.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect } from 'amqplib';
import { findProgram } from '../../scripts/servers/installed-programs.ts';
import { type PrivateRedis, startPrivateRedis } from '../../scripts/servers/private-redis.ts';
import { RedisConnection } from '../../shared/adapters/redis/connection.ts';
import { RedisCounterReader } from '../../shared/adapters/redis/counter-reader.ts';
import { formatDuration } from '../../shared/domain/duration.ts';
import { decodeJournal } from '../../shared/domain/journal.ts';
import type { OutcomeRecord, OutcomeStatus } from '../../shared/domain/outcome.ts';
import { objectIdOfKey, parseOutcomeObject } from '../../shared/domain/outcome-object.ts';
import type { RetrySchedule } from '../../shared/domain/retry-schedule.ts';
import type { SimulationSettings } from '../../shared/domain/simulation.ts';
import { FOREIGN_RUN, smsIdOf } from '../../shared/domain/sms.ts';
import type { CounterReading, RunCounters } from '../../shared/ports.ts';
import { RecordedLog } from '../../shared/testing/recorded-log.ts';
import { TcpProxy } from '../../shared/testing/tcp-proxy.ts';
import { carrierEnvironmentOf, predictStatus } from '../predicted-carrier.ts';
import type { Conditions, Evidence, ParkedJournal, StoredRecord, WaitingQueue } from './checker.ts';
import type { FaultServers } from './fault-servers.ts';
import { RealProcess } from './real-process.ts';
import { S3FaultProxy } from './s3-fault-proxy.ts';
import { SeededRandom } from './seeded-random.ts';
import { waitFor } from './wait-for.ts';

export interface RunSettings {
  readonly smsCount: number;
  readonly simulation: SimulationSettings;
  readonly schedule: RetrySchedule;
  readonly concurrency: number;
  /** Further settings of the environment. */
  readonly environment: Readonly<Record<string, string>>;
}

/** About two seconds of sending and half as much again of retries. */
const DEFAULTS: RunSettings = {
  smsCount: 300,
  simulation: {
    seed: 1,
    meanProcessingMs: 25,
    distribution: 'exponential',
    failureRate: 0.3,
    permanentFailureShare: 0.1,
  },
  schedule: [200, 400],
  concurrency: 5,
  environment: {},
};

export interface QueuedMessage {
  readonly messageId: string;
  readonly type?: string;
  readonly headers: Record<string, unknown>;
  readonly body: Buffer;
}

// The broker's statistics are a second old anyway, and cost it more than the run does.
const QUEUE_POLL_MS = 500;
const STATISTICS_ARE_THERE_MS = 10_000;
// Our RabbitMQ has its queues tell their numbers each second.
const NUMBERS_ARE_OF_NOW_MS = 2_000;
const RUN_NAME = 'faulty';
// What the embedded S3 server adds to the key of an object.
const OBJECT_FILE = '._S3rver_object';
let runCount = 0;

export class FaultRun {
  readonly servers: FaultServers;
  readonly random: SeededRandom;
  readonly settings: RunSettings;
  readonly queueName: string;
  readonly folder: string;
  readonly redis: PrivateRedis;
  readonly amqpProxy: TcpProxy;
  readonly redisProxy: TcpProxy;
  readonly s3Proxy: S3FaultProxy;
  readonly senders: RealProcess[] = [];
  readonly #processes: RealProcess[] = [];
  readonly #conditions: Conditions[];
  readonly #readingConnection: RedisConnection;
  readonly #counters: RedisCounterReader;
  readonly #accepted = new Set<string>();
  readonly #published = new Set<string>();
  readonly #destroyed = new Set<string>();
  readonly #parked = new Set<string>();
  readonly #withheld = new Set<string>();
  #mayParkJournal = false;
  readonly #expectations: ((counters: RunCounters) => string[])[] = [];
  readonly #waysOfOne: { close(): Promise<void> }[] = [];
  readonly notes: string[] = [];
  hasEnded = false;
  #faultEndedAtMs: number | undefined;

  private constructor(
    servers: FaultServers,
    random: SeededRandom,
    settings: RunSettings,
    place: { queueName: string; folder: string },
    ways: { redis: PrivateRedis; amqpProxy: TcpProxy; redisProxy: TcpProxy; s3Proxy: S3FaultProxy },
  ) {
    this.servers = servers;
    this.random = random;
    this.settings = settings;
    this.queueName = place.queueName;
    this.folder = place.folder;
    this.redis = ways.redis;
    this.amqpProxy = ways.amqpProxy;
    this.redisProxy = ways.redisProxy;
    this.s3Proxy = ways.s3Proxy;
    this.#conditions = [{ simulation: settings.simulation, schedule: settings.schedule }];
    this.#readingConnection = new RedisConnection({ url: ways.redis.url, log: new RecordedLog() });
    this.#readingConnection.start();
    this.#counters = new RedisCounterReader(this.#readingConnection, place.queueName);
  }

  static async start(
    servers: FaultServers,
    seed: number,
    settings: Partial<RunSettings> = {},
  ): Promise<FaultRun> {
    runCount += 1;
    const queueName = `fault-${process.pid}-${runCount}`;
    const folder = join(servers.folder, 'runs', queueName);
    mkdirSync(folder, { recursive: true });
    const redis = await startPrivateRedis({ folder: join(folder, 'redis'), path: process.env.PATH ?? '' });
    const chosen = { ...DEFAULTS, ...settings };
    return new FaultRun(
      servers,
      new SeededRandom(seed),
      { ...chosen, simulation: { ...chosen.simulation, seed } },
      { queueName, folder },
      {
        redis,
        amqpProxy: await new TcpProxy(servers.rabbitMq.ports.amqp).open(),
        redisProxy: await new TcpProxy(redis.port).open(),
        s3Proxy: await new S3FaultProxy(servers.s3.port).open(),
      },
    );
  }

  // ---- Processes

  /** A sender that is sending. @param environment more settings; `conditions` where they change what is predicted */
  async startSender(environment: Record<string, string> = {}, programFolder?: string): Promise<RealProcess> {
    const sender = this.spawnSender(environment, programFolder);
    await sender.logs('"msg":"sending"');
    return sender;
  }

  /** @param programFolder another version's; this and all below take the usual one without it */
  spawnSender(environment: Record<string, string> = {}, programFolder?: string): RealProcess {
    const sender = this.#spawn('sender', [], environment, programFolder);
    this.senders.push(sender);
    return sender;
  }

  /** Other conditions under which attempts may be made from now on, and the settings for a sender with them. */
  changeConditions(change: { failureRate: number; schedule: RetrySchedule }): Record<string, string> {
    const simulation = { ...this.settings.simulation, failureRate: change.failureRate };
    this.#conditions.push({ simulation, schedule: change.schedule });
    return {
      FAILURE_RATE: String(change.failureRate),
      RETRY_SCHEDULE: change.schedule.map(formatDuration).join(','),
    };
  }

  /** A producer of this run's SMS, which may be interrupted. */
  spawnProducer(
    args: readonly string[] = [],
    environment: Record<string, string> = {},
    programFolder?: string,
  ): RealProcess {
    const { smsCount } = this.settings;
    for (const id of this.idsUpTo(smsCount)) this.#published.add(id);
    return this.#spawn(
      'producer',
      ['--num-messages', String(smsCount), '--run', RUN_NAME, '--json', ...args],
      environment,
      programFolder,
    );
  }

  /** Produces the whole run; all its SMS are accepted then. */
  async produce(args: readonly string[] = []): Promise<void> {
    await this.finishProducing(this.spawnProducer(args));
  }

  /** `producer --requeue-overdue`. */
  async requeueOverdue(): Promise<void> {
    const mover = this.#spawn('producer', ['--requeue-overdue', '--json']);
    const { exitCode } = await mover.ended;
    if (exitCode !== 0) throw new Error(`--requeue-overdue ended with ${exitCode}: ${mover.stderr}`);
  }

  async finishProducing(producer: RealProcess): Promise<void> {
    const { exitCode } = await producer.ended;
    if (exitCode !== 0) throw new Error(`the producer ended with ${exitCode}: ${producer.stderr}`);
    const { accepted } = JSON.parse(producer.stdout) as { accepted: number };
    if (accepted !== this.settings.smsCount) throw new Error(`${accepted} SMS accepted: ${producer.stderr}`);
    for (const id of this.idsUpTo(accepted)) this.#accepted.add(id);
  }

  /** Ids of SMS that something else published and RabbitMQ confirmed. */
  accept(ids: readonly string[]): void {
    for (const id of ids) this.#accepted.add(id);
  }

  /** SMS that are gone with their queue. */
  destroy(ids: readonly string[]): void {
    for (const id of ids) this.#destroyed.add(id);
  }

  /** SMS whose outcome cannot be stored: their journal messages must lie in the parked queue. */
  withhold(ids: readonly string[]): void {
    for (const id of ids) this.#withheld.add(id);
  }

  get runName(): string {
    return RUN_NAME;
  }

  /** The SMS of this run that will end so. */
  predictedIds(status: OutcomeStatus): string[] {
    const { smsCount, simulation, schedule } = this.settings;
    return this.idsUpTo(smsCount).filter((id) => predictStatus(simulation, schedule, id) === status);
  }

  idOf(smsNumber: number): string {
    return smsIdOf(RUN_NAME, smsNumber);
  }

  livingSenders(): RealProcess[] {
    return this.senders.filter((sender) => !sender.hasEnded);
  }

  destroyedIds(): string[] {
    return [...this.#destroyed];
  }

  async audit(programFolder?: string): Promise<{ exitCode: number | null; report: Record<string, unknown> }> {
    const monitor = this.#spawn('monitor', ['--audit', '--json'], {}, programFolder);
    const { exitCode } = await monitor.ended;
    if (monitor.stdout === '') throw new Error(`the audit printed nothing: ${monitor.stderr}`);
    return { exitCode, report: JSON.parse(monitor.stdout) as Record<string, unknown> };
  }

  async monitorOnce(): Promise<Record<string, unknown>> {
    const monitor = this.#spawn('monitor', ['--once', '--json']);
    await monitor.ended;
    return JSON.parse(monitor.stdout) as Record<string, unknown>;
  }

  #spawn(
    command: 'producer' | 'sender' | 'monitor',
    args: readonly string[],
    environment: Record<string, string> = {},
    programFolder = this.servers.programFolder,
  ): RealProcess {
    const name = `${command}-${this.#processes.length + 1}`;
    const started = new RealProcess({
      command,
      args,
      programFolder,
      environment: { ...this.#environment(), ...environment },
      logFile: join(this.folder, name),
    });
    this.#processes.push(started);
    return started;
  }

  #environment(): Record<string, string> {
    const { simulation, schedule, concurrency, environment } = this.settings;
    const { s3, rabbitMq, nodes } = this.servers;
    return {
      PATH: process.env.PATH ?? '',
      HOME: this.folder,
      RABBITMQ_URL:
        nodes?.map(({ amqpUrl }) => amqpUrl).join(',') ??
        `amqp://guest:guest@127.0.0.1:${this.amqpProxy.port}`,
      RABBITMQ_MANAGEMENT_URL: (nodes ?? [rabbitMq]).map(({ managementUrl }) => managementUrl).join(','),
      REDIS_URL: `redis://127.0.0.1:${this.redisProxy.port}`,
      AWS_ENDPOINT_URL: this.s3Proxy.endpoint,
      AWS_ACCESS_KEY_ID: s3.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: 'true',
      QUEUE_NAME: this.queueName,
      S3_BUCKET: this.queueName,
      ...carrierEnvironmentOf(simulation, schedule),
      SENDER_CONCURRENCY: String(concurrency),
      OUTCOME_BATCH_SIZE: '60',
      OUTCOME_BATCH_SECONDS: '0.3',
      LOG_FORMAT: 'json',
      ...environment,
    };
  }

  idsUpTo(count: number): string[] {
    return Array.from({ length: count }, (_, index) => smsIdOf(RUN_NAME, index + 1));
  }

  // ---- Interventions

  /** Redis itself, not through the proxy. */
  async redisCommand(...command: string[]): Promise<string> {
    const program = findProgram('redis-cli', process.env.PATH ?? '') ?? 'redis-cli';
    const { stdout } = await promisify(execFile)(program, ['-p', String(this.redis.port), ...command]);
    return stdout;
  }

  /** Another way to S3, for one sender alone. */
  async openS3Way(): Promise<S3FaultProxy> {
    const proxy = await new S3FaultProxy(this.servers.s3.port).open();
    this.#waysOfOne.push(proxy);
    return proxy;
  }

  /** Another way to Redis, for one sender alone. */
  async openRedisWay(): Promise<TcpProxy> {
    const proxy = await new TcpProxy(this.redis.port).open();
    this.#waysOfOne.push(proxy);
    return proxy;
  }

  /** Ends the connections of that role of all senders, as an operator would. */
  async killConnections(role: 'sender' | 'recorder'): Promise<void> {
    for (const { pid } of this.livingSenders()) {
      const name = `redial ${role}@${hostname()}:${pid}`;
      // The broker's statistics know of a connection a moment after it was made.
      await waitFor(`a connection ${name}`, async () => (await this.servers.api.killConnections(name)) > 0);
    }
  }

  /** Publishes SMS with ids of this run and contents of their own, as a foreign client would. */
  async publishOtherContent(count: number): Promise<void> {
    const messages = this.idsUpTo(count).map((messageId) => ({
      messageId,
      headers: { run: RUN_NAME },
      body: Buffer.from(JSON.stringify({ to: '+15550109999', text: `another text for ${messageId}` })),
    }));
    await this.publish(messages);
  }

  /** Publishes to the work queue. */
  async publish(messages: readonly QueuedMessage[]): Promise<void> {
    const connection = await connect(this.servers.rabbitMq.amqpUrl);
    const channel = await connection.createConfirmChannel();
    for (const { messageId, headers, body } of messages) {
      channel.publish(this.queueName, 'work', body, {
        messageId,
        headers,
        contentType: 'application/json',
        persistent: true,
      });
    }
    await channel.waitForConfirms();
    await connection.close();
  }

  /** Takes that many messages out of a queue for good. */
  async takeFromQueue(routingKey: string, count: number): Promise<QueuedMessage[]> {
    const connection = await connect(this.servers.rabbitMq.amqpUrl);
    const channel = await connection.createChannel();
    const taken: QueuedMessage[] = [];
    while (taken.length < count) {
      const message = await channel.get(`${this.queueName}.${routingKey}`, { noAck: true });
      if (message === false) throw new Error(`the queue held only ${taken.length} messages`);
      const { messageId, headers } = message.properties;
      taken.push({ messageId: String(messageId), headers: headers ?? {}, body: message.content });
    }
    await connection.close();
    return taken;
  }

  /** What lies in the parked queue, and stays there. */
  async parkedMessages(): Promise<QueuedMessage[]> {
    const connection = await connect(this.servers.rabbitMq.amqpUrl);
    try {
      const channel = await connection.createChannel();
      const found: QueuedMessage[] = [];
      for (;;) {
        const message = await channel.get(this.#parkedName);
        if (message === false) return found;
        const { messageId, type, headers } = message.properties;
        found.push({ messageId: String(messageId), type, headers: headers ?? {}, body: message.content });
      }
    } finally {
      await connection.close();
    }
  }

  /** As the management API tells it: looking at the messages would count as handing them out. */
  async parkedCount(): Promise<number> {
    return (await this.queues()).find(({ name }) => name === this.#parkedName)?.messages ?? 0;
  }

  /** Produces again until all is accepted: a queue that was deleted may take a moment to be there again. */
  async produceUntilAccepted(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.produce();
      } catch (error) {
        if (tries === 5) throw error;
      }
    }
  }

  // ---- What is expected beyond the usual

  /** No attempt may have been made twice. */
  expectNoRepeats(): void {
    this.#expectations.push(({ repeatedSends }) =>
      repeatedSends === 0 ? [] : [`${repeatedSends} attempts were repeated`],
    );
  }

  expectIdConflicts(count: number): void {
    this.#expectations.push(({ idConflicts }) =>
      idConflicts === count ? [] : [`${idConflicts} id conflicts were counted, there were ${count}`],
    );
  }

  expectParked(ids: readonly string[]): void {
    for (const id of ids) this.#parked.add(id);
  }

  /** Journal messages will be parked: each gets a record and is counted, in the run of what belongs to none. */
  expectParkedJournal(): void {
    this.#mayParkJournal = true;
  }

  /** Says something about this run in the report. */
  note(sentence: string): void {
    this.notes.push(sentence);
  }

  brokenExpectations(counters: RunCounters): string[] {
    return this.#expectations.flatMap((judge) => judge(counters));
  }

  // ---- What is seen from outside

  waitUntil(what: string, isMet: () => boolean | Promise<boolean>, deadlineMs?: number): Promise<void> {
    return waitFor(what, isMet, deadlineMs);
  }

  /** Waits until no SMS waits to be sent or sent again; what was sent may still wait to be recorded. */
  waitUntilSent(): Promise<void> {
    const journalName = `${this.queueName}.journal`;
    const isSent = async () => {
      const queues = await this.queues();
      return queues.every(
        ({ name, messages }) => name === journalName || name === this.#parkedName || messages === 0,
      );
    };
    return waitFor('all SMS to be sent', isSent, undefined, undefined, QUEUE_POLL_MS);
  }

  /** Senders that take journal messages. */
  async recorderCount(): Promise<number> {
    const path = `queues/%2F/${encodeURIComponent(`${this.queueName}.journal`)}`;
    const { consumers = 0 } = await this.servers.api.call<{ consumers?: number }>('GET', path);
    return consumers;
  }

  /** True when a message was parked, false when the process ended before. */
  async isParkedBefore(ended: Promise<unknown>): Promise<boolean> {
    let hasEnded = false;
    void ended.then(() => {
      hasEnded = true;
    });
    let isParked = false;
    await waitFor('a parked SMS or the death of the sender', async () => {
      isParked = ((await this.counters())?.parked ?? 0) > 0;
      return isParked || hasEnded;
    });
    return isParked;
  }

  /** The most memory that a process has resident during that time. */
  async highestResidentBytes(process: RealProcess, forMs: number): Promise<number> {
    let highest = 0;
    for (const endAtMs = Date.now() + forMs; Date.now() < endAtMs; await sleep(500))
      highest = Math.max(highest, process.residentBytes());
    return highest;
  }

  /** Counters of the run; undefined while Redis is away, the counters are being rebuilt, or something else is counted. */
  async counters(): Promise<RunCounters | undefined> {
    const runs = await this.#readRuns();
    const isOther = (name: string) => name !== RUN_NAME && !(this.#mayParkJournal && name === FOREIGN_RUN);
    return [...runs.keys()].some(isOther) ? undefined : runs.get(RUN_NAME);
  }

  async #readRuns(): Promise<CounterReading['runs']> {
    try {
      const { areValid, runs, done } = await this.#counters.read();
      if (!areValid) return new Map();
      if (done.counters.announced === 0) return runs;
      // A run that is done is told where it is asked for.
      const [ours, foreign] = await Promise.all(
        [RUN_NAME, FOREIGN_RUN].map((run) => this.#counters.read(run)),
      );
      return new Map([...runs, ...(ours?.runs ?? []), ...(foreign?.runs ?? [])]);
    } catch {
      return new Map();
    }
  }

  /** Waits until that many attempts have been counted. */
  async waitForAttempts(count: number): Promise<void> {
    await waitFor(`${count} attempts`, async () => ((await this.counters())?.attempts ?? 0) >= count);
  }

  /** From here on counts as recovery. Called where the fault is over and every process that is needed was started. */
  endFault(): void {
    this.#faultEndedAtMs ??= Date.now();
  }

  /** Waits until every SMS has its outcome and nothing waits any more. @returns ms since the end of the fault */
  async settle(deadlineMs: number): Promise<number> {
    this.endFault();
    const expected = this.#accepted.size - this.#destroyed.size - this.#withheld.size;
    let seen = '';
    await waitFor(
      `${expected} outcomes`,
      async () => {
        const counters = await this.counters();
        const { sent = 0, failed = 0, parked = 0 } = counters ?? {};
        seen = counters === undefined ? 'no counters' : `${sent} sent, ${failed} failed, ${parked} parked`;
        return sent + failed + parked >= expected;
      },
      deadlineMs,
      () => seen,
    );
    const recoveryMs = Date.now() - (this.#faultEndedAtMs ?? 0);
    await this.#waitForEmptyQueues(Math.max(20_000, deadlineMs - recoveryMs));
    return recoveryMs;
  }

  /** Where they do not get empty, the checker says what waits. */
  #waitForEmptyQueues(deadlineMs: number): Promise<void> {
    const areEmpty = () => this.areQueuesEmpty();
    return waitFor('the queues to be empty', areEmpty, deadlineMs, undefined, QUEUE_POLL_MS).catch(() => {});
  }

  /** Messages in all queues but the parked one, whatever state they are in. */
  async countWaiting(): Promise<number> {
    const queues = await this.queues();
    return queues
      .filter(({ name }) => name !== this.#parkedName)
      .reduce((sum, { messages = 0 }) => sum + messages, 0);
  }

  /** Nothing waits, and RabbitMQ has counted: in the first 5 s after its start it knows no numbers. */
  async areQueuesEmpty(): Promise<boolean> {
    const queues = await this.queues();
    return queues.every(({ name, messages }) => name === this.#parkedName || messages === 0);
  }

  get #parkedName(): string {
    return `${this.queueName}.parked`;
  }

  async queues(): Promise<WaitingQueue[]> {
    const all = await this.servers.api.call<WaitingQueue[]>(
      'GET',
      'queues?disable_stats=true&enable_queue_totals=true',
    );
    return all
      .filter(({ name }) => name.startsWith(`${this.queueName}.`))
      .map(({ name, messages }) => ({ name, messages }));
  }

  /** All records as they lie in the S3 server's folder. */
  records(): StoredRecord[] {
    return this.#objects('.ndjson').flatMap(({ key, body }) => {
      const objectId = objectIdOfKey(key);
      if (objectId === undefined) return [];
      return parseOutcomeObject(body).records.map((record) => ({ objectId, record }));
    });
  }

  /** The announcements of the run, as they lie there. */
  announcements(): Record<string, unknown>[] {
    return this.#objects('.json').map(({ body }) => JSON.parse(body.toString()) as Record<string, unknown>);
  }

  #objects(ending: string): { readonly key: string; readonly body: Buffer }[] {
    const bucket = join(this.servers.folder, 's3', this.queueName);
    const files = listFiles(bucket).filter((file) => file.endsWith(`${ending}${OBJECT_FILE}`));
    return files.map((file) => ({
      key: file.slice(0, -OBJECT_FILE.length),
      body: readFileSync(join(bucket, file)),
    }));
  }

  async evidence(): Promise<Evidence> {
    // A first look may have seen numbers of before the run, or none at all: then those of its middle come after it.
    await this.#waitForEmptyQueues(STATISTICS_ARE_THERE_MS);
    await sleep(NUMBERS_ARE_OF_NOW_MS);
    await this.#waitForEmptyQueues(STATISTICS_ARE_THERE_MS);
    const records = this.records();
    const isOfParkedJournal = ({ record }: StoredRecord) =>
      this.#mayParkJournal && record.run === FOREIGN_RUN;
    return {
      accepted: this.#accepted,
      published: this.#published,
      destroyed: this.#destroyed,
      parked: this.#parked,
      withheld: await this.#withheldRecords(),
      records: records.filter((each) => !isOfParkedJournal(each)),
      counters: await this.counters(),
      ...(this.#mayParkJournal
        ? { parkedJournal: await this.#parkedJournal(records.filter(isOfParkedJournal)) }
        : {}),
      waitingCount: await this.countWaiting(),
      waitingIn: await this.queues(),
      conditions: this.#conditions,
      logs: this.#processes.flatMap((each) => [each.stdout, each.stderr]),
    };
  }

  async #parkedJournal(records: readonly StoredRecord[]): Promise<ParkedJournal> {
    const messages = (await this.parkedMessages()).filter(({ type }) => type === 'journal');
    const counters = (await this.#readRuns()).get(FOREIGN_RUN);
    return { messageCount: messages.length, records: records.map(({ record }) => record), counters };
  }

  async #withheldRecords(): Promise<OutcomeRecord[]> {
    if (this.#withheld.size === 0) return [];
    const entries = (await this.parkedMessages()).flatMap(({ body }) => decodeJournal(body).entries);
    const records = entries.flatMap((entry) => (entry.kind === 'outcome' ? entry.record : []));
    return records.filter(({ smsId }) => this.#withheld.has(smsId));
  }

  /** Ends everything; the logs stay when they are wanted. */
  async end(isKept: boolean): Promise<void> {
    this.hasEnded = true;
    await Promise.all(this.#processes.map((each) => each.stop('SIGKILL')));
    this.#readingConnection.close();
    await Promise.all(
      [this.amqpProxy, this.redisProxy, this.s3Proxy, ...this.#waysOfOne].map((way) => way.close()),
    );
    await this.redis.stop({ signal: 'SIGKILL' });
    const queues = await this.queues().catch(() => []);
    await Promise.all(queues.map(({ name }) => this.servers.api.deleteQueue(name).catch(() => {})));
    if (isKept) return;
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(join(this.servers.folder, 's3', this.queueName), { recursive: true, force: true });
  }

  /** Waits for a random moment. */
  pause(leastMs: number, mostMs: number): Promise<void> {
    return sleep(this.random.between(leastMs, mostMs));
  }
}

function listFiles(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
}
