/* base/: errors, buffers, secrets, faults, metrics. */
#include "check.h"

#include <unistd.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/metrics.h"

static void an_error_is_wrapped_and_cut_not_overrun(void)
{
	struct error err = {0};
	char longer[600], wide[1024];

	CHECK_INT(error_set(&err, ERROR_CORRUPT, 7, "byte %d", 12), -1);
	error_wrap(&err, "stream %s", "events");
	CHECK_TEXT(err.message, "stream events: byte 12");
	CHECK_INT(err.kind, ERROR_CORRUPT);
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	error_wrap(&err, "%s", longer);
	CHECK_INT(strlen(err.message), sizeof err.message - 1);
	CHECK_INT(error_set(NULL, ERROR_FATAL, 0, "nobody listens"), -1);
	for (size_t i = 0; i < sizeof wide; i++)
		wide[i] = "\xe6\xbc\xa2"[i % 3];
	wide[sizeof wide - 1] = 0;
	/* Nor is a character cut in two, wherever the room ends. */
	for (int i = 0; i < 4; i++) {
		error_set(&err, ERROR_INVALID, 0, "%.*s%s", i, "abc", wide);
		CHECK(text_is_utf8(err.message, strlen(err.message)));
		CHECK(strlen(err.message) + 3 >= sizeof err.message - 1);
		error_wrap(&err, "%.*s%s", i, "abc", wide);
		CHECK(text_is_utf8(err.message, strlen(err.message)));
		error_set(&err, ERROR_INVALID, 0, "%s", "\xe6\xbc\xa2");
		CHECK_TEXT(err.message, "\xe6\xbc\xa2");
	}
}

static void a_buffer_fails_at_its_maximum_and_stays_failed(void)
{
	struct buffer buffer;

	buffer_init(&buffer, 10);
	buffer_text(&buffer, "12345");
	buffer_text(&buffer, "678901");
	CHECK(!buffer_ok(&buffer));
	CHECK_TEXT(buffer_string(&buffer), "12345");
	buffer_text(&buffer, "6");
	CHECK_TEXT(buffer_string(&buffer), "12345");
	buffer_clear(&buffer);
	CHECK(buffer_ok(&buffer));
	buffer_printf(&buffer, "%s", "1234567890");
	CHECK_TEXT(buffer_string(&buffer), "1234567890");
	buffer_release(&buffer);
}

static void quotes_double(void)
{
	struct buffer buffer;

	buffer_init(&buffer, 100);
	buffer_sql_name(&buffer, "a\"b");
	buffer_sql_text(&buffer, "it's; DROP");
	CHECK_TEXT(buffer_string(&buffer), "\"a\"\"b\"'it''s; DROP'");
	buffer_release(&buffer);
}

static void json_text_is_always_valid(void)
{
	struct buffer buffer;

	buffer_init(&buffer, 200);
	buffer_json_text(&buffer, "a\"\\\n\x01\xc3\xa9\xff\xed\xa0\x80z", 12);
	CHECK_TEXT(buffer_string(&buffer),
	           "\"a\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
	buffer_release(&buffer);
}

static void secrets_are_masked_longest_first(void)
{
	char text[] = "password=hunter2 key=hunter2-and-more!";

	log_mask_secret("hunter2");
	log_mask_secret("hunter2-and-more");
	log_mask_secret("hunter2");
	log_mask(text);
	CHECK_TEXT(text, "password=*** key=***!");
}

/* The lines that the log writes for this message and field. */
static const char *logged(const char *message, const char *field)
{
	static char lines[1 << 16];
	int ends[2], before = dup(STDERR_FILENO);
	ssize_t size;

	log_init(true, LOG_INFO, false);
	if (pipe(ends) || dup2(ends[1], STDERR_FILENO) < 0)
		exit(1);
	log_event(EVENT_KAFKA, FIELDS(LOG_TEXT("field", field)), "%s", message);
	fflush(stderr);
	dup2(before, STDERR_FILENO);
	size = read(ends[0], lines, sizeof lines - 1);
	lines[size < 0 ? 0 : size] = 0;
	close(ends[0]);
	close(ends[1]);
	close(before);
	return lines;
}

static void a_line_of_the_log_is_whole(void)
{
	char text[8192];
	const char *line;

	memset(text, '\t', sizeof text - 1);
	text[sizeof text - 1] = 0;
	line = logged(text, text);
	CHECK(strstr(line, "\\u0009\",\"field\":\"\\u0009"));
	CHECK(strlen(line) > (size_t)12 * 4096 && strlen(line) < (size_t)12 * 4096 + 200);
	CHECK_TEXT(line + strlen(line) - 7, "0009\"}\n");
	text[0] = 'x'; /* so that the end cuts a character */
	for (size_t i = 1; i + 1 < sizeof text; i++)
		text[i] = i % 2 ? '\xc3' : '\xbc'; /* u with two dots */
	line = logged(text, "");
	CHECK(strstr(line, "\xc3\xbc\",\"field\":\"\"}\n"));
	CHECK(!strstr(line, "\xef\xbf\xbd"));
}

static void a_secret_with_quotes_does_not_reach_the_log(void)
{
	const char *line;

	log_mask_secret("top\"sec\\ret\n");
	line = logged("it is top\"sec\\ret\n!", "x top\"sec\\ret\n y");
	CHECK_HAS(line, "\"message\":\"it is ***!\"");
	CHECK_HAS(line, "\"field\":\"x *** y\"");
}

static void a_fault_hits_the_nth_time(void)
{
	struct error err = {0};

	setenv("TARN_FAULT", "decode:2:error,commit.before:1:errors", 1);
	CHECK_INT(fault_init(&err), 0);
	CHECK(!fault_hit(FAULT_DECODE));
	CHECK(fault_error(FAULT_DECODE, &err));
	CHECK_TEXT(err.message, "fault injected at decode");
	CHECK(!fault_hit(FAULT_DECODE));
	CHECK(fault_hit(FAULT_COMMIT_BEFORE));
	CHECK(fault_hit(FAULT_COMMIT_BEFORE));
	CHECK(!fault_hit(FAULT_BEGIN_BEFORE));
	setenv("TARN_FAULT", "comit:1:kill", 1);
	CHECK_INT(fault_init(&err), -1);
	CHECK_HAS(err.message, "no point 'comit'; there are: decode");
	setenv("TARN_FAULT", "decode:0:kill", 1);
	CHECK_INT(fault_init(&err), -1);
	unsetenv("TARN_FAULT");
}

static void metrics_have_help_type_and_labels(void)
{
	struct metrics *lane = metrics_set("a\"b", 3), *stream = metrics_set("a\"b", -1);
	struct buffer out;

	CHECK(lane == metrics_set("a\"b", 3));
	metric_add(lane, METRIC_MESSAGES, 5);
	metric_put(stream, METRIC_IN_FLIGHT, 17);
	metric_put(metrics_expectation_set("p", "raw.t", "key (unique)"), METRIC_EXPECTATION_BROKEN, 1);
	metric_put(metrics_expectation_set("p", "", "few"), METRIC_EXPECTATION_ROWS, 2);
	metric_put(metrics_pipeline_set("p", "m", "a > 1"), METRIC_MODEL_FILTERED, 3);
	buffer_init(&out, 1 << 20);
	metrics_write(&out);
	CHECK_HAS(buffer_string(&out), "# TYPE tarn_messages_received_total counter\n");
	CHECK_HAS(buffer_string(&out), "tarn_messages_received_total{stream=\"a\\\"b\",partition=\"3\"} 5\n");
	CHECK_HAS(buffer_string(&out), "tarn_in_flight_bytes{stream=\"a\\\"b\"} 17\n");
	CHECK_HAS(buffer_string(&out),
	          "tarn_expectation_broken{pipeline=\"p\",table=\"raw.t\",expectation=\"key (unique)\"} 1\n");
	CHECK_HAS(buffer_string(&out), "tarn_expectation_failed_rows{pipeline=\"p\",expectation=\"few\"} 2\n");
	CHECK_HAS(buffer_string(&out), "tarn_model_rows_filtered{pipeline=\"p\",model=\"m\",reason=\"a > 1\"} 3\n");
	buffer_release(&out);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(an_error_is_wrapped_and_cut_not_overrun),
	                  TEST(a_buffer_fails_at_its_maximum_and_stays_failed), TEST(quotes_double),
	                  TEST(json_text_is_always_valid), TEST(secrets_are_masked_longest_first),
	                  TEST(a_line_of_the_log_is_whole), TEST(a_secret_with_quotes_does_not_reach_the_log),
	                  TEST(a_fault_hits_the_nth_time), TEST(metrics_have_help_type_and_labels));
}
