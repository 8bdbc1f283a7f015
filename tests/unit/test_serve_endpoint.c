/* From a path and its arguments to an endpoint's values (endpoint_request.h), and cursors (cursor.h). */
#include "test_spec.h"

#include "base/owned.h"
#include "serve/cursor.h"
#include "serve/endpoint_request.h"

#define E(name, path, rest)                                                                                            \
	"---\n" V "kind: DuckLakeEndpoint\nmetadata: {name: " name "}\nspec:\n  path: " path "\n  sql: " rest "\n"
#define IDS "  parameters: [{name: id, type: integer, minimum: 1}]"

static struct manifest *manifest;

static void setup(void)
{
	manifest =
	        parse(LAKE E("all", "/a", "SELECT 1") E("one", "/a/{id}", "SELECT $id\n" IDS)
	                      E("top", "/a/top", "SELECT 2") E("calls", "/a/{id}/calls", "SELECT $id\n" IDS)
	                              E("b", "/{x}/b/{y}", "SELECT $x, $y\n  parameters: [{name: x}, {name: y}]")
	                                      E("c", "/c/{x}/d", "SELECT $x\n  parameters: [{name: x}]")
	                                              E("pages", "/pages",
	                                                "SELECT $risk, $at\n"
	                                                "  parameters:\n"
	                                                "    - {name: limit, type: integer, default: 20, minimum: 1, "
	                                                "maximum: 100}\n"
	                                                "    - {name: risk, enum: [high, low]}\n"
	                                                "    - {name: at, type: timestamp, required: true}\n"
	                                                "  page: {key: [a], size: limit}"));
	if (!manifest) {
		printf("# %s\n", err.message);
		abort();
	}
}

static const char *found(const char *path)
{
	const struct spec_endpoint *endpoint = endpoint_find(manifest, path);

	return endpoint ? endpoint->name : "none";
}

static void paths(void)
{
	CHECK_TEXT(found("/a"), "all");
	CHECK_TEXT(found("/a/7"), "one");
	CHECK_TEXT(found("/a/top"), "top");
	CHECK_TEXT(found("/a/7/calls"), "calls");
	CHECK_TEXT(found("/a/top/calls"), "calls");
	CHECK_TEXT(found("/a/b/calls"), "calls");
	CHECK_TEXT(found("/c/b/d"), "c");
	CHECK_TEXT(found("/x/b/d"), "b");
	CHECK_TEXT(found("/"), "none");
	CHECK_TEXT(found(""), "none");
	CHECK_TEXT(found("/a/"), "none");
	CHECK_TEXT(found("//a"), "none");
	CHECK_TEXT(found("/A"), "none");
	CHECK_TEXT(found("/a/7/"), "none");
	CHECK_TEXT(found("/a//calls"), "none");
	CHECK_TEXT(found("/a/7/calls/x"), "none");
	CHECK_TEXT(found("a"), "none");
	CHECK_TEXT(found("/ab"), "none");
}

/* The values as JSON, or the error. */
static const char *values_of(const char *path, int count, const struct endpoint_argument *arguments)
{
	static struct buffer key;
	const struct spec_endpoint *endpoint = endpoint_find(manifest, path);
	struct endpoint_values values;

	if (!key.maximum)
		buffer_init(&key, 100000);
	buffer_clear(&key);
	memset(&err, 0, sizeof err);
	if (endpoint_values_read(endpoint, path, arguments, count, &values, &err))
		return err.kind == ERROR_INVALID ? err.message : "another kind";
	endpoint_values_key(endpoint, &values, true, &key);
	if (values.cursor)
		buffer_printf(&key, " %s", values.cursor);
	if (values.page_rows)
		buffer_printf(&key, " %lld", (long long)values.page_rows);
	endpoint_values_release(&values);
	return buffer_string(&key);
}
#define ARGUMENTS(...)                                                                                                 \
	sizeof((const struct endpoint_argument[]){__VA_ARGS__}) / sizeof(struct endpoint_argument),                    \
	        (const struct endpoint_argument[])                                                                     \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}

static void values(void)
{
	CHECK_TEXT(values_of("/a", 0, NULL), "[]");
	CHECK_TEXT(values_of("/a/07", 0, NULL), "[7]");
	CHECK_TEXT(values_of("/q'\"/b/d; DROP", 0, NULL), "[\"q'\\\"\",\"d; DROP\"]");
	CHECK_TEXT(values_of("/pages", ARGUMENTS({"at", "2024-01-01 00:00:00"})),
	           "[20,null,\"2024-01-01T00:00:00.000000Z\"] 20");
	CHECK_TEXT(values_of("/pages", ARGUMENTS({"risk", "low"}, {"limit", "007"}, {"at", "2024-01-01T01:00:00+01:00"},
	                                         {"cursor", "xyz"})),
	           "[7,\"low\",\"2024-01-01T00:00:00.000000Z\"] xyz 7");
}

#define AT                                                                                                             \
	{                                                                                                              \
		"at", "2024-01-01T00:00:00Z"                                                                           \
	}

static void wrong_values(void)
{
	CHECK_TEXT(values_of("/a/0", 0, NULL), "The parameter id, '0': is below 1");
	CHECK_TEXT(values_of("/a/x", 0, NULL),
	           "The parameter id, 'x': is not a whole number; would be a whole number of 64 bits");
	CHECK_TEXT(values_of("/a", ARGUMENTS({"x", "1"})), "There is no parameter 'x' here; there is none");
	CHECK_TEXT(values_of("/a", ARGUMENTS({"cursor", "1"})), "There is no parameter 'cursor' here; there is none");
	CHECK_TEXT(values_of("/a/1", ARGUMENTS({"id", "1"})), "There is no parameter 'id' here; there is none");
	CHECK_TEXT(values_of("/pages", ARGUMENTS({"Limit", "1"})),
	           "There is no parameter 'Limit' here; there are limit, risk, at, cursor");
	CHECK_TEXT(values_of("/pages", ARGUMENTS({"", ""})),
	           "There is no parameter '' here; there are limit, risk, at, cursor");
	CHECK_TEXT(values_of("/pages", ARGUMENTS({"\x1b[2J", ""})),
	           "There is no parameter '?[2J' here; there are limit, risk, at, cursor");
	CHECK_TEXT(values_of("/pages", 0, NULL), "The parameter at is missing; it is of type timestamp");
	CHECK_TEXT(values_of("/pages", ARGUMENTS(AT, AT)), "The parameter at stands there twice");
	CHECK_TEXT(values_of("/pages", ARGUMENTS(AT, {"cursor", "a"}, {"cursor", "a"})),
	           "The parameter cursor stands there twice");
	CHECK_TEXT(values_of("/pages", ARGUMENTS(AT, {"risk", "High"})),
	           "The parameter risk, 'High': is not one of high, low");
	CHECK_TEXT(values_of("/pages", ARGUMENTS(AT, {"risk", ""})), "The parameter risk, '': is not one of high, low");
	CHECK_TEXT(values_of("/pages", ARGUMENTS(AT, {"limit", "101"})), "The parameter limit, '101': is above 100");
	CHECK_TEXT(values_of("/pages", ARGUMENTS(AT, {"risk", "\xff"})),
	           "The parameter risk: is not UTF-8; would be a text in UTF-8");
}

/* ---- cursors */

static const char *cursor_of(int64_t snapshot, const char *key, const char *mark)
{
	static struct buffer out;

	if (!out.maximum)
		buffer_init(&out, 100000);
	buffer_clear(&out);
	cursor_write(&out, snapshot, &(struct cursor_origin){"lake", "now"}, key, mark);
	return buffer_string(&out);
}

static void cursors_come_back(void)
{
	static const char *const keys[] = {"[\"a\"]", "[null]", "[\"\\\"\\\\\\u0001\xc3\xa4\"]", "[\"\"]"};

	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		struct cursor cursor = {0};

		CHECK(!cursor_read(cursor_of(17, keys[i], "m"), "m", 1, &cursor, &err));
		CHECK_TEXT(cursor.key, keys[i]);
		CHECK_INT(cursor.snapshot, 17);
		CHECK_TEXT(cursor.origin.lake, "lake");
		CHECK_TEXT(cursor.origin.time, "now");
		cursor_release(&cursor);
	}
	/* nothing in it must be written otherwise in a URL */
	CHECK(!cursor_of(1, "[\"?a?>~>\"]",
	                 "m")[strspn(cursor_of(1, "[\"?a?>~>\"]", "m"),
	                             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")]);
}

/* What cannot be told makes none another one's. */
static void cursors_of_another_lake(void)
{
	const struct cursor_origin one = {"a", "1"}, unknown = {"", ""};

	CHECK(!cursor_origins_differ(&one, &one));
	CHECK(!cursor_origins_differ(&one, &unknown) && !cursor_origins_differ(&unknown, &one));
	CHECK(!cursor_origins_differ(&one, &(struct cursor_origin){"a", ""}));
	CHECK(cursor_origins_differ(&one, &(struct cursor_origin){"b", "1"}));
	CHECK(cursor_origins_differ(&one, &(struct cursor_origin){"a", "2"}));
	CHECK(cursor_origins_differ(&one, &(struct cursor_origin){"", "2"}));
}

static void wrong_cursors(void)
{
	char text[256];
	struct cursor cursor = {0};
	static const char *const wrong[] = {
	        "",         "A", "AA==", "a b", "W10", "e30", "WzEsMiwzXQ", "bm90IGpzb24", "%", "WzE3LCJhIixbImEiXV0",
	        "\xc3\xa4",
	};

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		CHECK_INT(cursor_read(wrong[i], "m", 1, &cursor, &err), -1);
		CHECK_TEXT(err.message,
		           "The cursor is not one that a page of this request had as its next; begin without one");
	}
	CHECK_INT(cursor_read(cursor_of(17, "[\"a\"]", "m"), "n", 1, &cursor, &err), -1);
	CHECK_INT(cursor_read(cursor_of(17, "[\"a\"]", "m"), "m", 2, &cursor, &err), -1);
	CHECK_INT(cursor_read(cursor_of(-1, "[\"a\"]", "m"), "m", 1, &cursor, &err), -1);
	CHECK_INT(cursor_read(cursor_of(17, "[1]", "m"), "m", 1, &cursor, &err), -1);
	CHECK_INT(cursor_read(cursor_of(17, "[[\"a\"]]", "m"), "m", 1, &cursor, &err), -1);
	/* each byte counts, but for one whose change is no change of a bit that says something: there is none */
	snprintf(text, sizeof text, "%s", cursor_of(17, "[\"abc\"]", "m"));
	for (size_t i = 0; i < strlen(text); i++) {
		char was = text[i];

		text[i] = was == 'A' ? 'B' : 'A';
		CHECK_INT(cursor_read(text, "m", 1, &cursor, &err), -1);
		text[i] = was;
	}
	CHECK_INT(cursor_read(text, "m", 1, &cursor, &err), 0);
	cursor_release(&cursor);
}

static void long_cursors(void)
{
	OWNED_BUFFER struct buffer key = {0};
	struct cursor cursor = {0};

	buffer_init(&key, 100000);
	buffer_text(&key, "[\"");
	for (int i = 0; i < 20000; i++)
		buffer_char(&key, 'x');
	buffer_text(&key, "\"]");
	CHECK_INT(cursor_read(cursor_of(17, buffer_string(&key), "m"), "m", 1, &cursor, &err), -1);
}

int main(int argc, char **argv)
{
	int rc;

	setup();
	rc = CHECK_MAIN(argc, argv, TEST(paths), TEST(values), TEST(wrong_values), TEST(cursors_come_back),
	                TEST(cursors_of_another_lake), TEST(wrong_cursors), TEST(long_cursors));
	manifest_free(manifest);
	return rc;
}
