#include "serve/extract.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"

#define CANNOT "CANNOT_ANSWER"

struct span {
	const char *at, *end;
};

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void trim(struct span *span)
{
	while (span->at < span->end && isspace((unsigned char)*span->at))
		span->at++;
	while (span->at < span->end && isspace((unsigned char)span->end[-1]))
		span->end--;
}

static struct span line_at(const struct span *text)
{
	const char *end = memchr(text->at, '\n', (size_t)(text->end - text->at));

	return (struct span){text->at, end ? end : text->end};
}

static void next_line(struct span *text, const struct span *line)
{
	text->at = line->end < text->end ? line->end + 1 : text->end;
}

static bool begins(const struct span *span, const char *word)
{
	size_t size = strlen(word);

	return (size_t)(span->end - span->at) >= size && !strncasecmp(span->at, word, size);
}

static bool begins_with_word(const struct span *span, const char *word)
{
	return begins(span, word) && (span->at + strlen(word) == span->end || !is_word(span->at[strlen(word)]));
}

static const char *const selects[] = {"SELECT", "WITH", "FROM", "VALUES", "TABLE"};
static const char *const others[] = {
        "ALTER",   "ANALYZE",   "ATTACH",   "BEGIN",   "CALL",       "CHECKPOINT", "COMMENT",  "COMMIT",
        "COPY",    "CREATE",    "DELETE",   "DETACH",  "DEALLOCATE", "DESC",       "DESCRIBE", "DROP",
        "EXECUTE", "EXPLAIN",   "EXPORT",   "FORCE",   "IMPORT",     "INSERT",     "INSTALL",  "LOAD",
        "MERGE",   "PIVOT",     "PRAGMA",   "PREPARE", "REINDEX",    "RESET",      "ROLLBACK", "SET",
        "SHOW",    "SUMMARIZE", "TRUNCATE", "UNPIVOT", "UPDATE",     "USE",        "VACUUM",
};

/* ---- SQL's own lexical rules, as far as ';' and first words need them */

static const char *skip_quoted(const char *at, const char *end, char quote)
{
	for (at++; at < end; at++)
		if (*at == quote) {
			if (at + 1 == end || at[1] != quote)
				return at + 1;
			at++;
		}
	return end;
}

static const char *skip_block_comment(const char *at, const char *end)
{
	int depth = 0;

	for (; at < end; at++) {
		if (end - at >= 2 && at[0] == '/' && at[1] == '*') {
			depth++;
			at++;
		} else if (end - at >= 2 && at[0] == '*' && at[1] == '/') {
			at++;
			if (!--depth)
				return at + 1;
		}
	}
	return end;
}

/* $tag$ ... $tag$; a lone $ is a letter. */
static const char *skip_dollars(const char *at, const char *end)
{
	const char *tag = at++;
	size_t size;

	while (at < end && is_word(*at))
		at++;
	if (at == end || *at != '$')
		return tag + 1;
	size = (size_t)(++at - tag);
	at = memmem(at, (size_t)(end - at), tag, size);
	return at ? at + size : end;
}

/* Past white space and comments. */
static const char *skip_space(const char *at, const char *end)
{
	for (;;) {
		while (at < end && isspace((unsigned char)*at))
			at++;
		if (end - at >= 2 && at[0] == '-' && at[1] == '-') {
			at = memchr(at, '\n', (size_t)(end - at));
			if (!at)
				return end;
		} else if (end - at >= 2 && at[0] == '/' && at[1] == '*') {
			at = skip_block_comment(at, end);
		} else {
			return at;
		}
	}
}

/* Past empty statements, too. */
static const char *skip_nothing(const char *at, const char *end)
{
	at = skip_space(at, end);
	while (at < end && *at == ';')
		at = skip_space(at + 1, end);
	return at;
}

/* The ';' that ends the statement, or the end. */
static const char *statement_end(const char *at, const char *end)
{
	while (at < end && *at != ';') {
		if (*at == '\'' || *at == '"')
			at = skip_quoted(at, end, *at);
		else if (*at == '$')
			at = skip_dollars(at, end);
		else if (end - at >= 2 && ((at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*')))
			at = skip_space(at, end);
		else
			at++;
	}
	return at;
}

static bool is_any(const struct span *span, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (begins_with_word(span, words[i]))
			return true;
	return false;
}

/* '(' begins one, too: ((SELECT 1)). */
static bool is_select(struct span span)
{
	span.at = skip_space(span.at, span.end);
	while (span.at < span.end && *span.at == '(')
		span.at = skip_space(span.at + 1, span.end);
	return is_any(&span, selects, COUNT_OF(selects));
}

static bool is_other(struct span span)
{
	span.at = skip_space(span.at, span.end);
	return is_any(&span, others, COUNT_OF(others));
}

/* ---- words for people */

/*
 * Words for people begin as statements do: "With this query...", "Show me". A statement's first word is in capitals, or
 * all in small letters; of the latter only select and with ... as, for "from" and "use" begin many a line, or at the
 * place where a statement is to be (`first`) what is no SELECT, too.
 */
static bool is_statement_line(const struct span *line, bool first)
{
	struct span word = *line;
	size_t small = 0, large = 0;

	word.at = skip_space(word.at, word.end);
	if (!is_select(word) && !is_other(word))
		return false;
	while (word.at < word.end && *word.at == '(')
		word.at = skip_space(word.at + 1, word.end);
	for (const char *c = word.at; c < word.end && is_word(*c); c++) {
		small += islower((unsigned char)*c) != 0;
		large += isupper((unsigned char)*c) != 0;
	}
	if (!small || large)
		return !small;
	return begins_with_word(&word, "select") || (first && is_other(word)) ||
	       (begins_with_word(&word, "with") && memmem(word.at, (size_t)(word.end - word.at), " as", 3));
}

void extract_line(struct buffer *out, const char *text, size_t size, size_t most)
{
	size_t cut = size;

	if (cut > most)
		for (cut = most; cut && ((unsigned char)text[cut] & 0xc0) == 0x80;)
			cut--;
	for (size_t i = 0; i < cut; i++)
		buffer_char(out, (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i]);
	if (cut < size)
		buffer_text(out, "...");
}

/* Of "CANNOT_ANSWER: why", also **CANNOT_ANSWER**: why. */
static bool take_reason(struct span span, struct buffer *out)
{
	trim(&span);
	while (span.at < span.end && strchr("*`#> ", *span.at))
		span.at++;
	if (!begins_with_word(&span, CANNOT))
		return false;
	span.at += strlen(CANNOT);
	while (span.at < span.end && strchr("*`:- \t\r\n.", *span.at))
		span.at++;
	while (span.at < span.end && strchr("*` \t\r\n", span.end[-1]))
		span.end--;
	extract_line(out, span.at, (size_t)(span.end - span.at), EXTRACT_REASON_BYTES_MAX);
	return true;
}

/* What a model thinks before it answers; some servers leave it in the text. */
static void skip_thoughts(struct span *text)
{
	const char *end;

	trim(text);
	if (!begins(text, "<think>"))
		return;
	end = memmem(text->at, (size_t)(text->end - text->at), "</think>", 8);
	text->at = end ? end + 8 : text->end;
	trim(text);
}

/* ---- fences */

/* How many of ` or ~ the line begins with; 0: it is no fence. */
static size_t fence_size(const struct span *line, char *ret_mark, struct span *ret_info)
{
	struct span rest = *line;
	size_t size = 0;

	while (rest.at < rest.end && (*rest.at == ' ' || *rest.at == '\t'))
		rest.at++;
	if (rest.at == rest.end || (*rest.at != '`' && *rest.at != '~'))
		return 0;
	*ret_mark = *rest.at;
	while (rest.at < rest.end && *rest.at == *ret_mark) {
		size++;
		rest.at++;
	}
	trim(&rest);
	*ret_info = rest;
	return size >= 3 ? size : 0;
}

struct fence {
	struct span info, body;
};

/* The next fence of the text, which moves behind it. One without an end goes to the text's. */
static bool next_fence(struct span *text, struct fence *ret_fence)
{
	char mark, closing;
	struct span line, info;
	size_t size = 0;

	while (text->at < text->end && !size) {
		line = line_at(text);
		size = fence_size(&line, &mark, &ret_fence->info);
		next_line(text, &line);
	}
	if (!size)
		return false;
	ret_fence->body = *text;
	while (text->at < text->end) {
		line = line_at(text);
		ret_fence->body.end = line.at;
		next_line(text, &line);
		if (fence_size(&line, &closing, &info) >= size && closing == mark && info.at == info.end)
			return true;
	}
	ret_fence->body.end = text->end;
	return true;
}

static bool is_sql_fence(const struct fence *fence)
{
	static const char *const names[] = {"sql", "duckdb", "postgres", "postgresql"};

	if (is_any(&fence->info, names, COUNT_OF(names)))
		return true;
	return fence->info.at == fence->info.end && (is_select(fence->body) || is_other(fence->body));
}

/* ---- the statement */

/* What stands behind a statement's ';'. */
static enum extracted look_behind(struct span rest)
{
	struct span line;

	rest.at = skip_nothing(rest.at, rest.end);
	line = line_at(&rest);
	if (is_statement_line(&line, true))
		return EXTRACTED_TWO;
	while (rest.at < rest.end) {
		line = line_at(&rest);
		if (is_statement_line(&line, false))
			return EXTRACTED_SEVERAL;
		next_line(&rest, &line);
	}
	return EXTRACTED_SQL;
}

static enum extracted take_statement(struct span span, struct buffer *out)
{
	enum extracted behind;
	const char *end;

	while (span.at < span.end && (*span.at == ';' || isspace((unsigned char)*span.at)))
		span.at++;
	end = statement_end(span.at, span.end);
	behind = look_behind((struct span){end, span.end});
	if (behind == EXTRACTED_SEVERAL)
		return behind;
	if (behind == EXTRACTED_SQL)
		span.end = end;
	trim(&span);
	if (skip_space(span.at, span.end) == span.end)
		return EXTRACTED_NOTHING;
	if ((size_t)(span.end - span.at) > EXTRACT_SQL_BYTES_MAX || memchr(span.at, 0, (size_t)(span.end - span.at)))
		return EXTRACTED_TOO_LONG;
	buffer_append(out, span.at, (size_t)(span.end - span.at));
	if (behind == EXTRACTED_TWO)
		return behind;
	return is_select(span) ? EXTRACTED_SQL : EXTRACTED_NO_SELECT;
}

/* The text, or from its first line that begins as a statement does. */
static enum extracted take_from_prose(struct span text, struct buffer *out)
{
	struct span rest = text, first = {skip_nothing(text.at, text.end), text.end}, line = line_at(&first);

	if (is_statement_line(&line, true))
		return take_statement(text, out);
	while (rest.at < rest.end) {
		line = line_at(&rest);
		if (is_statement_line(&line, false))
			return take_statement(rest, out);
		if (take_reason(line, out))
			return EXTRACTED_CANNOT;
		next_line(&rest, &line);
	}
	/* "Select ..." */
	return is_select(text) ? take_statement(text, out) : EXTRACTED_NOTHING;
}

static bool is_same(struct span a, struct span b)
{
	trim(&a);
	trim(&b);
	return a.end - a.at == b.end - b.at && !memcmp(a.at, b.at, (size_t)(a.end - a.at));
}

enum extracted extract_sql(const char *bytes, size_t size, struct buffer *out)
{
	struct span text = {bytes, bytes + size}, rest, found = {0};
	struct fence fence;
	int count = 0;

	buffer_clear(out);
	skip_thoughts(&text);
	if (take_reason(text, out))
		return EXTRACTED_CANNOT;
	for (rest = text; next_fence(&rest, &fence);) {
		if (take_reason(fence.body, out))
			return EXTRACTED_CANNOT;
		if (!is_sql_fence(&fence) || (count && is_same(found, fence.body)))
			continue;
		found = fence.body;
		count++;
	}
	if (count > 1)
		return EXTRACTED_SEVERAL;
	return count ? take_statement(found, out) : take_from_prose(text, out);
}
