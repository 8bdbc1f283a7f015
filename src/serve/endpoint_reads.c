#include "serve/endpoint_reads.h"

#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "lake/duck.h"
#include "query/guard.h"
#include "query/tree.h"
#include "query/volatile.h"

struct reads_parser {
	struct duck *duck;
	struct duck_connection *connection;
};

struct reads_parser *reads_parser_open(struct error *err)
{
	static const struct duck_setting settings[] = {{"threads", "1"}, {"enable_external_access", "false"}};
	struct reads_parser *parser = calloc(1, sizeof *parser);

	if (!parser) {
		error_no_memory(err);
		return NULL;
	}
	parser->duck = duck_open(NULL, settings, COUNT_OF(settings), err);
	parser->connection = parser->duck ? duck_connect(parser->duck, err) : NULL;
	if (parser->connection)
		return parser;
	reads_parser_close(parser);
	return NULL;
}

void reads_parser_close(struct reads_parser *parser)
{
	if (!parser)
		return;
	if (parser->connection)
		duck_disconnect(parser->connection);
	if (parser->duck)
		duck_close(parser->duck);
	free(parser);
}

static int refuse(const char *file, const struct spec_endpoint *endpoint, struct error *err)
{
	return error_wrap(err, "%s:%d: DuckLakeEndpoint %s: spec.sql", file, endpoint->sql_line, endpoint->name);
}

int endpoint_reads(struct reads_parser *parser, const char *file, const struct spec_endpoint *endpoint,
                   struct endpoint_reads *ret_reads, struct error *err)
{
	const struct guard_rights rights = {.table_count = -1};
	struct endpoint_reads reads = {0};
	struct guard_found found = {0};
	struct tree *tree;
	int line = 0;

	if (guard_check(parser->connection, endpoint->sql, &rights, &found, err) != GUARD_PASSES)
		return refuse(file, endpoint, err);
	tree = tree_parse(parser->connection, endpoint->sql, &line, err);
	if (!tree) {
		guard_found_release(&found);
		return refuse(file, endpoint, err);
	}
	reads.is_volatile = volatile_has(tree_root(tree));
	reads.models = volatile_asks_model(tree_root(tree));
	tree_free(tree);
	reads.tables = TAKE(found.tables);
	reads.table_count = found.table_count;
	found.table_count = 0;
	guard_found_release(&found);
	*ret_reads = reads;
	return 0;
}

void endpoint_reads_release(struct endpoint_reads *reads)
{
	for (int i = 0; i < reads->table_count; i++)
		free(reads->tables[i]);
	free(reads->tables);
	*reads = (struct endpoint_reads){0};
}
