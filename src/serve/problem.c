#include "serve/problem.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int status;
	const char *title;
} table[PROBLEM_COUNT] = {
#define PROBLEM(id, name, status, title) [PROBLEM_##id] = {name, status, title},
#include "serve/problem.def"
#undef PROBLEM
};

int problem_status(enum problem problem)
{
	return table[problem].status;
}

const char *problem_name(enum problem problem)
{
	return table[problem].name;
}

const char *problem_title(enum problem problem)
{
	return table[problem].title;
}

enum problem problem_of_status(int status)
{
	for (int i = 0; i < PROBLEM_COUNT; i++)
		if (table[i].status == status)
			return (enum problem)i;
	return PROBLEM_FAULT;
}

/* A path as a URI reference (RFC 3986 section 3.3), and as a JSON text. */
static void write_instance(struct buffer *out, const char *path)
{
	buffer_char(out, '"');
	for (const unsigned char *c = (const unsigned char *)path; *c; c++)
		if (*c > ' ' && *c < 0x7f && !strchr("\"%<>\\^`{|}?#[]", *c))
			buffer_char(out, (char)*c);
		else
			buffer_printf(out, "%%%02X", *c);
	buffer_char(out, '"');
}

void problem_json(struct buffer *out, int status, const char *name, const char *title, const char *detail,
                  const char *instance)
{
	buffer_printf(out, "{\"type\":\"" PROBLEM_URN "%s\",\"title\":", name);
	buffer_json_text(out, title, strlen(title));
	buffer_printf(out, ",\"status\":%d,\"detail\":", status);
	buffer_json_text(out, detail, strlen(detail));
	if (instance) {
		buffer_text(out, ",\"instance\":");
		write_instance(out, instance);
	}
	buffer_text(out, "}\n");
}

void problem_write(struct http_response *response, int status, const char *name, const char *title, const char *detail,
                   const char *instance)
{
	response->status = status;
	response->compress = false;
	buffer_clear(&response->body);
	problem_json(&response->body, status, name, title, detail, instance);
	http_add(response, "Content-Type", PROBLEM_CONTENT_TYPE);
	http_add(response, "Cache-Control", "no-store");
}

void problem_reply(struct http_response *response, const struct http_request *request, enum problem problem,
                   const char *format, ...)
{
	char detail[512];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	problem_write(response, table[problem].status, table[problem].name, table[problem].title, detail,
	              http_path(request));
}
