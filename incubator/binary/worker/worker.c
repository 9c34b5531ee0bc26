// Runs a program for every call: the binary runtime's worker.
//
//	worker PROGRAM
//
// The data is the program's stdin, the event is in its environment, its stdout
// is the answer. Calls come as HTTP/1.1 on the Unix socket FUNC_SOCKET, several
// at once; the only client is the proxy. Each connection has a thread.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "calls.h"
#include "program.h"

static const char *program;
static int listener;

static bool answer(struct connection *c, struct request *r) {
	const char *id = header(r, "x-func-call-id");
	struct buffer nothing = {0}, body = {0};
	bool open;
	if (!strcmp(r->path, "/_health"))
		open = respond(c, r, 200, "X-Func-Cancel: 1\r\n", &nothing);
	else if (!strcmp(r->path, "/_cancel")) {
		cancel(id ? id : "");
		open = respond(c, r, 204, "", &nothing);
	} else if (strlen(r->path) < r->path_length) {
		append_text(&body, "the path has a zero byte, which no variable can hold\n");
		open = respond(c, r, 400, "Content-Type: text/plain; charset=utf-8\r\n", &body);
	} else
		open = run(program, c, r);
	clear(&body);
	return open;
}

static void *serve(void *argument) {
	struct connection c = {.socket = (int)(long)argument};
	struct request r = {0};
	while (read_request(&c, &r) && answer(&c, &r))
		discard(&r);
	discard(&r);
	clear(&c.in);
	close(c.socket);
	return NULL;
}

static void *accept_all(void *argument) {
	(void)argument;
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&small, 256 << 10);
	for (;;) {
		int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		pthread_t thread;
		if (socket < 0)
			usleep(10000); // too many files: some will be closed
		else if (pthread_create(&thread, &small, serve, (void *)(long)socket))
			close(socket);
	}
	return NULL;
}

static void check(bool is_well, const char *what) {
	if (is_well)
		return;
	fprintf(stderr, "serving the program: %s: %s\n", what, strerror(errno));
	exit(1);
}

int main(int count, char **arguments) {
	if (count != 2) {
		fputs("usage: worker PROGRAM\n", stderr);
		return 2;
	}
	program = arguments[1];
	struct stat status;
	check(!stat(program, &status), program);
	errno = EACCES;
	check(S_ISREG(status.st_mode) && !access(program, X_OK), program);

	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("FUNC_SOCKET");
	errno = EINVAL;
	check(path && strlen(path) < sizeof address.sun_path, "FUNC_SOCKET");
	strcpy(address.sun_path, path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(listener >= 0 && !bind(listener, (void *)&address, sizeof address) && !listen(listener, SOMAXCONN), path);

	// All threads leave SIGTERM to this one. A program that does not read its data
	// is no reason to end.
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	signal(SIGPIPE, SIG_IGN);
	pthread_t thread;
	errno = pthread_create(&thread, NULL, accept_all, NULL);
	check(!errno, "starting a thread");
	int received;
	sigwait(&term, &received);
	stop_all();
	return 0;
}
