#!/bin/sh
# Builds the MongoDB server of the tests into tests/mongo/target/mongo-server.jar.
# Needs a JDK (17 or later) and Maven; does nothing when the jar is up to date.
set -eu
cd "$(dirname "$0")"
jar=target/mongo-server.jar
if [ -f "$jar" ] && [ -z "$(find pom.xml src -newer "$jar" -print -quit)" ]; then
	exit 0
fi
mvn -q -B package
touch "$jar"
