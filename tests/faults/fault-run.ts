/**
 * One run under a fault: a pipeline with a QUEUE_NAME, a bucket and a Redis of its own, the ways to its servers
 * through proxies, and real producers and senders. What became of every SMS: run-evidence.ts.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type PrivateRedis, startPrivateRedis } from '../../scripts/servers/private/private-redis.ts';
import { findProgram } from '../../scripts/servers/programs/installed-programs.ts';
import type { RedisCounterReader } from '../../shared/adapters/redis/counter-reader.ts';
import type { OutcomeStatus } from '../../shared/domain/outcome/outcome.ts';
import { formatDuration } from '../../shared/domain/schedule/duration.ts';
import type { RetrySchedule } from '../../shared/domain/schedule/retry-schedule.ts';
import { FOREIGN_RUN, smsIdOf } from '../../shared/domain/sms/sms.ts';
import { type FateSettings, fateOf } from '../../shared/pipeline/fate.ts';
import type { CounterReading, RunCounters } from '../../shared/ports/counter-reader.ts';
import { Dice } from '../../shared/rehearsal/dice.ts';
import { PipelineUnderTest } from '../kit/process/pipeline-under-test.ts';
import type { ProcessRecipe, RunningProcess } from '../kit/process/running-process.ts';
import { addressesOf } from '../kit/process/test-servers.ts';
import { TcpProxy } from '../kit/rabbitmq/tcp-proxy.ts';
import { readStoredRecords, type StoredRecord } from '../kit/stored-records.ts';
import { waitFor, waitUntil } from '../kit/wait-for.ts';
import { ExpectedOutcomes } from './expected-outcomes.ts';
import { DEFAULTS, environmentOf, type RunSettings, type Ways } from './run-settings.ts';
import type { FaultServers } from './servers/fault-servers.ts';
import { PipelineQueues } from './servers/pipeline-queues.ts';
import { S3FaultProxy } from './servers/s3-fault-proxy.ts';

const RUN_NAME = 'faulty';
let runCount = 0;

export class FaultRun {
  readonly servers: FaultServers;
  readonly random: Dice;
  readonly settings: RunSettings;
  readonly folder: string;
  readonly redis: PrivateRedis;
  readonly amqpProxy: TcpProxy;
  readonly redisProxy: TcpProxy;
  readonly s3Proxy: S3FaultProxy;
  readonly pipeline: PipelineUnderTest;
  readonly queues: PipelineQueues;
  readonly expected = new ExpectedOutcomes();
  /** Settings under which attempts may have been made. */
  readonly conditions: FateSettings[];
  readonly senders: RunningProcess[] = [];
  /** Sentences about this run for the report. */
  readonly notes: string[] = [];
  hasEnded = false;
  readonly #counters: RedisCounterReader;
  readonly #waysOfOne: { close(): Promise<void> }[] = [];
  #faultEndedAtMs: number | undefined;

  private constructor(
    servers: FaultServers,
    random: Dice,
    settings: RunSettings,
    folder: string,
    ways: Ways,
    pipeline: PipelineUnderTest,
    counters: RedisCounterReader,
  ) {
    this.servers = servers;
    this.random = random;
    this.settings = settings;
    this.folder = folder;
    this.redis = ways.redis;
    this.amqpProxy = ways.amqpProxy;
    this.redisProxy = ways.redisProxy;
    this.s3Proxy = ways.s3Proxy;
    this.pipeline = pipeline;
    this.queues = new PipelineQueues(servers, pipeline.queueName);
    this.conditions = [settings];
    this.#counters = counters;
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
    const ways = {
      redis,
      amqpProxy: await new TcpProxy(servers.rabbitMq.ports.amqp).open(),
      redisProxy: await new TcpProxy(redis.port).open(),
      s3Proxy: await new S3FaultProxy(servers.s3.port).open(),
    };
    const given = { ...DEFAULTS, ...settings };
    const chosen = { ...given, simulation: { ...given.simulation, seed } };
    const pipeline = new PipelineUnderTest(
      { ...addressesOf(servers.rabbitMq, redis, servers.s3), folder },
      'fault',
      { HOME: folder, ...environmentOf(servers, ways, chosen) },
      { queueName, programFolder: servers.programFolder, logFolder: folder },
    );
    const counters = await pipeline.openCounters();
    return new FaultRun(servers, new Dice(seed), chosen, folder, ways, pipeline, counters);
  }

  get queueName(): string {
    return this.pipeline.queueName;
  }

  get runName(): string {
    return RUN_NAME;
  }

  // ---- Processes

  /** A sender that takes SMS. @param environment more settings; `changeConditions` where they change what is predicted */
  async startSender(
    environment: Record<string, string> = {},
    more: Partial<ProcessRecipe> = {},
  ): Promise<RunningProcess> {
    const sender = await this.pipeline.startSender(environment, more);
    this.senders.push(sender);
    return sender;
  }

  spawnSender(environment: Record<string, string> = {}): RunningProcess {
    const sender = this.pipeline.start('sender', [], environment);
    this.senders.push(sender);
    return sender;
  }

  livingSenders(): RunningProcess[] {
    return this.senders.filter((sender) => !sender.hasEnded);
  }

  /** Other conditions under which attempts may be made from now on, and the settings for a sender with them. */
  changeConditions(change: { failureRate: number; schedule: RetrySchedule }): Record<string, string> {
    const simulation = { ...this.settings.simulation, failureRate: change.failureRate };
    this.conditions.push({ ...this.settings, simulation, schedule: change.schedule });
    return {
      FAILURE_RATE: String(change.failureRate),
      RETRY_SCHEDULE: change.schedule.map(formatDuration).join(','),
    };
  }

  /** A producer of this run's SMS, which may be interrupted. */
  spawnProducer(
    args: readonly string[] = [],
    environment: Record<string, string> = {},
    more: Partial<ProcessRecipe> = {},
  ): RunningProcess {
    const { smsCount } = this.settings;
    this.expected.publish(this.idsUpTo(smsCount));
    const all = ['--num-messages', String(smsCount), '--run', RUN_NAME, '--json', ...args];
    return this.pipeline.start('producer', all, environment, more);
  }

  /** Produces the whole run; all its SMS are accepted then. */
  async produce(args: readonly string[] = []): Promise<void> {
    await this.finishProducing(this.spawnProducer(args));
  }

  async finishProducing(producer: RunningProcess): Promise<void> {
    const { accepted } = await producer.answer<{ accepted: number }>();
    if (accepted !== this.settings.smsCount) throw new Error(`${accepted} SMS accepted: ${producer.stderr}`);
    this.expected.accept(this.idsUpTo(accepted));
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

  /** `producer requeue-overdue`. */
  async requeueOverdue(): Promise<void> {
    await this.pipeline.start('producer', ['requeue-overdue', '--json']).answer();
  }

  /** `producer cancel` of these SMS. What it says of each must be true from then on. */
  async cancel(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.expected.mayBeCancelled.add(id);
    const results = await this.#direct('cancel', ids);
    const saidAtMs = Date.now();
    for (const { id, result } of results)
      if (result === 'cancelled') this.expected.cancelledAtMs.set(id, saidAtMs);
    this.note(`cancel: ${countsOf(results)}`);
  }

  /** `producer retry-now` of these SMS. */
  async retryNow(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.expected.mayBeSentNow.add(id);
    this.note(`retry-now: ${countsOf(await this.#direct('retry-now', ids))}`);
  }

  async #direct(command: string, ids: readonly string[]): Promise<{ id: string; result: string }[]> {
    const { stdout, stderr } = await this.pipeline.start('producer', [command, ...ids, '--json']).ended;
    if (stdout === '') throw new Error(`${command} said nothing: ${stderr}`);
    return JSON.parse(stdout).directives;
  }

  /** That many different SMS of the run, by chance. */
  someIds(count: number): string[] {
    const ids = this.idsUpTo(this.settings.smsCount);
    return Array.from({ length: count }, () => ids.splice(this.random.between(0, ids.length - 1), 1)).flat();
  }

  // ---- The SMS of the run

  idOf(smsNumber: number): string {
    return smsIdOf(RUN_NAME, smsNumber);
  }

  idsUpTo(count: number): string[] {
    return Array.from({ length: count }, (_, index) => this.idOf(index + 1));
  }

  /** The SMS of this run that will end so. */
  predictedIds(status: OutcomeStatus): string[] {
    return this.idsUpTo(this.settings.smsCount).filter((id) => fateOf(this.settings, id).status === status);
  }

  /** Publishes SMS with these ids and contents of their own, as a foreign client would. */
  async publishForeign(ids: readonly string[]): Promise<void> {
    await this.queues.publish(
      ids.map((messageId) => ({
        messageId,
        headers: { run: RUN_NAME },
        body: Buffer.from(JSON.stringify({ to: '+15550109999', text: `another text for ${messageId}` })),
      })),
    );
  }

  /** Publishes the whole run as a foreign client would, with these headers; all its SMS are accepted then. */
  async publishWishing(headersOf: (smsNumber: number) => Record<string, number>): Promise<void> {
    const ids = this.idsUpTo(this.settings.smsCount);
    this.expected.publish(ids);
    await this.queues.publish(
      ids.map((messageId, index) => ({
        messageId,
        headers: { run: RUN_NAME, acceptedAt: Date.now(), ...headersOf(index + 1) },
        body: Buffer.from(JSON.stringify({ to: '+15550109999', text: `wished for as ${messageId}` })),
      })),
    );
    this.expected.accept(ids);
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
    for (const { pid } of this.livingSenders()) await this.queues.killConnections(role, pid);
  }

  /** Waits for a random moment. */
  pause(leastMs: number, mostMs: number): Promise<void> {
    return sleep(this.random.between(leastMs, mostMs));
  }

  note(sentence: string): void {
    this.notes.push(sentence);
  }

  /** From here on counts as recovery. Called where the fault is over and every process that is needed was started. */
  endFault(): void {
    this.#faultEndedAtMs ??= Date.now();
  }

  // ---- What is seen from outside

  /** Counters of the run; undefined while Redis is away, the counters are being rebuilt, or something else is counted. */
  async counters(): Promise<RunCounters | undefined> {
    const runs = await this.allCounters();
    const isOther = (name: string) =>
      name !== RUN_NAME && !(this.expected.mayParkJournal && name === FOREIGN_RUN);
    return [...runs.keys()].some(isOther) ? undefined : runs.get(RUN_NAME);
  }

  /** Of all runs. Empty while Redis is away or the counters are being rebuilt. */
  async allCounters(): Promise<CounterReading['runs']> {
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

  /** True when a message was parked, false when the process ended before. */
  isParkedBefore(sender: RunningProcess): Promise<boolean> {
    const look = async () => ((await this.counters())?.parked ?? 0) > 0;
    const what = 'a parked SMS or the death of the sender';
    return waitUntil(what, look, (isParked) => isParked || sender.hasEnded);
  }

  /** Waits until every SMS has its outcome and nothing waits any more. @returns ms since the end of the fault */
  async settle(deadlineMs: number): Promise<number> {
    this.endFault();
    const { count } = this.expected;
    let seen = '';
    await waitFor(
      `${count} outcomes`,
      async () => {
        const counters = await this.counters();
        const { sent = 0, failed = 0, parked = 0 } = counters ?? {};
        seen = counters === undefined ? 'no counters' : `${sent} sent, ${failed} failed, ${parked} parked`;
        return sent + failed + parked >= count;
      },
      deadlineMs,
      () => seen,
    );
    const recoveryMs = Date.now() - (this.#faultEndedAtMs ?? 0);
    await this.queues.waitUntilEmpty(Math.max(20_000, deadlineMs - recoveryMs));
    return recoveryMs;
  }

  /** All raw records, in the order of object ids. */
  async records(): Promise<StoredRecord[]> {
    await this.pipeline.objects.ensureBucket();
    return readStoredRecords(this.pipeline.objects);
  }

  /** Ends everything; the logs stay when they are wanted. */
  async end(isKept: boolean): Promise<void> {
    this.hasEnded = true;
    await this.pipeline.end();
    await Promise.all(
      [this.amqpProxy, this.redisProxy, this.s3Proxy, ...this.#waysOfOne].map((way) => way.close()),
    );
    await this.redis.stop({ signal: 'SIGKILL' });
    await this.queues.deleteAll();
    if (isKept) return;
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(join(this.servers.folder, 's3', this.queueName), { recursive: true, force: true });
  }
}

/** `cancelled 12, being sent 3` */
function countsOf(results: readonly { readonly result: string }[]): string {
  const counts = new Map<string, number>();
  for (const { result } of results) counts.set(result, (counts.get(result) ?? 0) + 1);
  return [...counts].map(([result, count]) => `${result} ${count}`).join(', ');
}
