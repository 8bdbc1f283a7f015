/* json_types.c - the names of JSON columns' types, in manifests and in DuckDB. */
#include <stdio.h>

#include "batch/json_private.h"

static const struct {
	const char *name, *duckdb, *right;
} types[JSON_TYPE_COUNT] = {
#define JSON_TYPE(id, name, duckdb, kind, zone, right) [JSON_##id] = {name, duckdb, right},
#include "batch/json_types.def"
#undef JSON_TYPE
};

const char *json_type_right(enum json_type type)
{
	return types[type].right;
}

static bool parse_decimal(const char *text, const char *name, int *ret_precision, int *ret_scale)
{
	size_t size = strlen(name);
	int used = 0;

	if (strncmp(text, name, size) != 0)
		return false;
	if (sscanf(text + size, "(%2d,%2d)%n", ret_precision, ret_scale, &used) != 2 || text[size + (size_t)used])
		return false;
	return *ret_precision >= 1 && *ret_precision <= 38 && *ret_scale >= 0 && *ret_scale <= *ret_precision;
}

bool json_type_parse(const char *text, enum json_type *ret_type, int *ret_precision, int *ret_scale)
{
	*ret_precision = *ret_scale = 0;
	if (parse_decimal(text, types[JSON_DECIMAL].name, ret_precision, ret_scale)) {
		*ret_type = JSON_DECIMAL;
		return true;
	}
	for (int i = 0; i < JSON_TYPE_COUNT; i++) {
		if (i == JSON_DECIMAL || strcmp(types[i].name, text) != 0)
			continue;
		*ret_type = (enum json_type)i;
		return true;
	}
	return false;
}

enum json_type json_type_of_duckdb(const char *type, int *ret_precision, int *ret_scale)
{
	static const struct {
		const char *duckdb;
		enum json_type type;
	} known[] = {
	        {"BOOLEAN", JSON_BOOLEAN},
	        {"TINYINT", JSON_INTEGER},
	        {"SMALLINT", JSON_INTEGER},
	        {"INTEGER", JSON_INTEGER},
	        {"UTINYINT", JSON_INTEGER},
	        {"USMALLINT", JSON_INTEGER},
	        {"UINTEGER", JSON_BIGINT},
	        {"BIGINT", JSON_BIGINT},
	        {"FLOAT", JSON_DOUBLE},
	        {"DOUBLE", JSON_DOUBLE},
	        {"VARCHAR", JSON_VARCHAR},
	        {"UUID", JSON_VARCHAR},
	        {"DATE", JSON_DATE},
	        {"TIMESTAMP", JSON_TIMESTAMP},
	        {"TIMESTAMP_S", JSON_TIMESTAMP},
	        {"TIMESTAMP_MS", JSON_TIMESTAMP},
	        {"TIMESTAMP_NS", JSON_TIMESTAMP},
	        {"TIMESTAMP WITH TIME ZONE", JSON_TIMESTAMPTZ},
	};

	*ret_precision = 38;
	*ret_scale = 0;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(known[i].duckdb, type))
			return known[i].type;
	if (!strcmp(type, "HUGEINT") || !strcmp(type, "UBIGINT") ||
	    parse_decimal(type, "DECIMAL", ret_precision, ret_scale))
		return JSON_DECIMAL;
	return JSON_JSON;
}

int64_t json_unit_us(const char *type)
{
	return !strcmp(type, "TIMESTAMP_S") ? 1000000 : !strcmp(type, "TIMESTAMP_MS") ? 1000 : 1;
}

bool json_fills(const char *table, const char *inferred)
{
	int precision, scale, table_precision, table_scale;
	enum json_type type = json_type_of_duckdb(table, &table_precision, &table_scale);

	if (type == JSON_DECIMAL)
		return parse_decimal(inferred, "DECIMAL", &precision, &scale) && precision == table_precision &&
		       scale == table_scale;
	return !strcmp(types[type].duckdb, inferred);
}
