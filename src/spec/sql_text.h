/*
 * sql_text.h - an SQL text cut into its pieces, as far as is needed to see its parameters: what stands in a text, a
 * quoted name, a comment or a $tag$text$tag$ is none. DuckDB parses later; this only tells a manifest's author early.
 */
#ifndef TARN_SPEC_SQL_TEXT_H
#define TARN_SPEC_SQL_TEXT_H

#include <stddef.h>

enum sql_piece {
	SQL_END,
	SQL_PARAMETER, /* $name */
	SQL_PLACE, /* ?, $1: by its place */
	SQL_SEMICOLON,
	SQL_OTHER, /* a word, a number, a text, an operator's character; no comment, no space */
};

/* The piece at *at or behind it, its text in *ret_piece, of *ret_size bytes; *at moves behind it. */
enum sql_piece sql_next(const char **at, const char **ret_piece, size_t *ret_size);
/* Bytes up to the end of the statement: without semicolons, spaces and comments behind it. */
size_t sql_statement_size(const char *sql);

#endif
