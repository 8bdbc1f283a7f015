/*
 * fuzz_layer.c - any text as a model's file: its options and its SELECT are understood, or somebody is told what is
 * wrong with them. What the SELECT is taken apart into and put together again to is SQL that DuckDB parses.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "lake/duck.h"
#include "layers/compose.h"
#include "layers/references.h"
#include "spec/spec.h"

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, err.message);                       \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

#define SQL_MAXIMUM_BYTES ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct duck *duck;
static struct duck_connection *connection;
static struct functions *functions;

static void close_duck(void)
{
	functions_free(functions);
	duck_disconnect(connection);
	duck_close(duck);
}

static void open_duck(void)
{
	static const struct duck_setting settings[] = {{"threads", "1"}};
	struct error err = {0};

	duck = duck_open(NULL, settings, 1, &err);
	REQUIRE(duck);
	connection = duck_connect(duck, &err);
	functions = connection ? functions_load(connection, &err) : NULL;
	REQUIRE(functions);
	atexit(close_duck);
}

/* What the options must keep: spec.h. */
static void read_options(const char *text, size_t size)
{
	OWNED_BY(spec_model_release) struct spec_model options = {0}; /* also of what was read before a mistake */
	struct error err = {0};

	if (spec_model_parse(text, size, "fuzz.sql", &options, &err)) {
		REQUIRE(err.kind == ERROR_INVALID && !strncmp(err.message, "fuzz.sql:", strlen("fuzz.sql:")));
		return;
	}
	REQUIRE(*materialized_name(options.materialized));
	REQUIRE(!options.key_count || options.key);
	for (int i = 0; i < options.test_count; i++)
		REQUIRE(*check_name(options.tests[i].check));
}

/* Its own parse fails, too, where an expression is too deep. */
static void require_sql(const char *sql)
{
	struct error err = {0};
	int line = 0;
	OWNED_TREE struct tree *tree = tree_parse(connection, sql, &line, &err);

	if (!tree && !strstr(err.message, "depth"))
		fprintf(stderr, "%s\n", sql);
	REQUIRE(tree || strstr(err.message, "depth"));
}

static void compose(const struct shape *shape)
{
	static char first[] = "a", second[] = "Say \"b\"";
	static char *const columns[] = {first, second};
	OWNED_BUFFER struct buffer rows = {0}, groups = {0}, result = {0};
	struct error err = {0};

	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	buffer_init(&groups, SQL_MAXIMUM_BYTES);
	buffer_init(&result, SQL_MAXIMUM_BYTES);
	compose_rows(shape, "source", columns, 2, &rows);
	REQUIRE(buffer_ok(&rows));
	require_sql(buffer_string(&rows));
	if (shape->kind != SHAPE_GROUPS)
		return;
	compose_groups(shape, buffer_string(&rows), &groups);
	compose_result(shape, buffer_string(&groups), &result);
	REQUIRE(buffer_ok(&result));
	require_sql(buffer_string(&result));
}

static void read_select(const char *text)
{
	OWNED_SHAPE struct shape shape = {0};
	OWNED_TREE struct tree *tree = NULL;
	struct reference *reads = NULL;
	struct error err = {0};
	int line = 0, count = 0;

	tree = tree_parse(connection, text, &line, &err);
	if (!tree) {
		REQUIRE(*err.message);
		return;
	}
	if (references_find(tree, text, &reads, &count, &err) || shape_read(tree, connection, functions, &shape, &err))
		REQUIRE(*err.message);
	else if (shape.kind != SHAPE_WHOLE)
		compose(&shape);
	references_release(reads, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED_FREE char *text = NULL;

	if (!connection)
		open_duck();
	/* model.c refuses others before it reads them. */
	if (size > 65536 || memchr(data, 0, size))
		return 0;
	text = strndup((const char *)data, size);
	if (!text)
		return 0;
	read_options(text, size);
	read_select(text);
	return 0;
}
