/*
 * test_batch_json_unstored.c - batch/json.h: columns whose rules count and whose values no column holds.
 */
#include "test_batch_json.h"

/* What is not stored is in no array, and its rules count as if it were: the same points, the same reasons. */
static void unstored_columns_are_checked_alone(void)
{
	static const char *const kinds[] = {"gold", "silver"};
	static const char *const events[] = {
	        "{\"id\":\"a\",\"p\":{\"plan\":\"gold\",\"bill\":1.50,\"n\":3,\"on\":true,\"t\":\"2026-01-31\"}}",
	        "{\"id\":\"b\",\"p\":{\"plan\":\"tin\",\"bill\":\"n/a\",\"n\":1.5,\"on\":0,\"t\":\"soon\"}}",
	        "{\"id\":\"c\",\"p\":{\"plan\":5,\"bill\":-1,\"n\":2147483648,\"on\":null,\"t\":5}}",
	        "{\"id\":\"d\",\"p\":[]}", "{\"p\":{\"plan\":\"silver\",\"bill\":\"7.25\",\"n\":-0}}"};
	struct json_column columns[] = {
	        {.name = "id", .pointer = "/id", .type = JSON_VARCHAR, .required = true},
	        {.name = "plan",
	         .pointer = "/p/plan",
	         .type = JSON_VARCHAR,
	         .required = true,
	         .allowed = kinds,
	         .allowed_count = 2},
	        {.name = "bill",
	         .pointer = "/p/bill",
	         .type = JSON_DECIMAL,
	         .precision = 10,
	         .scale = 2,
	         .has_minimum = true,
	         .weight = 2},
	        {.name = "n", .pointer = "/p/n", .type = JSON_INTEGER},
	        {.name = "seen", .pointer = "/p/on", .type = JSON_BOOLEAN},
	        {.name = "day", .pointer = "/p/t", .type = JSON_DATE},
	        {.name = "any", .pointer = "/p/t", .type = JSON_JSON},
	        {.name = "payload", .pointer = "/p", .type = JSON_JSON},
	};
	struct json_rules rules = {
	        .score = "score", .reasons = "why", .missing = 9, .wrong_type = 5, .out_of_range = 3};
	struct json_decoder *decoder = declared(columns, COUNT_OF(columns), rules);
	char all[8192], *at = all;

	for (size_t i = 0; i < COUNT_OF(events); i++)
		CHECK_TEXT(add(decoder, events[i]), "");
	snprintf(all, sizeof all, "%s", taken(decoder));
	json_decoder_free(decoder);
	for (int i = 1; i < 7; i++)
		columns[i].unstored = true;
	decoder = declared(columns, COUNT_OF(columns), rules);
	for (size_t i = 0; i < COUNT_OF(events); i++)
		CHECK_TEXT(add(decoder, events[i]), "");
	CHECK_TEXT(taken(decoder),
	           "id=a payload={\"plan\":\"gold\",\"bill\":1.50,\"n\":3,\"on\":true,\"t\":\"2026-01-31\"} "
	           "score=100 why= | "
	           "id=b payload={\"plan\":\"tin\",\"bill\":\"n/a\",\"n\":1.5,\"on\":0,\"t\":\"soon\"} "
	           "score=72 why=plan is none of its values ('tin'); "
	           "bill is a text ('n/a'), not a number with as many digits as its decimal holds; "
	           "n is a number (1.5), not a whole number of 32 bits; seen is a number (0), not true or false; "
	           "day is a text ('soon'), not a date such as 2026-01-31 | "
	           "id=c payload={\"plan\":5,\"bill\":-1,\"n\":2147483648,\"on\":null,\"t\":5} "
	           "score=79 why=plan is a number (5), not a text; bill is out of range (-1): at least 0; "
	           "n is a number (2147483648), not a whole number of 32 bits; "
	           "day is a number (5), not a date such as 2026-01-31 | "
	           "id=d payload=[] score=91 why=plan is missing | "
	           "id=null payload={\"plan\":\"silver\",\"bill\":\"7.25\",\"n\":-0} score=91 why=id is missing");
	/* With columns of their own the scores and reasons are the same. */
	for (const char *score = shown; (score = strstr(score, "score=")); score++) {
		size_t size = strstr(score, " | ") ? (size_t)(strstr(score, " | ") - score) : strlen(score);

		at = strstr(at, "score=");
		CHECK(at && !strncmp(at, score, size));
		at++;
	}
	json_decoder_free(decoder);
}

static void no_column_of_theirs_is_in_the_schema(void)
{
	struct json_column columns[] = {{.unstored = true, .name = "a", .pointer = "/a", .type = JSON_BIGINT},
	                                {.name = "b", .pointer = "/b", .type = JSON_BIGINT},
	                                {.unstored = true, .name = "c", .pointer = "/c", .type = JSON_JSON}};
	struct json_decoder *decoder = declared(columns, 3, (struct json_rules){.raw = "raw"});
	struct error err = {0};
	struct batch_set set;
	int64_t stored;

	CHECK_TEXT(add(decoder, "{\"b\":2}"), "");
	stored = json_bytes(decoder);
	CHECK_TEXT(add(decoder, "{\"b\":2}"), "");
	stored = json_bytes(decoder) - stored;
	CHECK_INT(json_take(decoder, NULL, NULL, &set, &err), 0);
	CHECK_INT(set.schema->arrow->n_children, 2);
	CHECK_TEXT(set.schema->arrow->children[0]->name, "b");
	CHECK_TEXT(set.schema->arrow->children[1]->name, "raw");
	CHECK_INT(set.arrays[0].n_children, 2);
	batch_set_release(&set);
	/* nor are its bytes counted: those of the raw text alone are more */
	CHECK_TEXT(add(decoder, "{\"b\":2}"), "");
	stored += json_bytes(decoder);
	CHECK_TEXT(add(decoder, "{\"a\":1,\"b\":2,\"c\":[1,2,3,4,5,6,7]}"), "");
	CHECK_INT(json_bytes(decoder), stored + (int64_t)strlen("\"a\":1,,\"c\":[1,2,3,4,5,6,7]"));
	json_decoder_free(decoder);
}

/* Nothing kept: what breaks an unstored column's rule is refused; where it is the only reader of a value, too. */
static void without_a_score_an_unstored_column_refuses(void)
{
	struct json_column columns[] = {
	        {.name = "id", .pointer = "/id", .type = JSON_VARCHAR},
	        {.unstored = true, .name = "n", .pointer = "/n", .type = JSON_BIGINT, .required = true},
	        {.unstored = true, .name = "id_n", .pointer = "/id", .type = JSON_VARCHAR, .required = true}};
	struct json_decoder *decoder = declared(columns, 3, (struct json_rules){0});

	CHECK_TEXT(add(decoder, "{\"id\":\"a\",\"n\":1}"), "");
	CHECK_HAS(add(decoder, "{\"id\":\"b\"}"), "n is missing");
	CHECK_HAS(add(decoder, "{\"id\":\"b\",\"n\":\"2\"}"), "n is a text ('2'), not a whole number");
	CHECK_HAS(add(decoder, "{\"id\":\"b\",\"n\":1,\"n\":2}"), "the key 'n' stands there twice");
	CHECK_HAS(add(decoder, "{\"id\":\"c\",\"n\":3}\n{\"n\":4}"), "line 2, byte 17: id_n is missing");
	CHECK_TEXT(add(decoder, "{\"id\":\"d\",\"n\":5}"), "");
	CHECK_INT(json_rows(decoder), 2);
	CHECK_TEXT(taken(decoder), "id=a | id=d");
	json_decoder_free(decoder);
}

/* Of all that is declared a table can hold Tarn's own columns alone. */
static void own_columns_beside_unstored_ones(void)
{
	struct json_column column = {.unstored = true, .name = "a", .pointer = "/a", .type = JSON_BIGINT};
	struct json_decoder *decoder = declared(&column, 1, (struct json_rules){.score = "score", .wrong_type = 20});

	CHECK_TEXT(add(decoder, "{\"a\":1}\n{\"a\":\"1\"}"), "");
	CHECK_TEXT(taken(decoder), "score=100 | score=80");
	json_decoder_free(decoder);
}

static void names_and_none_stored(void)
{
	struct json_column columns[] = {{.name = "a", .pointer = "/a"},
	                                {.unstored = true, .name = "b", .pointer = "/b"}};
	struct json_rules rules = {.columns = columns, .column_count = 2, .raw = "B"};
	struct error err = {0};

	CHECK(!json_decoder_new(&rules, NULL, &err)); /* reasons would not tell them apart */
	CHECK_HAS(err.message, "two columns are called 'b' and 'B'");
	columns[0].unstored = true;
	columns[0].name = "B";
	CHECK(!json_decoder_new(&rules, NULL, &err));
	CHECK_HAS(err.message, "two columns are called 'B' and 'b'");
	columns[0].name = "a";
	rules.raw = NULL;
	CHECK(!json_decoder_new(&rules, NULL, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "no column is stored");
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(unstored_columns_are_checked_alone),
	                  TEST(no_column_of_theirs_is_in_the_schema), TEST(without_a_score_an_unstored_column_refuses),
	                  TEST(own_columns_beside_unstored_ones), TEST(names_and_none_stored));
}
