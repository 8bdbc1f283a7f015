/* The memory source, the headers' JSON and the producer's pace. */
#include "base/log.h"
#include "check.h"
#include "wire/headers.h"
#include "wire/pace.h"
#include "wire/source.h"

struct reader {
	int64_t start[3];
	int assigned, revoked;
	bool fails;
};

static int on_assigned(void *context, struct source_start *starts, int count, struct error *err)
{
	struct reader *reader = context;

	if (reader->fails) {
		reader->fails = false;
		return error_set(err, ERROR_TRANSIENT, 0, "not now");
	}
	for (int i = 0; i < count; i++)
		starts[i].offset = reader->start[starts[i].partition];
	reader->assigned += count;
	return 0;
}

static void on_revoked(void *context, const int32_t *partitions, int count, bool lost)
{
	((struct reader *)context)->revoked += count;
}

#define MESSAGE(p, o)                                                                                                  \
	{                                                                                                              \
		.partition = (p), .offset = (o), .payload = (const uint8_t *)"x", .size = 1                            \
	}
static const struct message messages[] = {MESSAGE(0, 10), MESSAGE(2, 0), MESSAGE(0, 12), MESSAGE(2, 1), MESSAGE(0, 13)};

static struct source *open_all(struct reader *reader)
{
	return source_open_memory(messages, 5, &(struct source_events){reader, on_assigned, on_revoked}, NULL);
}

/* The next event as text: "m0@10", "end0@14", "range0@9", "-" or "error". */
static const char *next(struct source *source)
{
	static char text[32];
	struct message message = {0};
	struct error err = {0};
	enum poll_result result = source->ops->poll(source, 0, &message, &err);
	const char *what = result == POLL_MESSAGE ? "m" : result == POLL_LANE_END ? "end" : "range";

	if (result == POLL_NOTHING || result == POLL_ERROR)
		return result == POLL_ERROR ? "error" : "-";
	snprintf(text, sizeof text, "%s%d@%lld", what, message.partition, (long long)message.offset);
	message_release(&message);
	return text;
}

static void count_release(struct message *message)
{
	++*(int *)message->owner;
}

static void two_headers(const struct message *message, struct buffer *out)
{
	buffer_text(out, "[[\"a\",\"1\"],[\"b\",null]]");
}

static void a_kept_message_holds_nothing_of_what_it_came_with(void)
{
	OWNED_BUFFER struct buffer headers = {0};
	uint8_t payload[] = "payload", key[] = "key";
	char broken[] = "it is cut";
	int released = 0;
	struct error err = {0};
	struct message message = {.partition = 3,
	                          .offset = 8,
	                          .timestamp_ms = 5,
	                          .payload = payload,
	                          .size = 7,
	                          .key = key,
	                          .key_size = 3,
	                          .broken = broken,
	                          .owner = &released,
	                          .release = count_release,
	                          .headers = two_headers};

	CHECK_INT(message_keep(&message, &err), 0);
	CHECK_INT(released, 1);
	memset(payload, 'x', sizeof payload);
	memset(key, 'x', sizeof key);
	memset(broken, 'x', sizeof broken - 1);
	CHECK(message.size == 7 && !memcmp(message.payload, "payload", 7));
	CHECK(message.key_size == 3 && !memcmp(message.key, "key", 3));
	CHECK_TEXT(message.broken, "it is cut");
	CHECK_INT(message.offset, 8);
	buffer_init(&headers, 1000);
	message_headers_json(&message, &headers);
	CHECK_TEXT(buffer_string(&headers), "[[\"a\",\"1\"],[\"b\",null]]");
	/* And once more, of what is kept. */
	CHECK_INT(message_keep(&message, &err), 0);
	CHECK(message.size == 7 && !memcmp(message.payload, "payload", 7));
	message_release(&message);
	CHECK_INT(released, 1);
}

static void a_kept_tombstone_is_one(void)
{
	struct message message = {.offset = 1};
	struct error err = {0};
	OWNED_BUFFER struct buffer headers = {0};

	CHECK_INT(message_keep(&message, &err), 0);
	CHECK(!message.payload && !message.key && !message.broken);
	buffer_init(&headers, 1000);
	message_headers_json(&message, &headers);
	CHECK_INT(headers.size, 0);
	message_release(&message);
}

static void replays_in_order(void)
{
	struct reader reader = {.start = {10, 0, 0}};
	struct source *source = open_all(&reader);
	int32_t count;

	CHECK_TEXT(next(source), "m0@10");
	CHECK_TEXT(next(source), "m2@0");
	CHECK_TEXT(next(source), "m0@12");
	CHECK_TEXT(next(source), "m2@1");
	CHECK_TEXT(next(source), "end2@2");
	CHECK_TEXT(next(source), "m0@13");
	CHECK_TEXT(next(source), "end0@14");
	CHECK_TEXT(next(source), "-");
	CHECK_INT(reader.assigned, 2);
	CHECK_INT(source->ops->partition_count(source, &count, NULL), 0);
	CHECK_INT(count, 3);
	source->ops->close(source);
	CHECK_INT(reader.revoked, 2);
}

static void starts_pauses_and_seeks(void)
{
	struct reader reader = {.start = {12, 0, -1}, .fails = true};
	struct source *source = open_all(&reader);
	struct error err = {0};
	int64_t low, high;

	CHECK_TEXT(next(source), "error");
	CHECK_TEXT(next(source), "m0@12");
	CHECK_INT(source->ops->pause(source, 0, &err), 0);
	CHECK_TEXT(next(source), "-");
	CHECK_INT(source->ops->pause(source, 2, &err), -1); /* not read: its start was -1 */
	CHECK_INT(source->ops->seek(source, 0, 11, &err), 0);
	CHECK_TEXT(next(source), "-");
	CHECK_INT(source->ops->resume(source, 0, &err), 0);
	CHECK_TEXT(next(source), "m0@12");
	CHECK_TEXT(next(source), "m0@13");
	CHECK_TEXT(next(source), "end0@14");
	CHECK_INT(source->ops->seek(source, 0, 14, &err), 0);
	CHECK_TEXT(next(source), "end0@14");
	CHECK_INT(source->ops->seek(source, 0, 9, &err), 0);
	CHECK_TEXT(next(source), "range0@9");
	CHECK_TEXT(next(source), "-");
	CHECK_INT(source->ops->watermarks(source, 0, &low, &high, &err), 0);
	CHECK_INT(low, 10);
	CHECK_INT(high, 14);
	CHECK_INT(source->ops->seek(source, 0, 15, &err), 0);
	CHECK_TEXT(next(source), "range0@15");
	CHECK_INT(source->ops->seek(source, 0, low, &err), 0);
	CHECK_TEXT(next(source), "m0@10");
	source->ops->close(source);
	CHECK_INT(reader.revoked, 1);
}

static void refuses_falling_offsets(void)
{
	const struct message wrong[] = {MESSAGE(0, 5), MESSAGE(1, 1), MESSAGE(0, 5)};
	struct error err = {0};

	CHECK(!source_open_memory(wrong, 3, &(struct source_events){NULL, on_assigned, on_revoked}, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "offset 5 of partition 0");
}

static const char *pair(const char *name, const void *value, size_t size)
{
	static struct buffer out;

	buffer_release(&out);
	buffer_init(&out, 1000);
	headers_pair_json(&out, name, value, size);
	return buffer_string(&out);
}

static void headers_tell_text_from_bytes(void)
{
	CHECK_TEXT(pair("a", "b", 1), "[\"a\",\"b\"]");
	CHECK_TEXT(pair("a\"", "\n\0", 2), "[\"a\\\"\",\"\\n\\u0000\"]");
	CHECK_TEXT(pair("a", NULL, 0), "[\"a\",null]");
	CHECK_TEXT(pair("a", "", 0), "[\"a\",\"\"]");
	CHECK_TEXT(pair("a", "\xff", 1), "[\"a\",\"base64:/w==\"]");
	CHECK_TEXT(pair("a", "\xff\xfe", 2), "[\"a\",\"base64://4=\"]");
	CHECK_TEXT(pair("a", "\xff\xfe\xfd", 3), "[\"a\",\"base64://79\"]");
	/* What only looks encoded is encoded. */
	CHECK_TEXT(pair("a", "base64:x", 8), "[\"a\",\"base64:YmFzZTY0Ong=\"]");
	CHECK(headers_is_utf8("gr\xc3\xbc\xc3\x9f \xf0\x9f\x8f\x94", 11));
	CHECK(!headers_is_utf8("\xc0\x80", 2) && !headers_is_utf8("\xed\xa0\x80", 3) &&
	      !headers_is_utf8("\xf4\x90\x80\x80", 4));
	CHECK(!headers_is_utf8("\xe2\x82", 2) && !headers_is_utf8("\xe0\x9f\xbf", 3) && !headers_is_utf8("a\x80", 2));
}

static void pace_keeps_its_bounds(void)
{
	struct pace pace;
	struct error err;

	pace_init(&pace);
	CHECK(pace_allows(&pace, 7, PACE_BYTES_MAX * 2)); /* alone: any size */
	CHECK_INT(pace_sent(&pace, 7, PACE_BYTES_MAX * 2, &err), 0);
	CHECK(!pace_allows(&pace, 7, 1));
	CHECK(pace_allows(&pace, 6, 1));
	pace_passed(&pace, 7, 100); /* not acknowledged: its offset is not known */
	CHECK(!pace_allows(&pace, 7, 1));
	pace_acked(&pace, 7, 41);
	pace_passed(&pace, 7, 41);
	CHECK(!pace_allows(&pace, 7, 1));
	pace_passed(&pace, 7, 42);
	CHECK(pace_allows(&pace, 7, 1));
	for (int i = 0; i < PACE_MESSAGES_MAX; i++) {
		CHECK(pace_allows(&pace, 0, 1));
		CHECK_INT(pace_sent(&pace, 0, 1, &err), 0);
		pace_acked(&pace, 0, i);
	}
	CHECK(!pace_allows(&pace, 0, 1));
	pace_passed(&pace, 0, -1);
	CHECK(!pace_allows(&pace, 0, 1));
	pace_passed(&pace, 0, 1);
	CHECK(pace_allows(&pace, 0, 1));
	CHECK_INT(pace_sent(&pace, 0, 1, &err), 0);
	CHECK_INT(pace_sent(&pace, -1, 1, &err), -1);
	pace_release(&pace);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(a_kept_message_holds_nothing_of_what_it_came_with),
	                  TEST(a_kept_tombstone_is_one), TEST(replays_in_order), TEST(starts_pauses_and_seeks),
	                  TEST(refuses_falling_offsets), TEST(headers_tell_text_from_bytes),
	                  TEST(pace_keeps_its_bounds));
}
