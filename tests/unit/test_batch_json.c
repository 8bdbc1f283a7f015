/*
 * test_batch_json.c - batch/json.h: types and their edges, rules and scores, inference, lines, and what is refused.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch/json_private.h"
#include "test_batch_json.h"

static struct json_decoder *inferring(void)
{
	struct error err = {0};

	return json_decoder_new(&(struct json_rules){0}, NULL, &err);
}

/* One value in one column of the type: what is stored, or the reason. */
static const char *value(const char *type, const char *json)
{
	struct json_column column = {.name = "x", .pointer = "/x"};
	struct json_decoder *decoder;
	char text[512];
	const char *result;

	if (!json_type_parse(type, &column.type, &column.precision, &column.scale))
		return "no such type";
	decoder = declared(&column, 1, (struct json_rules){0});
	snprintf(text, sizeof text, "{\"x\": %s}", json);
	result = *add(decoder, text) ? reason : taken(decoder);
	json_decoder_free(decoder);
	return result;
}

/* ---- types */

static void whole_numbers(void)
{
	CHECK_TEXT(value("bigint", "0"), "x=0");
	CHECK_TEXT(value("bigint", "-0"), "x=0");
	CHECK_TEXT(value("bigint", "9223372036854775807"), "x=9223372036854775807");
	CHECK_TEXT(value("bigint", "-9223372036854775808"), "x=-9223372036854775808");
	CHECK_TEXT(value("bigint", "5.0"), "x=5");
	CHECK_TEXT(value("bigint", "12e2"), "x=1200");
	/* By the digits, whatever a double would make of them. */
	CHECK_TEXT(value("bigint", "9007199254740993.0"), "x=9007199254740993");
	CHECK_TEXT(value("bigint", "-9223372036854775808.000000000000000000000000"), "x=-9223372036854775808");
	CHECK_TEXT(value("bigint", "9.223372036854775807e18"), "x=9223372036854775807");
	CHECK_TEXT(value("bigint", "1000000000000000000000000000000000000000000000000e-47"), "x=10");
	CHECK_TEXT(value("bigint", "0e400"), "x=0");
	CHECK_TEXT(value("epoch_ms", "1700000000000.0"), "x=1700000000000000");
	CHECK_TEXT(value("integer", "2.147483647e9"), "x=2147483647");
	for (const char *const *text =
	             (const char *const[]){"4503599627370497.25", "1.00000000000000000001", "1e-400", "-1e-400",
	                                   "9223372036854775808.0", "1e19", "9007199254740992.5", NULL};
	     *text; text++) {
		CHECK_HAS(value("bigint", *text), "not a whole number of 64 bits");
		CHECK_HAS(value("integer", *text), "not a whole number of 32 bits");
		CHECK_HAS(value("epoch_s", *text), "not seconds since 1970");
	}
	CHECK_HAS(value("bigint", "9223372036854775808"),
	          "x is a number (9223372036854775808), not a whole number of 64");
	CHECK_HAS(value("bigint", "123456789012345678901234567890"), "not a whole number");
	CHECK_HAS(value("bigint", "1.5"), "not a whole number");
	CHECK_HAS(value("bigint", "1e300"), "not a whole number");
	CHECK_HAS(value("bigint", "\"5\""), "x is a text ('5'), not a whole number");
	CHECK_HAS(value("bigint", "true"), "x is a boolean, not");
	CHECK_TEXT(value("integer", "-2147483648"), "x=-2147483648");
	CHECK_HAS(value("integer", "2147483648"), "of 32 bits");
	CHECK_TEXT(value("epoch_s", "1700000000"), "x=1700000000000000");
	CHECK_TEXT(value("epoch_ms", "-1"), "x=-1000");
	CHECK_HAS(value("epoch_s", "9223372036854775807"), "not seconds since 1970");
}

static void other_numbers(void)
{
	CHECK_TEXT(value("double", "1.5"), "x=1.5");
	CHECK_TEXT(value("double", "-1e-3"), "x=-0.001");
	CHECK_TEXT(value("double", "3"), "x=3");
	CHECK_HAS(value("double", "1e999"), "not a number");
	CHECK_HAS(value("double", "\"NaN\""), "not a number");
	CHECK_TEXT(value("decimal(10,2)", "12.34"), "x=0:1234");
	CHECK_TEXT(value("decimal(10,2)", "-12.3"), "x=-1:18446744073709550386");
	CHECK_TEXT(value("decimal(10,2)", "\"12.34\""), "x=0:1234");
	CHECK_TEXT(value("decimal(10,2)", "1234e-2"), "x=0:1234");
	CHECK_TEXT(value("decimal(10,2)", "1.20e1"), "x=0:1200");
	CHECK_TEXT(value("decimal(10,2)", "0.000e5"), "x=0:0");
	CHECK_TEXT(value("decimal(38,0)", "99999999999999999999999999999999999999"),
	           "x=5421010862427522170:687399551400673279");
	CHECK_HAS(value("decimal(38,0)", "100000000000000000000000000000000000000"),
	          "not a number with as many digits");
	CHECK_HAS(value("decimal(38,0)", "1e38"), "not a number with");
	/* All that 38 digits hold, however many zeros say so. */
	CHECK_TEXT(value("decimal(38,2)", "200000000000000000000000000000000000"),
	           "x=1084202172485504434:137479910280134656");
	CHECK_TEXT(value("decimal(38,2)", "-9.99999999999999999999999999999999999990e35"),
	           "x=-5421010862427522171:17759344522308878337");
	CHECK_TEXT(value("decimal(38,38)", "0.99999999999999999999999999999999999999"),
	           "x=5421010862427522170:687399551400673279");
	CHECK_HAS(value("decimal(38,2)", "1000000000000000000000000000000000000"), "not a number with");
	CHECK_HAS(value("decimal(38,2)", "99999999999999999999999999999999999999"), "not a number with");
	CHECK_TEXT(value("decimal(10,2)", "0.00000000000000000000000000000000000000000000000001e50"), "x=0:100");
	CHECK_TEXT(value("decimal(10,2)", "1.20000000000000000000000000000000000000000000000000"), "x=0:120");
	CHECK_TEXT(value("decimal(10,2)", "-0e99999999999999999999"), "x=0:0");
	CHECK_HAS(value("decimal(10,2)", "12.345"), "not a number with");
	CHECK_HAS(value("decimal(10,2)", "123456789.00"), "not a number with");
	for (const char *const *text = (const char *const[]){"\"\"", "\"-\"", "\".\"", "\"e5\"", "\"1e\"", "\"1.2.3\"",
	                                                     "\"0x10\"", "\"1e99999999999\"", "\"1e 2\"", "\"1e+\"",
	                                                     "\"1e--2\"", "1e-99999999999999999999", "[1]", NULL};
	     *text; text++)
		CHECK_HAS(value("decimal(10,2)", *text), "not a number with");
	CHECK_TEXT(value("decimal(0,0)", "1"), "no such type");
	CHECK_TEXT(value("decimal(39,0)", "1"), "no such type");
	CHECK_TEXT(value("decimal(5,6)", "1"), "no such type");
	CHECK_TEXT(value("decimal(10,2)x", "1"), "no such type");
	CHECK_TEXT(value("decimal", "1"), "no such type");
}

static void times(void)
{
	CHECK_TEXT(value("date", "\"1970-01-01\""), "x=0");
	CHECK_TEXT(value("date", "\"2000-02-29\""), "x=11016");
	CHECK_TEXT(value("date", "\"1969-12-31\""), "x=-1");
	CHECK_TEXT(value("date", "\"0001-01-01\""), "x=-719162");
	CHECK_TEXT(value("date", "\"9999-12-31\""), "x=2932896");
	CHECK_HAS(value("date", "\"1900-02-29\""), "not a date");
	CHECK_HAS(value("date", "\"2026-13-01\""), "not a date");
	CHECK_HAS(value("date", "\"2026-1-01\""), "not a date");
	CHECK_HAS(value("date", "20260101"), "not a date");
	CHECK_TEXT(value("timestamp", "\"2023-11-14T22:13:20Z\""), "x=1700000000000000");
	CHECK_TEXT(value("timestamptz", "\"2023-11-14 22:13:20.123456+00:00\""), "x=1700000000123456");
	CHECK_TEXT(value("timestamptz", "\"2023-11-15T00:13:20.5+02:00\""), "x=1700000000500000");
	CHECK_TEXT(value("timestamptz", "\"2023-11-14T17:13:20.123456789-0500\""), "x=1700000000123456");
	CHECK_TEXT(value("timestamp", "\"2023-11-14T22:13\""), "x=1699999980000000");
	CHECK_TEXT(value("timestamp", "\"2023-11-14\""), "x=1699920000000000");
	/* Leap seconds: where a month ends in UTC, and nowhere else. */
	CHECK_TEXT(value("timestamptz", "\"1990-12-31T23:59:60Z\""), "x=662688000000000");
	CHECK_TEXT(value("timestamptz", "\"1990-12-31T15:59:60.25-08:00\""), "x=662688000250000");
	CHECK_TEXT(value("timestamptz", "\"1991-01-01T08:59:60+09:00\""), "x=662688000000000");
	CHECK_TEXT(value("timestamp", "\"1972-06-30 23:59:60\""), "x=78796800000000");
	for (const char *const *text =
	             (const char *const[]){"\"1990-12-31T23:59:60+01:00\"", "\"1990-12-31T23:58:60Z\"",
	                                   "\"1990-12-30T23:59:60Z\"", "\"1990-12-31T22:59:60Z\"",
	                                   "\"1990-12-31T23:59:61Z\"", "\"1990-12-31T23:59:6Z\"", NULL};
	     *text; text++)
		CHECK_HAS(value("timestamptz", *text), "not a time");
	for (const char *const *text =
	             (const char *const[]){"\"2023-11-14T24:00:00Z\"", "\"2023-11-14T22:13:60Z\"",
	                                   "\"2023-11-14T22:13:20.Z\"", "\"2023-11-14T22:13:20+24:00\"",
	                                   "\"2023-11-14T22:13:20+2\"", "\"2023-11-14X22:13:20\"",
	                                   "\"2023-11-14T22:13:20 UTC\"", "\"now\"", "\"\"", "1700000000", NULL};
	     *text; text++)
		CHECK_HAS(value("timestamp", *text), "not a time");
}

static void texts_and_json(void)
{
	CHECK_TEXT(value("varchar", "\"a\\u00e9\\n\""), "x=a\xc3\xa9\n");
	CHECK_HAS(value("varchar", "5"), "x is a number (5), not a text");
	CHECK_TEXT(value("boolean", "false"), "x=false");
	CHECK_HAS(value("boolean", "0"), "not true or false");
	CHECK_TEXT(value("json", "{ \"a\" : [1.10, 12345678901234567890123, -0.0e+7, null] }"),
	           "x={ \"a\" : [1.10, 12345678901234567890123, -0.0e+7, null] }");
	CHECK_TEXT(value("json", "\"t\""), "x=\"t\"");
	CHECK_TEXT(value("json", "null"), "x=null");
}

/* An object or array is kept as it came, byte by byte; deeper than the document's own members, without its spaces. */
static void objects_keep_their_text(void)
{
	struct json_column columns[] = {{.name = "a", .pointer = "/a", .type = JSON_JSON},
	                                {.name = "b", .pointer = "/b", .type = JSON_JSON},
	                                {.name = "c", .pointer = "/q\"", .type = JSON_JSON},
	                                {.name = "a_too", .pointer = "/a", .type = JSON_JSON},
	                                {.name = "deep", .pointer = "/b/0", .type = JSON_JSON}};
	struct json_decoder *decoder = declared(columns, 5, (struct json_rules){0});

	CHECK_TEXT(add(decoder, "{\"a\" :\n{ \"}\": \"\\u0041,\" } , \"x\":1, \"b\": [ {\"d\" : 2} ]\t}  "), "");
	CHECK_TEXT(add(decoder, "{\"b\":[[ 1 ]],\"q\\\"\":[ 2 ],\"a\":{}}"), "");
	CHECK_TEXT(add(decoder, "{\"a\":\"{\", \"b\": 1.0}"), "");
	CHECK_TEXT(taken(decoder),
	           "a={ \"}\": \"\\u0041,\" } b=[ {\"d\" : 2} ] c=null a_too={ \"}\": \"\\u0041,\" } deep={\"d\":2} | "
	           "a={} b=[[ 1 ]] c=[2] a_too={} deep=[1] | a=\"{\" b=1.0 c=null a_too=\"{\" deep=null");
	json_decoder_free(decoder);
}

/* The quick way to a double is as exact as the slow one. */
static void numbers_are_the_nearest_doubles(void)
{
	uint64_t state = 1;

	for (int i = 0; i < 200000; i++) {
		char text[40];
		yyjson_val value;
		double number;
		int size;

		state = state * 6364136223846793005u + 1442695040888963407u;
		size = snprintf(text, sizeof text, "%s%.*f", state >> 63 ? "-" : "", (int)(state >> 40) % 13,
		                (double)(state >> 20 & 0xfffffff) / (double)(1 + (state >> 8 & 0xfff)));
		value = (yyjson_val){.tag = (uint64_t)size << YYJSON_TAG_BIT | YYJSON_TYPE_RAW, .uni.str = text};
		CHECK(json_number(&value, &number));
		CHECK(number == strtod(text, NULL));
	}
}

/* ---- rules */

static void pointers_lead_to_values(void)
{
	struct json_column columns[] = {{.name = "plan", .pointer = "/payload/plan", .type = JSON_VARCHAR},
	                                {.name = "second", .pointer = "/list/1/v", .type = JSON_BIGINT},
	                                {.name = "odd", .pointer = "/a~1b/m~0n", .type = JSON_BIGINT},
	                                {.name = "payload", .pointer = "/payload", .type = JSON_JSON},
	                                {.name = "plan_too", .pointer = "/payload/plan", .type = JSON_VARCHAR}};
	struct json_decoder *decoder = declared(columns, 5, (struct json_rules){0});

	CHECK_TEXT(add(decoder,
	               "{\"payload\":{\"plan\":\"gold\"},\"list\":[{},{\"v\":7}],\"a/b\":{\"m~n\":8},\"more\":1}"),
	           "");
	CHECK_TEXT(add(decoder, "{\"list\":{\"1\":{\"v\":9}},\"payload\":[]}"), "");
	CHECK_TEXT(taken(decoder), "plan=gold second=7 odd=8 payload={\"plan\":\"gold\"} plan_too=gold | "
	                           "plan=null second=9 odd=null payload=[] plan_too=null");
	json_decoder_free(decoder);
}

static void broken_rules_cost_points(void)
{
	static const char *const kinds[] = {"BSS", "OSS", "IoT"};
	struct json_column columns[] = {
	        {.name = "id", .pointer = "/id", .type = JSON_VARCHAR, .required = true, .weight = 2},
	        {.name = "kind", .pointer = "/kind", .type = JSON_VARCHAR, .allowed = kinds, .allowed_count = 3},
	        {.name = "dbm",
	         .pointer = "/dbm",
	         .type = JSON_DOUBLE,
	         .has_minimum = true,
	         .minimum = -140,
	         .has_maximum = true,
	         .maximum = -20}};
	struct json_rules rules = {
	        .score = "score", .reasons = "why", .missing = 20, .wrong_type = 15, .out_of_range = 30};
	struct json_decoder *decoder = declared(columns, 3, rules);

	CHECK_TEXT(add(decoder, "{\"id\":\"a\",\"kind\":\"IoT\",\"dbm\":-140}"), "");
	CHECK_TEXT(add(decoder, "{\"kind\":\"iot\",\"dbm\":-141}"), "");
	CHECK_TEXT(add(decoder, "{\"id\":null,\"kind\":7,\"dbm\":\"strong\"}"), "");
	CHECK_TEXT(taken(decoder),
	           "id=a kind=IoT dbm=-140 score=100 why= | "
	           "id=null kind=iot dbm=-141 score=0 why=id is missing; kind is none of its values ('iot'); "
	           "dbm is out of range (-141): at least -140, at most -20 | "
	           "id=null kind=null dbm=null score=30 why=id is missing; kind is a number (7), not a text; "
	           "dbm is a text ('strong'), not a number");
	json_decoder_free(decoder);
}

static void without_a_score_a_broken_rule_refuses(void)
{
	struct json_column columns[] = {{.name = "id", .pointer = "/id", .type = JSON_VARCHAR, .required = true},
	                                {.name = "n", .pointer = "/n", .type = JSON_BIGINT}};
	struct json_decoder *decoder = declared(columns, 2, (struct json_rules){0});

	CHECK_TEXT(add(decoder, "{\"id\":\"a\",\"n\":1}"), "");
	CHECK_HAS(add(decoder, "{\"n\":2}"), "id is missing");
	CHECK_HAS(add(decoder, "{\"id\":\"b\",\"n\":\"2\"}"), "n is a text ('2')");
	CHECK_TEXT(add(decoder, "{\"id\":\"c\"}"), "");
	CHECK_TEXT(taken(decoder), "id=a n=1 | id=c n=null");
	json_decoder_free(decoder);
}

static void own_columns(void)
{
	struct json_column column = {.name = "a", .pointer = "/a", .type = JSON_BIGINT};
	struct json_decoder *decoder = declared(&column, 1, (struct json_rules){.raw = "raw", .ingested_at = "at"});

	CHECK_TEXT(add(decoder, "  {\"a\" : 1,  \"b\":2} \n"), "");
	CHECK_TEXT(taken(decoder), "a=1 raw={\"a\" : 1,  \"b\":2} at=1700000000000000");
	json_decoder_free(decoder);
}

static void declarations_that_cannot_be(void)
{
	struct json_column columns[] = {{.name = "a", .pointer = "/a"}, {.name = "A", .pointer = "/b"}};
	struct json_rules rules = {.columns = columns, .column_count = 2};
	struct error err = {0};

	CHECK(!json_decoder_new(&rules, NULL, &err));
	CHECK_HAS(err.message, "two columns are called 'a' and 'A'");
	columns[1] = (struct json_column){.name = "b", .pointer = "b"};
	CHECK(!json_decoder_new(&rules, NULL, &err));
	CHECK_HAS(err.message, "'b' is no JSON pointer");
	columns[1].pointer = "/b";
	rules.raw = "B";
	CHECK(!json_decoder_new(&rules, NULL, &err));
	CHECK_HAS(err.message, "two columns are called 'b' and 'B'");
}

/* ---- inference */

static void columns_are_inferred(void)
{
	struct json_decoder *decoder = inferring();

	CHECK_TEXT(add(decoder, "{\"a\":1,\"b\":\"x\",\"n\":null}"), "");
	CHECK_TEXT(add(decoder, "{\"b\":\"y\",\"c\":{\"d\":[1]},\"e\":true,\"f\":1.5}"), "");
	CHECK_TEXT(add(decoder, "{\"n\":\"late\",\"a\":2.5}"), "");
	CHECK_TEXT(taken(decoder),
	           "a=1 b=x c=null e=null f=null n=null | a=null b=y c={\"d\":[1]} e=true f=1.5 n=null | "
	           "a=2.5 b=null c=null e=null f=null n=late");
	CHECK_TEXT(add(decoder, "{}"), "");
	CHECK_TEXT(taken(decoder), "a=null b=null c=null e=null f=null n=null");
	json_decoder_free(decoder);
}

static void a_change_of_type_refuses(void)
{
	struct json_decoder *decoder = inferring();

	CHECK_TEXT(add(decoder, "{\"a\":1}"), "");
	CHECK_HAS(add(decoder, "{\"a\":\"x\"}"), "a is a text ('x'), not a whole number");
	CHECK_HAS(add(decoder, "{\"a\":12345678901234567890}"), "not a whole number of 64 bits");
	CHECK_HAS(add(decoder, "{\"A\":1}"), "two columns are called 'a' and 'A'");
	CHECK_HAS(add(decoder, "{\"a\":1,\"a\":2}"), "the key 'a' stands there twice");
	CHECK_HAS(add(decoder, "{\"\":1}"), "a key of 0 bytes");
	CHECK_HAS(add(decoder, "{\"x\\u0000y\":1}"), "a key of 3 bytes");
	CHECK_TEXT(taken(decoder), "a=1");
	/* Whether the column is known already or not. */
	CHECK_HAS(add(decoder, "{\"new\":null,\"new\":1}"), "the key 'new' stands there twice");
	CHECK_HAS(add(decoder, "{\"new\":1,\"new\":null}"), "the key 'new' stands there twice");
	CHECK_TEXT(add(decoder, "{\"new\":null}\n{\"new\":1}"), "");
	CHECK_HAS(add(decoder, "{\"new\":null,\"new\":1}"), "the key 'new' stands there twice");
	json_decoder_free(decoder);
}

static void the_table_teaches_types(void)
{
	static const char *const names[] = {"id", "at", "price", "tags", "n"}, *const types[] = {
	                                                                               "INTEGER",
	                                                                               "TIMESTAMP WITH TIME ZONE",
	                                                                               "DECIMAL(10,2)", "VARCHAR[]",
	                                                                               "BIGINT"};
	struct json_decoder *decoder = inferring();
	struct error err = {0};

	CHECK_TEXT(add(decoder, "{\"id\":\"text\"}"), "");
	CHECK_TEXT(taken(decoder), "id=text");
	CHECK_INT(json_learn(decoder, names, types, 5, &err), 0);
	CHECK_TEXT(
	        add(decoder,
	            "{\"id\":5,\"at\":\"2023-11-14T22:13:20Z\",\"price\":1.25,\"tags\":[\"x\"],\"n\":0.5,\"new\":1}"),
	        "");
	CHECK_HAS(add(decoder, "{\"id\":\"text\"}"), "id is a text");
	CHECK_TEXT(taken(decoder), "id=5 at=1700000000000000 price=0:125 tags=[\"x\"] n=0.5 new=1");
	json_decoder_free(decoder);
}

static void keys_without_end_are_refused(void)
{
	struct json_decoder *decoder = inferring();
	char text[64];

	for (int i = 0; i < JSON_COLUMNS_MAX; i++) {
		snprintf(text, sizeof text, "{\"k%d\":%d}", i, i);
		CHECK_TEXT(add(decoder, text), "");
	}
	CHECK_HAS(add(decoder, "{\"one_more\":1}"), "more than 1000 columns");
	CHECK_INT(json_rows(decoder), JSON_COLUMNS_MAX);
	json_decoder_free(decoder);
}

/* ---- payloads */

static void lines(void)
{
	struct json_decoder *decoder = inferring();

	CHECK_TEXT(add(decoder, "{\"a\":1}\n{\"a\":2}\r\n\n  {\"a\":3}  \n"), "");
	CHECK_TEXT(taken(decoder), "a=1 | a=2 | a=3");
	CHECK_TEXT(add(decoder, "{\n  \"a\": 4,\n  \"b\": {\n}\n}\n"), "");
	CHECK_TEXT(add(decoder, "\xef\xbb\xbf{\"a\":5}"), "");
	CHECK_TEXT(taken(decoder), "a=4 b={} | a=5 b=null");
	CHECK_HAS(add(decoder, "{\"a\":6}\n{\"a\":7}\n{\"a\":,}\n"), "line 3, byte 21");
	CHECK_HAS(add(decoder, "{\"a\":8} {\"a\":9}"), "line 1, byte 8");
	/* Blank lines and a mark of byte order are lines and bytes of the payload. */
	CHECK_HAS(add(decoder, "\n\n{bad"), "line 3, byte 3: ");
	CHECK_HAS(add(decoder, "\r\n \n\t{\"a\":1}\n\n {bad"), "line 5, byte 16: ");
	CHECK_HAS(add(decoder, "\n[1]\n"), "line 2, byte 1: ");
	CHECK_HAS(add(decoder, "\xef\xbb\xbf{bad"), "line 1, byte 4: ");
	CHECK_HAS(add(decoder, "\xef\xbb\xbf\n  {bad\n"), "line 2, byte 7: ");
	CHECK_HAS(add(decoder, "\n\n{\n\"a\":,}"), "line 3, byte 8: ");
	CHECK_TEXT(add(decoder, "\n\n{\n\"a\":10}\n"), "");
	CHECK_TEXT(taken(decoder), "a=10 b=null");
	CHECK_HAS(add(decoder, "{\"a\":8}\n{\"a\":\n9}"), "line 2");
	CHECK_HAS(add(decoder, "[{\"a\":8}]"), "the document is an array, not an object");
	CHECK_HAS(add(decoder, "5"), "the document is a number");
	CHECK_HAS(add(decoder, ""), "the message is empty");
	CHECK_HAS(add(decoder, " \n "), "the message is empty");
	CHECK_HAS(add(decoder, "{\"a\":\"\xff\"}"), "line 1");
	CHECK_HAS(add(decoder, "{\"a\":\"\\ud800\"}"), "line 1");
	CHECK_TEXT(taken(decoder), "");
	json_decoder_free(decoder);
}

/* Of a payload that is refused in its last line nothing stays, also where its rows fill several arrays. */
static void a_payload_is_added_whole_or_not(void)
{
	struct json_decoder *decoder = inferring();
	OWNED_BUFFER struct buffer text = {0};

	buffer_init(&text, 1 << 20);
	CHECK_TEXT(add(decoder, "{\"a\":1,\"s\":\"first\"}"), "");
	for (int i = 0; i < 5000; i++)
		buffer_printf(&text, "{\"a\":%d,\"s\":\"text %d\",\"new\":[%d]}\n", i, i, i);
	buffer_text(&text, "{\"a\":");
	CHECK_HAS(add(decoder, buffer_string(&text)), "line 5001");
	CHECK_TEXT(add(decoder, "{\"a\":2,\"s\":\"second\"}"), "");
	CHECK_TEXT(taken(decoder), "a=1 s=first | a=2 s=second");
	json_decoder_free(decoder);
}

/* Its keys are no columns, and whole numbers stay whole: all of their digits, too. */
static void a_refused_payload_changes_no_column(void)
{
	struct json_decoder *decoder = inferring();
	OWNED_BUFFER struct buffer text = {0};
	struct batch_set before, after;
	struct error err = {0};

	buffer_init(&text, 1 << 20);
	CHECK_TEXT(add(decoder, "{\"id\":9007199254740993}"), "");
	CHECK_HAS(add(decoder, "{\"typo\":1,\"id\":\"no number\"}"), "id is a text");
	CHECK_HAS(add(decoder, "{\"id\":0.5,\"late\":1}"), "which DOUBLE would round");
	CHECK_HAS(add(decoder, "{\"new\":1}\n{\"new\":1.5}\n{\"new\":\"text\"}"), "line 3");
	buffer_text(&text, "{\"k0\":0");
	for (int i = 1; i <= JSON_COLUMNS_MAX; i++)
		buffer_printf(&text, ",\"k%d\":%d", i, i);
	buffer_char(&text, '}');
	CHECK_HAS(add(decoder, buffer_string(&text)), "more than 1000 columns");
	CHECK_INT(json_take(decoder, NULL, NULL, &before, &err), 0);
	CHECK_INT(before.schema->arrow->n_children, 1);
	CHECK_TEXT(before.schema->arrow->children[0]->format, "l");
	CHECK_INT(((const int64_t *)before.arrays[0].children[0]->buffers[1])[0], 9007199254740993);
	CHECK_INT(json_learn(decoder, NULL, NULL, 0, &err), 0);
	CHECK_TEXT(add(decoder, "{\"id\":9007199254740992}\n{\"id\":-9007199254740992}\n{}\n{\"id\":-1}"), "");
	CHECK_HAS(add(decoder, "{\"id\":0.5,\"late\":1}\n{\"id\":5}\n{\"id\":true}"), "line 3");
	CHECK_TEXT(taken(decoder), "id=9007199254740992 | id=-9007199254740992 | id=null | id=-1");
	/* What was refused may come again, and be right then. */
	CHECK_TEXT(add(decoder, "{\"late\":\"text\",\"id\":7}\n{\"new\":1,\"id\":0.5}"), "");
	CHECK_HAS(add(decoder, "{\"late\":1}"), "not a text");
	CHECK_TEXT(add(decoder, "{\"id\":1}"), "");
	CHECK_INT(json_take(decoder, NULL, NULL, &after, &err), 0);
	CHECK_INT(after.schema->arrow->n_children, 3);
	CHECK_TEXT(after.schema->arrow->children[0]->format, "g");
	CHECK(((const double *)after.arrays[0].children[0]->buffers[1])[1] == 0.5);
	batch_set_release(&before);
	batch_set_release(&after);
	json_decoder_free(decoder);
}

/* Payloads by chance, one after the other: those that are refused might as well never have come. */
static void refused_payloads_leave_no_trace(void)
{
	static const char *const values[] = {"1", "-9007199254740993", "0.5", "\"x\"", "true", "null", "{}"};
	unsigned long seed = 1;
	int refused = 0;

	for (int round = 0; round < 300; round++) {
		struct json_decoder *all = inferring(), *good = inferring();
		char expected[sizeof shown];

		for (int i = 0; i < 20; i++) {
			char text[256] = "";
			size_t used = 0;

			for (unsigned long lines = 1 + seed % 3; lines; lines--) {
				for (int key = 0; key < 3; key++) {
					seed = seed * 6364136223846793005u + 1442695040888963407u;
					used += (size_t)snprintf(
					        text + used, sizeof text - used, "%s\"%c\":%s", key ? "," : "{",
					        (int)('a' + 2 * key + (seed >> 40) % 2), values[(seed >> 50) % 7]);
				}
				used += (size_t)snprintf(text + used, sizeof text - used, "}\n");
			}
			if (*add(all, text))
				refused++;
			else
				CHECK_TEXT(add(good, text), "");
		}
		snprintf(expected, sizeof expected, "%s", taken(good));
		CHECK_TEXT(taken(all), expected);
		json_decoder_free(all);
		json_decoder_free(good);
	}
	CHECK(refused > 1000);
}

static int let_go_count;

static void let_go(void *opaque)
{
	(void)opaque;
	let_go_count++;
}

static void rows_are_cut_and_let_go_once(void)
{
	struct json_decoder *decoder = inferring();
	struct batch_set set;
	struct error err = {0};
	char text[64];

	for (int i = 0; i < 5000; i++) {
		snprintf(text, sizeof text, "{\"a\":%d,\"s\":\"%d\",\"even\":%s}", i, i, i % 2 ? "null" : "true");
		CHECK_TEXT(add(decoder, text), "");
	}
	CHECK_INT(json_rows(decoder), 5000);
	CHECK_INT(json_take(decoder, let_go, NULL, &set, &err), 0);
	CHECK_INT(json_rows(decoder), 0);
	CHECK_INT(set.rows, 5000);
	CHECK_INT(set.count, 3);
	for (int a = 0; a < 3; a++) {
		const int32_t *ends = set.arrays[a].children[1]->buffers[1];
		const int64_t *numbers = set.arrays[a].children[0]->buffers[1];

		for (int64_t row = 0; row < set.arrays[a].length; row++) {
			int64_t i = a * 2048 + row;

			snprintf(text, sizeof text, "%" PRId64, i);
			CHECK_INT(numbers[row], i);
			CHECK_INT(ends[row + 1] - ends[row], (int)strlen(text));
			CHECK(!memcmp((const char *)set.arrays[a].children[1]->buffers[2] + ends[row], text,
			              strlen(text)));
		}
		CHECK_INT(set.arrays[a].children[2]->null_count, set.arrays[a].length / 2);
	}
	CHECK_INT(let_go_count, 0);
	batch_set_release(&set);
	CHECK_INT(let_go_count, 1);
	CHECK_INT(json_take(decoder, let_go, NULL, &set, &err), 0);
	CHECK_INT(let_go_count, 2);
	batch_set_release(&set);
	json_decoder_free(decoder);
}

/* Small lines of which each row takes much: reasons, and nulls where the last line brings many columns. */
static void lines_that_take_much_are_refused(void)
{
	struct json_column columns[50];
	char names[50][24], pointers[50][24];
	struct json_decoder *decoder;
	OWNED_BUFFER struct buffer text = {0};

	buffer_init(&text, 4 << 20);
	for (int i = 0; i < 50; i++) {
		snprintf(names[i], sizeof *names, "column_%d", i);
		snprintf(pointers[i], sizeof *pointers, "/%d", i);
		columns[i] = (struct json_column){
		        .name = names[i], .pointer = pointers[i], .type = JSON_BOOLEAN, .required = true};
	}
	for (int i = 0; i < 350000; i++)
		buffer_text(&text, "{}\n");
	decoder = declared(columns, 50, (struct json_rules){.reasons = "why", .missing = 1});
	CHECK_HAS(add(decoder, buffer_string(&text)), "more than 512 MiB of memory: send fewer lines a message");
	CHECK_HAS(reason, "line ");
	CHECK_INT(json_rows(decoder), 0);
	json_decoder_free(decoder);

	decoder = inferring();
	buffer_clear(&text);
	for (int i = 0; i < 100000; i++)
		buffer_text(&text, "{}\n");
	CHECK_TEXT(add(decoder, buffer_string(&text)), "");
	CHECK_TEXT(add(decoder, "{\"a\":1}"), "");
	CHECK_INT(json_rows(decoder), 100001);
	buffer_text(&text, "{\"k0\":0");
	for (int i = 1; i < 1000; i++)
		buffer_printf(&text, ",\"k%d\":%d", i, i);
	buffer_char(&text, '}');
	CHECK_HAS(add(decoder, buffer_string(&text)), "line 100001");
	CHECK_HAS(reason, "more than 512 MiB of memory");
	CHECK_INT(json_rows(decoder), 100001);
	json_decoder_free(decoder);
}

static int64_t rooms(const struct json_decoder *decoder)
{
	int64_t sum = 0;

	for (int i = 0; i < decoder->columns.count; i++) {
		const struct growing *column = &decoder->columns.data[i];

		sum += column->room * ((column->width ? column->width : 4) + 1) + (int64_t)column->texts.capacity;
	}
	return sum;
}

/* Its rules say how much one payload may take; what was kept for it is given back, whether it was added or not. */
static void much_memory_is_given_back(void)
{
	struct json_column columns[] = {{.name = "a", .pointer = "/a", .type = JSON_BIGINT},
	                                {.name = "b", .pointer = "/b", .type = JSON_VARCHAR}};
	struct json_rules rules = {.raw = "raw", .reasons = "why", .made_max = 96 << 20};
	struct json_decoder *decoder = declared(columns, 2, rules);
	OWNED_BUFFER struct buffer text = {0};

	buffer_init(&text, 16 << 20);
	for (int i = 0; i < 1000000; i++)
		buffer_text(&text, "{}\n");
	CHECK_TEXT(add(decoder, "{\"a\":1,\"b\":\"x\"}"), "");
	CHECK_TEXT(add(decoder, buffer_string(&text)), "");
	CHECK(json_made(decoder) > 64 << 20);
	CHECK(rooms(decoder) > JSON_KEPT);
	CHECK_HAS(taken(decoder), "a=1 b=x raw={\"a\":1,\"b\":\"x\"} why= | a=null b=null");
	CHECK(rooms(decoder) < 1 << 20);
	CHECK_TEXT(add(decoder, "{\"a\":2,\"b\":\"y\"}"), "");
	for (int i = 0; i < 1000000; i++)
		buffer_text(&text, "{}\n");
	CHECK_HAS(add(decoder, buffer_string(&text)),
	          "take more than 96 MiB of memory: send fewer lines a message, or raise spec.memory");
	CHECK(rooms(decoder) < 1 << 20);
	CHECK_INT(json_rows(decoder), 1);
	CHECK_TEXT(add(decoder, "{\"a\":3}"), "");
	CHECK_TEXT(taken(decoder), "a=2 b=y raw={\"a\":2,\"b\":\"y\"} why= | a=3 b=null raw={\"a\":3} why=");
	json_decoder_free(decoder);
}

static void hostile_documents(void)
{
	struct json_decoder *decoder = inferring();
	OWNED_BUFFER struct buffer text = {0};

	buffer_init(&text, 64 << 20);
	buffer_text(&text, "{\"deep\":");
	for (int i = 0; i < 1000000; i++)
		buffer_char(&text, '[');
	CHECK_HAS(add(decoder, buffer_string(&text)), "line 1");
	for (int i = 0; i < 1000000; i++)
		buffer_char(&text, ']');
	buffer_char(&text, '}');
	CHECK_TEXT(add(decoder, buffer_string(&text)), "");
	buffer_clear(&text);
	buffer_text(&text, "{\"dense\":[1");
	for (int i = 0; i < 8000000; i++)
		buffer_text(&text, ",1");
	buffer_text(&text, "]}");
	CHECK_HAS(add(decoder, buffer_string(&text)), "more values than 128 MiB of memory can take apart");
	CHECK_INT(json_rows(decoder), 1);
	json_decoder_free(decoder);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(
	        argc, argv, TEST(whole_numbers), TEST(other_numbers), TEST(times), TEST(texts_and_json),
	        TEST(objects_keep_their_text), TEST(numbers_are_the_nearest_doubles), TEST(pointers_lead_to_values),
	        TEST(broken_rules_cost_points), TEST(without_a_score_a_broken_rule_refuses), TEST(own_columns),
	        TEST(declarations_that_cannot_be), TEST(columns_are_inferred), TEST(a_change_of_type_refuses),
	        TEST(the_table_teaches_types), TEST(keys_without_end_are_refused), TEST(lines),
	        TEST(a_payload_is_added_whole_or_not), TEST(a_refused_payload_changes_no_column),
	        TEST(refused_payloads_leave_no_trace), TEST(rows_are_cut_and_let_go_once),
	        TEST(lines_that_take_much_are_refused), TEST(much_memory_is_given_back), TEST(hostile_documents));
}
