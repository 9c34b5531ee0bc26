#!/bin/bash
# Everything that reads the sources without running them: go vet, golangci-lint,
# go mod tidy, shellcheck, actionlint, the list of licences and, where its database can be reached, govulncheck.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/setup.sh

need shellcheck shellcheck

root=$PWD
tool() { go tool -modfile="$root/hack/tools/go.mod" "$@"; }
failed=

# part NAME COMMAND...: runs one part; the others run all the same.
part() {
	local name=$1
	shift
	"$@" || { say "$name failed"; failed=yes; }
}

# vulnerabilities FOLDER: govulncheck exits with 3 where it found some, and with
# 1 where it could not look.
vulnerabilities() {
	local out status=0
	out=$(cd "$1" && tool govulncheck ./... 2>&1) || status=$?
	case $status in
	0) ;;
	3) echo "$out"; return 1 ;;
	*)
		if grep -q 'fetching vulnerabilities' <<<"$out"; then
			say "not checked for known vulnerabilities: the database cannot be reached: $(tail -n 1 <<<"$out")"
			return 0
		fi
		echo "$out"
		return 1
		;;
	esac
}

scripts() {
	local files
	mapfile -t files < <(git grep -lE '^#!.*(ba)?sh$' -- . ':!*testdata*' ':!*.md')
	shellcheck -x -S warning "${files[@]}"
}

for module in . proxy; do
	part "go vet in $module" go -C "$module" vet -tags e2e ./...
	part "golangci-lint in $module" bash -c "cd '$module' && go tool -modfile='$root/hack/tools/go.mod' golangci-lint run -c '$root/.golangci.yml'"
	part "govulncheck in $module" vulnerabilities "$module"
done
# An example's module is completed where it is deployed.
while read -r file; do
	part "go mod tidy in $(dirname "$file")" go -C "$(dirname "$file")" mod tidy -diff
done < <(git ls-files go.mod '*/go.mod' ':!*/examples/*')
# It is claimed to compile, with its tests; nothing here runs them.
for system in windows darwin; do
	part "go vet for $system" env GOOS=$system go vet ./cmd/... ./internal/... ./pkg/...
done
part shellcheck scripts
part actionlint go tool -modfile=hack/actionlint/go.mod actionlint
part "THIRD_PARTY_NOTICES (make notices writes it)" cmp <(make -s print-notices) THIRD_PARTY_NOTICES
[ -z "$failed" ]
