#include "environment.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static void add(struct buffer *text, const char *name, const char *value) {
	append_text(text, name);
	append_text(text, "=");
	append_text(text, value ? value : "");
	append(text, "", 1);
}

// passes says whether a field becomes a variable. A name with an underscore would
// become another field's, Proxy the variable that HTTP clients take their proxy
// from.
static bool passes(const char *name) {
	return !strchr(name, '_') && strcmp(name, "proxy") && strcmp(name, "transfer-encoding") && strcmp(name, "x-func-call-id");
}

// add_fields adds a variable for each name, with all values of that name, which
// stand beside each other.
static void add_fields(struct buffer *text, const struct request *r) {
	for (size_t i = 0; i < r->field_count; i++) {
		const struct field *f = &r->fields[i];
		if (!passes(f->name))
			continue;
		if (i > 0 && !strcmp(f->name, f[-1].name)) {
			text->length--; // the zero byte of the value before
			append_text(text, strcmp(f->name, "cookie") ? ", " : "; ");
			append(text, f->value, strlen(f->value) + 1);
			continue;
		}
		size_t start = text->length;
		append_text(text, "HTTP_");
		append_text(text, f->name);
		for (char *p = text->data + start; *p; p++)
			*p = *p == '-' ? '_' : toupper((unsigned char)*p);
		add(text, "", f->value);
	}
}

static bool same_name(const char *a, const char *b) {
	size_t length = strcspn(a, "=");
	return !strncmp(a, b, length + 1);
}

struct environment make_environment(const struct request *r) {
	struct environment e = {0};
	char length[24];
	snprintf(length, sizeof length, "%zu", r->body.length);
	add(&e.text, "EVENT_ID", header(r, "event-id"));
	add(&e.text, "EVENT_TYPE", header(r, "event-type"));
	add(&e.text, "EVENT_TIME", header(r, "event-time"));
	add(&e.text, "EVENT_NAMESPACE", header(r, "event-namespace"));
	add(&e.text, "CONTENT_TYPE", header(r, "content-type"));
	add(&e.text, "CONTENT_LENGTH", length);
	add(&e.text, "REQUEST_METHOD", r->method);
	add(&e.text, "PATH_INFO", r->path);
	add(&e.text, "QUERY_STRING", r->query);
	add_fields(&e.text, r);

	size_t own = 0, others = 0;
	for (size_t at = 0; at < e.text.length; at += strlen(e.text.data + at) + 1)
		own++;
	for (char **v = environ; *v; v++)
		others++;
	e.variables = calloc(own + others + 1, sizeof *e.variables);
	if (!e.variables)
		return e;
	size_t count = 0;
	for (size_t at = 0; at < e.text.length; at += strlen(e.text.data + at) + 1)
		e.variables[count++] = e.text.data + at;
	for (char **v = environ; *v; v++) {
		bool is_replaced = false;
		for (size_t i = 0; i < own && !is_replaced; i++)
			is_replaced = same_name(*v, e.variables[i]);
		if (!is_replaced)
			e.variables[count++] = *v;
	}
	return e;
}

void free_environment(struct environment *e) {
	free(e->variables);
	clear(&e->text);
}
