/**
 * `.redial/servers.env`: the servers of a running `npm start`, for commands in a second terminal. Its first line names
 * its owner, and it counts only while that process lives, so a killed run leaves nothing that misleads. It is also
 * what a second `npm start` of the same checkout finds.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSameProcess, startTimeOf } from '../shared/environment.ts';
import { RedialError } from '../shared/errors.ts';
import { makePrivateFolder } from './commands/private-folder.js';

export interface ServersFile {
  /** Tells others where the servers are. */
  publish(addresses: Readonly<Record<string, string>>): void;
  remove(): void;
}

interface Owner {
  readonly pid: number;
  /** In the units of /proc/<pid>/stat; empty where there is no /proc. */
  readonly startTime: string;
}

/** Makes the file ours, without addresses yet. @throws RedialError ALREADY_RUNNING while another owner lives */
export function claimServersFile(projectFolder: string): ServersFile {
  const file = fileOf(projectFolder);
  const owner = { pid: process.pid, startTime: startTimeOf(process.pid) };
  makePrivateFolder(join(projectFolder, '.redial'));
  const living = findLivingOwner(projectFolder);
  if (living !== undefined) throw alreadyRunning(living);
  rmSync(file, { force: true });
  try {
    writeFileSync(file, formatServersFile(owner, {}), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw alreadyRunning(findLivingOwner(projectFolder));
    throw error;
  }
  return {
    publish(addresses) {
      // Addresses may hold passwords; a reader never sees half a file.
      writeFileSync(`${file}.next`, formatServersFile(owner, addresses), { mode: 0o600 });
      renameSync(`${file}.next`, file);
    },
    remove: () => rmSync(file, { force: true }),
  };
}

/** The process of the `npm start` that runs in this checkout, if there is one. */
export function findLivingOwner(projectFolder: string): number | undefined {
  const owner = parseOwner(readIfThere(fileOf(projectFolder)));
  return owner !== undefined && isSameProcess(owner.pid, owner.startTime) ? owner.pid : undefined;
}

export function formatServersFile(owner: Owner, addresses: Readonly<Record<string, string>>): string {
  const lines = Object.entries(addresses).map(([name, value]) => `${name}=${quoted(value)}`);
  return `${[`# owner ${owner.pid} ${owner.startTime}`, ...lines].join('\n')}\n`;
}

export function parseOwner(text: string): Owner | undefined {
  const [, pid, startTime = ''] = /^# owner (\d+) ?(\d*)/.exec(text) ?? [];
  return pid === undefined ? undefined : { pid: Number(pid), startTime };
}

/** In a .env file, # begins a comment and spaces at the ends are lost, unless quoted. */
function quoted(value: string): string {
  if (!/[#\s'"]/.test(value)) return value;
  return value.includes("'") ? `"${value}"` : `'${value}'`;
}

function fileOf(projectFolder: string): string {
  return join(projectFolder, '.redial', 'servers.env');
}

function alreadyRunning(pid: number | undefined): RedialError {
  const who = pid === undefined ? '' : ` (process ${pid})`;
  return new RedialError(
    'ALREADY_RUNNING',
    `npm start runs already in this checkout${who}: wait for its end or stop it with Ctrl-C there. Another checkout may run beside it.`,
  );
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
