/*
 * utf8.c - is text UTF-8? Alone sees simdutf.
 *
 * A whole column is checked in one pass; where it holds more than ASCII, each string must also begin on a character: a
 * character cut in two by an offset would pass the first check.
 */
#include <simdutf_c.h>

#include "batch/decode.h"

bool utf8_valid(const uint8_t *text, size_t size)
{
	return simdutf_validate_utf8((const char *)text, size);
}

bool utf8_valid_strings(const uint8_t *data, const uint8_t *offsets, int width, int64_t count)
{
	int64_t begin = load_offset(offsets, width, 0), end = load_offset(offsets, width, count), at;

	if (simdutf_validate_ascii((const char *)data + begin, (size_t)(end - begin)))
		return true;
	if (!utf8_valid(data + begin, (size_t)(end - begin)))
		return false;
	for (int64_t i = 1; i < count; i++) {
		at = load_offset(offsets, width, i);
		if (at < end && (data[at] & 0xc0) == 0x80)
			return false;
	}
	return true;
}
