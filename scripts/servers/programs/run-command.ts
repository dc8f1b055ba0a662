import { type SpawnOptions, spawn } from 'node:child_process';

/** Of Node.js. A command that takes longer than `timeout` is killed; its code is null then. */
export type CommandOptions = Pick<SpawnOptions, 'env' | 'cwd' | 'timeout'>;

export interface CommandResult {
  readonly code: number | null;
  /** stdout and stderr, as they came. */
  readonly output: string;
}

/** Runs a command without input and waits for its end; a command that does not exist has the code null. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      ...options,
      stdio: ['ignore', 'pipe', 'pipe'],
      killSignal: 'SIGKILL',
    });
    let output = '';
    const add = (chunk: Buffer) => {
      output += chunk.toString('utf8');
    };
    child.stdout.on('data', add);
    child.stderr.on('data', add);
    child.once('error', (error) => resolve({ code: null, output: error.message }));
    child.once('close', (code) => resolve({ code, output }));
  });
}

/** Runs a program of Node.js that prints to our own output. @returns its exit code, null where a signal ended it */
export function runVisibly(
  args: readonly string[],
  folder: string,
  env: NodeJS.ProcessEnv,
): Promise<number | null> {
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', resolve);
  });
}
