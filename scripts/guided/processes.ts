import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { RedialError } from '../../shared/errors.ts';
import {
  endKeptProcess,
  type KeptProcess,
  type ProcessEnd,
  startKeptProcess,
  within,
} from '../servers/programs/kept-process.ts';
import { lastLines } from '../servers/programs/restartable-server.ts';

const TELL_DRAIN_EVERY_MS = 2_000;

/** One of Redial's own processes, local, from dist/. */
export interface LocalProcess {
  /** "sender 2", for sentences. */
  readonly title: string;
  readonly logFile: string;
  readonly kept: KeptProcess;
}

/** Starts local processes of a checkout with one environment, their logs under `.redial/logs`. */
export class LocalProcesses {
  readonly #projectFolder: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(projectFolder: string, env: NodeJS.ProcessEnv) {
    this.#projectFolder = projectFolder;
    this.#env = env;
  }

  startSender(number: number): Promise<LocalProcess> {
    return this.#start('sender', `sender ${number}`, `sender-${number}.log`, [], false);
  }

  /** Its stdout is a JSON object a line. Its page shows all runs. */
  startMonitor(run: string, pagePort: number): Promise<LocalProcess> {
    const args = ['--json', '--update-interval', '0.5', '--run', run, '--port', String(pagePort)];
    return this.#start('monitor', 'the monitor', 'monitor.log', args, true);
  }

  startApi(port: number): Promise<LocalProcess> {
    return this.#start('producer', 'the HTTP API', 'api.log', ['serve', '--port', String(port)], false);
  }

  startProducer(run: string, numMessages: number): Promise<LocalProcess> {
    const args = ['--num-messages', String(numMessages), '--run', run, '--json', '--no-progress'];
    return this.#start('producer', 'the producer', 'producer.log', args, false);
  }

  async #start(
    name: 'producer' | 'sender' | 'monitor',
    title: string,
    logName: string,
    args: readonly string[],
    isStdoutRead: boolean,
  ): Promise<LocalProcess> {
    const logFile = join(this.#projectFolder, '.redial', 'logs', logName);
    rmSync(logFile, { force: true });
    const kept = await startKeptProcess({
      command: process.execPath,
      args: [join(this.#projectFolder, 'dist', name, 'main.js'), ...args],
      env: this.#env,
      folder: this.#projectFolder,
      logFile,
      isStdoutRead,
    });
    return { title, logFile, kept };
  }
}

/** Rejects when the process ends, with the last lines of its log: for processes that must go on. */
export async function failOnEnd(process: LocalProcess): Promise<never> {
  throw endedError(process, await process.kept.ended);
}

/** Resolves when the process ends with exit code 0. @throws RedialError with the last lines of its log */
export async function waitForSuccess(process: LocalProcess): Promise<void> {
  const end = await process.kept.ended;
  if (end.code !== 0) throw endedError(process, end);
}

/** SIGTERM, then patience. @returns a sentence when it did not end with exit code 0; one that had ended is old news */
export async function drain(process: LocalProcess, patienceMs: number): Promise<string | undefined> {
  if ((await within(process.kept.ended, 0)) !== undefined) return undefined;
  const end = await endKeptProcess(process.kept, 'SIGTERM', patienceMs);
  // A process that SIGTERM itself ends does not listen yet, so it has taken nothing that it would have to finish.
  return end.code === 0 || end.signal === 'SIGTERM' ? undefined : endedError(process, end).message;
}

/** Drains all senders at once, and says every few seconds how many still have SMS in hand. @returns what `drain` says */
export async function drainSenders(
  senders: readonly LocalProcess[],
  patienceMs: number,
  say: (line: string) => void,
): Promise<string[]> {
  const giveUpAtMs = Date.now() + patienceMs;
  let leftCount = senders.length;
  const telling = setInterval(() => {
    const who =
      leftCount === 1
        ? '1 sender still finishes what it is'
        : `${leftCount} senders still finish what they are`;
    const leftSeconds = Math.max(0, Math.round((giveUpAtMs - Date.now()) / 1_000));
    say(`  ${who} sending, ${leftSeconds} s more at most (Ctrl-C again ends all at once)`);
  }, TELL_DRAIN_EVERY_MS);
  try {
    const complaints = await Promise.all(
      senders.map(async (sender) => {
        const complaint = await drain(sender, patienceMs);
        leftCount -= 1;
        return complaint ?? [];
      }),
    );
    return complaints.flat();
  } finally {
    clearInterval(telling);
  }
}

function endedError({ title, logFile }: LocalProcess, { code, signal }: ProcessEnd): RedialError {
  const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
  return new RedialError(
    'PROCESS_ENDED',
    `${title} ended ${how}. The end of its log (${logFile}):\n${lastLines(logFile)}`,
  );
}
