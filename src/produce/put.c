#include "produce/put.h"

#include "produce/random.h"

char *put_uuid(char *p, int64_t time_ms, uint64_t a, uint64_t b)
{
	p = put_hex(p, (uint64_t)time_ms >> 16, 8);
	*p++ = '-';
	p = put_hex(p, (uint64_t)time_ms, 4);
	p = PUT(p, "-7");
	p = put_hex(p, a, 3);
	*p++ = '-';
	p = put_hex(p, 0x8000 | (b >> 48 & 0x3fff), 4);
	*p++ = '-';
	return put_hex(p, b, 12);
}

/* A bijection of 62 bits: odd factors, and shifts that can be undone. */
static uint64_t mix62(uint64_t x)
{
	const uint64_t mask = (UINT64_C(1) << 62) - 1;

	x = x * UINT64_C(0x9e3779b97f4a7c15) & mask;
	x ^= x >> 29;
	x = x * UINT64_C(0xbf58476d1ce4e5b9) & mask;
	return x ^ x >> 31;
}

char *put_event_uuid(char *p, int64_t time_ms, uint64_t seed, int64_t number)
{
	return put_uuid(p, time_ms, random_mix(seed), mix62((uint64_t)number));
}

/* Year, month and day of a day number since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms"). */
char *put_time(char *p, int64_t time_ms)
{
	int64_t days = time_ms / 86400000, z = days + 719468, era = z / 146097;
	uint32_t day_of_era = (uint32_t)(z - era * 146097), rest = (uint32_t)(time_ms % 86400000);
	uint32_t year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	uint32_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100), m = (5 * day_of_year + 2) / 153;
	uint32_t month = m < 10 ? m + 3 : m - 9;

	p = put_digits(p, (uint32_t)(era * 400) + year + (month <= 2), 4);
	*p++ = '-';
	p = put_digits(p, month, 2);
	*p++ = '-';
	p = put_digits(p, day_of_year - (153 * m + 2) / 5 + 1, 2);
	*p++ = 'T';
	p = put_digits(p, rest / 3600000, 2);
	*p++ = ':';
	p = put_digits(p, rest / 60000 % 60, 2);
	*p++ = ':';
	p = put_digits(p, rest / 1000 % 60, 2);
	*p++ = '.';
	p = put_digits(p, rest % 1000, 3);
	*p++ = 'Z';
	return p;
}

char *put_json_text(char *p, const char *text, size_t size)
{
	*p++ = '"';
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20) {
			p = put_hex(PUT(p, "\\u"), c, 4);
			continue;
		}
		if (c == '"' || c == '\\')
			*p++ = '\\';
		*p++ = (char)c;
	}
	*p++ = '"';
	return p;
}
