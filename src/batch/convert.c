/*
 * convert.c - what DuckDB 1.5.5 takes wrongly or not at all leaves in a form that it takes; all of it is counted as
 * copied.
 *
 *   dictionary, run-end encoded   the values themselves; text and binaries as views (16 bytes a row), whose bytes stay
 * in place. DuckDB decodes the whole dictionary for every 2,048 rows, loses nulls of dictionaries inside lists, and
 * reads run-end and dictionary children of lists and arrays as something else list view                     list:
 * DuckDB reads past its child where views leave gaps interval day-time             interval month-day-nano: DuckDB
 * reads the two int32 as one int64 of milliseconds float16                       float32: DuckDB has no such type union
 * with other type ids     type ids that count from 0: DuckDB takes them for positions arrow.bool8 bool; and a first
 * column of nulls: int32. DuckDB lets go of an array with its first column, and of these two before it has read the
 * others null struct or fixed list     its lists, fixed size binaries and union members are null too: DuckDB forgets
 * the parent's nulls there, and its Parquet writer then shifts the values of the column
 */
#include "batch/decode.h"

#define VIEW_INLINE 12

static void *make(struct decode *decode, const struct field *field, int64_t size)
{
	return decode_make(decode, field, size, &decode->decoder->counters->copied);
}

/* ---- values: one array that indices look into ---- */

static int values_reserve(struct decode *decode, const struct field *field, struct values *values, int64_t more)
{
	int64_t capacity = values->length + more;
	uint8_t *data, *valid;

	if (capacity <= values->capacity)
		return 0;
	if (values->length && capacity < 2 * values->capacity)
		capacity = 2 * values->capacity;
	if (capacity > IPC_ROWS_MAX)
		return decode_error(decode, field, "a dictionary of more than %lld values", (long long)IPC_ROWS_MAX);
	data = make(decode, field, capacity * values->width);
	valid = data ? make(decode, field, capacity) : NULL;
	if (!valid)
		return -1;
	if (values->length) {
		memcpy(data, values->data, (size_t)(values->length * values->width));
		memcpy(valid, values->valid, (size_t)values->length);
	}
	values->data = data;
	values->valid = valid;
	values->capacity = capacity;
	return 0;
}

/* The byte buffers of `node` behind those that are there; *ret_base is the index of its first. */
static int values_add_views(struct decode *decode, const struct field *field, struct values *values,
                            const struct node *node, int32_t *ret_base)
{
	bool is_view = kinds[node->kind].layout == LAYOUT_VIEW;
	int64_t count = is_view ? node->view_count : 1;
	struct view_buffer *views;

	*ret_base = (int32_t)values->view_count;
	if (!is_view && node->second_size > INT32_MAX)
		return decode_error(decode, field, "a dictionary of more than 2 GiB");
	views = make(decode, field, (values->view_count + count) * (int64_t)sizeof *views);
	if (!views)
		return -1;
	if (values->view_count)
		memcpy(views, values->views, (size_t)values->view_count * sizeof *views);
	for (int64_t i = 0; i < count; i++)
		views[values->view_count + i] =
		        is_view ? node->views[i] : (struct view_buffer){node->second, node->second_size};
	values->views = views;
	values->view_count += count;
	return 0;
}

/* The view of a string at `offset` of buffer `index`. */
static void write_view(uint8_t *to, const uint8_t *text, int32_t size, int32_t index, int32_t offset)
{
	memset(to, 0, 16);
	memcpy(to, &size, 4);
	if (size <= VIEW_INLINE) {
		memcpy(to + 4, text, (size_t)size);
		return;
	}
	memcpy(to + 4, text, 4);
	memcpy(to + 8, &index, 4);
	memcpy(to + 12, &offset, 4);
}

static void copy_view(uint8_t *to, const uint8_t *view, int32_t base)
{
	int32_t index;

	memcpy(to, view, 16);
	if (load_i32(view) <= VIEW_INLINE)
		return;
	index = load_i32(view + 8) + base;
	memcpy(to + 8, &index, 4);
}

static void append_value(struct values *values, const struct node *node, int64_t row, int32_t base)
{
	uint8_t *to = values->data + values->width * values->length;
	enum layout layout = kinds[node->kind].layout;
	int64_t begin;
	int width;

	if (layout == LAYOUT_BITS) {
		*to = bit_get(node->first, row);
	} else if (layout == LAYOUT_VIEW) {
		copy_view(to, node->first + 16 * row, base);
	} else if (layout == LAYOUT_FIXED) {
		memcpy(to, node->first + values->width * row, (size_t)values->width);
	} else {
		width = offset_width(node->kind);
		begin = load_offset(node->first, width, row);
		write_view(to, node->second + begin, (int32_t)(load_offset(node->first, width, row + 1) - begin), base,
		           (int32_t)begin);
	}
}

static int kind_width(const struct field *field, enum kind kind)
{
	switch (kinds[kind].layout) {
	case LAYOUT_NONE: return 0;
	case LAYOUT_BITS: return 1;
	case LAYOUT_FIXED: return kind == KIND_FIXED_BINARY ? field->width : kinds[kind].width;
	default: return 16;
	}
}

int values_append(struct decode *decode, const struct field *field, struct values *values, const struct node *node)
{
	enum layout layout = kinds[node->kind].layout;
	int32_t base = 0;
	bool valid;

	values->kind = node->kind;
	values->width = kind_width(field, node->kind);
	if (values_reserve(decode, field, values, node->length))
		return -1;
	if ((layout == LAYOUT_STRING32 || layout == LAYOUT_STRING64 || layout == LAYOUT_VIEW) &&
	    values_add_views(decode, field, values, node, &base))
		return -1;
	for (int64_t i = 0; i < node->length; i++) {
		valid = layout != LAYOUT_NONE && node_valid(node, i);
		/* values_reserve made it. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		values->valid[values->length] = valid;
		values->any_null |= !valid;
		if (valid)
			append_value(values, node, i, base);
		else
			memset(values->data + values->width * values->length, 0, (size_t)values->width);
		values->length++;
	}
	return 0;
}

/* ---- looking up ---- */

/* Rows being written from values; rows not written stay null. */
struct rows {
	uint8_t *data;
	uint8_t *valid;
	int64_t nulls;
};

static int rows_make(struct decode *decode, const struct field *field, const struct values *values, int64_t length,
                     struct rows *rows)
{
	int64_t bits = (length + 7) / 8, size = values->width * length;

	if (kinds[values->kind].layout == LAYOUT_BITS)
		size = bits;
	rows->data = make(decode, field, size);
	rows->valid = rows->data ? make(decode, field, bits) : NULL;
	if (!rows->valid)
		return -1;
	memset(rows->valid, 0, (size_t)bits);
	memset(rows->data, 0, (size_t)size);
	rows->nulls = length;
	return 0;
}

static inline void rows_put(struct rows *rows, const struct values *values, int64_t row, int64_t index)
{
	const uint8_t *from = values->data + values->width * index;

	/* An index comes from a value. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	if (!values->valid[index])
		return;
	rows->valid[row >> 3] |= (uint8_t)(1 << (row & 7));
	rows->nulls--;
	if (kinds[values->kind].layout == LAYOUT_BITS)
		rows->data[row >> 3] |= (uint8_t)(*from << (row & 7));
	else if (values->width == 16)
		memcpy(rows->data + 16 * row, from, 16);
	else
		memcpy(rows->data + values->width * row, from, (size_t)values->width);
}

static void rows_take(const struct field *field, const struct rows *rows, const struct values *values,
                      struct node *node)
{
	node->kind = values->kind == KIND_NULL ? KIND_NULL : field->out;
	node->first = rows->data;
	node->valid = rows->nulls && node->kind != KIND_NULL ? rows->valid : NULL;
	node->nulls = rows->nulls;
	node->second = empty_buffer;
	node->views = values->views;
	node->view_count = values->view_count;
}

/* A row that is null in a struct or fixed size list around it: its own slot may hold anything. */
static bool is_hidden(const struct decode *decode, const struct field *field, int64_t row)
{
	for (const struct field *around = field->parent; around->parent; around = around->parent) {
		if (around->kind == KIND_FIXED_LIST)
			row /= around->list_size;
		else if (around->kind != KIND_STRUCT)
			return false;
		if (row >= node_of(decode, around)->length || !node_valid(node_of(decode, around), row))
			return true;
	}
	return false;
}

static int look_up(struct decode *decode, const struct field *field, struct node *node)
{
	const struct values *values = &decode->decoder->dictionaries[field->dictionary].values;
	struct rows rows;
	int64_t index;

	if (rows_make(decode, field, values, node->length, &rows))
		return -1;
	for (int64_t i = 0; i < node->length; i++) {
		if (!node_valid(node, i))
			continue;
		index = load_integer(node->first + field->width * i, field->kind);
		if ((index < 0 || index >= values->length) && is_hidden(decode, field, i))
			continue;
		if (index < 0 || index >= values->length)
			return decode_error(decode, field,
			                    "index %lld at row %lld is outside its dictionary of %lld values",
			                    (long long)index, (long long)i, (long long)values->length);
		rows_put(&rows, values, i, index);
	}
	rows_take(field, &rows, values, node);
	return 0;
}

static int expand_runs(struct decode *decode, const struct field *field, struct node *node)
{
	const struct field *ends = &field->children[0];
	const struct node *runs = node_of(decode, ends);
	struct values values = {.kind = KIND_NULL};
	struct rows rows;
	int64_t row = 0, end;

	if (values_append(decode, &field->children[1], &values, node_of(decode, &field->children[1])) ||
	    rows_make(decode, field, &values, node->length, &rows))
		return -1;
	for (int64_t i = 0; row < node->length; i++) {
		end = load_integer(runs->first + ends->width * i, ends->kind);
		for (; row < end && row < node->length; row++)
			rows_put(&rows, &values, row, i);
	}
	rows_take(field, &rows, &values, node);
	return 0;
}

/* ---- one type for another ---- */

static float half_to_float(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023, bits;
	float value;

	if (!exponent) {
		value = (float)fraction / 16777216.0f; /* a multiple of 2 to the -24th */
		memcpy(&bits, &value, sizeof bits);
	} else {
		bits = (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
	}
	bits |= sign;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static int widen_halves(struct decode *decode, const struct field *field, struct node *node)
{
	uint8_t *to = make(decode, field, node->length * 4);
	uint16_t half;
	float value;

	if (!to)
		return -1;
	for (int64_t i = 0; i < node->length; i++) {
		memcpy(&half, node->first + 2 * i, sizeof half);
		value = half_to_float(half);
		memcpy(to + 4 * i, &value, sizeof value);
	}
	node->first = to;
	return 0;
}

static int widen_intervals(struct decode *decode, const struct field *field, struct node *node)
{
	uint8_t *to = make(decode, field, node->length * 16);
	int64_t nanoseconds;

	if (!to)
		return -1;
	for (int64_t i = 0; i < node->length; i++) {
		nanoseconds = load_i32(node->first + 8 * i + 4) * INT64_C(1000000);
		memset(to + 16 * i, 0, 4);
		memcpy(to + 16 * i + 4, node->first + 8 * i, 4);
		memcpy(to + 16 * i + 8, &nanoseconds, 8);
	}
	node->first = to;
	return 0;
}

/* Validated views follow each other: the offsets of lists are their ends. */
static int join_list_views(struct decode *decode, const struct field *field, struct node *node)
{
	int width = offset_width(field->kind);
	uint8_t *to = make(decode, field, (node->length + 1) * width);
	int64_t at = 0, size;
	bool begun = false;

	if (!to)
		return -1;
	for (int64_t i = 0; i < node->length && !begun; i++) {
		begun = node_valid(node, i) && load_offset(node->second, width, i);
		at = begun ? load_offset(node->first, width, i) : 0;
	}
	memcpy(to, &at, (size_t)width);
	for (int64_t i = 0; i < node->length; i++) {
		size = node_valid(node, i) ? load_offset(node->second, width, i) : 0;
		at += size;
		memcpy(to + width * (i + 1), &at, (size_t)width);
	}
	node->first = to;
	return 0;
}

static int renumber_union(struct decode *decode, const struct field *field, struct node *node)
{
	uint8_t *to = make(decode, field, node->length);

	if (!to)
		return -1;
	for (int64_t i = 0; i < node->length; i++)
		to[i] = (uint8_t)field->members[node->first[i]];
	node->first = to;
	return 0;
}

/* Null where `parent` is; a row of it is `each` values of this field. */
static int hide_values(struct decode *decode, const struct field *field, const struct node *parent, int64_t each)
{
	struct node *node = node_of(decode, field);
	int64_t nulls = 0, bytes = (node->length + 7) / 8;
	uint8_t *valid;
	bool keep;

	if (node->kind == KIND_NULL)
		return 0;
	valid = make(decode, field, bytes);
	if (!valid)
		return -1;
	memset(valid, 0, (size_t)bytes);
	for (int64_t i = 0; i < node->length; i++) {
		keep = node_valid(node, i) && (i >= parent->length * each || node_valid(parent, i / each));
		valid[i >> 3] |= (uint8_t)(keep << (i & 7));
		nulls += !keep;
	}
	node->valid = nulls ? valid : NULL;
	node->nulls = nulls;
	return 0;
}

static int hide_under(struct decode *decode, const struct field *field, const struct node *parent, int64_t each)
{
	const struct node *node = node_of(decode, field);
	bool is_list = kinds[node->kind].layout == LAYOUT_LIST32 || kinds[node->kind].layout == LAYOUT_LIST64;
	bool inner = node->kind == KIND_STRUCT || node->kind == KIND_FIXED_LIST || node->kind == KIND_UNION;

	if (node->kind == KIND_FIXED_LIST)
		each *= field->list_size;
	for (int i = 0; inner && i < field->child_count; i++) {
		if (hide_under(decode, &field->children[i], parent, each))
			return -1;
		if (node->kind == KIND_UNION && hide_values(decode, &field->children[i], parent, each))
			return -1;
	}
	if (!node->valid || !(node->kind == KIND_FIXED_BINARY || node->kind == KIND_FIXED_LIST || is_list))
		return 0;
	return hide_values(decode, field, parent, node->kind == KIND_FIXED_LIST ? each / field->list_size : each);
}

static int hide_children(struct decode *decode, const struct field *field, const struct node *node)
{
	for (int i = 0; node->valid && i < field->child_count; i++)
		if (hide_under(decode, &field->children[i], node,
		               field->kind == KIND_FIXED_LIST ? field->list_size : 1))
			return -1;
	return 0;
}

static int pack_bools(struct decode *decode, const struct field *field, struct node *node)
{
	int64_t bytes = (node->length + 7) / 8;
	uint8_t *to = make(decode, field, bytes);

	if (!to)
		return -1;
	memset(to, 0, (size_t)bytes);
	for (int64_t i = 0; i < node->length; i++)
		to[i >> 3] |= (uint8_t)((node->first[i] != 0) << (i & 7));
	node->first = to;
	return 0;
}

static int spell_nulls(struct decode *decode, const struct field *field, struct node *node)
{
	int64_t size = node->length * kinds[field->out].width;
	uint8_t *zeros = make(decode, field, size);

	if (!zeros)
		return -1;
	memset(zeros, 0, (size_t)size);
	node->kind = field->out;
	node->first = zeros;
	node->valid = node->nulls ? zeros : NULL;
	return 0;
}

static int convert_kind(struct decode *decode, const struct field *field, struct node *node)
{
	if (field->value)
		return look_up(decode, field, node);
	if (field->kind != KIND_NULL)
		node->kind = field->out;
	switch (field->kind) {
	case KIND_INT8: return field->out == KIND_BOOL ? pack_bools(decode, field, node) : 0;
	case KIND_STRUCT:
	case KIND_FIXED_LIST: return hide_children(decode, field, node);
	case KIND_RUN_END: return expand_runs(decode, field, node);
	case KIND_HALF: return widen_halves(decode, field, node);
	case KIND_INTERVAL_DAY_TIME: return widen_intervals(decode, field, node);
	case KIND_LIST_VIEW:
	case KIND_LARGE_LIST_VIEW: return join_list_views(decode, field, node);
	case KIND_UNION: return field->members_in_order ? 0 : renumber_union(decode, field, node);
	default: return 0;
	}
}

int convert_node(struct decode *decode, const struct field *field, struct node *node)
{
	if (convert_kind(decode, field, node))
		return -1;
	return node->kind == KIND_NULL && field->out != KIND_NULL ? spell_nulls(decode, field, node) : 0;
}
