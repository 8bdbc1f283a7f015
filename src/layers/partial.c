#include "layers/partial.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct making {
	const struct shape *shape;
	const struct described *arguments;
	const char *kept; /* of the aggregate at hand: the type that the lake keeps it as */
	struct partials *partials;
	struct error *err;
};

void partials_release(struct partials *partials)
{
	for (int i = 0; i < partials->count; i++)
		free(partials->items[i].from_rows);
	for (int i = 0; i < partials->final_count; i++)
		free(partials->finals[i]);
	for (int i = 0; i < partials->key_count; i++)
		free(partials->keys[i]);
	for (int i = 0; i < partials->key_final_count; i++)
		free(partials->key_finals[i]);
	free(partials->items);
	free(partials->keys);
	free(partials->key_finals);
	free(partials->finals);
	*partials = (struct partials){0};
}

void partials_free(struct partials *partials)
{
	if (partials)
		partials_release(partials);
	free(partials);
}

/* Of one key alone the other's columns are NULL, and sums and counts are never NULL themselves. */
static const struct merge sum = {{"sum(", ")"}, "coalesce(", ", 0) + coalesce(", ", 0)"},
                          sum_count = {{"CAST(sum(", ") AS BIGINT)"}, "coalesce(", ", 0) + coalesce(", ", 0)"},
                          least = {{"min(", ")"}, "least(", ", ", ")"},
                          greatest = {{"max(", ")"}, "greatest(", ", ", ")"},
                          exact_sum = {{"tarn_exact_merge(", ")"}, "tarn_exact_plus(", ", ", ")"};
static const struct around minus = {"-", ""}, exact_minus = {"tarn_exact_negate(", ")"};

static int __attribute__((format(printf, 6, 7)))
add(struct making *m, int aggregate, const char *what, const struct merge *merge, const struct around *negate,
    const char *format, ...)
{
	struct partials *partials = m->partials;
	struct partial *more = realloc(partials->items, (size_t)(partials->count + 1) * sizeof *more), *partial;
	va_list args;

	if (!more)
		return error_no_memory(m->err);
	partials->items = more;
	partial = &more[partials->count];
	*partial = (struct partial){.merge = merge, .negate = negate};
	snprintf(partial->name, sizeof partial->name, "tarn p%d %s", aggregate, what);
	va_start(args, format);
	if (vasprintf(&partial->from_rows, format, args) < 0)
		partial->from_rows = NULL;
	va_end(args);
	if (!partial->from_rows)
		return error_no_memory(m->err);
	partials->count++;
	return 0;
}

static bool is_floating(const char *type)
{
	return !strcmp(type, "DOUBLE") || !strcmp(type, "FLOAT");
}

/* Of 0.0 and -0.0 the first. */
static char *one_zero(const char *value, const char *type)
{
	char *sql;

	if (!is_floating(type))
		return strdup(value);
	return asprintf(&sql, "CASE WHEN %s = 0 THEN CAST(0 AS %s) ELSE %s END", value, type, value) < 0 ? NULL : sql;
}

static int __attribute__((format(printf, 3, 4))) finish(struct making *m, const char *type, const char *format, ...)
{
	OWNED_FREE char *value = NULL;
	OWNED_FREE char *one = NULL;
	struct partials *partials = m->partials;
	va_list args;

	va_start(args, format);
	if (vasprintf(&value, format, args) < 0)
		value = NULL;
	va_end(args);
	one = value ? one_zero(value, type) : NULL;
	if (!one || asprintf(&partials->finals[partials->final_count], "CAST(%s AS %s)", one, type) < 0) {
		partials->finals[partials->final_count] = NULL;
		return error_no_memory(m->err);
	}
	partials->final_count++;
	return 0;
}

static const char *type_of(const struct described *columns, const char *name)
{
	for (int i = 0; i < columns->count && name; i++)
		if (!strcmp(columns->items[i].name, name))
			return columns->items[i].type;
	return "";
}

static bool is_one_of(const char *type, const char *const *types, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(type, types[i]))
			return true;
	return false;
}

/* Sums of them fit into 38 digits, but for more rows than there are. */
static bool is_whole(const char *type)
{
	static const char *const types[] = {"TINYINT",   "SMALLINT", "INTEGER", "BIGINT", "UTINYINT",
	                                    "USMALLINT", "UINTEGER", "UBIGINT", "BOOLEAN"};

	return is_one_of(type, types, COUNT_OF(types));
}

static bool is_decimal(const char *type, int *ret_width, int *ret_scale)
{
	return sscanf(type, "DECIMAL(%d,%d)", ret_width, ret_scale) == 2;
}

/* ---- one aggregate */

static int add_again(struct making *m, int i, const char *type)
{
	m->partials->always_again = true;
	if (add(m, i, "value", NULL, NULL, "CAST(%s AS %s)", m->shape->aggregates[i].call, m->kept))
		return -1;
	return finish(m, type, "\"tarn p%d value\"", i);
}

static int add_extreme(struct making *m, int i, const char *type)
{
	const struct aggregate *a = &m->shape->aggregates[i];

	m->partials->again_when_gone = true;
	if (add(m, i, "value", !strcasecmp(a->function, "min") ? &least : &greatest, NULL, "CAST(%s AS %s)", a->call,
	        m->kept))
		return -1;
	return finish(m, type, "\"tarn p%d value\"", i);
}

static int add_count(struct making *m, int i, const char *type)
{
	if (add(m, i, "count", &sum_count, &minus, "CAST(%s AS BIGINT)", m->shape->aggregates[i].call))
		return -1;
	return finish(m, type, "\"tarn p%d count\"", i);
}

static int add_bool(struct making *m, int i, const char *type)
{
	const struct aggregate *a = &m->shape->aggregates[i];
	const char *filter = a->filter ? a->filter : "", *quote = a->filter ? "\"" : "",
	           *and = a->filter ? " AND " : "";

	if (add(m, i, "true", &sum_count, &minus, "count(*) FILTER (WHERE %s%s%s%s\"%s\")", quote, filter, quote, and,
	        a->argument) ||
	    add(m, i, "false", &sum_count, &minus, "count(*) FILTER (WHERE %s%s%s%sNOT \"%s\")", quote, filter, quote,
	        and, a->argument))
		return -1;
	return finish(m, type, "CASE WHEN \"tarn p%d true\" + \"tarn p%d false\" > 0 THEN \"tarn p%d %s\" %s 0 END", i,
	              i, i, !strcasecmp(a->function, "bool_and") ? "false" : "true",
	              !strcasecmp(a->function, "bool_and") ? "=" : ">");
}

/* The count of what is not null, which each sum needs: the sum of nothing is null. */
static int add_present(struct making *m, int i, const char *filter)
{
	return add(m, i, "count", &sum_count, &minus, "count(\"%s\")%s", m->shape->aggregates[i].argument, filter);
}

static int add_exact(struct making *m, int i, const char *type, const char *filter)
{
	const struct aggregate *a = &m->shape->aggregates[i];

	if (add(m, i, "sum", &exact_sum, &exact_minus, "tarn_exact_sum(CAST(\"%s\" AS DOUBLE))%s", a->argument,
	        filter) ||
	    add_present(m, i, filter))
		return -1;
	if (a->merging == MERGE_SUM)
		return finish(m, type, "CASE WHEN \"tarn p%d count\" > 0 THEN tarn_exact_value(\"tarn p%d sum\") END",
		              i, i);
	return finish(
	        m, type,
	        "CASE WHEN \"tarn p%d count\" > 0 THEN tarn_exact_value(\"tarn p%d sum\") / \"tarn p%d count\" END", i,
	        i, i);
}

/* Whole numbers and decimals. An average divides whole numbers, as DuckDB's own does: of decimals the sum without its
 * point. */
static int add_sum(struct making *m, int i, const char *type, const char *filter, int scale)
{
	const struct aggregate *a = &m->shape->aggregates[i];
	bool average = a->merging == MERGE_AVG;
	char unit[64] = "";

	if (average && scale)
		snprintf(unit, sizeof unit, " * 1%0*d", scale, 0);
	if (add(m, i, "sum", &sum, &minus,
	        "CAST(coalesce(sum(CAST(CAST(\"%s\" AS DECIMAL(%d,%d))%s AS DECIMAL(38,%d)))%s, 0) AS DECIMAL(38,%d))",
	        a->argument, average && scale ? 38 - scale : 38, scale, unit, average ? 0 : scale, filter,
	        average ? 0 : scale) ||
	    add_present(m, i, filter))
		return -1;
	if (!average)
		return finish(m, type, "CASE WHEN \"tarn p%d count\" > 0 THEN \"tarn p%d sum\" END", i, i);
	return finish(
	        m, type,
	        "CASE WHEN \"tarn p%d count\" > 0 THEN CAST(\"tarn p%d sum\" AS DOUBLE) / (\"tarn p%d count\"%s) END",
	        i, i, i, unit);
}

static int add_sum_or_average(struct making *m, int i, const char *type)
{
	const struct aggregate *a = &m->shape->aggregates[i];
	const char *argument = type_of(m->arguments, a->argument);
	int width = 0, scale = 0;
	char filter[80] = "";

	if (a->filter)
		snprintf(filter, sizeof filter, " FILTER (WHERE \"%s\")", a->filter);
	if (is_floating(argument))
		return add_exact(m, i, type, filter);
	if (is_whole(argument) || (is_decimal(argument, &width, &scale) && width + scale <= 28))
		return add_sum(m, i, type, filter, scale);
	return add_again(m, i, type);
}

static int add_aggregate(struct making *m, int i, const char *type)
{
	const struct aggregate *a = &m->shape->aggregates[i];

	switch (a->merging) {
	case MERGE_COUNT: return add_count(m, i, type);
	case MERGE_SUM:
	case MERGE_AVG: return a->argument ? add_sum_or_average(m, i, type) : add_again(m, i, type);
	case MERGE_EXTREME: return a->argument ? add_extreme(m, i, type) : add_again(m, i, type);
	case MERGE_BOOL: return a->argument ? add_bool(m, i, type) : add_again(m, i, type);
	case MERGE_AGAIN:
	case MERGE_NONE: break;
	}
	return add_again(m, i, type);
}

/* A month and 30 days are equal, too, and so are lists of -0.0 and 0.0. */
static bool has_twins(const char *type)
{
	return !is_floating(type) && (strstr(type, "DOUBLE") || strstr(type, "FLOAT") || strstr(type, "INTERVAL"));
}

/* NaNs of either sign are equal, too. */
static char *one_key(const char *key, const char *type)
{
	OWNED_FREE char *one = one_zero(key, type);
	char *sql;

	return !one || asprintf(&sql, "CASE WHEN isnan(%s) THEN CAST('nan' AS %s) ELSE %s END", key, type, one) < 0
	               ? NULL
	               : sql;
}

static int add_key(struct making *m, int i, const char *type, const char *kept)
{
	struct partials *partials = m->partials;
	char quoted[40];

	snprintf(quoted, sizeof quoted, "\"tarn k%d\"", i);
	if (is_floating(type))
		partials->keys[i] = one_key(quoted, type);
	else if (asprintf(&partials->keys[i], "CAST(%s AS %s)", quoted, kept) < 0)
		partials->keys[i] = NULL;
	if (!partials->keys[i])
		return error_no_memory(m->err);
	partials->key_count++;
	if (asprintf(&partials->key_finals[i], "CAST(%s AS %s)", quoted, type) < 0) {
		partials->key_finals[i] = NULL;
		return error_no_memory(m->err);
	}
	partials->key_final_count++;
	return 0;
}

/* The keys are the first of compose_groups' columns. */
static int add_keys(struct making *m, const struct described *results, char *const *kept, char *ret_why, size_t size)
{
	int count = m->shape->key_count;

	m->partials->keys = calloc((size_t)count + 1, sizeof *m->partials->keys);
	m->partials->key_finals = calloc((size_t)count + 1, sizeof *m->partials->key_finals);
	if (!m->partials->keys || !m->partials->key_finals)
		return error_no_memory(m->err);
	for (int i = 0; i < count; i++) {
		const char *type = results->items[i].type;

		if (add_key(m, i, type, kept[i]))
			return -1;
		if (has_twins(type))
			snprintf(ret_why, size, "of keys of type %.80s several may be equal and not the same", type);
	}
	return 0;
}

int partials_init(const struct shape *shape, const struct described *arguments, const struct described *results,
                  char *const *kept, struct partials *ret_partials, char *ret_why, size_t size, struct error *err)
{
	struct making m = {.shape = shape, .arguments = arguments, .partials = ret_partials, .err = err};

	*ret_partials = (struct partials){0};
	*ret_why = 0;
	ret_partials->finals = calloc((size_t)shape->aggregate_count + 1, sizeof *ret_partials->finals);
	if (!ret_partials->finals)
		return error_no_memory(err);
	if (add_keys(&m, results, kept, ret_why, size))
		return -1;
	for (int i = 0; i < shape->aggregate_count; i++) {
		const struct aggregate *a = &shape->aggregates[i];

		/* Floating numbers are added in the order they come. */
		if (a->distinct && (a->merging == MERGE_SUM || a->merging == MERGE_AVG))
			snprintf(ret_why, size, "%s(DISTINCT ...) may depend on the order of rows", a->function);
		m.kept = kept[shape->key_count + i];
		if (add_aggregate(&m, i, results->items[shape->key_count + i].type))
			return -1;
	}
	return 0;
}
