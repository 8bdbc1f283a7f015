/*
 * json_values.c - one JSON value as the type of its column. Numbers come as their digits (YYJSON_READ_NUMBER_AS_RAW),
 * so that nothing is lost before the type is known.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch/json_private.h"

#define EXACT_DIGITS 15 /* so many a double holds whatever they are */
#define DECIMAL_DIGITS 38 /* so many the widest decimal has, and an __int128 holds */
#define CAST_MAX                                                                                                       \
	INT64_C(1000000000000000) /* of decimal units by a double: rounded twice, they are off by 0.3 at most */
#define EXPONENT_MAX (INT64_C(1) << 40) /* beyond it a number of any size is 0, or too large */

const char *json_name(yyjson_val *value)
{
	switch (yyjson_get_type(value)) {
	case YYJSON_TYPE_NULL: return "null";
	case YYJSON_TYPE_BOOL: return "a boolean";
	case YYJSON_TYPE_RAW: return "a number";
	case YYJSON_TYPE_STR: return "a text";
	case YYJSON_TYPE_ARR: return "an array";
	case YYJSON_TYPE_OBJ: return "an object";
	default: return "nothing";
	}
}

/* ---- numbers */

bool json_is_whole(yyjson_val *value)
{
	const char *text = yyjson_get_raw(value);
	size_t size = yyjson_get_len(value);

	for (size_t i = *text == '-'; i < size; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return true;
}

/* Digits that a double holds, over a power of ten that it holds: their quotient is the nearest double (Clinger, How to
 * Read Floating Point Numbers Accurately, 1990). False for the others. */
static bool short_number(const char *text, size_t size, double *ret_number)
{
	static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
	bool negative = *text == '-';
	size_t point = size;
	int64_t digits = 0;

	if (size > EXACT_DIGITS)
		return false;
	for (size_t i = negative; i < size; i++) {
		if (text[i] >= '0' && text[i] <= '9')
			digits = digits * 10 + (text[i] - '0');
		else if (text[i] == '.' && point == size)
			point = i;
		else
			return false;
	}
	*ret_number = (double)digits / powers[point < size ? size - point - 1 : 0];
	if (negative)
		*ret_number = -*ret_number;
	return true;
}

bool json_number(yyjson_val *value, double *ret_number)
{
	yyjson_val number;

	if (yyjson_is_raw(value) && short_number(yyjson_get_raw(value), yyjson_get_len(value), ret_number))
		return true;
	if (!yyjson_is_raw(value) || !yyjson_read_number(yyjson_get_raw(value), &number, 0, NULL, NULL))
		return false;
	*ret_number = yyjson_get_num(&number);
	return isfinite(*ret_number);
}

bool json_is_rounded(yyjson_val *value)
{
	char nearest[DBL_MAX_10_EXP + 3]; /* with a '-' */
	size_t size = yyjson_get_len(value);
	double number;

	if (!yyjson_is_raw(value) || size <= EXACT_DIGITS || !json_is_whole(value) || !json_number(value, &number) ||
	    fabs(number) < (double)JSON_EXACT_MAX)
		return false;
	return snprintf(nearest, sizeof nearest, "%.0f", number) != (int)size ||
	       memcmp(nearest, yyjson_get_raw(value), size) != 0;
}

/* Up to 18 digits and a point: all fits 64 bits. False: parse_decimal has the last word. */
static bool short_decimal(const char *text, size_t size, int precision, int scale, __int128 *ret_units)
{
	static const int64_t powers[] = {1,
	                                 10,
	                                 100,
	                                 1000,
	                                 10000,
	                                 100000,
	                                 1000000,
	                                 10000000,
	                                 100000000,
	                                 1000000000,
	                                 10000000000,
	                                 100000000000,
	                                 1000000000000,
	                                 10000000000000,
	                                 100000000000000,
	                                 1000000000000000,
	                                 10000000000000000,
	                                 100000000000000000,
	                                 1000000000000000000};
	bool negative = size && *text == '-';
	size_t point = size, digits;
	int64_t units = 0;
	int left;

	if (size > 18)
		return false;
	for (size_t i = negative; i < size; i++) {
		if (text[i] >= '0' && text[i] <= '9')
			units = units * 10 + (text[i] - '0');
		else if (text[i] == '.' && point == size)
			point = i;
		else
			return false;
	}
	digits = size - negative - (point < size);
	left = scale - (point < size ? (int)(size - point - 1) : 0);
	if (!digits || left < 0 || (int)digits + left > 18)
		return false;
	units *= powers[left];
	if (precision < 18 && units >= powers[precision])
		return false;
	*ret_units = negative ? -units : units;
	return true;
}

/* An 'e', a sign or none, and digits; false: it is none. */
static bool parse_exponent(const char *text, const char *end, int64_t *ret_exponent)
{
	bool negative = text + 1 < end && text[1] == '-';

	*ret_exponent = 0;
	text += negative || (text + 1 < end && text[1] == '+') ? 2 : 1;
	if (text >= end)
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (*ret_exponent < EXPONENT_MAX)
			*ret_exponent = *ret_exponent * 10 + (*text - '0');
	}
	if (negative)
		*ret_exponent = -*ret_exponent;
	return true;
}

/* Digits, at most one point, and an exponent, as the digits before 10^-scale. False where that is not exact. */
static bool parse_decimal(const char *text, size_t size, int precision, int scale, __int128 *ret_units)
{
	const char *end = text + size;
	bool negative = size && *text == '-', point = false, any = false;
	int64_t left = scale, digits = 0, zeros = 0, exponent = 0; /* zeros: not in units until another digit follows */
	__int128 units = 0;

	for (text += negative; text < end && *text != 'e' && *text != 'E'; text++) {
		if (*text == '.' && !point) {
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9')
			return false;
		left -= point;
		any = true;
		zeros++;
		if (*text == '0')
			continue;
		digits = units ? digits + zeros : 1;
		if (digits > DECIMAL_DIGITS)
			return false;
		for (; zeros; zeros--)
			units *= 10;
		units += *text - '0';
	}
	if (!any || (text < end && !parse_exponent(text, end, &exponent)))
		return false;
	*ret_units = 0;
	if (!units)
		return true;
	left += zeros + exponent;
	if (left < 0 || digits + left > precision)
		return false;
	for (; left; left--)
		units *= 10;
	*ret_units = negative ? -units : units;
	return true;
}

/* Whole numbers, also written as 5.0 or 1e3. */
static bool parse_whole(yyjson_val *value, int64_t minimum, int64_t maximum, int64_t *ret_whole)
{
	const char *text = yyjson_get_raw(value);
	size_t size = yyjson_get_len(value);
	bool negative = *text == '-';
	__int128 whole = 0;

	if (!json_is_whole(value)) {
		/* By its digits: a double would round those beyond 2^53, and a small fraction to none. */
		if (!parse_decimal(text, size, DECIMAL_DIGITS, 0, &whole))
			return false;
	} else {
		if (size > 20)
			return false;
		for (size_t i = negative; i < size; i++)
			whole = whole * 10 + (text[i] - '0');
		whole = negative ? -whole : whole;
	}
	if (whole < minimum || whole > maximum)
		return false;
	*ret_whole = (int64_t)whole;
	return true;
}

bool json_whole(yyjson_val *value, int64_t *ret_whole)
{
	return parse_whole(value, INT64_MIN, INT64_MAX, ret_whole);
}

bool json_casts(yyjson_val *value, int scale)
{
	const char *text = yyjson_is_raw(value) ? yyjson_get_raw(value) : yyjson_get_str(value);
	__int128 units;

	if (!text || (yyjson_is_raw(value) && json_is_whole(value)))
		return true;
	if (!parse_decimal(text, yyjson_get_len(value), DECIMAL_DIGITS, scale, &units))
		return false;
	return yyjson_is_str(value) || (units < CAST_MAX && units > -CAST_MAX);
}

/* ---- where a value stands */

const char *json_place_begin(const char *key, yyjson_val *name, yyjson_val *member)
{
	size_t size = yyjson_get_len(name);

	/* Where the key was written with escapes, what it says differs from what is written. */
	if (!yyjson_is_ctn(member) || memcmp(key, yyjson_get_str(name), size) != 0 || key[size] != '"')
		return NULL;
	key += size + 1;
	while (json_is_space(*key) || *key == ':')
		key++;
	return key;
}

size_t json_place_size(const char *begin, const char *next)
{
	while (next > begin && *--next != ',' && *next != '}')
		;
	while (next > begin && json_is_space(next[-1]))
		next--;
	return (size_t)(next - begin);
}

/* ---- by the type of the column */

static bool put_whole(struct growing *column, yyjson_val *value, int64_t minimum, int64_t maximum, int64_t unit_us,
                      long double *ret_number)
{
	int64_t whole;
	int32_t narrow;

	if (!yyjson_is_raw(value) || !parse_whole(value, minimum / unit_us, maximum / unit_us, &whole))
		return false;
	*ret_number = whole;
	whole *= unit_us;
	narrow = (int32_t)whole;
	if (column && column->width == sizeof narrow)
		grow_fixed(column, &narrow, sizeof narrow);
	else
		grow_fixed(column, &whole, sizeof whole);
	return true;
}

static bool put_decimal(struct growing *column, const struct json_column *rule, yyjson_val *value,
                        long double *ret_number)
{
	const char *text = yyjson_is_raw(value) ? yyjson_get_raw(value) : yyjson_get_str(value);
	size_t size = yyjson_get_len(value);
	__int128 units;

	/* As text too: those who care for digits send decimals as texts. */
	if (!yyjson_is_raw(value) && !(yyjson_is_str(value) && size))
		return false;
	if (!short_decimal(text, size, rule->precision, rule->scale, &units) &&
	    !parse_decimal(text, size, rule->precision, rule->scale, &units))
		return false;
	if (yyjson_is_str(value) && (rule->has_minimum || rule->has_maximum))
		*ret_number = strtod(text, NULL); /* a quote or 0 ends it */
	grow_fixed(column, &units, sizeof units);
	return true;
}

static bool put_date(struct growing *column, yyjson_val *value)
{
	int32_t days;

	if (!yyjson_is_str(value) || !json_date(yyjson_get_str(value), yyjson_get_len(value), &days))
		return false;
	grow_fixed(column, &days, sizeof days);
	return true;
}

static bool put_time(struct growing *column, yyjson_val *value)
{
	int64_t us;

	if (!yyjson_is_str(value) || !json_time(yyjson_get_str(value), yyjson_get_len(value), &us))
		return false;
	grow_fixed(column, &us, sizeof us);
	return true;
}

static bool put_json(struct growing *column, const struct place *place)
{
	size_t size;
	char *text;

	if (!column)
		return true; /* any value is right, and writing it would be for nothing */
	if (place->text) {
		grow_text(column, place->text, place->size);
		return true;
	}
	text = yyjson_val_write_opts(place->value, 0, NULL, &size, NULL);
	if (!text)
		return false;
	grow_text(column, text, size);
	free(text);
	return true;
}

bool json_put(struct growing *column, const struct json_column *rule, const struct place *place,
              long double *ret_number)
{
	yyjson_val *value = place->value;
	double number;
	uint8_t truth;

	*ret_number = NAN;
	switch (rule->type) {
	case JSON_BOOLEAN:
		if (!yyjson_is_bool(value))
			return false;
		truth = yyjson_get_bool(value);
		grow_fixed(column, &truth, sizeof truth);
		return true;
	case JSON_INTEGER: return put_whole(column, value, INT32_MIN, INT32_MAX, 1, ret_number);
	case JSON_BIGINT: return put_whole(column, value, INT64_MIN, INT64_MAX, 1, ret_number);
	case JSON_EPOCH_S: return put_whole(column, value, FIRST_TIMESTAMP, LAST_TIMESTAMP, 1000000, ret_number);
	case JSON_EPOCH_MS: return put_whole(column, value, FIRST_TIMESTAMP, LAST_TIMESTAMP, 1000, ret_number);
	case JSON_DOUBLE:
		if (!json_number(value, &number))
			return false;
		grow_fixed(column, &number, sizeof number);
		*ret_number = number;
		return true;
	case JSON_DECIMAL: return put_decimal(column, rule, value, ret_number);
	case JSON_VARCHAR:
		if (!yyjson_is_str(value))
			return false;
		grow_text(column, yyjson_get_str(value), yyjson_get_len(value));
		return true;
	case JSON_DATE: return put_date(column, value);
	case JSON_TIMESTAMP:
	case JSON_TIMESTAMPTZ: return put_time(column, value);
	case JSON_JSON: return put_json(column, place);
	default: return false;
	}
}
