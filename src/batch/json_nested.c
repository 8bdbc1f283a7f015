/*
 * json_nested.c - values of a table's lists, structs and maps, which DuckDB casts from JSON (1.5.5). That cast rounds
 * numbers to whole ones and to decimals, by way of a double, and drops the offsets of times: what it would change is
 * found here. What it refuses itself, such as a value of another form, is left to it.
 *
 * The type is read as DuckDB writes it, anew for each value: STRUCT(a INTEGER, "b c" MAP(VARCHAR, DATE)[]).
 */
#include <stdio.h>

#include "batch/json_private.h"

/* A type, or a part of one. */
struct part {
	const char *at, *end;
	enum { LEAF, LIST, STRUCT, MAP } form; /* of the others `at` and `end` are what is between the brackets */
	char leaf[JSON_LEAF_SIZE]; /* its name; of a longer one the beginning: an ENUM */
	enum json_type known;
	int scale;
};

static bool fits(const struct part *part, yyjson_val *value, struct json_misfit *ret_misfit);

/* ---- the type */

static bool begins(const char *at, const char *end, const char *name)
{
	return (size_t)(end - at) > strlen(name) && !memcmp(at, name, strlen(name));
}

static struct part part_of(const char *at, const char *end)
{
	struct part part = {.at = at, .end = end, .known = JSON_JSON};
	int precision;

	if (end > at && end[-1] == ']') {
		part.form = LIST;
		while (part.end > at && *--part.end != '[')
			;
	} else if (begins(at, end, "STRUCT(") || begins(at, end, "MAP(")) {
		part.form = *at == 'M' ? MAP : STRUCT;
		part.at = strchr(at, '(') + 1;
		part.end = end - 1;
	} else {
		snprintf(part.leaf, sizeof part.leaf, "%.*s", (int)(end - at), at);
		part.known = json_type_of_duckdb(part.leaf, &precision, &part.scale);
		if (!strcmp(part.leaf, "UHUGEINT"))
			part.known = JSON_DECIMAL;
	}
	return part;
}

/* The comma behind a field, in no brackets and in no quotes; or the end. */
static const char *field_end(const char *at, const char *end)
{
	int depth = 0;
	char quote = 0; /* a doubled one ends, and begins again */

	for (; at < end; at++) {
		if (quote)
			quote = *at == quote ? 0 : quote;
		else if (*at == '"' || *at == '\'')
			quote = *at;
		else if (*at == ',' && depth == 0)
			break;
		else
			depth += (*at == '(') - (*at == ')');
	}
	return at;
}

/* Behind the name, where the field is called so; NULL: it is not. */
static const char *skip_name(const char *at, const char *end, const char *name, size_t size)
{
	bool quoted = at < end && *at == '"';

	at += quoted;
	for (; size && at < end && *at == *name; at++, name++, size--)
		if (quoted && *at == '"')
			at++; /* written twice */
	at += quoted && at < end && *at == '"';
	return size == 0 && at < end && *at == ' ' ? at + 1 : NULL;
}

/* ---- the value */

/* An offset is none of the column's: the clock must be that of UTC. */
static bool fits_timestamp(const char *type, const char *text, size_t size)
{
	size_t clock = size < 10 ? size : 10;
	int64_t us, local;

	while (clock < size && !memchr("Zz+-", text[clock], 4))
		clock++;
	return json_time(text, size, &us) && json_time(text, clock, &local) && us == local &&
	       us % json_unit_us(type) == 0;
}

static bool fits_leaf(const struct part *part, yyjson_val *value)
{
	const char *text = yyjson_get_str(value);
	size_t size = yyjson_get_len(value);
	int32_t days;

	switch (part->known) {
	case JSON_INTEGER:
	case JSON_BIGINT:
	case JSON_DECIMAL: return json_casts(value, part->scale);
	case JSON_DOUBLE: return !json_is_rounded(value);
	case JSON_DATE: return !text || json_date(text, size, &days);
	case JSON_TIMESTAMP: return !text || fits_timestamp(part->leaf, text, size);
	default: return !text || strcmp(part->leaf, "TIME") != 0 || strspn(text, "0123456789:.") == size;
	}
}

static bool fits_list(const struct part *part, yyjson_val *value, struct json_misfit *ret_misfit)
{
	struct part element = part_of(part->at, part->end);
	yyjson_arr_iter elements;
	yyjson_val *at;

	yyjson_arr_iter_init(value, &elements);
	while ((at = yyjson_arr_iter_next(&elements)))
		if (!fits(&element, at, ret_misfit))
			return false;
	return true;
}

static bool fits_member(const struct part *part, yyjson_val *name, yyjson_val *value, struct json_misfit *ret_misfit)
{
	for (const char *at = part->at, *end; at < part->end; at = end + 2) {
		const char *type;

		end = field_end(at, part->end);
		type = skip_name(at, end, yyjson_get_str(name), yyjson_get_len(name));
		if (type) {
			struct part field = part_of(type, end);

			return fits(&field, value, ret_misfit);
		}
	}
	return true;
}

static bool fits_object(const struct part *part, yyjson_val *value, struct json_misfit *ret_misfit)
{
	const char *comma = field_end(part->at, part->end);
	struct part key = {0}, of = {0};
	yyjson_obj_iter members;
	yyjson_val *name;

	if (part->form == MAP) {
		key = part_of(part->at, comma);
		of = part_of(comma < part->end ? comma + 2 : comma, part->end);
	}
	yyjson_obj_iter_init(value, &members);
	while ((name = yyjson_obj_iter_next(&members))) {
		yyjson_val *member = yyjson_obj_iter_get_val(name);

		if (part->form == MAP ? !fits(&key, name, ret_misfit) || !fits(&of, member, ret_misfit)
		                      : !fits_member(part, name, member, ret_misfit))
			return false;
	}
	return true;
}

static bool fits(const struct part *part, yyjson_val *value, struct json_misfit *ret_misfit)
{
	if (part->form == LIST)
		return !yyjson_is_arr(value) || fits_list(part, value, ret_misfit);
	if (part->form != LEAF)
		return !yyjson_is_obj(value) || fits_object(part, value, ret_misfit);
	if (fits_leaf(part, value))
		return true;
	ret_misfit->value = value;
	snprintf(ret_misfit->type, sizeof ret_misfit->type, "%s", part->leaf);
	return false;
}

bool json_fits_table(const char *type, yyjson_val *value, struct json_misfit *ret_misfit)
{
	struct part whole = part_of(type, type + strlen(type));

	return fits(&whole, value, ret_misfit);
}
