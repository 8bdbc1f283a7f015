/*
 * What functions.def says of DuckDB's functions, beside what DuckDB says.
 */
#include "check.h"

#include "base/owned.h"
#include "lake/duck.h"
#include "layers/functions.h"

static const char all[] = "SELECT lower(function_name), bool_or(function_type = 'aggregate'), "
                          "coalesce(bool_or(stability <> 'CONSISTENT'), false) FROM duckdb_functions() "
                          "WHERE function_type IN ('aggregate', 'scalar', 'macro') GROUP BY 1 ORDER BY 1";

static void the_list_is_duckdbs(void)
{
	struct error err = {0};
	struct duck *duck = duck_open(NULL, NULL, 0, &err);
	struct duck_connection *connection = duck_connect(duck, &err);
	struct functions *functions = functions_load(connection, &err);
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	CHECK(functions);
	CHECK_TEXT(duck_version(), FUNCTIONS_OF);
	CHECK_INT(duck_query(connection, all, &rows, &err), 0);
	CHECK(rows.row_count > 400);
	for (int64_t i = 0; i < rows.row_count; i++) {
		const char *name = duck_cell(&rows, i, 0);
		bool aggregates = !strcmp(duck_cell(&rows, i, 1), "true");
		bool varies = !strcmp(duck_cell(&rows, i, 2), "true");

		if (function_aggregates(functions, name) != aggregates || function_varies(functions, name) != varies)
			printf("functions.def shall have: FUNCTION(\"%s\", %s, %s)\n", name,
			       aggregates ? "true" : "false", varies ? "true" : "false");
		CHECK_INT(function_aggregates(functions, name), aggregates);
		CHECK_INT(function_varies(functions, name), varies);
	}
	CHECK(!function_aggregates(functions, "no_such_function"));
	functions_free(functions);
	duck_disconnect(connection);
	duck_close(duck);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(the_list_is_duckdbs));
}
