/**
 * A setting has the first value there is of: flag, environment, `.redial/servers.env` while the run that wrote it lives,
 * `.env`, default. This file puts together what comes from the environment and from the two files.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';

export type Environment = Readonly<Record<string, string | undefined>>;

// A server may be told as URL or in parts, and the URL wins. But a URL that comes from farther than the parts means another
// server, and must not win.
const MEANS_ANOTHER_SERVER: Readonly<Record<string, readonly string[]>> = {
  RABBITMQ_URL: ['RABBITMQ_HOST', 'RABBITMQ_PORT'],
  RABBITMQ_MANAGEMENT_URL: ['RABBITMQ_URL', 'RABBITMQ_HOST'],
  REDIS_URL: ['REDIS_HOST', 'REDIS_PORT'],
};

// Nearer addresses without encryption mean other servers, too, and would contradict certificates that come from farther.
const IS_FOR_ENCRYPTED: Readonly<Record<string, readonly string[]>> = {
  RABBITMQ_CA_FILE: ['RABBITMQ_URL', 'RABBITMQ_MANAGEMENT_URL', 'RABBITMQ_HOST', 'RABBITMQ_PORT'],
  REDIS_CA_FILE: ['REDIS_URL', 'REDIS_HOST', 'REDIS_PORT'],
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
  const layers = [base, readServersFile(projectFolder), parseEnv(readIfAllowed(join(projectFolder, '.env')))];
  return layers.reduce((merged, layer) => addMissing(merged, layer), {} as Environment);
}

function addMissing(merged: Environment, layer: Environment): Environment {
  const isOverruled = (name: string) =>
    (MEANS_ANOTHER_SERVER[name.replace(/_FILE$/, '')] ?? []).some((nearer) => hasValue(merged, nearer));
  const added = Object.entries(layer).filter(
    ([name]) =>
      hasValue(layer, name) &&
      !hasValue(merged, name) &&
      !isOverruled(name) &&
      !isForOtherServer(merged, name),
  );
  return { ...merged, ...Object.fromEntries(added) };
}

/** True for certificates where nearer addresses are given, and none of them may be encrypted. */
function isForOtherServer(nearer: Environment, name: string): boolean {
  const addresses = (IS_FOR_ENCRYPTED[name] ?? []).filter((address) => hasValue(nearer, address));
  // What stands in a file is not known here.
  const mayBeEncrypted = (text: string | undefined) =>
    text === undefined || /\b(amqps|rediss|https):/i.test(text);
  return addresses.length > 0 && !addresses.some((address) => mayBeEncrypted(nearer[address]));
}

function hasValue(environment: Environment, name: string): boolean {
  return [name, `${name}_FILE`].some((each) => isGiven(each, environment[each]));
}

/**
 * False for an empty variable, which counts as not set: Compose files write it so. Only an empty schedule could mean
 * something ("never retry"), so it counts as given, and is refused with a sentence instead of replaced by the default.
 */
export function isGiven(name: string, text: string | undefined): text is string {
  return text !== undefined && (text !== '' || name === 'RETRY_SCHEDULE');
}

/** Empty for a file that is missing, or may not be read: in a checkout of another user the environment says all. */
function readIfAllowed(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The file with the servers of the `npm start` that runs in a checkout. */
export function serversFileOf(projectFolder: string): string {
  return join(projectFolder, '.redial', 'servers.env');
}

function readServersFile(projectFolder: string): Environment {
  const isOwned = findLivingOwner(projectFolder) !== undefined;
  return isOwned ? parseEnv(readIfAllowed(serversFileOf(projectFolder))) : {};
}

/** The process of the `npm start` that runs in a checkout: the one that the first line of its servers file names. */
export function findLivingOwner(projectFolder: string): number | undefined {
  const text = readIfAllowed(serversFileOf(projectFolder));
  const [, processId, startTime = ''] = /^# owner (\d+) ?(\d*)/.exec(text) ?? [];
  return processId !== undefined && isSameProcess(Number(processId), startTime)
    ? Number(processId)
    : undefined;
}

/** True while that process lives. @param startTime as `startTimeOf` told it; empty where it could not */
function isSameProcess(processId: number, startTime: string): boolean {
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
