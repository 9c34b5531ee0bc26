#!/bin/sh
set -e
cd "$KUBELESS_INSTALL_VOLUME"
go build -o "$KUBELESS_INSTALL_VOLUME/server" .
