// Requests as the proxy writes them, from one connection after the other.
#pragma once
#include <stdbool.h>
#include <stddef.h>

// buffer is bytes that grow. One byte after them is always there, and is zero.
struct buffer {
	char *data;
	size_t length, room;
};

void append(struct buffer *b, const void *data, size_t length);
void append_text(struct buffer *b, const char *text);
void clear(struct buffer *b);

// connection is a socket and what has come from it beyond the last request.
struct connection {
	int socket;
	struct buffer in;
	size_t used; // of in
};

struct field {
	char *name, *value; // the name in small letters
};

struct request {
	char *method, *path, *query; // the path is decoded
	size_t path_length;          // of the path, which may hold zero bytes
	struct field *fields;
	size_t field_count;
	struct buffer head, body;
};

// read_request waits for the next request. It is false at the end of the
// connection, and after what is not as the proxy writes it: what follows would
// be taken for the next request. The request is then to be discarded as well.
bool read_request(struct connection *c, struct request *r);
void discard(struct request *r);

// header is a field's value, or NULL. The name is in small letters.
const char *header(const struct request *r, const char *name);

// respond writes an answer. Fields are whole lines. It is false if the proxy has
// closed the connection.
bool respond(struct connection *c, const struct request *r, int status, const char *fields, const struct buffer *body);
