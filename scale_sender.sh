#!/bin/sh
# Runs exactly N senders on this machine: starts what is missing, stops what is too much.
#
# There are no pid files to go stale. The process title of each sender started here names its log, so the process table
# itself says which of them live, and a number that now belongs to another program fools nobody.
set -eu

usage() {
  cat <<'END'
usage: ./scale_sender.sh N            exactly N local senders; 0 stops all
       ./scale_sender.sh status       which ones run
       ./scale_sender.sh --docker N   the same with Docker Compose
       ./scale_sender.sh --docker status

Logs: sender_logs/sender_instance_<n>.log
A sender that is stopped finishes what it is sending (SIGTERM).
Senders that somebody else started (npx sender, npm start) are neither counted
nor stopped.
While npm start runs in this checkout, senders take its servers and settings.
SENDER_LOGS=FOLDER keeps a set of senders of its own, with its logs there.
END
}

say() { printf '%s\n' "$*" >&2; }
refuse() { say "scale_sender.sh: $1 (./scale_sender.sh --help)"; exit 2; }
fail() { say "scale_sender.sh: $1"; exit 1; }

root=$(cd "$(dirname "$0")" && pwd -P)
fail_to_write() { fail "cannot write in $logs${1:+ ($1)}; SENDER_LOGS=FOLDER names another folder"; } # [REASON]
# Another folder is another set of senders.
logs=${SENDER_LOGS:-$root/sender_logs}
# Logs are for their owner only. A folder that somebody else named and made may serve others too, and stays as it is.
made=$( (umask 077 && mkdir -p "$logs") 2>&1) || fail_to_write "$made"
[ -n "${SENDER_LOGS:-}" ] || chmod go= "$logs" 2>/dev/null || true
logs=$(cd "$logs" && pwd -P)
lock=$logs/.lock
title="node $root/dist/sender/main.js >$logs/sender_instance_"

# --- What runs -------------------------------------------------------------------------------------------------------

# Lines of "pid command line" of all processes that may be ours. Slim images have /proc but no ps, macOS the reverse.
list_processes() {
  if [ -r /proc/self/cmdline ]; then
    # Processes end while they are looked at.
    { grep -lsF -e "$title" /proc/[0-9]*/cmdline || true; } | while IFS=/ read -r _ _ pid _; do
      printf '%s %s\n' "$pid" "$({ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null || true)"
    done
  else
    ps -axww -o pid= -o args= 2>/dev/null || ps -ax -o pid= -o args=
  fi
}

# Lines of "n pid" in the order of n. A sender's command line is its title, or in its first moments the way it was
# started; whatever else holds that text (tail, an editor, grep) does not look like that.
list_senders() {
  list_processes | while read -r pid line; do
    case $line in
    "$title"*.log) number=${line#"$title"} ;;
    *"node --title=$title"*".log $root/dist/sender/main.js") number=${line#*"--title=$title"} ;;
    *) continue ;;
    esac
    number=${number%%.log*}
    case $number in '' | *[!0-9]*) continue ;; esac
    printf '%s %s\n' "$number" "$pid"
  done | sort -n
}

is_running() { list_senders | grep -qx "$1 $2"; } # NUMBER PID

count_lines() { grep -c . || true; }

# --- One at a time ---------------------------------------------------------------------------------------------------

take_lock() {
  # Also where a lock is in the way: it could not be removed.
  [ -w "$logs" ] || fail_to_write
  waited=0 refused=0
  until refusal=$(mkdir "$lock" 2>&1); do
    # Without a lock in the way, the lock has gone this moment, or the disk takes nothing more.
    if [ ! -e "$lock" ]; then
      refused=$((refused + 1))
      [ $refused -lt 5 ] || fail_to_write "$refusal"
      continue
    fi
    owner=$(cat "$lock/pid" 2>/dev/null || true)
    # Who makes the lock writes its number at once; without one for 5 s it died in between.
    if [ -z "$owner" ] && [ $waited -lt 5 ]; then owner=unknown; fi
    is_scaling "$owner" || { remove_dead_lock "$owner"; continue; }
    [ $waited -gt 0 ] || say "another scale_sender.sh is at work (process $owner), waiting for it"
    waited=$((waited + 1))
    sleep 1
  done
  printf '%s\n' $$ >"$lock/pid"
  trap 'rm -rf "$lock"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# Numbers of processes are used again: what has the number now must be this script.
is_scaling() { # PID
  [ "$1" = unknown ] && return
  if [ -r /proc/self/cmdline ]; then
    { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null
  else
    ps -p "$1" -o args= 2>/dev/null
  fi | grep -q scale_sender
}

# Moved away first and looked at again: somebody else may have removed it and taken a new one meanwhile.
remove_dead_lock() { # PID
  aside=$lock.$$
  mv "$lock" "$aside" 2>/dev/null || return 0
  if [ "$(cat "$aside/pid" 2>/dev/null || true)" = "$1" ] || ! mv "$aside" "$lock" 2>/dev/null; then
    rm -rf "$aside"
  fi
}

# --- Start and stop --------------------------------------------------------------------------------------------------

# A sender ends by itself when RabbitMQ does not answer within 30 s.
ready_within_seconds=60

start_sender() { # NUMBER
  log=$logs/sender_instance_$1.log
  heartbeat=$logs/sender_instance_$1.heartbeat
  rm -f "$heartbeat"
  [ ! -e "$log" ] || chmod go= "$log"
  # Senders on one machine cannot share a port: sender n serves its metrics on METRICS_PORT + n - 1.
  case ${METRICS_PORT:-} in '' | 0* | *[!0-9]*) port=${METRICS_PORT:-} ;; *) port=$((METRICS_PORT + $1 - 1)) ;; esac
  # Node.js itself, not npx: the signal that stops it must reach the sender.
  HEARTBEAT_FILE=$heartbeat METRICS_PORT=$port nohup node "--title=$title$1.log" "$root/dist/sender/main.js" </dev/null >>"$log" 2>&1 &
  started="$started $1:$!"
}

# Until each of "n:pid …" is connected to RabbitMQ, which its health file tells.
await_start() {
  left=$((ready_within_seconds * 5))
  for pair in "$@"; do
    number=${pair%%:*} pid=${pair#*:} log=$logs/sender_instance_${pair%%:*}.log absent=0
    until [ -e "$logs/sender_instance_$number.heartbeat" ]; do
      # For a moment it is not yet what it is going to be.
      if is_running "$number" "$pid"; then absent=0; else absent=$((absent + 1)); fi
      [ $absent -lt 10 ] || fail "sender $number ended: $(tail -n 1 "$log")"
      [ $left -gt 0 ] || fail "sender $number runs, but is not connected to RabbitMQ; see $log"
      left=$((left - 1))
      sleep 0.2
    done
  done
}

# The longest that any of the places allows where a sender has its settings from.
shutdown_seconds() {
  [ -z "${SHUTDOWN_TIMEOUT:-}" ] || { printf '%s\n' $((${SHUTDOWN_TIMEOUT%%.*} + 15)); return; }
  longest=$(sed -n 's/^SHUTDOWN_TIMEOUT=\([0-9]\{1,5\}\).*/\1/p' "$root/.env" "$root/.redial/servers.env" 2>/dev/null |
    sort -n | tail -n 1 || true)
  printf '%s\n' $((${longest:-30} + 15))
}

# Drains each of "n:pid …", all at the same time.
stop_senders() {
  for pair in "$@"; do kill -TERM "${pair#*:}" 2>/dev/null || true; done
  left=$(($(shutdown_seconds) * 5))
  for pair in "$@"; do
    while is_running "${pair%%:*}" "${pair#*:}"; do
      [ $left -gt 0 ] || fail "sender ${pair%%:*} (process ${pair#*:}) does not end; see its log, and kill -9 ${pair#*:} if it hangs: its SMS go back to their queues"
      left=$((left - 1))
      sleep 0.2
    done
  done
}

scale_to() { # N
  take_lock
  senders=$(list_senders | tr ' ' ':')
  # 1. The ones with the highest numbers are too many.
  surplus=$(printf '%s\n' "$senders" | grep . | tail -n +"$(($1 + 1))" || true)
  if [ -n "$surplus" ]; then
    say "stopping $(printf '%s\n' "$surplus" | count_lines) of $(printf '%s\n' "$senders" | count_lines) senders, each finishes what it is sending"
    # shellcheck disable=SC2086 # one argument for each
    stop_senders $surplus
  fi
  # 2. The lowest free numbers are missing.
  running=$(list_senders)
  missing=$(($1 - $(printf '%s\n' "$running" | count_lines)))
  if [ "$missing" -gt 0 ]; then
    command -v node >/dev/null || fail "Node.js is not installed"
    node "$root/scripts/commands/build.js" || fail "the senders could not be built"
    cd "$root"
    # From here on nothing is written but logs.
    umask 077
    started='' number=1
    while [ "$missing" -gt 0 ]; do
      if ! printf '%s\n' "$running" | grep -q "^$number "; then
        start_sender "$number"
        missing=$((missing - 1))
      fi
      number=$((number + 1))
    done
    # shellcheck disable=SC2086 # one argument for each
    await_start $started
  fi
  show_status
}

show_status() {
  senders=$(list_senders)
  count=$(printf '%s\n' "$senders" | count_lines)
  printf '%s local sender%s\n' "$count" "$([ "$count" = 1 ] || echo s)"
  [ "$count" = 0 ] || printf '%s\n' "$senders" | while read -r number pid; do
    printf '  sender %s  process %s  %s\n' "$number" "$pid" "$logs/sender_instance_$number.log"
  done
}

# --- The same with Docker Compose ------------------------------------------------------------------------------------

compose() {
  cd "$root"
  if docker compose version >/dev/null 2>&1; then docker compose "$@"
  elif command -v docker-compose >/dev/null; then docker-compose "$@"
  else fail "Docker Compose is not installed"
  fi
}

# --- What is asked for -----------------------------------------------------------------------------------------------

target='' docker=''
for argument in "$@"; do
  case $argument in
  -h | --help) usage; exit 0 ;;
  --docker) docker=yes ;;
  status) [ -z "$target" ] || refuse "one number or status, got $target and $argument"; target=status ;;
  '' | *[!0-9]*) refuse "the number of senders must be a whole number such as 5, got \"$argument\"" ;;
  *)
    [ -z "$target" ] || refuse "one number or status, got $target and $argument"
    [ ${#argument} -le 3 ] || refuse "at most 999 senders, got $argument"
    # Without leading zeros, which would make it octal.
    target=$(printf '%s' "$argument" | sed 's/^0*\(.\)/\1/') ;;
  esac
done

case $docker$target in
'' | yes) refuse "how many senders? Give a number, or status" ;;
status) show_status ;;
yesstatus) compose ps sender ;;
yes*) compose up -d --no-recreate --scale "sender=$target" sender ;;
*) scale_to "$target" ;;
esac
