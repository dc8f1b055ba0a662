import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { RedisConnection } from '../../../shared/adapters/redis/connection.ts';
import { RedisCounterReader } from '../../../shared/adapters/redis/counter-reader.ts';
import type { S3ObjectStore } from '../../../shared/adapters/s3/object-store.ts';
import type { OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import type { Trust } from '../../../shared/tls/trust.ts';
import { FAULT_VARIABLES } from '../faulty-sender/injected-faults.ts';
import { deleteQueuesOf } from '../rabbitmq/delete-queues.ts';
import { RecordedLog } from '../recorded-log.ts';
import { readStoredRecords } from '../stored-records.ts';
import { waitFor, waitUntil } from '../wait-for.ts';
import { type CommandName, type ProcessRecipe, RunningProcess } from './running-process.ts';
import { bucketOn, environmentOf, type ServerAddresses } from './test-servers.ts';

/** Where the programs of a pipeline come from, and where they log. */
export interface Place {
  readonly queueName?: string;
  /** Holds `dist`. Default: this checkout, which builds what is missing. */
  readonly programFolder?: string | undefined;
  /** The output of all processes goes to files in this folder. Default: it is collected in memory. */
  readonly logFolder?: string;
  /** Certificates for servers that speak TLS. */
  readonly trust?: Trust;
}

const QUEUES_DELETED_WITHIN_MS = 5_000;

let pipelineCount = 0;

/** One pipeline with a QUEUE_NAME and a bucket of its own on given servers, its real processes, and what it stored. */
export class PipelineUnderTest {
  readonly queueName: string;
  readonly objects: S3ObjectStore;
  /** What all processes of the pipeline get. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #servers: ServerAddresses & { readonly folder: string };
  readonly #place: Place;
  readonly #started: RunningProcess[] = [];
  #monitor: RunningProcess | undefined;
  #redis: RedisConnection | undefined;

  /** @param settings of the environment; addresses there, such as those of proxies, are for the processes alone */
  constructor(
    servers: ServerAddresses & { readonly folder: string },
    name: string,
    settings: Record<string, string> = {},
    place: Place = {},
  ) {
    pipelineCount += 1;
    this.#servers = servers;
    this.#place = place;
    this.queueName = place.queueName ?? `${name}-${process.pid}-${Date.now().toString(36)}-${pipelineCount}`;
    const bucket = this.queueName.toLowerCase().replace(/[^a-z0-9-]/g, '-');
    this.environment = {
      ...environmentOf(servers),
      HOME: process.env.HOME ?? '',
      QUEUE_NAME: this.queueName,
      S3_BUCKET: bucket,
      MEAN_PROCESSING_TIME: '0.02',
      FAILURE_RATE: '0.2',
      RETRY_SCHEDULE: '300ms,500ms,700ms',
      ...settings,
    };
    this.objects = bucketOn(servers, bucket, place.trust);
  }

  /**
   * With faults in the settings, the faulty sender in place of the sender.
   * @param more where it differs from what other processes of the pipeline get
   */
  start(
    command: CommandName,
    args: readonly string[] = [],
    settings: Record<string, string> = {},
    more: Partial<ProcessRecipe> = {},
  ): RunningProcess {
    const isFaulty = command === 'sender' && FAULT_VARIABLES.some((name) => name in settings);
    const isBuilt = isFaulty || (more.folder ?? this.#place.programFolder) !== undefined;
    const program = isFaulty ? join('tests', 'kit', 'faulty-sender') : command;
    const file = isBuilt ? join('dist', program, 'main.js') : join('scripts', 'commands', `${command}.js`);
    return this.run([file, ...args], settings, { ...this.#logFileOf(command), ...more });
  }

  /** Node.js with these arguments in the environment of the pipeline. */
  run(
    args: readonly string[],
    settings: Record<string, string> = {},
    more: Partial<ProcessRecipe> = {},
  ): RunningProcess {
    const { programFolder } = this.#place;
    const started = new RunningProcess({
      ...{ args, environment: { ...this.environment, ...settings } },
      ...(programFolder === undefined ? {} : { folder: programFolder }),
      ...more,
    });
    this.#started.push(started);
    return started;
  }

  get processes(): readonly RunningProcess[] {
    return this.#started;
  }

  /** A sender that takes SMS: its health file is there. */
  async startSender(
    settings: Record<string, string> = {},
    more: Partial<ProcessRecipe> = {},
  ): Promise<RunningProcess> {
    const number = this.#started.length + 1;
    const healthFile =
      settings.HEARTBEAT_FILE ??
      this.environment.HEARTBEAT_FILE ??
      join(this.#servers.folder, `${this.queueName}-${number}.health`);
    const sender = this.start('sender', [], { ...settings, HEARTBEAT_FILE: healthFile }, more);
    await waitFor('the health file of the sender', () => {
      if (sender.hasEnded) throw new Error(`the sender ended: ${sender.stdout}${sender.stderr}`);
      return existsSync(healthFile);
    });
    return sender;
  }

  produce(
    smsCount: number,
    run: string,
    settings: Record<string, string> = {},
    more: readonly string[] = [],
  ): Promise<{ accepted: number }> {
    const args = ['--num-messages', String(smsCount), '--run', run, '--json', ...more];
    return this.start('producer', args, settings).answer();
  }

  /** The newest line of a monitor that watches; one process for all of a test, because each start costs a second. */
  async snapshot(): Promise<Snapshot> {
    this.#monitor ??= this.start('monitor', ['--json', '--update-interval', '0.2']);
    const monitor = this.#monitor;
    const seen = monitor.stdout.split('\n').length;
    await waitFor(
      'the monitor to print a line',
      () => monitor.hasEnded || monitor.stdout.split('\n').length > seen + 1,
    );
    if (monitor.hasEnded) throw new Error(`the monitor ended: ${monitor.stderr}`);
    return JSON.parse(monitor.stdout.split('\n').at(-2) ?? '') as Snapshot;
  }

  /** `monitor --once`, a process of its own. */
  snapshotOnce(args: readonly string[] = []): Promise<Snapshot> {
    return this.start('monitor', ['--once', '--json', ...args]).answer();
  }

  async audit(args: readonly string[] = [], more: Partial<ProcessRecipe> = {}): Promise<Audit> {
    const monitor = this.start('monitor', ['--audit', '--json', ...args], {}, more);
    const { exitCode, stdout, stderr } = await monitor.ended;
    if (stdout === '') throw new Error(`the audit printed nothing: ${stderr}`);
    return { exitCode, report: JSON.parse(stdout) as Record<string, unknown> };
  }

  /** An audit once the queues are seen to be empty: RabbitMQ's statistics notice it last. */
  auditStill(deadlineMs?: number): Promise<Audit> {
    const isOfEmptyQueues = ({ report }: Audit) => report.missing !== null;
    const what = 'the audit to find the queues empty';
    return waitUntil(what, () => this.audit(), isOfEmptyQueues, deadlineMs);
  }

  waitUntilDone(smsCount: number, deadlineMs = 240_000): Promise<Snapshot> {
    const isDone = ({ accepted, inProgress }: Snapshot) => accepted >= smsCount && inProgress === 0;
    const what = `${smsCount} SMS to have their outcomes`;
    return waitUntil(what, () => this.snapshot(), isDone, deadlineMs);
  }

  /** Every record in S3 that is the outcome of an SMS, raw. */
  async records(): Promise<OutcomeRecord[]> {
    const stored = await readStoredRecords(this.objects, ['success/', 'failed/', 'parked/']);
    return stored.map(({ record }) => record);
  }

  /** Connects to Redis, past all proxies. @returns what reads the counters @throws ServerUnavailableError */
  async openCounters(): Promise<RedisCounterReader> {
    this.#redis = new RedisConnection({
      ...{ url: this.#servers.redisUrl, trust: this.#place.trust, log: new RecordedLog() },
    });
    await this.#redis.open(60_000);
    return new RedisCounterReader(this.#redis, this.queueName);
  }

  /** Deletes what Redis holds of this pipeline; tests beside it keep theirs. */
  async emptyRedis(): Promise<void> {
    const redis = new Redis(this.#servers.redisUrl);
    try {
      await redis.unlink(...(await redis.keys(`${this.queueName}:*`)));
    } finally {
      redis.disconnect();
    }
  }

  /** Ends whatever still runs. */
  async end(): Promise<void> {
    await Promise.all(this.#started.map((process) => process.stop('SIGKILL')));
    this.#redis?.close();
    this.objects.close();
    // Some tests end with a RabbitMQ that does not answer.
    const deleted = deleteQueuesOf(this.#servers.managementUrl, this.queueName).catch(() => {});
    await Promise.race([deleted, sleep(QUEUES_DELETED_WITHIN_MS, undefined, { ref: false })]);
  }

  #logFileOf(command: CommandName): { readonly logFile?: string } {
    const { logFolder } = this.#place;
    return logFolder === undefined
      ? {}
      : { logFile: join(logFolder, `${command}-${this.#started.length + 1}`) };
  }
}

export interface Audit {
  readonly exitCode: number | null;
  readonly report: Record<string, unknown>;
}

/** The part of the monitor's JSON that tests read. */
export interface Snapshot {
  readonly at: string;
  readonly accepted: number;
  readonly sent: number;
  readonly failed: number;
  readonly parked: number;
  readonly known: number;
  readonly inProgress: number;
  readonly attempts: number;
  readonly attemptsFailed: number;
  readonly unknown: number;
  readonly failedByReason: Readonly<Record<string, number>>;
  readonly expired: number;
  readonly cancelled: number;
  readonly held: number;
  readonly throttled: number;
  readonly gateway: { readonly state: 'open' | 'paused'; readonly until: string | null };
  readonly meanProcessingSeconds: number;
  readonly failureRate: number;
  readonly repeatedSends: number;
  readonly idConflicts: number;
  readonly retryLatenessSeconds: { readonly p99: number; readonly max: number };
  readonly queues: {
    readonly work: number;
    readonly due: number;
    readonly journal: number;
    readonly parked: number;
    readonly deadLetters: number;
    readonly later: number;
    readonly high: number;
    readonly low: number;
    readonly hold: readonly { readonly delaySeconds: number; readonly messages: number }[];
    readonly asOfSeconds: number;
    readonly retry: readonly {
      readonly attempt: number;
      readonly delaySeconds: number;
      readonly messages: number;
    }[];
  };
  readonly senders: number;
  readonly state: string;
  readonly problems: readonly string[];
}
