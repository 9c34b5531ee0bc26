#!/bin/sh
# The phases of a Go function before it runs:
#
#   go-function install   downloads the modules that it needs
#   go-function compile   compiles it into its server, kubeless-worker
#
# Errors go to stderr and, for Kubernetes to show, to the termination log.
set -eu

volume=${KUBELESS_INSTALL_VOLUME:-/kubeless}
# What installation leaves for compilation: go.mod, go.sum and the modules.
state=$volume/.go
export GOMODCACHE="$state/mod" GOCACHE=/tmp/go-cache
export GOFLAGS="${GOFLAGS-} -modfile=$state/go.mod -modcacherw"

# What is compiled in the image is used from there: Go wants a cache that it can
# write to, and removes what it takes for old unless it just did so.
if [ ! -d "$GOCACHE" ]; then
    cp -rs /usr/local/lib/kubeless/cache "$GOCACHE"
    date +%s >"$GOCACHE/trim.txt"
fi

# run COMMAND…: as it is, with its errors in the termination log too.
run() {
    if "$@" 2>"$state/errors"; then
        cat "$state/errors" >&2
        return
    else
        status=$?
    fi
    cat "$state/errors" >&2
    # Kubernetes keeps the last 4096 bytes; the first errors say more.
    head -c 4096 "$state/errors" >/dev/termination-log || true
    exit "$status"
}

refuse() {
    echo "$1" >&2
    return 1
}

# The go.mod that is used: the user's, or one of a function without, that finds
# the package functions in this image. The user's own stays as it is: its
# checksum is compared when installation is tried again.
wire() {
    mkdir -p "$state"
    if [ -s go.mod ]; then
        cp go.mod "$state/go.mod"
    else
        printf 'module function\n\ngo %s\n' "$KUBELESS_GO" >"$state/go.mod"
        : >go.mod # marks the module's root
    fi
    if [ -f go.sum ]; then cp go.sum "$state/go.sum"; fi
    run env GOFLAGS= go mod edit -require=github.com/kubeless/kubeless@v0.0.0 \
        -replace=github.com/kubeless/kubeless=/usr/local/lib/kubeless/module "$state/go.mod"
}

# The server's main package, which imports the user's.
generate() {
    case ${KUBELESS_FUNC_NAME-} in
    '' | [!A-Z]* | *[!A-Za-z0-9_]*) run refuse "the function's name, \"${KUBELESS_FUNC_NAME-}\", is not one that a Go package can export: it begins with a capital letter" ;;
    esac
    package=$(go list -e -f '{{.Name}} {{.ImportPath}}' . 2>/dev/null) || package=
    case $package in
    main\ *) run refuse "the function is in package main; it must be in package kubeless" ;;
    esac
    cat >"$state/main.go" <<MAIN
package main

import (
	kubeless "${package#* }"

	"github.com/kubeless/kubeless/pkg/worker"
)

func main() { worker.Serve(kubeless.$KUBELESS_FUNC_NAME) }
MAIN
}

# Errors in the main package tell what the user's lacks: its files are named.
build() {
    go build -tags timetzdata -ldflags='-s -w' -o kubeless-worker "$state/main.go" 2>"$state/build" && return
    status=$?
    files=$(go list -e -f '{{join .GoFiles ", ./"}}' .)
    want="func $KUBELESS_FUNC_NAME(event functions.Event, context functions.Context) (string, error)"
    sed "/^\.go\/main\.go:/ { s|[^ ]*|./$files:|; s/kubeless\.$KUBELESS_FUNC_NAME/$KUBELESS_FUNC_NAME/; s/ as worker.Function .*//; s/\$/; what is called is $want/; }" "$state/build" >&2
    return "$status"
}

cd "$volume"
case ${1-} in
install)
    wire
    run go list -deps . >/dev/null
    ;;
compile)
    if [ ! -f "$state/go.mod" ]; then wire; fi
    generate
    run build
    rm -rf "$state"
    ;;
*)
    echo "usage: go-function install|compile" >&2
    exit 2
    ;;
esac
