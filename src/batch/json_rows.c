/*
 * json_rows.c - a document's values become a row: what a broken rule costs, and the reason.
 */
#include <math.h>
#include <stdio.h>

#include "batch/json_private.h"

#define SAMPLE_MAX 40 /* bytes of a value that reasons quote */

/* ---- broken rules */

/* The value as reasons quote it: short, and never half of a character. */
static void sample(yyjson_val *value, char *text, size_t size)
{
	const char *from = yyjson_is_raw(value) ? yyjson_get_raw(value) : yyjson_get_str(value);
	size_t length = from ? yyjson_get_len(value) : 0, kept = length < SAMPLE_MAX ? length : SAMPLE_MAX;

	while (kept < length && kept && ((unsigned char)from[kept] & 0xc0) == 0x80)
		kept--;
	*text = 0;
	if (from)
		snprintf(text, size, yyjson_is_raw(value) ? " (%.*s%s)" : " ('%.*s%s')", (int)kept, from,
		         kept < length ? "..." : "");
}

/* The row lost points; or, where there is no score, its payload is refused. */
static int broken(struct json_decoder *decoder, double points, const char *reason, struct error *err)
{
	if (decoder->score < 0 && decoder->reasons < 0)
		return error_set(err, ERROR_CORRUPT, 0, "%s", reason);
	decoder->points += points;
	if (decoder->reasons < 0)
		return 0;
	if (json_count(decoder, REASON_BYTES + (int64_t)strlen(reason), err))
		return -1;
	return grow_element(&decoder->columns.data[decoder->reasons], reason, strlen(reason)) ? 0
	                                                                                      : error_no_memory(err);
}

static bool is_allowed_number(const struct cell *cell, yyjson_val *value)
{
	int64_t whole;

	if (!json_whole(value, &whole))
		return false;
	for (int i = 0; i < cell->rule.allowed_count; i++)
		if (cell->allowed[i].whole == whole)
			return true;
	return false;
}

static bool is_allowed(const struct cell *cell, yyjson_val *value)
{
	const char *text = yyjson_get_str(value);
	size_t size = yyjson_get_len(value);
	uint64_t head;

	if (yyjson_is_raw(value))
		return is_allowed_number(cell, value);
	head = text_head(text, size);
	for (int i = 0; i < cell->rule.allowed_count; i++)
		if (cell->allowed[i].size == size && cell->allowed[i].head == head &&
		    (size <= sizeof head || !memcmp(cell->rule.allowed[i], text, size)))
			return true;
	return false;
}

/* A long double holds each whole number of 64 bits: none is rounded to its bound. */
static bool is_within(const struct json_column *rule, long double number)
{
	return !(rule->has_minimum && number < rule->minimum) && !(rule->has_maximum && number > rule->maximum);
}

static int out_of_range(struct json_decoder *decoder, const struct json_column *rule, yyjson_val *value,
                        struct error *err)
{
	char text[SAMPLE_MAX + 16], reason[512];
	int used;

	sample(value, text, sizeof text);
	used = snprintf(reason, sizeof reason, "%s is out of range%s:", rule->name, text);
	if (rule->has_minimum)
		used += snprintf(reason + used, sizeof reason - (size_t)used, " at least %g", rule->minimum);
	if (rule->has_maximum)
		snprintf(reason + used, sizeof reason - (size_t)used, "%s at most %g", rule->has_minimum ? "," : "",
		         rule->maximum);
	return broken(decoder, rule->weight * decoder->rules.out_of_range, reason, err);
}

static int not_allowed(struct json_decoder *decoder, const struct json_column *rule, yyjson_val *value,
                       struct error *err)
{
	char text[SAMPLE_MAX + 16], reason[512];

	sample(value, text, sizeof text);
	snprintf(reason, sizeof reason, "%s is none of its values%s", rule->name, text);
	return broken(decoder, rule->weight * decoder->rules.out_of_range, reason, err);
}

static int missing(struct json_decoder *decoder, const struct json_column *rule, struct error *err)
{
	char reason[512];

	snprintf(reason, sizeof reason, "%s is missing", rule->name);
	return broken(decoder, rule->weight * decoder->rules.missing, reason, err);
}

static int wrong_type(struct json_decoder *decoder, const struct json_column *rule, yyjson_val *value,
                      struct error *err)
{
	char text[SAMPLE_MAX + 16], reason[512];

	sample(value, text, sizeof text);
	snprintf(reason, sizeof reason, "%s is %s%s, not %s", rule->name, json_name(value), text,
	         json_type_right(rule->type));
	return broken(decoder, rule->weight * decoder->rules.wrong_type, reason, err);
}

/* A number that an inferred column could take only if it, or the others there, were rounded. */
static int rounds(struct json_decoder *decoder, const struct json_column *rule, yyjson_val *value, const char *why,
                  struct error *err)
{
	char text[SAMPLE_MAX + 16], reason[512];

	sample(value, text, sizeof text);
	snprintf(reason, sizeof reason,
	         "%s is %s%s, and the column %s: declare the columns and their types in spec.json.columns", rule->name,
	         json_name(value), text, why);
	return broken(decoder, rule->weight * decoder->rules.wrong_type, reason, err);
}

/* DuckDB's cast to the table's column would change it, or what is in it. */
static int changes(struct json_decoder *decoder, const struct json_column *rule, const struct json_misfit *misfit,
                   struct error *err)
{
	char text[SAMPLE_MAX + 16], reason[512];

	sample(misfit->value, text, sizeof text);
	snprintf(reason, sizeof reason,
	         "%s has %s%s, which %s would change: send what it holds, times in UTC, and decimals of more than 15 "
	         "digits as texts",
	         rule->name, json_name(misfit->value), text, misfit->type);
	return broken(decoder, rule->weight * decoder->rules.wrong_type, reason, err);
}

/* ---- a row */

static bool fits_table(const struct cell *cell, yyjson_val *value, struct json_misfit *ret_misfit)
{
	int64_t us;

	if (!cell->table)
		return true;
	if (cell->rule.type == JSON_JSON)
		return json_fits_table(cell->table, value, ret_misfit);
	ret_misfit->value = value;
	snprintf(ret_misfit->type, sizeof ret_misfit->type, "%s", cell->table);
	return !yyjson_is_str(value) || !json_time(yyjson_get_str(value), yyjson_get_len(value), &us) ||
	       us % json_unit_us(cell->table) == 0;
}

/* A column of whole numbers, seen in the table or inferred, and the first other number. */
static bool widens(const struct json_decoder *decoder, const struct json_column *rule, yyjson_val *value)
{
	double number;

	return decoder->infers && rule->type == JSON_BIGINT && yyjson_is_raw(value) && !json_is_whole(value) &&
	       json_number(value, &number);
}

/* The cell's column becomes DOUBLE; false: whole numbers of the table or of the rows at hand would be rounded. */
static bool widen(struct json_decoder *decoder, struct cell *cell)
{
	const struct json_rules *rules = &decoder->rules;

	if (!cell->asked && rules->holds_large)
		cell->large = rules->holds_large(rules->context, cell->rule.name);
	cell->asked = true;
	if (cell->large || !columns_widen(&decoder->columns, cell->column))
		return false;
	cell->rule.type = JSON_DOUBLE;
	decoder->news = true;
	return true;
}

/* Of a value that was put: number is NAN where it was read as none. */
static int check_range(struct json_decoder *decoder, const struct cell *cell, yyjson_val *value, long double number,
                       struct error *err)
{
	const struct json_column *rule = &cell->rule;
	double nearest;

	if ((rule->has_minimum || rule->has_maximum) && isnan(number) && json_number(value, &nearest))
		number = nearest;
	if (!isnan(number) && !is_within(rule, number))
		return out_of_range(decoder, rule, value, err);
	if (cell->allowed && !is_allowed(cell, value))
		return not_allowed(decoder, rule, value, err);
	return 0;
}

static int fill_cell(struct json_decoder *decoder, struct cell *cell, struct error *err)
{
	struct growing *data = cell->column < 0 ? NULL : &decoder->columns.data[cell->column];
	const struct json_column *rule = &cell->rule;
	struct place place = cell->place;
	yyjson_val *value = place.value;
	struct json_misfit misfit;
	long double number;

	if (!value || yyjson_is_null(value)) {
		grow_null(data);
		return rule->required ? missing(decoder, rule, err) : 0;
	}
	if (decoder->infers && rule->type == JSON_DOUBLE && json_is_rounded(value)) {
		grow_null(data);
		return rounds(decoder, rule, value, "is DOUBLE, which would round it", err);
	}
	if (!fits_table(cell, value, &misfit)) {
		grow_null(data);
		return changes(decoder, rule, &misfit, err);
	}
	if (json_put(data, rule, &place, &number))
		return check_range(decoder, cell, value, number, err);
	if (!widens(decoder, rule, value)) {
		grow_null(data);
		return wrong_type(decoder, rule, value, err);
	}
	if (widen(decoder, cell)) {
		json_put(data, rule, &place, &number);
		return 0;
	}
	grow_null(data);
	return rounds(decoder, rule, value, "has whole numbers beyond 2^53, which DOUBLE would round", err);
}

int json_fill_row(struct json_decoder *decoder, const char *text, size_t size, int64_t ingested_us, struct error *err)
{
	struct columns *columns = &decoder->columns;
	double score;

	if (json_count(decoder, (int64_t)CELL_BYTES * columns->count, err))
		return -1;
	if (!columns_room(columns))
		return error_no_memory(err);
	decoder->points = 0;
	for (int i = 0; i < decoder->cell_count; i++)
		if (fill_cell(decoder, &decoder->cells[i], err))
			return -1;
	score = decoder->points < 100 ? 100 - decoder->points : 0;
	if (decoder->raw >= 0)
		grow_text(&columns->data[decoder->raw], text, size);
	if (decoder->score >= 0)
		grow_fixed(&columns->data[decoder->score], &score, sizeof score);
	if (decoder->reasons >= 0)
		grow_list_end(&columns->data[decoder->reasons]);
	if (decoder->ingested_at >= 0)
		grow_fixed(&columns->data[decoder->ingested_at], &ingested_us, sizeof ingested_us);
	if (!columns_ok(columns))
		return error_no_memory(err);
	columns->rows++;
	return 0;
}
