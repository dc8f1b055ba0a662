#!/bin/sh
# Makes an Amazon Linux 2023 instance a running Redial, and tells CloudFormation how that ended.
#
# The stack hands this file to the instance, which runs it as root when it starts for the first time. It stays there as
# the command redial-setup: run again, it brings the instance to what the stack says by then (another version, more
# senders), rolls the senders one after the other, and changes nothing where there is nothing to change.
#
# REDIAL_STACK and REDIAL_REGION say which stack. All else is in the SSM parameter /redial/<stack>/settings.
set -eu

RABBITMQ_VERSION='4.3*'
NODE_VERSION=24

etc=/etc/redial
say() { printf 'redial-setup: %s\n' "$*"; }
fail() { printf 'redial-setup: %s\n' "$*" >&2; exit 1; }

# --- Which stack, and what it says -----------------------------------------------------------------------------------

know_stack() {
  is_first=''
  if [ -n "${REDIAL_STACK:-}" ]; then
    is_first=yes
    mkdir -p "$etc"
    printf "REDIAL_STACK='%s'\nREDIAL_REGION='%s'\n" "$REDIAL_STACK" "$REDIAL_REGION" >"$etc/stack"
    install -m 755 "$0" /usr/local/sbin/redial-setup
  fi
  [ -e "$etc/stack" ] || fail "nobody said which stack this is: $etc/stack is not there"
  # shellcheck source=/dev/null
  . "$etc/stack"
  export AWS_REGION="$REDIAL_REGION" AWS_DEFAULT_REGION="$REDIAL_REGION"
}

end() {
  code=$?
  rm -rf "${work:-}"
  [ -z "$is_first" ] || /opt/aws/bin/cfn-signal --exit-code "$code" --stack "$REDIAL_STACK" --resource Instance \
    --region "$REDIAL_REGION" --reason 'See /var/log/cloud-init-output.log on the instance' || true
  [ "$code" = 0 ] || say "ended with $code: the lines above say why. Run redial-setup to try again."
}

get_parameter() { # NAME
  aws ssm get-parameter --name "/redial/$REDIAL_STACK/$1" --with-decryption --query Parameter.Value --output text
}

read_settings() {
  # The rights of a new role take a moment to be known everywhere.
  tries=0
  until get_parameter settings >"$work/settings"; do
    tries=$((tries + 1))
    [ $tries -lt 12 ] || fail "the settings of the stack cannot be read"
    sleep 5
  done
  while IFS='=' read -r name value; do
    case $name in
    SOURCE_URL) source_url=$value ;;
    SOURCE_VERSION) source_version=$value ;;
    SENDERS) senders=$value ;;
    RABBITMQ) rabbitmq=$value ;;
    REDIS) redis=$value ;;
    API_RANGE) api_range=$value ;;
    BUCKET) bucket=$value ;;
    esac
  done <"$work/settings"
  say "stack $REDIAL_STACK: $source_url at $source_version, $senders senders, outcomes in $bucket"
}

# --- Packages and the code -------------------------------------------------------------------------------------------

# The repositories of the RabbitMQ team for Amazon Linux 2023: https://www.rabbitmq.com/docs/install-rpm
# Each package and each index must be signed with one of the team's keys.
add_rabbitmq_repositories() {
  keys=https://github.com/rabbitmq/signing-keys/releases/download/3.0
  # shellcheck disable=SC2016 # dnf fills in $basearch
  for part in erlang/el/9/'$basearch' erlang/el/9/noarch rabbitmq/el/9/noarch; do
    printf '[%s]\nname=RabbitMQ team: %s\n' "$(printf %s "$part" | tr -c 'a-z0-9\n' -)" "$part"
    printf 'baseurl=https://yum1.rabbitmq.com/%s\n        https://yum2.rabbitmq.com/%s\n' "$part" "$part"
    printf 'enabled=1\ngpgcheck=1\nrepo_gpgcheck=1\nsslverify=1\n'
    printf 'gpgkey=%s\n       %s\n       %s\n\n' "$keys/rabbitmq-release-signing-key.asc" \
      "$keys/cloudsmith.rabbitmq-erlang.E495BB49CC4BBE5B.key" "$keys/cloudsmith.rabbitmq-server.9F4587F226208342.key"
  done | write /etc/yum.repos.d/rabbitmq.repo 644
}

install_packages() {
  set -- "nodejs$NODE_VERSION" "nodejs$NODE_VERSION-npm" git-core tar diffutils aws-cfn-bootstrap amazon-cloudwatch-agent
  if [ "$rabbitmq" = instance ]; then
    add_rabbitmq_repositories
    set -- "$@" "rabbitmq-server-$RABBITMQ_VERSION"
  fi
  if [ "$redis" = instance ]; then set -- "$@" valkey; fi
  say "packages: $*"
  dnf install --assumeyes --quiet "$@"
}

fetch_source() {
  source=$work/source
  mkdir "$source"
  case $source_url in
  s3://*)
    aws s3 cp --only-show-errors "$source_url" "$work/source.tar.gz"
    printf '%s  %s\n' "$source_version" "$work/source.tar.gz" | sha256sum --check --quiet ||
      fail "$source_url has another SHA-256 than the stack says: $(sha256sum <"$work/source.tar.gz" | cut -c1-64)"
    tar -xzf "$work/source.tar.gz" -C "$source" --strip-components=1 --no-same-owner
    ;;
  *)
    git init --quiet "$source"
    git -C "$source" fetch --quiet --depth 1 "$source_url" "$source_version"
    git -C "$source" checkout --quiet FETCH_HEAD
    ;;
  esac
  [ -e "$source/deploy/systemd/install.sh" ] || fail "$source_url at $source_version is no Redial with deploy/systemd"
  install -m 755 "$source/deploy/aws/user-data.sh" /usr/local/sbin/redial-setup
}

# --- Files and secrets -----------------------------------------------------------------------------------------------

# Writes a file from standard input where it differs from what is there; then $work/changed names it.
write() { # FILE MODE [GROUP]
  mkdir -p "$(dirname "$1")"
  (umask 077 && cat >"$1.new")
  if cmp -s "$1.new" "$1"; then rm "$1.new"; return; fi
  chgrp "${3:-root}" "$1.new"
  chmod "$2" "$1.new"
  mv "$1.new" "$1"
  printf ' %s' "$1" >>"$work/changed"
}

forget_changes() { : >"$work/changed"; }

# A secret file of the services, which is only made where it is empty or not there.
make_secret() { # NAME
  [ -s "$etc/credentials/$1" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' | put_secret "$1"
}

put_secret() { # NAME, its value on standard input
  tr -d '\n' | write "$etc/credentials/$1" 600
}

# Sets a line of redial.env, also where it is a comment so far. What a person set beside it stays.
set_setting() { # NAME VALUE
  awk -v name="$1" -v value="$2" '
    !done && ($0 ~ "^(# )?" name "=") { print name "=" value; done = 1; next }
    { print }
    END { if (!done) print name "=" value }
  ' "$etc/redial.env" | write "$etc/redial.env" 640 redial
}

restart_if_changed() { # UNIT
  systemctl enable --quiet "$1"
  if [ -s "$work/changed" ]; then
    say "$1: restart, because of$(cat "$work/changed")"
    systemctl restart "$1"
  else
    systemctl start "$1"
  fi
}

# --- RabbitMQ and Redis ----------------------------------------------------------------------------------------------

set_up_rabbitmq() {
  make_secret RABBITMQ_PASSWORD
  forget_changes
  write /etc/rabbitmq/rabbitmq.conf 644 <<'TEXT'
# Made by redial-setup. This machine alone reaches it.
listeners.tcp.1 = 127.0.0.1:5672
management.tcp.ip = 127.0.0.1
# No SMS is accepted while less is free: what waits must be able to move.
disk_free_limit.absolute = 2GB
vm_memory_high_watermark.relative = 0.4
TEXT
  # The node keeps its name, and so its data, on another machine.
  write /etc/rabbitmq/rabbitmq-env.conf 644 <<'TEXT'
NODENAME=rabbit@localhost
export ERL_EPMD_ADDRESS=127.0.0.1
SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
TEXT
  write /etc/rabbitmq/advanced.config 644 <"$source/deploy/rabbitmq/advanced.config"
  echo '[rabbitmq_management].' | write /etc/rabbitmq/enabled_plugins 644
  restart_if_changed rabbitmq-server
  rabbitmqctl --quiet await_startup
  users=$(rabbitmqctl --quiet list_users | cut -f1)
  printf '%s\n' "$users" | grep -qx redial ||
    rabbitmqctl --quiet add_user redial <"$etc/credentials/RABBITMQ_PASSWORD" >/dev/null
  rabbitmqctl --quiet set_permissions redial '.*' '.*' '.*'
  rabbitmqctl --quiet set_user_tags redial monitoring
  if printf '%s\n' "$users" | grep -qx guest; then rabbitmqctl --quiet delete_user guest; fi
}

# Valkey is what Amazon Linux 2023 has of Redis.
set_up_redis() {
  make_secret REDIS_PASSWORD
  forget_changes
  {
    echo '# Made by redial-setup. Full is an error, for which the recorders wait; nothing is forgotten.'
    echo 'bind 127.0.0.1'
    echo 'appendonly yes'
    echo 'maxmemory-policy noeviction'
    awk '/^MemTotal:/ { printf "maxmemory %dmb\n", $2 / 4096 }' /proc/meminfo
    printf 'requirepass %s\n' "$(cat "$etc/credentials/REDIS_PASSWORD")"
  } | write /etc/valkey/redial.conf 640 valkey
  { sed '/^include \/etc\/valkey\/redial.conf$/d' /etc/valkey/valkey.conf && echo 'include /etc/valkey/redial.conf'; } |
    write /etc/valkey/valkey.conf 640 valkey
  restart_if_changed valkey
}

# --- Redial itself ---------------------------------------------------------------------------------------------------

run_installer() {
  "$source/deploy/systemd/install.sh" --node "/usr/bin/node-$NODE_VERSION" --senders "$senders" --monitor --api "$@"
}

set_up_redial() {
  [ -e "$etc/redial.env" ] || run_installer --no-start
  set_setting AWS_REGION "$REDIAL_REGION"
  set_setting S3_BUCKET "$bucket"
  if [ "$rabbitmq" = instance ]; then
    set_setting RABBITMQ_HOST 127.0.0.1
    set_setting RABBITMQ_USER redial
    set_up_rabbitmq
    put_secret RABBITMQ_URL </dev/null
  else
    get_parameter rabbitmq-url | put_secret RABBITMQ_URL
  fi
  if [ "$redis" = instance ]; then
    set_setting REDIS_HOST 127.0.0.1
    set_up_redis
    put_secret REDIS_URL </dev/null
  else
    get_parameter redis-url | put_secret REDIS_URL
  fi
  if [ -z "$api_range" ]; then
    set_setting API_HOST 127.0.0.1
  else
    set_setting API_HOST 0.0.0.0
    make_secret API_TOKEN
  fi
  # The CloudWatch agent reads files. The journal has the same lines.
  set_setting LOG_FILE /var/log/redial/redial.log
  run_installer
}

# --- What CloudWatch is told -----------------------------------------------------------------------------------------

set_up_watching() {
  agent=/opt/aws/amazon-cloudwatch-agent
  forget_changes
  sed "s|STACK|$REDIAL_STACK|" "$source/deploy/aws/cloudwatch-agent.json" | write "$agent/etc/redial.json" 644
  [ ! -s "$work/changed" ] || "$agent/bin/amazon-cloudwatch-agent-ctl" -a fetch-config -m ec2 -s -c "file:$agent/etc/redial.json"
}

# --- All of it -------------------------------------------------------------------------------------------------------

know_stack
trap end EXIT
exec 8>/run/redial-setup.lock
flock --nonblock 8 || fail 'another redial-setup is at work'
umask 022
work=$(mktemp -d /var/tmp/redial-setup.XXXXXX)
read_settings
install_packages
fetch_source
# First, so that CloudWatch has the log of a start that fails.
set_up_watching
set_up_redial
# The audit asks RabbitMQ, Redis and S3. Later it would read all of a history that may be long.
/usr/local/bin/redial monitor "$([ -n "$is_first" ] && echo --audit || echo --once)"
say 'Redial runs'
