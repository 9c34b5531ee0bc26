#!/bin/sh
# The worker, which serves calls of the function. {{ if .Proxy }}The proxy starts it, and socat{{ else }}The container starts it, and socat{{ end }}
# starts it once more for each connection, which is then its stdin and stdout.
set -u
file=${KUBELESS_INSTALL_VOLUME:-/kubeless}/$MOD_NAME.sh
cr=$(printf '\r')

# The next two are the language's own.

# load ends with an error if the function cannot be loaded, and says why on stderr.
load() {
	# shellcheck source=/dev/null
	sh -n "$file" && (. "$file")
}

# call calls the function once: data on stdin, the answer on stdout, and on stderr
# what it logs, or why it failed.
call() {
	sh -c '. "$0" && "$FUNC_HANDLER"' "$file"
}

# data is the body of a request.
data() {
	if [ -z "$chunked" ]; then
		head -c "$length"
		return
	fi
	while read -r size; do
		size=$((0x${size%%[!0-9a-fA-F]*}))
		[ "$size" -gt 0 ] || break
		head -c "$size"
		read -r _
	done
	while read -r line && [ "$line" != "$cr" ]; do :; done
}

# head_of reads the head of a request, after its first line.
head_of() {
	length=0 chunked=''
	export EVENT_ID='' EVENT_TYPE='' EVENT_TIME='' EVENT_NAMESPACE='' CONTENT_TYPE=''
	while IFS=': ' read -r name value; do
		value=${value%"$cr"}
		case $name in
		"$cr") return ;;
		[Cc]ontent-[Ll]ength) length=$value ;;
		[Tt]ransfer-[Ee]ncoding) chunked=$value ;;
		[Cc]ontent-[Tt]ype) CONTENT_TYPE=$value ;;
		Event-Id) EVENT_ID=$value ;;
		Event-Type) EVENT_TYPE=$value ;;
		Event-Time) EVENT_TIME=$value ;;
		Event-Namespace) EVENT_NAMESPACE=$value ;;
		esac
	done
	exit 0 # the client has gone
}

# answer STATUS HEADER sends $work/answer.
answer() {
	printf 'HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n%s\r\n' \
		"$1" "$(wc -c <"$work/answer")" "$2"
	[ "$REQUEST_METHOD" = HEAD ] || cat "$work/answer"
}

# connection serves the requests of one connection.
connection() {
	work=$(mktemp -d) || exit 1
	trap 'rm -rf "$work"' EXIT
	while read -r REQUEST_METHOD PATH_INFO _; do
		export REQUEST_METHOD PATH_INFO
		head_of
		data >"$work/data"
		: >"$work/answer"
		case $PATH_INFO in
		/_health | /healthz) answer '200 OK' '' ;;
		*)
			if call <"$work/data" >"$work/answer" 2>"$work/log"; then
				cat "$work/log" >&2
				answer '200 OK' ''
			else
				code=$?
				mv "$work/log" "$work/answer"
				answer '500 Internal Server Error' "X-Func-Error: exit code $code$cr
"
			fi
			;;
		esac
	done
}

if [ "${1:-}" = connection ]; then
	connection
	exit
fi
load || exit 1
listen=TCP-LISTEN:${FUNC_PORT:-8080},reuseaddr
[ -z "${FUNC_SOCKET:-}" ] || listen=UNIX-LISTEN:$FUNC_SOCKET
exec socat "$listen,fork,backlog=128" EXEC:"sh $0 connection"
