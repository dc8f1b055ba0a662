/** The processes of a load that goes on: senders, a run after the other, and monitors that look at them. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RedisConnection } from '../../shared/adapters/redis/connection.ts';
import { formatDuration } from '../../shared/domain/duration.ts';
import { findProjectFolder } from '../../shared/environment.ts';
import { RecordedLog } from '../../shared/testing/recorded-log.ts';
import { copyPrograms } from '../faults/fault-servers.ts';
import { endAllProcesses, RealProcess } from '../faults/real-process.ts';
import { waitFor } from '../faults/wait-for.ts';
import { PipelineUnderTest, type Snapshot } from '../pipeline-under-test.ts';
import type { TestServers } from '../test-servers.ts';
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
  readonly #servers: TestServers;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #programFolder: string;
  readonly #redis: RedisConnection;
  readonly #senders: RealProcess[] = [];
  #beganAtMs = Date.now();
  #isDraining = false;

  constructor(servers: TestServers, keepTimeMs: number) {
    this.#servers = servers;
    this.#programFolder = copyPrograms(findProjectFolder(), join(servers.folder, 'program'));
    this.#environment = new PipelineUnderTest(servers, 'steady', {
      ...CARRIER_ENVIRONMENT,
      ...{ KEEP_TIME: formatDuration(keepTimeMs), LOG_FORMAT: 'json' },
      SENDER_CONCURRENCY: String(CONCURRENCY),
    }).environment;
    this.#redis = new RedisConnection({ url: servers.redisUrl, log: new RecordedLog() });
  }

  /** The load begins when all senders are sending. @param onLost called where one ends by itself later */
  async startSenders(count: number, onLost: (error: Error) => void): Promise<void> {
    await this.#redis.open(10_000);
    for (let number = 1; number <= count; number += 1) {
      const sender = this.#start('sender', [], `sender-${number}`);
      this.#senders.push(sender);
      void sender.ended.then(({ exitCode, signal }) => {
        if (!this.#isDraining)
          onLost(new Error(`sender ${number} ended (${exitCode ?? signal}): ${sender.stderr}`));
      });
    }
    await Promise.all(this.#senders.map((sender) => sender.logs('"msg":"sending"')));
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
    const wanted = ['--num-messages', String(requestedCount), '--rate', String(smsPerSecond)];
    const producer = this.#start('producer', [...wanted, '--run', name, '--json', '--no-progress'], name);
    const { exitCode, signal } = await producer.ended;
    if (exitCode !== 0)
      throw new Error(`the producer of ${name} ended (${exitCode ?? signal}): ${producer.stderr}`);
    const { accepted } = JSON.parse(producer.stdout) as { accepted: number };
    Object.assign(run, { acceptedCount: accepted, endedSecond: this.second });
    const counted = await this.#waitUntilCounted(name, accepted);
    run.isCounted = true;
    return [
      ...(accepted === requestedCount ? [] : [`${accepted} of ${requestedCount} SMS of ${name} accepted`]),
      ...(counted === accepted ? [] : [`${counted} SMS of ${name} counted, ${accepted} accepted`]),
    ];
  }

  async #waitUntilCounted(name: string, accepted: number): Promise<number> {
    let counted = 0;
    await waitFor(
      `the monitor to count ${accepted} SMS of ${name}`,
      async () => {
        counted = (await this.#readMonitor(['--run', name], `counted-${name}`)).accepted;
        return counted >= accepted;
      },
      COUNTED_WITHIN_MS,
      () => String(counted),
      1_000,
    );
    return counted;
  }

  async look(): Promise<Look> {
    const isCounted = this.runs.filter((run) => run.isCounted);
    const leastAccepted = isCounted.reduce((sum, { acceptedCount = 0 }) => sum + acceptedCount, 0);
    const { second } = this;
    const snapshot = await this.#readMonitor([], 'look');
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
    const monitor = this.#start('monitor', ['--audit', '--json'], 'audit');
    let peakBytes = 0;
    while (!monitor.hasEnded) {
      peakBytes = Math.max(peakBytes, monitor.peakResidentBytes() ?? 0);
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

  async #readMonitor(args: readonly string[], name: string): Promise<Snapshot> {
    const monitor = this.#start('monitor', ['--once', '--json', ...args], name);
    const { exitCode, signal } = await monitor.ended;
    if (exitCode !== 0) throw new Error(`the monitor ended (${exitCode ?? signal}): ${monitor.stderr}`);
    return JSON.parse(monitor.stdout) as Snapshot;
  }

  #start(command: 'producer' | 'sender' | 'monitor', args: readonly string[], name: string): RealProcess {
    const programFolder = this.#programFolder;
    const logFile = join(this.#servers.folder, name);
    return new RealProcess({ command, args, programFolder, environment: this.#environment, logFile });
  }
}
