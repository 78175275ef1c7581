#!/bin/bash
# Peers for the benchmarks: drives the harness in ../shared/bench/durable, which has
# a driver for each. Nothing of it is copied; what it needs is built in a cache.
#
#   peers.sh prepare HARNESS  builds what can be built, starts PostgreSQL, and prints
#                             the file that HAYATE_BENCH_PEERS wants
#   peers.sh run ENGINE -w W1 -c 64 -d 4s -out FILE
#   peers.sh syncs ENGINE -w W1 -c 64 -d 4s -out FILE
#   peers.sh stop             stops PostgreSQL
#
# PEERS names the engines; the default leaves out Temporal, which takes minutes to
# build and is far behind the others. What is missing is said and left out.
set -u
self=$(realpath "$0")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hayate/peers
export BIN=$cache/bin DATA=$cache/data PGDATA=$cache/data/pg
export RESTATE=$cache/npm/node_modules/@restatedev/restate-server-linux-x64/bin/restate-server
peers=${PEERS:-"restate dbos-pg river-pg go-workflows dbos-sqlite model-sqlite model-wal-delta"}

say() { echo "peers: $*" >&2; }

# asPostgres runs a command of PostgreSQL, which refuses to be run by root.
pgbin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1; }
asPostgres() { if [ "$(id -u)" = 0 ]; then su postgres -c "$*"; else bash -c "$*"; fi; }

postgres() {
  local bin; bin=$(pgbin)
  [ -n "$bin" ] && command -v psql >/dev/null || { say "PostgreSQL is missing (on Debian: postgresql)"; return 1; }
  psql -qAt -h 127.0.0.1 -p 15432 -U bench postgres -c 'select 1' >/dev/null 2>&1 && return
  if [ ! -f "$PGDATA/PG_VERSION" ]; then
    # The server's user must reach its folder.
    PGDATA=$(mktemp -d /tmp/hayate-peers-pg.XXXXXX) || return 1
    ln -sfn "$PGDATA" "$DATA/pg"
    [ "$(id -u)" = 0 ] && chown postgres "$PGDATA"
    asPostgres "$bin/initdb -D $PGDATA -A trust -U bench" >"$DATA/pg.log" 2>&1 || { say "initdb: see $DATA/pg.log"; return 1; }
    cat >>"$PGDATA/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = 15432
unix_socket_directories = '$PGDATA'
shared_buffers = 512MB
max_connections = 200
max_wal_size = 4GB
CONF
  fi
  PGDATA=$(realpath "$PGDATA")
  asPostgres "$bin/pg_ctl -D $PGDATA -l $PGDATA/log -w start" >>"$DATA/pg.log" 2>&1 || { say "PostgreSQL does not start: see $PGDATA/log"; return 1; }
}

# build builds the harness's driver in a folder under a name, unless it is there.
build() {
  [ -x "$BIN/$2" ] && return
  say "building $2"
  (cd "$harness/$1" && go build -o "$BIN/$2" .) >"$DATA/build-$2.log" 2>&1 || { say "$2 cannot be built: see $DATA/build-$2.log"; return 1; }
}

restate() {
  build restate restate-bench || return 1
  [ -x "$RESTATE" ] && return
  command -v npm >/dev/null || { say "Restate is missing: npm installs it"; return 1; }
  say "installing Restate"
  (mkdir -p "$cache/npm" && cd "$cache/npm" && npm init -y && npm install @restatedev/restate-server@1.7.12) >"$DATA/npm.log" 2>&1
  [ -x "$RESTATE" ] || { say "Restate cannot be installed: see $DATA/npm.log"; return 1; }
}

temporal() {
  [ -x "$BIN/temporal-server" ] && [ -x "$BIN/temporal-bench" ] && return
  say "building Temporal"
  (cd "$harness/temporal" && go build -o "$BIN/temporal-server" ./server && go build -o "$BIN/temporal-bench" ./bench) >"$DATA/build-temporal.log" 2>&1 ||
    { say "Temporal cannot be built: see $DATA/build-temporal.log"; return 1; }
}

prepare() {
  harness=$(realpath "$1")
  mkdir -p "$BIN" "$DATA" && echo "$harness" >"$cache/harness" && : >"$cache/peers.jsonl" || exit 1
  for e in $peers; do
    local name= syncs=true bound=false
    case $e in
    restate) name="Restate 1.7.12, HTTP"; restate || continue ;;
    dbos-pg) name="DBOS Go 1.2 on PostgreSQL"; build dbos dbos-bench && postgres || continue ;;
    dbos-sqlite) name="DBOS Go 1.2 on SQLite (syncs no step)"; syncs=false; build dbos dbos-bench || continue ;;
    river-pg) name="River 0.51, chain on PostgreSQL"; build river river-bench && postgres || continue ;;
    go-workflows) name="go-workflows 1.2 on SQLite"; build goworkflows goworkflows || continue ;;
    temporal-wal) name="Temporal 1.32 on SQLite"; temporal || continue ;;
    model-*) name="model: ${e#model-}"; bound=true; build model model || continue ;;
    *) say "no peer $e"; continue ;;
    esac
    echo "{\"name\":\"$name\",\"engine\":\"$e\",\"syncs\":$syncs,\"bound\":$bound,\"command\":[\"$self\",\"run\",\"$e\"],\"count\":[\"$self\",\"syncs\",\"$e\"]}" >>"$cache/peers.jsonl"
  done
  echo "$cache/peers.jsonl"
}

# options reads the arguments of run and syncs.
options() {
  e=$1; shift
  w=W1 c=64 d=4s OUT=/dev/stdout
  while [ $# -gt 1 ]; do
    case $1 in -w) w=$2 ;; -c) c=$2 ;; -d) d=$2 ;; -out) OUT=$2 ;; esac
    shift 2
  done
  export OUT D=$d WARM=1s QUIET=1 CASES=$w:$c
  harness=$(cat "$cache/harness")
  PGDATA=$(realpath -m "$PGDATA")
}

run() {
  options "$@"
  case $e in
  model-*) rm -rf "$DATA/model"
    "$BIN/model" -store "${e#model-}" -variant "$e" -w "$w" -c "$c" -d "$d" -warm 500ms -data "$DATA/model" -out "$OUT" >/dev/null ;;
  *) "$harness/run.sh" "$e" 1 ;;
  esac
}

syncs() {
  options "$@"
  "$harness/syncs.sh" "$e" "$w" "$c" >/dev/null
}

case ${1:-} in
prepare | run | syncs) "$@" ;;
stop) PGDATA=$(realpath -m "$PGDATA"); [ ! -f "$PGDATA/postmaster.pid" ] || asPostgres "$(pgbin)/pg_ctl -D $PGDATA -m fast stop" >/dev/null ;;
*) sed -n '2,14s/^# \{0,1\}//p' "$self"; exit 2 ;;
esac
