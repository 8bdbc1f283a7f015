/*
 * test_batch_json_numbers.c - numbers of JSON events: none is rounded that nobody chose to round, and rules compare
 * what was sent.
 */
#include <math.h>

#include "test_batch_json.h"

/* An id is never rounded into another one, whoever comes first: the column keeps its type, or the number stays out. */
static void no_number_is_rounded(void)
{
	struct error err = {0};
	struct json_decoder *decoder = json_decoder_new(&(struct json_rules){0}, NULL, &err);
	char digits[400];

	CHECK_TEXT(add(decoder, "{\"id\":9007199254740993,\"n\":-9007199254740992}"), "");
	CHECK_TEXT(add(decoder, "{\"id\":1.5}"),
	           "line 1, byte 0: id is a number (1.5), and the column has whole numbers beyond 2^53, which DOUBLE "
	           "would round: declare the columns and their types in spec.json.columns");
	CHECK_HAS(add(decoder, "{\"m\":-9007199254740993}\n{\"m\":1e300}"),
	          "line 2, byte 24: m is a number (1e300), and");
	CHECK_TEXT(add(decoder, "{\"id\":5.0,\"n\":0.5}"), "");
	CHECK_TEXT(add(decoder, "{\"n\":9007199254740993}"),
	           "line 1, byte 0: n is a number (9007199254740993), and the column is DOUBLE, which would round it: "
	           "declare the columns and their types in spec.json.columns");
	CHECK_HAS(add(decoder, "{\"n\":-9007199254740993}"), "n is a number (-9007199254740993), and");
	CHECK_HAS(add(decoder, "{\"n\":12345678901234567890}"), "which would round it");
	/* With a point or an exponent, it is a double: the nearest one. Those that a double holds are no matter. */
	CHECK_TEXT(add(decoder, "{\"n\":9007199254740993.0}"), "");
	CHECK_TEXT(add(decoder, "{\"n\":9007199254740994}\n{\"n\":-100000000000000000000}\n{\"n\":12e30}"), "");
	CHECK_TEXT(taken(decoder), "id=9007199254740993 n=-9007199254740992 | id=5 n=0.5 | "
	                           "id=null n=9007199254740992 | id=null n=9007199254740994 | "
	                           "id=null n=-1e+20 | id=null n=1.1999999999999999e+31");
	snprintf(digits, sizeof digits, "{\"n\":1%0308d}", 0); /* 1e308, which no double is */
	CHECK_HAS(add(decoder, digits), "which would round it");
	snprintf(digits, sizeof digits, "{\"n\":-1%0320d}", 0);
	CHECK_HAS(add(decoder, digits), "not a number");
	snprintf(digits, sizeof digits, "{\"n\":-%.0f}", ldexp(1, 1023));
	CHECK_TEXT(add(decoder, digits), "");
	json_decoder_free(decoder);
}

/* What is not whole is none, however close: it makes the column DOUBLE, as 1.5 does, or stays out. */
static void a_small_fraction_is_one(void)
{
	static const char *const fractions[] = {"1.00000000000000000001", "4503599627370497.25", "1e-400"};
	struct error err = {0};
	struct json_decoder *decoder;

	for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++) {
		char text[64];

		snprintf(text, sizeof text, "{\"n\":%s}", fractions[i]);
		decoder = json_decoder_new(&(struct json_rules){0}, NULL, &err);
		CHECK_TEXT(add(decoder, "{\"n\":7}"), "");
		CHECK_TEXT(taken(decoder), "n=7");
		CHECK_TEXT(add(decoder, text), "");
		CHECK_TEXT(add(decoder, "{\"n\":0.5}"), "");
		CHECK_HAS(taken(decoder), " | n=0.5");
		CHECK_TEXT(add(decoder, "{\"id\":9007199254740993}"), "");
		snprintf(text, sizeof text, "{\"id\":%s}", fractions[i]);
		CHECK_HAS(add(decoder, text), "the column has whole numbers beyond 2^53, which DOUBLE would round");
		CHECK_TEXT(add(decoder, "{\"id\":9007199254740995.0}"), "");
		CHECK_TEXT(taken(decoder), "n=null id=9007199254740993 | n=null id=9007199254740995");
		json_decoder_free(decoder);
	}
}

static const char *asked;
static bool is_large;

static bool holds_large(void *context, const char *column)
{
	++*(int *)context;
	asked = column;
	return is_large;
}

/* The table is asked before the first change of a column, and not again before it is looked at anew. */
static void the_table_may_hold_large_numbers(void)
{
	static const char *const names[] = {"id", "n"}, *const types[] = {"BIGINT", "BIGINT"};
	int count = 0;
	struct json_rules rules = {.holds_large = holds_large, .context = &count};
	struct error err = {0};
	struct json_decoder *decoder = json_decoder_new(&rules, NULL, &err);

	CHECK_INT(json_learn(decoder, names, types, 2, &err), 0);
	is_large = true;
	CHECK_TEXT(add(decoder, "{\"id\":7,\"n\":7}"), "");
	CHECK_INT(count, 0);
	CHECK(!json_has_news(decoder));
	CHECK_HAS(add(decoder, "{\"id\":1.5}"), "id is a number (1.5), and the column has whole numbers beyond 2^53");
	CHECK_TEXT(asked, "id");
	CHECK_HAS(add(decoder, "{\"id\":2.5}"), "id is a number (2.5), and the column has whole numbers beyond 2^53");
	CHECK_INT(count, 1);
	CHECK(!json_has_news(decoder));
	is_large = false;
	CHECK_TEXT(add(decoder, "{\"n\":0.5}"), "");
	CHECK_TEXT(add(decoder, "{\"n\":1.5}"), "");
	CHECK_TEXT(asked, "n");
	CHECK_INT(count, 2);
	CHECK(json_has_news(decoder));
	CHECK_TEXT(taken(decoder), "id=7 n=7 | id=null n=0.5 | id=null n=1.5");
	CHECK_INT(json_learn(decoder, names, types, 2, &err), 0);
	CHECK(!json_has_news(decoder));
	CHECK_TEXT(add(decoder, "{\"id\":1.5}"), "");
	CHECK_INT(count, 3);
	json_decoder_free(decoder);
}

/* Those of whole numbers are compared as numbers: all of their digits, however they are written. */
static void rules_of_numbers(void)
{
	static const char *const grades[] = {"1", "2"}, *const ids[] = {"-9007199254740993", "7"};
	struct json_column columns[] = {
	        {.name = "most",
	         .pointer = "/m",
	         .type = JSON_BIGINT,
	         .has_minimum = true,
	         .minimum = -0x1p53,
	         .has_maximum = true,
	         .maximum = 0x1p53},
	        {.name = "grade", .pointer = "/g", .type = JSON_INTEGER, .allowed = grades, .allowed_count = 2},
	        {.name = "id", .pointer = "/i", .type = JSON_BIGINT, .allowed = ids, .allowed_count = 2},
	        {.name = "bill",
	         .pointer = "/b",
	         .type = JSON_DECIMAL,
	         .precision = 10,
	         .scale = 2,
	         .has_minimum = true,
	         .minimum = 0,
	         .has_maximum = true,
	         .maximum = 99.5}};
	struct json_decoder *decoder = declared(columns, 4, (struct json_rules){0});

	CHECK_TEXT(add(decoder, "{\"g\":1,\"i\":-9007199254740993,\"b\":\"99.50\"}"), "");
	CHECK_TEXT(add(decoder, "{\"g\":2.0,\"i\":7e0,\"b\":\"0\"}"), "");
	CHECK_HAS(add(decoder, "{\"g\":7}"), "grade is none of its values (7)");
	CHECK_HAS(add(decoder, "{\"g\":\"1\"}"), "grade is a text ('1'), not a whole number");
	CHECK_HAS(add(decoder, "{\"i\":-9007199254740992}"), "id is none of its values (-9007199254740992)");
	CHECK_HAS(add(decoder, "{\"b\":-0.01}"), "bill is out of range (-0.01): at least 0, at most 99.5");
	CHECK_HAS(add(decoder, "{\"b\":\"-0.01\"}"), "bill is out of range ('-0.01'): at least 0, at most 99.5");
	CHECK_HAS(add(decoder, "{\"b\":\"\\u0039\\u0039.51\"}"), "bill is out of range ('99.51')");
	CHECK_HAS(add(decoder, "{\"i\":-9007199254740992.0}"), "id is none of its values (-9007199254740992.0)");
	CHECK_HAS(add(decoder, "{\"i\":7.00000000000000000001}"),
	          "id is a number (7.00000000000000000001), not a whole");
	CHECK_HAS(add(decoder, "{\"m\":9007199254740993}"), "most is out of range (9007199254740993)");
	CHECK_HAS(add(decoder, "{\"m\":-9007199254740993.0}"), "most is out of range (-9007199254740993.0)");
	CHECK_TEXT(add(decoder, "{\"m\":9007199254740992.0,\"i\":-9007199254740993.0}"), "");
	CHECK_TEXT(taken(decoder), "most=null grade=1 id=-9007199254740993 bill=0:9950 | "
	                           "most=null grade=2 id=7 bill=0:0 | "
	                           "most=9007199254740992 grade=null id=-9007199254740993 bill=null");
	json_decoder_free(decoder);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(no_number_is_rounded), TEST(a_small_fraction_is_one),
	                  TEST(the_table_may_hold_large_numbers), TEST(rules_of_numbers));
}
