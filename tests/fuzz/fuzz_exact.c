/*
 * fuzz_exact.c - any bytes as the encoding of an exact sum: refused with a reason, or the only encoding of that sum,
 * which can be gone on with: added to and taken from, merged and negated, it comes back byte for byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/exact.h"

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encodes_as(const struct exact *sum, const uint8_t *data, size_t size)
{
	uint8_t bytes[EXACT_BYTES_MAX];

	REQUIRE(exact_encode(sum, bytes) == size && !memcmp(bytes, data, size));
}

/* False where the sum is too large to go on, which it says. */
static bool is_done(int failed, const struct error *err)
{
	REQUIRE(!failed || (err->kind == ERROR_INVALID && *err->message));
	return !failed;
}

static void go_on(struct exact *sum, const uint8_t *data, size_t size)
{
	OWNED_EXACT struct exact copy = {0};
	struct error err = {0};
	double value = exact_value(sum), guest;

	memcpy(&guest, data, size < sizeof guest ? 0 : sizeof guest);
	guest = size < sizeof guest ? 1 : guest;
	if (is_done(exact_add(sum, guest, &err), &err) && is_done(exact_subtract(sum, guest, &err), &err))
		encodes_as(sum, data, size);
	if (!is_done(exact_merge(&copy, sum, &err), &err) || !is_done(exact_negate(sum, &err), &err))
		return;
	REQUIRE(exact_value(sum) == -value || value != value);
	if (is_done(exact_merge(sum, &copy, &err), &err))
		encodes_as(sum, (const uint8_t[]){1}, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED_EXACT struct exact sum = {0};
	struct error err = {0};

	if (exact_decode(data, size, &sum, &err)) {
		REQUIRE(err.kind == ERROR_CORRUPT && *err.message);
		return 0;
	}
	encodes_as(&sum, data, size);
	go_on(&sum, data, size);
	return 0;
}
