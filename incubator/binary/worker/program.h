// Programs that run for calls.
#pragma once
#include "http.h"

// run runs the program for a call, and answers when it has ended: with what it
// printed or, if it failed, with what it said about that. It is false when the
// connection is to be closed, also because the call was cancelled.
bool run(const char *program, struct connection *c, const struct request *r);
