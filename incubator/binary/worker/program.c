#define _GNU_SOURCE // pipe2, POLLRDHUP
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"
#include "environment.h"

enum {
	piece = 1 << 14,        // bytes, of a read
	held_at_most = 1 << 16, // bytes of stderr that may wait for the program's end
	left_behind = 100,      // ms that processes which a program left behind may keep its stdout open
	look_again = 10,        // ms, where the kernel does not tell of a process's end
};

static void shut(int *file) {
	if (*file >= 0)
		close(*file);
	*file = -1;
}

static long long now(void) { // in ms
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void write_log(struct buffer *text) {
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER; // lines of several calls are not mixed
	pthread_mutex_lock(&one);
	for (size_t done = 0; done < text->length;) {
		ssize_t n = write(2, text->data + done, text->length - done);
		if (n > 0)
			done += n;
		else if (errno != EINTR)
			break; // a log has nowhere to report to
	}
	pthread_mutex_unlock(&one);
	text->length = 0;
}

// become is the new process until it is the program. It shares the memory of the
// worker, which waits meanwhile, so it calls the system and nothing else.
static void become(const char *program, char **environment, const int files[3], pid_t worker) {
	setpgid(0, 0); // so that all of it can be killed
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != worker)
		_exit(127); // it has ended before
	for (int i = 0; i < 3; i++)
		dup2(files[i], i);
	signal(SIGPIPE, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(program, (char *[]){(char *)program, NULL}, environment);
	const char *why = strerror(errno);
	struct iovec line[] = {{(char *)program, strlen(program)}, {": ", 2}, {(char *)why, strlen(why)}, {"\n", 1}};
	_exit(writev(2, line, 4) < 0 ? 126 : 127);
}

// start starts the program, and sets our ends of its files.
static pid_t start(const char *program, const struct request *r, int files[3]) {
	int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
	struct environment environment = make_environment(r);
	pid_t worker = getpid(), pid = -1;
	if (!pipe2(pipes[0], O_CLOEXEC) && !pipe2(pipes[1], O_CLOEXEC) && !pipe2(pipes[2], O_CLOEXEC)) {
		const int its[] = {pipes[0][0], pipes[1][1], pipes[2][1]};
		pid = vfork();
		if (pid == 0)
			become(program, environment.variables, its, worker);
	}
	int error = errno;
	shut(&pipes[0][0]);
	shut(&pipes[1][1]);
	shut(&pipes[2][1]);
	files[0] = pipes[0][1];
	files[1] = pipes[1][0];
	files[2] = pipes[2][0];
	for (int i = 0; pid < 0 && i < 3; i++)
		shut(&files[i]);
	free_environment(&environment);
	errno = error;
	return pid;
}

// receive appends what there is in a pipe, and closes it at its end.
static void receive(int *file, struct buffer *into) {
	char part[piece];
	ssize_t n = read(*file, part, sizeof part);
	if (n > 0)
		append(into, part, n);
	else if (n == 0 || errno != EINTR)
		shut(file);
}

// send_data writes what a pipe takes, and closes it after the last.
static void send_data(int *file, const struct buffer *data, size_t *sent) {
	if (*sent < data->length) {
		ssize_t n = write(*file, data->data + *sent, data->length - *sent);
		if (n > 0)
			*sent += n;
		else if (errno != EINTR && errno != EAGAIN)
			*sent = data->length; // the program does not want it
	}
	if (*sent == data->length)
		shut(file);
}

static bool has_ended(pid_t pid) {
	siginfo_t info = {0};
	return !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid == pid;
}

// attend is there for a program until it has ended: it gives it the data, takes
// its output, and stops it when the proxy closes the connection. Stderr is held
// back, since the proxy logs it if the program fails; from a program that writes
// much, it passes as it comes.
static void attend(struct call *call, int socket, int files[3], const struct buffer *data, struct buffer *out, struct buffer *errors) {
	int end = syscall(SYS_pidfd_open, call->pid, 0);
	bool passes = false, ended = false;
	size_t sent = 0;
	long long deadline = 0;
	fcntl(files[0], F_SETFL, O_NONBLOCK);
	send_data(&files[0], data, &sent);
	while (!ended || ((files[1] >= 0 || files[2] >= 0) && !call->is_stopped && now() < deadline)) {
		struct pollfd p[] = {{files[0], POLLOUT, 0}, {files[1], POLLIN, 0}, {files[2], POLLIN, 0}, {end, POLLIN, 0}, {socket, POLLRDHUP, 0}};
		poll(p, 5, ended ? deadline - now() : end < 0 ? look_again : -1);
		if (p[0].revents)
			send_data(&files[0], data, &sent);
		if (p[1].revents)
			receive(&files[1], out);
		if (p[2].revents)
			receive(&files[2], errors);
		if (passes || errors->length > held_at_most) {
			passes = true;
			write_log(errors);
		}
		if (p[4].revents) {
			stop(call);
			socket = -1;
		}
		if (!ended && has_ended(call->pid)) {
			ended = true;
			deadline = now() + left_behind;
			shut(&end);
		}
	}
	shut(&end);
	for (int i = 0; i < 3; i++)
		shut(&files[i]);
}

// is_text says whether bytes are UTF-8 (RFC 3629).
static bool is_text(const struct buffer *b) {
	const unsigned char *p = (const unsigned char *)b->data, *end = p + b->length;
	while (p < end) {
		int more = *p < 0x80 ? 0 : *p >= 0xc2 && *p < 0xe0 ? 1 : *p >= 0xe0 && *p < 0xf0 ? 2 : *p >= 0xf0 && *p < 0xf5 ? 3 : -1;
		if (more < 0 || end - p <= more)
			return false;
		if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
			return false; // longer than need be, a surrogate, beyond Unicode
		for (p++; more > 0; more--, p++)
			if ((*p & 0xc0) != 0x80)
				return false;
	}
	return true;
}

static bool fail(struct connection *c, const struct request *r, const char *why, struct buffer *errors) {
	char fields[200];
	if (errors->length && errors->data[errors->length - 1] != '\n')
		append_text(errors, "\n");
	append_text(errors, why);
	append_text(errors, "\n");
	snprintf(fields, sizeof fields, "Content-Type: text/plain; charset=utf-8\r\nX-Func-Error: %s\r\n", why);
	return respond(c, r, 500, fields, errors);
}

bool run(const char *program, struct connection *c, const struct request *r) {
	const char *id = header(r, "x-func-call-id");
	struct call call = {.id = id ? id : ""};
	if (!enter(&call))
		return false;
	struct buffer out = {0}, errors = {0};
	int files[3];
	char why[100] = "";
	pid_t pid = start(program, r, files);
	if (pid < 0)
		snprintf(why, sizeof why, "starting the program: %s", strerror(errno));
	else {
		starts(&call, pid);
		attend(&call, c->socket, files, &r->body, &out, &errors);
	}
	int status = leave(&call);
	if (WIFSIGNALED(status))
		snprintf(why, sizeof why, "signal: %s", strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		snprintf(why, sizeof why, "exit status %d", WEXITSTATUS(status));
	bool open = !call.is_stopped;
	if (open && *why)
		open = fail(c, r, why, &errors);
	else {
		write_log(&errors);
		const char *type = is_text(&out) ? "Content-Type: text/plain; charset=utf-8\r\n" : "Content-Type: application/octet-stream\r\n";
		open = open && respond(c, r, 200, type, &out);
	}
	clear(&out);
	clear(&errors);
	return open;
}
