#include "spec/values.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_letter(char c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z');
}

/* Digits at *text as a number; false where they go beyond int64. Moves *text behind them. */
static bool take_digits(const char **text, int64_t *ret)
{
	int64_t value = 0;

	for (; is_digit(**text); (*text)++)
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, **text - '0', &value))
			return false;
	*ret = value;
	return true;
}

const char *value_integer(const char *text, int64_t *ret)
{
	bool negative = *text == '-';
	const char *at = text + negative;
	int64_t value;

	if (!is_digit(*at))
		return "is not a whole number";
	if (!take_digits(&at, &value))
		return "is too large";
	if (*at)
		return "is not a whole number";
	*ret = negative ? -value : value;
	return NULL;
}

const char *value_boolean(const char *text, bool *ret)
{
	bool yes = !strcmp(text, "true");

	if (!yes && strcmp(text, "false"))
		return "is not a boolean";
	*ret = yes;
	return NULL;
}

/* ---- durations ---- */

static const struct {
	const char *unit;
	int64_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

/* The unit at `text` as milliseconds, 0 where there is none that is known. */
static int64_t unit_ms(const char *text, size_t size)
{
	for (size_t i = 0; i < COUNT_OF(units); i++)
		if (strlen(units[i].unit) == size && !memcmp(units[i].unit, text, size))
			return units[i].ms;
	return 0;
}

const char *value_duration(const char *text, int64_t *ret_ms)
{
	int64_t total = 0, last = INT64_MAX;

	if (!is_digit(*text))
		return "is not a duration";
	while (*text) {
		int64_t part, unit;
		size_t size = 0;

		if (!is_digit(*text))
			return "is not a duration";
		if (!take_digits(&text, &part))
			return "is too large";
		while (is_letter(text[size]))
			size++;
		if (!size)
			return *text ? "is not a duration" : "has no unit";
		unit = unit_ms(text, size);
		if (!unit)
			return "has a unit that is not known";
		if (unit >= last)
			return "has its units in a wrong order";
		if (__builtin_mul_overflow(part, unit, &part) || __builtin_add_overflow(total, part, &total))
			return "is too large";
		text += size;
		last = unit;
	}
	*ret_ms = total;
	return NULL;
}

/* ---- quantities ---- */

/* What a suffix multiplies with; 0 where it is not known or thousandths, -1 where beyond int64. */
static int64_t suffix_factor(const char *suffix)
{
	static const char binary[] = "KMGTPE", decimal[] = "kMGTPE";
	const char *letter;
	int64_t factor = 1, exponent;

	if (!*suffix)
		return 1;
	if ((*suffix == 'e' || *suffix == 'E') && is_digit(suffix[1])) {
		suffix++;
		if (!take_digits(&suffix, &exponent) || exponent > 18)
			return -1;
		while (exponent--)
			factor *= 10;
		return *suffix ? 0 : factor;
	}
	letter = suffix[1] == 'i' ? strchr(binary, *suffix) : strchr(decimal, *suffix);
	if (!letter || suffix[1 + (suffix[1] == 'i')])
		return 0;
	if (suffix[1] == 'i')
		return (int64_t)1 << (10 * (letter - binary + 1));
	for (const char *step = decimal; step <= letter; step++)
		factor *= 1000;
	return factor;
}

const char *value_quantity(const char *text, int64_t *ret_bytes)
{
	int64_t number, fraction = 0, scale = 1, factor, rest;

	if (!is_digit(*text))
		return "is not a quantity";
	if (!take_digits(&text, &number))
		return "is too large";
	if (*text == '.') {
		const char *start = ++text;

		if (!is_digit(*text))
			return "is not a quantity";
		if (!take_digits(&text, &fraction) || text - start > 9)
			return "has a fraction too fine for bytes";
		for (const char *c = start; c < text; c++)
			scale *= 10;
	}
	factor = suffix_factor(text);
	if (!factor)
		return "has a suffix that is not known";
	if (factor < 0 || __builtin_mul_overflow(number, factor, &number))
		return "is too large";
	/* fraction < scale <= 1e9: the product is exact in 128 bits, and the quotient below factor */
	if ((__int128)fraction * factor % scale)
		return "is not a whole number of bytes";
	rest = (int64_t)((__int128)fraction * factor / scale);
	if (__builtin_add_overflow(number, rest, &number))
		return "is too large";
	*ret_bytes = number;
	return NULL;
}

const char *value_cpu(const char *text, int64_t *ret_millis)
{
	int64_t number, fraction = 0;
	int digits = 0;

	if (!is_digit(*text))
		return "is no number of cores";
	if (!take_digits(&text, &number) || number > INT64_MAX / 1000 - 1)
		return "is too large";
	if (!strcmp(text, "m")) {
		*ret_millis = number;
		return NULL;
	}
	if (*text == '.') {
		if (!is_digit(*++text))
			return "is no number of cores";
		for (; is_digit(*text) && digits < 3; digits++)
			fraction = fraction * 10 + (*text++ - '0');
	}
	if (*text)
		return is_digit(*text) ? "is finer than a thousandth of a core" : "is no number of cores";
	for (; digits < 3; digits++)
		fraction *= 10;
	*ret_millis = number * 1000 + fraction;
	return NULL;
}

/* ---- texts ---- */

const char *value_line(const char *text)
{
	if (!*text)
		return "is empty";
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return "has a line break or another control character";
	return NULL;
}

const char *value_name(const char *text)
{
	size_t size = strlen(text);

	if (!size)
		return "is empty";
	if (size > 63)
		return "has more than 63 characters";
	for (size_t i = 0; i < size; i++)
		if (!is_lower(text[i]) && !is_digit(text[i]) && text[i] != '-')
			return "has a character that a name may not have";
	return text[0] == '-' || text[size - 1] == '-' ? "begins or ends with '-'" : NULL;
}

static const char *identifier(const char *text, size_t size)
{
	if (!size)
		return "is empty";
	if (size > 63)
		return "has more than 63 characters";
	if (is_digit(*text))
		return "begins with a digit";
	for (size_t i = 0; i < size; i++)
		if (!is_letter(text[i]) && !is_digit(text[i]) && text[i] != '_')
			return "has a character that a name in SQL may not have";
	return NULL;
}

const char *value_identifier(const char *text)
{
	return identifier(text, strlen(text));
}

const char *value_table(const char *text)
{
	const char *point = strchr(text, '.'), *wrong;

	if (!point)
		return value_identifier(text);
	if (point == text || !point[1])
		return "has an empty part";
	wrong = identifier(text, (size_t)(point - text));
	if (wrong)
		return wrong;
	return strchr(point + 1, '.') ? "has more than two parts" : value_identifier(point + 1);
}

/* org.apache.kafka.common.internals.Topic: legal characters, at most 249, not "." or "..". */
const char *value_topic(const char *text)
{
	size_t size = strlen(text);

	if (!size)
		return "is empty";
	if (size > 249)
		return "has more than 249 characters";
	if (!strcmp(text, ".") || !strcmp(text, ".."))
		return "is a name that Kafka keeps";
	for (size_t i = 0; i < size; i++)
		if (!is_letter(text[i]) && !is_digit(text[i]) && !strchr("._-", text[i]))
			return "has a character that a topic may not have";
	return NULL;
}

/* One of the addresses: librdkafka also takes PROTOCOL://HOST:PORT, [IPv6]:PORT and no port. */
static const char *broker(const char *text, size_t size)
{
	const char *end = text + size, *scheme = memmem(text, size, "://", 3), *host_end, *colon;
	int64_t port = 0;

	if (scheme)
		text = scheme + 3;
	if (text == end)
		return "has an empty address";
	host_end = *text == '[' ? memchr(text, ']', (size_t)(end - text)) : text;
	if (!host_end)
		return "has an address without its ']'";
	colon = memchr(host_end, ':', (size_t)(end - host_end));
	if (!colon)
		return NULL;
	if (colon == text)
		return "has an address without a host";
	for (text = colon + 1; text < end && is_digit(*text) && port <= 65535; text++)
		port = port * 10 + (*text - '0');
	return text < end || port < 1 || port > 65535 ? "has a port that is not a number from 1 to 65535" : NULL;
}

const char *value_brokers(const char *text)
{
	const char *wrong = value_line(text);

	if (wrong)
		return wrong;
	if (strchr(text, ' '))
		return "has a space";
	for (;;) {
		size_t size = strcspn(text, ",");

		wrong = broker(text, size);
		if (wrong || !text[size])
			return wrong;
		text += size + 1;
	}
}

const char *value_property(const char *text)
{
	if (!*text)
		return "has an empty name";
	for (; *text; text++)
		if (!is_letter(*text) && !is_digit(*text) && !strchr("._-", *text))
			return "has a character that the name of a property may not have";
	return NULL;
}

const char *value_number(const char *text)
{
	char *end;
	double number;

	/* strtod takes hexadecimal, inf and nan, which a manifest's reader would not expect */
	if (text[strspn(text, "+-.0123456789eE")])
		return "is not a number";
	number = strtod(text, &end);
	if (end == text || *end)
		return "is not a number";
	return isfinite(number) ? NULL : "is too large";
}

const char *value_pointer(const char *text)
{
	if (*text != '/')
		return "does not begin with '/'";
	for (const char *at = text; (at = strchr(at, '~')); at++)
		if (at[1] != '0' && at[1] != '1')
			return "has a '~' without 0 or 1 behind it";
	return value_line(text);
}

/* A part of an endpoint's path: letters, digits, '.', '_' and '-', or {IDENTIFIER}. */
static const char *url_part(const char *part, size_t size)
{
	if (!size)
		return "has an empty part";
	if (*part == '{')
		return part[size - 1] == '}' && !identifier(part + 1, size - 2)
		               ? NULL
		               : "has a '{' that is not the beginning of a {NAME} as a whole part";
	for (size_t i = 0; i < size; i++)
		if (!is_letter(part[i]) && !is_digit(part[i]) && !strchr("._-", part[i]))
			return "has a character that a path may not have";
	return size <= 2 && strspn(part, ".") >= size ? "has '.' or '..' as a part" : NULL;
}

const char *value_url_path(const char *text)
{
	const char *wrong;

	if (*text != '/')
		return "does not begin with '/'";
	if (strlen(text) > 1024)
		return "has more than 1024 characters";
	while (*text) {
		size_t size = strcspn(text + 1, "/");

		wrong = url_part(text + 1, size);
		if (wrong)
			return wrong;
		text += 1 + size;
	}
	return NULL;
}

const char *value_column(const char *text)
{
	static const char *const names[] = {"boolean",   "integer",     "bigint",  "double",   "varchar", "date",
	                                    "timestamp", "timestamptz", "epoch_s", "epoch_ms", "json"};
	int precision, scale, used = 0;

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (!strcmp(names[i], text))
			return NULL;
	if (sscanf(text, "decimal(%2d,%2d)%n", &precision, &scale, &used) != 2 || !used || text[used])
		return "is not known";
	if (precision < 1 || precision > 38 || scale < 0 || scale > precision)
		return "has a precision beyond 1 to 38, or a scale beyond it";
	return NULL;
}

const char *value_endpoint(const char *text)
{
	size_t scheme = !strncmp(text, "https://", 8) ? 8 : !strncmp(text, "http://", 7) ? 7 : 0, host;
	const char *colon;
	int64_t port;

	if (!scheme)
		return "begins with neither https:// nor http://";
	text += scheme;
	host = strcspn(text, ":");
	if (!host)
		return "has no host";
	for (size_t i = 0; i < host; i++)
		if (!is_letter(text[i]) && !is_digit(text[i]) && !strchr(".-", text[i]))
			return "has a character that a host may not have";
	colon = text + host;
	if (*colon && (value_integer(colon + 1, &port) || port < 1 || port > 65535))
		return "has no port from 1 to 65535 behind its host";
	return NULL;
}

const char *value_base_url(const char *text)
{
	size_t scheme = !strncmp(text, "https://", 8) ? 8 : !strncmp(text, "http://", 7) ? 7 : 0;
	size_t host = scheme + strcspn(text + scheme, "/");
	char endpoint[256];

	if (host >= sizeof endpoint)
		return "has a host that is too long";
	memcpy(endpoint, text, host);
	endpoint[host] = 0;
	for (const char *c = text + host; *c; c++)
		if (!is_letter(*c) && !is_digit(*c) && !strchr("._-/", *c))
			return "has a character that its path may not have";
	return value_endpoint(endpoint);
}

/* Amazon S3 User Guide, "General purpose bucket naming rules". */
const char *value_bucket(const char *text)
{
	size_t size = strlen(text);

	if (size < 3 || size > 63)
		return "has fewer than 3 or more than 63 characters";
	for (size_t i = 0; i < size; i++)
		if (!is_digit(text[i]) && !(text[i] >= 'a' && text[i] <= 'z') && !strchr(".-", text[i]))
			return "has a character that a bucket's name may not have";
	return is_digit(*text) || is_letter(*text) ? NULL : "does not begin with a letter or digit";
}

const char *value_prefix(const char *text)
{
	if (!*text)
		return "is empty";
	for (const char *c = text; *c; c++)
		if (!is_letter(*c) && !is_digit(*c) && !strchr("._-=/", *c))
			return "has a character that is not safe in keys";
	if (*text == '/' || strstr(text, "//") || text[strlen(text) - 1] == '/')
		return "has an empty name between its '/'";
	return strstr(text, "..") ? "has '..' in it" : NULL;
}
