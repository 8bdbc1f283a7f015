#include "lake/place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "spec/mistake.h"

#define TOPIC_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

#define FILES "files:" /* the topic of a stream of files: stream/files.c */

/* Digits, without sign or space. What follows them; NULL where there are none, or they are more than `most`. */
static const char *read_digits(const char *text, int64_t most, int64_t *ret)
{
	size_t size = strspn(text, "0123456789");
	int64_t value = 0;

	if (!size)
		return NULL;
	for (size_t i = 0; i < size; i++) {
		int digit = text[i] - '0';

		if (value > (most - digit) / 10)
			return NULL;
		value = value * 10 + digit;
	}
	*ret = value;
	return text + size;
}

static bool read_place(const char *text, bool whole, struct place *place)
{
	size_t files = strncmp(text, FILES, strlen(FILES)) ? 0 : strlen(FILES);
	size_t size = files + strspn(text + files, TOPIC_CHARACTERS);
	int64_t partition;

	if (size == files || size > PLACE_TOPIC_MAX)
		return false;
	memcpy(place->topic, text, size);
	text += size;
	if (!*text)
		return !whole;
	if (*text != '/' || !(text = read_digits(text + 1, INT32_MAX, &partition)))
		return false;
	place->partition = (int32_t)partition;
	if (!*text)
		return !whole;
	/* INT64_MAX would have no offset behind it. */
	return *text == ':' && (text = read_digits(text + 1, INT64_MAX - 1, &place->offset)) && !*text;
}

int place_parse(const char *text, bool whole, struct place *ret_place, struct error *err)
{
	struct place place = {.partition = -1, .offset = -1};
	char quoted[QUOTED_SIZE];

	if (!read_place(text, whole, &place))
		return error_set(err, ERROR_INVALID, 0, "%s is no place of a message: %s would be right",
		                 quote_text(quoted, text),
		                 whole ? "TOPIC/PARTITION:OFFSET, as events/3:1207,"
		                       : "TOPIC, TOPIC/PARTITION or TOPIC/PARTITION:OFFSET, as events/3:1207,");
	*ret_place = place;
	return 0;
}

const char *place_text(char text[PLACE_SIZE], const char *topic, int32_t partition, int64_t offset)
{
	snprintf(text, PLACE_SIZE, "%.*s/%" PRId32 ":%" PRId64, PLACE_TOPIC_MAX, topic, partition, offset);
	return text;
}
