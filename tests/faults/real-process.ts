import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from './wait-for.ts';

export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

const living = new Set<ChildProcess>();
// Whoever ends us, by an error or a signal: nobody else knows of these processes.
process.once('exit', endAllProcesses);

export function endAllProcesses(): void {
  for (const child of living) child.kill('SIGKILL');
}

/** A signal ends our processes before us; private servers see our end by themselves. @param before what is done in between */
export function endProcessesOnSignals(before: () => void | Promise<void> = () => {}): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, async () => {
      endAllProcesses();
      await before();
      process.kill(process.pid, signal);
    });
  }
}

/** A producer, sender or monitor of this build as a process; what it prints goes to files. */
export class RealProcess {
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  readonly #outFile: string;
  readonly #errFile: string;

  constructor(options: {
    command: 'producer' | 'sender' | 'monitor';
    args?: readonly string[];
    programFolder: string;
    environment: Readonly<Record<string, string>>;
    logFile: string;
  }) {
    this.#outFile = `${options.logFile}.out`;
    this.#errFile = `${options.logFile}.err`;
    const [out, err] = [openSync(this.#outFile, 'w'), openSync(this.#errFile, 'w')];
    this.#child = spawn(
      process.execPath,
      [join('dist', options.command, 'main.js'), ...(options.args ?? [])],
      { cwd: options.programFolder, env: options.environment, stdio: ['ignore', out, err] },
    );
    closeSync(out);
    closeSync(err);
    const child = this.#child;
    living.add(child);
    this.ended = once(child, 'exit').then(([exitCode, signal]) => {
      living.delete(child);
      return { exitCode, signal } as ProcessEnd;
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get stdout(): string {
    return readFileSync(this.#outFile, 'utf8');
  }

  get stderr(): string {
    return readFileSync(this.#errFile, 'utf8');
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.hasEnded) this.#child.kill(signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<ProcessEnd> {
    this.signal(signal);
    return this.ended;
  }

  /** Resident memory now, in bytes. */
  residentBytes(): number {
    return this.#memoryBytes('VmRSS') ?? Number.NaN;
  }

  /** The most memory it ever had resident, in bytes; undefined where it has ended. */
  peakResidentBytes(): number | undefined {
    return this.#memoryBytes('VmHWM');
  }

  #memoryBytes(field: 'VmRSS' | 'VmHWM'): number | undefined {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
      const kilobytes = new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1];
      return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024;
    } catch {
      return undefined;
    }
  }

  /** Waits until it has logged something. */
  async logs(text: string, deadlineMs = 60_000): Promise<void> {
    await waitFor(
      `"${text}" in the log`,
      () => {
        if (this.stdout.includes(text)) return true;
        if (this.hasEnded)
          throw new Error(`ended without "${text}": ${this.stdout.slice(-2_000)}${this.stderr}`);
        return false;
      },
      deadlineMs,
    );
  }
}
