/**
 * `.redial/servers.env`: the servers of a running `npm start`, for commands in a second terminal. Its first line names
 * its owner, and it counts only while that process lives, so a killed run leaves nothing that misleads. It is also
 * what a second `npm start` of the same checkout finds.
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RedialError } from '../shared/errors.ts';
import { findLivingOwner, serversFileOf, startTimeOf } from '../shared/process/environment.ts';
import { makePrivateFolder } from './commands/private-folder.js';

export interface ServersFile {
  /** Tells others where the servers are. */
  publish(addresses: Readonly<Record<string, string>>): void;
  remove(): void;
}

/** Makes the file ours, without addresses yet. @throws RedialError ALREADY_RUNNING while another owner lives */
export function claimServersFile(projectFolder: string): ServersFile {
  const file = serversFileOf(projectFolder);
  makePrivateFolder(join(projectFolder, '.redial'));
  const living = findLivingOwner(projectFolder);
  if (living !== undefined) throw alreadyRunning(living);
  rmSync(file, { force: true });
  try {
    writeFileSync(file, formatServersFile({}), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw alreadyRunning(findLivingOwner(projectFolder));
    throw error;
  }
  return {
    publish(addresses) {
      // Addresses may hold passwords; a reader never sees half a file.
      writeFileSync(`${file}.next`, formatServersFile(addresses), { mode: 0o600 });
      renameSync(`${file}.next`, file);
    },
    remove: () => rmSync(file, { force: true }),
  };
}

export function formatServersFile(addresses: Readonly<Record<string, string>>): string {
  const lines = Object.entries(addresses).map(([name, value]) => `${name}=${quoted(value)}`);
  return `${[`# owner ${process.pid} ${startTimeOf(process.pid)}`, ...lines].join('\n')}\n`;
}

/** In a .env file, # begins a comment and spaces at the ends are lost, unless quoted. */
function quoted(value: string): string {
  if (!/[#\s'"]/.test(value)) return value;
  return value.includes("'") ? `"${value}"` : `'${value}'`;
}

function alreadyRunning(pid: number | undefined): RedialError {
  const who = pid === undefined ? '' : ` (process ${pid})`;
  return new RedialError(
    'ALREADY_RUNNING',
    `npm start runs already in this checkout${who}: wait for its end or stop it with Ctrl-C there. Another checkout may run beside it.`,
  );
}
