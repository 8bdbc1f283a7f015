/*
 * validate.c - invariant 1 of batch.h: what DuckDB will read without a further check is checked here.
 *
 * A slot that is null may hold anything, except where DuckDB reads it all the same (offsets, type ids, durations).
 * Source: Arrow columnar format, "Physical memory layout"; value ranges: DuckDB 1.5.5, arrow_conversion.cpp, which does
 * not check them, and stores what later cannot be read.
 */
#include <inttypes.h>

#include "batch/decode.h"

#define DAY_SECONDS INT64_C(86400)
#define DAY_MS (DAY_SECONDS * 1000)
#define VIEW_INLINE 12

/* The values a kind may hold; nulls_too: null slots as well. */
struct range {
	int64_t low, high;
	bool nulls_too;
};

static const struct range ranges[KIND_COUNT] = {
        [KIND_DATE32] = {-INT64_C(2147483646), INT32_MAX - 1, false},
        [KIND_DATE64] = {-INT64_C(2147483646) * DAY_MS, (INT32_MAX - 1) * DAY_MS, false},
        [KIND_TIME_S] = {0, DAY_SECONDS, false},
        [KIND_TIME_MS] = {0, DAY_MS, false},
        [KIND_TIME_US] = {0, DAY_MS * 1000, false},
        [KIND_TIME_NS] = {0, DAY_MS * 1000000, false},
        [KIND_TIMESTAMP_S] = {FIRST_TIMESTAMP / 1000000, INT64_MAX / 1000000, false},
        [KIND_TIMESTAMP_MS] = {FIRST_TIMESTAMP / 1000, INT64_MAX / 1000, false},
        [KIND_TIMESTAMP_US] = {FIRST_TIMESTAMP, LAST_TIMESTAMP, false},
        [KIND_TIMESTAMP_NS] = {-INT64_C(9223286400000000000), INT64_MAX - 1, false},
        [KIND_DURATION_S] = {INT64_MIN / 1000000, INT64_MAX / 1000000, true},
        [KIND_DURATION_MS] = {INT64_MIN / 1000, INT64_MAX / 1000, true},
};

static int64_t count_nulls(const uint8_t *valid, int64_t length)
{
	int64_t set = 0, i = 0;
	uint64_t word;

	for (; i + 64 <= length; i += 64) {
		memcpy(&word, valid + i / 8, sizeof word);
		set += __builtin_popcountll(word);
	}
	for (; i < length; i++)
		set += bit_get(valid, i);
	return length - set;
}

static int check_nulls(struct decode *decode, const struct field *field, struct node *node)
{
	int64_t nulls;

	if (field->kind == KIND_NULL)
		node->nulls = node->length;
	if (!node->valid) {
		node->nulls = field->kind == KIND_NULL ? node->length : 0;
		return 0;
	}
	nulls = count_nulls(node->valid, node->length);
	if (node->nulls > 0 && nulls != node->nulls)
		return decode_error(decode, field, "%" PRId64 " nulls are declared and %" PRId64 " are in the bitmap",
		                    node->nulls, nulls);
	node->nulls = nulls;
	if (!nulls)
		node->valid = NULL;
	return 0;
}

static int check_size(struct decode *decode, const struct field *field, const char *what, int64_t size, int64_t wanted)
{
	if (size >= wanted)
		return 0;
	return decode_error(decode, field, "%s of %" PRId64 " bytes where %" PRId64 " are needed", what, size, wanted);
}

static int check_range(struct decode *decode, const struct field *field, const struct node *node)
{
	const struct range *range = &ranges[field->kind];
	bool wide = field->width == 8, outside = false;
	int64_t value;

	if (range->low == range->high)
		return 0;
	for (int64_t i = 0; i < node->length; i++) {
		value = wide ? load_i64(node->first + 8 * i) : load_i32(node->first + 4 * i);
		outside |= value < range->low || value > range->high;
	}
	for (int64_t i = 0; outside && i < node->length; i++) {
		value = wide ? load_i64(node->first + 8 * i) : load_i32(node->first + 4 * i);
		if ((value < range->low || value > range->high) && (range->nulls_too || node_valid(node, i)))
			return decode_error(decode, field,
			                    "%" PRId64 " at row %" PRId64 " is not a %s that can be stored", value, i,
			                    kinds[field->kind].name);
	}
	return 0;
}

static __int128 load_decimal(const uint8_t *at, int width)
{
	__int128 value;

	if (width == 4)
		return load_i32(at);
	if (width == 8)
		return load_i64(at);
	memcpy(&value, at, sizeof value);
	return value;
}

static int check_decimals(struct decode *decode, const struct field *field, const struct node *node)
{
	__int128 bound = 1, value;

	for (int i = 0; i < field->precision; i++)
		bound *= 10;
	for (int64_t i = 0; i < node->length; i++) {
		value = load_decimal(node->first + field->width * i, field->width);
		if ((value >= bound || value <= -bound) && node_valid(node, i))
			return decode_error(decode, field, "the decimal at row %" PRId64 " has more than %d digits", i,
			                    field->precision);
	}
	return 0;
}

/* Offsets that begin at 0 or later, never fall, and end inside `limit`. */
static int check_offsets(struct decode *decode, const struct field *field, const struct node *node, int64_t limit)
{
	int width = offset_width(field->kind);
	int64_t before, at;
	bool falls = false;

	if (!node->length)
		return 0;
	if (check_size(decode, field, "offsets", node->first_size, (node->length + 1) * width))
		return -1;
	before = load_offset(node->first, width, 0);
	if (before < 0)
		return decode_error(decode, field, "offsets begin at %" PRId64, before);
	for (int64_t i = 1; i <= node->length; i++) {
		at = load_offset(node->first, width, i);
		falls |= at < before;
		before = at;
	}
	for (int64_t i = 0; falls && i < node->length; i++)
		if (load_offset(node->first, width, i + 1) < load_offset(node->first, width, i))
			return decode_error(decode, field, "offsets fall at row %" PRId64, i);
	if (before > limit)
		return decode_error(decode, field, "offsets end at %" PRId64 " of %" PRId64, before, limit);
	return 0;
}

/* The whole column failed: bytes of null slots do not count, so each string by itself. */
static int recheck_strings(struct decode *decode, const struct field *field, const struct node *node)
{
	int width = offset_width(field->kind);

	for (int64_t i = 0; i < node->length; i++) {
		int64_t begin = load_offset(node->first, width, i), end = load_offset(node->first, width, i + 1);

		if (node_valid(node, i) && !utf8_valid(node->second + begin, (size_t)(end - begin)))
			return decode_error(decode, field, "the text at row %" PRId64 " is not UTF-8", i);
	}
	return 0;
}

static int check_strings(struct decode *decode, const struct field *field, const struct node *node)
{
	if (check_offsets(decode, field, node, node->second_size))
		return -1;
	if (!node->length || !kind_is_text(field->kind) ||
	    utf8_valid_strings(node->second, node->first, offset_width(field->kind), node->length))
		return 0;
	return recheck_strings(decode, field, node);
}

/* A view: length, then up to 12 bytes of text, or the first 4, a buffer's index and an offset into it. */
static int check_view(struct decode *decode, const struct field *field, const struct node *node, int64_t row)
{
	const uint8_t *view = node->first + 16 * row, *text = view + 4;
	int64_t size = load_i32(view), index, offset;

	if (size < 0)
		return decode_error(decode, field, "the view at row %" PRId64 " has %" PRId64 " bytes", row, size);
	if (size > VIEW_INLINE) {
		index = load_i32(view + 8);
		offset = load_i32(view + 12);
		if (index < 0 || index >= node->view_count || offset < 0 || offset > node->views[index].size ||
		    size > node->views[index].size - offset)
			return decode_error(decode, field, "the view at row %" PRId64 " points outside its buffers",
			                    row);
		text = node->views[index].data + offset;
		if (memcmp(text, view + 4, 4))
			return decode_error(decode, field,
			                    "the view at row %" PRId64 " has another beginning than its text", row);
	}
	if (kind_is_text(field->kind) && !utf8_valid(text, (size_t)size))
		return decode_error(decode, field, "the text at row %" PRId64 " is not UTF-8", row);
	return 0;
}

static int check_views(struct decode *decode, const struct field *field, const struct node *node)
{
	if (check_size(decode, field, "views", node->first_size, node->length * 16))
		return -1;
	for (int64_t i = 0; i < node->length; i++)
		if (node_valid(node, i) && check_view(decode, field, node, i))
			return -1;
	return 0;
}

static int check_map(struct decode *decode, const struct field *field)
{
	const struct field *entries = &field->children[0];

	if (node_of(decode, entries)->nulls)
		return decode_error(decode, field, "a map with entries that are null");
	if (node_of(decode, &entries->children[0])->nulls)
		return decode_error(decode, field, "a map with keys that are null");
	return 0;
}

static int check_list(struct decode *decode, const struct field *field, const struct node *node)
{
	if (check_offsets(decode, field, node, node_of(decode, &field->children[0])->length))
		return -1;
	return field->kind == KIND_MAP ? check_map(decode, field) : 0;
}

/* DuckDB takes list views for lists that follow each other, so they must. */
static int check_list_view(struct decode *decode, const struct field *field, const struct node *node)
{
	int64_t end = -1, begin, size, limit = node_of(decode, &field->children[0])->length;
	int width = offset_width(field->kind);

	if (check_size(decode, field, "offsets", node->first_size, node->length * width) ||
	    check_size(decode, field, "sizes", node->second_size, node->length * width))
		return -1;
	for (int64_t i = 0; i < node->length; i++) {
		begin = load_offset(node->first, width, i);
		size = load_offset(node->second, width, i);
		if (!node_valid(node, i) || !size)
			continue;
		if (begin < 0 || size < 0 || begin > limit || size > limit - begin)
			return decode_error(decode, field, "the list at row %" PRId64 " is outside its values", i);
		if (end >= 0 && begin != end)
			return decode_error(decode, field,
			                    "the list at row %" PRId64 " does not follow the one before: send a list",
			                    i);
		end = begin + size;
	}
	return 0;
}

static int check_union(struct decode *decode, const struct field *field, const struct node *node)
{
	if (check_size(decode, field, "type ids", node->first_size, node->length))
		return -1;
	for (int64_t i = 0; i < node->length; i++)
		if (node->first[i] > 127 || field->members[node->first[i]] < 0)
			return decode_error(decode, field, "type id %d at row %" PRId64 " is not one of the union's",
			                    (int8_t)node->first[i], i);
	return 0;
}

static int check_runs(struct decode *decode, const struct field *field, const struct node *node)
{
	const struct field *ends = &field->children[0];
	const struct node *runs = node_of(decode, ends);
	int64_t before = 0, end = 0;

	if (runs->nulls || runs->length != node_of(decode, &field->children[1])->length)
		return decode_error(decode, field, "run ends that are null or not as many as the values");
	for (int64_t i = 0; i < runs->length; i++) {
		end = load_integer(runs->first + ends->width * i, ends->kind);
		if (end <= before)
			return decode_error(decode, field, "run ends do not rise at run %" PRId64, i);
		before = end;
	}
	if (end < node->length)
		return decode_error(decode, field, "runs end at %" PRId64 " of %" PRId64 " rows", end, node->length);
	return 0;
}

static int check_fixed(struct decode *decode, const struct field *field, const struct node *node)
{
	if (check_size(decode, field, "values", node->first_size, node->length * field->width))
		return -1;
	if (field->precision)
		return check_decimals(decode, field, node);
	return check_range(decode, field, node);
}

int validate_node(struct decode *decode, const struct field *field, struct node *node)
{
	if (check_nulls(decode, field, node))
		return -1;
	switch (kinds[field->kind].layout) {
	case LAYOUT_NONE:
	case LAYOUT_FIXED_LIST:
	case LAYOUT_STRUCT: return 0;
	case LAYOUT_BITS: return check_size(decode, field, "bits", node->first_size, (node->length + 7) / 8);
	case LAYOUT_FIXED: return check_fixed(decode, field, node);
	case LAYOUT_STRING32:
	case LAYOUT_STRING64: return check_strings(decode, field, node);
	case LAYOUT_VIEW: return check_views(decode, field, node);
	case LAYOUT_LIST32:
	case LAYOUT_LIST64: return check_list(decode, field, node);
	case LAYOUT_LIST_VIEW32:
	case LAYOUT_LIST_VIEW64: return check_list_view(decode, field, node);
	case LAYOUT_UNION: return check_union(decode, field, node);
	case LAYOUT_RUN_END: return check_runs(decode, field, node);
	}
	return 0;
}
