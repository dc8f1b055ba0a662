import { existsSync } from 'node:fs';
import { ServerUnavailableError } from '../../../shared/errors.ts';
import { runCommand } from './run-command.ts';

// Nothing may be left running: policy-rc.d with exit 101 is Debian's way to install a service without starting it
// (https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt). One that is there already is somebody's
// decision and stays. Only services of packages that were not there before are disabled.
const installScript = `
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
policy=/usr/sbin/policy-rc.d
mark='temporary, for the set-up of redial'
if [ ! -e "$policy" ] || grep -q "$mark" "$policy"; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\\n# %s\\nexit 101\\n' "$mark" >"$policy"
  chmod 755 "$policy"
fi
is_installed() { [ "$(dpkg-query -W -f '\${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]; }
units=
is_installed rabbitmq-server || units="$units rabbitmq-server.service"
is_installed redis-server || units="$units redis-server.service"
is_installed prometheus || units="$units prometheus.service"
is_installed erlang-base || units="$units epmd.socket epmd.service"
apt-get -q -o DPkg::Lock::Timeout=120 update || echo 'apt-get update failed; trying with the lists that are here'
apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@"
if [ -d /run/systemd/system ]; then
  for unit in $units; do systemctl disable --now "$unit" || true; done
fi
`;

/** Whether `installPackages` may be tried: Debian or a relative of it, and root or sudo without a password. */
export async function canInstallPackages(): Promise<boolean> {
  if (!existsSync('/usr/bin/apt-get') || !existsSync('/usr/bin/dpkg-query')) return false;
  if (isRoot()) return true;
  return (await runCommand('sudo', ['-n', 'true'])).code === 0;
}

/** Installs Debian packages, starts nothing, leaves no system service behind. */
export async function installPackages(packages: readonly string[]): Promise<void> {
  const command = ['sh', '-c', installScript, 'install', ...packages];
  const { code, output } = isRoot()
    ? await runCommand('sh', command.slice(1))
    : await runCommand('sudo', ['-n', ...command]);
  if (code === 0) return;
  const end = output.trimEnd().split('\n').slice(-20).join('\n');
  throw new ServerUnavailableError(`apt-get could not install ${packages.join(' and ')}:\n${end}`, {
    isRefusal: true,
  });
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
