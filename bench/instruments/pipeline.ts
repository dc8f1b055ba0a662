import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RedisConnection } from '../../shared/adapters/redis/connection.ts';
import { RedisCounterReader } from '../../shared/adapters/redis/counter-reader.ts';
import type { OutcomeRecord } from '../../shared/domain/outcome.ts';
import { objectIdOfKey, parseOutcomeObject } from '../../shared/domain/outcome-object.ts';
import type { RunCounters } from '../../shared/ports.ts';
import { RecordedLog } from '../../shared/testing/recorded-log.ts';
import { waitFor } from '../../tests/faults/wait-for.ts';
import type { Bench } from '../question.ts';
import type { BenchServers } from './bench-servers.ts';
import { Program } from './program.ts';

const POLL_MS = 50;
const OUTCOMES_DEADLINE_MS = 1_800_000;
const CONNECT_DEADLINE_MS = 10_000;
// What the embedded S3 server adds to the key of an object.
const OBJECT_FILE = '._S3rver_object';
let pipelineCount = 0;

export interface Produced {
  readonly accepted: number;
  readonly seconds: number;
  readonly smsPerSecond: number;
  readonly cpuMs: number;
}

/** One pipeline with a QUEUE_NAME and a bucket of its own, its real producers and senders, and what is seen of it. */
export class Pipeline {
  readonly queueName: string;
  readonly servers: BenchServers;
  readonly #bench: Bench;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #connection: RedisConnection;
  readonly #counters: RedisCounterReader;
  readonly #senders: Program[] = [];

  private constructor(
    bench: Bench,
    servers: BenchServers,
    settings: Readonly<Record<string, string>>,
    connection: RedisConnection,
    queueName: string,
  ) {
    this.#bench = bench;
    this.servers = servers;
    this.#settings = settings;
    this.queueName = queueName;
    this.#connection = connection;
    this.#counters = new RedisCounterReader(connection, queueName);
  }

  /** @param settings of the environment, for its producers and senders */
  static async open(
    bench: Bench,
    settings: Readonly<Record<string, string>>,
    servers: BenchServers = bench.servers,
  ): Promise<Pipeline> {
    pipelineCount += 1;
    const connection = new RedisConnection({ url: servers.redis.url, log: new RecordedLog() });
    await connection.open(CONNECT_DEADLINE_MS);
    return new Pipeline(bench, servers, settings, connection, `bench-${pipelineCount}`);
  }

  /** What tells commands which pipeline this is. */
  get environment(): Record<string, string> {
    return {
      PATH: process.env.PATH ?? '',
      HOME: this.#bench.folder,
      ...this.servers.addresses,
      QUEUE_NAME: this.queueName,
      S3_BUCKET: this.queueName,
      LOG_FORMAT: 'json',
      ...this.#settings,
    };
  }

  /** A built program of this checkout. @param file below dist @param nodeArgs options of Node.js itself */
  start(
    file: string,
    args: readonly string[] = [],
    environment: Record<string, string> = {},
    nodeArgs: readonly string[] = [],
  ): Program {
    return new Program({
      command: process.execPath,
      args: [...nodeArgs, join('dist', file), ...args],
      environment: { ...this.environment, ...environment },
      folder: this.#bench.programFolder,
    });
  }

  /** Starts producing a run. */
  startProducer(run: string, smsCount: number, args: readonly string[] = []): Program {
    return this.start('producer/main.js', [
      ...['--num-messages', String(smsCount), '--run', run],
      ...['--json', '--no-progress', ...args],
    ]);
  }

  /** Produces a run to its end. */
  async produce(run: string, smsCount: number, args: readonly string[] = []): Promise<Produced> {
    const producer = this.startProducer(run, smsCount, args);
    const { accepted, seconds, smsPerSecond } = await producer.answer<Omit<Produced, 'cpuMs'>>();
    if (accepted !== smsCount) throw new Error(`${accepted} of ${smsCount} SMS were accepted`);
    return { accepted, seconds, smsPerSecond, cpuMs: producer.cpuMs };
  }

  startSender(environment: Record<string, string> = {}, nodeArgs: readonly string[] = []): Program {
    const sender = this.start('sender/main.js', [], environment, nodeArgs);
    this.#senders.push(sender);
    return sender;
  }

  /** Waits until a sender takes SMS. @returns the moment it said so, by its own clock */
  async isSending(sender: Program): Promise<number> {
    const { time } = JSON.parse(await sender.line('"msg":"sending"')) as { time: string };
    return Date.parse(time);
  }

  /** The counters of one run; undefined while there are none. */
  async counters(run: string): Promise<RunCounters | undefined> {
    const reading = await this.#counters.read(run);
    return reading.runs.get(run);
  }

  /** Waits until so many attempts of a run have been counted. */
  async waitForAttempts(run: string, count: number): Promise<void> {
    await waitFor(
      `${count} attempts`,
      async () => ((await this.counters(run))?.attempts ?? 0) >= count,
      OUTCOMES_DEADLINE_MS,
    );
  }

  /** Waits until so many SMS of a run are sent or have failed. @returns the moment this was seen, 50 ms late at most */
  async waitForOutcomes(
    run: string,
    count: number,
    onReading: (counters: RunCounters) => void = () => {},
  ): Promise<number> {
    let seen = 'no counters';
    await waitFor(
      `${count} outcomes`,
      async () => {
        const counters = await this.counters(run);
        if (counters === undefined) return false;
        onReading(counters);
        const outcomeCount = counters.sent + counters.failed;
        seen = `${outcomeCount} outcomes`;
        return outcomeCount >= count;
      },
      OUTCOMES_DEADLINE_MS,
      () => seen,
      POLL_MS,
    );
    return Date.now();
  }

  /** All records of a run as they lie in the S3 server's folder. */
  records(run: string): OutcomeRecord[] {
    const bucket = join(this.servers.objectsFolder, this.queueName);
    return readdirSync(bucket, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith(`.ndjson${OBJECT_FILE}`))
      .filter((file) => objectIdOfKey(file.slice(0, -OBJECT_FILE.length)) !== undefined)
      .flatMap((file) => parseOutcomeObject(readFileSync(join(bucket, file))).records)
      .filter((record) => record.run === run);
  }

  get workQueue(): string {
    return `${this.queueName}.work`;
  }

  /** Ends its senders at once; what they were doing is measured by then. */
  async endSenders(): Promise<void> {
    await Promise.all(this.#senders.map((sender) => sender.stop('SIGKILL')));
  }

  /** Ends everything of it and forgets what the servers hold. */
  async close(): Promise<void> {
    await this.endSenders();
    this.#connection.close();
    await this.servers.forgetAll();
  }
}
