#define _GNU_SOURCE // memmem
#include "http.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

enum {
	max_head = 1 << 20, // bytes; the proxy's limit is a small part of it
	max_line = 1 << 16, // bytes, of a chunk's size or a trailer
	piece = 1 << 16,    // bytes, of a read: memory follows what has come
};

static void make_room(struct buffer *b, size_t more) {
	size_t needed = b->length + more + 1;
	if (needed <= b->room)
		return;
	size_t room = b->room * 2 > needed ? b->room * 2 : needed;
	b->data = realloc(b->data, room);
	if (!b->data) {
		perror("worker");
		exit(1);
	}
	b->room = room;
}

void append(struct buffer *b, const void *data, size_t length) {
	make_room(b, length);
	memcpy(b->data + b->length, data, length);
	b->length += length;
	b->data[b->length] = 0;
}

void append_text(struct buffer *b, const char *text) {
	append(b, text, strlen(text));
}

void clear(struct buffer *b) {
	free(b->data);
	*b = (struct buffer){0};
}

void discard(struct request *r) {
	clear(&r->head);
	clear(&r->body);
	free(r->fields);
	*r = (struct request){0};
}

const char *header(const struct request *r, const char *name) {
	for (size_t i = 0; i < r->field_count; i++)
		if (!strcmp(r->fields[i].name, name))
			return r->fields[i].value;
	return NULL;
}

// fill reads what there is. It is false at the end.
static bool fill(struct connection *c) {
	if (c->used > 0) {
		c->in.length -= c->used;
		memmove(c->in.data, c->in.data + c->used, c->in.length);
		c->used = 0;
	}
	make_room(&c->in, piece);
	ssize_t n;
	do
		n = read(c->socket, c->in.data + c->in.length, piece);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	c->in.length += n;
	c->in.data[c->in.length] = 0;
	return true;
}

// take_until moves what comes up to the end of the mark into a buffer. It is
// false if that is longer than the limit, or does not come.
static bool take_until(struct connection *c, const char *mark, size_t limit, struct buffer *into) {
	size_t length = strlen(mark), seen = 0;
	for (;;) {
		size_t there = c->in.length - c->used;
		char *start = c->in.data + c->used;
		char *found = there < length ? NULL : memmem(start + seen, there - seen, mark, length);
		if (found) {
			size_t size = found - start + length;
			if (size > limit)
				return false;
			append(into, start, size);
			c->used += size;
			return true;
		}
		if (there > limit)
			return false;
		seen = there < length ? 0 : there - length + 1;
		if (!fill(c))
			return false;
	}
}

// take moves so many bytes into a buffer.
static bool take(struct connection *c, size_t size, struct buffer *into) {
	while (size > 0) {
		if (c->used == c->in.length && !fill(c))
			return false;
		size_t there = c->in.length - c->used;
		size_t now = there < size ? there : size;
		append(into, c->in.data + c->used, now);
		c->used += now;
		size -= now;
	}
	return true;
}

static bool is_token(const char *text) {
	if (!*text)
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("!#$%&'*+.^_`|~-", *text))
			return false;
	return true;
}

// number is the value of digits alone, at most so many of them, or -1.
static long long number(const char *text, size_t length, int base, size_t digits) {
	if (length == 0 || length > digits)
		return -1;
	for (size_t i = 0; i < length; i++)
		if (base == 16 ? !isxdigit((unsigned char)text[i]) : !isdigit((unsigned char)text[i]))
			return -1;
	return strtoll(text, NULL, base);
}

static void decode_path(struct request *r) {
	char *to = r->path;
	for (char *from = r->path; *from; from++) {
		if (from[0] == '%' && isxdigit((unsigned char)from[1]) && isxdigit((unsigned char)from[2])) {
			*to++ = strtol((char[]){from[1], from[2], 0}, NULL, 16);
			from += 2;
		} else
			*to++ = *from;
	}
	*to = 0;
	r->path_length = to - r->path;
}

// parse_start takes the request line apart: three words.
static bool parse_start(struct request *r, char *line) {
	r->method = line;
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;
	if (!version || strcmp(version + 1, "HTTP/1.1"))
		return false;
	*target = *version = 0;
	r->path = target + 1;
	if (!is_token(r->method) || !*r->path)
		return false;
	for (char *p = r->path; *p; p++)
		if ((unsigned char)*p < '!' || *p == 127)
			return false;
	char *query = strchr(r->path, '?');
	if (query)
		*query = 0;
	r->query = query ? query + 1 : version; // an empty string
	decode_path(r);
	return true;
}

static bool parse_field(struct request *r, char *line) {
	char *colon = strchr(line, ':');
	if (!colon)
		return false;
	*colon = 0;
	if (!is_token(line))
		return false;
	for (char *p = line; *p; p++)
		*p = tolower((unsigned char)*p);
	char *value = colon + 1 + strspn(colon + 1, " \t");
	for (char *end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t');)
		*--end = 0;
	r->fields[r->field_count++] = (struct field){line, value};
	return true;
}

// by_name orders fields of one name as they came: they lie in one head.
static int by_name(const void *a, const void *b) {
	const struct field *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order ? order : x->name < y->name ? -1 : 1;
}

// parse_head takes the head apart where it lies. Its lines end with CR LF, and
// hold neither these nor a zero byte.
static bool parse_head(struct request *r) {
	char *line = r->head.data;
	if (strlen(line) < r->head.length)
		return false;
	size_t lines = 0;
	for (char *p = line; (p = strstr(p, "\r\n")); p += 2)
		lines++;
	r->fields = calloc(lines, sizeof *r->fields);
	if (!r->fields)
		return false;
	for (bool first = true;; first = false) {
		char *end = strstr(line, "\r\n");
		*end = 0;
		if (strpbrk(line, "\r\n"))
			return false;
		if (!first && end == line)
			break;
		if (first ? !parse_start(r, line) : !parse_field(r, line))
			return false;
		line = end + 2;
	}
	qsort(r->fields, r->field_count, sizeof *r->fields, by_name);
	return true;
}

static bool read_chunks(struct connection *c, struct request *r) {
	struct buffer line = {0};
	bool whole = false;
	long long size;
	do {
		clear(&line);
		if (!take_until(c, "\r\n", max_line, &line))
			goto end;
		size_t digits = strspn(line.data, "0123456789abcdefABCDEF");
		size_t blanks = strspn(line.data + digits, " \t");
		char next = line.data[digits + blanks];
		size = number(line.data, digits, 16, 12);
		if (size < 0 || (next != ';' && next != '\r') || !take(c, size, &r->body))
			goto end;
		clear(&line);
		if (size > 0 && (!take(c, 2, &line) || strcmp(line.data, "\r\n")))
			goto end;
	} while (size > 0);
	do { // trailers
		clear(&line);
		if (!take_until(c, "\r\n", max_line, &line))
			goto end;
	} while (line.length > 2);
	whole = true;
end:
	clear(&line);
	return whole;
}

static bool read_body(struct connection *c, struct request *r) {
	append_text(&r->body, "");
	const char *coding = header(r, "transfer-encoding");
	if (coding)
		return !strcasecmp(coding, "chunked") && read_chunks(c, r);
	const char *length = NULL;
	for (size_t i = 0; i < r->field_count; i++)
		if (!strcmp(r->fields[i].name, "content-length")) {
			if (length)
				return false;
			length = r->fields[i].value;
		}
	if (!length)
		return true;
	long long size = number(length, strlen(length), 10, 15);
	return size >= 0 && take(c, size, &r->body);
}

bool read_request(struct connection *c, struct request *r) {
	return take_until(c, "\r\n\r\n", max_head, &r->head) && parse_head(r) && read_body(c, r);
}

bool respond(struct connection *c, const struct request *r, int status, const char *fields, const struct buffer *body) {
	struct buffer out = {0};
	char line[64];
	snprintf(line, sizeof line, "HTTP/1.1 %d \r\n", status);
	append_text(&out, line);
	append_text(&out, fields);
	snprintf(line, sizeof line, "Content-Length: %zu\r\n\r\n", body->length);
	append_text(&out, status == 204 ? "\r\n" : line);
	// One write where it is small; a large body is not copied.
	bool has_body = body->length > 0 && strcmp(r->method, "HEAD");
	bool apart = has_body && body->length > piece;
	if (has_body && !apart)
		append(&out, body->data, body->length);
	const struct buffer *parts[] = {&out, apart ? body : NULL};
	bool sent = true;
	for (int i = 0; i < 2 && parts[i]; i++)
		for (size_t done = 0; sent && done < parts[i]->length;) {
			ssize_t n = send(c->socket, parts[i]->data + done, parts[i]->length - done, MSG_NOSIGNAL);
			if (n > 0)
				done += n;
			else if (errno != EINTR)
				sent = false;
		}
	clear(&out);
	return sent;
}
