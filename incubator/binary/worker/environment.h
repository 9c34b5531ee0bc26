// What a program finds in its environment.
#pragma once
#include "http.h"

struct environment {
	char **variables; // NAME=VALUE, and NULL at the end
	struct buffer text;
};

// make_environment is the worker's own, the event, and the request as CGI names
// it (RFC 3875).
struct environment make_environment(const struct request *r);
void free_environment(struct environment *e);
