/*
 * flat.h - reads FlatBuffers where they lie, at any alignment, and checks each step against the buffer's end.
 *
 * Why not a generated reader after a verifier: that wants the header aligned (so copied), and a verifier's time doubles
 * with each level of nesting where tables share children: 5 KB of 60 levels keep flatcc's busy for years. Here the
 * caller bounds what it walks, and no step trusts an earlier one.
 *
 * Invariants:
 *  1. No byte outside data[0..size) is read, whatever the bytes say.
 *  2. A step that would read outside sets `bad` and gives 0; `bad` sticks, so a caller may check once at its end.
 *
 * Positions are offsets into data; 0 means absent (no table, slot or vector can stand at 0).
 * Source: FlatBuffers internals, https://flatbuffers.dev/internals/
 */
#ifndef TARN_BATCH_FLAT_H
#define TARN_BATCH_FLAT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct flat {
	const uint8_t *data;
	uint32_t size;
	bool bad;
};

static inline bool flat_has(struct flat *flat, uint64_t at, uint64_t bytes)
{
	if (at <= flat->size && bytes <= flat->size - at)
		return true;
	flat->bad = true;
	return false;
}

#define FLAT_LOAD(name, type)                                                                                          \
	static inline type name(struct flat *flat, uint64_t at)                                                        \
	{                                                                                                              \
		type value = 0;                                                                                        \
                                                                                                                       \
		if (flat_has(flat, at, sizeof value))                                                                  \
			memcpy(&value, flat->data + at, sizeof value);                                                 \
		return value;                                                                                          \
	}
FLAT_LOAD(flat_u8, uint8_t)
FLAT_LOAD(flat_u16, uint16_t)
FLAT_LOAD(flat_i16, int16_t)
FLAT_LOAD(flat_u32, uint32_t)
FLAT_LOAD(flat_i32, int32_t)
FLAT_LOAD(flat_i64, int64_t)
#undef FLAT_LOAD

/* Where the offset at `slot` points; 0 where slot is 0. */
static inline uint32_t flat_follow(struct flat *flat, uint32_t slot)
{
	uint64_t to;

	if (!slot)
		return 0;
	to = (uint64_t)slot + flat_u32(flat, slot);
	if (to == slot || !flat_has(flat, to, 4)) {
		flat->bad = true;
		return 0;
	}
	return (uint32_t)to;
}

static inline uint32_t flat_root(struct flat *flat)
{
	uint32_t root = flat_u32(flat, 0);

	return root && flat_has(flat, root, 4) ? root : (flat->bad = true, 0);
}

/* The position of field `id` inside `table`; 0 where the table does not hold it. */
static inline uint32_t flat_slot(struct flat *flat, uint32_t table, int id)
{
	int64_t vtable;
	uint32_t entry = 4 + 2 * (uint32_t)id, offset;

	if (!table)
		return 0;
	vtable = (int64_t)table - flat_i32(flat, table);
	if (vtable < 0 || !flat_has(flat, (uint64_t)vtable, 4)) {
		flat->bad = true;
		return 0;
	}
	if (entry + 2 > flat_u16(flat, (uint64_t)vtable))
		return 0;
	offset = flat_u16(flat, (uint64_t)vtable + entry);
	if (!offset)
		return 0;
	if (offset < 4 || !flat_has(flat, (uint64_t)table + offset, 1)) {
		flat->bad = true;
		return 0;
	}
	return table + offset;
}

static inline uint32_t flat_table(struct flat *flat, uint32_t table, int id)
{
	return flat_follow(flat, flat_slot(flat, table, id));
}

/* The first element of a vector field; *ret_count elements of `width` bytes lie inside the buffer. */
static inline uint32_t flat_vector(struct flat *flat, uint32_t table, int id, uint32_t width, uint32_t *ret_count)
{
	uint32_t at = flat_table(flat, table, id);

	*ret_count = at ? flat_u32(flat, at) : 0;
	if (!at || flat_has(flat, (uint64_t)at + 4, (uint64_t)*ret_count * width))
		return at ? at + 4 : 0;
	*ret_count = 0;
	return 0;
}

#define FLAT_FIELD(name, type, load)                                                                                   \
	static inline type name(struct flat *flat, uint32_t table, int id, type otherwise)                             \
	{                                                                                                              \
		uint32_t slot = flat_slot(flat, table, id);                                                            \
                                                                                                                       \
		return slot ? load(flat, slot) : otherwise;                                                            \
	}
FLAT_FIELD(flat_field_u8, uint8_t, flat_u8)
FLAT_FIELD(flat_field_i16, int16_t, flat_i16)
FLAT_FIELD(flat_field_i32, int32_t, flat_i32)
FLAT_FIELD(flat_field_i64, int64_t, flat_i64)
#undef FLAT_FIELD

#endif
