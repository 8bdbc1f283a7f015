#include "pool/request.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/owned.h"

/* More of anything than this is no request that a server of ours makes; a text is as long as its frame lets it be. */
#define LIST_MAX 4096

static const struct {
	const char *name;
	int status;
	const char *title;
} refusals[] = {[REFUSAL_NONE] = {"none", 200, "It is answered"},
#define REFUSAL_ROW(id, name, status, title) [REFUSAL_##id] = {name, status, title},
                REFUSALS(REFUSAL_ROW)
#undef REFUSAL_ROW
};

static const char *const op_names[] = {
        [REQUEST_QUERY] = "query",
        [REQUEST_DESCRIBE] = "describe",
        [REQUEST_OVERVIEW] = "overview",
};

static const char *const format_names[] = {
        [ANSWER_CSV] = "csv",     [ANSWER_JSON] = "json",       [ANSWER_NDJSON] = "ndjson",
        [ANSWER_ARROW] = "arrow", [ANSWER_PARQUET] = "parquet",
};

const char *refusal_name(enum refusal refusal)
{
	return refusals[refusal].name;
}

int refusal_status(enum refusal refusal)
{
	return refusals[refusal].status;
}

const char *refusal_title(enum refusal refusal)
{
	return refusals[refusal].title;
}

enum refusal refusal_find(const char *name)
{
	for (int i = REFUSAL_NONE + 1; i < REFUSAL_COUNT; i++)
		if (name && !strcmp(refusals[i].name, name))
			return (enum refusal)i;
	return REFUSAL_INTERNAL;
}

static void free_texts(char **texts, int count)
{
	for (int i = 0; texts && i < count; i++)
		free(texts[i]);
	free(texts);
}

void request_release(struct request *request)
{
	for (int i = 0; request->parameters && i < request->parameter_count; i++) {
		free(request->parameters[i].name);
		free(request->parameters[i].json);
	}
	for (int i = 0; request->null_as && i < request->null_as_count; i++) {
		free(request->null_as[i].name);
		free(request->null_as[i].value);
	}
	free(request->parameters);
	free(request->null_as);
	free(request->hot_changed);
	free(request->sql);
	free(request->page_after);
	free_texts(request->tables, request->table_count);
	free_texts(request->page_key, request->page_key_count);
	*request = (struct request){0};
}

/* ---- writing */

static void write_name(struct buffer *out, const char *name)
{
	buffer_text(out, out->size && out->data[out->size - 1] != '{' ? ",\"" : "\"");
	buffer_text(out, name);
	buffer_text(out, "\":");
}

static void write_text(struct buffer *out, const char *name, const char *text)
{
	if (!text)
		return;
	write_name(out, name);
	buffer_json_text(out, text, strlen(text));
}

static void write_number(struct buffer *out, const char *name, int64_t number)
{
	write_name(out, name);
	buffer_printf(out, "%lld", (long long)number);
}

static void write_texts(struct buffer *out, const char *name, char *const *texts, int count)
{
	write_name(out, name);
	buffer_char(out, '[');
	for (int i = 0; i < count; i++) {
		buffer_text(out, i ? "," : "");
		buffer_json_text(out, texts[i], strlen(texts[i]));
	}
	buffer_char(out, ']');
}

/* Values that are JSON themselves travel as texts: what is no JSON then is found where it is used, and breaks nothing
 * here. */
static void write_parameters(struct buffer *out, const struct request *request)
{
	write_name(out, "parameters");
	buffer_char(out, '[');
	for (int i = 0; i < request->parameter_count; i++) {
		const struct request_parameter *parameter = &request->parameters[i];

		buffer_text(out, i ? ",{" : "{");
		write_text(out, "name", parameter->name);
		write_text(out, "json", parameter->json);
		write_number(out, "type", parameter->type);
		buffer_char(out, '}');
	}
	buffer_char(out, ']');
}

static void write_null_as(struct buffer *out, const struct request *request)
{
	write_name(out, "null_as");
	buffer_char(out, '[');
	for (int i = 0; i < request->null_as_count; i++) {
		buffer_text(out, i ? ",{" : "{");
		write_text(out, "name", request->null_as[i].name);
		write_text(out, "value", request->null_as[i].value);
		buffer_char(out, '}');
	}
	buffer_char(out, ']');
}

static void write_numbers(struct buffer *out, const char *name, const int64_t *numbers, int count)
{
	write_name(out, name);
	for (int i = 0; i < count; i++)
		buffer_printf(out, "%c%lld", i ? ',' : '[', (long long)numbers[i]);
	buffer_text(out, count ? "]" : "[]");
}

void request_write(const struct request *request, struct buffer *out)
{
	buffer_char(out, '{');
	write_text(out, "op", op_names[request->op]);
	write_text(out, "sql", request->sql);
	write_parameters(out, request);
	write_text(out, "format", format_names[request->format]);
	write_name(out, "object");
	buffer_text(out, request->object ? "true" : "false");
	write_null_as(out, request);
	write_number(out, "snapshot", request->snapshot);
	write_number(out, "inlined_schema", request->inlined_schema);
	write_numbers(out, "hot_changed", request->hot_changed, request->hot_changed_count);
	if (request->table_count >= 0)
		write_texts(out, "tables", request->tables, request->table_count);
	write_number(out, "max_rows", request->max_rows);
	write_number(out, "first_rows", request->first_rows);
	write_number(out, "max_ms", request->max_ms);
	write_number(out, "memory_bytes", request->memory_bytes);
	write_texts(out, "page_key", request->page_key, request->page_key_count);
	write_number(out, "page_rows", request->page_rows);
	write_text(out, "page_after", request->page_after);
	buffer_char(out, '}');
}

/* ---- reading */

static int wrong(struct error *err, const char *member, const char *right)
{
	return error_set(err, ERROR_CORRUPT, 0, "a request whose %s is not %s", member, right);
}

static int take_text(yyjson_val *value, const char *member, char **ret_text, struct error *err)
{
	size_t size = yyjson_get_len(value);

	/* A 0 byte would end the text before its end, and the guard would see another statement than DuckDB. */
	if (!yyjson_is_str(value) || strlen(yyjson_get_str(value)) != size)
		return wrong(err, member, "a text without 0 bytes");
	free(*ret_text);
	*ret_text = strndup(yyjson_get_str(value), size);
	return *ret_text ? 0 : error_no_memory(err);
}

static int take_bool(yyjson_val *value, const char *member, bool *ret_bool, struct error *err)
{
	if (!yyjson_is_bool(value))
		return wrong(err, member, "true or false");
	*ret_bool = yyjson_get_bool(value);
	return 0;
}

static int take_number(yyjson_val *value, const char *member, int64_t least, int64_t *ret_number, struct error *err)
{
	if (!yyjson_is_int(value) || (yyjson_is_uint(value) && yyjson_get_uint(value) > INT64_MAX) ||
	    yyjson_get_sint(value) < least)
		return wrong(err, member, "a whole number of its range");
	*ret_number = yyjson_get_sint(value);
	return 0;
}

static int take_word(yyjson_val *value, const char *member, const char *const *words, int count, int *ret_index,
                     struct error *err)
{
	for (int i = 0; i < count; i++) {
		if (!yyjson_is_str(value) || !yyjson_equals_str(value, words[i]))
			continue;
		*ret_index = i;
		return 0;
	}
	return wrong(err, member, "a known word");
}

static bool is_list(yyjson_val *value)
{
	return yyjson_is_arr(value) && yyjson_arr_size(value) <= LIST_MAX;
}

static int take_texts(yyjson_val *value, const char *member, char ***ret_texts, int *ret_count, struct error *err)
{
	size_t index, size;
	yyjson_val *item;

	if (!is_list(value))
		return wrong(err, member, "a list of texts");
	*ret_texts = calloc(yyjson_arr_size(value) + 1, sizeof **ret_texts);
	if (!*ret_texts)
		return error_no_memory(err);
	*ret_count = (int)yyjson_arr_size(value);
	yyjson_arr_foreach(value, index, size, item)
	{
		if (take_text(item, member, &(*ret_texts)[index], err))
			return -1;
	}
	return 0;
}

static int take_numbers(yyjson_val *value, const char *member, int64_t **ret_numbers, int *ret_count, struct error *err)
{
	size_t index, size;
	yyjson_val *item;

	if (!is_list(value))
		return wrong(err, member, "a list of numbers");
	*ret_numbers = calloc(yyjson_arr_size(value) + 1, sizeof **ret_numbers);
	if (!*ret_numbers)
		return error_no_memory(err);
	*ret_count = (int)yyjson_arr_size(value);
	yyjson_arr_foreach(value, index, size, item)
	{
		if (take_number(item, member, 0, &(*ret_numbers)[index], err))
			return -1;
	}
	return 0;
}

static int take_parameter(yyjson_val *object, struct request_parameter *parameter, struct error *err)
{
	yyjson_val *name = yyjson_obj_get(object, "name");
	int64_t type = -1;

	if (!yyjson_is_obj(object) || yyjson_obj_size(object) != (name ? 3 : 2))
		return wrong(err, "parameters", "a list of objects of name, json and type");
	if ((name && take_text(name, "name", &parameter->name, err)) ||
	    take_text(yyjson_obj_get(object, "json"), "json", &parameter->json, err) ||
	    take_number(yyjson_obj_get(object, "type"), "type", -1, &type, err))
		return -1;
	if (type > PARAMETER_TIMESTAMP)
		return wrong(err, "type", "a known one");
	parameter->type = (int)type;
	return 0;
}

static int take_parameters(yyjson_val *value, struct request *request, struct error *err)
{
	size_t index, size;
	yyjson_val *item;

	if (!is_list(value))
		return wrong(err, "parameters", "a list");
	request->parameters = calloc(yyjson_arr_size(value) + 1, sizeof *request->parameters);
	if (!request->parameters)
		return error_no_memory(err);
	request->parameter_count = (int)yyjson_arr_size(value);
	yyjson_arr_foreach(value, index, size, item)
	{
		if (take_parameter(item, &request->parameters[index], err))
			return -1;
	}
	return 0;
}

static int take_null_as(yyjson_val *value, struct request *request, struct error *err)
{
	size_t index, size;
	yyjson_val *item;

	if (!is_list(value))
		return wrong(err, "null_as", "a list");
	request->null_as = calloc(yyjson_arr_size(value) + 1, sizeof *request->null_as);
	if (!request->null_as)
		return error_no_memory(err);
	request->null_as_count = (int)yyjson_arr_size(value);
	yyjson_arr_foreach(value, index, size, item)
	{
		struct spec_property *property = &request->null_as[index];

		if (take_text(yyjson_obj_get(item, "name"), "name", &property->name, err) ||
		    take_text(yyjson_obj_get(item, "value"), "value", &property->value, err))
			return -1;
	}
	return 0;
}

static int take_op(yyjson_val *value, struct request *request, struct error *err)
{
	int index = 0;

	if (take_word(value, "op", op_names, COUNT_OF(op_names), &index, err))
		return -1;
	request->op = (enum request_op)index;
	return 0;
}

static int take_format(yyjson_val *value, struct request *request, struct error *err)
{
	int index = 0;

	if (take_word(value, "format", format_names, COUNT_OF(format_names), &index, err))
		return -1;
	request->format = (enum answer_format)index;
	return 0;
}

static int take_member(const char *name, yyjson_val *value, struct request *request, struct error *err)
{
	if (!strcmp(name, "op"))
		return take_op(value, request, err);
	if (!strcmp(name, "sql"))
		return take_text(value, name, &request->sql, err);
	if (!strcmp(name, "parameters"))
		return take_parameters(value, request, err);
	if (!strcmp(name, "format"))
		return take_format(value, request, err);
	if (!strcmp(name, "object"))
		return take_bool(value, name, &request->object, err);
	if (!strcmp(name, "null_as"))
		return take_null_as(value, request, err);
	if (!strcmp(name, "snapshot"))
		return take_number(value, name, -1, &request->snapshot, err);
	if (!strcmp(name, "inlined_schema"))
		return take_number(value, name, -1, &request->inlined_schema, err);
	if (!strcmp(name, "hot_changed"))
		return take_numbers(value, name, &request->hot_changed, &request->hot_changed_count, err);
	if (!strcmp(name, "tables"))
		return take_texts(value, name, &request->tables, &request->table_count, err);
	if (!strcmp(name, "max_rows"))
		return take_number(value, name, 0, &request->max_rows, err);
	if (!strcmp(name, "first_rows"))
		return take_number(value, name, 0, &request->first_rows, err);
	if (!strcmp(name, "max_ms"))
		return take_number(value, name, 0, &request->max_ms, err);
	if (!strcmp(name, "memory_bytes"))
		return take_number(value, name, 0, &request->memory_bytes, err);
	if (!strcmp(name, "page_key"))
		return take_texts(value, name, &request->page_key, &request->page_key_count, err);
	if (!strcmp(name, "page_rows"))
		return take_number(value, name, 0, &request->page_rows, err);
	if (!strcmp(name, "page_after"))
		return take_text(value, name, &request->page_after, err);
	return error_set(err, ERROR_CORRUPT, 0, "a request with a member that is not known");
}

/* A member that stands there twice would be told one way and taken another. */
static bool is_repeated(yyjson_val *object, yyjson_val *key, yyjson_val *value)
{
	return yyjson_obj_get(object, yyjson_get_str(key)) != value;
}

static int take_members(yyjson_val *object, struct request *request, struct error *err)
{
	size_t index, size;
	yyjson_val *key, *value;

	if (!yyjson_is_obj(object))
		return error_set(err, ERROR_CORRUPT, 0, "a request that is no object");
	request->table_count = -1;
	request->snapshot = request->inlined_schema = -1;
	yyjson_obj_foreach(object, index, size, key, value)
	{
		if (is_repeated(object, key, value))
			return error_set(err, ERROR_CORRUPT, 0, "a request with a member twice");
		if (take_member(yyjson_get_str(key), value, request, err))
			return -1;
	}
	if (!yyjson_obj_get(object, "op"))
		return wrong(err, "op", "there");
	if (request->op == REQUEST_QUERY && !request->sql)
		return wrong(err, "sql", "there");
	if (request->page_after && !request->page_key_count)
		return wrong(err, "page_key", "there");
	return 0;
}

int request_read(const char *json, size_t size, struct request *ret_request, struct error *err)
{
	struct request request = {0};
	yyjson_doc *document = yyjson_read(json, size, 0);
	int failed;

	if (!document)
		return error_set(err, ERROR_CORRUPT, 0, "a request that is no JSON");
	failed = take_members(yyjson_doc_get_root(document), &request, err);
	yyjson_doc_free(document);
	if (failed) {
		request_release(&request);
		return -1;
	}
	*ret_request = request;
	return 0;
}
