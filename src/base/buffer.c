#include "base/buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_init(struct buffer *buffer, size_t maximum)
{
	*buffer = (struct buffer){.maximum = maximum};
}

void buffer_release(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){.maximum = buffer->maximum};
}

void buffer_clear(struct buffer *buffer)
{
	buffer->size = 0;
	buffer->failed = false;
	if (buffer->data)
		buffer->data[0] = 0;
}

char *buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t need, capacity;
	char *data;

	if (buffer->failed)
		return NULL;
	if (more > buffer->maximum - buffer->size) {
		buffer->failed = true;
		return NULL;
	}
	need = buffer->size + more + 1;
	if (need <= buffer->capacity)
		return buffer->data + buffer->size;
	capacity = buffer->capacity < 64 ? 64 : buffer->capacity;
	while (capacity < need)
		capacity *= 2;
	data = realloc(buffer->data, capacity);
	if (!data) {
		buffer->failed = true;
		return NULL;
	}
	buffer->data = data;
	buffer->capacity = capacity;
	return data + buffer->size;
}

void buffer_trim(struct buffer *buffer)
{
	size_t capacity = buffer->size < 64 ? 64 : buffer->size + 1;
	char *data;

	if (buffer->capacity / 2 < capacity || !(data = realloc(buffer->data, capacity)))
		return;
	buffer->data = data;
	buffer->capacity = capacity;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
	char *to = buffer_reserve(buffer, size);

	if (!to)
		return;
	if (size)
		memcpy(to, bytes, size);
	buffer->size += size;
	buffer->data[buffer->size] = 0;
}

void buffer_text(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

void buffer_char(struct buffer *buffer, char c)
{
	buffer_append(buffer, &c, 1);
}

void buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
{
	va_list again;
	int size;
	char *to;

	va_copy(again, args);
	size = vsnprintf(NULL, 0, format, args);
	to = size < 0 ? NULL : buffer_reserve(buffer, (size_t)size);
	if (to) {
		vsnprintf(to, (size_t)size + 1, format, again);
		buffer->size += (size_t)size;
	} else {
		buffer->failed = true;
	}
	va_end(again);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buffer_vprintf(buffer, format, args);
	va_end(args);
}

const char *buffer_string(const struct buffer *buffer)
{
	return buffer->data ? buffer->data : "";
}

static void append_quoted(struct buffer *buffer, const char *text, char quote)
{
	buffer_char(buffer, quote);
	for (; *text; text++) {
		if (*text == quote)
			buffer_char(buffer, quote);
		buffer_char(buffer, *text);
	}
	buffer_char(buffer, quote);
}

void buffer_sql_name(struct buffer *buffer, const char *name)
{
	append_quoted(buffer, name, '"');
}

void buffer_sql_text(struct buffer *buffer, const char *text)
{
	append_quoted(buffer, text, '\'');
}

/* Length of the UTF-8 sequence at s (RFC 3629 section 4), or 0 where there is none. */
static size_t utf8_sequence(const unsigned char *s, size_t size)
{
	size_t length = s[0] < 0x80                   ? 1
	                : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
	                : (s[0] & 0xf0) == 0xe0       ? 3
	                : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
	                                              : 0;

	if (!length || length > size)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return length;
}

bool text_is_utf8(const char *text, size_t size)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t length;

	for (size_t i = 0; i < size; i += length) {
		length = utf8_sequence(s + i, size - i);
		if (!length)
			return false;
	}
	return true;
}

void text_end_whole(char *text)
{
	size_t size = strlen(text), from = size;

	while (from && size - from < 3 && ((unsigned char)text[from - 1] & 0xc0) == 0x80)
		from--;
	if (from && (unsigned char)text[from - 1] >= 0xc0 && !text_is_utf8(text + from - 1, size - from + 1))
		text[from - 1] = 0;
}

void text_make_utf8(char *text)
{
	size_t size = strlen(text);

	for (size_t i = 0; i < size;) {
		size_t length = utf8_sequence((const unsigned char *)text + i, size - i);

		if (!length)
			text[i] = '?';
		i += length ? length : 1;
	}
}

static void append_escaped(struct buffer *buffer, unsigned char c)
{
	if (c == '"' || c == '\\')
		buffer_printf(buffer, "\\%c", c);
	else if (c == '\n')
		buffer_text(buffer, "\\n");
	else
		buffer_printf(buffer, "\\u%04x", c);
}

void buffer_json_text(struct buffer *buffer, const char *text, size_t size)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t from = 0, i = 0; /* what lies between goes as it is */

	buffer_char(buffer, '"');
	while (i < size) {
		size_t length = s[i] < 0x80 ? 1 : utf8_sequence(s + i, size - i);

		if (length && (length > 1 || (s[i] >= 0x20 && s[i] != '"' && s[i] != '\\' && s[i] != 0x7f))) {
			i += length;
			continue;
		}
		buffer_append(buffer, text + from, i - from);
		if (length)
			append_escaped(buffer, s[i]);
		else
			buffer_text(buffer, "\xef\xbf\xbd");
		from = ++i;
	}
	buffer_append(buffer, text + from, size - from);
	buffer_char(buffer, '"');
}
