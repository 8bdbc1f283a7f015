/* The request from a server to its worker: all of it comes back as it was, and nothing half. */
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "check.h"
#include "pool/frame.h"
#include "pool/request.h"

static void write_out(const struct request *request, struct buffer *out)
{
	buffer_init(out, 1 << 20);
	request_write(request, out);
	CHECK(buffer_ok(out));
}

static void all_comes_back(void)
{
	struct request_parameter parameters[] = {{"limit", "20", PARAMETER_INTEGER}, {NULL, "\"a\\\"b\"", -1}};
	struct spec_property null_as[] = {{"*", "0"}, {"name", "\"\""}};
	char *tables[] = {"main.gold_*", "silver"}, *keys[] = {"score", "id"};
	struct request before = {
	        .op = REQUEST_QUERY,
	        .sql = "SELECT 'é\n\"' FROM t WHERE a = $limit",
	        .parameters = parameters,
	        .parameter_count = 2,
	        .format = ANSWER_NDJSON,
	        .object = true,
	        .null_as = null_as,
	        .null_as_count = 2,
	        .snapshot = 9007199254740993,
	        .tables = tables,
	        .table_count = 2,
	        .max_rows = 1000,
	        .max_ms = 30000,
	        .memory_bytes = (int64_t)1 << 30,
	        .page_key = keys,
	        .page_key_count = 2,
	        .page_rows = 50,
	        .page_after = "[0.5,\"x\"]",
	};
	struct request after;
	struct error err = {0};
	OWNED_BUFFER struct buffer text = {0}, again = {0};

	write_out(&before, &text);
	CHECK(request_read(text.data, text.size, &after, &err) == 0);
	CHECK(after.snapshot == before.snapshot && after.table_count == 2 && after.parameters[1].name == NULL);
	CHECK(!strcmp(after.sql, before.sql) && !strcmp(after.parameters[1].json, parameters[1].json));
	write_out(&after, &again);
	CHECK(!strcmp(text.data, again.data));
	request_release(&after);
}

/* Characters that JSON escapes are six bytes of the parameter's JSON each: what fits into a frame is taken. */
static void takes_what_a_frame_holds(void)
{
	OWNED_BUFFER struct buffer json = {0}, text = {0};
	struct request_parameter parameter = {.type = -1};
	struct request request = {.op = REQUEST_QUERY, .sql = "SELECT $1", .parameters = &parameter}, after;
	struct error err = {0};

	buffer_init(&json, FRAME_BYTES_MAX);
	buffer_char(&json, '"');
	for (int i = 0; i < 1450000; i++)
		buffer_text(&json, "\\u007f");
	buffer_char(&json, '"');
	parameter.json = json.data;
	request.parameter_count = 1;
	buffer_init(&text, FRAME_BYTES_MAX);
	request_write(&request, &text);
	CHECK(buffer_ok(&json) && buffer_ok(&text));
	if (request_read(text.data, text.size, &after, &err))
		CHECK_FAIL("%s", err.message);
	CHECK(!strcmp(after.parameters[0].json, json.data));
	request_release(&after);
}

static void tells_rights_of_all_and_of_none(void)
{
	struct request request = {.op = REQUEST_DESCRIBE, .snapshot = -1, .table_count = -1}, after;
	struct error err = {0};
	OWNED_BUFFER struct buffer all = {0}, none = {0};

	write_out(&request, &all);
	CHECK(request_read(all.data, all.size, &after, &err) == 0);
	CHECK(after.table_count == -1);
	request_release(&after);
	request.table_count = 0;
	write_out(&request, &none);
	CHECK(request_read(none.data, none.size, &after, &err) == 0);
	CHECK(after.table_count == 0);
	request_release(&after);
}

static void refuses_what_is_wrong(void)
{
	static const char *const wrong[] = {
	        "",
	        "[]",
	        "{}",
	        "null",
	        "{\"op\":\"query\"}",
	        "{\"op\":\"drop\",\"sql\":\"SELECT 1\"}",
	        "{\"op\":\"query\",\"sql\":1}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\\u0000; DROP TABLE t\"}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"sql\":\"SELECT 2\"}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"guard\":false}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"format\":\"xml\"}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"object\":1}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"max_rows\":-1}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"max_rows\":1.5}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"max_ms\":18446744073709551615}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"snapshot\":-2}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"tables\":null}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"tables\":[1]}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"parameters\":[1]}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"parameters\":[{\"json\":\"1\",\"type\":99}]}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"parameters\":[{\"json\":\"1\",\"type\":-1,\"x\":1}]}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"null_as\":[{\"name\":\"a\"}]}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"null_as\":[3]}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\",\"page_after\":\"[1]\"}",
	        "{\"op\":\"query\",\"sql\":\"SELECT 1\"} x",
	};

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct request request;
		struct error err = {0};

		CHECK(request_read(wrong[i], strlen(wrong[i]), &request, &err) == -1);
		CHECK(err.kind == ERROR_CORRUPT);
	}
}

static void names_refusals(void)
{
	for (int i = REFUSAL_NONE + 1; i < REFUSAL_COUNT; i++) {
		CHECK(refusal_find(refusal_name((enum refusal)i)) == (enum refusal)i);
		CHECK(refusal_status((enum refusal)i) >= 400 && refusal_status((enum refusal)i) < 600);
		CHECK(*refusal_title((enum refusal)i));
	}
	CHECK(refusal_find("no such thing") == REFUSAL_INTERNAL);
	CHECK(refusal_find(NULL) == REFUSAL_INTERNAL);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(all_comes_back), TEST(takes_what_a_frame_holds),
	                  TEST(tells_rights_of_all_and_of_none), TEST(refuses_what_is_wrong), TEST(names_refusals));
}
