/*
 * put.h - text put down by hand: each writer puts its text at p, where the caller has made room, and returns its end.
 * printf would cost more than the rest of an event.
 */
#ifndef TARN_PRODUCE_PUT_H
#define TARN_PRODUCE_PUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PUT_UUID_SIZE 36
#define PUT_TIME_SIZE 24

#define PUT(p, literal) (memcpy((p), (literal), sizeof(literal) - 1), (p) + sizeof(literal) - 1)

static inline char *put_bytes(char *p, const char *bytes, size_t size)
{
	memcpy(p, bytes, size);
	return p + size;
}

static inline char *put_number(char *p, uint64_t value)
{
	char digits[20];
	int count = 0;

	do
		digits[count++] = (char)('0' + value % 10);
	while (value /= 10);
	while (count)
		*p++ = digits[--count];
	return p;
}

/* `count` digits with zeros in front. */
static inline char *put_digits(char *p, uint32_t value, int count)
{
	for (int i = count - 1; i >= 0; i--, value /= 10)
		p[i] = (char)('0' + value % 10);
	return p + count;
}

/* "12.34" for 1234 hundredths */
static inline char *put_hundredths(char *p, uint32_t value)
{
	p = put_number(p, value / 100);
	*p++ = '.';
	return put_digits(p, value % 100, 2);
}

static inline char *put_hex(char *p, uint64_t value, int digits)
{
	for (int i = digits - 1; i >= 0; i--, value >>= 4)
		p[i] = "0123456789abcdef"[value & 15];
	return p + digits;
}

static inline char *put_base36(char *p, uint64_t value, int digits)
{
	for (int i = 0; i < digits; i++, value /= 36)
		*p++ = "0123456789abcdefghijklmnopqrstuvwxyz"[value % 36];
	return p;
}

/* A version 7 UUID (RFC 9562 section 5.7): 48 bits of milliseconds, 12 bits a, 62 bits b. PUT_UUID_SIZE bytes. */
char *put_uuid(char *p, int64_t time_ms, uint64_t a, uint64_t b);
/* The same, unique among the numbers of a seed: the number is mixed into it by a bijection. */
char *put_event_uuid(char *p, int64_t time_ms, uint64_t seed, int64_t number);
/* 2026-01-31T12:30:00.000Z: PUT_TIME_SIZE bytes. */
char *put_time(char *p, int64_t time_ms);
/* A JSON string with its quotes (RFC 8259 section 7); room for 6 * size + 2 bytes. */
char *put_json_text(char *p, const char *text, size_t size);

#endif
