/* test_exact.h - what the tests of exact sums share: values like those of rows, and what makes two sums the same. */
#ifndef TARN_TESTS_EXACT_H
#define TARN_TESTS_EXACT_H

#include "check.h"

#include <math.h>
#include <stdint.h>

#include "base/exact.h"

/* Random numbers, the same in each run (splitmix64). */
static uint64_t seed;

static uint64_t next_random(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static unsigned below(unsigned limit)
{
	return (unsigned)(next_random() % limit);
}

static double of_bits(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

static inline uint64_t bits_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	return bits;
}

/* What rows may look like. Exponents as in the bits of a double: 0 to 2046. */
static const struct shape {
	const char *name;
	unsigned lowest, highest;
	bool cancels; /* most values come back with the other sign */
} shapes[] = {
        {"all exponents", 0, 2046, false},
        {"all exponents, cancelling", 0, 2046, true},
        {"denormals", 0, 0, false},
        {"denormals and the least normals", 0, 3, true},
        {"the largest", 2040, 2046, false},
        {"the largest, cancelling", 2040, 2046, true},
        {"money", 1010, 1050, false},
        {"money, cancelling", 1010, 1050, true},
        {"two limbs apart", 900, 1100, false},
        {"far apart", 500, 1500, true},
};

static inline double random_value(const struct shape *shape, const double *before, int count)
{
	uint64_t exponent = shape->lowest + below(shape->highest - shape->lowest + 1);
	uint64_t bits = (next_random() & ~((uint64_t)0x7ff << 52)) | exponent << 52;

	if (shape->cancels && count && below(3))
		return -before[below((unsigned)count)];
	/* Few mantissa bits make ties of roundings and long carries likely. */
	return of_bits(below(4) ? bits : bits & ~(((uint64_t)1 << 50) - 1));
}

static inline bool same(const struct exact *a, const struct exact *b)
{
	uint8_t a_bytes[EXACT_BYTES_MAX], b_bytes[EXACT_BYTES_MAX];
	size_t a_size = exact_encode(a, a_bytes), b_size = exact_encode(b, b_bytes);
	double a_value = exact_value(a), b_value = exact_value(b);

	return a_size == b_size && !memcmp(a_bytes, b_bytes, a_size) &&
	       (bits_of(a_value) == bits_of(b_value) || (isnan(a_value) && isnan(b_value)));
}

/* Encoding and decoding gives the sum again, with room to go on. */
static inline bool survives(const struct exact *sum)
{
	uint8_t bytes[EXACT_BYTES_MAX];
	OWNED_EXACT struct exact again = {0};
	size_t size = exact_encode(sum, bytes);

	return size <= sizeof bytes && !exact_decode(bytes, size, &again, NULL) && same(sum, &again);
}

#endif
