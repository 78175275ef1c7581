#!/bin/sh
# Installs the emulator of the tests into tests/aws/target/venv, and takes Amazon's
# Runtime Interface Emulator out of aws-sam-cli. Needs Python 3.10 or later with
# venv; does nothing when both are there.
set -eu
cd "$(dirname "$0")"
venv=target/venv
version=1.5.33 sam=1.170.0
if [ -f "$venv/$version-$sam" ]; then
	exit 0
fi
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/pip" install -q --disable-pip-version-check "ministack==$version"
"$venv/bin/pip" download -q --disable-pip-version-check --no-deps -d "$venv/sam" "aws-sam-cli==$sam"
"$venv/bin/python" - "$venv"/sam/*.whl target/aws-lambda-rie <<'EOF'
import os, platform, sys, zipfile
arch = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
with open(sys.argv[2], "wb") as out:
    out.write(zipfile.ZipFile(sys.argv[1]).read(f"samcli/local/rapid/aws-lambda-rie-{arch}"))
os.chmod(sys.argv[2], 0o755)
EOF
rm -r "$venv/sam"
touch "$venv/$version-$sam"
