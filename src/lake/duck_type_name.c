/* duck_type_name.c - the names of DuckDB's types, which its C API does not tell, whole and with what a form
 * lacks as another type. */
#include <string.h>

#include "base/owned.h"
#include "lake/duck_text.h"

struct naming {
	struct buffer *out;
	const char *(*cast)(duckdb_type type); /* NULL: none */
	bool lists; /* instead of arrays: a NULL among them is written so that other readers fail on it */
	bool changed;
};

static const struct {
	duckdb_type type;
	const char *name;
} plain[] = {
        {DUCKDB_TYPE_BOOLEAN, "BOOLEAN"},
        {DUCKDB_TYPE_TINYINT, "TINYINT"},
        {DUCKDB_TYPE_SMALLINT, "SMALLINT"},
        {DUCKDB_TYPE_INTEGER, "INTEGER"},
        {DUCKDB_TYPE_BIGINT, "BIGINT"},
        {DUCKDB_TYPE_UTINYINT, "UTINYINT"},
        {DUCKDB_TYPE_USMALLINT, "USMALLINT"},
        {DUCKDB_TYPE_UINTEGER, "UINTEGER"},
        {DUCKDB_TYPE_UBIGINT, "UBIGINT"},
        {DUCKDB_TYPE_FLOAT, "FLOAT"},
        {DUCKDB_TYPE_DOUBLE, "DOUBLE"},
        {DUCKDB_TYPE_TIMESTAMP, "TIMESTAMP"},
        {DUCKDB_TYPE_DATE, "DATE"},
        {DUCKDB_TYPE_TIME, "TIME"},
        {DUCKDB_TYPE_INTERVAL, "INTERVAL"},
        {DUCKDB_TYPE_HUGEINT, "HUGEINT"},
        {DUCKDB_TYPE_UHUGEINT, "UHUGEINT"},
        {DUCKDB_TYPE_VARCHAR, "VARCHAR"},
        {DUCKDB_TYPE_BLOB, "BLOB"},
        {DUCKDB_TYPE_TIMESTAMP_S, "TIMESTAMP_S"},
        {DUCKDB_TYPE_TIMESTAMP_MS, "TIMESTAMP_MS"},
        {DUCKDB_TYPE_TIMESTAMP_NS, "TIMESTAMP_NS"},
        {DUCKDB_TYPE_UUID, "UUID"},
        {DUCKDB_TYPE_BIT, "BIT"},
        {DUCKDB_TYPE_TIME_TZ, "TIME WITH TIME ZONE"},
        {DUCKDB_TYPE_TIMESTAMP_TZ, "TIMESTAMP WITH TIME ZONE"},
        {DUCKDB_TYPE_BIGNUM, "BIGNUM"},
        {DUCKDB_TYPE_SQLNULL, "\"NULL\""},
        {DUCKDB_TYPE_TIME_NS, "TIME_NS"},
        {DUCKDB_TYPE_GEOMETRY, "GEOMETRY"},
        {DUCKDB_TYPE_VARIANT, "VARIANT"},
};

/* ENUM would be a dictionary, which the IPC writer does not write; of the others Arrow would get less than there is, or
 * bytes that only DuckDB reads. */
static const char *cast_for_arrow(duckdb_type type)
{
	switch (type) {
	case DUCKDB_TYPE_ENUM:
	case DUCKDB_TYPE_BIT:
	case DUCKDB_TYPE_TIME_TZ:
	case DUCKDB_TYPE_BIGNUM:
	case DUCKDB_TYPE_VARIANT:
	case DUCKDB_TYPE_UHUGEINT: return "VARCHAR";
	default: return NULL;
	}
}

/* DuckDB writes whole numbers of 128 bits as doubles, intervals without their microseconds (and none below zero), times
 * without their zone, and unions not at all. */
static const char *cast_for_parquet(duckdb_type type)
{
	switch (type) {
	case DUCKDB_TYPE_HUGEINT: return "DECIMAL(38,0)";
	case DUCKDB_TYPE_UHUGEINT:
	case DUCKDB_TYPE_INTERVAL:
	case DUCKDB_TYPE_TIME_TZ:
	case DUCKDB_TYPE_BIT:
	case DUCKDB_TYPE_BIGNUM:
	case DUCKDB_TYPE_VARIANT:
	case DUCKDB_TYPE_UNION: return "VARCHAR";
	default: return NULL;
	}
}

static void name_of(struct naming *n, duckdb_logical_type type);

static void name_child(struct naming *n, duckdb_logical_type child)
{
	name_of(n, child);
	duckdb_destroy_logical_type(&child);
}

static void name_words(struct naming *n, duckdb_logical_type type)
{
	buffer_text(n->out, "ENUM(");
	for (idx_t i = 0, count = duckdb_enum_dictionary_size(type); i < count; i++) {
		char *word = duckdb_enum_dictionary_value(type, i);

		buffer_text(n->out, i ? ", " : "");
		buffer_sql_text(n->out, word ? word : "");
		duckdb_free(word);
	}
	buffer_char(n->out, ')');
}

static void name_fields(struct naming *n, duckdb_logical_type type, const char *word, idx_t count, bool of_union)
{
	buffer_printf(n->out, "%s(", word);
	for (idx_t i = 0; i < count; i++) {
		char *name = of_union ? duckdb_union_type_member_name(type, i) : duckdb_struct_type_child_name(type, i);

		buffer_text(n->out, i ? ", " : "");
		buffer_sql_name(n->out, name ? name : "");
		buffer_char(n->out, ' ');
		duckdb_free(name);
		name_child(n,
		           of_union ? duckdb_union_type_member_type(type, i) : duckdb_struct_type_child_type(type, i));
	}
	buffer_char(n->out, ')');
}

static void name_nested(struct naming *n, duckdb_logical_type type)
{
	switch (duckdb_get_type_id(type)) {
	case DUCKDB_TYPE_LIST:
		name_child(n, duckdb_list_type_child_type(type));
		buffer_text(n->out, "[]");
		break;
	case DUCKDB_TYPE_ARRAY:
		name_child(n, duckdb_array_type_child_type(type));
		if (n->lists)
			buffer_text(n->out, "[]");
		else
			buffer_printf(n->out, "[%d]", (int)duckdb_array_type_array_size(type));
		n->changed |= n->lists;
		break;
	case DUCKDB_TYPE_MAP:
		buffer_text(n->out, "MAP(");
		name_child(n, duckdb_map_type_key_type(type));
		buffer_text(n->out, ", ");
		name_child(n, duckdb_map_type_value_type(type));
		buffer_char(n->out, ')');
		break;
	case DUCKDB_TYPE_STRUCT: name_fields(n, type, "STRUCT", duckdb_struct_type_child_count(type), false); break;
	case DUCKDB_TYPE_UNION: name_fields(n, type, "UNION", duckdb_union_type_member_count(type), true); break;
	case DUCKDB_TYPE_DECIMAL:
		buffer_printf(n->out, "DECIMAL(%d,%d)", duckdb_decimal_width(type), duckdb_decimal_scale(type));
		break;
	default: buffer_text(n->out, "UNKNOWN"); break;
	}
}

static void name_of(struct naming *n, duckdb_logical_type type)
{
	duckdb_type id = duckdb_get_type_id(type);
	char *alias = duckdb_logical_type_get_alias(type);
	bool json = alias && !strcmp(alias, "JSON");
	const char *cast = n->cast ? n->cast(id) : NULL;

	duckdb_free(alias);
	if (json) {
		buffer_text(n->out, "JSON");
		return;
	}
	if (cast) {
		n->changed = true;
		buffer_text(n->out, cast);
		return;
	}
	if (id == DUCKDB_TYPE_ENUM) {
		name_words(n, type);
		return;
	}
	for (size_t i = 0; i < COUNT_OF(plain); i++)
		if (plain[i].type == id) {
			buffer_text(n->out, plain[i].name);
			return;
		}
	name_nested(n, type);
}

void duck_type_name(duckdb_logical_type type, struct buffer *out)
{
	name_of(&(struct naming){.out = out}, type);
}

bool duck_form_type_name(duckdb_logical_type type, enum duck_form form, struct buffer *out)
{
	struct naming n = {.out = out,
	                   .cast = form == DUCK_FORM_ARROW ? cast_for_arrow : cast_for_parquet,
	                   .lists = form == DUCK_FORM_PARQUET};

	name_of(&n, type);
	return n.changed;
}
