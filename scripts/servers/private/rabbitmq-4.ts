/**
 * A RabbitMQ 4 for the tests, also on a machine that has only 3.x: the one that RABBITMQ_HOME names, the machine's own
 * where that is new enough, else the packages of a newer Debian, unpacked into a folder and never installed.
 *
 * These need the C library and the Erlang of their own release. So each program starts in a mount namespace of its own
 * where /usr is that of the packages: everything else is the machine's, nobody outside sees it, and it ends with the
 * process. No chroot: there paths of data and configuration would be others than here.
 */
import { existsSync, mkdirSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ServerUnavailableError } from '../../../shared/errors.ts';
import type { Environment } from '../../../shared/process/environment.ts';
import { withLock } from '../../commands/lock.js';
import {
  findRabbitMq,
  findRabbitMqIn,
  isAtLeast,
  type RabbitMqPrograms,
  versionOf,
} from '../programs/installed-programs.ts';
import { runCommand } from '../programs/run-command.ts';

/** What REDIAL_TEST_RABBITMQ may ask for. */
export type RabbitMq4Release = '4' | '4.3';

interface Place {
  readonly projectFolder: string;
  readonly environment: Environment;
  readonly release: RabbitMq4Release;
}

interface Release {
  /** In sentences: "a … with Erlang on PATH". */
  readonly wanted: string;
  readonly least: readonly [major: number, minor: number, patch: number];
  /** Where Debian has it. */
  readonly suite: string;
  readonly debian: string;
  /** To fetch. */
  readonly megabytes: number;
}

const RELEASES: Readonly<Record<RabbitMq4Release, Release>> = {
  '4': { wanted: 'RabbitMQ 4', least: [4, 0, 0], suite: 'trixie', debian: 'Debian 13', megabytes: 80 },
  '4.3': {
    wanted: 'RabbitMQ 4.3.1 or newer',
    // 4.3.0 asks for the right to configure where a queue is only looked at.
    least: [4, 3, 1],
    suite: 'forky',
    debian: 'Debian forky',
    megabytes: 90,
  },
};

// Nothing of the machine's apt is used but its mirror, its proxy and Debian's keys: lists, cache and the (empty) state
// of what is installed are our own, so that every package comes along that these programs need.
const fetchScript = `
set -eu
folder=$1 suite=$2
mirror=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
  sed -n 's/^Debian [a-z]* //p' | head -n 1)
[ -n "$mirror" ] || { echo 'the sources of apt name no mirror of Debian'; exit 1; }
mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" "$folder/root"
: >"$folder/apt/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$folder/apt/sources.list"
own_apt() {
  apt-get -q -y -o Dir::State="$folder/apt" -o Dir::State::status="$folder/apt/status" \\
    -o Dir::Cache="$folder/apt/cache" -o Dir::Etc::SourceList="$folder/apt/sources.list" \\
    -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \\
    -o APT::Sandbox::User= -o Acquire::Languages=none "$@"
}
own_apt update
own_apt install --download-only --no-install-recommends '?essential' rabbitmq-server
for package in "$folder"/apt/cache/archives/*.deb; do dpkg-deb --extract "$package" "$folder/root"; done
rm -rf "$folder/apt"
`;

const startersOf: Readonly<Record<keyof RabbitMqPrograms, string>> = {
  server: '/usr/lib/rabbitmq/bin/rabbitmq-server',
  control: '/usr/lib/rabbitmq/bin/rabbitmqctl',
  queues: '/usr/lib/rabbitmq/bin/rabbitmq-queues',
  epmd: '/usr/bin/epmd',
};

/** The RabbitMQ 4 that the environment asks the tests to run on; undefined for what the machine has. @throws Error */
export function readWantedRelease(environment: Environment): RabbitMq4Release | undefined {
  const wanted = environment.REDIAL_TEST_RABBITMQ ?? '';
  if (wanted === '') return undefined;
  if (wanted !== '4' && wanted !== '4.3')
    throw new Error(`REDIAL_TEST_RABBITMQ must be 4, 4.3 or empty, got "${wanted}"`);
  return wanted;
}

/** A RabbitMQ 4 that is there already, or undefined. @throws ServerUnavailableError for a RABBITMQ_HOME that is none */
export function findRabbitMq4({ projectFolder, environment, release }: Place): RabbitMqPrograms | undefined {
  const path = environment.PATH ?? '';
  const home = environment.RABBITMQ_HOME ?? '';
  if (home !== '') {
    const named = findRabbitMqIn([join(home, 'sbin')], path);
    if (isNewEnough(named, release)) return named;
    const found = named === undefined ? 'none with its Erlang' : (versionOf(named) ?? 'an unknown version');
    throw new ServerUnavailableError(
      `RABBITMQ_HOME must be the folder of a ${RELEASES[release].wanted} with Erlang on PATH, found ${found} in ${home}`,
      { isRefusal: true },
    );
  }
  const installed = findRabbitMq(path);
  if (isNewEnough(installed, release)) return installed;
  const unpacked = programsIn(folderOf(projectFolder, release));
  return existsSync(unpacked.server) ? unpacked : undefined;
}

/** Finds a RabbitMQ 4, or fetches it: 80 to 90 MB once, 220 MB unpacked. @throws ServerUnavailableError with what to do */
export async function ensureRabbitMq4(place: Place, say: (line: string) => void): Promise<RabbitMqPrograms> {
  const { debian, megabytes } = RELEASES[place.release];
  const folder = folderOf(place.projectFolder, place.release);
  return withLock(`${folder}.lock`, async () => {
    const found = findRabbitMq4(place);
    if (found !== undefined) return found;
    await requireFetchable(place);
    say(
      `Fetching RabbitMQ ${place.release} from the packages of ${debian}, ${megabytes} MB, into .redial/rabbitmq-${place.release} (nothing is installed) …`,
    );
    await fetchInto(folder, place.release);
    return programsIn(folder);
  });
}

function folderOf(projectFolder: string, release: RabbitMq4Release): string {
  return join(projectFolder, '.redial', `rabbitmq-${release}`);
}

function isNewEnough(
  programs: RabbitMqPrograms | undefined,
  release: RabbitMq4Release,
): programs is RabbitMqPrograms {
  const version = programs && versionOf(programs);
  return version !== undefined && isAtLeast(version, RELEASES[release].least);
}

function programsIn(folder: string): RabbitMqPrograms {
  const starter = (name: keyof RabbitMqPrograms) => join(folder, 'bin', name);
  return {
    server: starter('server'),
    control: starter('control'),
    queues: starter('queues'),
    epmd: starter('epmd'),
  };
}

async function requireFetchable({ environment, release }: Place): Promise<void> {
  const hasTools = ['/usr/bin/apt-get', '/usr/bin/dpkg-deb', '/usr/bin/unshare'].every((file) =>
    existsSync(file),
  );
  const isMerged = existsSync('/usr/bin') && realpathSync('/bin') === realpathSync('/usr/bin');
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const mayMount = await runCommand('unshare', [...asRoot, '--mount', 'true']);
  if (hasTools && isMerged && mayMount.code === 0) return;
  const installed = findRabbitMq(environment.PATH ?? '');
  throw new ServerUnavailableError(describeMissing(release, installed && versionOf(installed)), {
    isRefusal: true,
  });
}

async function fetchInto(folder: string, release: RabbitMq4Release): Promise<void> {
  const { debian, suite } = RELEASES[release];
  const part = `${folder}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(join(part, 'bin'), { recursive: true });
  const { code, output } = await runCommand('sh', ['-c', fetchScript, 'fetch', part, suite]);
  if (code !== 0) {
    rmSync(part, { recursive: true, force: true });
    const end = output.trimEnd().split('\n').slice(-20).join('\n');
    throw new ServerUnavailableError(
      `The packages of ${debian} could not be fetched:\n${end}\n${describeMissing(release)}`,
      {
        isRefusal: true,
      },
    );
  }
  for (const [name, program] of Object.entries(startersOf))
    writeFileSync(join(part, 'bin', name), renderStarter(join(folder, 'root'), program), { mode: 0o755 });
  renameSync(part, folder);
}

/** A script that becomes the program, with the /usr of the packages. */
function renderStarter(root: string, program: string): string {
  return `#!/bin/sh
[ "$(id -u)" = 0 ] && as= || as=--map-root-user
exec unshare $as --mount sh -c 'mount --bind "$0" /usr && exec "$@"' '${root}/usr' ${program} "$@"
`;
}

function describeMissing(release: RabbitMq4Release, installedVersion?: string): string {
  const { wanted, debian } = RELEASES[release];
  return `${wanted} is not to be had here: RABBITMQ_HOME names none, this machine has ${installedVersion ?? 'none'}, and the packages of ${debian} need
apt of a Debian machine and the right to mount (root, or user namespaces).
Unpack a ${wanted} somewhere, with an Erlang that it runs on in PATH, and say where it is:
  RABBITMQ_HOME=/opt/rabbitmq_server-4.3.6 npm run test:rabbitmq4`;
}
