/** A load at a steady rate, with looks and audits beside it, and an audit when all of it has come to its end. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestServers } from '../kit/process/test-servers.ts';
import { waitUntil } from '../kit/wait-for.ts';
import { type AuditSeen, judgeAudit, judgeLastAudit, judgeLook, type Look } from './judge-steady.ts';
import { predictOutcomes } from './simulated-carrier.ts';
import { SteadyLoad } from './steady-load.ts';

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
  /** How many things were wrong; each was told when it was seen. */
  readonly wrongCount: number;
}

/** Told while it goes on. */
export interface SteadyTeller {
  look(look: Look): void;
  audit(audit: AuditSeen): void;
  wrong(sentence: string): void;
}

const DONE_WITHIN_MS = 120_000;

/** @throws Error where a process ended that should not have, or something never came to its end */
export async function runSteadily(
  servers: TestServers,
  settings: SteadySettings,
  interrupted: AbortSignal,
  teller: SteadyTeller,
): Promise<SteadyResult> {
  interrupted.throwIfAborted();
  const load = new SteadyLoad(servers, settings.keepTimeMs);
  const run = new SteadyRun(load, settings, teller);
  const broken = new AbortController();
  const stopped = AbortSignal.any([interrupted, broken.signal]);
  const orBreak = (work: Promise<void>) => work.catch((error: unknown) => broken.abort(error));
  // Whoever waits for one of the processes must not wait for ever.
  stopped.addEventListener('abort', () => load.end(), { once: true });
  try {
    await orBreak(load.startSenders(settings.senders, (error) => broken.abort(error)));
    const producedAll = new AbortController();
    const isOver = AbortSignal.any([stopped, producedAll.signal]);
    await Promise.all([
      orBreak(run.produce(stopped, orBreak).finally(() => producedAll.abort())),
      orBreak(run.again(settings.lookSeconds, isOver, () => run.look())),
      orBreak(run.again(settings.auditMinutes * 60, isOver, () => run.audit())),
    ]);
    if (!stopped.aborted) await orBreak(run.finish());
    stopped.throwIfAborted();
    return run.result();
  } finally {
    load.end();
  }
}

class SteadyRun {
  readonly #load: SteadyLoad;
  readonly #settings: SteadySettings;
  readonly #teller: SteadyTeller;
  readonly #looks: Look[] = [];
  readonly #audits: AuditSeen[] = [];
  #wrongCount = 0;

  constructor(load: SteadyLoad, settings: SteadySettings, teller: SteadyTeller) {
    this.#load = load;
    this.#settings = settings;
    this.#teller = teller;
  }

  /**
   * A run after the other, by the clock, so that the start of a producer does not lower the rate.
   * @param orBreak gets each run: one that fails is to stop all at once
   */
  async produce(stopped: AbortSignal, orBreak: (work: Promise<void>) => Promise<void>): Promise<void> {
    const { runSeconds, smsPerSecond, minutes } = this.#settings;
    const ending: Promise<void>[] = [];
    for (let fromSecond = 0; fromSecond < minutes * 60; fromSecond += runSeconds) {
      await this.#until(fromSecond, stopped);
      // Two at once at most.
      await Promise.all(ending.slice(0, -1));
      if (stopped.aborted) break;
      const smsCount = Math.ceil(Math.min(runSeconds, minutes * 60 - fromSecond) * smsPerSecond);
      ending.push(orBreak(this.#produceRun(`steady-${ending.length + 1}`, smsCount)));
    }
    await Promise.all(ending);
  }

  /** Acts at each multiple of the interval; where it takes longer, the next ones fall out. */
  async again(seconds: number, isOver: AbortSignal, act: () => Promise<unknown>): Promise<void> {
    for (;;) {
      await this.#until((Math.floor(this.#load.second / seconds) + 1) * seconds, isOver);
      if (isOver.aborted) return;
      await act();
    }
  }

  async look(): Promise<Look> {
    const look = await this.#load.look();
    this.#teller.look(look);
    this.#tellWrong(look.second, judgeLook(look, this.#looks.at(-1)));
    this.#looks.push(look);
    return look;
  }

  async audit(): Promise<void> {
    const audit = await this.#auditOnce();
    this.#tellWrong(audit.second, judgeAudit(audit));
  }

  /** Waits until every SMS has its outcome, audits, and lets the senders end. */
  async finish(): Promise<void> {
    await waitUntil(
      'every SMS to have its outcome',
      () => this.look(),
      ({ snapshot }) => snapshot.inProgress === 0,
      DONE_WITHIN_MS,
      1_000,
    );
    const { runs, acceptedCount } = this.#load;
    const predicted = predictOutcomes(
      runs.map((run) => ({ name: run.name, smsCount: run.acceptedCount ?? 0 })),
    );
    const last = await waitUntil(
      'the audit to find the queues empty',
      () => this.#auditOnce(),
      ({ report }) => report.missing !== null,
      DONE_WITHIN_MS,
    );
    this.#tellWrong(last.second, judgeLastAudit(last, acceptedCount, predicted));
    this.#tellWrong(this.#load.second, await this.#load.stopSenders());
  }

  result(): SteadyResult {
    const { acceptedCount, producedSeconds } = this.#load;
    return {
      ...{ looks: this.#looks, audits: this.#audits, wrongCount: this.#wrongCount, acceptedCount },
      acceptedPerSecond: acceptedCount / producedSeconds,
    };
  }

  async #produceRun(name: string, smsCount: number): Promise<void> {
    const wrong = await this.#load.produce(name, smsCount, this.#settings.smsPerSecond);
    this.#tellWrong(this.#load.second, wrong);
  }

  async #auditOnce(): Promise<AuditSeen> {
    const audit = await this.#load.audit();
    this.#audits.push(audit);
    this.#teller.audit(audit);
    return audit;
  }

  #tellWrong(second: number, sentences: readonly string[]): void {
    this.#wrongCount += sentences.length;
    for (const sentence of sentences) this.#teller.wrong(`minute ${(second / 60).toFixed(1)}: ${sentence}`);
  }

  /** Returns at that second of the load, or when the signal aborts. */
  async #until(second: number, signal: AbortSignal): Promise<void> {
    const waitMs = Math.max(0, (second - this.#load.second) * 1_000);
    await sleep(waitMs, undefined, { signal }).catch(() => {});
  }
}
