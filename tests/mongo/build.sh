#!/usr/bin/env bash
# Fetches the jars and compiles the test server:  build.sh DIRECTORY
# Leaves DIRECTORY/lib and DIRECTORY/classes; does nothing when they are newer than the sources. Safe from several at once.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
exec 9>"$out/lock"
flock 9
if [ -f "$out/done" ] && [ "$out/done" -nt "$here/pom.xml" ] && [ "$out/done" -nt "$here/TestMongo.java" ]; then exit 0; fi
mvn -q -B -ntp -f "$here/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DoutputDirectory="$out/lib"
mkdir -p "$out/classes"
javac -cp "$out/lib/*" -d "$out/classes" "$here/TestMongo.java"
touch "$out/done"
