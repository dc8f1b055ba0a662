/** A load that goes on: senders, a run after the other at a steady rate, and looks and audits beside it. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RedisConnection } from '../../shared/adapters/redis/connection.ts';
import { formatDuration } from '../../shared/domain/duration.ts';
import { decideNextStep } from '../../shared/domain/retry-schedule.ts';
import { type SimulationSettings, simulateAttempt } from '../../shared/domain/simulation.ts';
import { smsIdOf } from '../../shared/domain/sms.ts';
import { findProjectFolder } from '../../shared/environment.ts';
import { RecordedLog } from '../../shared/testing/recorded-log.ts';
import { copyPrograms } from '../faults/fault-servers.ts';
import { endAllProcesses, RealProcess } from '../faults/real-process.ts';
import { waitFor } from '../faults/wait-for.ts';
import { PipelineUnderTest, type Snapshot } from '../pipeline-under-test.ts';
import type { TestServers } from '../test-servers.ts';
import type { AuditSeen, AuditTold, Look, Outcomes } from './judge-steady.ts';
import { judgeAudit, judgeLastAudit, judgeLook } from './judge-steady.ts';

export interface SteadySettings {
  readonly minutes: number;
  readonly smsPerSecond: number;
  readonly keepTimeMs: number;
  readonly runSeconds: number;
  readonly lookSeconds: number;
  readonly auditMinutes: number;
  readonly senders: number;
}

export interface SteadyResult {
  readonly looks: readonly Look[];
  readonly audits: readonly AuditSeen[];
  readonly acceptedCount: number;
  readonly acceptedPerSecond: number;
  /** What was wrong, a sentence each. */
  readonly wrongLooks: readonly string[];
  readonly wrongAudits: readonly string[];
}

/** What is told while it goes on. */
export interface SteadyTeller {
  look(look: Look): void;
  wrong(sentence: string): void;
}

interface ProducedRun {
  readonly name: string;
  readonly requested: number;
  /** As its producer said; undefined while it goes on. */
  accepted?: number;
  /** The monitor counted all of it. */
  isCounted: boolean;
}

const SIMULATION: SimulationSettings = {
  ...{ seed: 1, meanProcessingMs: 50, distribution: 'exponential' },
  ...{ failureRate: 0.1, permanentFailureShare: 0.1 },
};
const SCHEDULE = [1_000, 2_000];
const CONCURRENCY = 1_000;
const SETTLING_MS = 120_000;
const MEMORY_POLL_MS = 200;

/** @throws Error where a process ended that should not have, or something never came to its end */
export async function runSteadily(
  servers: TestServers,
  settings: SteadySettings,
  interrupted: AbortSignal,
  teller: SteadyTeller,
): Promise<SteadyResult> {
  interrupted.throwIfAborted();
  const failed = new AbortController();
  const stopped = AbortSignal.any([interrupted, failed.signal]);
  const producedAll = new AbortController();
  const isOver = AbortSignal.any([stopped, producedAll.signal]);
  // Whoever waits for one of them must not wait for ever.
  stopped.addEventListener('abort', endAllProcesses, { once: true });

  const start = createStart(servers, settings);
  const redis = new RedisConnection({ url: servers.redisUrl, log: new RecordedLog() });
  const senders: RealProcess[] = [];
  const runs: ProducedRun[] = [];
  const looks: Look[] = [];
  const audits: AuditSeen[] = [];
  const wrongLooks: string[] = [];
  const wrongAudits: string[] = [];
  let beganAtMs = 0;
  let isDraining = false;

  const secondsSinceBegin = () => (Date.now() - beganAtMs) / 1_000;
  const orFail = (work: Promise<void>) => work.catch((error: unknown) => failed.abort(error));
  const tellWrong = (kind: string[], second: number, sentences: readonly string[]) => {
    for (const sentence of sentences) {
      kind.push(`minute ${(second / 60).toFixed(1)}: ${sentence}`);
      teller.wrong(kind.at(-1) ?? '');
    }
  };

  async function startSender(number: number): Promise<void> {
    const sender = start('sender', [], `sender-${number}`);
    senders.push(sender);
    void sender.ended.then(({ exitCode, signal }) => {
      if (isDraining) return;
      failed.abort(new Error(`sender ${number} ended (${exitCode ?? signal}): ${sender.stderr}`));
    });
    await sender.logs('"msg":"sending"');
  }

  async function produceRuns(): Promise<void> {
    const allSeconds = settings.minutes * 60;
    const ending: Promise<void>[] = [];
    for (let index = 0; index * settings.runSeconds < allSeconds; index += 1) {
      // By the clock, so that the time to start a producer does not lower the rate; two at once at most.
      await until(beganAtMs + index * settings.runSeconds * 1_000, stopped);
      await ending[index - 2];
      if (stopped.aborted) break;
      const seconds = Math.min(settings.runSeconds, allSeconds - index * settings.runSeconds);
      ending.push(
        orFail(produceRun(`steady-${index + 1}`, Math.max(1, Math.round(seconds * settings.smsPerSecond)))),
      );
    }
    await Promise.all(ending);
    producedAll.abort();
  }

  async function produceRun(name: string, requested: number): Promise<void> {
    const run: ProducedRun = { name, requested, isCounted: false };
    runs.push(run);
    const wanted = ['--num-messages', String(requested), '--rate', String(settings.smsPerSecond)];
    const producer = start('producer', [...wanted, '--run', name, '--json', '--no-progress'], name);
    const { exitCode } = await producer.ended;
    if (exitCode !== 0) throw new Error(`the producer of ${name} ended with ${exitCode}: ${producer.stderr}`);
    run.accepted = (JSON.parse(producer.stdout) as { accepted: number }).accepted;
    const { accepted } = run;
    let counted = 0;
    await waitFor(
      `the monitor to count ${accepted} SMS of ${name}`,
      async () => {
        counted = (await readMonitor(['--run', name], `counted-${name}`)).accepted;
        return counted >= accepted || stopped.aborted;
      },
      SETTLING_MS,
      () => String(counted),
      1_000,
    );
    if (counted > accepted)
      tellWrong(wrongLooks, secondsSinceBegin(), [`${counted} of ${name} counted, accepted ${accepted}`]);
    run.isCounted = true;
  }

  async function readMonitor(args: readonly string[], name: string): Promise<Snapshot> {
    const monitor = start('monitor', ['--once', '--json', ...args], name);
    const { exitCode } = await monitor.ended;
    if (exitCode !== 0) throw new Error(`the monitor ended with ${exitCode}: ${monitor.stderr}`);
    return JSON.parse(monitor.stdout) as Snapshot;
  }

  async function look(): Promise<Look> {
    const leastAccepted = sumOf(runs, (run) => (run.isCounted ? (run.accepted ?? 0) : 0));
    const second = secondsSinceBegin();
    const snapshot = await readMonitor([], 'look');
    const client = redis.session().redis;
    const [memory, keyCount] = await Promise.all([client.info('memory'), client.dbsize()]);
    const seen: Look = {
      ...{ second, snapshot, leastAccepted, mostAccepted: sumOf(runs, ({ requested }) => requested) },
      redisBytes: Number(/^used_memory:(\d+)/m.exec(memory)?.[1]),
      keyCount,
      senderBytes: Math.max(...senders.map((sender) => sender.residentBytes())),
    };
    tellWrong(wrongLooks, second, judgeLook(seen, looks.at(-1)));
    looks.push(seen);
    teller.look(seen);
    return seen;
  }

  async function audit(): Promise<AuditSeen> {
    const second = secondsSinceBegin();
    const monitor = start('monitor', ['--audit', '--json'], 'audit');
    let peakBytes = 0;
    while (!monitor.hasEnded) {
      peakBytes = Math.max(peakBytes, monitor.peakResidentBytes() ?? 0);
      await Promise.race([monitor.ended, sleep(MEMORY_POLL_MS)]);
    }
    const { exitCode } = await monitor.ended;
    if (monitor.stdout === '') throw new Error(`the audit ended with ${exitCode}: ${monitor.stderr}`);
    const report = JSON.parse(monitor.stdout) as AuditTold;
    return { second, tookSeconds: secondsSinceBegin() - second, peakBytes, exitCode, report };
  }

  async function drain(): Promise<void> {
    await waitFor(
      'every SMS to have its outcome',
      async () => stopped.aborted || (await look()).snapshot.inProgress === 0,
      SETTLING_MS,
      () => JSON.stringify(looks.at(-1)?.snapshot),
      1_000,
    );
    stopped.throwIfAborted();
    let last: AuditSeen | undefined;
    await waitFor(
      'the audit to find the queues empty',
      async () => {
        last = await audit();
        return last.report.missing !== null || stopped.aborted;
      },
      SETTLING_MS,
    );
    stopped.throwIfAborted();
    if (last === undefined) throw new Error('there is no audit');
    audits.push(last);
    const accepted = sumOf(runs, (run) => run.accepted ?? 0);
    tellWrong(wrongAudits, last.second, judgeLastAudit(last, accepted, predictOutcomes(runs)));
  }

  async function stopSenders(): Promise<void> {
    isDraining = true;
    const ends = await Promise.all(senders.map((sender) => sender.stop()));
    if (ends.some(({ exitCode }) => exitCode !== 0))
      throw new Error(`senders ended with ${ends.map(({ exitCode, signal }) => exitCode ?? signal)}`);
  }

  try {
    await redis.open(10_000);
    await Promise.all(Array.from({ length: settings.senders }, (_, index) => startSender(index + 1)));
    beganAtMs = Date.now();
    let producingMs = 0;
    await Promise.all([
      orFail(
        produceRuns().then(() => {
          producingMs = Date.now() - beganAtMs;
        }),
      ),
      orFail(
        again(settings.lookSeconds, beganAtMs, isOver, async () => {
          await look();
        }),
      ),
      orFail(
        again(settings.auditMinutes * 60, beganAtMs, isOver, async () => {
          const seen = await audit();
          audits.push(seen);
          tellWrong(wrongAudits, seen.second, judgeAudit(seen));
        }),
      ),
    ]);
    stopped.throwIfAborted();
    await drain();
    await stopSenders();
    const acceptedCount = sumOf(runs, (run) => run.accepted ?? 0);
    const acceptedPerSecond = acceptedCount / (producingMs / 1_000);
    return { looks, audits, acceptedCount, acceptedPerSecond, wrongLooks, wrongAudits };
  } catch (error) {
    // What made the others fail comes first.
    throw failed.signal.aborted ? failed.signal.reason : error;
  } finally {
    isDraining = true;
    endAllProcesses();
    redis.close();
  }
}

type Start = (
  command: 'producer' | 'sender' | 'monitor',
  args: readonly string[],
  name: string,
) => RealProcess;

function createStart(servers: TestServers, settings: SteadySettings): Start {
  const programFolder = copyPrograms(findProjectFolder(), join(servers.folder, 'program'));
  const { environment } = new PipelineUnderTest(servers, 'steady', {
    ...{ KEEP_TIME: formatDuration(settings.keepTimeMs), LOG_FORMAT: 'json' },
    ...{ SENDER_CONCURRENCY: String(CONCURRENCY), RANDOM_SEED: String(SIMULATION.seed) },
    MEAN_PROCESSING_TIME: String(SIMULATION.meanProcessingMs / 1_000),
    PROCESSING_TIME_DISTRIBUTION: SIMULATION.distribution,
    FAILURE_RATE: String(SIMULATION.failureRate),
    PERMANENT_FAILURE_SHARE: String(SIMULATION.permanentFailureShare),
    RETRY_SCHEDULE: SCHEDULE.map(formatDuration).join(','),
  });
  return (command, args, name) =>
    new RealProcess({ command, args, programFolder, environment, logFile: join(servers.folder, name) });
}

/** Acts at each multiple of the interval since the beginning; one that takes longer makes the next ones fall out. */
async function again(
  seconds: number,
  beganAtMs: number,
  isOver: AbortSignal,
  act: () => Promise<void>,
): Promise<void> {
  const intervalMs = seconds * 1_000;
  for (;;) {
    const passed = Math.floor((Date.now() - beganAtMs) / intervalMs);
    await until(beganAtMs + (passed + 1) * intervalMs, isOver);
    if (isOver.aborted) return;
    await act();
  }
}

/** Returns at the moment, or when the signal aborts. */
async function until(atMs: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.max(0, atMs - Date.now()), undefined, { signal }).catch(() => {});
}

function predictOutcomes(runs: readonly ProducedRun[]): Outcomes {
  const outcomes = { sent: 0, failed: 0 };
  for (const { name, accepted = 0 } of runs) {
    for (let smsNumber = 1; smsNumber <= accepted; smsNumber += 1)
      outcomes[predictOutcome(smsIdOf(name, smsNumber))] += 1;
  }
  return outcomes;
}

function predictOutcome(smsId: string): keyof Outcomes {
  for (let attempt = 1; ; attempt += 1) {
    const step = decideNextStep(attempt, simulateAttempt(SIMULATION, smsId, attempt).result, SCHEDULE, 0);
    if (step.kind === 'finish') return step.status;
  }
}

function sumOf<Each>(each: readonly Each[], numberOf: (one: Each) => number): number {
  return each.reduce((sum, one) => sum + numberOf(one), 0);
}
