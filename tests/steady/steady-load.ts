/** The processes of a load that goes on: senders, a run after the other, and monitors that look at them. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RedisConnection } from '../../shared/adapters/redis/connection.ts';
import { formatDuration } from '../../shared/domain/schedule/duration.ts';
import { copyPrograms } from '../kit/process/checkout.ts';
import { PipelineUnderTest } from '../kit/process/pipeline-under-test.ts';
import { endAllProcesses, type RunningProcess } from '../kit/process/running-process.ts';
import type { TestServers } from '../kit/process/test-servers.ts';
import { RecordedLog } from '../kit/recorded-log.ts';
import { waitUntil } from '../kit/wait-for.ts';
import type { AuditSeen, AuditTold, Look } from './judge-steady.ts';
import { CARRIER_ENVIRONMENT } from './simulated-carrier.ts';

export interface ProducedRun {
  readonly name: string;
  readonly requestedCount: number;
  /** As its producer said; undefined while it goes on. */
  acceptedCount?: number;
  /** When its producer ended, since the load began. */
  endedSecond?: number;
  /** The monitor has counted all of it. */
  isCounted: boolean;
}

const CONCURRENCY = 1_000;
const COUNTED_WITHIN_MS = 120_000;
const MEMORY_POLL_MS = 200;

export class SteadyLoad {
  readonly runs: ProducedRun[] = [];
  readonly #pipeline: PipelineUnderTest;
  readonly #redis: RedisConnection;
  #senders: readonly RunningProcess[] = [];
  #beganAtMs = Date.now();
  #isDraining = false;

  constructor(servers: TestServers, keepTimeMs: number) {
    const programFolder = copyPrograms(join(servers.folder, 'program'));
    const settings = {
      ...CARRIER_ENVIRONMENT,
      ...{ KEEP_TIME: formatDuration(keepTimeMs), LOG_FORMAT: 'json' },
      SENDER_CONCURRENCY: String(CONCURRENCY),
    };
    const place = { programFolder, logFolder: servers.folder };
    this.#pipeline = new PipelineUnderTest(servers, 'steady', settings, place);
    this.#redis = new RedisConnection({ url: servers.redisUrl, log: new RecordedLog() });
  }

  /** The load begins when all senders are sending. @param onLost called where one ends by itself later */
  async startSenders(count: number, onLost: (error: Error) => void): Promise<void> {
    await this.#redis.open(60_000);
    this.#senders = await Promise.all(Array.from({ length: count }, () => this.#pipeline.startSender()));
    for (const [index, sender] of this.#senders.entries()) {
      void sender.ended.then(({ exitCode, signal, stderr }) => {
        if (!this.#isDraining)
          onLost(new Error(`sender ${index + 1} ended (${exitCode ?? signal}): ${stderr}`));
      });
    }
    this.#beganAtMs = Date.now();
  }

  get second(): number {
    return (Date.now() - this.#beganAtMs) / 1_000;
  }

  get acceptedCount(): number {
    return this.runs.reduce((sum, { acceptedCount = 0 }) => sum + acceptedCount, 0);
  }

  /** From the beginning to the end of the last producer. */
  get producedSeconds(): number {
    return Math.max(...this.runs.map(({ endedSecond = 0 }) => endedSecond));
  }

  /**
   * Produces a run, and waits until the monitor counts what the producer said. Returns what is wrong.
   * @throws Error where the producer fails, or the monitor never counts all of it
   */
  async produce(name: string, requestedCount: number, smsPerSecond: number): Promise<string[]> {
    const run: ProducedRun = { name, requestedCount, isCounted: false };
    this.runs.push(run);
    const more = ['--rate', String(smsPerSecond), '--no-progress'];
    const { accepted } = await this.#pipeline.produce(requestedCount, name, {}, more);
    Object.assign(run, { acceptedCount: accepted, endedSecond: this.second });
    const { accepted: counted } = await waitUntil(
      `the monitor to count ${accepted} SMS of ${name}`,
      () => this.#pipeline.snapshotOnce(['--run', name]),
      (snapshot) => snapshot.accepted >= accepted,
      COUNTED_WITHIN_MS,
      1_000,
    );
    run.isCounted = true;
    return [
      ...(accepted === requestedCount ? [] : [`${accepted} of ${requestedCount} SMS of ${name} accepted`]),
      ...(counted === accepted ? [] : [`${counted} SMS of ${name} counted, ${accepted} accepted`]),
    ];
  }

  async look(): Promise<Look> {
    const isCounted = this.runs.filter((run) => run.isCounted);
    const leastAccepted = isCounted.reduce((sum, { acceptedCount = 0 }) => sum + acceptedCount, 0);
    const { second } = this;
    const snapshot = await this.#pipeline.snapshotOnce();
    const { redis } = this.#redis.session();
    const [memory, keyCount] = await Promise.all([redis.info('memory'), redis.dbsize()]);
    return {
      ...{ second, snapshot, leastAccepted, keyCount },
      mostAccepted: this.runs.reduce((sum, { requestedCount }) => sum + requestedCount, 0),
      redisBytes: Number(/^used_memory:(\d+)/m.exec(memory)?.[1]),
      senderBytes: Math.max(...this.#senders.map((sender) => sender.residentBytes())),
    };
  }

  async audit(): Promise<AuditSeen> {
    const { second } = this;
    const monitor = this.#pipeline.start('monitor', ['--audit', '--json']);
    let peakBytes = 0;
    while (!monitor.hasEnded) {
      peakBytes = Math.max(peakBytes, monitor.highestResidentBytes());
      await Promise.race([monitor.ended, sleep(MEMORY_POLL_MS)]);
    }
    const { exitCode, signal } = await monitor.ended;
    if (monitor.stdout === '') throw new Error(`the audit ended (${exitCode ?? signal}): ${monitor.stderr}`);
    const report = JSON.parse(monitor.stdout) as AuditTold;
    return { second, tookSeconds: this.second - second, peakBytes, exitCode, report };
  }

  /** Returns what is wrong with how they ended. */
  async stopSenders(): Promise<string[]> {
    this.#isDraining = true;
    const ends = await Promise.all(this.#senders.map((sender) => sender.stop()));
    return ends
      .filter(({ exitCode }) => exitCode !== 0)
      .map(({ exitCode, signal }) => `a sender that was told to end did so with ${exitCode ?? signal}`);
  }

  /** Ends whatever still runs. */
  end(): void {
    this.#isDraining = true;
    endAllProcesses();
    this.#redis.close();
  }
}
