/**
 * Where settings come from, first that has a value: flag, environment, `.redial/servers.env` while the run that
 * wrote it lives, `.env`, default. This file does the middle two; an empty value counts as none.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';

export type Environment = Readonly<Record<string, string | undefined>>;

// A server may be told as URL or in parts, and the URL wins. Where the parts come from nearer than the URL, the
// URL of the farther file means another server and must not win.
const MEANS_ANOTHER_SERVER: Readonly<Record<string, readonly string[]>> = {
  RABBITMQ_URL: ['RABBITMQ_HOST', 'RABBITMQ_PORT'],
  RABBITMQ_MANAGEMENT_URL: ['RABBITMQ_URL', 'RABBITMQ_HOST'],
  REDIS_URL: ['REDIS_HOST', 'REDIS_PORT'],
};

/** The checkout's folder, seen from its sources as well as from dist. */
export function findProjectFolder(startFolder: string = import.meta.dirname): string {
  for (let folder = startFolder; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'node_modules'))) return folder;
    if (dirname(folder) === folder) return process.cwd();
  }
}

/** The environment with the two files' values where it has none itself. */
export function readEnvironment(projectFolder: string, base: Environment = process.env): Environment {
  const layers = [base, readServersFile(projectFolder), readEnvFile(join(projectFolder, '.env'))];
  return layers.reduce((merged, layer) => addMissing(merged, layer), {} as Environment);
}

function addMissing(merged: Environment, layer: Environment): Environment {
  const isOverruled = (name: string) =>
    (MEANS_ANOTHER_SERVER[name.replace(/_FILE$/, '')] ?? []).some((nearer) => hasValue(merged, nearer));
  const added = Object.entries(layer).filter(
    ([name]) => hasValue(layer, name) && !hasValue(merged, name) && !isOverruled(name),
  );
  return { ...merged, ...Object.fromEntries(added) };
}

// Empty counts as not set, as Compose files write it. Only an empty schedule could mean something ("never retry"),
// so it is kept, and refused with a sentence instead of being replaced by the default.
function hasValue(environment: Environment, name: string): boolean {
  if (name === 'RETRY_SCHEDULE') return environment[name] !== undefined;
  return [environment[name], environment[`${name}_FILE`]].some(
    (given) => given !== undefined && given !== '',
  );
}

function readEnvFile(path: string): Environment {
  return parseEnv(readIfAllowed(path));
}

/** Empty for a file that is missing, or is not ours to read: in a checkout of somebody else the environment says all. */
function readIfAllowed(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** `.redial/servers.env` counts while its owner, the process named in its first line, lives. */
function readServersFile(projectFolder: string): Environment {
  const text = readIfAllowed(join(projectFolder, '.redial', 'servers.env'));
  const [, processId, startTime] = /^# owner (\d+) ?(\d*)/.exec(text) ?? [];
  return processId !== undefined && isSameProcess(Number(processId), startTime ?? '') ? parseEnv(text) : {};
}

/** True while that process lives. @param startTime as `startTimeOf` told it; empty where it could not */
export function isSameProcess(processId: number, startTime: string): boolean {
  try {
    process.kill(processId, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return startTime === '' || startTimeOf(processId) === startTime;
}

/** Start time of a process in clock ticks since boot (Linux, field 22 of its stat); empty elsewhere. */
export function startTimeOf(processId: number): string {
  try {
    const stat = readFileSync(`/proc/${processId}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
