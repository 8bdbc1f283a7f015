/* duck_query_number.c - a JSON number as a value that keeps all of its digits. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "lake/duck_query_private.h"

#define DIGITS_MAX 38 /* of a DECIMAL */
#define DOUBLE_DIGITS_MAX 17 /* that tell any two of them apart */
#define EXPONENT_MAX 100000 /* beyond any type's */

/* digits * 10^exponent; digits neither begin nor end with 0. */
struct number {
	bool negative, is_long; /* is_long: it has more digits than DIGITS_MAX */
	char digits[DIGITS_MAX];
	int count; /* 0: it is zero */
	int64_t exponent;
};

static void take_digit(struct number *number, int64_t *zeros, char digit)
{
	if (digit == '0') {
		*zeros += number->count > 0;
		return;
	}
	number->is_long |= number->count + *zeros >= DIGITS_MAX;
	if (number->is_long)
		return;
	for (; *zeros; --*zeros)
		number->digits[number->count++] = '0';
	number->digits[number->count++] = digit;
}

/* Of RFC 8259's grammar, or of printf's %e. */
static struct number read_number(const char *text)
{
	struct number number = {.negative = *text == '-'};
	int64_t zeros = 0, behind = 0; /* zeros: that are digits only where another one follows */
	bool point = false;
	long exponent = 0;

	for (text += number.negative; isdigit((unsigned char)*text) || *text == '.'; text++) {
		behind += point;
		point |= *text == '.';
		if (*text != '.')
			take_digit(&number, &zeros, *text);
	}
	if (*text == 'e' || *text == 'E')
		exponent = strtol(text + 1, NULL, 10);
	if (exponent > EXPONENT_MAX || exponent < -EXPONENT_MAX)
		exponent = exponent > 0 ? EXPONENT_MAX : -EXPONENT_MAX;
	number.exponent = exponent + zeros - behind;
	return number;
}

/* Does the DOUBLE nearest to it have these digits? */
static bool is_double(const struct number *number, double real)
{
	char text[DIGITS_MAX + 16];
	struct number nearest;

	if (!number->count || number->is_long || number->count > DOUBLE_DIGITS_MAX)
		return !number->count;
	snprintf(text, sizeof text, "%.*e", number->count - 1, real);
	nearest = read_number(text);
	return nearest.count == number->count && nearest.exponent == number->exponent &&
	       !memcmp(nearest.digits, number->digits, (size_t)number->count);
}

static duckdb_hugeint whole_of(const struct number *number, int64_t zeros)
{
	__int128 whole = 0;

	for (int i = 0; i < number->count; i++)
		whole = whole * 10 + (number->digits[i] - '0');
	for (; zeros > 0; zeros--)
		whole *= 10;
	if (number->negative)
		whole = -whole;
	return (duckdb_hugeint){.lower = (uint64_t)whole, .upper = (int64_t)(whole >> 64)};
}

/* As DuckDB takes the same digits where they stand in a statement. NULL: it has more than fit. */
static duckdb_value make_decimal(const struct number *number)
{
	int64_t scale = number->exponent < 0 ? -number->exponent : 0;
	int64_t width = number->exponent < 0 ? scale + 1 : number->count + number->exponent; /* + 1: 0.5, not .5 */

	if (width < number->count)
		width = number->count;
	if (number->is_long || width > DIGITS_MAX)
		return NULL;
	if (!scale)
		return duckdb_create_hugeint(whole_of(number, number->exponent));
	return duckdb_create_decimal(
	        (duckdb_decimal){.width = (uint8_t)width, .scale = (uint8_t)scale, .value = whole_of(number, 0)});
}

/* Of 1e23 a DOUBLE says 1e23 and is another whole number. */
static bool is_exact(const char *type)
{
	static const char *const names[] = {"TINYINT",   "SMALLINT", "INTEGER", "BIGINT",   "HUGEINT", "UTINYINT",
	                                    "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "BIGNUM"};

	for (size_t i = 0; type && i < COUNT_OF(names); i++)
		if (!strcmp(names[i], type))
			return true;
	return type && !strncmp(type, "DECIMAL", 7);
}

duckdb_value query_make_number(const char *text, const char *type)
{
	bool whole = text[strcspn(text, ".eE")] == 0, exact = is_exact(type);
	struct number number = read_number(text);
	double real = strtod(text, NULL);
	duckdb_value made = NULL;
	long long integer;

	errno = 0;
	integer = strtoll(text, NULL, 10);
	if (whole && !errno)
		return duckdb_create_int64(integer);
	if (whole || exact || !is_double(&number, real))
		made = make_decimal(&number);
	if (made)
		return made;
	return !exact && is_double(&number, real) ? duckdb_create_double(real) : duckdb_create_varchar(text);
}
