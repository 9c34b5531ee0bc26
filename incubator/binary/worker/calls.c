#include "calls.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

// remember_for is how many seconds a call that was cancelled before it was read
// may take to arrive. Its connection is closed, so only a busy machine keeps it.
enum { remember_for = 60 };

struct cancelled {
	char *id;
	time_t until;
	struct cancelled *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t left = PTHREAD_COND_INITIALIZER;
static struct call *running;
static struct cancelled *remembered;

static time_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static struct call *find(const char *id) {
	struct call *c = running;
	while (c && strcmp(c->id, id))
		c = c->next;
	return c;
}

// forget drops what has been remembered for long enough, and an ID. It tells
// whether that was there.
static bool forget(const char *id) {
	bool found = false;
	for (struct cancelled **at = &remembered; *at;) {
		struct cancelled *this = *at;
		bool is_it = !strcmp(this->id, id);
		found |= is_it;
		if (is_it || this->until < now()) {
			*at = this->next;
			free(this->id);
			free(this);
		} else
			at = &this->next;
	}
	return found;
}

static void kill_group(struct call *c) {
	c->is_stopped = true;
	if (c->pid)
		kill(-c->pid, SIGKILL);
}

bool enter(struct call *c) {
	pthread_mutex_lock(&lock);
	bool may = !*c->id || (!forget(c->id) && !find(c->id));
	if (may) {
		c->next = running;
		running = c;
	}
	pthread_mutex_unlock(&lock);
	return may;
}

void starts(struct call *c, pid_t pid) {
	pthread_mutex_lock(&lock);
	c->pid = pid;
	if (c->is_stopped)
		kill_group(c);
	pthread_mutex_unlock(&lock);
}

void stop(struct call *c) {
	pthread_mutex_lock(&lock);
	kill_group(c);
	pthread_mutex_unlock(&lock);
}

int leave(struct call *c) {
	int status = 0;
	pthread_mutex_lock(&lock);
	if (c->pid) {
		// Until it is waited for, the number of its group is nobody else's.
		kill(-c->pid, SIGKILL);
		waitpid(c->pid, &status, 0);
	}
	struct call **at = &running;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	pthread_cond_broadcast(&left);
	pthread_mutex_unlock(&lock);
	return status;
}

void cancel(const char *id) {
	pthread_mutex_lock(&lock);
	struct call *c = *id ? find(id) : NULL;
	if (c) {
		kill_group(c);
		while (find(id))
			pthread_cond_wait(&left, &lock);
	} else if (*id) {
		forget(id);
		struct cancelled *new = malloc(sizeof *new);
		char *copy = strdup(id);
		if (!new || !copy)
			abort(); // the proxy starts another worker
		*new = (struct cancelled){copy, now() + remember_for, remembered};
		remembered = new;
	}
	pthread_mutex_unlock(&lock);
}

void stop_all(void) {
	pthread_mutex_lock(&lock);
	for (struct call *c = running; c; c = c->next)
		kill_group(c);
	pthread_mutex_unlock(&lock);
}
