/*
 * test_batch_json_plain.c - batch/json_plain.c: what it takes is what yyjson's tree would give, and what it leaves to
 * the tree is refused in the tree's words. The same document is read by both, each time right before a page that may
 * not be read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "batch/json_private.h"
#include "test_batch_json.h"

static const char *const kinds_allowed[] = {"BSS", "a longer one"};

/* A document in which values of other types are told, or one that they refuse. */
enum way { SCORED, STRICT, WAY_COUNT };

static struct json_decoder *decoder_new(enum way way)
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
	        {.name = "v_int", .pointer = "/v", .type = JSON_INTEGER},
	        {.name = "v_big", .pointer = "/v", .type = JSON_BIGINT, .has_minimum = true, .minimum = -5},
	        {.name = "v_double", .pointer = "/v", .type = JSON_DOUBLE, .has_maximum = true, .maximum = 1e9},
	        {.name = "v_decimal", .pointer = "/v", .type = JSON_DECIMAL, .precision = 38, .scale = 10},
	        {.name = "v_text", .pointer = "/v", .type = JSON_VARCHAR, .allowed = kinds_allowed, .allowed_count = 2},
	        {.name = "v_date", .pointer = "/v", .type = JSON_DATE},
	        {.name = "v_time", .pointer = "/v", .type = JSON_TIMESTAMP},
	        {.name = "v_s", .pointer = "/v", .type = JSON_EPOCH_S},
	        {.name = "v_ms", .pointer = "/v", .type = JSON_EPOCH_MS},
	        {.name = "v_json", .pointer = "/v", .type = JSON_JSON},
	};

	/* Of the strict one the first nine: what /v holds would be of a wrong type for most. */
	return declared(columns, way == STRICT ? 9 : COUNT_OF(columns),
	                (struct json_rules){.score = way == STRICT ? NULL : "score",
	                                    .reasons = way == STRICT ? NULL : "reasons",
	                                    .raw = "raw",
	                                    .missing = 1,
	                                    .wrong_type = 10,
	                                    .out_of_range = 20});
}

#define WALL_BEFORE ((size_t)1 << 20) /* bytes that may be read before it */

#ifdef __SANITIZE_ADDRESS__ /* slow: a share of what the plain build compares */
#define CHANGED_DOCUMENTS 2000
#define BYTE_STEP 7
#else
#define CHANGED_DOCUMENTS 20000
#define BYTE_STEP 1
#endif

/* The first byte that may not be read. */
static char *wall(void)
{
	static char *at;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (!at) {
		char *memory =
		        mmap(NULL, WALL_BEFORE + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED || mprotect(memory + WALL_BEFORE, page, PROT_NONE)) {
			perror("mmap");
			exit(1);
		}
		at = memory + WALL_BEFORE;
	}
	return at;
}

/* What json_add said, or what it made of the text. */
static void read_at_wall(struct json_decoder *decoder, const char *text, size_t size, char *ret, size_t room)
{
	struct error err = {0};

	memcpy(wall() - size, text, size);
	if (json_add(decoder, (const uint8_t *)wall() - size, size, NOW, &err))
		snprintf(ret, room, "%s", err.message);
	else
		snprintf(ret, room, "%s", taken(decoder));
	json_decoder_free(decoder);
}

static struct json_decoder *tree_new(enum way way)
{
	struct json_decoder *decoder = decoder_new(way);

	/* Behind a document that is not plain: the next ones are not tried. */
	if (*add(decoder, "{\"id\":\"\\u0041\"}"))
		abort();
	taken(decoder);
	return decoder;
}

static void same_bytes(const char *text, size_t size)
{
	static char first[sizeof shown], tree[sizeof shown];

	for (enum way way = SCORED; way < WAY_COUNT; way++) {
		read_at_wall(decoder_new(way), text, size, first, sizeof first);
		read_at_wall(tree_new(way), text, size, tree, sizeof tree);
		if (strcmp(first, tree) != 0)
			printf("# %.*s\n", (int)size, text);
		CHECK_TEXT(first, tree);
	}
}

static void same(const char *text)
{
	same_bytes(text, strlen(text));
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

	for (int i = 0; i < CHANGED_DOCUMENTS; i++) {
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

static const char plain[] =
        "{\"id\":\"0123456789abcdef0123\",\"kind\":\"BSS\",\"at\":\"2026-01-31T12:30:00.5Z\",\"p\":{"
        "\"i\":12,\"d\":1203.50,\"q\":{\"b\":true}},\"j\":null,\"other\":false,\"v\":-10.25}";

/* Each end that a document may have: it stands right before the wall. */
static void cut_documents_give_the_same(void)
{
	for (size_t size = 0; size < sizeof plain; size++)
		same_bytes(plain, size);
	for (size_t from = 0; from < sizeof plain - 1; from++)
		same_bytes(plain + from, sizeof plain - 1 - from);
	for (int byte = 0; byte < 256; byte++)
		same_bytes(&(char){(char)byte}, 1);
}

/* Each byte in each place of a text that is long enough for a step of 16. */
static void each_byte_in_a_text_gives_the_same(void)
{
	static const char whole[] = "{\"id\":\"0123456789abcdefghi\",\"x\":\"0123456789abcdefghi\"}";

	for (size_t at = 0; at < sizeof whole - 1; at++)
		for (int byte = (int)at % BYTE_STEP; byte < 256; byte += BYTE_STEP) {
			char text[sizeof whole];

			memcpy(text, whole, sizeof whole);
			text[at] = (char)byte;
			same_bytes(text, sizeof whole - 1);
		}
}

static void values_give_the_same(void)
{
	static const char *const values[] = {
	        "0",
	        "-0",
	        "0.0",
	        "-0.0",
	        "-0.000",
	        "00",
	        "-00",
	        "-",
	        "--1",
	        "+1",
	        "1.",
	        ".1",
	        "-.1",
	        "1..2",
	        "1.2.3",
	        "1e5",
	        "1E5",
	        "1e+5",
	        "1e-5",
	        "1e",
	        "1e+",
	        "1.5e3",
	        "-1.5E-3",
	        "0e0",
	        "1e400",
	        "-1e400",
	        "1e-400",
	        "1e99999999999999999999",
	        "2147483647",
	        "2147483648",
	        "-2147483648",
	        "-2147483649",
	        "9223372036854775807",
	        "9223372036854775808",
	        "-9223372036854775808",
	        "-9223372036854775809",
	        "18446744073709551616",
	        "9007199254740993",
	        "9007199254740993.0",
	        "4503599627370497.25",
	        "1.00000000000000000001",
	        "123456789012345",
	        "1234567890123456",
	        "123456789012345678901234567890123456789012345678901234567890",
	        "0.1",
	        "0.30000000000000004",
	        "0.1234567890123456789012345678901234567890",
	        "3.0",
	        "5.50",
	        "1000000000",
	        "1000000000.5",
	        "179769313486231570000000000000000000000000000000",
	        "99999999999999.9",
	        "999999999999999",
	        "0.00000000000001",
	        "NaN",
	        "nan",
	        "Infinity",
	        "-Infinity",
	        "inf",
	        "0x10",
	        "1_0",
	        "1 0",
	        "1a",
	        "1\"",
	        "1:",
	        "1]",
	        "true1",
	        "truE",
	        "falsey",
	        "nul",
	        "null0",
	        "undefined",
	        "",
	        " ",
	        "'a'",
	        "[]",
	        "{}",
	        "[1,2]",
	        "{\"a\":1}",
	        "[[[[]]]]",
	        "[",
	        "\"\"",
	        "\"a\"",
	        "\"BSS\"",
	        "\"a longer one\"",
	        "\"a longer on\"",
	        "\"12.50\"",
	        "\"-0\"",
	        "\"1e5\"",
	        "\"1e\"",
	        "\"1e \"",
	        "\" 1\"",
	        "\".\"",
	        "\"-\"",
	        "\"2026-01-31\"",
	        "\"2026-01-31T12:30\"",
	        "\"2026-01-31T12:30:00.123456789+02:00\"",
	        "\"2026-02-30\"",
	        "\"2026-01-31T12:30:00.\"",
	        "\"\\n\"",
	        "\"\\\"\"",
	        "\"\\\\\"",
	        "\"\\\"",
	        "\"\\u00e4\"",
	        "\"\\ud83d\\ude00\"",
	        "\"\\ud83d\"",
	        "\"\\x\"",
	        "\"\xc3\xa4\"",
	        "\"\xf0\x9f\x98\x80\"",
	        "\"\xc0\x80\"",
	        "\"\xed\xa0\x80\"",
	        "\"\xff\"",
	        "\"\x80\"",
	        "\"\xc3\"",
	        "\"\x01\"",
	        "\"\t\"",
	        "\"\x7f\"",
	};
	static const char *const frames[] = {
	        "{\"id\":\"a\",\"v\":%s}",
	        "{\"id\":\"a\",\"x\":%s}",
	        "{\"id\":\"a\",\"v\" : %s , \"j\":1}",
	        "{\"p\":{\"d\":%s}}",
	        "{\"j\":%s,\"id\":%s}",
	        "{\"v\":1,\"v\":%s}",
	        "{\"v\":%s",
	};

	for (size_t v = 0; v < COUNT_OF(values); v++)
		for (size_t f = 0; f < COUNT_OF(frames); f++) {
			char text[512];

			snprintf(text, sizeof text, frames[f], values[v], values[v]);
			same(text);
		}
}

static void deep_and_long_documents_give_the_same(void)
{
	static const char *const heads[] = {"{\"j\":", "{\"x\":", "{\"p\":"};
	OWNED_BUFFER struct buffer text = {0};

	buffer_init(&text, WALL_BEFORE);
	for (int depth = 1; depth <= 100000; depth *= 10)
		for (size_t h = 0; h < COUNT_OF(heads); h++)
			for (int list = 0; list < 2; list++) {
				text.size = 0;
				for (int i = 0; i < depth; i++)
					buffer_text(&text, list && i ? "[" : heads[h]);
				buffer_text(&text, "1");
				for (int i = depth; i > 0; i--)
					buffer_text(&text, list && i > 1 ? "]" : "}");
				same_bytes(buffer_string(&text), text.size);
				same_bytes(buffer_string(&text), text.size / 2);
			}
	for (size_t size = 0; size < 300; size++) {
		text.size = 0;
		buffer_text(&text, "{\"id\":\"");
		for (size_t i = 0; i < size; i++)
			buffer_char(&text, 'x');
		buffer_text(&text, "\",\"v\":7}");
		same_bytes(buffer_string(&text), text.size);
	}
}

/* As many as there is room for, and one more. */
static void many_columns_give_the_same(void)
{
	static struct json_column columns[PLAIN_VALUES + 1];
	static char names[PLAIN_VALUES + 1][16], pointers[PLAIN_VALUES + 1][16];
	OWNED_BUFFER struct buffer text = {0}, wanted = {0};

	buffer_init(&text, WALL_BEFORE);
	buffer_init(&wanted, WALL_BEFORE);
	for (int i = 0; i <= PLAIN_VALUES; i++) {
		snprintf(names[i], sizeof names[i], "c%d", i);
		snprintf(pointers[i], sizeof pointers[i], "/c%d", i);
		columns[i] = (struct json_column){.name = names[i], .pointer = pointers[i], .type = JSON_INTEGER};
	}
	for (int count = PLAIN_VALUES - 1; count <= PLAIN_VALUES + 1; count++) {
		struct json_decoder *decoder = declared(columns, PLAIN_VALUES + 1, (struct json_rules){0});
		static char read[sizeof shown];

		text.size = wanted.size = 0;
		for (int i = 0; i < count; i++)
			buffer_printf(&text, "%s\"c%d\":%d", i ? "," : "{", i, i);
		buffer_text(&text, "}");
		for (int i = 0; i <= PLAIN_VALUES; i++)
			buffer_printf(&wanted, i < count ? "%sc%d=%d" : "%sc%d=null", i ? " " : "", i, i);
		read_at_wall(decoder, buffer_string(&text), text.size, read, sizeof read);
		CHECK_TEXT(read, buffer_string(&wanted));
	}
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(plain_documents_are_taken), TEST(both_ways_give_the_same),
	                  TEST(changed_documents_give_the_same), TEST(cut_documents_give_the_same),
	                  TEST(each_byte_in_a_text_gives_the_same), TEST(values_give_the_same),
	                  TEST(deep_and_long_documents_give_the_same), TEST(many_columns_give_the_same));
}
