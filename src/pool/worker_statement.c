#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "pool/worker_private.h"
#include "query/tree.h"
#include "query/volatile.h"

/* Statements that come again are short, and few. A tree has some hundred bytes for each word of its statement. */
#define KEPT_MAX 256
#define KEPT_BYTES_MAX 8192

struct statements {
	struct statement *newest, *oldest;
	int count;
	struct statement *single; /* the last one that was too long to be kept */
};

struct statements *statements_new(void)
{
	return calloc(1, sizeof(struct statements));
}

static void free_statement(struct statement *statement)
{
	if (!statement)
		return;
	guard_found_release(&statement->found);
	buffer_release(&statement->pinned);
	free(statement->key);
	free(statement);
}

void statements_free(struct statements *statements)
{
	if (!statements)
		return;
	for (struct statement *statement = statements->newest, *older; statement; statement = older) {
		older = statement->older;
		free_statement(statement);
	}
	free_statement(statements->single);
	free(statements);
}

/* The statement and the rights that it was looked at with. */
static void append_key(const struct request *request, struct buffer *key)
{
	buffer_printf(key, "%d", request->table_count);
	for (int i = 0; i < request->table_count; i++) {
		buffer_char(key, '\n');
		buffer_json_text(key, request->tables[i], strlen(request->tables[i]));
	}
	buffer_char(key, '\n');
	buffer_text(key, request->sql);
}

static void unlink_statement(struct statements *statements, struct statement *statement)
{
	*(statement->newer ? &statement->newer->older : &statements->newest) = statement->older;
	*(statement->older ? &statement->older->newer : &statements->oldest) = statement->newer;
	statements->count--;
}

static void put_first(struct statements *statements, struct statement *statement)
{
	statement->newer = NULL;
	statement->older = statements->newest;
	*(statements->newest ? &statements->newest->newer : &statements->oldest) = statement;
	statements->newest = statement;
	statements->count++;
}

static struct statement *find(struct statements *statements, const char *key)
{
	struct statement *statement = statements->newest;

	while (statement && strcmp(statement->key, key) != 0)
		statement = statement->older;
	if (!statement)
		return NULL;
	unlink_statement(statements, statement);
	put_first(statements, statement);
	return statement;
}

static struct statement *new_statement(const char *key)
{
	struct statement *statement = calloc(1, sizeof *statement);

	if (!statement || !(statement->key = strdup(key))) {
		free(statement);
		return NULL;
	}
	statement->pinned_at = -2;
	buffer_init(&statement->pinned, (size_t)16 << 20);
	return statement;
}

static void keep(struct statements *statements, struct statement *statement)
{
	free_statement(statements->single);
	statements->single = NULL;
	if (strlen(statement->key) > KEPT_BYTES_MAX || statement->verdict == GUARD_FAILED) {
		statements->single = statement;
		return;
	}
	put_first(statements, statement);
	if (statements->count > KEPT_MAX) {
		struct statement *oldest = statements->oldest;

		unlink_statement(statements, oldest);
		free_statement(oldest);
	}
}

struct statement *statements_get(struct statements *statements, struct duck_connection *parser,
                                 const struct request *request, struct error *err)
{
	struct guard_rights rights = {(const char *const *)request->tables, request->table_count};
	OWNED_BUFFER struct buffer key = {0};
	struct statement *statement;

	buffer_init(&key, (size_t)32 << 20);
	append_key(request, &key);
	if (!buffer_ok(&key)) {
		error_no_memory(err);
		return NULL;
	}
	statement = find(statements, buffer_string(&key));
	if (statement)
		return statement;
	statement = new_statement(buffer_string(&key));
	if (!statement) {
		error_no_memory(err);
		return NULL;
	}
	statement->verdict = guard_check(parser, request->sql, &rights, &statement->found, &statement->refusal);
	if (statement->verdict == GUARD_PASSES)
		statement->differs = volatile_has(tree_root(statement->found.tree)) ||
		                     volatile_asks_model(tree_root(statement->found.tree));
	keep(statements, statement);
	return statement;
}
