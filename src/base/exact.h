/*
 * exact.h - sums of doubles that lose nothing: the same in any order, and what was added can be taken away again.
 *
 * Purpose: a partial sum that is kept and brought up to date row by row must equal, bit for bit, the sum of all rows
 * done anew. A sum of doubles that rounds at each step does not. This one is a whole number: every finite double is a
 * multiple of 2^-1074 below 2^1024, so a number of 2,176 bits in two's complement (34 limbs of 64) holds any sum of up
 * to 2^62 of them, and adding is exact, commutative and invertible. It is rounded once, when it is read.
 * Source of the idea: R. M. Neal, "Fast exact summation using small and large superaccumulators", 2015
 * (arXiv:1505.05571), after U. Kulisch and W. Miranker, "The arithmetic of the digital computer", SIAM Review 28, 1986.
 * His has a place for every limb (536 bytes). Here only a window of limbs exists, which moves and grows with the
 * values: four, in the struct itself, hold values that lie, with their sum, within 38 decimal orders of magnitude;
 * others take 8, 16 or 34 limbs on the heap.
 *
 * Infinities and NaN are counted beside the number, so that they can be taken away, too. -0.0 is the number zero, and
 * a sum that is zero reads as +0.0.
 *
 * Invariants:
 *  1. The number is exact at all times: histories of additions and subtractions with the same net multiset give the
 *     same number, counts, value and encoding.
 *  2. On failure a sum is as it was before the call. Only memory, or more than 2^62 doubles, make one fail.
 *  3. There is one encoding for a sum: what exact_decode takes, exact_encode gives back byte for byte.
 *  4. A struct exact holds no pointer into itself: it may be moved as bytes, as a hash table does. Zero bytes are the
 *     empty sum.
 *
 * Life cycle: = {0} -> add, subtract, merge, negate... -> value, encode... -> exact_release.
 */
#ifndef TARN_BASE_EXACT_H
#define TARN_BASE_EXACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/owned.h"

enum {
	EXACT_LIMBS = 34,
	EXACT_OWN_LIMBS = 4,
	/* version, position, three counts, limbs */
	EXACT_BYTES_MAX = 1 + 2 + 3 * 8 + EXACT_LIMBS * 8,
};

struct exact {
	union {
		uint64_t limbs[EXACT_OWN_LIMBS];
		struct exact_wide *wide; /* owned; where wide_limbs is not 0 */
	};
	uint8_t first; /* the place of the window's lowest limb: limb i weighs 2^(64 * (first + i) - 1074) */
	uint8_t wide_limbs;
	bool touched; /* something was added, taken away or merged: the sum of nothing can be told from a sum of 0 */
};

void exact_release(struct exact *sum);
#define OWNED_EXACT OWNED_BY(exact_release)

/* FATAL: no memory. INVALID: more values than a sum can hold. exact_subtract undoes exact_add of the same value. */
int exact_add(struct exact *sum, double value, struct error *err);
int exact_subtract(struct exact *sum, double value, struct error *err);
/* Adds all that `other`, which is not `sum` itself, holds. Errors as exact_add. */
int exact_merge(struct exact *sum, const struct exact *other, struct error *err);
/* What a merge with it takes away is what a merge with it added before. Errors as exact_add. */
int exact_negate(struct exact *sum, struct error *err);

/* The double nearest to the sum, ties to even (IEEE 754-2019, 4.3.1); beyond the largest double an infinity. NaN where
 * one was added, or infinities of both signs; where an infinity was taken away more often than added, it counts as the
 * opposite one. */
double exact_value(const struct exact *sum);

/*
 * The encoding, little-endian:
 *   byte 0    version, 1. A sum that is zero, without infinities and NaN, ends here.
 *   2 bytes   position p (bits 0 to 8) of the number's lowest byte; bit 15: counts follow; the others are 0
 *   24 bytes  if counts follow: how often NaN, +infinity and -infinity were added, less how often they were taken
 *             away; 8 bytes each, two's complement, not all of them 0
 *   the rest  the number / 2^(8p - 1074) as the shortest two's complement whose lowest byte is not 0; where the number
 *             is zero nothing, and p is 0
 * Returns the bytes written.
 */
size_t exact_encode(const struct exact *sum, uint8_t bytes[EXACT_BYTES_MAX]);
/* CORRUPT: it is not the encoding of a sum. FATAL: no memory. */
int exact_decode(const uint8_t *bytes, size_t size, struct exact *ret_sum, struct error *err);

#endif
