/* base/exact: encodings, bytes that are none, and what is in memory; without memory, too. */
#include "test_exact.h"

/* Memory runs out: tests/CMakeLists.txt sends exact.c's malloc here. */
static int mallocs_left = -1;
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
	if (mallocs_left == 0)
		return NULL;
	if (mallocs_left > 0)
		mallocs_left--;
	return __real_malloc(size);
}

static void encodings_are_short(void)
{
	uint8_t bytes[EXACT_BYTES_MAX];
	OWNED_EXACT struct exact sum = {0}, one = {0};

	CHECK_INT(exact_encode(&sum, bytes), 1);
	CHECK_INT(bytes[0], 1);
	CHECK_INT(exact_add(&one, 1, NULL), 0);
	/* 1 = 4 * 2^(8 * 134 - 1074) */
	CHECK_INT(exact_encode(&one, bytes), 4);
	CHECK(!memcmp(bytes, (uint8_t[]){1, 134, 0, 4}, 4));
	CHECK_INT(exact_negate(&one, NULL), 0);
	CHECK_INT(exact_encode(&one, bytes), 4);
	CHECK(!memcmp(bytes, (uint8_t[]){1, 134, 0, 0xfc}, 4));
	CHECK_INT(exact_add(&one, INFINITY, NULL), 0);
	CHECK_INT(exact_encode(&one, bytes), 28);
	CHECK(!memcmp(bytes, (uint8_t[]){1, 134, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 12));
	for (int i = 1; i <= 100000; i++)
		CHECK_INT(exact_add(&sum, i * 0.01, NULL), 0);
	CHECK(exact_encode(&sum, bytes) <= 16);
	CHECK(exact_value(&sum) == 50000500 + 0.0);
}

/* Refused with a reason, or a sum whose only encoding this is. */
static bool is_refused_or_canonical(const uint8_t *bytes, size_t size)
{
	OWNED_FREE uint8_t *copy = malloc(size ? size : 1); /* a read beyond it is seen */
	OWNED_EXACT struct exact sum = {0};
	uint8_t again[EXACT_BYTES_MAX];
	struct error err = {0};

	memcpy(copy, bytes, size);
	if (exact_decode(copy, size, &sum, &err))
		return err.kind == ERROR_CORRUPT && strstr(err.message, "not an exact sum");
	exact_value(&sum);
	if (exact_encode(&sum, again) != size || memcmp(again, bytes, size) != 0)
		return false;
	/* It can be gone on with, or says why not. */
	if (exact_add(&sum, -1.25, &err) || exact_negate(&sum, &err))
		return err.kind == ERROR_INVALID;
	return survives(&sum);
}

static void check_hostile(const uint8_t *bytes, size_t size)
{
	uint8_t flipped[EXACT_BYTES_MAX + 1];

	for (size_t cut = 0; cut <= size; cut++)
		CHECK(is_refused_or_canonical(bytes, cut));
	for (size_t bit = 0; bit < 8 * size; bit++) {
		memcpy(flipped, bytes, size);
		flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(is_refused_or_canonical(flipped, size));
	}
	memcpy(flipped, bytes, size);
	for (int more = 0; more < 256; more++) {
		flipped[size] = (uint8_t)more;
		CHECK(is_refused_or_canonical(flipped, size + 1));
	}
}

static void hostile_bytes_are_refused_or_are_a_sum(void)
{
	uint8_t bytes[EXACT_BYTES_MAX];

	seed = 3;
	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		for (int round = 0; round < 12 && !check_failed; round++) {
			OWNED_EXACT struct exact sum = {0};

			for (int k = 0; k < round; k++)
				exact_add(&sum, random_value(&shapes[i], NULL, 0), NULL);
			if (round % 3 == 0)
				exact_add(&sum, round % 2 ? NAN : -INFINITY, NULL);
			check_hostile(bytes, exact_encode(&sum, bytes));
		}
	}
	for (int round = 0; round < 200000 && !check_failed; round++) {
		size_t size = below(40);

		for (size_t k = 0; k < size; k++)
			bytes[k] = below(3) ? (uint8_t)next_random() : below(2) ? 0 : 0xff;
		bytes[0] = 1;
		bytes[2] &= below(8) ? 0x81 : 0xff;
		CHECK(is_refused_or_canonical(bytes, size));
	}
}

static void a_refusal_says_why(void)
{
	static const struct {
		const char *why;
		size_t size;
		uint8_t bytes[32];
	} wrong[] = {
	        {"it is empty", 0, {0}},
	        {"version 1 (its first byte is 2)", 4, {2, 134, 0, 4}},
	        {"it is cut off", 2, {1, 134}},
	        {"it is cut off", 3, {1, 134, 0}},
	        {"it is cut off", 26, {1, 0, 0x80, 1}},
	        {"a bit is set that has no meaning", 4, {1, 134, 2, 4}},
	        {"its counts are all 0", 28, {1, 134, 0x80, [27] = 4}},
	        {"its number is missing", 27, {1, 134, 0x80, 1}},
	        {"its number is not the shortest", 4, {1, 134, 0, 0}},
	        {"its number is not the shortest", 5, {1, 134, 0, 4, 0}},
	        {"its number is not the shortest", 5, {1, 134, 0, 0x84, 0xff}},
	        {"it is too large", 5, {1, 0x0f, 1, 4, 4}},
	};

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		OWNED_EXACT struct exact sum = {0};
		struct error err = {0};

		CHECK_INT(exact_decode(wrong[i].bytes, wrong[i].size, &sum, &err), -1);
		CHECK_INT(err.kind, ERROR_CORRUPT);
		CHECK_HAS(err.message, wrong[i].why);
		CHECK(same(&sum, &(struct exact){0}) && !sum.touched);
	}
}

/* Each step that takes memory fails in its turn, and changes nothing. */
static void without_memory_nothing_changes(void)
{
	static const double values[] = {1, NAN, 1e150, 1e300, -1e300, 0x1p-1074};
	OWNED_EXACT struct exact sum = {0};
	uint8_t bytes[EXACT_BYTES_MAX];
	struct error err;
	int refused = 0;

	for (size_t i = 0; i < COUNT_OF(values); i++) {
		OWNED_EXACT struct exact before = {0}, empty = {0};

		CHECK_INT(exact_merge(&before, &sum, NULL), 0);
		mallocs_left = 0;
		err = (struct error){0};
		if (exact_add(&sum, values[i], &err)) {
			refused++;
			CHECK_TEXT(err.message, "out of memory");
			CHECK(same(&sum, &before));
			mallocs_left = -1;
			CHECK_INT(exact_add(&sum, values[i], NULL), 0);
			mallocs_left = 0;
			CHECK_INT(exact_merge(&empty, &sum, &err), -1);
			CHECK_INT(exact_decode(bytes, exact_encode(&sum, bytes), &empty, &err), -1);
			CHECK_INT(err.kind, ERROR_FATAL);
			CHECK(same(&empty, &(struct exact){0}));
		}
		mallocs_left = -1;
	}
	CHECK_INT(refused, 3); /* 8, 16 and 34 limbs */
	CHECK(isnan(exact_value(&sum)));
}

static void ordinary_values_stay_in_the_struct(void)
{
	OWNED_EXACT struct exact sum = {0};

	CHECK_INT(sizeof sum, 40);
	seed = 7;
	mallocs_left = 0;
	for (int i = 0; i < 2000000; i++) {
		/* from 1e-15 to 1e15, of both signs */
		double value = ldexp((double)(int64_t)next_random(), -63) * exp2((double)below(100) - 50);

		if (exact_add(&sum, value, NULL))
			break;
	}
	mallocs_left = -1;
	CHECK_INT(sum.wide_limbs, 0);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(encodings_are_short), TEST(hostile_bytes_are_refused_or_are_a_sum),
	                  TEST(a_refusal_says_why), TEST(without_memory_nothing_changes),
	                  TEST(ordinary_values_stay_in_the_struct));
}
