#!/bin/sh
# Starts the proxy for the program MOD_NAME in the volume, in the way that
# FUNC_HANDLER names:
#
#   stdin   the program runs once for every call
#   http    the program is a server on 127.0.0.1, port $PORT
set -eu

program=${KUBELESS_INSTALL_VOLUME:-/kubeless}/$MOD_NAME
# What comes out of a ConfigMap is not executable.
[ -x "$program" ] || chmod u+x "$program"

# The proxy reads the quotes in FUNC_PROCESS.
# shellcheck disable=SC2089,SC2090
case $FUNC_HANDLER in
stdin)
    export FUNC_UPSTREAM=unix FUNC_PROCESS="/usr/local/lib/kubeless/worker '$program'"
    export FUNC_WORKER_CONCURRENCY="${FUNC_WORKER_CONCURRENCY:-64}"
    ;;
http)
    export PORT=8090
    export FUNC_UPSTREAM="127.0.0.1:$PORT" FUNC_PROCESS="'$program'"
    ;;
*)
    echo "the handler is $MOD_NAME.$FUNC_HANDLER: it must be $MOD_NAME.stdin or $MOD_NAME.http" >&2
    exit 2
    ;;
esac
exec /proxy
