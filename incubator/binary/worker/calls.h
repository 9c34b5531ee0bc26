// The calls that run, so that others can stop them.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct call {
	const char *id; // empty: it cannot be cancelled
	pid_t pid;      // of the program, which leads a process group; 0 before it runs
	atomic_bool is_stopped;
	struct call *next;
};

// enter notes a call. It is false if the call has been cancelled already.
bool enter(struct call *c);

// starts notes the program's process. If the call has been stopped, it is killed.
void starts(struct call *c, pid_t pid);

// stop kills the program, and all that it started in its group.
void stop(struct call *c);

// leave kills what is left of the program's group when the program has ended, and
// takes the call from the list. It returns the program's status, as wait does.
int leave(struct call *c);

// cancel returns when nothing of the call with this ID runs, nor will: one that
// is still to be read is not let in.
void cancel(const char *id);

// stop_all stops all calls.
void stop_all(void);
