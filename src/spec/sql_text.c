#include "spec/sql_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Behind a comment of C's kind, which nest in SQL. */
static const char *skip_block(const char *at)
{
	int depth = 0;

	do {
		if (at[0] == '/' && at[1] == '*') {
			depth++;
			at += 2;
		} else if (at[0] == '*' && at[1] == '/') {
			depth--;
			at += 2;
		} else {
			at++;
		}
	} while (depth && *at);
	return at;
}

static const char *skip_between(const char *at)
{
	for (;;) {
		if (isspace((unsigned char)*at))
			at++;
		else if (at[0] == '-' && at[1] == '-')
			at += strcspn(at, "\n");
		else if (at[0] == '/' && at[1] == '*')
			at = skip_block(at);
		else
			return at;
	}
}

/* Behind a text or name in quotes, which are doubled within; `escapes`: a backslash takes the next character along. */
static const char *skip_quoted(const char *at, bool escapes)
{
	char quote = *at++;

	for (; *at; at++) {
		if (escapes && *at == '\\' && at[1])
			at++;
		else if (*at == quote && at[1] == quote)
			at++;
		else if (*at == quote)
			return at + 1;
	}
	return at;
}

/* $$text$$ or $tag$text$tag$; NULL where it is none. */
static const char *skip_dollars(const char *at)
{
	const char *tag = at + 1, *end;
	size_t size;

	if (!isdigit((unsigned char)*tag))
		while (is_word(*tag))
			tag++;
	if (*tag != '$')
		return NULL;
	size = (size_t)(tag + 1 - at);
	end = memmem(tag + 1, strlen(tag + 1), at, size);
	return end ? end + size : tag + strlen(tag);
}

static enum sql_piece dollar(const char **at)
{
	const char *end = skip_dollars(*at);
	bool digit = isdigit((unsigned char)(*at)[1]), word = is_word((*at)[1]);

	if (end) {
		*at = end;
		return SQL_OTHER;
	}
	(*at)++;
	while (is_word(**at))
		(*at)++;
	return digit ? SQL_PLACE : word ? SQL_PARAMETER : SQL_OTHER;
}

enum sql_piece sql_next(const char **at, const char **ret_piece, size_t *ret_size)
{
	const char *start = skip_between(*at), *end = start;
	enum sql_piece piece = SQL_OTHER;

	if (!*start) {
		piece = SQL_END;
	} else if (*start == '\'' || *start == '"') {
		end = skip_quoted(start, false);
	} else if ((*start == 'e' || *start == 'E') && start[1] == '\'') {
		end = skip_quoted(start + 1, true);
	} else if (*start == '$') {
		piece = dollar(&end);
	} else if (is_word(*start)) {
		while (is_word(*end) || *end == '$') /* a name may have a $ behind its first character */
			end++;
	} else {
		piece = *start == ';' ? SQL_SEMICOLON : *start == '?' ? SQL_PLACE : SQL_OTHER;
		end++;
	}
	*ret_piece = start;
	*ret_size = (size_t)(end - start);
	*at = end;
	return piece;
}

size_t sql_statement_size(const char *sql)
{
	const char *at = sql, *piece, *end = sql;
	enum sql_piece kind;
	size_t size;

	while ((kind = sql_next(&at, &piece, &size)) != SQL_END)
		if (kind != SQL_SEMICOLON)
			end = piece + size;
	return (size_t)(end - sql);
}
