import { setTimeout as sleep } from 'node:timers/promises';
import { check, type Verdict, violationsOf } from './checker.ts';
import type { Fault } from './fault.ts';
import { FaultRun } from './fault-run.ts';
import { collectEvidence } from './run-evidence.ts';
import type { FaultServers } from './servers/fault-servers.ts';

export interface RunResult {
  /** What is wrong, as sentences; empty in a good run. */
  readonly problems: readonly string[];
  /** Undefined where the run broke off before it could be judged. */
  readonly verdict: Verdict | undefined;
  readonly recoverySeconds: number | undefined;
  readonly notes: readonly string[];
}

const DEFAULT_RECOVERY_SECONDS = 30;

/** Runs a fault once; never throws. @param patience times the usual limit that recovery may take, on a busy machine */
export async function playFault(
  fault: Fault,
  seed: number,
  servers: FaultServers,
  patience = 1,
): Promise<RunResult> {
  const problems: string[] = [];
  let verdict: Verdict | undefined;
  let recoverySeconds: number | undefined;
  let run: FaultRun | undefined;
  try {
    run = await FaultRun.start(servers, seed, fault.settings);
    await fault.inject(run);
    const limitSeconds = patience * (fault.recoversWithinSeconds ?? DEFAULT_RECOVERY_SECONDS);
    // Longer than allowed: late is told apart from lost.
    recoverySeconds = (await run.settle(2 * limitSeconds * 1_000)) / 1_000;
    if (recoverySeconds > limitSeconds)
      problems.push(`recovery took ${recoverySeconds.toFixed(1)} s, ${limitSeconds} s are allowed`);
    await fault.verify?.(run);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  if (run !== undefined) {
    try {
      const evidence = await collectEvidence(run);
      verdict = check(evidence);
      problems.push(...violationsOf(verdict, fault.isCrashFree ?? false));
      if (evidence.counters !== undefined) problems.push(...run.expected.differencesFrom(evidence.counters));
    } catch (error) {
      problems.push(`cannot be judged: ${error instanceof Error ? error.message : String(error)}`);
    }
    // Queues that are deleted while RabbitMQ 3.10 still starts their dead-letter workers take all of those down.
    if (fault.isAloneOnRabbitMq) await sleep(Math.max(0, 6_000 - 1_000 * (recoverySeconds ?? 0)));
    await run.end(problems.length > 0);
    if (problems.length > 0) problems.push(`logs in ${run.folder}`);
  }
  return { problems, verdict, recoverySeconds, notes: run?.notes ?? [] };
}
