/*
 * test_batch_json_nested.c - inferred columns whose values DuckDB casts to the table's types: what that would change is
 * refused, and all else is left as it came.
 */
#include "test_batch_json.h"

/* What is said of a value for a column of the table. */
static const char *told(const char *type, const char *json)
{
	static const char *const names[] = {"x"};
	struct error err = {0};
	struct json_decoder *decoder = json_decoder_new(&(struct json_rules){0}, NULL, &err);
	char text[512];

	if (json_learn(decoder, names, &type, 1, &err))
		return "json_learn failed";
	snprintf(text, sizeof text, "{\"x\":%s}", json);
	add(decoder, text);
	snprintf(text, sizeof text, "x=%s", json);
	if (!*reason && strcmp(taken(decoder), text) != 0)
		snprintf(reason, sizeof reason, "not as it came: %.400s", shown);
	json_decoder_free(decoder);
	return reason;
}

#define CHANGES(type, json, value, leaf)                                                                               \
	CHECK_TEXT(told(type, json),                                                                                   \
	           "line 1, byte 0: x has " value ", which " leaf " would change: send what it holds, times in "       \
	           "UTC, and decimals of more than 15 digits as texts")

static void numbers(void)
{
	CHECK_TEXT(told("INTEGER[]", "[1,-2,5.0,1e3,null,true,\"7\",7.0e2]"), "");
	CHECK_TEXT(told("BIGINT[]", "[9007199254740993,9223372036854775807]"), "");
	CHECK_TEXT(told("HUGEINT[]", "[12345678901234567890123]"), "");
	CHANGES("INTEGER[]", "[1, 1.7]", "a number (1.7)", "INTEGER");
	CHANGES("BIGINT[3]", "[9007199254740993.0]", "a number (9007199254740993.0)", "BIGINT");
	CHANGES("UBIGINT[]", "[1e-400]", "a number (1e-400)", "UBIGINT");
	CHANGES("HUGEINT[]", "[\"1.5\"]", "a text ('1.5')", "HUGEINT");
	CHANGES("UHUGEINT", "1.5", "a number (1.5)", "UHUGEINT");
	CHECK_TEXT(told("DECIMAL(20,2)[]", "[1.75,1.5e1,-1234567890123.45,12345678901234567,\"12345678901234567.01\"]"),
	           "");
	CHANGES("DECIMAL(20,2)[]", "[1.777]", "a number (1.777)", "DECIMAL(20,2)");
	CHANGES("DECIMAL(20,2)[]", "[\"1.777\"]", "a text ('1.777')", "DECIMAL(20,2)");
	CHANGES("DECIMAL(18,0)[]", "[\"1.5\"]", "a text ('1.5')", "DECIMAL(18,0)");
	CHANGES("DECIMAL(20,2)[]", "[12345678901234567.01]", "a number (12345678901234567.01)", "DECIMAL(20,2)");
	CHECK_TEXT(told("DOUBLE[]", "[0.1,9007199254740993.0,1e300,9007199254740994]"), "");
	CHANGES("DOUBLE[]", "[9007199254740993]", "a number (9007199254740993)", "DOUBLE");
	CHECK_TEXT(told("VARCHAR[]", "[1.5,\"x\",\"2026-01-01T00:00:00+02:00\"]"), "");
	CHECK_TEXT(told("JSON[]", "[1.5]"), "");
	CHECK_TEXT(told("BOOLEAN[]", "[true]"), "");
}

static void times(void)
{
	CHECK_TEXT(
	        told("TIMESTAMP[]", "[\"2026-01-01T00:00:00Z\",\"2026-01-01 00:00:00.5+00:00\",\"2026-01-01\",null]"),
	        "");
	CHANGES("TIMESTAMP[]", "[\"2026-01-01T00:00:00+02:00\"]", "a text ('2026-01-01T00:00:00+02:00')", "TIMESTAMP");
	CHANGES("TIMESTAMP[]", "[\"2026-01-01 00:00:00-0230\"]", "a text ('2026-01-01 00:00:00-0230')", "TIMESTAMP");
	CHANGES("TIMESTAMP_NS[]", "[\"2026-01-01T00:00:00+02\"]", "a text ('2026-01-01T00:00:00+02')", "TIMESTAMP_NS");
	CHANGES("TIMESTAMP[]", "[\"2026-01-01T00:00:00 +02:00\"]", "a text ('2026-01-01T00:00:00 +02:00')",
	        "TIMESTAMP");
	CHANGES("TIMESTAMP[]", "[\"\"]", "a text ('')", "TIMESTAMP");
	CHANGES("TIMESTAMP_S[]", "[\"2026-01-01T00:00:00.9Z\"]", "a text ('2026-01-01T00:00:00.9Z')", "TIMESTAMP_S");
	CHECK_TEXT(told("TIMESTAMP_MS[]", "[\"2026-01-01T00:00:00.9Z\"]"), "");
	CHECK_TEXT(told("TIMESTAMP WITH TIME ZONE[]", "[\"2026-01-01T00:00:00+02:00\"]"), "");
	CHANGES("DATE[]", "[\"2026-01-01T10:00:00Z\"]", "a text ('2026-01-01T10:00:00Z')", "DATE");
	CHECK_TEXT(told("DATE[]", "[\"2026-01-01\"]"), "");
	CHANGES("TIME", "\"12:00:00+02:00\"", "a text ('12:00:00+02:00')", "TIME");
	CHECK_TEXT(told("TIME[]", "[\"12:00:00.5\"]"), "");
}

static void structs_and_maps(void)
{
#define SHAPE                                                                                                          \
	"STRUCT(i INTEGER, \"a, \"\"(b\" DECIMAL(4,1)[], e ENUM('x)', 'y,'), d DOUBLE, "                               \
	"m MAP(TIMESTAMP, STRUCT(t TIMESTAMP[]))[], s STRUCT(i VARCHAR))"

	CHECK_TEXT(told(SHAPE, "{\"d\":1.5,\"e\":\"x)\",\"i\":1,\"a, \\\"(b\":[0.5],\"s\":{\"i\":1.5},\"?\":1.5}"), "");
	CHANGES(SHAPE, "{\"d\":1.5,\"i\":1.5}", "a number (1.5)", "INTEGER");
	CHANGES(SHAPE, "{\"i\":1,\"i\":2.5}", "a number (2.5)", "INTEGER");
	CHANGES(SHAPE, "{\"a, \\\"(b\":[0.5,0.25]}", "a number (0.25)", "DECIMAL(4,1)");
	CHANGES(SHAPE, "{\"m\":[{\"2026-01-01T00:00:00Z\":{\"t\":[\"2026-01-01T00:00:00+01:00\"]}}]}",
	        "a text ('2026-01-01T00:00:00+01:00')", "TIMESTAMP");
	CHANGES(SHAPE, "{\"m\":[{\"2026-01-01T00:00:00+01:00\":{}}]}", "a text ('2026-01-01T00:00:00+01:00')",
	        "TIMESTAMP");
	CHANGES("STRUCT(x BIGINT)[][]", "[[],[{\"x\":1}],[{\"x\":1.5}]]", "a number (1.5)", "BIGINT");
	CHANGES("MAP(VARCHAR, MAP(VARCHAR, INTEGER))", "{\"1.5\":{\"k\":1.5}}", "a number (1.5)", "INTEGER");
	/* Of another form: DuckDB's cast fails. */
	CHECK_TEXT(told("INTEGER[]", "{\"x\":1.5}"), "");
	CHECK_TEXT(told("STRUCT(x BIGINT)", "[1.5]"), "");
	CHECK_TEXT(told("STRUCT(xx BIGINT, \"\" INTEGER)", "{\"x\":1.5,\"xxx\":1.5}"), "");
	CHANGES("STRUCT(xx BIGINT, \"\" INTEGER)", "{\"\":1.5}", "a number (1.5)", "INTEGER");
#undef SHAPE
}

/* A column of whole seconds would be given the next one. */
static void coarse_times(void)
{
	static const char *const names[] = {"s", "ms"}, *const types[] = {"TIMESTAMP_S", "TIMESTAMP_MS"};
	struct error err = {0};
	struct json_decoder *decoder = json_decoder_new(&(struct json_rules){0}, NULL, &err);

	CHECK_INT(json_learn(decoder, names, types, 2, &err), 0);
	CHECK_TEXT(add(decoder, "{\"s\":\"2023-11-15T00:13:20.000+02:00\",\"ms\":\"2023-11-14T22:13:20.123Z\"}"), "");
	CHECK_HAS(add(decoder, "{\"s\":\"2023-11-14T22:13:20.5Z\"}"),
	          "s has a text ('2023-11-14T22:13:20.5Z'), which TIMESTAMP_S would change");
	CHECK_HAS(add(decoder, "{\"ms\":\"2023-11-14T22:13:20.1235Z\"}"), "which TIMESTAMP_MS would change");
	CHECK_HAS(add(decoder, "{\"ms\":\"x\"}"), "ms is a text ('x'), not a time");
	CHECK_HAS(add(decoder, "{\"ms\":1}"), "ms is a number (1), not a time");
	CHECK_TEXT(taken(decoder), "s=1700000000000000 ms=1700000000123000");
	json_decoder_free(decoder);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(numbers), TEST(times), TEST(structs_and_maps), TEST(coarse_times));
}
