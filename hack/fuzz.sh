#!/bin/bash
# Runs every fuzz test of every module for a while: hack/fuzz.sh 60s
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}
git grep -lE '^func Fuzz' -- '*_test.go' | while read -r file; do
	package=$(dirname "$file")
	for name in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "=== $name in $package"
		# Minimizing an input evaluates it many times; a second is enough.
		go -C "$package" test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 1s . </dev/null
	done
done
