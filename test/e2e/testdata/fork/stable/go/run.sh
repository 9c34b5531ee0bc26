#!/bin/sh
exec "$KUBELESS_INSTALL_VOLUME/server"
