#include "serve/endpoint_request.h"

#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "spec/mistake.h"
#include "spec/parameter.h"

#define CURSOR "cursor"

static size_t part_size(const char *part)
{
	return strcspn(part + 1, "/");
}

/* An empty part is no value. */
static bool means(const char *pattern, const char *path)
{
	while (*pattern && *path == '/') {
		size_t size = part_size(path), wanted = part_size(pattern);

		if (!size || (pattern[1] != '{' && (size != wanted || memcmp(pattern + 1, path + 1, size) != 0)))
			return false;
		pattern += wanted + 1;
		path += size + 1;
	}
	return !*pattern && !*path;
}

/* Both mean the path: where they part, has `a` the word? */
static bool goes_before(const char *a, const char *b)
{
	for (; *a && *b; a += part_size(a) + 1, b += part_size(b) + 1)
		if ((a[1] == '{') != (b[1] == '{'))
			return a[1] != '{';
	return false;
}

const struct spec_endpoint *endpoint_find(const struct manifest *manifest, const char *path)
{
	const struct spec_endpoint *best = NULL;

	for (int i = 0; i < manifest->endpoint_count; i++) {
		const struct spec_endpoint *endpoint = &manifest->endpoints[i];

		if (means(endpoint->path, path) && (!best || goes_before(endpoint->path, best->path)))
			best = endpoint;
	}
	return best;
}

/* ---- values */

static bool is_size(const struct spec_endpoint *endpoint, const struct spec_parameter *parameter)
{
	return endpoint->page_size && !strcmp(endpoint->page_size, parameter->name);
}

static int take_value(const struct spec_parameter *parameter, const char *text, struct endpoint_values *values,
                      int index, struct error *err)
{
	OWNED_BUFFER struct buffer json = {0};
	char quoted[QUOTED_SIZE];
	bool show = text_is_utf8(text, strlen(text));

	buffer_init(&json, BUFFER_DEFAULT_MAXIMUM);
	if (parameter_value(parameter, text, &json, err))
		return error_wrap(err, "The parameter %s%s%s", parameter->name, show ? ", " : "",
		                  show ? quote_text(quoted, text) : "");
	values->json[index] = buffer_ok(&json) ? strdup(buffer_string(&json)) : NULL;
	return values->json[index] ? 0 : error_no_memory(err);
}

/* The parameters of the path, in whose parts they stand. */
static int take_path(const struct spec_endpoint *endpoint, const char *path, struct endpoint_values *values,
                     struct error *err)
{
	const char *pattern = endpoint->path;

	for (; *pattern && *path; pattern += part_size(pattern) + 1, path += part_size(path) + 1) {
		OWNED_FREE char *text = NULL;
		int at = 0;

		if (pattern[1] != '{')
			continue;
		while (strncmp(endpoint->parameters[at].name, pattern + 2, part_size(pattern) - 2) != 0 ||
		       strlen(endpoint->parameters[at].name) != part_size(pattern) - 2)
			at++;
		text = strndup(path + 1, part_size(path));
		if (!text)
			return error_no_memory(err);
		if (take_value(&endpoint->parameters[at], text, values, at, err))
			return -1;
	}
	return 0;
}

static int unknown(const struct spec_endpoint *endpoint, const char *name, struct error *err)
{
	OWNED_BUFFER struct buffer names = {0};
	char quoted[QUOTED_SIZE];

	buffer_init(&names, 300);
	for (int i = 0; i < endpoint->parameter_count; i++)
		if (!endpoint->parameters[i].in_path)
			buffer_printf(&names, "%s%s", names.size ? ", " : "", endpoint->parameters[i].name);
	if (endpoint->page_size)
		buffer_printf(&names, "%s%s", names.size ? ", " : "", CURSOR);
	return error_set(err, ERROR_INVALID, 0, "There is no parameter %s here; there %s %s", quote_text(quoted, name),
	                 names.size ? "are" : "is", names.size ? buffer_string(&names) : "none");
}

static int twice(const char *name, struct error *err)
{
	return error_set(err, ERROR_INVALID, 0, "The parameter %s stands there twice", name);
}

static int take_argument(const struct spec_endpoint *endpoint, const struct endpoint_argument *argument,
                         struct endpoint_values *values, struct error *err)
{
	if (endpoint->page_size && !strcmp(argument->name, CURSOR)) {
		if (values->cursor)
			return twice(CURSOR, err);
		values->cursor = argument->value;
		return 0;
	}
	for (int i = 0; i < endpoint->parameter_count; i++) {
		const struct spec_parameter *parameter = &endpoint->parameters[i];

		if (parameter->in_path || strcmp(parameter->name, argument->name) != 0)
			continue;
		if (values->json[i])
			return twice(parameter->name, err);
		return take_value(parameter, argument->value, values, i, err);
	}
	return unknown(endpoint, argument->name, err);
}

static int take_absent(const struct spec_endpoint *endpoint, struct endpoint_values *values, struct error *err)
{
	for (int i = 0; i < endpoint->parameter_count; i++) {
		const struct spec_parameter *parameter = &endpoint->parameters[i];

		if (!values->json[i] && parameter->required)
			return error_set(err, ERROR_INVALID, 0, "The parameter %s is missing; it is of type %s",
			                 parameter->name, parameter_type_name(parameter->type));
		if (!values->json[i] && parameter->fallback &&
		    take_value(parameter, parameter->fallback, values, i, err))
			return -1;
		if (is_size(endpoint, parameter))
			values->page_rows = strtoll(values->json[i], NULL, 10);
	}
	return 0;
}

int endpoint_values_read(const struct spec_endpoint *endpoint, const char *path,
                         const struct endpoint_argument *arguments, int argument_count,
                         struct endpoint_values *ret_values, struct error *err)
{
	struct endpoint_values values = {.count = endpoint->parameter_count};
	int failed;

	values.json = calloc((size_t)values.count + 1, sizeof *values.json);
	if (!values.json)
		return error_no_memory(err);
	failed = take_path(endpoint, path, &values, err);
	for (int i = 0; i < argument_count && !failed; i++)
		failed = take_argument(endpoint, &arguments[i], &values, err);
	if (!failed)
		failed = take_absent(endpoint, &values, err);
	if (failed)
		endpoint_values_release(&values);
	else
		*ret_values = values;
	return failed;
}

void endpoint_values_release(struct endpoint_values *values)
{
	for (int i = 0; values->json && i < values->count; i++)
		free(values->json[i]);
	free(values->json);
	*values = (struct endpoint_values){0};
}

void endpoint_values_key(const struct spec_endpoint *endpoint, const struct endpoint_values *values, bool pages,
                         struct buffer *out)
{
	buffer_char(out, '[');
	for (int i = 0; i < values->count; i++)
		if (pages || !is_size(endpoint, &endpoint->parameters[i]))
			buffer_printf(out, "%s%s", out->data[out->size - 1] == '[' ? "" : ",",
			              values->json[i] ? values->json[i] : "null");
	buffer_char(out, ']');
}
