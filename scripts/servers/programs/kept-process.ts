import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProjectFolder } from '../../../shared/process/environment.ts';
import { ServerStartError } from '../server-start-error.ts';

// Not a module that is imported, so that it is not in dist/.
const keeperFile = join(findProjectFolder(), 'scripts', 'commands', 'keeper.js');

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface KeptProcess {
  readonly pid: number;
  /** Only when asked for: otherwise it goes to the log. */
  readonly stdout: Readable | undefined;
  /** Resolves when the process and its group are gone and its output has been read. */
  readonly ended: Promise<ProcessEnd>;
  /** Sends a signal to the whole process group; says nothing when it is gone already. */
  signal(signal: NodeJS.Signals): void;
}

export interface ProcessRecipe {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
  /** Gets stderr, and stdout unless that is read, appended. */
  readonly logFile: string;
  readonly isStdoutRead?: boolean;
}

type KeeperFact = { pid: number } | { failed: string } | ProcessEnd;

/**
 * Starts a process under a keeper (see keeper.js), so that it ends when we end, however we end.
 * What it writes, its log included, is for its owner only.
 * It does not hold our event loop: a process nobody waits for must not keep a finished program alive.
 */
export async function startKeptProcess(recipe: ProcessRecipe): Promise<KeptProcess> {
  mkdirSync(dirname(recipe.logFile), { recursive: true, mode: 0o700 });
  const log = openSync(recipe.logFile, 'a', 0o600);
  const keeper = spawn(process.execPath, [keeperFile, '--private', recipe.command, ...recipe.args], {
    cwd: recipe.folder,
    env: recipe.env,
    detached: true,
    stdio: ['pipe', recipe.isStdoutRead === true ? 'pipe' : log, log, 'pipe'],
  });
  closeSync(log);
  const keeperGone = new Promise<void>((resolve) => {
    keeper.once('close', () => resolve());
    keeper.once('error', () => resolve());
  });

  let end: ProcessEnd | undefined;
  const facts = keeper.stdio[3] as Readable;
  const pid = await new Promise<number>((resolve, reject) => {
    createInterface({ input: facts }).on('line', (line) => {
      const fact = JSON.parse(line) as KeeperFact;
      if ('pid' in fact) resolve(fact.pid);
      else if ('failed' in fact) reject(new ServerStartError('NOT_STARTED', fact.failed));
      else end = fact;
    });
    const keeperFailed = new ServerStartError('NOT_STARTED', `the keeper of ${recipe.command} ended`);
    void keeperGone.then(() => reject(keeperFailed));
  });

  const ended = keeperGone.then(() => {
    if (end !== undefined) return end;
    // A keeper that was killed leaves its process to us.
    signalGroup(pid, 'SIGKILL');
    return { code: null, signal: 'SIGKILL' };
  });
  for (const handle of [keeper, ...keeper.stdio]) unref(handle);
  return { pid, stdout: keeper.stdout ?? undefined, ended, signal: (signal) => signalGroup(pid, signal) };
}

/** Ends it with `signal`, or with SIGKILL when it is still there after `patienceMs`. */
export async function endKeptProcess(
  kept: KeptProcess,
  signal: NodeJS.Signals,
  patienceMs: number,
): Promise<ProcessEnd> {
  kept.signal(signal);
  // A frozen process receives nothing but SIGKILL before it is thawed.
  kept.signal('SIGCONT');
  const end = await within(kept.ended, patienceMs);
  if (end !== undefined) return end;
  kept.signal('SIGKILL');
  return (await within(kept.ended, 10_000)) ?? { code: null, signal: 'SIGKILL' };
}

/** The promise's value, or undefined when it takes longer. Holds the event loop meanwhile. */
export async function within<T>(promise: Promise<T>, patienceMs: number): Promise<T | undefined> {
  const abort = new AbortController();
  const patience = sleep(patienceMs, undefined, { signal: abort.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, patience]);
  } finally {
    abort.abort();
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody of the group is left.
  }
}

function unref(handle: unknown): void {
  (handle as { unref?: () => void } | null)?.unref?.();
}
