#!/bin/bash
# Runs every fuzz test of every module for a while: hack/fuzz.sh 60s
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# fuzz PACKAGE NAME. Go may call the end of the time a failure of the test
# (golang.org/issue/75804), and says then neither which input failed nor where.
fuzz() {
	# Minimizing an input evaluates it many times; a second is enough.
	go -C "$1" test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 1s . </dev/null 2>&1 | tee "$out" && return
	grep -q '^    context deadline exceeded$' "$out" && ! grep -qE 'Failing input written|_test\.go:[0-9]+:|^panic' "$out"
}

git grep -lE '^func Fuzz' -- '*_test.go' | while read -r file; do
	package=$(dirname "$file")
	for name in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "=== $name in $package"
		fuzz "$package" "$name"
	done
done
