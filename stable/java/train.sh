#!/bin/sh
# Makes worker.jsa, the archive of the classes that the worker has loaded when
# it has served a call: reading them from there makes it start faster.
set -eu
export KUBELESS_INSTALL_VOLUME=/train MOD_NAME=HelloGet FUNC_HANDLER=handler FUNC_SOCKET=/tmp/worker.sock

cd /usr/local/lib/kubeless
java -XX:ArchiveClassesAtExit=worker.jsa -cp /usr/local/lib/kubeless/worker.jar Worker &
worker=$!
until [ -S "$FUNC_SOCKET" ]; do
	kill -0 $worker
	sleep 0.1
done
for path in /_health /; do
	perl -MIO::Socket::UNIX -e '
		my ($file, $path) = @ARGV;
		my $worker = IO::Socket::UNIX->new($file) or die "connecting to $file: $!\n";
		print $worker "GET $path HTTP/1.1\r\nEvent-Id: 1\r\nX-Func-Call-Id: 1\r\n\r\n";
		my $status = <$worker>;
		$status =~ /^HTTP.1.1 200 / or die "$path answers $status\n";
	' "$FUNC_SOCKET" "$path"
done
kill $worker
wait $worker || [ $? -eq 143 ] # the exit code of a Java that got SIGTERM
test -s worker.jsa
