#!/bin/sh
[ "$EVENT_ID" != sum ] || { printf 'sum '; sha256sum | cut -c -64 | tr -d '\n'; exit; }
[ -n "$EVENT_TYPE" ] || printf 'id %s' "$EVENT_ID"
# NAME=VALUE, as JSON.
[ -z "$EVENT_TYPE" ] || env | sed 's/["\\]//g; s/\([^=]*\)=\(.*\)/,"\1":"\2"/; 1s/^,/{/; $s/$/}/'
