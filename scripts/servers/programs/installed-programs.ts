import { accessSync, constants, existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** The programs of one RabbitMQ and of the Erlang it runs on. */
export interface RabbitMqPrograms {
  readonly server: string;
  readonly control: string;
  /** `rabbitmq-queues`; stands beside `control`. */
  readonly queues: string;
  readonly epmd: string;
}

// Debian's own script comes first: the one in /usr/sbin switches to the user `rabbitmq` and the system's node.
const rabbitMqFolders = [
  '/usr/lib/rabbitmq/bin',
  '/opt/homebrew/opt/rabbitmq/sbin',
  '/usr/local/opt/rabbitmq/sbin',
];
const sbinFolders = [
  '/usr/sbin',
  '/usr/local/sbin',
  '/opt/homebrew/bin',
  '/opt/homebrew/sbin',
  '/usr/local/bin',
];

/** RabbitMQ's programs on this machine, or undefined when one of them is missing. */
export function findRabbitMq(path: string): RabbitMqPrograms | undefined {
  return findRabbitMqIn([...rabbitMqFolders, ...versionedFolders(), ...foldersOnPath(path)], path);
}

/** The programs of the first of these folders that has them. */
export function findRabbitMqIn(folders: readonly string[], path: string): RabbitMqPrograms | undefined {
  const epmd = findProgram('epmd', path) ?? findErlangEpmd();
  if (epmd === undefined) return undefined;
  for (const folder of folders) {
    const [server, control] = [join(folder, 'rabbitmq-server'), join(folder, 'rabbitmqctl')];
    if (isProgram(server) && isProgram(control))
      return { server, control, queues: join(folder, 'rabbitmq-queues'), epmd };
  }
  return undefined;
}

/** The version of an installed RabbitMQ, from the names of its own files: nothing is started. */
export function versionOf({ server }: RabbitMqPrograms): string | undefined {
  const plugins = namesIn(join(dirname(realpathSync(server)), '..', 'plugins'));
  const names = plugins.map((name) => /^rabbit-(\d+\.\d+\.\d+)/.exec(name)?.[1]);
  return names.find((version) => version !== undefined);
}

/** Whether a version such as `4.3.6` is this one or a later one. */
export function isAtLeast(version: string, least: readonly number[]): boolean {
  const parts = version.split('.').map(Number);
  const place = least.findIndex((part, index) => part !== (parts[index] ?? 0));
  return place === -1 || (parts[place] ?? 0) > (least[place] ?? 0);
}

/** A program on PATH or in one of the usual places, or undefined. */
export function findProgram(name: string, path: string): string | undefined {
  return [...path.split(delimiter), ...sbinFolders]
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isProgram);
}

function versionedFolders(): string[] {
  const library = '/usr/lib/rabbitmq/lib';
  return namesIn(library).map((name) => join(library, name, 'sbin'));
}

/** A `rabbitmq-server` on PATH counts when it is a link into an unpacked RabbitMQ, with its tools beside it. */
function foldersOnPath(path: string): string[] {
  const onPath = findProgram('rabbitmq-server', path);
  if (onPath === undefined) return [];
  const folder = dirname(realpathSync(onPath));
  return existsSync(join(folder, 'rabbitmq-env')) ? [folder] : [];
}

function findErlangEpmd(): string | undefined {
  const library = '/usr/lib/erlang';
  return namesIn(library)
    .filter((name) => name.startsWith('erts-'))
    .map((name) => join(library, name, 'bin', 'epmd'))
    .find(isProgram);
}

/** Empty for a folder that is not there. */
function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
