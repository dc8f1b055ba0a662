/** Docker containers in which a test runs lines of shell. */
import { type CommandResult, runCommand } from '../../scripts/servers/programs/run-command.ts';

/**
 * What `docker run` needs for a container whose first process is systemd. Not all rights (`--privileged`), because a container
 * with all of them cannot be had everywhere.
 */
export const WITH_SYSTEMD: readonly string[] = [
  ...['--cgroupns', 'host', '--cap-add', 'ALL', '--cap-drop', 'SYS_RESOURCE'],
  ...['--security-opt', 'seccomp=unconfined', '--security-opt', 'apparmor=unconfined'],
  ...['--tmpfs', '/run', '--tmpfs', '/run/lock', '-v', '/sys/fs/cgroup:/sys/fs/cgroup'],
];

/** Runs a line of shell as root. */
export function tryIn(container: string, line: string): Promise<CommandResult> {
  return runCommand('docker', ['exec', container, 'sh', '-c', line]);
}

/** @returns what it printed @throws Error where it failed */
export async function runIn(container: string, line: string): Promise<string> {
  const { code, output } = await tryIn(container, line);
  if (code !== 0) throw new Error(`${line} ended with ${code}:\n${output.trim()}`);
  return output.trim();
}

/** With its volumes, and the image of the same name. */
export async function removeContainer(name: string): Promise<void> {
  await runCommand('docker', ['rm', '--force', '--volumes', name]);
  await runCommand('docker', ['image', 'rm', '--force', name]);
}
