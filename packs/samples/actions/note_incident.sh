#!/bin/sh
# Writes a note of an incident: note_incident.sh TITLE REGION SINCE DETAILS
# The note lies under $DEMO_DIR (or a temporary folder); its path is
# printed. Title and time name it, so writing it twice writes one.
set -eu

title=$1 region=$2 since=$3 details=$4
dir=${DEMO_DIR:-${TMPDIR:-/tmp}/hayate-demo}/incidents
mkdir -p "$dir"
name=$(printf '%s-%s' "$since" "$title" | tr -c 'A-Za-z0-9._-' '-' | cut -c 1-120)
note=$dir/${name#.}.md

{
	printf '# %s\n\n' "$title"
	printf -- '- Region: %s\n- Since: %s\n- Status: open\n\n' "$region" "$since"
	printf '%s\n' "$details"
} >"$note.new"
mv "$note.new" "$note"
printf '%s\n' "$note"
