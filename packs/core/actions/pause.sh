#!/bin/sh
# Waits: pause.sh SECONDS RANDOM(0|1).
set -eu
seconds=$1
case $seconds in
'' | *[!0-9]*)
	printf 'max_pause must be a whole number of seconds, found %s\n' "$seconds" >&2
	exit 2
	;;
esac
if [ "${2:-0}" = 1 ] && [ "$seconds" -gt 0 ]; then
	seconds=$(awk -v max="$seconds" 'BEGIN { srand(); printf "%d", rand() * max }')
fi
sleep "$seconds"
printf 'waited %s s\n' "$seconds"
