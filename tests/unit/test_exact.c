/*
 * base/exact: against a reference that adds 16-bit columns, one for each place that a double can reach, and rounds bit
 * by bit; orders, histories, and the ends of what fits.
 */
#include "test_exact.h"

#include <float.h>

/* ---- the reference */
enum { COLUMNS = 140 };

struct reference {
	int64_t columns[COLUMNS]; /* column i weighs 2^(16 * i - 1074) */
};

static void reference_add(struct reference *reference, double value, int sign)
{
	uint64_t bits = bits_of(value), mantissa = bits & (((uint64_t)1 << 52) - 1);
	unsigned exponent = bits >> 52 & 0x7ff, place;

	if (exponent)
		mantissa |= (uint64_t)1 << 52;
	place = exponent ? exponent - 1 : 0;
	for (unsigned bit = 0; bit < 53; bit++)
		if (mantissa >> bit & 1)
			reference->columns[(place + bit) / 16] +=
			        (bits >> 63 ? -sign : sign) * ((int64_t)1 << (place + bit) % 16);
}

/* Two's complement, as an encoding has it. */
static void reference_add_bytes(struct reference *reference, const uint8_t *bytes, unsigned size, unsigned position)
{
	for (unsigned i = 0; i < size; i++) {
		int64_t byte = i == size - 1 ? (int8_t)bytes[i] : bytes[i];

		reference->columns[(position + i) / 2] += byte * (1 + (position + i) % 2 * 255);
	}
}

/* Columns between 0 and 65535, the highest one with the sign. */
static void settle(struct reference *reference)
{
	for (int i = 0; i < COLUMNS - 1; i++) {
		int64_t rest = reference->columns[i] & 0xffff;

		reference->columns[i + 1] += (reference->columns[i] - rest) / 65536;
		reference->columns[i] = rest;
	}
}

static int bit_of(const struct reference *reference, int bit)
{
	return bit < 0 ? 0 : (int)(reference->columns[bit / 16] >> bit % 16 & 1);
}

static double reference_value(struct reference sum)
{
	uint64_t mantissa = 0;
	double sign = 1;
	int top, lowest;
	bool rest = false;

	settle(&sum);
	if (sum.columns[COLUMNS - 1] < 0) {
		sign = -1;
		for (int i = 0; i < COLUMNS; i++)
			sum.columns[i] = -sum.columns[i];
		settle(&sum);
	}
	for (top = 16 * COLUMNS - 1; top >= 0 && !bit_of(&sum, top);)
		top--;
	if (top < 0)
		return 0;
	lowest = top > 52 ? top - 52 : 0;
	for (int bit = top; bit >= lowest; bit--)
		mantissa = mantissa << 1 | (uint64_t)bit_of(&sum, bit);
	for (int bit = lowest - 2; bit >= 0 && !rest; bit--)
		rest = bit_of(&sum, bit);
	if (bit_of(&sum, lowest - 1) && (rest || mantissa & 1))
		mantissa++;
	return sign * ldexp((double)mantissa, lowest - 1074);
}

static void add_all(struct exact *sum, const double *values, int count)
{
	for (int i = 0; i < count; i++)
		if (exact_add(sum, values[i], NULL))
			exit(2);
}

static double sum_up(const double *values, int count)
{
	OWNED_EXACT struct exact sum = {0};

	add_all(&sum, values, count);
	return survives(&sum) ? exact_value(&sum) : NAN;
}

#define SUM(...) sum_up((double[]){__VA_ARGS__}, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)))
#define CHECK_SUM(expected, ...)                                                                                       \
	do {                                                                                                           \
		double actual_ = SUM(__VA_ARGS__), expected_ = (expected);                                             \
		if (bits_of(actual_) != bits_of(expected_)) {                                                          \
			CHECK_FAIL("the sum of %s is %a, not %a", #__VA_ARGS__, actual_, expected_);                   \
			return;                                                                                        \
		}                                                                                                      \
	} while (0)

static void shuffle(double *values, int count)
{
	for (int i = count - 1; i > 0; i--) {
		unsigned j = below((unsigned)i + 1);
		double value = values[i];

		values[i] = values[j];
		values[j] = value;
	}
}

/* ---- tests */
static void a_sum_is_the_nearest_double(void)
{
	CHECK_SUM(1, 1e308, 1, -1e308);
	CHECK_SUM(1, .1, .1, .1, .1, .1, .1, .1, .1, .1, .1);
	CHECK_SUM(0x1.fffffffffffffp+0, 1e16, 0x1.fffffffffffffp+0, -1e16);
	CHECK_SUM(0, 1e300, 1e-300, -1e300, -1e-300);
	CHECK_SUM(-1e-300, 1e300, -1e-300, -1e300);
	CHECK_SUM(0.6, .1, .2, .3); /* in steps it would be 0.6000000000000001 */
	CHECK_SUM(-3, -1, -2);
	CHECK_SUM(0, 0);
	/* ties go to the even one, and one bit far below breaks them */
	CHECK_SUM(0x1p53, 0x1p53, 1);
	CHECK_SUM(0x1p53 + 4, 0x1p53, 3);
	CHECK_SUM(0x1p53 + 2, 0x1p53, 1, 0x1p-1074);
	CHECK_SUM(0x1p53, 0x1p53, 1, -0x1p-1074);
	CHECK_SUM(-0x1p53, -0x1p53, -1);
	CHECK_SUM(-0x1p53 - 2, -0x1p53, -1, -0x1p-1074);
	CHECK_SUM(0x1p54, 0x1.fffffffffffffp53, 1, 1); /* what rounding carries reaches the exponent */
}

static void denormals_are_exact(void)
{
	CHECK_SUM(0x3p-1074, 0x1p-1074, 0x1p-1073);
	CHECK_SUM(DBL_MIN, DBL_MIN - 0x1p-1074, 0x1p-1074);
	CHECK_SUM(DBL_MIN - 0x1p-1074, DBL_MIN, -0x1p-1074);
	CHECK_SUM(-0x1p-1074, 1, -0x1p-1074, -1);
	CHECK_SUM(0x1p-1022 + 0x1p-1074, DBL_MIN, 0x1p-1074);
	CHECK_SUM(0x1p-1021, DBL_MIN, DBL_MIN);
}

static void a_negative_zero_is_the_number_zero(void)
{
	CHECK_SUM(0.0, -0.0);
	CHECK_SUM(0.0, -0.0, -0.0);
	CHECK_SUM(1, -0.0, 1);
	CHECK_SUM(0.0, 1, -1);
	CHECK_SUM(0.0, -1, 1);
}

static void beyond_the_largest_double_is_infinity_until_it_comes_back(void)
{
	CHECK_SUM(INFINITY, DBL_MAX, DBL_MAX);
	CHECK_SUM(-INFINITY, -DBL_MAX, -DBL_MAX);
	CHECK_SUM(DBL_MAX, DBL_MAX, DBL_MAX, -DBL_MAX);
	CHECK_SUM(INFINITY, DBL_MAX, 0x1p970); /* half of the last place: a tie, and the even one is beyond */
	CHECK_SUM(DBL_MAX, DBL_MAX, 0x1p970, -0x1p-1074);
	CHECK_SUM(-DBL_MAX, -DBL_MAX, -0x1p970, 0x1p-1074);
	CHECK_SUM(DBL_MAX, DBL_MAX, 0x1p969);
}

static void infinities_and_nan_can_be_taken_away(void)
{
	OWNED_EXACT struct exact sum = {0}, finite = {0}, opposite = {0};

	add_all(&finite, (double[]){1e300, 2.5}, 2);
	add_all(&sum, (double[]){INFINITY, 1e300, NAN, 2.5, -INFINITY, INFINITY}, 6);
	CHECK(isnan(exact_value(&sum)) && survives(&sum));
	CHECK_INT(exact_subtract(&sum, -NAN, NULL), 0);
	CHECK(isnan(exact_value(&sum)) && survives(&sum)); /* inf - inf */
	CHECK_INT(exact_subtract(&sum, -INFINITY, NULL), 0);
	CHECK(exact_value(&sum) == INFINITY);
	CHECK_INT(exact_merge(&opposite, &sum, NULL), 0);
	CHECK_INT(exact_negate(&opposite, NULL), 0);
	CHECK(exact_value(&opposite) == -INFINITY && survives(&opposite));
	CHECK_INT(exact_subtract(&sum, INFINITY, NULL), 0);
	CHECK(exact_value(&sum) == INFINITY);
	CHECK_INT(exact_subtract(&sum, INFINITY, NULL), 0);
	CHECK(same(&sum, &finite));
	CHECK_INT(exact_subtract(&sum, -INFINITY, NULL), 0); /* taken away more often than added */
	CHECK(exact_value(&sum) == INFINITY && survives(&sum));
	CHECK_INT(exact_add(&sum, INFINITY, NULL), 0);
	CHECK_INT(exact_merge(&sum, &opposite, NULL), 0);
	CHECK_INT(exact_add(&sum, -INFINITY, NULL), 0);
	CHECK_INT(exact_add(&sum, INFINITY, NULL), 0);
	CHECK_INT(bits_of(exact_value(&sum)), bits_of(0));
}

/* One multiset in two orders, in two parts, and among values that are taken away again: all the same, and the reference
 * says which. */
static void check_multiset(const struct shape *shape, int count)
{
	OWNED_EXACT struct exact sum = {0}, negative = {0}, part = {0}, rest = {0};
	OWNED_FREE double *values = malloc((size_t)count * sizeof *values);
	struct reference reference = {0};
	double expected;

	for (int i = 0; i < count; i++) {
		values[i] = random_value(shape, values, i);
		reference_add(&reference, values[i], 1);
	}
	expected = reference_value(reference);
	add_all(&sum, values, count);
	shuffle(values, count);
	for (int i = 0; i < count; i++) {
		double guest = random_value(shape, values, count);

		CHECK_INT(exact_add(&negative, guest, NULL), 0);
		CHECK_INT(exact_subtract(&negative, values[i], NULL), 0);
		CHECK_INT(exact_subtract(&negative, guest, NULL), 0);
		CHECK_INT(exact_add(below(2) ? &part : &rest, values[i], NULL), 0);
	}
	CHECK_INT(exact_merge(&part, &rest, NULL), 0);
	if (bits_of(exact_value(&sum)) != bits_of(expected))
		CHECK_FAIL("%s, %d values: %a, not %a", shape->name, count, exact_value(&sum), expected);
	CHECK(survives(&sum) && survives(&negative));
	CHECK(same(&sum, &part));
	CHECK(exact_value(&negative) == -expected);
	CHECK_INT(exact_negate(&negative, NULL), 0);
	CHECK(same(&sum, &negative));
	CHECK_INT(exact_negate(&negative, NULL), 0);
	CHECK_INT(exact_merge(&negative, &sum, NULL), 0);
	CHECK(same(&negative, &(struct exact){0}));
}

static void any_order_and_any_history_give_the_same(void)
{
	seed = 1;
	for (size_t i = 0; i < COUNT_OF(shapes) && !check_failed; i++)
		for (int round = 0; round < 300 && !check_failed; round++)
			check_multiset(&shapes[i], 1 + (int)below(round % 10 ? 12 : 600));
}

/* Numbers that fill a window to its last bit, at a place in it: what is added on top must find the window too small. */
static void check_full_windows(unsigned place, uint64_t one_top, uint64_t other_top)
{
	OWNED_EXACT struct exact one = {0}, other = {0}, merged = {0};
	uint8_t bytes[2][3 + 32];
	struct reference reference = {0};
	double expected;

	for (int i = 0; i < 2; i++) {
		memcpy(bytes[i], (uint8_t[]){1, (uint8_t)(place * 8), (uint8_t)(place * 8 >> 8)}, 3);
		memset(bytes[i] + 3, 0xff, 24);
		memcpy(bytes[i] + 27, i ? &other_top : &one_top, 8);
		reference_add_bytes(&reference, bytes[i] + 3, 32, place * 8);
	}
	expected = reference_value(reference);
	CHECK_INT(exact_decode(bytes[0], sizeof bytes[0], &one, NULL), 0);
	CHECK_INT(exact_decode(bytes[1], sizeof bytes[1], &other, NULL), 0);
	CHECK_INT(exact_merge(&merged, &one, NULL), 0);
	CHECK_INT(exact_merge(&one, &other, NULL), 0);
	CHECK_INT(exact_merge(&other, &merged, NULL), 0);
	CHECK(bits_of(exact_value(&one)) == bits_of(expected) && survives(&one));
	CHECK(same(&one, &other));
	CHECK_INT(exact_negate(&one, NULL), 0);
	CHECK(exact_value(&one) == -expected && survives(&one));
	CHECK_INT(exact_merge(&one, &other, NULL), 0);
	CHECK(same(&one, &(struct exact){0}));
}

static void a_full_window_grows_in_time(void)
{
	static const uint64_t tops[] = {
	        0x3fffffffffffffff, 0x4000000000000000, 0x7fffffffffffffff, 0x8000000000000000,
	        0xbfffffffffffffff, 0xc000000000000000, 0xdfffffffffffffff, 0x0100000000000000,
	};

	for (unsigned place = 0; place < 29; place += 7)
		for (size_t i = 0; i < COUNT_OF(tops); i++)
			for (size_t k = 0; k < COUNT_OF(tops) && !check_failed; k++)
				check_full_windows(place, tops[i], tops[k]);
}

/* The second value's highest bits are the last but eleven of the window that the first one laid. */
static void a_sum_grows_out_of_its_window(void)
{
	for (int sign = -1; sign <= 1; sign += 2) {
		OWNED_EXACT struct exact sum = {0};
		struct reference reference = {0};

		CHECK_INT(exact_add(&sum, 1, NULL), 0);
		reference_add(&reference, 1, 1);
		for (int i = 0; i < 20000; i++) {
			CHECK_INT(exact_add(&sum, sign * 0x1.fffffffffffffp65, NULL), 0);
			reference_add(&reference, sign * 0x1.fffffffffffffp65, 1);
		}
		CHECK(exact_value(&sum) == reference_value(reference));
		for (int i = 0; i < 20000; i++)
			CHECK_INT(exact_subtract(&sum, sign * 0x1.fffffffffffffp65, NULL), 0);
		CHECK(exact_value(&sum) == 1);
	}
}

/* Doubled 61 times, as 2^61 additions would: the largest numbers that are promised. */
static void more_additions_than_there_are_rows_fit(void)
{
	static const double values[] = {DBL_MAX, -DBL_MAX, 0x1p-1074, -0x1p-1074, 1.5, -0.1};

	for (size_t i = 0; i < COUNT_OF(values); i++) {
		OWNED_EXACT struct exact sum = {0};
		int times = 61;

		CHECK_INT(exact_add(&sum, values[i], NULL), 0);
		for (int k = 0; k < times; k++) {
			OWNED_EXACT struct exact copy = {0};

			CHECK_INT(exact_merge(&copy, &sum, NULL), 0);
			CHECK_INT(exact_merge(&sum, &copy, NULL), 0);
			CHECK(survives(&sum));
		}
		CHECK(exact_value(&sum) == ldexp(values[i], times));
		CHECK_INT(exact_subtract(&sum, values[i], NULL), 0);
		CHECK_INT(exact_add(&sum, values[i], NULL), 0);
		CHECK(exact_value(&sum) == ldexp(values[i], times));
	}
}

/* Doubles the sum until it says no. How often it did not. */
static int double_until_refused(struct exact *sum, struct error *err)
{
	for (int times = 0;; times++) {
		OWNED_EXACT struct exact copy = {0}, before = {0};

		if (exact_merge(&before, sum, err) || exact_merge(&copy, sum, err))
			return times;
		if (exact_merge(sum, &copy, err))
			return same(sum, &before) && survives(sum) ? times : -1;
	}
}

static void too_many_values_are_refused(void)
{
	static const double values[] = {DBL_MAX, -DBL_MAX, INFINITY, -INFINITY, NAN};
	struct error err;

	for (size_t i = 0; i < COUNT_OF(values); i++) {
		OWNED_EXACT struct exact sum = {0};

		err = (struct error){0};
		CHECK_INT(exact_add(&sum, values[i], NULL), 0);
		CHECK(double_until_refused(&sum, &err) >= 62);
		CHECK_INT(err.kind, ERROR_INVALID);
		CHECK_HAS(err.message, "sum up fewer at once");
		CHECK(survives(&sum));
	}
	for (int sign = -1; sign <= 1; sign += 2) {
		OWNED_EXACT struct exact sum = {0};

		CHECK_INT(exact_add(&sum, sign * DBL_MAX, NULL), 0);
		double_until_refused(&sum, NULL);
		CHECK_INT(exact_add(&sum, 1, &err), -1);
		CHECK(exact_value(&sum) == sign * INFINITY);
	}
}

static void the_least_number_has_no_opposite(void)
{
	OWNED_EXACT struct exact least = {0};
	struct error err = {0};

	/* -2^2175, of 2,176 bits */
	CHECK_INT(exact_decode((uint8_t[]){1, 0x0f, 1, 0x80}, 4, &least, NULL), 0);
	CHECK_INT(exact_negate(&least, &err), -1);
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK(survives(&least) && exact_value(&least) == -INFINITY);
}

static void a_sum_knows_whether_it_was_touched(void)
{
	OWNED_EXACT struct exact sum = {0}, other = {0};

	CHECK_INT(exact_merge(&sum, &other, NULL), 0);
	CHECK(!sum.touched);
	CHECK_INT(exact_add(&sum, 0, NULL), 0);
	CHECK(sum.touched);
	CHECK_INT(exact_merge(&other, &sum, NULL), 0);
	CHECK(other.touched);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(a_sum_is_the_nearest_double), TEST(denormals_are_exact),
	                  TEST(a_negative_zero_is_the_number_zero),
	                  TEST(beyond_the_largest_double_is_infinity_until_it_comes_back),
	                  TEST(infinities_and_nan_can_be_taken_away), TEST(any_order_and_any_history_give_the_same),
	                  TEST(a_full_window_grows_in_time), TEST(a_sum_grows_out_of_its_window),
	                  TEST(more_additions_than_there_are_rows_fit), TEST(too_many_values_are_refused),
	                  TEST(the_least_number_has_no_opposite), TEST(a_sum_knows_whether_it_was_touched));
}
