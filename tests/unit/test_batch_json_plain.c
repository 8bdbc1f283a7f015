/*
 * test_batch_json_plain.c - batch/json_plain.c: what it takes is what yyjson's tree would give, and what it leaves to
 * the tree is refused in the tree's words. The same document is read by both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch/json_private.h"
#include "test_batch_json.h"

static const char *const kinds_allowed[] = {"BSS", "a longer one"};

static struct json_decoder *decoder_new(void)
{
	static struct json_column columns[] = {
	        {.name = "id", .pointer = "/id", .type = JSON_VARCHAR, .required = true},
	        {.name = "kind",
	         .pointer = "/kind",
	         .type = JSON_VARCHAR,
	         .allowed = kinds_allowed,
	         .allowed_count = 2},
	        {.name = "at", .pointer = "/at", .type = JSON_TIMESTAMPTZ},
	        {.name = "i", .pointer = "/p/i", .type = JSON_INTEGER, .has_minimum = true, .minimum = 0},
	        {.name = "d", .pointer = "/p/d", .type = JSON_DOUBLE},
	        {.name = "m", .pointer = "/p/d", .type = JSON_DECIMAL, .precision = 6, .scale = 2},
	        {.name = "b", .pointer = "/p/q/b", .type = JSON_BOOLEAN},
	        {.name = "j", .pointer = "/j", .type = JSON_JSON},
	        {.name = "deep", .pointer = "/p/0", .type = JSON_VARCHAR},
	};

	return declared(columns, COUNT_OF(columns),
	                (struct json_rules){.score = "score",
	                                    .reasons = "reasons",
	                                    .raw = "raw",
	                                    .missing = 1,
	                                    .wrong_type = 10,
	                                    .out_of_range = 20});
}

/* Behind a document that is not plain: the next ones are not tried. */
static void read_by_tree(const char *text, char *ret, size_t size)
{
	struct json_decoder *decoder = decoder_new();

	CHECK_TEXT(add(decoder, "{\"id\":\"\\u0041\"}"), "");
	taken(decoder);
	snprintf(ret, size, "%s", *add(decoder, text) ? reason : taken(decoder));
	json_decoder_free(decoder);
}

static void read_first(const char *text, char *ret, size_t size)
{
	struct json_decoder *decoder = decoder_new();

	snprintf(ret, size, "%s", *add(decoder, text) ? reason : taken(decoder));
	json_decoder_free(decoder);
}

static void same(const char *text)
{
	static char first[sizeof shown], tree[sizeof shown];

	read_first(text, first, sizeof first);
	read_by_tree(text, tree, sizeof tree);
	if (strcmp(first, tree) != 0)
		printf("# %s\n", text);
	CHECK_TEXT(first, tree);
}

static bool found(void *context, const struct key *key, yyjson_val *value)
{
	++*(int *)context;
	return true;
}

/* So that what is compared below is not twice the tree. */
static void plain_documents_are_taken(void)
{
	static const char text[] = "{ \"id\" : \"x\", \"n\":-1.50 ,\"p\":{\"i\":1,\"q\":{}}, \"z\":null}";
	yyjson_val values[PLAIN_VALUES];
	struct key root = {.cell = -1};
	struct error err = {0};
	int count = 0;

	key_of_pointer(&root, "/id", &err)->cell = 0;
	key_of_pointer(&root, "/p/i", &err)->cell = 1;
	key_of_pointer(&root, "/p/q/b", &err)->cell = 2;
	CHECK(json_plain(text, sizeof text - 1, &root, values, found, &count));
	CHECK_INT(count, 2);
	CHECK(yyjson_equals_str(&values[0], "x"));
	CHECK(yyjson_is_raw(&values[1]) && yyjson_get_len(&values[1]) == 1);
	key_release(&root);
}

static void both_ways_give_the_same(void)
{
	static const char *const texts[] = {
	        "{}",
	        "{\"id\":\"a\"}",
	        "{\"id\":\"a\",\"id\":\"b\"}",
	        "{\"x\":1,\"x\":2,\"id\":\"a\"}",
	        "{\"p\":{\"i\":1},\"p\":{\"i\":2}}",
	        "{\"p\":{\"i\":1},\"p\":{\"d\":2}}",
	        "{\"p\":5,\"j\":{\"a\":[1]},\"id\":{}}",
	        "{\"p\":[\"zero\"]}",
	        "{\"j\":\"text\"}",
	        "{\"j\":true,\"p\":{\"q\":{\"b\":false}}}",
	        "{\"j\":01}",
	        "{\"j\":-}",
	        "{\"j\":-0}",
	        "{\"j\":1.}",
	        "{\"j\":.5}",
	        "{\"j\":1.5e3}",
	        "{\"j\":+1}",
	        "{\"j\":NaN}",
	        "{\"j\":tru}",
	        "{\"j\":nulL}",
	        "{\"j\":truex}",
	        "{\"j\":1x}",
	        "{\"j\":1}}",
	        "{\"j\":1}x",
	        "{\"j\":1,}",
	        "{,\"j\":1}",
	        "{\"j\" 1}",
	        "{\"j\":}",
	        "{\"j\":1 \"id\":2}",
	        "{\"j\":'1'}",
	        "{\"j\":1",
	        "{\"j\":\"",
	        "{\"j",
	        "{",
	        "[1]",
	        "\"x\"",
	        "{\"id\":\"tab\there\"}",
	        "{\"id\":\"sixteen bytes and \x7f\"}",
	        "{\"id\":\"sixteen bytes and \xc3\xa4\"}",
	        "{\"id\":\"sixteen bytes and \xff\"}",
	        "{\"id\":\"sixteen bytes and \\n\"}",
	        "{\"\":1,\"id\":\"\"}",
	        "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\",\"j\":[}",
	        "{\n\t\"id\" : \"a\" ,\r\n\t\"p\" : { \"d\" : 1234.5 }\n}",
	};

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		same(texts[i]);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* A good document, of which some bytes are others, are gone, or stand twice. */
static void changed_documents_give_the_same(void)
{
	static const char good[] =
	        "{\"id\":\"0123456789abcdef0123\",\"kind\":\"BSS\",\"at\":\"2026-01-31T12:30:00.5Z\",\"p\":{"
	        "\"i\":-12,\"d\":1203.50,\"q\":{\"b\":true}},\"j\":null,\"other\":10}";
	static const char bytes[] = "\"\\{}[]:,-+.eE0159tfn \n\x01\x7f\xc3";
	uint32_t state = 1;

	for (int i = 0; i < 20000; i++) {
		char text[sizeof good + 8];
		size_t size = sizeof good;

		memcpy(text, good, sizeof good);
		for (uint32_t changes = 1 + next_random(&state) % 3; changes; changes--) {
			size_t at = next_random(&state) % (size - 1);

			switch (next_random(&state) % 3) {
			case 0: text[at] = bytes[next_random(&state) % (sizeof bytes - 1)]; break;
			case 1: memmove(text + at, text + at + 1, size-- - at - 1); break;
			default: memmove(text + at + 1, text + at, size++ - at); break;
			}
		}
		same(text);
	}
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(plain_documents_are_taken), TEST(both_ways_give_the_same),
	                  TEST(changed_documents_give_the_same));
}
