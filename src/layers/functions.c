#include "layers/functions.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "lake/duck.h"
#include "query/tree.h"
#include "query/volatile.h"

struct functions {
	struct duck_rows rows; /* name, aggregates, varies; of another DuckDB than FUNCTIONS_OF */
};

static const struct {
	const char *name;
	bool aggregates, varies;
} of_duckdb[] = {
#define FUNCTION(name, aggregates, varies) {name, aggregates, varies},
#include "layers/functions.def"
#undef FUNCTION
};

struct functions *functions_load(struct duck_connection *connection, struct error *err)
{
	struct functions *functions = calloc(1, sizeof *functions);

	if (!functions) {
		error_no_memory(err);
		return NULL;
	}
	if (!strcmp(duck_version(), FUNCTIONS_OF))
		return functions;
	if (duck_query(connection,
	               "SELECT lower(function_name), bool_or(function_type = 'aggregate'), "
	               "coalesce(bool_or(stability <> 'CONSISTENT'), false) FROM duckdb_functions() "
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

static bool is(const struct functions *functions, const char *name, bool varies)
{
	for (int64_t i = 0; i < functions->rows.row_count; i++)
		if (!strcasecmp(duck_cell(&functions->rows, i, 0), name))
			return !strcmp(duck_cell(&functions->rows, i, varies ? 2 : 1), "true");
	for (size_t i = 0; !functions->rows.row_count && i < COUNT_OF(of_duckdb); i++)
		if (!strcasecmp(of_duckdb[i].name, name))
			return varies ? of_duckdb[i].varies : of_duckdb[i].aggregates;
	return false;
}

bool function_aggregates(const struct functions *functions, const char *name)
{
	return is(functions, name, false);
}

bool function_varies(const struct functions *functions, const char *name)
{
	return is(functions, name, true);
}

/* To the parser they are names of columns. */
static bool is_clock(const char *name)
{
	static const char *const words[] = {"current_date", "current_time", "current_timestamp", "localtime",
	                                    "localtimestamp"};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (!strcasecmp(words[i], name))
			return true;
	return false;
}

static bool call_varies(const struct functions *functions, const struct node *call)
{
	const char *name = node_text(call, "function_name");
	bool of_two_times = !strcasecmp(name, "age") && node_count(node_get(call, "children")) > 1;

	return function_varies(functions, name) || (volatile_calls(name) && !of_two_times) ||
	       volatile_is_of_model(name);
}

bool node_varies(const struct functions *functions, const struct node *node)
{
	const struct node *names = node_get(node, "column_names");

	if (node_is(node, "class", "FUNCTION"))
		return call_varies(functions, node);
	return names && node_count(names) == 1 && is_clock(node_text(node_at(names, 0), NULL));
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
