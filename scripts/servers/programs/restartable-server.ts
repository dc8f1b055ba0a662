import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServerStartError } from '../server-start-error.ts';
import { endKeptProcess, type KeptProcess, type ProcessRecipe, startKeptProcess } from './kept-process.ts';

/** What tests and the guided run do with a private server, whichever it is. */
export interface PrivateServer {
  /** The server's own process, for signals such as SIGSTOP; undefined while it is stopped. */
  readonly pid: number | undefined;
  /** Starts it again, on the same ports and the same data, and waits until it answers. */
  start(): Promise<void>;
  /** SIGTERM unless told otherwise, then SIGKILL for what does not end. */
  stop(options?: { signal?: NodeJS.Signals }): Promise<void>;
}

export interface ServerRecipe extends ProcessRecipe {
  /** As it is called in sentences: "RabbitMQ". */
  readonly name: string;
  /** Asked every 50 ms until it says true. It must be sure that `pid` answers, not another server on that port. */
  isReady(pid: number): Promise<boolean>;
  readonly readyWithinMs: number;
  readonly endsWithinMs: number;
}

const lastLogBytes = 16_384;
const portTaken = /eaddrinuse|address already in use/i;

export class RestartableServer implements PrivateServer {
  readonly #recipe: ServerRecipe;
  #kept: KeptProcess | undefined;

  constructor(recipe: ServerRecipe) {
    this.#recipe = recipe;
  }

  get pid(): number | undefined {
    return this.#kept?.pid;
  }

  async start(): Promise<void> {
    if (this.#kept !== undefined)
      throw new ServerStartError('NOT_STARTED', `${this.#recipe.name} runs already`);
    const logStart = sizeOf(this.#recipe.logFile);
    const kept = await startKeptProcess(this.#recipe);
    this.#kept = kept;
    void kept.ended.then(() => {
      if (this.#kept === kept) this.#kept = undefined;
    });
    if (await this.#becomesReady(kept)) return;
    const fate = this.#kept === kept ? `was not up within ${this.#recipe.readyWithinMs / 1000} s` : 'ended';
    await this.stop({ signal: 'SIGKILL' });
    throw this.#notStarted(fate, lastLines(this.#recipe.logFile, logStart));
  }

  async stop(options: { signal?: NodeJS.Signals } = {}): Promise<void> {
    const kept = this.#kept;
    if (kept === undefined) return;
    await endKeptProcess(kept, options.signal ?? 'SIGTERM', this.#recipe.endsWithinMs);
    this.#kept = undefined;
  }

  async #becomesReady(kept: KeptProcess): Promise<boolean> {
    const deadline = Date.now() + this.#recipe.readyWithinMs;
    while (Date.now() < deadline && this.#kept === kept) {
      if (await this.#recipe.isReady(kept.pid)) return this.#kept === kept;
      await sleep(50);
    }
    return false;
  }

  #notStarted(fate: string, log: string): ServerStartError {
    const { name, logFile } = this.#recipe;
    return new ServerStartError(
      portTaken.test(log) ? 'PORT_TAKEN' : 'NOT_STARTED',
      `${name} could not be started, it ${fate}. The end of its log (${logFile}):\n${log}`,
    );
  }
}

/** The last lines of a log file, from `start` on: what an error message shows. */
export function lastLines(file: string, start = 0, count = 20): string {
  const size = sizeOf(file);
  const from = Math.max(start, size - lastLogBytes);
  if (size <= from) return '(nothing)';
  const bytes = Buffer.alloc(size - from);
  const handle = openSync(file, 'r');
  readSync(handle, bytes, 0, bytes.length, from);
  closeSync(handle);
  return bytes.toString('utf8').trimEnd().split('\n').slice(-count).join('\n');
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
