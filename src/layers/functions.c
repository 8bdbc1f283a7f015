#include "layers/functions.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "lake/duck.h"

struct functions {
	struct duck_rows rows; /* name, aggregates, varies; by name */
};

struct functions *functions_load(struct duck_connection *connection, struct error *err)
{
	struct functions *functions = calloc(1, sizeof *functions);

	if (!functions) {
		error_no_memory(err);
		return NULL;
	}
	if (duck_query(connection,
	               "SELECT lower(function_name), bool_or(function_type = 'aggregate'), "
	               "bool_or(stability <> 'CONSISTENT') FROM duckdb_functions() "
	               "WHERE function_type IN ('aggregate', 'scalar', 'macro') GROUP BY 1 "
	               "HAVING bool_or(function_type = 'aggregate' OR stability <> 'CONSISTENT') ORDER BY 1",
	               &functions->rows, err)) {
		functions_free(functions);
		return NULL;
	}
	return functions;
}

void functions_free(struct functions *functions)
{
	if (!functions)
		return;
	duck_rows_release(&functions->rows);
	free(functions);
}

static bool is(const struct functions *functions, const char *name, int column)
{
	int64_t low = 0, high = functions->rows.row_count;

	while (low < high) {
		int64_t middle = (low + high) / 2;
		int order = strcasecmp(duck_cell(&functions->rows, middle, 0), name);
		const char *cell = duck_cell(&functions->rows, middle, column);

		if (!order)
			return cell && !strcmp(cell, "true");
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

bool function_aggregates(const struct functions *functions, const char *name)
{
	return is(functions, name, 1);
}

bool function_varies(const struct functions *functions, const char *name)
{
	return is(functions, name, 2);
}

/* Those that are not here - stddev and its like, which add floating numbers in the order they come; first, mode,
 * arg_max, which choose among equals - have MERGE_NONE. */
static const struct {
	const char *name;
	enum merging plain, distinct, ordered;
} known[] = {
        {"count_star", MERGE_COUNT, MERGE_NONE, MERGE_COUNT},
        {"count", MERGE_COUNT, MERGE_AGAIN, MERGE_COUNT},
        {"count_if", MERGE_COUNT, MERGE_NONE, MERGE_COUNT},
        {"sum", MERGE_SUM, MERGE_NONE, MERGE_SUM},
        {"avg", MERGE_AVG, MERGE_NONE, MERGE_AVG},
        {"mean", MERGE_AVG, MERGE_NONE, MERGE_AVG},
        {"min", MERGE_EXTREME, MERGE_EXTREME, MERGE_EXTREME},
        {"max", MERGE_EXTREME, MERGE_EXTREME, MERGE_EXTREME},
        {"bool_and", MERGE_BOOL, MERGE_BOOL, MERGE_BOOL},
        {"bool_or", MERGE_BOOL, MERGE_BOOL, MERGE_BOOL},
        {"bit_and", MERGE_AGAIN, MERGE_AGAIN, MERGE_AGAIN},
        {"bit_or", MERGE_AGAIN, MERGE_AGAIN, MERGE_AGAIN},
        {"bit_xor", MERGE_AGAIN, MERGE_AGAIN, MERGE_AGAIN},
        {"median", MERGE_AGAIN, MERGE_AGAIN, MERGE_AGAIN},
        {"mad", MERGE_AGAIN, MERGE_AGAIN, MERGE_AGAIN},
        {"quantile", MERGE_AGAIN, MERGE_AGAIN, MERGE_AGAIN},
        {"quantile_cont", MERGE_AGAIN, MERGE_AGAIN, MERGE_AGAIN},
        {"quantile_disc", MERGE_AGAIN, MERGE_AGAIN, MERGE_AGAIN},
        {"histogram", MERGE_AGAIN, MERGE_AGAIN, MERGE_AGAIN},
        {"approx_count_distinct", MERGE_AGAIN, MERGE_AGAIN, MERGE_AGAIN},
        {"list", MERGE_NONE, MERGE_NONE, MERGE_AGAIN},
        {"array_agg", MERGE_NONE, MERGE_NONE, MERGE_AGAIN},
        {"string_agg", MERGE_NONE, MERGE_NONE, MERGE_AGAIN},
        {"group_concat", MERGE_NONE, MERGE_NONE, MERGE_AGAIN},
        {"listagg", MERGE_NONE, MERGE_NONE, MERGE_AGAIN},
};

enum merging function_merging(const char *name, bool distinct, bool ordered)
{
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		if (strcasecmp(known[i].name, name) != 0)
			continue;
		return distinct && ordered ? MERGE_NONE
		       : distinct          ? known[i].distinct
		       : ordered           ? known[i].ordered
		                           : known[i].plain;
	}
	return MERGE_NONE;
}
