/*
 * fuzz_http.c - what a stranger sends and Tarn itself takes apart: the target of a request, Accept and Accept-Encoding,
 * the body of POST /query. The first byte says which; of a target and a body what comes out must keep its promises.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "serve/accept.h"
#include "serve/encode.h"
#include "serve/query_body.h"
#include "serve/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	if (!text || !text_is_utf8(text, strlen(text)))
		abort();
}

/* target.h: decoded texts are UTF-8; a path begins with '/', and none of its parts is "." or "..". */
static void parse_target(const char *text)
{
	struct target target;
	const char *why;
	int status = target_parse(text, &target, &why);

	if (status && ((status != 400 && status != 414) || !why || !*why))
		abort();
	if (!status && strcmp(target.path, "*") != 0) {
		check_text(target.path);
		if (*target.path != '/' || strstr(target.path, "/../") || strstr(target.path, "/./"))
			abort();
		for (int i = 0; i < target.argument_count; i++) {
			check_text(target.arguments[i].name);
			check_text(target.arguments[i].value);
		}
	}
	target_release(&target);
}

static void parse_accept(const char *text)
{
	enum answer_format format;
	enum encoding encoding;
	int weight = accept_type(text, "text/csv");

	if (weight < 0 || weight > 1000)
		abort();
	answer_format_accepted(text, &format);
	if (!encoding_choose(text, &encoding) && accept_coding(text, "identity"))
		abort();
}

static void check_body(const struct query_body *body)
{
	check_text(body->sql);
	if (!*body->sql || body->snapshot < -1 || body->limit < 0 || body->parameter_count > QUERY_PARAMETERS_MAX)
		abort();
	for (int i = 0; i < body->parameter_count; i++)
		check_text(body->parameters[i].json);
}

static void parse_body(const char *text, size_t size, bool json)
{
	struct query_body body;
	struct error err = {.kind = ERROR_NONE};
	int failed = json ? query_body_json(text, size, &body, &err) : query_body_sql(text, size, &body, &err);

	if (failed && (err.kind != ERROR_INVALID || !*err.message))
		abort();
	if (!failed)
		check_body(&body);
	query_body_release(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	/* A block of its own size each: what is read behind it is seen. */
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = 0;
	switch (*data) {
	case 't': parse_target(text); break;
	case 'a': parse_accept(text); break;
	case 's': parse_body(text, size - 1, false); break;
	default: parse_body(text, size - 1, true); break;
	}
	free(text);
	return 0;
}
