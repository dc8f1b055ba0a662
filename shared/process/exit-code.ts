import { ConfigurationError, describeError, ServerUnavailableError, UsageError } from '../errors.ts';
import { ignoreStreamErrors, say } from './output.ts';

/** The exit codes users and scripts rely on. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unavailable: 69,
  configuration: 78,
  thresholdMissed: 99,
  interrupted: { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 },
} as const;

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof ConfigurationError) return EXIT.configuration;
  if (error instanceof ServerUnavailableError) return EXIT.unavailable;
  return EXIT.failed;
}

let tellFailure: (error: unknown) => void = () => {};

/** Names what else is told why the process fails, beside stderr: a log file, which may be all that is kept. */
export function tellFailureTo(tell: (error: unknown) => void): void {
  tellFailure = tell;
}

/** Runs a process to its end. An error becomes a sentence on stderr and an exit code, never a stack trace. */
export async function runToExit(main: () => Promise<number>): Promise<void> {
  ignoreStreamErrors();
  try {
    process.exitCode = await main();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    say(describeError(error));
    tellFailure(error);
    if (process.exitCode === EXIT.failed && process.env.LOG_LEVEL === 'debug') console.error(error);
  }
}
