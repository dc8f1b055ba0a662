import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpuMsOf, cpuMsOfEndedChildren } from './processes-seen.ts';

const living = new Set<ChildProcess>();
// Whoever ends us, by an error or a signal: nobody else knows of these processes.
process.once('exit', endAllPrograms);

export function endAllPrograms(): void {
  for (const child of living) signalGroup(child, 'SIGKILL');
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // Nobody of the group is left.
  }
}

let endedBeforeCpuMs = 0;

/** A command as a user runs it: a process of its own, whose output is kept and whose CPU time is known. */
export class Program {
  readonly pid: number;
  readonly spawnedAtMs: number;
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #title: string;
  #stdout = '';
  #stderr = '';
  #wake = () => {};
  #endedCpuMs: number | undefined;
  #endedAtMs = Infinity;

  constructor(options: {
    command: string;
    args: readonly string[];
    environment: Readonly<Record<string, string>>;
    folder: string;
  }) {
    endedBeforeCpuMs = cpuMsOfEndedChildren();
    this.spawnedAtMs = Date.now();
    this.#title = [options.command, ...options.args].join(' ');
    this.#child = spawn(options.command, options.args, {
      cwd: options.folder,
      env: options.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own: npx starts another process, and both must end.
      detached: true,
    });
    const child = this.#child;
    this.pid = child.pid ?? 0;
    living.add(child);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#wake();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    child.once('exit', () => {
      living.delete(child);
      this.#endedAtMs = Date.now();
      // What the kernel has added for ended children since the last one, so one program at a time is exact.
      this.#endedCpuMs = cpuMsOfEndedChildren() - endedBeforeCpuMs;
      endedBeforeCpuMs += this.#endedCpuMs;
    });
    this.ended = once(child, 'close').then(([exitCode]: (number | null)[]) => {
      this.#wake();
      return exitCode ?? null;
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** Infinite while it runs. */
  get endedAtMs(): number {
    return this.#endedAtMs;
  }

  /** CPU time since its start, its children included; when it has ended, all it has used. */
  get cpuMs(): number {
    return this.#endedCpuMs ?? cpuMsOf(this.pid);
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#hasEnded) signalGroup(this.#child, signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.signal(signal);
    return this.ended;
  }

  /** Waits until its standard output has a line with this text. @returns the line */
  async line(text: string): Promise<string> {
    for (;;) {
      const found = this.#stdout.split('\n').find((line) => line.includes(text));
      if (found !== undefined) return found;
      if (this.#hasEnded) throw this.#failure(`without "${text}"`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Waits until it has ended well. @returns the last line of its standard output as JSON */
  async answer<Answer>(): Promise<Answer> {
    const exitCode = await this.ended;
    if (exitCode !== 0) throw this.#failure(`with exit code ${exitCode}`);
    return JSON.parse(this.#stdout.trimEnd().split('\n').at(-1) ?? '') as Answer;
  }

  #failure(how: string): Error {
    return new Error(
      `${this.#title} ended ${how}:\n${this.#stdout.slice(-1_000)}${this.#stderr.slice(-1_000)}`,
    );
  }
}
