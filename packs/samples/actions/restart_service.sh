#!/bin/sh
# Restarts a service of the demo: restart_service.sh SERVICE HOST REASON
# A service is a file with its state under $DEMO_DIR (or a temporary
# folder), beside a log of what was done to it.
set -eu

service=$1 host=$2 reason=$3
for name in "$service" "$host"; do
	case $name in
	'' | .* | *[!A-Za-z0-9._-]*)
		printf 'not a name: %s\n' "$name" >&2
		exit 2
		;;
	esac
done

dir=${DEMO_DIR:-${TMPDIR:-/tmp}/hayate-demo}/services/$host
mkdir -p "$dir"
state=$dir/$service.state
was=stopped
[ ! -f "$state" ] || was=$(cat "$state")

printf 'running\n' >"$state.new"
mv "$state.new" "$state"
printf '%s restarted (was %s): %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$was" "$reason" >>"$dir/$service.log"

# Proof, not hope: read back what a monitor would see.
[ "$(cat "$state")" = running ] || exit 1
printf '%s on %s is running\n' "$service" "$host"
