#include "serve/query_body.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/owned.h"
#include "serve/accept.h"

#define DIGITS_MAX 18 /* of a whole number */
#define NAME_MAX_SHOWN 64
#define ANSWER_FORMATS 5

static const struct {
	const char *name, *types[2];
	enum answer_format format;
} formats[ANSWER_FORMATS] = {
        {"csv", {"text/csv"}, ANSWER_CSV},
        {"json", {"application/json"}, ANSWER_JSON},
        {"ndjson", {"application/x-ndjson", "application/ndjson"}, ANSWER_NDJSON},
        {"arrow", {"application/vnd.apache.arrow.stream"}, ANSWER_ARROW},
        {"parquet", {"application/vnd.apache.parquet"}, ANSWER_PARQUET},
};

bool answer_format_find(const char *name, enum answer_format *ret_format)
{
	for (int i = 0; i < ANSWER_FORMATS; i++)
		if (!strcmp(formats[i].name, name)) {
			*ret_format = formats[i].format;
			return true;
		}
	return false;
}

bool answer_format_accepted(const char *accept, enum answer_format *ret_format)
{
	int best = 0;

	for (int i = 0; i < ANSWER_FORMATS; i++)
		for (int t = 0; t < 2 && formats[i].types[t]; t++) {
			int weight = accept_type(accept, formats[i].types[t]);

			if (weight > best) {
				best = weight;
				*ret_format = formats[i].format;
			}
		}
	return best > 0;
}

/* ---- members */

static int wrong(struct error *err, const char *what)
{
	return error_set(err, ERROR_INVALID, 0, "%s", what);
}

/* A text without NUL. NULL with *err. */
static char *take_text(yyjson_val *value, const char *name, struct error *err)
{
	const char *text = yyjson_get_str(value);
	char *copy;

	if (!text || strlen(text) != yyjson_get_len(value)) {
		error_set(err, ERROR_INVALID, 0, "\"%s\" is not a text%s", name, text ? " without NUL" : "");
		return NULL;
	}
	copy = strdup(text);
	if (!copy)
		error_no_memory(err);
	return copy;
}

static int read_whole(const char *text, const char *name, int64_t least, int64_t *ret_number, struct error *err)
{
	size_t size = strlen(text);

	if (!size || size > DIGITS_MAX || strspn(text, "0123456789") != size || strtoll(text, NULL, 10) < least)
		return error_set(err, ERROR_INVALID, 0, "\"%s\" is not a whole number from %d on", name, (int)least);
	*ret_number = strtoll(text, NULL, 10);
	return 0;
}

static int set_sql(struct query_body *body, const char *text, size_t size, struct error *err)
{
	if (size > QUERY_SQL_BYTES_MAX)
		return error_set(err, ERROR_INVALID, 0, "the statement is larger than %zu bytes", QUERY_SQL_BYTES_MAX);
	if (strnlen(text, size) != size || !text_is_utf8(text, size))
		return wrong(err, "the statement is not UTF-8 without NUL");
	if (strspn(text, " \t\r\n") == size)
		return wrong(err, "the statement is empty");
	body->sql = strndup(text, size);
	return body->sql ? 0 : error_no_memory(err);
}

static int set_format(struct query_body *body, const char *text, struct error *err)
{
	if (!answer_format_find(text, &body->format))
		return wrong(err, "\"format\" is none of csv, json, ndjson, arrow and parquet");
	body->has_format = true;
	return 0;
}

static bool is_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

	return *name && strlen(name) <= 63 && strspn(name, letters) == strlen(name) && (*name < '0' || *name > '9');
}

/* name NULL: by its place. */
static int add_parameter(struct query_body *body, yyjson_val *name, yyjson_val *value, struct error *err)
{
	struct request_parameter *parameter = &body->parameters[body->parameter_count];
	OWNED_BUFFER struct buffer json = {0};

	buffer_init(&json, BUFFER_DEFAULT_MAXIMUM);
	if (name && (!is_name(yyjson_get_str(name)) || strlen(yyjson_get_str(name)) != yyjson_get_len(name)))
		return wrong(err, "a name in \"params\" is not one of letters, digits and '_'");
	if (yyjson_is_raw(value))
		buffer_append(&json, yyjson_get_raw(value), yyjson_get_len(value));
	else if (yyjson_is_str(value))
		buffer_json_text(&json, yyjson_get_str(value), yyjson_get_len(value));
	else if (yyjson_is_bool(value) || yyjson_is_null(value))
		buffer_text(&json, yyjson_is_null(value) ? "null" : yyjson_is_true(value) ? "true" : "false");
	else
		return wrong(err, "a value in \"params\" is not a text, a number, true, false or null");
	*parameter = (struct request_parameter){.type = -1};
	parameter->json = buffer_ok(&json) ? strdup(buffer_string(&json)) : NULL;
	parameter->name = name && parameter->json ? strdup(yyjson_get_str(name)) : NULL;
	body->parameter_count++;
	return parameter->json && (!name || parameter->name) ? 0 : error_no_memory(err);
}

static int named_twice(const struct query_body *body, struct error *err)
{
	const struct request_parameter *last = &body->parameters[body->parameter_count - 1];

	for (const struct request_parameter *one = body->parameters; last->name && one < last; one++)
		if (!strcasecmp(one->name, last->name))
			return wrong(err, "a name stands twice in \"params\"");
	return 0;
}

static int set_parameters(struct query_body *body, yyjson_val *value, struct error *err)
{
	size_t count = yyjson_get_len(value), i, most;
	yyjson_val *name, *one;

	if (!yyjson_is_arr(value) && !yyjson_is_obj(value))
		return wrong(err, "\"params\" is neither a list nor an object");
	if (count > QUERY_PARAMETERS_MAX)
		return error_set(err, ERROR_INVALID, 0, "\"params\" has more than %d values", QUERY_PARAMETERS_MAX);
	body->parameters = calloc(count + 1, sizeof *body->parameters);
	if (!body->parameters)
		return error_no_memory(err);
	if (yyjson_is_arr(value)) {
		yyjson_arr_foreach(value, i, most, one) if (add_parameter(body, NULL, one, err)) return -1;
		return 0;
	}
	yyjson_obj_foreach(value, i, most, name,
	                   one) if (add_parameter(body, name, one, err) || named_twice(body, err)) return -1;
	return 0;
}

/* ---- the body */

enum member { SQL, FORMAT, CATALOG, PARAMS, SNAPSHOT, LIMIT, MEMBERS };

static const char *const members[MEMBERS] = {"sql", "format", "catalog", "params", "snapshot", "limit"};

static int unknown(const char *name, size_t size, struct error *err)
{
	char shown[NAME_MAX_SHOWN + 1] = {0};

	/* What cannot be shown is left out: a name is whatever somebody sends. */
	for (size_t i = 0, out = 0; i < size && out < NAME_MAX_SHOWN; i++)
		if (name[i] > ' ' && name[i] < 0x7f && name[i] != '"')
			shown[out++] = name[i];
	return error_set(err, ERROR_INVALID, 0,
	                 "\"%s\" is not known; there are sql, format, catalog, params, snapshot and limit", shown);
}

static int set_number(struct query_body *body, enum member member, yyjson_val *value, struct error *err)
{
	char text[DIGITS_MAX + 2] = "";

	if (yyjson_is_raw(value) && yyjson_get_len(value) < sizeof text)
		memcpy(text, yyjson_get_raw(value), yyjson_get_len(value));
	return read_whole(text, members[member], member == LIMIT, member == LIMIT ? &body->limit : &body->snapshot,
	                  err);
}

static int set_member(struct query_body *body, enum member member, yyjson_val *value, struct error *err)
{
	OWNED_FREE char *text = NULL;

	if (member == PARAMS)
		return set_parameters(body, value, err);
	if (member == SNAPSHOT || member == LIMIT)
		return set_number(body, member, value, err);
	text = take_text(value, members[member], err);
	if (!text)
		return -1;
	if (member == SQL)
		return set_sql(body, text, strlen(text), err);
	if (member == FORMAT)
		return set_format(body, text, err);
	body->catalog = TAKE(text);
	return 0;
}

static int read_member(struct query_body *body, yyjson_val *name, yyjson_val *value, bool *seen, struct error *err)
{
	for (int i = 0; i < MEMBERS; i++) {
		if (!yyjson_equals_strn(name, members[i], strlen(members[i])))
			continue;
		if (seen[i])
			return error_set(err, ERROR_INVALID, 0, "\"%s\" stands there twice", members[i]);
		seen[i] = true;
		return set_member(body, (enum member)i, value, err);
	}
	return unknown(yyjson_get_str(name), yyjson_get_len(name), err);
}

static int read_document(struct query_body *body, yyjson_val *root, struct error *err)
{
	bool seen[MEMBERS] = {false};
	yyjson_val *name, *value;
	size_t i, most;

	if (!yyjson_is_obj(root))
		return wrong(err, "the body is not a JSON object");
	yyjson_obj_foreach(root, i, most, name, value) if (read_member(body, name, value, seen, err)) return -1;
	return seen[SQL] ? 0 : wrong(err, "\"sql\" is missing");
}

static void init(struct query_body *body)
{
	*body = (struct query_body){.snapshot = -1};
}

int query_body_json(const char *text, size_t size, struct query_body *ret_body, struct error *err)
{
	yyjson_read_err mistake = {0};
	yyjson_doc *document;
	int failed;

	init(ret_body);
	/* Numbers stay as they are written: a parameter of 20 digits is DuckDB's to read. */
	document = yyjson_read_opts((char *)(uintptr_t)text, size, YYJSON_READ_NUMBER_AS_RAW, NULL, &mistake);
	if (!document)
		return error_set(err, ERROR_INVALID, 0, "the body is not JSON: %s at byte %zu",
		                 mistake.msg ? mistake.msg : "a mistake", mistake.pos);
	failed = read_document(ret_body, yyjson_doc_get_root(document), err);
	yyjson_doc_free(document);
	return failed;
}

int query_body_sql(const char *text, size_t size, struct query_body *ret_body, struct error *err)
{
	init(ret_body);
	return set_sql(ret_body, text, size, err);
}

int query_body_option(struct query_body *body, const char *name, const char *value, struct error *err)
{
	if (!strcmp(name, "format") && !body->has_format)
		return set_format(body, value, err);
	if (!strcmp(name, "snapshot") && body->snapshot < 0)
		return read_whole(value, name, 0, &body->snapshot, err);
	if (!strcmp(name, "limit") && !body->limit)
		return read_whole(value, name, 1, &body->limit, err);
	if (!strcmp(name, "catalog") && !body->catalog) {
		body->catalog = strdup(value);
		return body->catalog ? 0 : error_no_memory(err);
	}
	return error_set(err, ERROR_INVALID, 0,
	                 "behind '?' there may be format, catalog, snapshot and limit, each once");
}

void query_body_release(struct query_body *body)
{
	for (int i = 0; i < body->parameter_count; i++) {
		free(body->parameters[i].name);
		free(body->parameters[i].json);
	}
	free(body->parameters);
	free(body->sql);
	free(body->catalog);
	init(body);
}
