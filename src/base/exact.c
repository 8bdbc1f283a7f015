#include "base/exact.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where a double's bits are: IEEE 754-2019, 3.4. */
#define MANTISSA_BITS 52
#define MANTISSA_MASK (((uint64_t)1 << MANTISSA_BITS) - 1)
#define EXPONENT_MASK 0x7ffu
#define SIGN_BIT ((uint64_t)1 << 63)
#define INFINITY_BITS ((uint64_t)EXPONENT_MASK << MANTISSA_BITS)

enum { NAN_COUNT, PLUS_COUNT, MINUS_COUNT, COUNTS };

enum {
	VERSION = 1,
	HEAD_BYTES = 2,
	POSITION_MASK = 0x1ff,
	COUNTS_FOLLOW = 0x8000,
	NUMBER_BYTES_MAX = EXACT_LIMBS * 8,
};

/* A window that does not fit in the struct, or infinities or NaN to count. */
struct exact_wide {
	int64_t counts[COUNTS];
	uint64_t limbs[];
};

/* Limbs low to high - 1: all that a number needs, its sign included. Empty where it is zero. */
struct span {
	unsigned low, high;
};

void exact_release(struct exact *sum)
{
	if (sum->wide_limbs)
		free(sum->wide);
	*sum = (struct exact){0};
}

static inline uint64_t *limbs_of(struct exact *sum)
{
	return sum->wide_limbs ? sum->wide->limbs : sum->limbs;
}

static inline const uint64_t *limbs_to_read(const struct exact *sum)
{
	return sum->wide_limbs ? sum->wide->limbs : sum->limbs;
}

static inline unsigned limb_count(const struct exact *sum)
{
	return sum->wide_limbs ? sum->wide_limbs : EXACT_OWN_LIMBS;
}

static const int64_t *counts_of(const struct exact *sum)
{
	static const int64_t none[COUNTS];

	return sum->wide_limbs ? sum->wide->counts : none;
}

static bool counts_are_none(const int64_t *counts)
{
	return !(counts[NAN_COUNT] | counts[PLUS_COUNT] | counts[MINUS_COUNT]);
}

/* 0, or all ones: what stands in every limb above this one. */
static inline uint64_t sign_of(uint64_t limb)
{
	return limb & SIGN_BIT ? ~(uint64_t)0 : 0;
}

/* As the highest limb of two numbers: their sum does not reach the sign bit. */
static inline bool has_headroom(uint64_t limb)
{
	return limb + (SIGN_BIT >> 1) < SIGN_BIT;
}

/* The limb at a place in or out of the window. */
static uint64_t limb_at(const struct exact *sum, unsigned place)
{
	const uint64_t *limbs = limbs_to_read(sum);
	unsigned count = limb_count(sum);

	if (place < sum->first)
		return 0;
	return place - sum->first < count ? limbs[place - sum->first] : sign_of(limbs[count - 1]);
}

static struct span significant(const struct exact *sum)
{
	const uint64_t *limbs = limbs_to_read(sum);
	unsigned low = 0, high = limb_count(sum);
	uint64_t sign = sign_of(limbs[high - 1]);

	while (low < high && !limbs[low])
		low++;
	while (high > low + 1 && limbs[high - 1] == sign && sign_of(limbs[high - 2]) == sign)
		high--;
	return (struct span){sum->first + low, sum->first + high};
}

/* The window becomes `count` limbs from `first` on, which hold all that is significant. */
static int move_window(struct exact *sum, unsigned first, unsigned count, struct error *err)
{
	uint64_t limbs[EXACT_LIMBS];
	struct exact_wide *wide = NULL;

	for (unsigned i = 0; i < count; i++)
		limbs[i] = limb_at(sum, first + i);
	if (count > limb_count(sum)) {
		wide = malloc(sizeof *wide + count * sizeof *limbs);
		if (!wide)
			return error_no_memory(err);
		memcpy(wide->counts, counts_of(sum), sizeof wide->counts);
		if (sum->wide_limbs)
			free(sum->wide);
		sum->wide = wide;
		sum->wide_limbs = (uint8_t)count;
	}
	memcpy(limbs_of(sum), limbs, count * sizeof *limbs);
	sum->first = (uint8_t)first;
	return 0;
}

/* The window comes to hold limbs low to high - 1, too, and headroom for one more number: the slow way. */
static __attribute__((noinline)) int reach(struct exact *sum, unsigned low, unsigned high, struct error *err)
{
	struct span own = significant(sum);
	unsigned count = limb_count(sum), first, spare;

	if (own.low < own.high) {
		own.high += !has_headroom(limb_at(sum, own.high - 1));
		low = own.low < low ? own.low : low;
		high = own.high > high ? own.high : high;
	}
	if (high > EXACT_LIMBS)
		return error_set(err, ERROR_INVALID, 0,
		                 "an exact sum holds at most 2^62 doubles: sum up fewer at once");
	while (count < high - low)
		count = count * 2 < EXACT_LIMBS / 2 ? count * 2 : EXACT_LIMBS;
	/* What is left over goes to both ends: later values may be smaller or larger. */
	spare = (count - (high - low)) / 2;
	first = low > spare ? low - spare : 0;
	if (first + count > EXACT_LIMBS)
		first = EXACT_LIMBS - count;
	return move_window(sum, first, count, err);
}

/* Counts up or down on top of the window's limb i and those above. */
static inline void ripple(uint64_t *limbs, unsigned count, unsigned i, uint64_t step)
{
	for (; step && i < count; i++) {
		limbs[i] += step;
		/* +1 goes on where it came to 0, -1 where it came from 0 */
		if (limbs[i] != (step == 1 ? 0 : ~(uint64_t)0))
			return;
	}
}

static int set_counts(struct exact *sum, const int64_t counts[COUNTS], struct error *err)
{
	if (!sum->wide_limbs && counts_are_none(counts))
		return 0;
	if (!sum->wide_limbs && move_window(sum, sum->first > EXACT_LIMBS - 8 ? EXACT_LIMBS - 8 : sum->first, 8, err))
		return -1;
	memcpy(sum->wide->counts, counts, sizeof sum->wide->counts);
	return 0;
}

static int fail_counts(struct error *err)
{
	return error_set(err, ERROR_INVALID, 0, "an exact sum counts at most 2^63 infinities: sum up fewer at once");
}

static __attribute__((noinline)) int count_special(struct exact *sum, double value, int step, struct error *err)
{
	int which = isnan(value) ? NAN_COUNT : value > 0 ? PLUS_COUNT : MINUS_COUNT;
	int64_t counts[COUNTS];

	memcpy(counts, counts_of(sum), sizeof counts);
	if (__builtin_add_overflow(counts[which], step, &counts[which]))
		return fail_counts(err);
	if (set_counts(sum, counts, err))
		return -1;
	sum->touched = true;
	return 0;
}

/* flip: SIGN_BIT to take the value away. */
static inline int add_bits(struct exact *sum, double value, uint64_t flip, struct error *err)
{
	uint64_t bits, mantissa, sign;
	unsigned exponent, place, i;
	unsigned __int128 part;
	uint64_t *limbs;

	memcpy(&bits, &value, sizeof bits);
	exponent = bits >> MANTISSA_BITS & EXPONENT_MASK;
	mantissa = bits & MANTISSA_MASK;
	if (exponent == EXPONENT_MASK)
		return count_special(sum, value, flip ? -1 : 1, err);
	if (exponent) {
		mantissa |= MANTISSA_MASK + 1;
		exponent--;
	}
	/* value = mantissa * 2^(exponent - 1074), as 128 bits of two's complement at its limb */
	sign = sign_of(bits ^ flip);
	part = (unsigned __int128)mantissa << exponent % 64;
	part = (part ^ ((unsigned __int128)sign << 64 | sign)) + (sign & 1);
	place = exponent / 64;
	i = place - sum->first;
	if (i >= limb_count(sum) - 1 || !has_headroom(limbs_of(sum)[limb_count(sum) - 1])) {
		if (mantissa && reach(sum, place, place + 2, err))
			return -1;
		i = place - sum->first;
	}
	sum->touched = true;
	if (!mantissa)
		return 0;
	limbs = limbs_of(sum);
	part += limbs[i];
	sign += part < limbs[i];
	limbs[i] = (uint64_t)part;
	part = (part >> 64) + limbs[i + 1];
	limbs[i + 1] = (uint64_t)part;
	ripple(limbs, limb_count(sum), i + 2, sign + (uint64_t)(part >> 64));
	return 0;
}

int exact_add(struct exact *sum, double value, struct error *err)
{
	return add_bits(sum, value, 0, err);
}

int exact_subtract(struct exact *sum, double value, struct error *err)
{
	return add_bits(sum, value, SIGN_BIT, err);
}

static int merge_counts(struct exact *sum, const struct exact *other, struct error *err)
{
	const int64_t *theirs = counts_of(other);
	int64_t counts[COUNTS];

	for (int i = 0; i < COUNTS; i++)
		if (__builtin_add_overflow(counts_of(sum)[i], theirs[i], &counts[i]))
			return fail_counts(err);
	return set_counts(sum, counts, err);
}

/* Two windows at one place, as those of ordinary values mostly are: false where they are not. */
static bool merge_own_limbs(struct exact *sum, const struct exact *other)
{
	unsigned __int128 part = 0;

	if (sum->wide_limbs || other->wide_limbs)
		return false;
	if (!sum->touched) {
		*sum = *other;
		return true;
	}
	if (sum->first != other->first || !has_headroom(sum->limbs[EXACT_OWN_LIMBS - 1]) ||
	    !has_headroom(other->limbs[EXACT_OWN_LIMBS - 1]))
		return false;
	for (int i = 0; i < EXACT_OWN_LIMBS; i++) {
		part += (unsigned __int128)sum->limbs[i] + other->limbs[i];
		sum->limbs[i] = (uint64_t)part;
		part >>= 64;
	}
	sum->touched |= other->touched;
	return true;
}

static int merge_spans(struct exact *sum, const struct exact *other, struct error *err)
{
	struct span theirs = significant(other);
	unsigned __int128 part = 0;
	unsigned i;
	uint64_t *limbs, top;

	top = theirs.low < theirs.high ? limb_at(other, theirs.high - 1) : 0;
	if (theirs.low < theirs.high && reach(sum, theirs.low, theirs.high + !has_headroom(top), err))
		return -1;
	if (merge_counts(sum, other, err))
		return -1;
	limbs = limbs_of(sum);
	for (unsigned place = theirs.low; place < theirs.high; place++) {
		i = place - sum->first;
		part += (unsigned __int128)limbs[i] + limb_at(other, place);
		limbs[i] = (uint64_t)part;
		part >>= 64;
	}
	ripple(limbs, limb_count(sum), theirs.high - sum->first, sign_of(top) + (uint64_t)part);
	sum->touched |= other->touched;
	return 0;
}

int exact_merge(struct exact *sum, const struct exact *other, struct error *err)
{
	return merge_own_limbs(sum, other) ? 0 : merge_spans(sum, other, err);
}

int exact_negate(struct exact *sum, struct error *err)
{
	struct span own = significant(sum);
	int64_t counts[COUNTS];
	uint64_t *limbs, carry = 1;

	for (int i = 0; i < COUNTS; i++)
		if (__builtin_sub_overflow(0, counts_of(sum)[i], &counts[i]))
			return fail_counts(err);
	/* with headroom: the lowest of two's complement has no opposite */
	if (reach(sum, own.low, own.high, err) || set_counts(sum, counts, err))
		return -1;
	limbs = limbs_of(sum);
	for (unsigned i = 0; i < limb_count(sum); i++) {
		limbs[i] = ~limbs[i] + carry;
		carry &= !limbs[i];
	}
	return 0;
}

/* NaN or an infinity, or 0 where none is left of those that were added. */
static double special_value(const int64_t *counts)
{
	bool plus = counts[PLUS_COUNT] > 0 || counts[MINUS_COUNT] < 0;
	bool minus = counts[MINUS_COUNT] > 0 || counts[PLUS_COUNT] < 0;

	if (counts[NAN_COUNT] || (plus && minus))
		return NAN;
	return plus ? INFINITY : minus ? -INFINITY : 0;
}

/* A limb of the number without its sign. Below `low` all limbs are 0, and the lowest one takes the 1 of -x = ~x + 1. */
static uint64_t magnitude_at(const struct exact *sum, unsigned low, unsigned place, uint64_t sign)
{
	uint64_t limb = limb_at(sum, place);

	return place < low ? 0 : place == low ? (limb ^ sign) + (sign & 1) : limb ^ sign;
}

double exact_value(const struct exact *sum)
{
	struct span own = significant(sum);
	uint64_t sign, head, below, bits;
	unsigned top = own.high - 1, free_bits, shift;
	double value = special_value(counts_of(sum));

	if (own.low == own.high || value != 0)
		return value;
	sign = sign_of(limb_at(sum, top));
	if (top > own.low && !magnitude_at(sum, own.low, top, sign))
		top--;
	/* The number's 64 highest bits, and whether any below them is set. */
	head = magnitude_at(sum, own.low, top, sign);
	below = top ? magnitude_at(sum, own.low, top - 1, sign) : 0;
	free_bits = (unsigned)__builtin_clzll(head);
	shift = 64 * top + 63 - free_bits;
	if (free_bits) {
		head = head << free_bits | below >> (64 - free_bits);
		below <<= free_bits;
	}
	if (shift < MANTISSA_BITS) {
		bits = head >> (63 - shift); /* a denormal is its own mantissa */
	} else {
		shift -= MANTISSA_BITS;
		/* The mantissa's leading 1 makes the exponent shift + 1, and what rounding carries goes there, too. */
		bits = ((uint64_t)shift << MANTISSA_BITS) + (head >> 11);
		head = head << 53 | (below || (top && own.low < top - 1));
		bits += head > SIGN_BIT || (head == SIGN_BIT && (bits & 1));
		if (shift >= EXPONENT_MASK - 1)
			bits = INFINITY_BITS;
	}
	bits |= sign & SIGN_BIT;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static void put_word(uint8_t *bytes, uint64_t word)
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(word >> (8 * i));
}

static uint64_t get_word(const uint8_t *bytes)
{
	uint64_t word = 0;

	for (int i = 0; i < 8; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

/* The highest byte tells nothing that the one below it does not. */
static bool top_byte_is_idle(const uint8_t *bytes, size_t size)
{
	return size > 1 && (bytes[size - 1] == 0 || bytes[size - 1] == 0xff) &&
	       bytes[size - 1] >> 7 == bytes[size - 2] >> 7;
}

size_t exact_encode(const struct exact *sum, uint8_t bytes[EXACT_BYTES_MAX])
{
	struct span own = significant(sum);
	const int64_t *counts = counts_of(sum);
	uint8_t number[NUMBER_BYTES_MAX];
	size_t size = 0, zeros = 0, at = 1 + HEAD_BYTES;
	unsigned head = 0;

	bytes[0] = VERSION;
	for (unsigned place = own.low; place < own.high; place++, size += 8)
		put_word(number + size, limb_at(sum, place));
	if (!size && counts_are_none(counts))
		return 1;
	while (zeros < size && !number[zeros])
		zeros++;
	while (top_byte_is_idle(number + zeros, size - zeros))
		size--;
	if (size)
		head = own.low * 8 + (unsigned)zeros;
	if (!counts_are_none(counts)) {
		head |= COUNTS_FOLLOW;
		for (int i = 0; i < COUNTS; i++, at += 8)
			put_word(bytes + at, (uint64_t)counts[i]);
	}
	bytes[1] = (uint8_t)head;
	bytes[2] = (uint8_t)(head >> 8);
	memcpy(bytes + at, number + zeros, size - zeros);
	return at + size - zeros;
}

static int fail_decode(const char *why, struct error *err)
{
	return error_set(err, ERROR_CORRUPT, 0, "not an exact sum (%s): sum the rows up anew", why);
}

static int decode_number(const uint8_t *bytes, size_t size, unsigned position, struct exact *sum, struct error *err)
{
	uint64_t sign = size ? sign_of((uint64_t)bytes[size - 1] << 56) : 0;
	uint64_t limbs[EXACT_LIMBS] = {0}, byte;
	unsigned low = position / 8, high = (unsigned)(position + size + 7) / 8;

	if (size > NUMBER_BYTES_MAX || position + size > NUMBER_BYTES_MAX)
		return fail_decode("it is too large", err);
	if (!size)
		return position ? fail_decode("its number is missing", err) : 0;
	if (!bytes[0] || top_byte_is_idle(bytes, size))
		return fail_decode("its number is not the shortest", err);
	if (reach(sum, low, high, err))
		return -1;
	for (unsigned at = position; at < 8 * high; at++) {
		byte = at - position < size ? bytes[at - position] : sign & 0xff;
		limbs[at / 8] |= byte << (8 * (at % 8));
	}
	for (unsigned i = 0; i < limb_count(sum); i++)
		limbs_of(sum)[i] = sum->first + i < high ? limbs[sum->first + i] : sign;
	return 0;
}

static int decode_counts(const uint8_t *bytes, size_t size, struct exact *sum, struct error *err)
{
	int64_t counts[COUNTS];

	if (size < sizeof counts)
		return fail_decode("it is cut off", err);
	for (int i = 0; i < COUNTS; i++)
		counts[i] = (int64_t)get_word(bytes + (size_t)i * 8);
	if (counts_are_none(counts))
		return fail_decode("its counts are all 0", err);
	return set_counts(sum, counts, err);
}

/* What stands behind the version. */
static int decode_body(const uint8_t *bytes, size_t size, struct exact *sum, struct error *err)
{
	unsigned head;

	if (size < HEAD_BYTES)
		return fail_decode("it is cut off", err);
	head = bytes[0] | (unsigned)bytes[1] << 8;
	bytes += HEAD_BYTES;
	size -= HEAD_BYTES;
	if (head & ~(unsigned)(POSITION_MASK | COUNTS_FOLLOW))
		return fail_decode("a bit is set that has no meaning", err);
	if (head & COUNTS_FOLLOW) {
		if (decode_counts(bytes, size, sum, err))
			return -1;
		bytes += COUNTS * 8;
		size -= COUNTS * 8;
	} else if (!size) {
		return fail_decode("it is cut off", err);
	}
	return decode_number(bytes, size, head & POSITION_MASK, sum, err);
}

int exact_decode(const uint8_t *bytes, size_t size, struct exact *ret_sum, struct error *err)
{
	OWNED_EXACT struct exact sum = {.touched = true};

	if (!size)
		return fail_decode("it is empty", err);
	if (bytes[0] != VERSION)
		return error_set(err, ERROR_CORRUPT, 0,
		                 "not an exact sum of version %d (its first byte is %d): sum the rows up anew", VERSION,
		                 bytes[0]);
	if (size > 1 && decode_body(bytes + 1, size - 1, &sum, err))
		return -1;
	*ret_sum = sum;
	sum = (struct exact){0};
	return 0;
}
