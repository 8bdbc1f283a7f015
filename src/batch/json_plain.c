/*
 * json_plain.c - most events are plain: objects of the keys that are known, values without escapes, ASCII alone. Their
 * values are found in one pass over the text, as yyjson's values that point into it, without a tree of all there is.
 *
 * Invariants:
 *  1. What is taken here is JSON (RFC 8259), and gives the values that yyjson's tree would give.
 *  2. Of anything else nothing is said, also of what is wrong: yyjson reads the text, and has the last word.
 *
 * Each function reads what begins at `at` and returns what is behind it; NULL: it is not plain, or the text ends.
 */
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "batch/json_private.h"

struct plain {
	const char *end;
	yyjson_val *values; /* room for PLAIN_VALUES */
	int count;
	json_plain_found *found;
	void *context;
};

static inline const char *skip_space(const struct plain *plain, const char *at)
{
	while (at < plain->end && json_is_space(*at))
		at++;
	return at < plain->end ? at : NULL;
}

/* The quote that ends a text. */
static inline const char *find_quote(const struct plain *plain, const char *at)
{
#ifdef __SSE2__
	const __m128i quotes = _mm_set1_epi8('"'), slashes = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');

	for (; plain->end - at >= 16; at += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
		/* As signed numbers control characters and all that is not ASCII are below the space. */
		int marks = _mm_movemask_epi8(
		        _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quotes), _mm_cmpeq_epi8(bytes, slashes)),
		                     _mm_cmplt_epi8(bytes, space)));

		if (!marks)
			continue;
		at += __builtin_ctz((unsigned)marks);
		return *at == '"' ? at : NULL;
	}
#endif
	for (; at < plain->end && *at != '"'; at++)
		if (*at == '\\' || (signed char)*at < ' ')
			return NULL;
	return at < plain->end ? at : NULL;
}

static inline const char *skip_digits(const struct plain *plain, const char *at)
{
	while (at < plain->end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

/* Without an exponent. */
static inline const char *skip_number(const struct plain *plain, const char *at)
{
	const char *digits = at + (*at == '-'), *point = skip_digits(plain, digits);

	if (point == digits || point == plain->end || (*digits == '0' && point > digits + 1))
		return NULL;
	at = *point == '.' ? skip_digits(plain, point + 1) : point;
	return at == point + 1 || at == plain->end || *at == 'e' || *at == 'E' ? NULL : at;
}

static const char *skip_word(const struct plain *plain, const char *at, const char *word, size_t size)
{
	return (size_t)(plain->end - at) < size || memcmp(at, word, size) != 0 ? NULL : at + size;
}

static const char *read_value(const struct plain *plain, const char *at, yyjson_val *value)
{
	const char *text = at;

	switch (*at) {
	case '"':
		at = find_quote(plain, ++text);
		if (!at)
			return NULL;
		unsafe_yyjson_set_strn(value, text, (size_t)(at - text));
		return at + 1;
	case 't': unsafe_yyjson_set_bool(value, true); return skip_word(plain, at, "true", 4);
	case 'f': unsafe_yyjson_set_bool(value, false); return skip_word(plain, at, "false", 5);
	case 'n': unsafe_yyjson_set_null(value); return skip_word(plain, at, "null", 4);
	default:
		at = skip_number(plain, at);
		if (at)
			unsafe_yyjson_set_raw(value, text, (size_t)(at - text));
		return at;
	}
}

static const char *read_object(struct plain *plain, const char *at, struct key *parent);

/* at: behind its first quote. */
static inline const char *read_member(struct plain *plain, const char *at, struct key *parent)
{
	const char *name = at;
	yyjson_val ignored, *value = &ignored;
	struct key *key;

	at = find_quote(plain, name);
	if (!at)
		return NULL;
	key = key_find(parent, name, (size_t)(at - name));
	at = skip_space(plain, at + 1);
	if (!at || *at != ':' || !(at = skip_space(plain, at + 1)))
		return NULL;
	if (*at == '{') /* kept as it is, or nobody's: the tree has where it ends */
		return key && key->cell < 0 && key->child_count ? read_object(plain, at, key) : NULL;
	if (!key || key->cell < 0)
		return read_value(plain, at, &ignored);
	if (plain->count == PLAIN_VALUES)
		return NULL;
	value = &plain->values[plain->count++];
	at = read_value(plain, at, value);
	return at && plain->found(plain->context, key, value) ? at : NULL;
}

/* As deep as the tree of keys. at: its '{'. */
static const char *read_object(struct plain *plain, const char *at, struct key *parent)
{
	at = skip_space(plain, at + 1);
	if (at && *at == '}')
		return at + 1;
	while (at && *at == '"') {
		at = read_member(plain, at + 1, parent);
		at = at ? skip_space(plain, at) : NULL;
		if (at && *at == '}')
			return at + 1;
		at = at && *at == ',' ? skip_space(plain, at + 1) : NULL;
	}
	return NULL;
}

bool json_plain(const char *text, size_t size, struct key *root, yyjson_val *values, json_plain_found *found,
                void *context)
{
	struct plain plain = {.end = text + size, .values = values, .found = found, .context = context};

	return root->cell < 0 && *text == '{' && read_object(&plain, text, root) == plain.end;
}
