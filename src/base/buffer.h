/*
 * buffer.h - bytes that grow up to a declared maximum.
 *
 * Invariants:
 *  1. data[size] is always 0 (data may be read as a C string) once anything was appended.
 *  2. size <= maximum; an append beyond it fails, sticks (`failed`), and changes nothing.
 *
 * Life cycle: buffer_init -> append... -> buffer_release. Errors stick, so a long series of appends is checked once
 * at its end with buffer_ok().
 */
#ifndef TARN_BASE_BUFFER_H
#define TARN_BASE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buffer {
	char *data; /* owned; NULL while empty */
	size_t size;
	size_t capacity;
	size_t maximum; /* bytes, without the final 0 */
	bool failed;
};

#define BUFFER_DEFAULT_MAXIMUM ((size_t)1 << 30)

void buffer_init(struct buffer *buffer, size_t maximum);
void buffer_release(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* size 0, keeps the space, forgets a failure */
void buffer_trim(struct buffer *buffer); /* gives back the space behind its bytes, where it is more than they take */
void buffer_append(struct buffer *buffer, const void *bytes, size_t size);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_char(struct buffer *buffer, char c);
void buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_vprintf(struct buffer *buffer, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* Room for `more` bytes behind data[size]; NULL (and failed) beyond the maximum. The caller adds to size itself. */
char *buffer_reserve(struct buffer *buffer, size_t more);
/* The text, never NULL ("" while empty). Borrowed until the next append. */
const char *buffer_string(const struct buffer *buffer);

/* "text" with quotes doubled, in double quotes: an SQL identifier; and in single quotes: an SQL literal. */
void buffer_sql_name(struct buffer *buffer, const char *name);
void buffer_sql_text(struct buffer *buffer, const char *text);
/* A JSON string with its quotes (RFC 8259 section 7). Bytes that are not UTF-8 become U+FFFD. */
void buffer_json_text(struct buffer *buffer, const char *text, size_t size);
/* All of it is UTF-8 (RFC 3629). */
bool text_is_utf8(const char *text, size_t size);
/* Of a text that was cut: takes the part of a character off its end, if there is one. */
void text_end_whole(char *text);
/* Each byte that belongs to no character becomes '?'. */
void text_make_utf8(char *text);

static inline bool buffer_ok(const struct buffer *buffer)
{
	return !buffer->failed;
}

/* Always with = {0}: a return before buffer_init must find something to release. `make lint` looks. */
#define OWNED_BUFFER __attribute__((cleanup(buffer_release)))

#endif
