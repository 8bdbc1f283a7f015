/*
 * random.h - random numbers that are the same everywhere.
 *
 * xoshiro256** 1.0 and splitmix64, written from their published description (Blackman and Vigna, "Scrambled linear
 * pseudorandom number generators", 2018-2021; https://prng.di.unimi.it/). Not for secrets.
 */
#ifndef TARN_PRODUCE_RANDOM_H
#define TARN_PRODUCE_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t s[4];
};

/* A bijection of 64 bits: different inputs give different outputs. */
static inline uint64_t random_mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline void random_seed(struct random *random, uint64_t seed, uint64_t stream)
{
	uint64_t state = random_mix(seed + UINT64_C(0x9e3779b97f4a7c15)) ^ stream;

	for (int i = 0; i < 4; i++)
		random->s[i] = random_mix(state += UINT64_C(0x9e3779b97f4a7c15));
}

static inline uint64_t random_rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static inline uint64_t random_next(struct random *random)
{
	uint64_t *s = random->s, result = random_rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = random_rotate(s[3], 45);
	return result;
}

/* 0 <= result < limit, limit > 0; off by less than limit / 2^32 (Lemire's multiplication, without its rejection). */
static inline uint32_t random_below(struct random *random, uint32_t limit)
{
	return (uint32_t)(((random_next(random) >> 32) * limit) >> 32);
}

static inline uint64_t random_hash(uint64_t a, uint64_t b)
{
	return random_mix(random_mix(a) + b * UINT64_C(0x9e3779b97f4a7c15));
}

/* 1 to 2^(log2 + 1) - 1. Few do much and many do little, nearly Zipf: octaves of ranks are busier the further down they
 * lie. log2 <= 31. */
static inline uint64_t random_rank(struct random *random, uint32_t log2)
{
	uint64_t bits = random_next(random), one = (bits & 0xffff) * (log2 + 1) >> 16;
	uint64_t other = (bits >> 16 & 0xffff) * (log2 + 1) >> 16, octave = one > other ? one : other;

	return (UINT64_C(1) << octave) + (bits >> 32 & ((UINT64_C(1) << octave) - 1));
}

/* Another place below `count` for each number below it, 1 < count <= 2^31: the key chooses the permutation. Rounds that
 * are bijections of the next power of two, walked until they end below count: fewer than two of them, on average (Black
 * and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002). */
static inline uint32_t random_place(uint32_t number, uint32_t count, uint64_t key)
{
	int bits = 32 - __builtin_clz(count - 1), half = (bits + 1) / 2;
	uint32_t mask = UINT32_MAX >> (32 - bits);

	do {
		number = (number + (uint32_t)key) * UINT32_C(0x9e3779b1) & mask;
		number ^= number >> half;
		number = (number + (uint32_t)(key >> 21)) * UINT32_C(0x85ebca6b) & mask;
		number ^= number >> half;
		number = (number + (uint32_t)(key >> 42)) * UINT32_C(0xc2b2ae35) & mask;
		number ^= number >> half;
	} while (number >= count);
	return number;
}

#endif
