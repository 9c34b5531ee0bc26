#!/bin/sh
# Compiles the function in the volume. Without a pom.xml (a function without
# dependencies has an empty one) javac puts the classes beside the sources;
# with one, Maven puts jars into lib. What they print is on stderr, and what
# went wrong in the container's termination message.
set -u
volume=${KUBELESS_INSTALL_VOLUME:-/kubeless}
message=/dev/termination-log
work=$(mktemp -d) || exit
trap 'rm -rf "$work"' EXIT

with_javac() {
	find "$volume" -name '*.java' ! -path '*/src/test/*' >"$work/sources"
	sed 's/[\\"]/\\&/g; s/.*/"&"/' "$work/sources" >"$work/arguments"
	javac -J-XX:TieredStopAtLevel=1 -J-XX:+UseSerialGC -encoding UTF-8 -proc:none \
		-cp "/opt/kubeless/params.jar:$volume/lib/*" -d "$volume" "@$work/arguments"
}

# UID 1000 has no entry in /etc/passwd, so Java would not know its home.
with_maven() {
	cd "$volume" || return
	MAVEN_OPTS="-Duser.home=$HOME -XX:TieredStopAtLevel=1 ${MAVEN_OPTS-}" \
		mvn --batch-mode --no-transfer-progress -Dmaven.repo.local.tail=/opt/kubeless/repository package
}

# A pipe has the exit code of its last command: the compiler's goes by a file.
{
	if [ -s "$volume/pom.xml" ]; then with_maven; else with_javac; fi
	echo $? >"$work/status"
} 2>&1 | tee "$work/output" >&2

status=$(cat "$work/status")
if [ "$status" -ne 0 ] && [ -w "$message" ]; then
	grep -v '^\[INFO\]' "$work/output" | head -c 4096 >"$message"
fi
exit "$status"
