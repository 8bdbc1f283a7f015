#include "lake/type.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"

#define DEPTH_MAX 64

/* ---- scalars */

/* What each type holds without loss besides itself; the first that holds both of two is their merge. */
static const struct {
	const char *from, *to;
} safe[] = {
        {"TINYINT", "SMALLINT INTEGER BIGINT DOUBLE"},
        {"SMALLINT", "INTEGER BIGINT DOUBLE"},
        {"INTEGER", "BIGINT DOUBLE"},
        {"UTINYINT", "USMALLINT SMALLINT UINTEGER INTEGER UBIGINT BIGINT DOUBLE"},
        {"USMALLINT", "UINTEGER INTEGER UBIGINT BIGINT DOUBLE"},
        {"UINTEGER", "UBIGINT BIGINT DOUBLE"},
        {"FLOAT", "DOUBLE"},
        {"DATE", "TIMESTAMP_S TIMESTAMP_MS TIMESTAMP"},
        {"TIMESTAMP_S", "TIMESTAMP_MS TIMESTAMP"},
        {"TIMESTAMP_MS", "TIMESTAMP"},
};

/* "a b c": is it one of these words? */
static bool has_word(const char *words, const char *word, size_t size)
{
	for (const char *at = words; at; at = strchr(at, ' '), at += at ? 1 : 0)
		if (!strncmp(at, word, size) && (at[size] == ' ' || !at[size]))
			return true;
	return false;
}

static const char *safe_targets(const char *type)
{
	for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
		if (!strcmp(safe[i].from, type))
			return safe[i].to;
	return "";
}

static bool merge_decimals(const char *old, const char *new, struct buffer *out)
{
	int precision[2], scale[2], whole, fraction;

	if (sscanf(old, "DECIMAL(%d,%d)", &precision[0], &scale[0]) != 2 ||
	    sscanf(new, "DECIMAL(%d,%d)", &precision[1], &scale[1]) != 2)
		return false;
	fraction = scale[0] > scale[1] ? scale[0] : scale[1];
	whole = precision[0] - scale[0] > precision[1] - scale[1] ? precision[0] - scale[0] : precision[1] - scale[1];
	buffer_printf(out, "DECIMAL(%d,%d)", whole + fraction, fraction);
	return whole + fraction <= 38;
}

static bool merge_scalars(const char *old, const char *new, struct buffer *out)
{
	const char *olds = safe_targets(old), *news = safe_targets(new);

	if (has_word(news, old, strlen(old))) {
		buffer_text(out, old);
		return true;
	}
	if (has_word(olds, new, strlen(new))) {
		buffer_text(out, new);
		return true;
	}
	for (const char *at = olds; *at; at += strcspn(at, " "), at += *at == ' ') {
		size_t size = strcspn(at, " ");

		if (!has_word(news, at, size))
			continue;
		buffer_append(out, at, size);
		return true;
	}
	return merge_decimals(old, new, out);
}

/* ---- nested types, as "STRUCT(a INTEGER, "b c" VARCHAR[])", "MAP(VARCHAR, INTEGER)", "INTEGER[3]" */

/* Up to the ',' or ')' that ends this part, over parentheses and quotes. */
static size_t part_size(const char *text)
{
	int depth = 0;
	bool quoted = false;
	size_t i = 0;

	for (; text[i]; i++) {
		if (text[i] == '"') {
			quoted = !quoted; /* a doubled quote opens and closes at once */
			continue;
		}
		if (quoted)
			continue;
		if (!depth && (text[i] == ',' || text[i] == ')'))
			break;
		depth += (text[i] == '(') - (text[i] == ')');
	}
	return i;
}

/* Of a name, with its quotes where it has them. */
static size_t name_size(const char *text)
{
	size_t i = 1;

	if (*text != '"')
		return strcspn(text, " ");
	for (; text[i]; i++) {
		if (text[i] != '"')
			continue;
		if (text[i + 1] != '"')
			return i + 1;
		i++;
	}
	return i;
}

/* The next part of "a, b)" in *at, which moves on; NULL at the end. Owned by the caller. */
static char *next_part(const char **at)
{
	size_t size;
	char *part;

	while (**at == ' ' || **at == ',')
		++*at;
	size = part_size(*at);
	if (!size)
		return NULL;
	part = strndup(*at, size);
	*at += size;
	return part;
}

static bool merge(const char *old, const char *new, int depth, struct buffer *out);

/* The field of that name (with quotes, if any) in the text behind "STRUCT("; NULL: none. */
static char *find_field(const char *fields, const char *name, size_t size)
{
	char *part;

	while ((part = next_part(&fields))) {
		if (name_size(part) == size && !strncasecmp(part, name, size))
			return part;
		free(part);
	}
	return NULL;
}

static bool merge_structs(const char *old, const char *new, int depth, struct buffer *out)
{
	const char *at = old + strlen("STRUCT("), *olds = at, *news = new + strlen("STRUCT(");
	bool merged = true;

	buffer_text(out, "STRUCT(");
	while (merged) {
		OWNED_FREE char *part = next_part(&at);
		OWNED_FREE char *other = part ? find_field(news, part, name_size(part)) : NULL;

		if (!part)
			break;
		buffer_text(out, part == NULL || out->data[out->size - 1] == '(' ? "" : ", ");
		if (!other) {
			buffer_text(out, part);
			continue;
		}
		buffer_append(out, part, name_size(part) + 1);
		merged = merge(part + name_size(part) + 1, other + name_size(other) + 1, depth, out);
	}
	for (at = news; merged;) {
		OWNED_FREE char *part = next_part(&at);
		OWNED_FREE char *known = part ? find_field(olds, part, name_size(part)) : NULL;

		if (!part)
			break;
		if (known)
			continue;
		buffer_text(out, ", ");
		buffer_text(out, part);
	}
	buffer_char(out, ')');
	return merged && buffer_ok(out);
}

static bool merge_maps(const char *old, const char *new, int depth, struct buffer *out)
{
	const char *olds = old + strlen("MAP("), *news = new + strlen("MAP(");
	OWNED_FREE char *old_key = next_part(&olds), *new_key = next_part(&news), *old_value = next_part(&olds),
	                *new_value = next_part(&news);

	if (!old_key || !new_key || !old_value || !new_value)
		return false;
	buffer_text(out, "MAP(");
	if (!merge(old_key, new_key, depth, out))
		return false;
	buffer_text(out, ", ");
	if (!merge(old_value, new_value, depth, out))
		return false;
	buffer_char(out, ')');
	return true;
}

/* Where the last "[]" or "[3]" begins; NULL: it is no list. */
static const char *list_suffix(const char *type)
{
	size_t size = strlen(type);

	return size > 2 && type[size - 1] == ']' ? strrchr(type, '[') : NULL;
}

static bool merge_lists(const char *old, const char *new, int depth, struct buffer *out)
{
	const char *suffix = list_suffix(old), *other = list_suffix(new);
	OWNED_FREE char *element = strndup(old, (size_t)(suffix - old)), *with = strndup(new, (size_t)(other - new));

	if (!element || !with || strcmp(suffix, other) != 0 || !merge(element, with, depth, out))
		return false;
	buffer_text(out, suffix);
	return true;
}

static bool is_made_by(const char *type, const char *maker)
{
	return !strncmp(type, maker, strlen(maker)) && type[strlen(type) - 1] == ')';
}

static bool merge(const char *old, const char *new, int depth, struct buffer *out)
{
	if (!strcmp(old, new)) {
		buffer_text(out, old);
		return true;
	}
	if (depth > DEPTH_MAX)
		return false;
	if (list_suffix(old) || list_suffix(new))
		return list_suffix(old) && list_suffix(new) && merge_lists(old, new, depth + 1, out);
	if (is_made_by(old, "STRUCT(") && is_made_by(new, "STRUCT("))
		return merge_structs(old, new, depth + 1, out);
	if (is_made_by(old, "MAP(") && is_made_by(new, "MAP("))
		return merge_maps(old, new, depth + 1, out);
	return merge_scalars(old, new, out);
}

bool type_merge(const char *old, const char *new, struct buffer *out)
{
	return merge(old, new, 0, out) && buffer_ok(out);
}
