import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { findProjectFolder } from '../../../shared/process/environment.ts';
import { waitFor } from '../wait-for.ts';
import { cpuMsOf, cpuMsOfEndedChildren, highestResidentBytesOf, residentBytesOf } from './processes-seen.ts';

export type CommandName = 'producer' | 'sender' | 'monitor';

export interface ProcessRecipe {
  /** The program to run. Default: Node.js. */
  readonly program?: string;
  readonly args: readonly string[];
  /** The working folder. Default: this checkout. */
  readonly folder?: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Of stdin, stdout and stderr. Default: no stdin, and all output is collected. */
  readonly stdio?: StdioOptions;
  /** All output goes to the files with this path and the endings .out and .err, which are left behind. */
  readonly logFile?: string;
  /** The process gets a process group, and signals go to the whole group. For npx, which starts another process. */
  readonly isGroup?: boolean;
}

export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const SAYS_POLL_MS = 50;
const living = new Set<RunningProcess>();
// Nobody else knows of these processes, so they end with us, whether an error or a signal ends us.
process.once('exit', endAllProcesses);

export function endAllProcesses(): void {
  for (const each of living) each.signal('SIGKILL');
}

/** A signal ends the processes first and then us. Private servers notice our end themselves. @param before runs in between */
export function endProcessesOnSignals(before: () => void | Promise<void> = () => {}): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, async () => {
      endAllProcesses();
      await before();
      process.kill(process.pid, signal);
    });
  }
}

/** A process of a test or of the bench: what it printed, what it used, and how it ended. */
export class RunningProcess {
  readonly child: ChildProcess;
  readonly spawnedAtMs = Date.now();
  readonly ended: Promise<ProcessEnd>;
  /** Infinite while the process runs. */
  endedAtMs = Number.POSITIVE_INFINITY;
  readonly #recipe: ProcessRecipe;
  readonly #printed = { stdout: '', stderr: '' };
  readonly #childrenCpuMsBefore = cpuMsOfEndedChildren();
  #endedCpuMs: number | undefined;
  #isClosed = false;

  constructor(recipe: ProcessRecipe) {
    const { program = process.execPath, args, folder = findProjectFolder(), environment, logFile } = recipe;
    this.#recipe = recipe;
    const files =
      logFile === undefined ? [] : ['out', 'err'].map((ending) => openSync(`${logFile}.${ending}`, 'w'));
    const stdio = recipe.stdio ?? ['ignore', files[0] ?? 'pipe', files[1] ?? 'pipe'];
    this.child = spawn(program, args, {
      cwd: folder,
      env: environment,
      stdio,
      detached: recipe.isGroup ?? false,
    });
    for (const file of files) closeSync(file);
    for (const name of ['stdout', 'stderr'] as const)
      this.child[name]?.setEncoding('utf8').on('data', (text: string) => {
        this.#printed[name] += text;
      });
    living.add(this);
    this.child.once('exit', () => {
      living.delete(this);
      this.endedAtMs = Date.now();
      // The kernel tells the sum of all ended children: exact where no other child ended since the start of this one.
      this.#endedCpuMs = cpuMsOfEndedChildren() - this.#childrenCpuMsBefore;
    });
    this.ended = once(this.child, 'close').then(([exitCode, signal]) => {
      this.#isClosed = true;
      return { exitCode, signal, stdout: this.stdout, stderr: this.stderr } as ProcessEnd;
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  get stdout(): string {
    const { logFile } = this.#recipe;
    return logFile === undefined ? this.#printed.stdout : readFileSync(`${logFile}.out`, 'utf8');
  }

  get stderr(): string {
    const { logFile } = this.#recipe;
    return logFile === undefined ? this.#printed.stderr : readFileSync(`${logFile}.err`, 'utf8');
  }

  /** CPU time since the start, that of child processes included. */
  get cpuMs(): number {
    return this.#endedCpuMs ?? cpuMsOf(this.pid);
  }

  /** Resident memory of the process and its children now; 0 when it has ended. */
  residentBytes(): number {
    return residentBytesOf(this.pid);
  }

  /** The most memory that the process alone ever had resident; 0 when it has ended. */
  highestResidentBytes(): number {
    return highestResidentBytesOf(this.pid);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.hasEnded) return;
    if (this.#recipe.isGroup !== true) this.child.kill(signal);
    else if (this.pid > 0) process.kill(-this.pid, signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<ProcessEnd> {
    this.signal(signal);
    return this.ended;
  }

  /** Waits until the process has printed this text. @returns the line @throws where the process ends without it */
  async says(text: string, deadlineMs?: number): Promise<string> {
    let line: string | undefined;
    const printed = () => `${this.stdout}\n${this.stderr}`;
    await waitFor(
      `"${text}"`,
      () => {
        const isOver = this.#isClosed;
        line = printed()
          .split('\n')
          .find((each) => each.includes(text));
        if (line === undefined && isOver)
          throw new Error(`ended without "${text}": ${printed().slice(-2_000)}`);
        return line !== undefined;
      },
      deadlineMs,
      () => printed().slice(-2_000),
      SAYS_POLL_MS,
    );
    return line ?? '';
  }

  /** Waits for the end. @returns the last line of stdout as JSON @throws where the exit code is not 0 */
  async answer<Answer>(): Promise<Answer> {
    const { exitCode, signal, stdout, stderr } = await this.ended;
    if (exitCode !== 0)
      throw new Error(
        `${this.#recipe.args.join(' ')} ended with ${exitCode ?? signal}: ${stderr || stdout.slice(-1_000)}`,
      );
    return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Answer;
  }
}
