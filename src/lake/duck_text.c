#include "lake/duck_text.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"

#define MICROS_A_DAY INT64_C(86400000000)
/* DuckDB writes a double like Python does: plainly from 1e-4 up to below 1e16. */
#define PLAIN_FROM (-4)
#define PLAIN_BELOW 16

bool duck_text_can(duckdb_logical_type type)
{
	switch (duckdb_get_type_id(type)) {
	case DUCKDB_TYPE_BOOLEAN:
	case DUCKDB_TYPE_TINYINT:
	case DUCKDB_TYPE_SMALLINT:
	case DUCKDB_TYPE_INTEGER:
	case DUCKDB_TYPE_BIGINT:
	case DUCKDB_TYPE_UTINYINT:
	case DUCKDB_TYPE_USMALLINT:
	case DUCKDB_TYPE_UINTEGER:
	case DUCKDB_TYPE_UBIGINT:
	case DUCKDB_TYPE_HUGEINT:
	case DUCKDB_TYPE_UHUGEINT:
	case DUCKDB_TYPE_DOUBLE:
	case DUCKDB_TYPE_DECIMAL:
	case DUCKDB_TYPE_DATE:
	case DUCKDB_TYPE_TIME:
	case DUCKDB_TYPE_TIMESTAMP:
	case DUCKDB_TYPE_UUID:
	case DUCKDB_TYPE_ENUM:
	case DUCKDB_TYPE_VARCHAR: return true;
	default: return false;
	}
}

int duck_text_init(struct duck_text *text, duckdb_logical_type type, struct error *err)
{
	*text = (struct duck_text){.type = duckdb_get_type_id(type)};
	if (text->type == DUCKDB_TYPE_DECIMAL) {
		text->is_decimal = true;
		text->scale = duckdb_decimal_scale(type);
		text->is_bare = duckdb_decimal_width(type) == text->scale;
		text->type = duckdb_decimal_internal_type(type);
		return 0;
	}
	if (text->type != DUCKDB_TYPE_ENUM)
		return 0;
	text->is_enum = true;
	text->type = duckdb_enum_internal_type(type);
	text->words = calloc((size_t)duckdb_enum_dictionary_size(type) + 1, sizeof *text->words);
	if (!text->words)
		return error_no_memory(err);
	for (idx_t i = 0, count = duckdb_enum_dictionary_size(type); i < count; i++) {
		text->words[i] = duckdb_enum_dictionary_value(type, i);
		text->word_count = i + 1;
	}
	return 0;
}

void duck_text_release(struct duck_text *text)
{
	for (idx_t i = 0; text->words && i < text->word_count; i++)
		duckdb_free(text->words[i]);
	free(text->words);
	text->words = NULL;
}

/* ---- whole numbers, from the last digit on; each returns where the text begins */

static char *digits_of(uint64_t value, char *end)
{
	do
		*--end = (char)('0' + value % 10);
	while (value /= 10);
	return end;
}

static char *digits_of_huge(unsigned __int128 value, char *end)
{
	static const uint64_t billions = UINT64_C(1000000000000000000);

	while (value > UINT64_MAX) {
		char *stop = end - 18, *begin = digits_of((uint64_t)(value % billions), end);

		while (begin > stop)
			*--begin = '0';
		end = stop;
		value /= billions;
	}
	return digits_of((uint64_t)value, end);
}

static void take(struct query_cell *cell, const char *begin, const char *end)
{
	*cell = (struct query_cell){begin, (size_t)(end - begin)};
}

static void whole(int64_t value, char *space, struct query_cell *cell)
{
	char *end = space + DUCK_TEXT_BYTES, *begin = digits_of(value < 0 ? -(uint64_t)value : (uint64_t)value, end);

	if (value < 0)
		*--begin = '-';
	take(cell, begin, end);
}

static void natural(uint64_t value, char *space, struct query_cell *cell)
{
	take(cell, digits_of(value, space + DUCK_TEXT_BYTES), space + DUCK_TEXT_BYTES);
}

/* scale: digits behind the point. bare: none need stand before it. */
static void huge(unsigned __int128 value, bool negative, int scale, bool bare, char *space, struct query_cell *cell)
{
	char *end = space + DUCK_TEXT_BYTES, *begin = digits_of_huge(value, end);

	while (scale && end - begin < scale)
		*--begin = '0';
	if (scale) {
		int before = (int)(end - begin) - scale;

		memmove(begin - 1, begin, (size_t)before);
		begin--;
		begin[before] = '.';
		if (!before && !bare)
			*--begin = '0';
	}
	if (negative)
		*--begin = '-';
	take(cell, begin, end);
}

static __int128 huge_at(const void *data, idx_t row)
{
	duckdb_hugeint value = ((const duckdb_hugeint *)data)[row];

	return (__int128)((unsigned __int128)(uint64_t)value.upper << 64 | value.lower);
}

static void decimal(const struct duck_text *text, const void *data, idx_t row, char *space, struct query_cell *cell)
{
	__int128 value;

	switch (text->type) {
	case DUCKDB_TYPE_SMALLINT: value = ((const int16_t *)data)[row]; break;
	case DUCKDB_TYPE_INTEGER: value = ((const int32_t *)data)[row]; break;
	case DUCKDB_TYPE_BIGINT: value = ((const int64_t *)data)[row]; break;
	default: value = huge_at(data, row); break;
	}
	huge(value < 0 ? -(unsigned __int128)value : (unsigned __int128)value, value < 0, text->scale, text->is_bare,
	     space, cell);
}

/* ---- doubles */

/* "-1.2345e+07" -> "-12345000.0"; exponents that are not written plainly stay. */
static void spread(const char *scientific, int size, char *space, struct query_cell *cell)
{
	char digits[32], *out = space;
	int count = 0, exponent, i = 0;

	if (scientific[0] == '-') {
		*out++ = '-';
		i = 1;
	}
	for (; i < size && scientific[i] != 'e'; i++)
		if (scientific[i] != '.')
			digits[count++] = scientific[i];
	exponent = (int)strtol(scientific + i + 1, NULL, 10);
	if (exponent < PLAIN_FROM || exponent >= PLAIN_BELOW) {
		memcpy(space, scientific, (size_t)size);
		*cell = (struct query_cell){space, (size_t)size};
		return;
	}
	if (exponent < 0) {
		memcpy(out, "0.0000", (size_t)(1 - exponent));
		out += 1 - exponent;
	}
	for (i = 0; i < count || i <= exponent; i++) {
		if (exponent >= 0 && i == exponent + 1)
			*out++ = '.';
		*out++ = i < count ? digits[i] : '0';
	}
	if (exponent >= count - 1) {
		*out++ = '.';
		*out++ = '0';
	}
	take(cell, space, out);
}

static void real(double value, char *space, struct query_cell *cell)
{
	char scientific[48];
	int size;

	if (isnan(value)) {
		*cell = (struct query_cell){"nan", 3};
	} else if (isinf(value)) {
		*cell = value < 0 ? (struct query_cell){"-inf", 4} : (struct query_cell){"inf", 3};
	} else {
		size = duck_shortest_double(value, scientific, sizeof scientific - 1);
		scientific[size] = 0;
		spread(scientific, size, space, cell);
	}
}

/* ---- times */

static char *put_two(char *out, unsigned value)
{
	*out++ = (char)('0' + value / 10);
	*out++ = (char)('0' + value % 10);
	return out;
}

/* Days since 1970 in the proleptic Gregorian calendar: eras of 400 years that begin in March. */
static char *put_date(char *out, int64_t days, bool *ret_before_christ)
{
	int64_t shifted = days + 719468, era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	unsigned day_of_era = (unsigned)(shifted - era * 146097);
	unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned march = (5 * day_of_year + 2) / 153, month = march < 10 ? march + 3 : march - 9;
	int64_t year = (int64_t)year_of_era + era * 400 + (month <= 2);
	char digits[24], *end = digits + sizeof digits, *begin;

	*ret_before_christ = year <= 0;
	begin = digits_of((uint64_t)(year <= 0 ? 1 - year : year), end);
	while (end - begin < 4)
		*--begin = '0';
	memcpy(out, begin, (size_t)(end - begin));
	out += end - begin;
	*out++ = '-';
	out = put_two(out, month);
	*out++ = '-';
	return put_two(out, day_of_year - (153 * march + 2) / 5 + 1);
}

static char *put_time(char *out, int64_t micros)
{
	int64_t seconds = micros / 1000000;
	unsigned part = (unsigned)(micros % 1000000);
	int digits = 6;

	out = put_two(out, (unsigned)(seconds / 3600));
	*out++ = ':';
	out = put_two(out, (unsigned)(seconds / 60 % 60));
	*out++ = ':';
	out = put_two(out, (unsigned)(seconds % 60));
	if (!part)
		return out;
	*out++ = '.';
	for (int i = 5; i >= 0; i--, part /= 10)
		out[i] = (char)('0' + part % 10);
	while (out[digits - 1] == '0')
		digits--;
	return out + digits;
}

static char *put_era(char *out, bool before_christ)
{
	if (!before_christ)
		return out;
	memcpy(out, " (BC)", 5);
	return out + 5;
}

static void infinite(bool negative, struct query_cell *cell)
{
	*cell = negative ? (struct query_cell){"-infinity", 9} : (struct query_cell){"infinity", 8};
}

static void date(int32_t days, char *space, struct query_cell *cell)
{
	bool before_christ;
	char *out;

	if (days == INT32_MAX || days == -INT32_MAX) {
		infinite(days < 0, cell);
		return;
	}
	out = put_date(space, days, &before_christ);
	take(cell, space, put_era(out, before_christ));
}

static void timestamp(int64_t micros, char *space, struct query_cell *cell)
{
	int64_t days = micros / MICROS_A_DAY - (micros % MICROS_A_DAY < 0);
	bool before_christ;
	char *out;

	if (micros == INT64_MAX || micros == -INT64_MAX) {
		infinite(micros < 0, cell);
		return;
	}
	out = put_date(space, days, &before_christ);
	out = put_era(out, before_christ);
	*out++ = ' ';
	take(cell, space, put_time(out, micros - days * MICROS_A_DAY));
}

static void uuid(const void *data, idx_t row, char *space, struct query_cell *cell)
{
	duckdb_hugeint value = ((const duckdb_hugeint *)data)[row];
	/* The top bit is turned over, so that they sort. */
	uint64_t upper = (uint64_t)value.upper ^ UINT64_C(1) << 63;
	char *out = space;

	for (int i = 0; i < 32; i++) {
		uint64_t half = i < 16 ? upper : value.lower;

		if (i == 8 || i == 12 || i == 16 || i == 20)
			*out++ = '-';
		*out++ = "0123456789abcdef"[half >> (60 - 4 * (i % 16)) & 15];
	}
	take(cell, space, out);
}

/* ---- any */

static void word(const struct duck_text *text, const void *data, idx_t row, struct query_cell *cell)
{
	idx_t index = text->type == DUCKDB_TYPE_UTINYINT    ? ((const uint8_t *)data)[row]
	              : text->type == DUCKDB_TYPE_USMALLINT ? ((const uint16_t *)data)[row]
	                                                    : ((const uint32_t *)data)[row];

	*cell = index < text->word_count ? (struct query_cell){text->words[index], strlen(text->words[index])}
	                                 : (struct query_cell){"", 0};
}

static void text_at(const void *data, idx_t row, struct query_cell *cell)
{
	const duckdb_string_t *text = (const duckdb_string_t *)data + row;

	cell->size = text->value.inlined.length;
	cell->text = cell->size <= sizeof text->value.inlined.inlined ? text->value.inlined.inlined
	                                                              : text->value.pointer.ptr;
}

static void huge_cell(const void *data, idx_t row, char *space, struct query_cell *cell)
{
	__int128 value = huge_at(data, row);

	huge(value < 0 ? -(unsigned __int128)value : (unsigned __int128)value, value < 0, 0, false, space, cell);
}

void duck_text_cell(const struct duck_text *text, const void *data, idx_t row, char *space, struct query_cell *cell)
{
	if (text->is_decimal) {
		decimal(text, data, row, space, cell);
		return;
	}
	if (text->is_enum) {
		word(text, data, row, cell);
		return;
	}
	switch (text->type) {
	case DUCKDB_TYPE_BOOLEAN:
		*cell = ((const bool *)data)[row] ? (struct query_cell){"true", 4} : (struct query_cell){"false", 5};
		break;
	case DUCKDB_TYPE_TINYINT: whole(((const int8_t *)data)[row], space, cell); break;
	case DUCKDB_TYPE_SMALLINT: whole(((const int16_t *)data)[row], space, cell); break;
	case DUCKDB_TYPE_INTEGER: whole(((const int32_t *)data)[row], space, cell); break;
	case DUCKDB_TYPE_BIGINT: whole(((const int64_t *)data)[row], space, cell); break;
	case DUCKDB_TYPE_UTINYINT: natural(((const uint8_t *)data)[row], space, cell); break;
	case DUCKDB_TYPE_USMALLINT: natural(((const uint16_t *)data)[row], space, cell); break;
	case DUCKDB_TYPE_UINTEGER: natural(((const uint32_t *)data)[row], space, cell); break;
	case DUCKDB_TYPE_UBIGINT: natural(((const uint64_t *)data)[row], space, cell); break;
	case DUCKDB_TYPE_HUGEINT: huge_cell(data, row, space, cell); break;
	case DUCKDB_TYPE_UHUGEINT: huge((unsigned __int128)huge_at(data, row), false, 0, false, space, cell); break;
	case DUCKDB_TYPE_DOUBLE: real(((const double *)data)[row], space, cell); break;
	case DUCKDB_TYPE_DATE: date(((const int32_t *)data)[row], space, cell); break;
	case DUCKDB_TYPE_TIME: take(cell, space, put_time(space, ((const int64_t *)data)[row])); break;
	case DUCKDB_TYPE_TIMESTAMP: timestamp(((const int64_t *)data)[row], space, cell); break;
	case DUCKDB_TYPE_UUID: uuid(data, row, space, cell); break;
	default: text_at(data, row, cell); break;
	}
}
