# Does what its data says, for the checks of the contract: docs/CONTRACT.md has all.

# member NAME is the value of a member of the data.
member() {
	sed -n 's/.*"'"$1"'":"\{0,1\}\([^",}]*\).*/\1/p' "$data"
}

handler() {
	data=$(mktemp)
	trap 'rm -f "$data"' EXIT
	cat >"$data"
	if [ ! -s "$data" ]; then
		printf 'hello world'
		return
	fi
	case $(head -c 1 "$data" | tr -d '\0') in
	'{') act "$(member do)" ;;
	*) cat "$data" ;;
	esac
}

act() {
	case $1 in
	'') cat "$data" ;;
	echo) sed -n 's/.*"value":\(.*\)}$/\1/p' "$data" | sed 's/^"\(.*\)"$/\1/' ;;
	event) printf '{"event-id":"%s","event-type":"%s","event-time":"%s","event-namespace":"%s"}' "$EVENT_ID" "$EVENT_TYPE" "$EVENT_TIME" "$EVENT_NAMESPACE" ;;
	context) printf '{"function-name":"%s","timeout":"%s","runtime":"%s","memory-limit":"%s"}' "$FUNC_HANDLER" "$FUNC_TIMEOUT" "$FUNC_RUNTIME" "$FUNC_MEMORY_LIMIT" ;;
	sleep) sleep "$(member seconds)" && printf slept ;;
	spin) while :; do :; done ;;
	fail)
		echo "contract: failing on purpose" >&2
		return 1
		;;
	exit) exit 3 ;;
	crash) kill -KILL $$ ;;
	big) head -c "$(member bytes)" /dev/zero | tr '\0' x ;;
	bytes) for n in $(seq 0 255); do printf "\\$(printf %o "$n")"; done ;;
	write) if (: >"$(member path)") 2>/dev/null; then printf written; else printf refused; fi ;;
	*)
		echo "contract: do what? $1" >&2
		return 1
		;;
	esac
}
