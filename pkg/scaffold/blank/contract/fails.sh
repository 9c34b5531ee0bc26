echo "contract: cannot load" >&2
exit 1
