/* The pure parts of the service: what a client accepts, content codings, problems, the body of /query, targets. */
#include <zlib.h>
#include <zstd.h>

#include "check.h"
#include "serve/accept.h"
#include "serve/encode.h"
#include "serve/problem.h"
#include "serve/query_body.h"
#include "serve/rights.h"
#include "serve/stamp.h"
#include "serve/target.h"
#include "serve/token.h"

static void accepts_types(void)
{
	CHECK_INT(accept_type(NULL, "text/csv"), 1000);
	CHECK_INT(accept_type("*/*", "text/csv"), 1000);
	CHECK_INT(accept_type("text/*;q=0.5, */*;q=0.1", "text/csv"), 500);
	CHECK_INT(accept_type("text/*;q=0.5, */*;q=0.1", "application/json"), 100);
	/* the most specific decides, wherever it stands and however small it is */
	CHECK_INT(accept_type("text/csv;q=0, text/*", "text/csv"), 0);
	CHECK_INT(accept_type("text/*, text/csv; q=0.25", "text/csv"), 250);
	CHECK_INT(accept_type("TEXT/CSV ; Q=0.125", "text/csv"), 125);
	CHECK_INT(accept_type("text/csv;header=absent", "text/csv"), 0);
	CHECK_INT(accept_type("application/json, , text/csv", "text/csv"), 1000);
	CHECK_INT(accept_type("text/csv;q=1.5", "text/csv"), 0);
	CHECK_INT(accept_type("text/csv;q=0.1234", "text/csv"), 0);
	CHECK_INT(accept_type("text/csv;q=", "text/csv"), 0);
	CHECK_INT(accept_type("text/csv;q=1.000", "text/csv"), 1000);
	CHECK_INT(accept_type("x/y;a=\"q=0,\\\"\";q=0.5, text/csv", "text/csv"), 1000);
	CHECK_INT(accept_type("text/cs", "text/csv"), 0);
	CHECK_INT(accept_type("text/csvx", "text/csv"), 0);
	CHECK_INT(accept_type("", "text/csv"), 0);
}

static void accepts_codings(void)
{
	enum encoding encoding;

	CHECK_INT(accept_coding(NULL, "gzip"), 0);
	CHECK_INT(accept_coding(NULL, "identity"), 1000);
	CHECK_INT(accept_coding("gzip;q=0.5, *;q=0.1", "zstd"), 100);
	CHECK_INT(accept_coding("x-gzip", "gzip"), 1000);
	CHECK(encoding_choose(NULL, &encoding) && encoding == ENCODING_IDENTITY);
	CHECK(encoding_choose("", &encoding) && encoding == ENCODING_IDENTITY);
	CHECK(encoding_choose("gzip, deflate, br, zstd", &encoding) && encoding == ENCODING_ZSTD);
	CHECK(encoding_choose("gzip, zstd;q=0.9", &encoding) && encoding == ENCODING_GZIP);
	CHECK(encoding_choose("gzip;q=0.2, identity;q=0.5", &encoding) && encoding == ENCODING_IDENTITY);
	CHECK(encoding_choose("br", &encoding) && encoding == ENCODING_IDENTITY);
	CHECK(encoding_choose("*", &encoding) && encoding == ENCODING_ZSTD);
	CHECK(encoding_choose("*;q=0, gzip", &encoding) && encoding == ENCODING_GZIP);
	CHECK(!encoding_choose("*;q=0", &encoding));
	CHECK(!encoding_choose("identity;q=0", &encoding));
	CHECK(!encoding_choose("br, identity;q=0", &encoding));
}

/* ---- codings: each put can be decoded before the next one */

static size_t gunzip_all(const struct buffer *from, char *to, size_t size)
{
	z_stream zlib = {.next_in = (Bytef *)from->data, .avail_in = (uInt)from->size};

	if (inflateInit2(&zlib, 15 + 16) != Z_OK)
		return 0;
	zlib.next_out = (Bytef *)to;
	zlib.avail_out = (uInt)size;
	inflate(&zlib, Z_SYNC_FLUSH);
	inflateEnd(&zlib);
	return size - zlib.avail_out;
}

static size_t unzstd_all(const struct buffer *from, char *to, size_t size)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_inBuffer in = {from->data, from->size, 0};
	ZSTD_outBuffer out = {to, size, 0};

	while (in.pos < in.size && !ZSTD_isError(ZSTD_decompressStream(stream, &out, &in)))
		;
	ZSTD_freeDStream(stream);
	return out.pos;
}

static void check_encoder(enum encoding encoding, size_t (*decode)(const struct buffer *, char *, size_t))
{
	static char text[300000], back[400000];
	struct error err = {0};
	struct encoder *encoder = encoder_new(encoding, &err);
	struct buffer out = {0};

	buffer_init(&out, 1 << 20);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * i % 251);
	CHECK(encoder);
	CHECK_INT(encoder_put(encoder, "first rows\n", 11, &out, &err), 0);
	CHECK_INT(decode(&out, back, sizeof back), 11);
	CHECK_INT(encoder_put(encoder, text, sizeof text, &out, &err), 0);
	CHECK_INT(decode(&out, back, sizeof back), 11 + sizeof text);
	CHECK_INT(encoder_end(encoder, &out, &err), 0);
	CHECK_INT(decode(&out, back, sizeof back), 11 + sizeof text);
	CHECK(!memcmp(back + 11, text, sizeof text));
	encoder_free(encoder);
	buffer_release(&out);
}

static void encodes_in_parts(void)
{
	check_encoder(ENCODING_GZIP, gunzip_all);
	check_encoder(ENCODING_ZSTD, unzstd_all);
}

static void tells_problems(void)
{
	struct buffer out = {0};

	buffer_init(&out, 4096);
	problem_json(&out, 422, "rows", "Too \"many\"", "More than 10\nrows \xff.", "/a b/\xc3\xa4?");
	CHECK_TEXT(buffer_string(&out),
	           "{\"type\":\"urn:tarn:problem:rows\",\"title\":\"Too \\\"many\\\"\",\"status\":422,"
	           "\"detail\":\"More than 10\\nrows \xef\xbf\xbd.\",\"instance\":\"/a%20b/%C3%A4%3F\"}\n");
	buffer_release(&out);
	for (int i = 0; i < PROBLEM_COUNT; i++)
		CHECK(problem_status((enum problem)i) >= 400 && problem_status((enum problem)i) < 600);
	CHECK_INT(problem_of_status(414), PROBLEM_TARGET_SIZE);
	CHECK_INT(problem_of_status(503), PROBLEM_UNAVAILABLE);
	CHECK_INT(problem_of_status(599), PROBLEM_FAULT);
}

/* docs/http.md has each name with its status. */
static void every_problem_is_documented(void)
{
	struct buffer text = {0};
	struct error err = {0};

	buffer_init(&text, 1 << 20);
	CHECK_INT(stamp_read(TESTS_FOLDER "/../docs/http.md", &text, &err), 0);
	for (int i = 0; i < PROBLEM_COUNT + REFUSAL_COUNT; i++) {
		const char *name = i < PROBLEM_COUNT ? problem_name((enum problem)i)
		                                     : refusal_name((enum refusal)(i - PROBLEM_COUNT));
		int status = i < PROBLEM_COUNT ? problem_status((enum problem)i)
		                               : refusal_status((enum refusal)(i - PROBLEM_COUNT));
		char cell[64], column[16];
		const char *row;

		if (i == PROBLEM_COUNT + REFUSAL_NONE)
			continue;
		snprintf(cell, sizeof cell, "`%s`", name);
		snprintf(column, sizeof column, " | %d | ", status);
		for (row = strstr(buffer_string(&text), "| Name | Status |"); row; row = strchr(row + 1, '\n')) {
			char line[512];

			snprintf(line, sizeof line, "%.*s", (int)strcspn(row + 1, "\n"), row + 1);
			if (strstr(line, cell) && strstr(line, column))
				break;
		}
		if (!row)
			CHECK_FAIL("%s, %d, is not in docs/http.md", name, status);
	}
	buffer_release(&text);
}

/* ---- the body of /query */

static char mistake[512];

static bool reads(const char *text, struct query_body *body)
{
	struct error err = {0};
	int failed = query_body_json(text, strlen(text), body, &err);

	snprintf(mistake, sizeof mistake, "%s", err.message);
	if (failed && err.kind != ERROR_INVALID)
		snprintf(mistake, sizeof mistake, "not INVALID");
	return !failed;
}

static void reads_bodies(void)
{
	struct query_body body;

	CHECK(reads("{\"sql\":\"SELECT 1\"}", &body));
	CHECK_TEXT(body.sql, "SELECT 1");
	CHECK(!body.has_format && !body.catalog && !body.limit && !body.parameter_count);
	CHECK_INT(body.snapshot, -1);
	query_body_release(&body);
	CHECK(reads("{\"limit\":5,\"sql\":\"SELECT "
	            "$1\",\"format\":\"arrow\",\"catalog\":\"main\",\"snapshot\":0,\"params\":"
	            "[1, -2.50e3, 123456789012345678901234567890, \"a\\\"\\u00e4\", true, null]}",
	            &body));
	CHECK_INT(body.format, ANSWER_ARROW);
	CHECK_INT(body.limit, 5);
	CHECK_INT(body.snapshot, 0);
	CHECK_INT(body.parameter_count, 6);
	CHECK_TEXT(body.parameters[1].json, "-2.50e3");
	CHECK_TEXT(body.parameters[2].json, "123456789012345678901234567890");
	CHECK_TEXT(body.parameters[3].json, "\"a\\\"\xc3\xa4\"");
	CHECK_TEXT(body.parameters[5].json, "null");
	CHECK(!body.parameters[0].name);
	query_body_release(&body);
	CHECK(reads("{\"sql\":\"x\",\"params\":{\"a_1\":false,\"b\":\"\"}}", &body));
	CHECK_TEXT(body.parameters[0].name, "a_1");
	CHECK_TEXT(body.parameters[0].json, "false");
	CHECK_TEXT(body.parameters[1].json, "\"\"");
	query_body_release(&body);
}

static void refuses_bodies(void)
{
	static const char *const wrong[][2] = {
	        {"", "is not JSON"},
	        {"{", "is not JSON"},
	        {"[]", "not a JSON object"},
	        {"\"a\"", "not a JSON object"},
	        {"{\"sql\":\"a\"} x", "is not JSON"},
	        {"{\"sql\":\"a\",}", "is not JSON"},
	        {"{'sql':'a'}", "is not JSON"},
	        {"{\"sql\":NaN}", "is not JSON"},
	        {"/**/{\"sql\":\"a\"}", "is not JSON"},
	        {"{\"sql\":\"\xff\"}", "is not JSON"},
	        {"{\"sql\":\"\xed\xa0\x80\"}", "is not JSON"},
	        {"{\"sql\":\"\\ud800\"}", "is not JSON"},
	        {"{}", "\"sql\" is missing"},
	        {"{\"sql\":\"\"}", "empty"},
	        {"{\"sql\":\" \\n\"}", "empty"},
	        {"{\"sql\":\"a\\u0000b\"}", "without NUL"},
	        {"{\"sql\":1}", "\"sql\" is not a text"},
	        {"{\"sql\":null}", "\"sql\" is not a text"},
	        {"{\"sql\":\"a\",\"sql\":\"b\"}", "\"sql\" stands there twice"},
	        {"{\"sql\":\"a\",\"SQL\":\"b\"}", "\"SQL\" is not known"},
	        {"{\"sql\":\"a\",\"formt\":\"csv\"}", "\"formt\" is not known"},
	        {"{\"sql\":\"a\",\"a\\u0000\\n\\\"b\":1}", "\"ab\" is not known"},
	        {"{\"sql\":\"a\",\"format\":\"xml\"}", "none of csv"},
	        {"{\"sql\":\"a\",\"format\":\"csv\\u0000\"}", "without NUL"},
	        {"{\"sql\":\"a\",\"snapshot\":-1}", "\"snapshot\" is not a whole number"},
	        {"{\"sql\":\"a\",\"snapshot\":1.0}", "\"snapshot\" is not a whole number"},
	        {"{\"sql\":\"a\",\"snapshot\":1e3}", "\"snapshot\" is not a whole number"},
	        {"{\"sql\":\"a\",\"snapshot\":9223372036854775808}", "\"snapshot\" is not a whole number"},
	        {"{\"sql\":\"a\",\"snapshot\":\"1\"}", "\"snapshot\" is not a whole number"},
	        {"{\"sql\":\"a\",\"limit\":0}", "\"limit\" is not a whole number from 1"},
	        {"{\"sql\":\"a\",\"limit\":null}", "\"limit\" is not a whole number"},
	        {"{\"sql\":\"a\",\"catalog\":[]}", "\"catalog\" is not a text"},
	        {"{\"sql\":\"a\",\"params\":1}", "neither a list nor an object"},
	        {"{\"sql\":\"a\",\"params\":[[1]]}", "a value in \"params\""},
	        {"{\"sql\":\"a\",\"params\":{\"a\":{}}}", "a value in \"params\""},
	        {"{\"sql\":\"a\",\"params\":{\"a b\":1}}", "a name in \"params\""},
	        {"{\"sql\":\"a\",\"params\":{\"1\":1}}", "a name in \"params\""},
	        {"{\"sql\":\"a\",\"params\":{\"\":1}}", "a name in \"params\""},
	        {"{\"sql\":\"a\",\"params\":{\"a\":1,\"A\":2}}", "twice in \"params\""},
	};
	struct query_body body;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		if (reads(wrong[i][0], &body) || !strstr(mistake, wrong[i][1]))
			CHECK_FAIL("%s: \"%s\", without \"%s\"", wrong[i][0], mistake, wrong[i][1]);
		query_body_release(&body);
	}
}

static void refuses_deep_bodies(void)
{
	enum { DEEP = 200000 };
	char *text = malloc(2 * DEEP + 64);
	struct query_body body;

	strcpy(text, "{\"sql\":\"a\",\"params\":");
	memset(text + 20, '[', DEEP);
	memset(text + 20 + DEEP, ']', DEEP);
	strcpy(text + 20 + 2 * DEEP, "}");
	CHECK(!reads(text, &body));
	query_body_release(&body);
	free(text);
}

static void reads_options(void)
{
	struct query_body body;
	struct error err = {0};

	CHECK_INT(query_body_sql("SELECT 1", 8, &body, &err), 0);
	CHECK_INT(query_body_option(&body, "format", "json", &err), 0);
	CHECK_INT(query_body_option(&body, "limit", "7", &err), 0);
	CHECK_INT(query_body_option(&body, "snapshot", "3", &err), 0);
	CHECK_INT(query_body_option(&body, "catalog", "main", &err), 0);
	CHECK(body.format == ANSWER_JSON && body.limit == 7 && body.snapshot == 3);
	CHECK_INT(query_body_option(&body, "format", "csv", &err), -1);
	CHECK_INT(query_body_option(&body, "sql", "SELECT 2", &err), -1);
	query_body_release(&body);
	CHECK_INT(query_body_sql("a\0b", 3, &body, &err), -1);
	query_body_release(&body);
	CHECK_INT(query_body_sql("\xff", 1, &body, &err), -1);
	query_body_release(&body);
}

static void chooses_formats(void)
{
	enum answer_format format;

	CHECK(answer_format_accepted(NULL, &format) && format == ANSWER_CSV);
	CHECK(answer_format_accepted("*/*", &format) && format == ANSWER_CSV);
	CHECK(answer_format_accepted("application/*", &format) && format == ANSWER_JSON);
	CHECK(answer_format_accepted("application/x-ndjson, application/json;q=0.9", &format) &&
	      format == ANSWER_NDJSON);
	CHECK(answer_format_accepted("application/vnd.apache.arrow.stream", &format) && format == ANSWER_ARROW);
	CHECK(answer_format_accepted("text/html, */*;q=0.1", &format) && format == ANSWER_CSV);
	CHECK(!answer_format_accepted("text/html", &format));
	CHECK(!answer_format_accepted("text/csv;q=0", &format));
}

/* ---- rights */

static void narrows(void)
{
	char *mine[] = {"gold_*", "silver.clean"}, *theirs[] = {"gold_a", "main.*", "bronze.*", "*_x"};
	struct spec_token token = {.tables = mine, .table_count = 2, .max_rows = 10, .max_ms = 50, .memory_bytes = 7};
	struct request request = {.table_count = -1, .max_ms = 20};
	struct rights rights;

	CHECK_INT(rights_narrow(&request, &token, &rights), 0);
	CHECK_INT(rights.request.table_count, 2);
	CHECK_TEXT(rights.request.tables[1], "silver.clean");
	CHECK(rights.request.max_rows == 10 && rights.request.max_ms == 20 && rights.request.memory_bytes == 7);
	rights_release(&rights);
	/* of both: what one of them certainly allows, too; of gold_* and *_x nothing */
	request.tables = theirs;
	request.table_count = 4;
	CHECK_INT(rights_narrow(&request, &token, &rights), 0);
	CHECK_INT(rights.request.table_count, 2);
	CHECK_TEXT(rights.request.tables[0], "gold_a");
	CHECK_TEXT(rights.request.tables[1], "gold_*");
	rights_release(&rights);
	request.table_count = 0;
	CHECK_INT(rights_narrow(&request, &token, &rights), 0);
	CHECK_INT(rights.request.table_count, 0);
	rights_release(&rights);
	/* nobody's token */
	request.table_count = 4;
	CHECK_INT(rights_narrow(&request, NULL, &rights), 0);
	CHECK_INT(rights.request.table_count, 4);
	rights_release(&rights);
}

static void fits_patterns(void)
{
	CHECK(pattern_fits("*", "") && pattern_fits("*", "abc") && pattern_fits("a*c", "abbc") &&
	      pattern_fits("ABC", "abc"));
	CHECK(pattern_fits("a*b*c", "a_b_b_c") && pattern_fits("**", "x") && pattern_fits("", ""));
	CHECK(!pattern_fits("a*c", "ab") && !pattern_fits("", "a") && !pattern_fits("abc", "ab") &&
	      !pattern_fits("a", "ab"));
	/* a pattern as the text: only what means all of it fits */
	CHECK(pattern_fits("gold_*", "gold_a*") && pattern_fits("*", "a*") && pattern_fits("gold_*", "gold_*"));
	CHECK(!pattern_fits("gold_a", "gold_*") && !pattern_fits("gold_*", "*_x") && !pattern_fits("a*c", "a*"));
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(accepts_types), TEST(accepts_codings), TEST(encodes_in_parts),
	                  TEST(tells_problems), TEST(every_problem_is_documented), TEST(reads_bodies),
	                  TEST(refuses_bodies), TEST(refuses_deep_bodies), TEST(reads_options), TEST(chooses_formats),
	                  TEST(narrows), TEST(fits_patterns));
}
