import { join } from 'node:path';
import type { RedisCounterReader } from '../../shared/adapters/redis/counter-reader.ts';
import type { OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import type { RunCounters } from '../../shared/ports/counter-reader.ts';
import { PipelineUnderTest } from '../../tests/kit/process/pipeline-under-test.ts';
import type { RunningProcess } from '../../tests/kit/process/running-process.ts';
import { waitFor } from '../../tests/kit/wait-for.ts';
import type { Bench } from '../question.ts';
import type { BenchServers } from './bench-servers.ts';

const POLL_MS = 50;
const OUTCOMES_DEADLINE_MS = 1_800_000;
let pipelineCount = 0;

export interface Produced {
  readonly accepted: number;
  readonly seconds: number;
  readonly smsPerSecond: number;
  readonly cpuMs: number;
}

/** A pipeline under test for the bench: its real producers and senders, and what is measured of it. */
export class Pipeline {
  readonly servers: BenchServers;
  readonly #pipeline: PipelineUnderTest;
  readonly #counters: RedisCounterReader;
  readonly #senders: RunningProcess[] = [];

  private constructor(servers: BenchServers, pipeline: PipelineUnderTest, counters: RedisCounterReader) {
    this.servers = servers;
    this.#pipeline = pipeline;
    this.#counters = counters;
  }

  /** @param settings of the environment, for its producers and senders */
  static async open(
    { folder, programFolder, servers: shared }: Bench,
    settings: Record<string, string>,
    servers: BenchServers = shared,
  ): Promise<Pipeline> {
    pipelineCount += 1;
    const place = { queueName: `bench-${pipelineCount}`, programFolder };
    const environment = { HOME: folder, AWS_REGION: 'us-east-1', LOG_FORMAT: 'json', ...settings };
    const pipeline = new PipelineUnderTest({ ...servers.addresses, folder }, 'bench', environment, place);
    return new Pipeline(servers, pipeline, await pipeline.openCounters());
  }

  /** What tells commands which pipeline this is. */
  get environment(): Readonly<Record<string, string>> {
    return this.#pipeline.environment;
  }

  /** A built program of this checkout. @param file below dist @param nodeArgs options of Node.js itself */
  start(
    file: string,
    args: readonly string[] = [],
    environment: Record<string, string> = {},
    nodeArgs: readonly string[] = [],
  ): RunningProcess {
    return this.#pipeline.run([...nodeArgs, join('dist', file), ...args], environment);
  }

  /** Starts producing a run. */
  startProducer(run: string, smsCount: number, args: readonly string[] = []): RunningProcess {
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

  startSender(environment: Record<string, string> = {}, nodeArgs: readonly string[] = []): RunningProcess {
    const sender = this.start('sender/main.js', [], environment, nodeArgs);
    this.#senders.push(sender);
    return sender;
  }

  /** Waits until a sender takes SMS. @returns the moment it said so, by its own clock */
  async isSending(sender: RunningProcess): Promise<number> {
    const { time } = JSON.parse(await sender.says('"msg":"sending"')) as { time: string };
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

  async records(run: string): Promise<OutcomeRecord[]> {
    return (await this.#pipeline.records()).filter((record) => record.run === run);
  }

  get workQueue(): string {
    return `${this.#pipeline.queueName}.work`;
  }

  /** Ends its senders at once; what they were doing is measured by then. */
  async endSenders(): Promise<void> {
    await Promise.all(this.#senders.map((sender) => sender.stop('SIGKILL')));
  }

  /** Ends everything of it and forgets what the servers hold. */
  async close(): Promise<void> {
    await this.#pipeline.end();
    await this.servers.forgetAll();
  }
}
