#!/bin/sh
# Installs the emulator of the tests into tests/aws/target/venv. Needs Python 3.10
# or later with venv; does nothing when it is there.
set -eu
cd "$(dirname "$0")"
venv=target/venv
version=1.5.33
if [ -f "$venv/$version" ]; then
	exit 0
fi
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/pip" install -q --disable-pip-version-check "ministack==$version"
touch "$venv/$version"
