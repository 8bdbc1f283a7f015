/*
 * duck_query_around.c - a statement as part of another one: (the statement) AS q(c0, c1...).
 *
 * It was parsed on its own before, as exactly one statement, so its brackets and quotes are in order. What may stand
 * behind it is a semicolon and remarks: these must go, and only DuckDB's parser knows where texts and remarks begin. So
 * the text is tried as it is, then cut off at its last semicolon, at the one before that... A cut inside a text or a
 * remark leaves it without its end, and does not parse; one behind -- changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "lake/duck.h"
#include "lake/duck_private.h"
#include "lake/duck_query_private.h"

#define CUTS_MAX 16

/* What stands before the first word: white space and comments. */
static size_t skip_blank(const char *sql)
{
	size_t at = 0;

	for (;;) {
		const char *end;

		at += strspn(sql + at, " \t\r\n\f\v");
		if (!strncmp(sql + at, "--", 2)) {
			at += strcspn(sql + at, "\n");
		} else if (!strncmp(sql + at, "/*", 2) && (end = strstr(sql + at + 2, "*/"))) {
			at = (size_t)(end + 2 - sql);
		} else {
			return at;
		}
	}
}

static void append_around(const struct query *query, const char *head, bool columns, const char *tail, size_t from,
                          size_t size, struct buffer *sql)
{
	bool call = query->type == DUCKDB_STATEMENT_TYPE_CALL;

	buffer_text(sql, head);
	/* CALL f() is FROM f(). */
	buffer_text(sql, call ? "(FROM " : "(");
	buffer_append(sql, query->sql + from, size - from);
	/* A remark at the end would swallow the bracket. */
	buffer_text(sql, "\n)");
	buffer_text(sql, columns ? " AS q(" : "");
	for (int i = 0; columns && i < query->column_count; i++)
		buffer_printf(sql, "%sc%d", i ? ", " : "", i);
	buffer_text(sql, columns ? ")" : "");
	buffer_text(sql, tail);
}

static duckdb_prepared_statement prepare_one(struct query *query, const struct buffer *sql, struct error *err)
{
	duckdb_extracted_statements statements = NULL;
	duckdb_prepared_statement statement = NULL;
	idx_t count = duckdb_extract_statements(query->connection->handle, buffer_string(sql), &statements);

	if (!count) {
		query_fail(DUCKDB_ERROR_PARSER, duckdb_extract_statements_error(statements), err);
	} else if (count > 1) {
		error_set(err, ERROR_INVALID, 0, "one statement would be right");
	} else if (duckdb_prepare_extracted_statement(query->connection->handle, statements, 0, &statement) ==
	           DuckDBError) {
		query_fail(DUCKDB_ERROR_BINDER, duckdb_prepare_error(statement), err);
		duckdb_destroy_prepare(&statement);
	}
	duckdb_destroy_extracted(&statements);
	return statement;
}

static size_t semicolon_before(const char *sql, size_t size)
{
	while (size && sql[size - 1] != ';')
		size--;
	return size ? size - 1 : 0;
}

duckdb_prepared_statement query_prepare_around(struct query *query, const char *head, bool columns, const char *tail,
                                               struct error *err)
{
	bool call = query->type == DUCKDB_STATEMENT_TYPE_CALL;
	size_t from = call ? skip_blank(query->sql) : 0, size = strlen(query->sql);
	duckdb_prepared_statement statement = NULL;
	OWNED_BUFFER struct buffer sql = {0};

	if ((call && strncasecmp(query->sql + from, "CALL", 4) != 0) ||
	    (!call && query->type != DUCKDB_STATEMENT_TYPE_SELECT)) {
		error_set(err, ERROR_INVALID, 0, "the statement is no SELECT");
		return NULL;
	}
	from += call ? strlen("CALL") : 0;
	buffer_init(&sql, BUFFER_DEFAULT_MAXIMUM);
	for (int i = 0; !statement && size > from && i < CUTS_MAX; i++) {
		buffer_clear(&sql);
		append_around(query, head, columns, tail, from, size, &sql);
		if (!buffer_ok(&sql)) {
			error_no_memory(err);
			return NULL;
		}
		statement = prepare_one(query, &sql, err);
		size = semicolon_before(query->sql, size);
	}
	return statement;
}
