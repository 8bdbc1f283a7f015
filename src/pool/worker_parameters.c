/* worker_parameters.c - a request's parameters, which are JSON, as values of the statement's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "pool/worker_private.h"

static int wrong(const struct request_parameter *parameter, int place, const char *right, struct error *err)
{
	if (parameter->name)
		return error_set(err, ERROR_INVALID, 0, "the parameter %.64s is not %s", parameter->name, right);
	return error_set(err, ERROR_INVALID, 0, "parameter %d is not %s", place, right);
}

static void set_text(struct query_value *value, enum query_value_kind kind, yyjson_val *json)
{
	value->kind = kind;
	value->text = yyjson_get_str(json);
	value->size = yyjson_get_len(json);
}

/* As it is written: a DOUBLE has 15 digits of it that are sure. -1: it is larger than any type's. */
static int set_number(struct query_value *value, yyjson_val *json)
{
	value->kind = QUERY_VALUE_NUMBER;
	value->text = yyjson_get_raw(json);
	value->size = yyjson_get_len(json);
	return isfinite(strtod(value->text, NULL)) ? 0 : -1;
}

/* What JSON says of itself. */
static int take_own(yyjson_val *json, struct query_value *value)
{
	if (yyjson_is_null(json)) {
		value->kind = QUERY_VALUE_NULL;
	} else if (yyjson_is_bool(json)) {
		value->kind = QUERY_VALUE_BOOLEAN;
		value->boolean = yyjson_get_bool(json);
	} else if (yyjson_is_str(json)) {
		set_text(value, QUERY_VALUE_TEXT, json);
	} else if (yyjson_is_raw(json)) {
		return set_number(value, json);
	} else if (yyjson_is_int(json) && !(yyjson_is_uint(json) && yyjson_get_uint(json) > INT64_MAX)) {
		value->kind = QUERY_VALUE_INTEGER;
		value->integer = yyjson_get_sint(json);
	} else if (yyjson_is_num(json)) {
		value->kind = QUERY_VALUE_DOUBLE;
		value->real = yyjson_get_num(json);
	} else {
		return -1;
	}
	return 0;
}

static int take_typed(const struct request_parameter *parameter, int place, yyjson_val *json, struct query_value *value,
                      struct error *err)
{
	if (take_own(json, value))
		return wrong(parameter, place, "a text, a finite number, true, false or null", err);
	if (parameter->type < 0 || value->kind == QUERY_VALUE_NULL)
		return 0;
	switch ((enum parameter_type)parameter->type) {
	case PARAMETER_INTEGER:
		return value->kind == QUERY_VALUE_INTEGER ? 0 : wrong(parameter, place, "a whole number", err);
	case PARAMETER_BOOLEAN:
		return value->kind == QUERY_VALUE_BOOLEAN ? 0 : wrong(parameter, place, "true or false", err);
	case PARAMETER_DOUBLE:
		if (!yyjson_is_num(json))
			return wrong(parameter, place, "a number", err);
		value->kind = QUERY_VALUE_DOUBLE;
		value->real = yyjson_get_num(json);
		return 0;
	case PARAMETER_VARCHAR:
	case PARAMETER_DATE:
	case PARAMETER_TIMESTAMP: break;
	}
	if (value->kind != QUERY_VALUE_TEXT)
		return wrong(parameter, place, "a text", err);
	if (parameter->type == PARAMETER_DATE)
		value->kind = QUERY_VALUE_DATE;
	if (parameter->type == PARAMETER_TIMESTAMP)
		value->kind = QUERY_VALUE_TIMESTAMP;
	return 0;
}

static int bind_one(struct query *query, const struct request_parameter *parameter, int place, struct error *err)
{
	/* An endpoint's parameter has a type, and its number is that type's. */
	yyjson_doc *document = yyjson_read(parameter->json, strlen(parameter->json),
	                                   parameter->type < 0 ? YYJSON_READ_NUMBER_AS_RAW : 0);
	struct query_value value = {0};
	int failed;

	if (!document)
		return wrong(parameter, place, "JSON", err);
	failed = take_typed(parameter, place, yyjson_doc_get_root(document), &value, err);
	if (!failed && parameter->name)
		failed = query_bind(query, parameter->name, &value, err);
	else if (!failed)
		failed = query_bind_place(query, place, &value, err);
	yyjson_doc_free(document);
	return failed;
}

int worker_bind(struct query *query, const struct request *request, struct error *err)
{
	for (int i = 0; i < request->parameter_count; i++)
		if (bind_one(query, &request->parameters[i], i + 1, err))
			return -1;
	return query_check_bound(query, err);
}
