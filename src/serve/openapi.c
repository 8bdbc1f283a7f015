/* openapi.c - /openapi.json (OpenAPI 3.1.0): docs/openapi.json, and an operation for each endpoint. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <yyjson.h>

#include "base/hash.h"
#include "base/owned.h"
#include "serve/docs_files.h"
#include "serve/endpoint_private.h"
#include "serve/serving.h"
#include "spec/parameter.h"

#define PROBLEM_REFERENCE "{\"$ref\":\"#/components/responses/Problem\"}"

static void add_text(struct buffer *out, const char *name, const char *text)
{
	buffer_printf(out, "\"%s\":", name);
	buffer_json_text(out, text, strlen(text));
}

/* ---- parameters */

static void add_value(struct buffer *out, const struct spec_parameter *parameter, const char *text)
{
	struct spec_parameter alone = *parameter;

	alone.allowed_count = 0;
	if (parameter_value(&alone, text, out, NULL))
		buffer_text(out, "null"); /* checked with the manifest: cannot be */
}

static void add_bounds(struct buffer *out, const struct spec_parameter *parameter)
{
	if (parameter->type == PARAMETER_INTEGER && (!parameter->minimum || !parameter->maximum))
		buffer_text(out, ",\"format\":\"int64\"");
	if (parameter->minimum)
		buffer_printf(out, ",\"minimum\":%s", parameter->minimum);
	if (parameter->maximum)
		buffer_printf(out, ",\"maximum\":%s", parameter->maximum);
}

/* A text has no NUL; in a path, nothing that would end its part. */
static void add_text_bounds(struct buffer *out, const struct spec_parameter *parameter)
{
	buffer_printf(out, ",\"maxLength\":%d", parameter->max_length);
	if (parameter->in_path)
		buffer_text(out, ",\"minLength\":1,\"pattern\":\"^[^/\\\\\\\\.\\\\u0000-\\\\u001f\\\\u007f]"
		                 "[^/\\\\\\\\\\\\u0000-\\\\u001f\\\\u007f]*$\"");
	else
		buffer_text(out, ",\"pattern\":\"^[^\\\\u0000]*$\"");
}

static void add_schema(struct buffer *out, const struct spec_parameter *parameter)
{
	static const char *const types[] = {
	        [PARAMETER_VARCHAR] = "\"string\"",
	        [PARAMETER_INTEGER] = "\"integer\"",
	        [PARAMETER_DOUBLE] = "\"number\"",
	        [PARAMETER_BOOLEAN] = "\"boolean\"",
	        [PARAMETER_DATE] = "\"string\",\"format\":\"date\"",
	        [PARAMETER_TIMESTAMP] = "\"string\",\"format\":\"date-time\"",
	};

	buffer_printf(out, "\"schema\":{\"type\":%s", types[parameter->type]);
	add_bounds(out, parameter);
	if (parameter->type == PARAMETER_VARCHAR && !parameter->allowed_count)
		add_text_bounds(out, parameter);
	for (int i = 0; i < parameter->allowed_count; i++) {
		buffer_text(out, i ? "," : ",\"enum\":[");
		add_value(out, parameter, parameter->allowed[i]);
	}
	buffer_text(out, parameter->allowed_count ? "]" : "");
	if (parameter->fallback) {
		buffer_text(out, ",\"default\":");
		add_value(out, parameter, parameter->fallback);
	}
	buffer_char(out, '}');
}

static void add_parameter(struct buffer *out, const struct spec_parameter *parameter)
{
	buffer_char(out, '{');
	add_text(out, "name", parameter->name);
	buffer_printf(out, ",\"in\":\"%s\",\"required\":%s,", parameter->in_path ? "path" : "query",
	              parameter->required ? "true" : "false");
	if (parameter->description) {
		add_text(out, "description", parameter->description);
		buffer_char(out, ',');
	}
	add_schema(out, parameter);
	buffer_char(out, '}');
}

static void add_parameters(struct buffer *out, const struct spec_endpoint *spec)
{
	buffer_text(out, ",\"parameters\":[");
	for (int i = 0; i < spec->parameter_count; i++) {
		buffer_text(out, i ? "," : "");
		add_parameter(out, &spec->parameters[i]);
	}
	if (spec->page_size)
		buffer_printf(out,
		              "%s{\"name\":\"cursor\",\"in\":\"query\",\"required\":false,\"description\":\"What "
		              "the page before had as its next.\",\"schema\":{\"type\":\"string\",\"pattern\":"
		              "\"^[A-Za-z0-9_-]+$\"}}",
		              spec->parameter_count ? "," : "");
	buffer_char(out, ']');
}

/* ---- answers */

/* JSON's type of a column's values; "" where it may be any. */
static const char *json_type(const char *type)
{
	static const char *const integers[] = {"TINYINT",  "SMALLINT",  "INTEGER",  "BIGINT",  "HUGEINT",
	                                       "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"};

	for (size_t i = 0; i < COUNT_OF(integers); i++)
		if (!strcmp(integers[i], type))
			return "integer";
	if (!strcmp(type, "DOUBLE") || !strcmp(type, "FLOAT") || !strncmp(type, "DECIMAL", 7))
		return strchr(type, '[') ? "" : "number";
	if (!strcmp(type, "BOOLEAN"))
		return "boolean";
	if (strchr(type, '[') || !strncmp(type, "STRUCT", 6) || !strncmp(type, "MAP", 3) ||
	    !strncmp(type, "UNION", 5) || !strcmp(type, "JSON") || !strcmp(type, "VARIANT"))
		return "";
	return "string";
}

/* What stands for NULL in the column. */
static const char *null_of(const struct spec_endpoint *spec, const char *column)
{
	const char *all = "null";

	for (int i = 0; i < spec->null_as_count; i++) {
		if (!strcasecmp(spec->null_as[i].name, column))
			return spec->null_as[i].value;
		if (!strcmp(spec->null_as[i].name, "*"))
			all = spec->null_as[i].value;
	}
	return all;
}

static const char *type_of_value(const char *json)
{
	return *json == '"' ? "string" : *json == 't' || *json == 'f' ? "boolean" : *json == 'n' ? "null" : "number";
}

static void add_column(struct buffer *out, const struct spec_endpoint *spec, const char *name, const char *type)
{
	const char *json = json_type(type), *null = type_of_value(null_of(spec, name));

	buffer_json_text(out, name, strlen(name));
	if (!*json)
		buffer_text(out, ":{}");
	else if (!strcmp(json, null))
		buffer_printf(out, ":{\"type\":\"%s\"}", json);
	else
		buffer_printf(out, ":{\"type\":[\"%s\",\"%s\"]}", json, null);
}

/* {"type": "object"} with its columns, as far as they are known: {"name", "type"} each. */
static void add_row(struct buffer *out, const struct spec_endpoint *spec, const char *columns)
{
	yyjson_doc *document = columns ? yyjson_read(columns, strlen(columns), 0) : NULL;
	yyjson_val *list = yyjson_doc_get_root(document), *column;
	size_t index, size;

	buffer_text(out, "{\"type\":\"object\"");
	if (yyjson_arr_size(list)) {
		buffer_text(out, ",\"properties\":{");
		yyjson_arr_foreach(list, index, size, column)
		{
			const char *name = yyjson_get_str(yyjson_obj_get(column, "name"));
			const char *type = yyjson_get_str(yyjson_obj_get(column, "type"));

			buffer_text(out, index ? "," : "");
			add_column(out, spec, name ? name : "", type ? type : "");
		}
		buffer_char(out, '}');
	}
	buffer_char(out, '}');
	yyjson_doc_free(document);
}

static void add_json(struct buffer *out, const struct spec_endpoint *spec, const char *columns)
{
	buffer_text(out, "\"application/json\":{\"schema\":");
	if (spec->page_size)
		buffer_text(out, "{\"type\":\"object\",\"required\":[\"rows\",\"next\"],\"properties\":{\"next\":"
		                 "{\"type\":[\"string\",\"null\"]},\"rows\":");
	if (spec->result == RESULT_ROWS)
		buffer_text(out, "{\"type\":\"array\",\"items\":");
	add_row(out, spec, columns);
	buffer_printf(out, "%s%s}", spec->result == RESULT_ROWS ? "}" : "", spec->page_size ? "}}" : "");
}

static void add_responses(struct buffer *out, const struct spec_endpoint *spec, const char *columns)
{
	buffer_printf(out, ",\"responses\":{\"200\":{\"description\":\"%s\",\"content\":{",
	              spec->result == RESULT_OBJECT ? "The row."
	              : spec->page_size             ? "A page of the rows."
	                                            : "The rows.");
	add_json(out, spec, columns);
	if (spec->result == RESULT_ROWS)
		buffer_text(out, ",\"application/x-ndjson\":{\"schema\":{\"type\":\"string\"}},\"text/csv\":{"
		                 "\"schema\":{\"type\":\"string\"}}");
	if (spec->result == RESULT_ROWS && !spec->page_size)
		buffer_text(out, ",\"application/vnd.apache.arrow.stream\":{\"schema\":{}},"
		                 "\"application/vnd.apache.parquet\":{\"schema\":{}}");
	buffer_text(out, "}},\"304\":{\"$ref\":\"#/components/responses/Unchanged\"},");
	buffer_text(out, "\"400\":" PROBLEM_REFERENCE ",\"404\":" PROBLEM_REFERENCE ",\"503\":" PROBLEM_REFERENCE
	                 ",\"default\":" PROBLEM_REFERENCE "}");
}

/* ---- the document */

static void add_operation(struct buffer *out, struct endpoint *endpoint)
{
	const struct spec_endpoint *spec = endpoint->spec;

	buffer_text(out, "{\"get\":{");
	add_text(out, "operationId", spec->name);
	buffer_text(out, ",\"tags\":[\"endpoints\"]");
	if (spec->description) {
		buffer_char(out, ',');
		add_text(out, "summary", spec->description);
	}
	if (spec->access == ACCESS_ANYONE)
		buffer_text(out, ",\"security\":[]");
	add_parameters(out, spec);
	add_responses(out, spec, endpoint_columns(endpoint));
	buffer_text(out, "}}");
}

static bool is_shown(const struct spec_endpoint *spec, const struct token *token, bool anyone)
{
	return anyone || spec->access == ACCESS_ANYONE ||
	       (token && token_may_endpoint(token, spec->name) && token_may_catalog(token, spec->catalog->name));
}

static bool add_path(yyjson_mut_doc *document, struct endpoint *endpoint)
{
	OWNED_BUFFER struct buffer json = {0};
	yyjson_mut_val *paths = yyjson_mut_obj_get(yyjson_mut_doc_get_root(document), "paths"), *value;
	yyjson_doc *operation;
	bool added;

	buffer_init(&json, BUFFER_DEFAULT_MAXIMUM);
	add_operation(&json, endpoint);
	operation = buffer_ok(&json) ? yyjson_read(buffer_string(&json), json.size, 0) : NULL;
	value = operation ? yyjson_val_mut_copy(document, yyjson_doc_get_root(operation)) : NULL;
	added = value && yyjson_mut_obj_add_val(document, paths, endpoint->spec->path, value);
	yyjson_doc_free(operation);
	return added;
}

/* Nobody is asked for a token. */
static bool open_to_all(yyjson_mut_doc *document)
{
	yyjson_mut_val *root = yyjson_mut_doc_get_root(document);

	return yyjson_mut_obj_put(root, yyjson_mut_str(document, "security"), yyjson_mut_arr(document));
}

/* SQL of one's own, and questions where there is a model that answers them. */
static void drop_questions(yyjson_mut_doc *document, const struct manifest *manifest, const struct token *token)
{
	yyjson_mut_val *paths = yyjson_mut_obj_get(yyjson_mut_doc_get_root(document), "paths");
	bool may_query = token && token_spec(token)->query;

	if (!may_query)
		yyjson_mut_obj_remove_key(paths, "/query");
	if (!may_query || !manifest->assistant_count)
		yyjson_mut_obj_remove_key(paths, "/sql");
}

void endpoints_openapi(struct endpoints *endpoints, const struct token *token, bool anyone, struct buffer *out)
{
	const struct docs_file *fixed = &docs_files[DOCS_OPENAPI];
	yyjson_doc *read = yyjson_read(fixed->bytes, fixed->size, 0);
	yyjson_mut_doc *document = read ? yyjson_doc_mut_copy(read, NULL) : NULL;
	bool whole = document && (!anyone || open_to_all(document));
	char *text = NULL;
	size_t size = 0;

	if (whole)
		drop_questions(document, endpoints->manifest, token);
	for (int i = 0; i < endpoints->count && whole; i++)
		if (is_shown(endpoints->list[i].spec, token, anyone))
			whole = add_path(document, &endpoints->list[i]);
	if (whole)
		text = yyjson_mut_write(document, 0, &size);
	if (text)
		buffer_append(out, text, size);
	else
		out->failed = true;
	free(text);
	yyjson_mut_doc_free(document);
	yyjson_doc_free(read);
}
