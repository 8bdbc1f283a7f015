/* The reader's memory: which lanes it pauses while the lake is slow, and that they go on. And that nothing is committed
 * before the topic has said that it is still the same. */
#include <limits.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "check.h"
#include "stream/stream.h"
#include "test_lake.h"
#include "wire/source.h"

#define LANES 2
#define MESSAGES 600 /* a lane; more than there is room for */
#define MESSAGE_BYTES ((size_t)64 << 10)
#define MEMORY ((int64_t)64 << 20)
#define WAIT_MS 30000

/* A topic whose lanes come when the test says so. */
static struct topic {
	struct source source; /* first: the vtable's user holds its address */
	struct source_events events;
	atomic_bool given[LANES]; /* the group gives it */
	atomic_bool assigned[LANES], paused[LANES];
	int64_t next[LANES];
	int turn;
	atomic_bool slow; /* no commit comes to its end */
	atomic_bool stubborn; /* lane 1 cannot be paused */
	atomic_bool anew; /* another topic by the same name */
	atomic_int asked; /* for its id, for commits */
	atomic_int mute_after; /* so many questions are answered */
} topic;

static char payload[MESSAGE_BYTES];

static enum poll_result topic_poll(struct source *source, int timeout_ms, struct message *ret, struct error *err)
{
	for (int i = 0; i < LANES; i++) {
		struct source_start start = {.partition = i, .offset = -1};

		if (!topic.given[i] || topic.assigned[i])
			continue;
		if (topic.events.assigned(topic.events.context, &start, 1, err))
			return POLL_ERROR;
		topic.next[i] = start.offset;
		topic.assigned[i] = true;
	}
	for (int i = 0; i < LANES; i++) {
		int lane = topic.turn++ % LANES;

		if (!topic.assigned[lane] || topic.paused[lane] || topic.next[lane] == MESSAGES)
			continue;
		*ret = (struct message){.partition = lane,
		                        .offset = topic.next[lane]++,
		                        .payload = (const uint8_t *)payload,
		                        .size = sizeof payload};
		return POLL_MESSAGE;
	}
	clock_sleep_ms(timeout_ms < 5 ? timeout_ms : 5);
	return POLL_NOTHING;
}

static int topic_pause(struct source *source, int32_t partition, struct error *err)
{
	if (partition == 1 && topic.stubborn)
		return error_set(err, ERROR_TRANSIENT, 0, "not now");
	topic.paused[partition] = true;
	return 0;
}

static int topic_resume(struct source *source, int32_t partition, struct error *err)
{
	topic.paused[partition] = false;
	return 0;
}

static int topic_seek(struct source *source, int32_t partition, int64_t offset, struct error *err)
{
	topic.next[partition] = offset;
	return 0;
}

static int topic_watermarks(struct source *source, int32_t partition, int64_t *ret_low, int64_t *ret_high,
                            struct error *err)
{
	*ret_low = 0;
	*ret_high = MESSAGES;
	return 0;
}

static int64_t topic_cached_high(struct source *source, int32_t partition)
{
	return MESSAGES;
}

static int topic_count(struct source *source, int32_t *ret_count, struct error *err)
{
	*ret_count = LANES;
	return 0;
}

static int topic_id(struct source *source, char *id, size_t size, struct error *err)
{
	snprintf(id, size, topic.anew ? "another" : "t");
	return 0;
}

static void topic_ask_id(struct source *source)
{
	topic.asked++;
}

static int topic_id_answer(struct source *source, char *id, size_t size, struct error *err)
{
	if (topic.asked > topic.mute_after)
		return error_set(err, ERROR_TRANSIENT, 0, "no answer");
	return topic_id(source, id, size, err);
}

/* On the committer's thread, behind its transaction: another may claim lanes meanwhile. */
static void topic_store_hint(struct source *source, int32_t partition, int64_t next_offset)
{
	while (topic.slow)
		clock_sleep_ms(5);
}

static void topic_close(struct source *source)
{
	for (int32_t i = 0; i < LANES; i++)
		if (topic.assigned[i])
			topic.events.revoked(topic.events.context, &i, 1, false);
}

static struct source *open_topic(void *context, const void *events, struct error *err)
{
	static const struct source_ops ops = {
	        .poll = topic_poll,
	        .pause = topic_pause,
	        .resume = topic_resume,
	        .seek = topic_seek,
	        .watermarks = topic_watermarks,
	        .cached_high = topic_cached_high,
	        .partition_count = topic_count,
	        .topic_id = topic_id,
	        .ask_id = topic_ask_id,
	        .id_answer = topic_id_answer,
	        .store_hint = topic_store_hint,
	        .close = topic_close,
	};

	topic.source.ops = &ops;
	topic.events = *(const struct source_events *)events;
	return &topic.source;
}

static bool becomes_true(const atomic_bool *what)
{
	for (int64_t until = clock_monotonic_ms() + WAIT_MS / 3; !*what && clock_monotonic_ms() < until;)
		clock_sleep_ms(5);
	return *what;
}

/* A stream of the topic, whose lake is slow at first. */
static struct lake_place place;
static struct stream *stream;
static struct spec_stream spec = {
        .name = (char[]){"s"},
        .catalog = &place.catalog,
        .schema = (char[]){"main"},
        .table = (char[]){"events"},
        .format = FORMAT_JSON,
        .kafka = {.topic = (char[]){"t"}, .group = (char[]){"g"}},
        .commit = {.freshness_ms = 50, .max_bytes = 4 << 20},
        .memory_bytes = MEMORY,
};

static struct stream_status status_now(void)
{
	struct stream_status status;

	stream_status(stream, &status);
	return status;
}

static bool begin_with(bool both)
{
	struct stream_options options = {.open_source = open_topic};
	struct error err = {0};

	memset(payload, 'x', sizeof payload);
	memcpy(payload, "{\"text\":\"", 9);
	memcpy(payload + sizeof payload - 2, "\"}", 2);
	memset(&topic, 0, sizeof topic);
	topic.slow = topic.given[0] = true;
	topic.given[1] = both;
	topic.mute_after = INT_MAX;
	if (!lake_place_open(&place, BACKEND_SQLITE, 0))
		return false;
	stream = stream_start(&spec, place.lake, &options, &err);
	return stream != NULL;
}

static bool begin(void)
{
	return begin_with(false);
}

/* The lake answers again: how many messages are committed, of all? */
static int64_t end(void)
{
	int64_t messages = 0;
	struct error err = {0};

	topic.slow = false;
	for (int64_t until = clock_monotonic_ms() + WAIT_MS; clock_monotonic_ms() < until;) {
		messages = status_now().messages;
		if (messages == LANES * MESSAGES)
			break;
		clock_sleep_ms(20);
	}
	stream_stop(stream);
	if (stream_wait(stream, WAIT_MS, &err) != 1)
		CHECK_FAIL("it does not end: %s", err.message);
	stream_free(stream);
	lake_place_close(&place);
	return messages;
}

static void a_lane_that_comes_while_the_others_are_paused(void)
{
	int64_t in_flight;
	bool first, second;

	CHECK(begin());
	first = becomes_true(&topic.paused[0]);
	topic.given[1] = true;
	second = becomes_true(&topic.paused[1]);
	in_flight = status_now().in_flight;
	CHECK_INT(end(), LANES * MESSAGES);
	CHECK(first);
	CHECK(second);
	CHECK(in_flight < stream_memory(&spec).queue * 3 / 2);
}

/* Each message ends a unit of the other lane's and begins one, so there is always one that is gathered. */
static void lanes_that_take_turns_are_held_at_the_bound(void)
{
	int64_t in_flight;
	bool both;

	CHECK(begin_with(true));
	both = becomes_true(&topic.paused[0]) && becomes_true(&topic.paused[1]);
	in_flight = status_now().in_flight;
	CHECK_INT(end(), LANES * MESSAGES);
	CHECK(both);
	CHECK(in_flight < stream_memory(&spec).queue + (int64_t)(4 * MESSAGE_BYTES));
}

/* Those that were paused before the one that could not be go on again. */
static void a_lane_that_cannot_be_paused(void)
{
	bool first;

	CHECK(begin());
	topic.stubborn = topic.given[1] = true;
	first = becomes_true(&topic.paused[0]);
	CHECK_INT(end(), LANES * MESSAGES);
	CHECK(first);
}

static bool fails(void)
{
	for (int64_t until = clock_monotonic_ms() + WAIT_MS; clock_monotonic_ms() < until; clock_sleep_ms(5))
		if (status_now().commit_failures > 0)
			return true;
	return false;
}

static void what_is_not_confirmed_waits(void)
{
	int64_t before;
	bool failed;

	CHECK(begin());
	topic.mute_after = 0;
	topic.slow = false;
	failed = fails();
	before = status_now().messages;
	topic.mute_after = INT_MAX;
	topic.given[1] = true;
	CHECK_INT(end(), LANES * MESSAGES);
	CHECK(failed);
	CHECK_INT(before, 0);
}

/* The first commit is held until the queue is full; the second question is of all that is queued then, several windows.
 */
static void what_was_queued_before_a_question_needs_no_other(void)
{
	int64_t commits;
	bool full, failed;

	CHECK(begin());
	full = becomes_true(&topic.paused[0]);
	topic.mute_after = 2;
	topic.given[1] = true;
	topic.slow = false;
	failed = fails();
	commits = status_now().commits;
	topic.mute_after = INT_MAX;
	CHECK_INT(end(), LANES * MESSAGES);
	CHECK(full);
	CHECK(failed);
	CHECK(commits > 2);
}

static void another_topic_by_the_same_name_ends_it(void)
{
	struct error err = {0};
	struct stream_status status;
	int64_t polled;

	CHECK(begin());
	CHECK(becomes_true(&topic.paused[0]));
	polled = topic.next[0];
	topic.anew = true;
	topic.slow = false;
	CHECK_INT(stream_wait(stream, WAIT_MS, &err), -1);
	status = status_now();
	stream_free(stream);
	lake_place_close(&place);
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "topic t was deleted and made anew (its id was t and is another): offset ");
	CHECK(status.messages > 0 && status.messages <= polled);
	CHECK_INT(status.quarantined, 0);
}

static void one_message_may_take_as_much_as_the_stream(void)
{
	static const int64_t cases[][2] = {{32, 64}, {64, 64}, {256, 256}, {4096, 512}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct spec_stream other = {.memory_bytes = cases[i][0] << 20};

		CHECK_INT(stream_memory(&other).message, cases[i][1] << 20);
	}
}

int main(int argc, char **argv)
{
	log_init(true, LOG_ERROR, false);
	return CHECK_MAIN(argc, argv, TEST(one_message_may_take_as_much_as_the_stream),
	                  TEST(a_lane_that_comes_while_the_others_are_paused), TEST(a_lane_that_cannot_be_paused),
	                  TEST(lanes_that_take_turns_are_held_at_the_bound), TEST(what_is_not_confirmed_waits),
	                  TEST(what_was_queued_before_a_question_needs_no_other),
	                  TEST(another_topic_by_the_same_name_ends_it));
}
