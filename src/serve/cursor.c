#include "serve/cursor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/hash.h"
#include "base/owned.h"

#define MARK_DIGITS 16

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* RFC 4648 section 5, without '='. */
static void encode(struct buffer *out, const char *text, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)text;

	for (size_t i = 0; i < size; i += 3) {
		uint32_t three = (uint32_t)bytes[i] << 16;

		if (i + 1 < size)
			three |= (uint32_t)bytes[i + 1] << 8;
		if (i + 2 < size)
			three |= bytes[i + 2];
		for (size_t k = 0; k < 4 && i + k <= size; k++)
			buffer_char(out, alphabet[three >> (18 - 6 * k) & 63]);
	}
}

/* False: it is not that, or another text than encode makes of these bytes. */
static bool decode(struct buffer *out, const char *text)
{
	uint32_t bits = 0;
	int count = 0;

	for (; *text; text++) {
		const char *digit = strchr(alphabet, *text);

		if (!digit)
			return false;
		bits = bits << 6 | (uint32_t)(digit - alphabet);
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		buffer_char(out, (char)(bits >> count & 255));
	}
	return buffer_ok(out) && !(bits & ((1u << count) - 1)) && count < 6;
}

/* Of the mark and all that the cursor says: one changed byte is found. */
static void append_mark(struct buffer *out, int64_t snapshot, const struct cursor_origin *origin, const char *key,
                        const char *mark)
{
	OWNED_BUFFER struct buffer all = {0};
	char digits[HASH_HEX_SIZE];

	buffer_init(&all, BUFFER_DEFAULT_MAXIMUM);
	buffer_printf(&all, "%" PRId64 "\n%s\n%s\n%s\n%s", snapshot, origin->lake, origin->time, key, mark);
	if (!buffer_ok(&all) || !hash_whole(buffer_string(&all), all.size, digits))
		out->failed = true;
	else
		buffer_append(out, digits, MARK_DIGITS);
}

void cursor_write(struct buffer *out, int64_t snapshot, const struct cursor_origin *origin, const char *key,
                  const char *mark)
{
	OWNED_BUFFER struct buffer json = {0};

	buffer_init(&json, BUFFER_DEFAULT_MAXIMUM);
	buffer_printf(&json, "[%" PRId64 ",\"", snapshot);
	append_mark(&json, snapshot, origin, key, mark);
	buffer_printf(&json, "\",%s,", key);
	buffer_json_text(&json, origin->lake, strlen(origin->lake));
	buffer_char(&json, ',');
	buffer_json_text(&json, origin->time, strlen(origin->time));
	buffer_char(&json, ']');
	encode(out, buffer_string(&json), json.size);
}

/* The values as they are written. False: a value is neither a text nor null. */
static bool append_key(struct buffer *out, yyjson_val *list, int key_count)
{
	size_t index, size;
	yyjson_val *value;

	if (!yyjson_is_arr(list) || yyjson_arr_size(list) != (size_t)key_count)
		return false;
	buffer_char(out, '[');
	yyjson_arr_foreach(list, index, size, value)
	{
		buffer_text(out, index ? "," : "");
		if (yyjson_is_null(value))
			buffer_text(out, "null");
		else if (yyjson_is_str(value))
			buffer_json_text(out, yyjson_get_str(value), yyjson_get_len(value));
		else
			return false;
	}
	buffer_char(out, ']');
	return buffer_ok(out);
}

static bool read_text(yyjson_val *value, char *ret_text, size_t size)
{
	if (!yyjson_is_str(value) || yyjson_get_len(value) >= size)
		return false;
	snprintf(ret_text, size, "%s", yyjson_get_str(value));
	return true;
}

static bool read_list(yyjson_val *list, const char *mark, int key_count, struct cursor *cursor)
{
	yyjson_val *snapshot = yyjson_arr_get(list, 0), *digits = yyjson_arr_get(list, 1);
	OWNED_BUFFER struct buffer key = {0}, right = {0};

	buffer_init(&key, CURSOR_BYTES_MAX);
	buffer_init(&right, MARK_DIGITS);
	if (yyjson_arr_size(list) != 5 || !yyjson_is_int(snapshot) || yyjson_get_sint(snapshot) < 0 ||
	    !yyjson_is_str(digits) || !append_key(&key, yyjson_arr_get(list, 2), key_count) ||
	    !read_text(yyjson_arr_get(list, 3), cursor->origin.lake, sizeof cursor->origin.lake) ||
	    !read_text(yyjson_arr_get(list, 4), cursor->origin.time, sizeof cursor->origin.time))
		return false;
	append_mark(&right, yyjson_get_sint(snapshot), &cursor->origin, buffer_string(&key), mark);
	if (strcmp(buffer_string(&right), yyjson_get_str(digits)) != 0)
		return false;
	cursor->snapshot = yyjson_get_sint(snapshot);
	cursor->key = strdup(buffer_string(&key));
	return cursor->key;
}

int cursor_read(const char *text, const char *mark, int key_count, struct cursor *ret_cursor, struct error *err)
{
	OWNED_BUFFER struct buffer json = {0};
	struct cursor cursor = {0};
	yyjson_doc *document = NULL;
	bool right;

	buffer_init(&json, CURSOR_BYTES_MAX);
	if (decode(&json, text))
		document = yyjson_read(buffer_string(&json), json.size, 0);
	right = document && read_list(yyjson_doc_get_root(document), mark, key_count, &cursor);
	yyjson_doc_free(document);
	if (!right)
		return error_set(
		        err, ERROR_INVALID, 0,
		        "The cursor is not one that a page of this request had as its next; begin without one");
	*ret_cursor = cursor;
	return 0;
}

void cursor_release(struct cursor *cursor)
{
	free(cursor->key);
	*cursor = (struct cursor){0};
}

static bool differ(const char *one, const char *other)
{
	return *one && *other && strcmp(one, other) != 0;
}

bool cursor_origins_differ(const struct cursor_origin *one, const struct cursor_origin *other)
{
	return differ(one->lake, other->lake) || differ(one->time, other->time);
}
