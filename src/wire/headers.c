#include "wire/headers.h"

#include <stdint.h>
#include <string.h>

#define MARK "base64:"

/* Length of the sequence at s, or 0 where there is none (RFC 3629 section 4). */
static size_t sequence(const uint8_t *s, size_t left)
{
	size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
	uint8_t low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
	uint8_t high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;

	if (!length || length > left)
		return 0;
	if (length > 1 && (s[1] < low || s[1] > high))
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

bool headers_is_utf8(const void *bytes, size_t size)
{
	const uint8_t *s = bytes;

	for (size_t i = 0, length; i < size; i += length) {
		length = sequence(s + i, size - i);
		if (!length)
			return false;
	}
	return true;
}

static void append_base64(struct buffer *out, const uint8_t *s, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t bits =
		        (uint32_t)s[i] << 16 | (left > 1 ? (uint32_t)s[i + 1] << 8 : 0) | (left > 2 ? s[i + 2] : 0u);

		buffer_char(out, digits[bits >> 18]);
		buffer_char(out, digits[bits >> 12 & 63]);
		buffer_char(out, left > 1 ? digits[bits >> 6 & 63] : '=');
		buffer_char(out, left > 2 ? digits[bits & 63] : '=');
	}
}

void headers_pair_json(struct buffer *out, const char *name, const void *value, size_t size)
{
	bool marked = value && size >= sizeof MARK - 1 && !memcmp(value, MARK, sizeof MARK - 1);

	buffer_char(out, '[');
	buffer_json_text(out, name, strlen(name));
	buffer_char(out, ',');
	if (!value) {
		buffer_text(out, "null");
	} else if (headers_is_utf8(value, size) && !marked) {
		buffer_json_text(out, value, size);
	} else {
		buffer_text(out, "\"" MARK);
		append_base64(out, value, size);
		buffer_char(out, '"');
	}
	buffer_char(out, ']');
}
