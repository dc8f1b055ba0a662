/**
 * A command that we wait for and that never outlives us: `npm ci`, the compiler. It runs under a keeper (see
 * keeper.js), which kills it with all its children when we die. A signal that asks us to end ends the
 * command first, so that whoever starts right after us finds nobody at work on the same files.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const keeperFile = fileURLToPath(new URL('./keeper.js', import.meta.url));
const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** We were told to end while the command ran; the command has ended. */
export class InterruptedError extends Error {
  /** @param {keyof typeof exitCodes} signal */
  constructor(signal) {
    super(`Interrupted by ${signal}.`);
    this.exitCode = exitCodes[signal];
  }
}

/**
 * Runs a command without input, to its end.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {string} folder
 * @returns {Promise<{ code: number | null, output: string }>} stdout and stderr, as they came; code null where the
 *   command could not be started or was killed
 * @throws {InterruptedError}
 */
export async function runKept(command, args, folder) {
  // In a group of its own, so that Ctrl-C does not end the keeper before the command.
  const keeper = spawn(process.execPath, [keeperFile, command, ...args], {
    cwd: folder,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  let output = '';
  let facts = '';
  for (const stream of [keeper.stdout, keeper.stderr])
    stream.on('data', (chunk) => {
      output += chunk;
    });
  keeper.stdio[3]?.on('data', (/** @type {Buffer} */ chunk) => {
    facts += chunk;
  });
  /** @type {InterruptedError | undefined} */
  let interruption;
  const signals = /** @type {(keyof typeof exitCodes)[]} */ (Object.keys(exitCodes));
  /** @param {string} signal */
  const interrupt = (signal) => {
    interruption ??= new InterruptedError(/** @type {keyof typeof exitCodes} */ (signal));
    // The keeper takes that for our death.
    keeper.stdin.destroy();
  };
  for (const signal of signals) process.on(signal, interrupt);
  await new Promise((resolve, reject) => {
    keeper.once('error', reject);
    keeper.once('close', resolve);
  });
  for (const signal of signals) process.off(signal, interrupt);
  if (interruption !== undefined) throw interruption;
  const { code = null, failed = '' } = JSON.parse(facts.trim().split('\n').at(-1) || '{}');
  return { code, output: `${output}${failed}` };
}
