/**
 * A RabbitMQ 4 for the tests, also on a machine that has only 3.x: the one that RABBITMQ_HOME names, the machine's own
 * where that is 4 already, else the packages of Debian 13, unpacked into a folder and never installed.
 *
 * These need the C library and the Erlang of their own release. So each program starts in a mount namespace of its own
 * where /usr is that of the packages: everything else is the machine's, nobody outside sees it, and it ends with the
 * process. No chroot: there paths of data and configuration would be others than here.
 */
import { existsSync, mkdirSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../../shared/environment.ts';
import { ServerUnavailableError } from '../../shared/errors.ts';
import { withLock } from '../commands/lock.js';
import { findRabbitMq, findRabbitMqIn, type RabbitMqPrograms, versionOf } from './installed-programs.ts';
import { runCommand } from './run-command.ts';

interface Place {
  readonly projectFolder: string;
  readonly environment: Environment;
}

// Nothing of the machine's apt is used but its mirror, its proxy and Debian's keys: lists, cache and the (empty) state
// of what is installed are our own, so that every package comes along that these programs need.
const fetchScript = `
set -eu
folder=$1
mirror=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
  sed -n 's/^Debian [a-z]* //p' | head -n 1)
[ -n "$mirror" ] || { echo 'the sources of apt name no mirror of Debian'; exit 1; }
mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" "$folder/root"
: >"$folder/apt/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$folder/apt/sources.list"
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

/** A RabbitMQ 4 that is there already, or undefined. @throws ServerUnavailableError for a RABBITMQ_HOME that is none */
export function findRabbitMq4({ projectFolder, environment }: Place): RabbitMqPrograms | undefined {
  const path = environment.PATH ?? '';
  const home = environment.RABBITMQ_HOME ?? '';
  if (home !== '') {
    const named = findRabbitMqIn([join(home, 'sbin')], path);
    if (isFour(named)) return named;
    const found = named === undefined ? 'none with its Erlang' : (versionOf(named) ?? 'an unknown version');
    throw new ServerUnavailableError(
      `RABBITMQ_HOME must be the folder of a RabbitMQ 4 with Erlang on PATH, found ${found} in ${home}`,
      { isRefusal: true },
    );
  }
  const installed = findRabbitMq(path);
  if (isFour(installed)) return installed;
  const unpacked = programsIn(folderOf(projectFolder));
  return existsSync(unpacked.server) ? unpacked : undefined;
}

/** Finds a RabbitMQ 4, or fetches it: 80 MB once, 220 MB unpacked. @throws ServerUnavailableError with what to do */
export async function ensureRabbitMq4(place: Place, say: (line: string) => void): Promise<RabbitMqPrograms> {
  const folder = folderOf(place.projectFolder);
  return withLock(`${folder}.lock`, async () => {
    const found = findRabbitMq4(place);
    if (found !== undefined) return found;
    await requireFetchable(place);
    say(
      "Fetching RabbitMQ 4 from Debian 13's packages, 80 MB, into .redial/rabbitmq-4 (nothing is installed) …",
    );
    await fetchInto(folder);
    return programsIn(folder);
  });
}

function folderOf(projectFolder: string): string {
  return join(projectFolder, '.redial', 'rabbitmq-4');
}

function isFour(programs: RabbitMqPrograms | undefined): programs is RabbitMqPrograms {
  return programs !== undefined && Number.parseInt(versionOf(programs) ?? '0', 10) >= 4;
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

async function requireFetchable({ environment }: Place): Promise<void> {
  const isThere = (file: string) => existsSync(file);
  const hasTools = ['/usr/bin/apt-get', '/usr/bin/dpkg-deb', '/usr/bin/unshare'].every(isThere);
  const isMerged = isThere('/usr/bin') && realpathSync('/bin') === realpathSync('/usr/bin');
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const mayMount = await runCommand('unshare', [...asRoot, '--mount', 'true']);
  if (hasTools && isMerged && mayMount.code === 0) return;
  const installed = findRabbitMq(environment.PATH ?? '');
  throw new ServerUnavailableError(describeMissing(installed && versionOf(installed)), { isRefusal: true });
}

async function fetchInto(folder: string): Promise<void> {
  const part = `${folder}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(join(part, 'bin'), { recursive: true });
  const { code, output } = await runCommand('sh', ['-c', fetchScript, 'fetch', part]);
  if (code !== 0) {
    rmSync(part, { recursive: true, force: true });
    const end = output.trimEnd().split('\n').slice(-20).join('\n');
    throw new ServerUnavailableError(
      `Debian 13's packages could not be fetched:\n${end}\n${describeMissing()}`,
      {
        isRefusal: true,
      },
    );
  }
  for (const [name, program] of Object.entries(startersOf))
    writeFileSync(join(part, 'bin', name), describeStarter(join(folder, 'root'), program), { mode: 0o755 });
  renameSync(part, folder);
}

/** A script that becomes the program, with the /usr of the packages. */
function describeStarter(root: string, program: string): string {
  return `#!/bin/sh
[ "$(id -u)" = 0 ] && as= || as=--map-root-user
exec unshare $as --mount sh -c 'mount --bind "$0" /usr && exec "$@"' '${root}/usr' ${program} "$@"
`;
}

function describeMissing(installedVersion?: string): string {
  const own = installedVersion === undefined ? 'none' : installedVersion;
  return `RabbitMQ 4 is not to be had here: RABBITMQ_HOME names none, this machine has ${own}, and the packages of Debian 13 need
apt of a Debian machine and the right to mount (root, or user namespaces).
Unpack a RabbitMQ 4 somewhere, with an Erlang that it runs on in PATH, and say where it is:
  RABBITMQ_HOME=/opt/rabbitmq_server-4.1.0 npm run test:rabbitmq4`;
}
