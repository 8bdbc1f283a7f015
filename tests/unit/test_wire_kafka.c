/* The Kafka source, the producer and the embedded broker, together in one process. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "check.h"
#include "wire/producer.h"
#include "wire/source.h"

#define LANES 4
#define MESSAGES 1000
#define WAIT_MS 15000

static struct embedded_broker *broker;
static int topic_number;

/* Where a test's reader begins, and what it was told. */
struct reader {
	int64_t start[LANES];
	bool fails; /* `assigned` fails once */
	bool fails_late; /* each time, when it has begun with every lane */
	bool owned[LANES];
	int assigned, revoked, lost;
	int64_t next[LANES]; /* next expected offset; -1: any */
	int64_t received[LANES];
	bool ended[LANES];
};

static int on_assigned(void *context, struct source_start *starts, int count, struct error *err)
{
	struct reader *reader = context;

	if (reader->fails) {
		reader->fails = false;
		return error_set(err, ERROR_TRANSIENT, 0, "not now");
	}
	for (int i = 0; i < count; i++) {
		int32_t lane = starts[i].partition;

		if (lane < 0 || lane >= LANES)
			return error_set(err, ERROR_FATAL, 0, "lane %d", lane);
		starts[i].offset = reader->start[lane];
		reader->next[lane] = reader->start[lane];
		reader->owned[lane] = reader->start[lane] >= 0;
		reader->assigned++;
	}
	return reader->fails_late ? error_set(err, ERROR_TRANSIENT, 0, "not yet") : 0;
}

static void on_revoked(void *context, const int32_t *partitions, int count, bool lost)
{
	struct reader *reader = context;

	for (int i = 0; i < count; i++) {
		reader->start[partitions[i]] = reader->next[partitions[i]];
		reader->owned[partitions[i]] = false;
		reader->revoked++;
	}
	reader->lost += lost;
}

static const char *new_topic(void)
{
	static char name[32];

	snprintf(name, sizeof name, "topic-%d", topic_number++);
	return embedded_broker_create_topic(broker, name, LANES, NULL) ? NULL : name;
}

/* lane: of all; -1: each lane has its share. */
static int fill_lane(const char *topic, int messages, int lane)
{
	struct producer_config config = {.brokers = embedded_broker_address(broker), .embedded = true};
	struct error err = {0};
	struct producer *producer = producer_open(&config, &err);
	const struct producer_header headers[] = {
	        {"who", "a \"test\"", 8}, {"raw", "\xff\x00\x01", 3}, {"none", NULL, 0}};
	int result = producer ? 0 : -1;

	for (int i = 0; i < messages && !result; i++) {
		char text[32];
		int size = snprintf(text, sizeof text, "message %d", i);

		result = producer_send(producer,
		                       &(struct producer_message){.topic = topic,
		                                                  .partition = lane < 0 ? i % LANES : lane,
		                                                  .payload = text,
		                                                  .size = (size_t)size,
		                                                  .key = "k",
		                                                  .key_size = 1,
		                                                  .headers = headers,
		                                                  .header_count = i < LANES ? 3 : 0,
		                                                  .timestamp_ms = 1767225600000 + i},
		                       &err);
	}
	if (!result)
		result = producer_flush(producer, WAIT_MS, &err);
	if (!result && producer_counts(producer).acked != messages)
		result = -1;
	if (result)
		printf("# fill: %s\n", err.message);
	producer_close(producer);
	return result;
}

static int fill(const char *topic, int messages)
{
	return fill_lane(topic, messages, -1);
}

static struct source *open_reader(struct reader *reader, const char *topic, const char *group, const char *property,
                                  const char *value, struct error *err)
{
	const struct kafka_property properties[] = {{property, value}, {"session.timeout.ms", "6000"}};
	bool kip848 = property && !strcmp(property, "group.protocol");
	struct kafka_config config = {
	        .brokers = embedded_broker_address(broker),
	        .topic = topic,
	        .group = group,
	        .properties = property ? properties : properties + 1,
	        .property_count = property ? 2 - kip848 : 1,
	        .prefetch_bytes = 8 << 20,
	        .stream_name = "test",
	};

	return source_open_kafka(&config, &(struct source_events){reader, on_assigned, on_revoked}, err);
}

/* Takes what one poll gives. Each lane's offsets must rise by one from where `assigned` said. */
static enum poll_result take(struct source *source, struct reader *reader, struct error *err)
{
	struct message message = {0};
	enum poll_result result = source->ops->poll(source, 100, &message, err);

	if (result == POLL_MESSAGE) {
		if (!reader->owned[message.partition] || message.offset != reader->next[message.partition])
			CHECK_FAIL("lane %d (%s): offset %lld, not %lld", message.partition,
			           reader->owned[message.partition] ? "owned" : "not owned", (long long)message.offset,
			           (long long)reader->next[message.partition]);
		reader->next[message.partition] = message.offset + 1;
		reader->received[message.partition]++;
		reader->ended[message.partition] = false;
		message_release(&message);
	} else if (result == POLL_LANE_END) {
		if (message.offset != reader->next[message.partition])
			CHECK_FAIL("lane %d ends at %lld, not %lld", message.partition, (long long)message.offset,
			           (long long)reader->next[message.partition]);
		reader->ended[message.partition] = true;
	}
	return result;
}

static int count_ended(const struct reader *reader)
{
	int count = 0;

	for (int i = 0; i < LANES; i++)
		count += reader->ended[i];
	return count;
}

static int count_owned(const struct reader *reader)
{
	int count = 0;

	for (int i = 0; i < LANES; i++)
		count += reader->owned[i];
	return count;
}

/* Polls until so many lanes have ended, or an error or the time came. */
static enum poll_result read_to_end(struct source *source, struct reader *reader, int lanes, struct error *err)
{
	int64_t deadline = clock_monotonic_ms() + WAIT_MS;
	enum poll_result result = POLL_NOTHING;

	while (count_ended(reader) < lanes && result != POLL_ERROR && clock_monotonic_ms() < deadline)
		result = take(source, reader, err);
	return result;
}

static void reads_from_where_assigned_says(const char *property, const char *value)
{
	struct reader reader = {.start = {10, 0, 250, -1}};
	struct error err = {0};
	const char *topic = new_topic();
	struct source *source;

	CHECK_INT(fill(topic, MESSAGES), 0);
	source = open_reader(&reader, topic, topic, property, value, &err);
	CHECK_TEXT(err.message, "");
	CHECK(read_to_end(source, &reader, 3, &err) != POLL_ERROR);
	CHECK_INT(reader.received[0], 240);
	CHECK_INT(reader.received[1], 250);
	CHECK_INT(reader.received[2], 0);
	CHECK_INT(reader.received[3], 0);
	CHECK_INT(reader.assigned, 4);
	CHECK_INT(source->ops->cached_high(source, 0), 250);
	source->ops->store_hint(source, 0, 250);
	source->ops->close(source);
	CHECK_INT(reader.revoked, 3);
	CHECK_INT(reader.lost, 0);
}

static void starts_cooperative(void)
{
	reads_from_where_assigned_says(NULL, NULL);
}

static void starts_eager(void)
{
	reads_from_where_assigned_says("partition.assignment.strategy", "range");
}

static void starts_kip848(void)
{
	reads_from_where_assigned_says("group.protocol", "consumer");
}

static void assigned_may_fail_once(void)
{
	struct reader reader = {.fails = true};
	struct error err = {0};
	const char *topic = new_topic();
	struct source *source;

	CHECK_INT(fill(topic, 40), 0);
	source = open_reader(&reader, topic, topic, NULL, NULL, &err);
	CHECK_INT(read_to_end(source, &reader, LANES, &err), POLL_ERROR);
	CHECK_TEXT(err.message, "not now");
	CHECK(read_to_end(source, &reader, LANES, &err) != POLL_ERROR);
	CHECK_INT(reader.received[0] + reader.received[1] + reader.received[2] + reader.received[3], 40);
	source->ops->close(source);
	CHECK_INT(reader.revoked, LANES);
}

static void pauses_and_resumes(const char *strategy)
{
	struct reader reader = {0};
	struct error err = {0};
	const char *topic = new_topic();
	struct source *source;

	CHECK_INT(fill(topic, MESSAGES), 0);
	source = open_reader(&reader, topic, topic, "partition.assignment.strategy", strategy, &err);
	for (int64_t deadline = clock_monotonic_ms() + WAIT_MS; !reader.received[1] && clock_monotonic_ms() < deadline;)
		take(source, &reader, &err);
	/* The others are read to their ends; lane 1 stands still. */
	CHECK_INT(source->ops->pause(source, 1, &err), 0);
	int64_t before = reader.received[1];
	for (int i = 0; i < 40; i++)
		take(source, &reader, &err);
	/* Lane 1 may come to its end, too: before the pause, or by a word that was under way. */
	for (int64_t deadline = clock_monotonic_ms() + WAIT_MS;
	     !(reader.ended[0] && reader.ended[2] && reader.ended[3]) && clock_monotonic_ms() < deadline;)
		take(source, &reader, &err);
	CHECK_INT(reader.received[1], before);
	CHECK_INT(reader.received[0], 250);
	/* Short pauses again and again lose nothing and keep the order (take checks it). */
	for (int i = 0; i < 50; i++) {
		CHECK_INT(source->ops->resume(source, 1, &err), 0);
		take(source, &reader, &err);
		CHECK_INT(source->ops->pause(source, 1, &err), 0);
		if (i % 10 == 0)
			take(source, &reader, &err);
	}
	CHECK_INT(source->ops->resume(source, 1, &err), 0);
	read_to_end(source, &reader, LANES, &err);
	CHECK_INT(reader.received[1], 250);
	CHECK_INT(source->ops->pause(source, 99, &err), -1);
	source->ops->close(source);
}

/* Messages of a paused lane that were taken ahead, as many as there is room for, do not keep others from coming. */
static void a_paused_lane_leaves_room(void)
{
	struct reader reader = {0};
	struct error err = {0};
	const char *topic = new_topic();
	struct source *source;

	CHECK_INT(fill_lane(topic, 1000, 1), 0);
	source = open_reader(&reader, topic, topic, NULL, NULL, &err);
	for (int64_t deadline = clock_monotonic_ms() + WAIT_MS;
	     reader.received[1] < 300 && clock_monotonic_ms() < deadline;)
		take(source, &reader, &err);
	CHECK_INT(source->ops->pause(source, 1, &err), 0);
	CHECK_INT(fill_lane(topic, 40, 0), 0);
	for (int64_t deadline = clock_monotonic_ms() + WAIT_MS;
	     reader.received[0] < 40 && clock_monotonic_ms() < deadline;)
		take(source, &reader, &err);
	CHECK_INT(reader.received[0], 40);
	CHECK_INT(reader.received[1], 300);
	CHECK_INT(source->ops->resume(source, 1, &err), 0);
	read_to_end(source, &reader, LANES, &err);
	CHECK_INT(reader.received[1], 1000);
	source->ops->close(source);
}

static void pauses_cooperative(void)
{
	pauses_and_resumes("cooperative-sticky");
}

static void pauses_eager(void)
{
	pauses_and_resumes("roundrobin");
}

static void all_paused_is_quiet(void)
{
	struct reader reader = {0};
	struct error err = {0};
	const char *topic = new_topic();
	struct source *source;
	int64_t total = 0;

	CHECK_INT(fill(topic, MESSAGES), 0);
	source = open_reader(&reader, topic, topic, NULL, NULL, &err);
	for (int64_t deadline = clock_monotonic_ms() + WAIT_MS; total < 20 && clock_monotonic_ms() < deadline; total++)
		while (take(source, &reader, &err) != POLL_MESSAGE && clock_monotonic_ms() < deadline)
			;
	for (int i = 0; i < LANES; i++)
		CHECK_INT(source->ops->pause(source, i, &err), 0);
	/* Longer than the quiet time, so that both kinds of pause are met. */
	for (int i = 0; i < 12; i++)
		CHECK(take(source, &reader, &err) != POLL_MESSAGE);
	for (int i = 0; i < LANES; i++)
		CHECK_INT(source->ops->resume(source, i, &err), 0);
	memset(reader.ended, 0, sizeof reader.ended);
	read_to_end(source, &reader, LANES, &err);
	for (int i = 0; i < LANES; i++)
		CHECK_INT(reader.received[i], 250);
	source->ops->close(source);
}

static void seeks_and_tells_out_of_range(const char *property, const char *value)
{
	struct reader reader = {.start = {5000, 0, 0, 0}};
	struct error err = {0};
	const char *topic = new_topic();
	struct source *source;
	struct message message;
	enum poll_result result = POLL_NOTHING;
	int64_t low, high;

	CHECK_INT(fill(topic, MESSAGES), 0);
	source = open_reader(&reader, topic, topic, property, value, &err);
	for (int64_t deadline = clock_monotonic_ms() + WAIT_MS; clock_monotonic_ms() < deadline;) {
		result = source->ops->poll(source, 100, &message, &err);
		if (result == POLL_OUT_OF_RANGE)
			break;
		if (result == POLL_MESSAGE) {
			reader.next[message.partition] = message.offset + 1;
			message_release(&message);
		}
	}
	CHECK_INT(result, POLL_OUT_OF_RANGE);
	CHECK_INT(message.partition, 0);
	CHECK_INT(source->ops->watermarks(source, 0, &low, &high, &err), 0);
	CHECK_INT(low, 0);
	CHECK_INT(high, 250);
	/* The reader seeks, and the lane goes on. */
	CHECK_INT(source->ops->seek(source, 0, 200, &err), 0);
	reader.next[0] = 200;
	read_to_end(source, &reader, LANES, &err);
	CHECK_INT(reader.received[0], 50);
	/* Back, from a lane's end, and while paused. */
	CHECK_INT(source->ops->seek(source, 0, 240, &err), 0);
	reader.next[0] = 240;
	reader.ended[0] = false;
	CHECK_INT(source->ops->pause(source, 2, &err), 0);
	CHECK_INT(source->ops->seek(source, 2, 245, &err), 0);
	reader.next[2] = 245;
	reader.ended[2] = false;
	read_to_end(source, &reader, LANES - 1, &err);
	CHECK_INT(reader.received[0], 60);
	CHECK_INT(source->ops->resume(source, 2, &err), 0);
	read_to_end(source, &reader, LANES, &err);
	CHECK_INT(reader.next[2], 250);
	source->ops->close(source);
}

static void seeks_cooperative(void)
{
	seeks_and_tells_out_of_range(NULL, NULL);
}

static void seeks_eager(void)
{
	seeks_and_tells_out_of_range("partition.assignment.strategy", "range");
}

static void seeks_kip848(void)
{
	seeks_and_tells_out_of_range("group.protocol", "consumer");
}

/* The others are released: a message that is kept keeps librdkafka's client from ending. */
static void next_of_lane_0(struct source *source, struct message *ret_message)
{
	int64_t deadline = clock_monotonic_ms() + WAIT_MS;
	struct error err = {0};
	enum poll_result result;

	while ((result = source->ops->poll(source, 100, ret_message, &err)) != POLL_MESSAGE || ret_message->partition) {
		if (result == POLL_MESSAGE)
			message_release(ret_message);
		CHECK(clock_monotonic_ms() < deadline);
	}
}

static void gives_headers_and_times(void)
{
	struct reader reader = {0};
	struct error err = {0};
	const char *topic = new_topic();
	struct source *source;
	struct message message = {0};
	struct buffer json;

	CHECK_INT(fill(topic, 5), 0);
	source = open_reader(&reader, topic, topic, NULL, NULL, &err);
	next_of_lane_0(source, &message);
	CHECK_INT(message.offset, 0);
	CHECK_INT(message.timestamp_ms, 1767225600000);
	CHECK(message.size == 9 && !memcmp(message.payload, "message 0", 9));
	CHECK(message.key_size == 1 && *message.key == 'k');
	buffer_init(&json, 1000);
	message_headers_json(&message, &json);
	CHECK_TEXT(buffer_string(&json), "[[\"who\",\"a \\\"test\\\"\"],[\"raw\",\"base64:/wAB\"],[\"none\",null]]");
	message_release(&message);
	CHECK_INT(message.offset, -1);
	buffer_clear(&json);
	next_of_lane_0(source, &message);
	CHECK_INT(message.offset, 1);
	message_headers_json(&message, &json);
	CHECK_TEXT(buffer_string(&json), "");
	message_release(&message);
	buffer_release(&json);
	source->ops->close(source);
}

static void knows_the_topic(void)
{
	struct reader reader = {0};
	struct error err = {0};
	const char *topic = new_topic();
	struct source *source = open_reader(&reader, topic, topic, NULL, NULL, &err);
	char id[64] = "", again[64] = "";
	int32_t count = 0;

	source->ops->partition_count(source, &count, &err);
	CHECK_TEXT(err.message, "");
	CHECK_INT(count, LANES);
	CHECK_INT(source->ops->topic_id(source, id, sizeof id, &err), 0);
	CHECK_INT(source->ops->topic_id(source, again, sizeof again, &err), 0);
	CHECK(strlen(id) >= 20);
	CHECK_TEXT(again, id);
	source->ops->close(source);
}

static void reads_all_without_a_group(void)
{
	struct reader reader = {.start = {1, 2, 3, 4}};
	struct error err = {0};
	const char *topic = new_topic();
	struct kafka_config config = {.brokers = embedded_broker_address(broker), .topic = topic, .assign_all = true};
	struct source *source;

	CHECK_INT(fill(topic, MESSAGES), 0);
	source = source_open_kafka(&config, &(struct source_events){&reader, on_assigned, on_revoked}, &err);
	CHECK(read_to_end(source, &reader, LANES, &err) != POLL_ERROR);
	CHECK_INT(reader.received[0] + reader.received[1] + reader.received[2] + reader.received[3], MESSAGES - 10);
	source->ops->close(source);
	CHECK_INT(reader.revoked, LANES);
}

#define HELD 6000 /* more than may wait to be freed */

struct held {
	struct message messages[HELD];
	int count;
};

static void *release_held(void *context)
{
	struct held *held = context;

	for (int i = 0; i < held->count; i++)
		message_release(&held->messages[i]);
	return NULL;
}

/* Takes `count` messages, whose bytes must be those that were sent, into `held`, or lets go of them. */
static void read_some(struct source *source, int count, struct held *held)
{
	int64_t deadline = clock_monotonic_ms() + WAIT_MS;
	struct error err = {0};

	while (count && clock_monotonic_ms() < deadline) {
		struct message message = {0};
		char text[32];

		if (source->ops->poll(source, 100, &message, &err) != POLL_MESSAGE)
			continue;
		snprintf(text, sizeof text, "message %lld", (long long)message.offset * LANES + message.partition);
		CHECK(message.size == strlen(text) && !memcmp(message.payload, text, message.size));
		if (held)
			held->messages[held->count++] = message;
		else
			message_release(&message);
		count--;
	}
	CHECK_INT(count, 0);
}

/* Another thread lets go of what was held, while the reader does of what it reads: close would wait for a message that
 * was forgotten, and ASan see one that was freed twice. */
static void lets_go_anywhere(enum kafka_way way)
{
	struct reader reader = {0};
	struct error err = {0};
	const char *topic = new_topic();
	struct kafka_config config = {
	        .brokers = embedded_broker_address(broker), .topic = topic, .assign_all = true, .way = way};
	struct held *held = calloc(1, sizeof *held);
	struct source *source;
	pthread_t thread;

	CHECK_INT(fill(topic, 2 * HELD), 0);
	source = source_open_kafka(&config, &(struct source_events){&reader, on_assigned, on_revoked}, &err);
	read_some(source, HELD, held);
	CHECK_INT(pthread_create(&thread, NULL, release_held, held), 0);
	read_some(source, HELD, NULL);
	pthread_join(thread, NULL);
	source->ops->close(source);
	free(held);
}

static void lets_go_apart(void)
{
	lets_go_anywhere(KAFKA_APART);
}

static void lets_go_itself(void)
{
	lets_go_anywhere(KAFKA_MANY);
	lets_go_anywhere(KAFKA_SINGLE);
}

static void waits_for_a_topic(void)
{
	struct reader reader = {0};
	struct error err = {0};
	struct message message;
	struct kafka_config config = {.brokers = embedded_broker_address(broker), .topic = "later", .assign_all = true};
	struct source *source =
	        source_open_kafka(&config, &(struct source_events){&reader, on_assigned, on_revoked}, &err);

	CHECK_INT(source->ops->poll(source, 50, &message, &err), POLL_NOTHING);
	CHECK_INT(embedded_broker_create_topic(broker, "later", LANES, &err), 0);
	CHECK_INT(fill("later", 8), 0);
	CHECK(read_to_end(source, &reader, LANES, &err) != POLL_ERROR);
	CHECK_INT(reader.received[3], 2);
	source->ops->close(source);
}

static void refuses_properties(void)
{
	struct reader reader = {0};
	struct error err = {0};

	CHECK(!open_reader(&reader, "t", "g", "no.such.property", "1", &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "no.such.property");
	CHECK(!open_reader(&reader, "t", "g", "fetch.max.bytes", "many", &err));
	CHECK_HAS(err.message, "fetch.max.bytes");
	CHECK(!open_reader(&reader, "t", "g", "enable.auto.commit", "true", &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "enable.auto.commit");
	CHECK_HAS(err.message, "in the lake");
	CHECK(!open_reader(&reader, "t", "g", "ssl.key.password", NULL, &err));
	CHECK_HAS(err.message, "ssl.key.password has no value");
	CHECK(!open_reader(&reader, "t", "g", "sasl.oauthbearer.client.secret.no", "hunter2hunter2", &err));
	CHECK(!strstr(err.message, "hunter2"));
	/* What KIP-848 forbids is librdkafka's to refuse. */
	struct kafka_property both[] = {{"group.protocol", "consumer"}, {"session.timeout.ms", "6000"}};
	struct kafka_config config = {
	        .brokers = "127.0.0.1:1", .topic = "t", .group = "g", .properties = both, .property_count = 2};
	CHECK(!source_open_kafka(&config, &(struct source_events){&reader, on_assigned, on_revoked}, &err));
	CHECK_HAS(err.message, "session.timeout.ms");
	/* An owned property set to what Tarn sets is no mistake. */
	struct source *source = open_reader(&reader, "t", "g", "enable.auto.commit", "False", &err);
	CHECK(source);
	source->ops->close(source);
}

/* Two members share four lanes; when one leaves, the other reads on where it stood. */
static void two_readers_share(const char *property, const char *value)
{
	struct reader readers[2] = {0};
	struct source *sources[2];
	struct error err = {0};
	const char *topic = new_topic();
	int64_t deadline = clock_monotonic_ms() + 2 * WAIT_MS;

	CHECK_INT(fill(topic, MESSAGES), 0);
	sources[0] = open_reader(&readers[0], topic, topic, property, value, &err);
	for (int i = 0; i < 10; i++)
		take(sources[0], &readers[0], &err);
	sources[1] = open_reader(&readers[1], topic, topic, property, value, &err);
	while (count_owned(&readers[0]) != 2 || count_owned(&readers[1]) != 2) {
		CHECK(clock_monotonic_ms() < deadline);
		for (int r = 0; r < 2; r++) {
			take(sources[r], &readers[r], &err);
			CHECK_TEXT(err.message, "");
		}
	}
	for (int i = 0; i < LANES; i++)
		CHECK(readers[0].owned[i] != readers[1].owned[i]);
	for (int i = 0; i < LANES; i++)
		if (readers[0].owned[i])
			CHECK_INT(sources[0]->ops->pause(sources[0], i, &err), 0);
	for (int i = 0; i < 12; i++)
		take(sources[0], &readers[0], &err);
	sources[1]->ops->close(sources[1]);
	CHECK_INT(readers[1].revoked >= 2, 1);
	for (int i = 0; i < LANES; i++)
		if (readers[1].next[i] > readers[0].start[i] && !readers[0].owned[i])
			readers[0].start[i] = readers[1].next[i];
	while (count_owned(&readers[0]) < LANES) {
		CHECK(clock_monotonic_ms() < deadline);
		take(sources[0], &readers[0], &err);
	}
	for (int i = 0; i < LANES; i++)
		CHECK_INT(sources[0]->ops->resume(sources[0], i, &err), 0);
	memset(readers[0].ended, 0, sizeof readers[0].ended);
	for (int i = 0; i < LANES; i++) {
		sources[0]->ops->seek(sources[0], i, readers[0].next[i], &err);
	}
	read_to_end(sources[0], &readers[0], LANES, &err);
	for (int i = 0; i < LANES; i++)
		CHECK_INT(readers[0].next[i], 250);
	sources[0]->ops->close(sources[0]);
}

static void shares_cooperative(void)
{
	two_readers_share(NULL, NULL);
}

static void shares_eager(void)
{
	two_readers_share("partition.assignment.strategy", "roundrobin");
}

static void shares_kip848(void)
{
	two_readers_share("group.protocol", "consumer");
}

/* A reader that cannot begin: it hears of the group all the same, and gives up what it is asked for, and the rest. */
static void lanes_that_are_not_read_yet_are_taken(void)
{
	struct reader readers[2] = {{.fails_late = true}};
	struct source *sources[2];
	struct error err = {0};
	const char *topic = new_topic();
	int64_t deadline = clock_monotonic_ms() + 2 * WAIT_MS;

	sources[0] = open_reader(&readers[0], topic, topic, NULL, NULL, &err);
	while (count_owned(&readers[0]) < LANES) {
		CHECK(clock_monotonic_ms() < deadline);
		take(sources[0], &readers[0], &err);
	}
	sources[1] = open_reader(&readers[1], topic, topic, NULL, NULL, &err);
	while (count_owned(&readers[1]) < 2) {
		CHECK(clock_monotonic_ms() < deadline);
		take(sources[0], &readers[0], &err);
		take(sources[1], &readers[1], &err);
	}
	for (int i = 0; i < LANES; i++)
		CHECK(readers[0].owned[i] != readers[1].owned[i]);
	sources[0]->ops->close(sources[0]);
	CHECK_INT(readers[0].revoked, LANES);
	sources[1]->ops->close(sources[1]);
}

/* A producer that may not run ahead of its consumer, and a consumer that starts late: nothing is dropped. */
struct pace_test {
	_Atomic int64_t position[LANES];
	const char *topic;
	int result;
	struct error err;
};

static int64_t position_of(void *context, int32_t partition)
{
	return atomic_load(&((struct pace_test *)context)->position[partition]);
}

static void *produce_paced(void *context)
{
	struct pace_test *test = context;
	struct producer_config config = {.brokers = embedded_broker_address(broker),
	                                 .embedded = true,
	                                 .position = position_of,
	                                 .position_context = test};
	struct producer *producer = producer_open(&config, &test->err);

	for (int i = 0; i < 60 && !test->result; i++) {
		char *payload = malloc(1100000);

		memset(payload, i, 1100000);
		test->result = producer_send(producer,
		                             &(struct producer_message){.topic = test->topic,
		                                                        .partition = i % LANES,
		                                                        .payload = payload,
		                                                        .size = 1100000,
		                                                        .take = true},
		                             &test->err);
	}
	if (!test->result)
		test->result = producer_flush(producer, WAIT_MS, &test->err);
	producer_close(producer);
	return NULL;
}

static void paced_producer_loses_nothing(void)
{
	struct pace_test test = {.topic = new_topic()};
	struct reader reader = {0};
	struct error err = {0};
	struct source *source;
	pthread_t thread;

	pthread_create(&thread, NULL, produce_paced, &test);
	usleep(300000);
	source = open_reader(&reader, test.topic, test.topic, NULL, NULL, &err);
	for (int64_t deadline = clock_monotonic_ms() + 2 * WAIT_MS; clock_monotonic_ms() < deadline;) {
		int64_t total = 0;

		CHECK(take(source, &reader, &err) != POLL_OUT_OF_RANGE);
		for (int i = 0; i < LANES; i++) {
			atomic_store(&test.position[i], reader.next[i]);
			total += reader.received[i];
		}
		if (total == 60)
			break;
	}
	pthread_join(thread, NULL);
	CHECK_TEXT(test.err.message, "");
	CHECK_INT(test.result, 0);
	for (int i = 0; i < LANES; i++)
		CHECK_INT(reader.received[i], 15);
	source->ops->close(source);
}

static void group_position_is_what_was_committed(void)
{
	struct reader reader = {0};
	struct error err = {0};
	const char *topic = new_topic();
	struct producer_config config = {.brokers = embedded_broker_address(broker)};
	struct group_position *position;
	struct source *source;

	CHECK_INT(fill(topic, 40), 0);
	source = open_reader(&reader, topic, topic, NULL, NULL, &err);
	read_to_end(source, &reader, LANES, &err);
	source->ops->store_hint(source, 2, 7);
	source->ops->close(source);
	position = group_position_open(&config, topic, topic, LANES, &err);
	CHECK_TEXT(err.message, "");
	CHECK_INT(group_position_get(position, 2), 7);
	CHECK_INT(group_position_get(position, 1), -1);
	CHECK_INT(group_position_get(position, 9), -1);
	group_position_close(position);
}

static void producer_says_what_is_wrong(void)
{
	struct producer_config config = {.brokers = embedded_broker_address(broker), .embedded = true};
	struct error err = {0};
	struct producer *producer = producer_open(&config, &err);
	const char *topic = new_topic();
	static char large[3000000];

	CHECK_INT(producer_ensure_topic(producer, topic, LANES, &err), 0);
	CHECK_INT(producer_ensure_topic(producer, topic, LANES + 1, &err), -1);
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "has 4 partitions, fewer than the 5");
	CHECK_INT(producer_ensure_topic(producer, "not-there", 1, &err), -1);
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "not-there does not exist");
	CHECK_INT(producer_send(producer,
	                        &(struct producer_message){.topic = topic, .payload = large, .size = sizeof large},
	                        &err),
	          -1);
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "2.5 MB");
	/* The first delivery that fails ends the producer. */
	CHECK_INT(producer_send(producer,
	                        &(struct producer_message){.topic = topic, .partition = 77, .payload = "x", .size = 1},
	                        &err),
	          -1);
	producer_close(producer);
}

int main(int argc, char **argv)
{
	struct error err = {0};
	int result;

	log_init(true, LOG_WARN, false);
	broker = embedded_broker_start(&err);
	if (!broker) {
		printf("not ok start: %s\n", err.message);
		return 1;
	}
	result = CHECK_MAIN(argc, argv, TEST(starts_cooperative), TEST(starts_eager), TEST(starts_kip848),
	                    TEST(assigned_may_fail_once), TEST(a_paused_lane_leaves_room), TEST(pauses_cooperative),
	                    TEST(pauses_eager), TEST(all_paused_is_quiet), TEST(seeks_cooperative), TEST(seeks_eager),
	                    TEST(seeks_kip848), TEST(gives_headers_and_times), TEST(knows_the_topic),
	                    TEST(reads_all_without_a_group), TEST(lets_go_apart), TEST(lets_go_itself),
	                    TEST(waits_for_a_topic), TEST(refuses_properties), TEST(shares_cooperative),
	                    TEST(shares_eager), TEST(shares_kip848), TEST(lanes_that_are_not_read_yet_are_taken),
	                    TEST(paced_producer_loses_nothing), TEST(group_position_is_what_was_committed),
	                    TEST(producer_says_what_is_wrong));
	embedded_broker_stop(broker);
	return result;
}
