#!/bin/sh
# Installs Redial as systemd services, brings them to another version, or removes them. README.md beside this file
# tells the whole story.
#
# Each version is a folder of its own that never changes: /opt/redial/<version>. The link /opt/redial/current says which
# one runs. Everything is done only where it is not done yet, so that the script may be run again at any time, also
# after it was interrupted.
set -eu

usage() {
  cat <<'TEXT'
usage: deploy/systemd/install.sh [OPTION…]        as root, in a checkout or an unpacked release

Builds this version into /opt/redial/<version>, and starts it or rolls it over what runs. The copy of this script in
/opt/redial/<version> builds nothing: it goes to that version, or back to it.
  --senders N      exactly N senders (default: as many as there are, at first 2)
  --monitor        the page too, on 127.0.0.1:9090
  --api            the HTTP API too, on 127.0.0.1:8080
  --no-start       installs and enables, starts nothing; --start is the default
  --uninstall      stops and removes all of it but settings and secrets; with --purge these, too
  --prefix DIR     instead of /opt/redial
  --node PATH      the Node.js that runs the services (default: the one on PATH)
  --root DIR       installs into the file system under DIR, for images; starts nothing

After a change in /etc/redial run /opt/redial/current/deploy/systemd/install.sh: it restarts what has not seen the
change, one sender after the other.
TEXT
}

say() { printf '%s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
refuse() { printf 'install.sh: %s (install.sh --help)\n' "$*" >&2; exit 2; }

# --- What is asked for -----------------------------------------------------------------------------------------------

senders='' extra='' start=yes uninstall='' purge='' prefix=/opt/redial node='' root=''
while [ $# -gt 0 ]; do
  case $1 in
  --senders | --prefix | --node | --root) [ -n "${2:-}" ] || refuse "$1 needs a value" ;;
  esac
  case $1 in
  --senders) senders=$2; shift ;;
  --monitor | --api) extra="$extra redial-${1#--}.service" ;;
  --start) start=yes ;;
  --no-start) start='' ;;
  --uninstall) uninstall=yes ;;
  --purge) purge=yes ;;
  --prefix) prefix=${2%/}; shift ;;
  --node) node=$2; shift ;;
  --root) root=$(cd "$2" 2>/dev/null && pwd -P) || refuse "--root must name a folder, got $2"; root=${root%/}; shift ;;
  -h | --help) usage; exit 0 ;;
  *) refuse "$1 is no option" ;;
  esac
  shift
done
case $senders in '' | [1-9] | [1-9][0-9]) ;; *) refuse "--senders must be a number from 1 to 99, got $senders" ;; esac
case $prefix in
*[!A-Za-z0-9/._-]* | *..* | [!/]*) refuse "--prefix must be an absolute path of letters, digits, dots and hyphens, got $prefix" ;;
/ | '' | /usr | /usr/local | /opt | /etc | /var | /home | /root) refuse "--prefix must be a folder for Redial alone, got ${prefix:-/}" ;;
esac
[ -z "$purge" ] || [ -n "$uninstall" ] || refuse '--purge goes with --uninstall'

here=$(cd "$(dirname "$0")" && pwd -P)
source=${here%/deploy/systemd}
# An installed version has no sources, and knows where it is.
installed=''
if [ ! -e "$source/tsconfig.build.json" ]; then
  [ -e "$source/dist/sender/main.js" ] || fail "$source is neither a checkout of Redial nor an installed version"
  installed=${source##*/} prefix=${source%/*}
  prefix=${prefix#"$root"}
fi
home=$root$prefix
etc=$root/etc/redial
units=$root/etc/systemd/system
command=$root/usr/local/bin/redial
umask 022

[ "$(uname -s)" = Linux ] || fail 'systemd is on Linux only'
[ "$(id -u)" = 0 ] || [ -n "$root" ] || fail 'must run as root: put sudo in front of it'
systemd=$(systemctl --version 2>/dev/null | awk 'NR == 1 { print $2 + 0 }')
[ "${systemd:-0}" -ge 250 ] || fail "needs systemd 250 or newer, found ${systemd:-none}"
is_live=''
if [ -z "$root" ] && [ -d /run/systemd/system ] && [ -z "${SYSTEMD_OFFLINE:-}" ]; then is_live=yes; fi
if [ -z "$is_live" ]; then start=''; export SYSTEMD_OFFLINE=1; fi

# --- Units -----------------------------------------------------------------------------------------------------------

# Works on the files where no systemd runs.
systemd_does() { systemctl --quiet ${root:+"--root=$root"} "$@"; }

list_enabled_senders() { # in the order of their numbers
  for link in "$units"/redial-senders.target.wants/redial-sender@*.service; do
    [ ! -L "$link" ] || basename "$link"
  done | sort -t@ -k2n
}

list_enabled() {
  list_enabled_senders
  for unit in redial-monitor.service redial-api.service; do
    [ ! -L "$units/multi-user.target.wants/$unit" ] || say "$unit"
  done
}

# Writes a file from standard input where it differs from what is there: an unchanged file keeps its time.
write() { # FILE MODE
  mkdir -p "$(dirname "$1")"
  cat >"$1.new"
  if cmp -s "$1.new" "$1"; then rm "$1.new"; else chmod "$2" "$1.new"; mv "$1.new" "$1"; fi
}

# SHUTDOWN_TIMEOUT of the settings and a quarter of a minute.
stop_seconds() {
  seconds=$(cat "$etc"/*.env 2>/dev/null | sed -n 's/^SHUTDOWN_TIMEOUT="\{0,1\}\([0-9]\{1,5\}\).*/\1/p' | sort -n | tail -n 1)
  say $((${seconds:-30} + 15))
}

render() { # FILE
  sed "s|/opt/redial|$prefix|g; s|/usr/bin/node|$node|g; s|^TimeoutStopSec=.*|TimeoutStopSec=$(stop_seconds)|" "$1"
}

write_units() { # FOLDER
  for file in "$1"/*.service "$1"/*.target; do
    render "$file" | write "$units/$(basename "$file")" 644
  done
  render "$1/redial" | write "$command" 755
  [ -z "$is_live" ] || systemctl daemon-reload
}

# True where what runs has not seen the current version, or a change of its unit, its settings or its secrets.
is_outdated() { # UNIT
  pid=$(systemctl show --property=MainPID --value "$1")
  [ "$(readlink "/proc/$pid/cwd")" = "$(readlink -f "$home/current")" ] || return 0
  started=$(systemctl show --property=ExecMainStartTimestamp --value --timestamp=unix "$1")
  number=${1#redial-sender@}
  template=${1%@*}
  for file in "$units/$1" "$units/$template@.service" "$units/$1.d"/* "$units/$template@.service.d"/* \
    "$etc/redial.env" "$etc/sender-${number%.service}.env" "$etc/credentials"/*; do
    [ ! -f "$file" ] || [ "$(stat -c %Y "$file")" -le "${started#@}" ] || return 0
  done
  return 1
}

# Returns once the unit is active, which it is when it is connected to RabbitMQ.
bring_up() { # UNIT
  verb=start
  if systemctl --quiet is-active "$1"; then
    is_outdated "$1" || return 0
    verb=restart
  fi
  say "$1: $verb"
  systemctl reset-failed "$1" 2>/dev/null || true
  systemctl "$verb" "$1" 2>/dev/null || {
    journalctl --no-pager --output=cat --lines=20 --unit="$1" >&2 || true
    fail "$1 did not start: the lines above say why (all of them: journalctl -u $1). What else runs was not touched.${before:+
Back to the version before: $prefix/$before/deploy/systemd/install.sh}"
  }
}

# Senders one after the other: the others go on sending.
bring_all_up() {
  for unit in $(list_enabled); do bring_up "$unit"; done
  systemctl start redial-senders.target
}

enable_units() {
  wanted=$(list_enabled_senders | grep -c . || true)
  [ "$wanted" -gt 0 ] || wanted=2
  wanted=${senders:-$wanted}
  number=0
  while [ $number -lt "$wanted" ]; do
    number=$((number + 1))
    systemd_does enable "redial-sender@$number.service"
  done
  systemd_does enable redial-senders.target
  for unit in $extra; do systemd_does enable "$unit"; done
  [ -n "$senders" ] || return 0
  for unit in $(list_enabled_senders); do
    number=${unit#redial-sender@}
    [ "${number%.service}" -gt "$senders" ] || continue
    say "$unit: disable${start:+, and stop after it has finished what it is sending}"
    systemd_does disable ${start:+--now} "$unit"
  done
}

# --- A version -------------------------------------------------------------------------------------------------------

sources='package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json producer sender monitor shared scripts/commands deploy/systemd'

list_versions() {
  for folder in "$home"/*/dist; do
    folder=${folder%/dist}
    if [ -d "$folder" ] && [ ! -L "$folder" ]; then basename "$folder"; fi
  done
}

# The version of the package, and a fingerprint of the sources it is built from.
name_version() {
  number=$(sed -n 's/^  "version": "\([^"]*\)".*/\1/p' package.json)
  # shellcheck disable=SC2086 # one argument for each
  hash=$(find $sources .env -type f ! -name '*.test.ts' -print | LC_ALL=C sort | while IFS= read -r file; do
    sha256sum "$file"
  done | sha256sum | cut -c1-8)
  say "$number-$hash"
}

# The names that the units load as credentials.
list_secrets() { # FOLDER
  sed -n 's/^LoadCredential=\([A-Z_]*\):.*/\1/p' "$1"/*.service | sort -u
}

# The settings for /etc/redial: all of .env, commented out, without what units and secret files say.
render_settings() {
  secrets=$(list_secrets "$1" | tr '\n' ' ')
  say '# Settings of the Redial services. Take away the # in front of a name to set it, and run install.sh again:'
  say "#   $prefix/current/deploy/systemd/install.sh"
  say '# Each setting stands here with its default. Secrets are files in /etc/redial/credentials, named like the setting.'
  awk -v secrets=" $secrets" '
    BEGIN { RS = ""; FS = "\n" }
    NR == 1 { next }
    { name = $NF; sub(/^# /, "", name); sub(/=.*/, "", name); sub(/; here the embedded server.*/, "", $1) }
    name == "HEARTBEAT_FILE" { next }
    index(secrets, " " name " ") { printf "\n%s\n# %s: in the file /etc/redial/credentials/%s\n", $1, name, name; next }
    name == "AWS_ENDPOINT_URL" { printf "\n%s\n# %s=\n", $1, name; next }
    { sub(/^# /, "", $NF); printf "\n%s\n# %s\n", $1, $NF }
  ' .env
}

build() { # VERSION
  staging=$home/.building
  rm -rf "$staging"
  trap 'rm -rf "$staging"' EXIT
  trap 'exit 1' HUP INT TERM
  mkdir -p "$staging/deploy" "$staging/scripts"
  for part in $sources; do cp -R "$part" "$staging/$part"; done
  render_settings deploy/systemd >"$staging/deploy/systemd/redial.env"
  cd "$staging"
  say 'npm ci: the packages to build with'
  run_npm ci --include=dev
  say 'npm run build'
  "$(command -v node || say "$node")" scripts/commands/build.js
  say 'npm prune: packages of production alone'
  run_npm prune --omit=dev
  rm -rf producer sender monitor shared tsconfig.json tsconfig.build.json .redial
  find . -name '*.map' -path './dist/*' -delete
  chmod -R u=rwX,go=rX .
  [ "$(id -u)" != 0 ] || chown -R 0:0 .
  cd "$here"
  mv "$staging" "$home/$1"
  trap - EXIT HUP INT TERM
}

run_npm() { # no script of a package is run
  NODE_ENV='' npm "$@" --ignore-scripts --prefer-offline --no-audit --no-fund --no-progress --loglevel=error >&2 ||
    fail "npm $1 failed: the lines above say why. Nothing that runs was touched."
}

# --- User, settings and secrets --------------------------------------------------------------------------------------

check_node() {
  [ -n "$node" ] || node=$(command -v node) || fail 'Node.js is not there. Redial needs 20.19 or newer: https://nodejs.org'
  case $node in /*) ;; *) fail "--node must be an absolute path, got $node" ;; esac
  [ -n "$root" ] && [ ! -x "$node" ] && return
  found=$("$node" --version 2>/dev/null) || fail "$node is no Node.js"
  "$node" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exitCode = a > 20 || (a === 20 && b >= 19) ? 0 : 1' ||
    fail "Redial needs Node.js 20.19 or newer, $node is $found: https://nodejs.org"
  PATH=${node%/*}:$PATH
  case $(readlink -f "$node") in
  /home/* | /root/* | /run/user/*) fail "$node is in somebody's home, where services cannot look. Install Node.js for all users, or name another one with --node." ;;
  esac
}

make_user() {
  if ! grep -q '^redial:' "$root/etc/passwd" 2>/dev/null; then
    if [ "$(id -u)" != 0 ] || [ ! -e "$root/etc/passwd" ]; then
      say 'user redial: not made, for want of rights or of /etc/passwd'
      return
    fi
    say 'user redial: made'
    useradd ${root:+--prefix "$root"} --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin redial
  fi
  [ -n "$root" ] || setpriv --reuid=redial --regid=redial --clear-groups "$node" --version >/dev/null 2>&1 ||
    fail "the user redial cannot run $node: install Node.js where all users may, or name another one with --node"
}

make_settings() { # FOLDER
  mkdir -p "$etc/credentials"
  chmod 700 "$etc/credentials"
  if [ ! -e "$etc/redial.env" ]; then
    say "$etc/redial.env: made, with every setting as a comment"
    cp "$1/redial.env" "$etc/redial.env.new"
    chmod 640 "$etc/redial.env.new"
    group=$(awk -F: '$1 == "redial" { print $3 }' "$root/etc/group" 2>/dev/null || true)
    [ "$(id -u)" != 0 ] || chown "0:${group:-0}" "$etc/redial.env.new"
    mv "$etc/redial.env.new" "$etc/redial.env"
  fi
  list_secrets "$1" | while read -r name; do
    [ -e "$etc/credentials/$name" ] || (umask 077 && : >"$etc/credentials/$name")
  done
}

# --- All of it -------------------------------------------------------------------------------------------------------

remove_all() {
  for unit in $(list_enabled) redial-senders.target; do
    [ -e "$units/$unit" ] || [ -e "$units/${unit%%@*}@.service" ] || continue
    say "$unit: stop and disable"
    systemd_does disable ${is_live:+--now} "$unit"
  done
  # Also those that somebody started without enabling them.
  [ -z "$is_live" ] || systemctl stop 'redial-sender@*.service' redial-monitor.service redial-api.service 2>/dev/null || true
  rm -f "$units"/redial-sender@.service "$units"/redial-monitor.service "$units"/redial-api.service "$units"/redial-senders.target "$command"
  [ -z "$is_live" ] || systemctl daemon-reload
  list_versions | while read -r version; do rm -rf "${home:?}/$version"; done
  rm -rf "$home/.building"
  rm -f "$home/current" "$home/.lock"
  rmdir "$home" 2>/dev/null || true
  [ -n "$purge" ] || { say "Removed. Settings and secrets are still in $etc, logs in the journal."; return; }
  rm -rf "$etc" "$root/var/log/redial"
  if grep -q '^redial:' "$root/etc/passwd" 2>/dev/null; then userdel ${root:+--prefix "$root"} redial; fi
  say 'Removed, with settings, secrets and the user redial.'
}

install_version() {
  check_node
  version=$installed
  if [ -z "$installed" ]; then
    cd "$source"
    command -v npm >/dev/null || fail 'npm is not there: it comes with Node.js'
    version=$(name_version)
    if [ -e "$home/$version" ]; then say "$prefix/$version: is there already"; else build "$version"; say "$prefix/$version: built"; fi
  fi
  make_user
  make_settings "$home/$version/deploy/systemd"
  before=$(readlink "$home/current" 2>/dev/null || true)
  if [ "$before" = "$version" ]; then before=''; else
    ln -sfn "$version" "$home/current.new"
    mv -T "$home/current.new" "$home/current"
  fi
  write_units "$home/$version/deploy/systemd"
  enable_units
  [ -z "$start" ] || bring_all_up
  say "Redial $version is installed${start:+ and runs}: $(list_enabled | tr '\n' ' ')"
  if [ -n "$before" ]; then say "Back to the version before: $prefix/$before/deploy/systemd/install.sh"; fi
}

mkdir -p "$home"
exec 9>>"$home/.lock"
flock --nonblock 9 || fail 'another install.sh is at work'
if [ -n "$uninstall" ]; then remove_all; else install_version; fi
