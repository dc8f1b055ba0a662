#!/bin/sh
# Tries a built image before it is published: its three commands on a read-only file system without a network, its user,
# and its labels.
#
#   .github/try-image.sh IMAGE REVISION
set -eu
cd "$(dirname "$0")/.."
[ $# -eq 2 ] || { sed -n '5s/^# *//p' "$0" >&2; exit 2; }
image=$1 revision=$2

fail() { printf '%s: %s\n' "$image" "$1" >&2; exit 1; }
run() { docker run --rm --network none --read-only --tmpfs /tmp --cap-drop ALL "$image" "$@"; }
label() { docker image inspect -f "{{index .Config.Labels \"org.opencontainers.image.$1\"}}" "$image"; }

version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
[ "$(label version)" = "$version" ] || fail "the label says version $(label version), package.json $version"
[ "$(label revision)" = "$revision" ] || fail "the label says revision $(label revision) instead of $revision"
[ "$(run id -u)" != 0 ] || fail 'it runs as root'
for command in producer sender monitor; do
  run "$command" --help >/dev/null || fail "$command --help does not work"
done
printf '%s: version %s, %s, the three commands run\n' "$image" "$version" "$(run node -p 'process.arch')"
