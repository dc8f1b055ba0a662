import { type CommandOptions, type CommandResult, runCommand } from '../programs/run-command.ts';

/** Runs Compose with these arguments. */
export type Compose = (args: readonly string[], options?: CommandOptions) => Promise<CommandResult>;

// An engine that hangs must not hold up who could do without it.
const patienceMs = 15_000;

/** Compose v2, or docker-compose from 1.29 on; undefined when there is none, or no engine that we may use. */
export async function findCompose(): Promise<Compose | undefined> {
  const engine = await runCommand('docker', ['info'], { timeout: patienceMs });
  if (engine.code !== 0) return undefined;
  for (const [command, ...first] of [['docker', 'compose'], ['docker-compose']] as const) {
    const version = await runCommand(command, [...first, 'version', '--short'], { timeout: patienceMs });
    if (version.code === 0 && isComposeNewEnough(version.output))
      return (args, options) => runCommand(command, [...first, ...args], options);
  }
  return undefined;
}

/** The compose file waits for health and leaves out a `version`, which older ones do not understand. */
export function isComposeNewEnough(output: string): boolean {
  const [, major = 0, minor = 0] = (/^v?(\d+)\.(\d+)/m.exec(output) ?? []).map(Number);
  return major > 1 || (major === 1 && minor >= 29);
}
