/* pool/describe.h: what is told of tables, and of which. */
#include "check.h"

#include "base/owned.h"
#include "lake/duck.h"
#include "pool/describe.h"

static const char *const schema[] = {
        "ATTACH ':memory:' AS lake",
        "CREATE SCHEMA lake.tarn",
        "CREATE SCHEMA lake.\"odd \"\"one\"",
        "CREATE TABLE lake.tarn.quarantine AS SELECT 'secret' AS raw",
        "CREATE TABLE lake.t AS SELECT CASE WHEN range % 4 = 0 THEN 'high' ELSE 'low' END AS risk, range AS n, [range] "
        "AS l, "
        "{'a': range} AS s, NULL::DATE AS d, repeat('x', 500) AS long FROM range(100)",
        "COMMENT ON TABLE lake.t IS 'it \"is\"'",
        "COMMENT ON COLUMN lake.t.risk IS 'how high'",
        "CREATE VIEW lake.v AS SELECT risk FROM lake.t",
        "CREATE TABLE lake.\"odd \"\"one\".\"a b\" (\"c d\" INTEGER)",
};

static struct duck *duck;
static struct duck_connection *connection;
static struct buffer out;

static const char *describe(const struct guard_rights *rights, const atomic_bool *ended)
{
	struct error err = {0};

	buffer_clear(&out);
	return describe_tables(connection, rights, ended, &out, &err) ? "failed" : buffer_string(&out);
}

static void opened(void)
{
	struct error err = {0};

	buffer_init(&out, 1 << 20);
	duck = duck_open(NULL, NULL, 0, &err);
	connection = duck ? duck_connect(duck, &err) : NULL;
	CHECK(connection);
	for (size_t i = 0; i < COUNT_OF(schema); i++)
		if (duck_exec(connection, schema[i], NULL, &err))
			CHECK_FAIL("%s: %s", schema[i], err.message);
}

static void all_is_told(void)
{
	const char *text = describe(&(struct guard_rights){NULL, -1}, NULL);

	CHECK_HAS(text,
	          "{\"tables\":[{\"schema\":\"main\",\"name\":\"t\",\"kind\":\"table\",\"comment\":\"it "
	          "\\\"is\\\"\",\"rows\":100,\"columns\":["
	          "{\"name\":\"risk\",\"type\":\"VARCHAR\",\"comment\":\"how high\",\"samples\":[\"low\",\"high\"]},");
	CHECK_HAS(text, "{\"name\":\"l\",\"type\":\"BIGINT[]\",\"comment\":null,\"samples\":[]}");
	CHECK_HAS(text, "{\"name\":\"d\",\"type\":\"DATE\",\"comment\":null,\"samples\":[]}");
	CHECK_HAS(text,
	          "{\"schema\":\"main\",\"name\":\"v\",\"kind\":\"view\",\"comment\":null,\"rows\":null,\"columns\":["
	          "{\"name\":\"risk\",\"type\":\"VARCHAR\",\"comment\":null,\"samples\":[]}]}");
	CHECK_HAS(text, "{\"schema\":\"odd \\\"one\",\"name\":\"a "
	                "b\",\"kind\":\"table\",\"comment\":null,\"rows\":0,\"columns\":["
	                "{\"name\":\"c d\",\"type\":\"INTEGER\"");
	CHECK(!strstr(text, "tarn") && !strstr(text, "secret"));
	CHECK(!strstr(text, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
}

static void rights_hold(void)
{
	static const char *const mine[] = {"v"};

	CHECK_TEXT(describe(&(struct guard_rights){mine, 1}, NULL),
	           "{\"tables\":[{\"schema\":\"main\",\"name\":\"v\",\"kind\":\"view\",\"comment\":null,\"rows\":null,"
	           "\"columns\":["
	           "{\"name\":\"risk\",\"type\":\"VARCHAR\",\"comment\":null,\"samples\":[]}]}]}\n");
	CHECK_TEXT(describe(&(struct guard_rights){mine, 0}, NULL), "{\"tables\":[]}\n");
}

static void it_ends_when_it_is_not_wanted(void)
{
	atomic_bool ended = true;

	CHECK_TEXT(describe(&(struct guard_rights){NULL, -1}, &ended), "failed");
}

static void closed(void)
{
	buffer_release(&out);
	duck_disconnect(connection);
	duck_close(duck);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(opened), TEST(all_is_told), TEST(rights_hold),
	                  TEST(it_ends_when_it_is_not_wanted), TEST(closed));
}
