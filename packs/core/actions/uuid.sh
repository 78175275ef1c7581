#!/bin/sh
# Prints a random UUID of version 4.
set -eu
if [ -r /proc/sys/kernel/random/uuid ]; then
	cat /proc/sys/kernel/random/uuid
else
	uuidgen | tr 'A-F' 'a-f'
fi
