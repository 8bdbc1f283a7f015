/* The event generator, and produce_run against the embedded broker. */
#include <math.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/log.h"
#include "batch/batch.h"
#include "check.h"
#include "produce/pools.h"
#include "produce/produce.h"
#include "produce/shape.h"
#include "wire/producer.h"

static struct generator *posthog_new(uint64_t seed, int rows_max)
{
	return generator_new(&shape_posthog, &(struct shape_source){.seed = seed}, rows_max, NULL);
}

enum { UUID, EVENT, DISTINCT_ID, PROPERTIES, TIMESTAMP, TEAM_ID, PROJECT_ID, ELEMENTS_CHAIN };

static const char *text_at(const struct ArrowArray *array, int column, int row, size_t *ret_size)
{
	const int32_t *offsets = array->children[column]->buffers[1];

	*ret_size = (size_t)(offsets[row + 1] - offsets[row]);
	return (const char *)array->children[column]->buffers[2] + offsets[row];
}

static bool is_null(const struct ArrowArray *array, int column, int row)
{
	const uint8_t *bits = array->children[column]->buffers[0];

	return bits && !(bits[row / 8] >> row % 8 & 1);
}

/* FNV-1a, 64 bits. */
static uint64_t fnv(uint64_t hash, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t hash_rows(const struct ArrowArray *array, int from, int to)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (int row = from; row < to; row++) {
		for (int column = UUID; column <= ELEMENTS_CHAIN; column++) {
			size_t size = sizeof(int64_t);
			const void *bytes =
			        column == TEAM_ID || column == PROJECT_ID
			                ? (const void *)((const int64_t *)array->children[column]->buffers[1] + row)
			                : text_at(array, column, row, &size);

			hash = fnv(hash, bytes, size);
		}
	}
	return hash;
}

static void same_seed_same_bytes(void)
{
	struct generator *one = posthog_new(1, 1000), *again = posthog_new(1, 1000), *two = posthog_new(2, 1000);
	uint64_t hash;

	generator_arrow(again, 777, 10, NULL); /* what came before does not matter */
	hash = hash_rows(generator_arrow(one, 5000, 1000, NULL), 0, 1000);
	CHECK(hash == hash_rows(generator_arrow(again, 5000, 1000, NULL), 0, 1000));
	CHECK(hash != hash_rows(generator_arrow(two, 5000, 1000, NULL), 0, 1000));
	/* Cut elsewhere, the rows are the same. */
	hash = hash_rows(generator_arrow(one, 5000, 1000, NULL), 300, 400);
	CHECK(hash == hash_rows(generator_arrow(again, 5300, 100, NULL), 0, 100));
	/* A change here changes everybody's topics: bench figures before and after do not compare. */
	hash = hash_rows(generator_arrow(one, 0, 1000, NULL), 0, 1000);
	CHECK_INT(hash, INT64_C(-2111545532821136291));
	generator_free(one);
	generator_free(again);
	generator_free(two);
}

static void properties_are_json(void)
{
	struct generator *posthog = posthog_new(42, 1000);
	int64_t bytes = 0;

	for (int i = 0; i < 20; i++) {
		const struct ArrowArray *array = generator_arrow(posthog, i * 100000, 1000, NULL);

		for (int row = 0; row < 1000; row++) {
			size_t size, id_size;
			const char *text = text_at(array, PROPERTIES, row, &size),
			           *id = text_at(array, DISTINCT_ID, row, &id_size);
			yyjson_doc *document = yyjson_read(text, size, 0);
			yyjson_val *value = yyjson_obj_get(yyjson_doc_get_root(document), "distinct_id");

			if (!document || !value || yyjson_get_len(value) != id_size ||
			    memcmp(yyjson_get_str(value), id, id_size)) {
				CHECK_FAIL("row %d of %d: %.*s", row, i, (int)size, text);
				yyjson_doc_free(document);
				generator_free(posthog);
				return;
			}
			yyjson_doc_free(document);
			bytes += (int64_t)size;
		}
	}
	CHECK(bytes / 20000 > 800 && bytes / 20000 < 1200);
	generator_free(posthog);
}

static int compare_uuids(const void *a, const void *b)
{
	return memcmp(a, b, 36);
}

static void uuids_are_unique(void)
{
	enum { ROWS = 100000, STEP = 10000 };
	struct generator *posthog = posthog_new(3, STEP);
	char *all = malloc((size_t)ROWS * 36);

	for (int i = 0; i < ROWS / STEP; i++) {
		const struct ArrowArray *array = generator_arrow(posthog, i * STEP, STEP, NULL);

		memcpy(all + (size_t)i * STEP * 36, array->children[UUID]->buffers[2], (size_t)STEP * 36);
	}
	qsort(all, ROWS, 36, compare_uuids);
	for (int i = 0; i < ROWS; i++) {
		const char *uuid = all + (size_t)i * 36;

		CHECK(uuid[8] == '-' && uuid[13] == '-' && uuid[14] == '7' && uuid[18] == '-' && uuid[23] == '-');
		CHECK(strchr("89ab", uuid[19]) && (!i || memcmp(uuid, uuid - 36, 36)));
	}
	free(all);
	generator_free(posthog);
}

static void kinds_keep_their_weights(void)
{
	enum { ROWS = 14000, FILLS = 10 };
	struct generator *posthog = posthog_new(4, ROWS);
	int counts[KIND_COUNT] = {0}, total = 0, teams = 0;
	uint32_t weights = 0;
	size_t size;

	for (int i = 0; i < FILLS; i++) {
		const struct ArrowArray *array = generator_arrow(posthog, i * ROWS, ROWS, NULL);
		int64_t nulls = 0;

		for (int row = 0; row < ROWS; row++) {
			const char *event = text_at(array, EVENT, row, &size);
			bool click = size == 12 && !memcmp(event, "$autocapture", 12);

			for (int kind = 0; kind < KIND_COUNT; kind++)
				if (pool_kinds[kind].name.size == size &&
				    !memcmp(pool_kinds[kind].name.bytes, event, size))
					counts[kind]++, total++;
			CHECK_INT(is_null(array, ELEMENTS_CHAIN, row), !click);
			nulls += !click;
			text_at(array, ELEMENTS_CHAIN, row, &size);
			CHECK_INT(size == 0, !click);
			teams |= 1 << ((const int64_t *)array->children[TEAM_ID]->buffers[1])[row] % 31;
		}
		CHECK_INT(array->children[ELEMENTS_CHAIN]->null_count, nulls);
	}
	CHECK_INT(total, ROWS * FILLS);
	CHECK(__builtin_popcount((unsigned)teams) > 5);
	for (int kind = 0; kind < KIND_COUNT; kind++) {
		double expected = (double)total * pool_kinds[kind].weight / 1000;

		weights += pool_kinds[kind].weight;
		CHECK(fabs(counts[kind] - expected) < 6 * sqrt(expected));
	}
	CHECK_INT(weights, 1000);
	generator_free(posthog);
}

static void time_goes_on(void)
{
	struct generator *posthog = posthog_new(5, 10);
	char text[25] = "";
	size_t size;

	memcpy(text, text_at(generator_arrow(posthog, 0, 1, NULL), TIMESTAMP, 0, &size), 24);
	CHECK_INT(size, 24);
	CHECK(!memcmp(text, "2026-01-01T00:00:00.00", 22) && text[23] == 'Z');
	/* 29 February 2028 is day 789 of the epoch; 4 ms a row. */
	memcpy(text,
	       text_at(generator_arrow(posthog, (789 * INT64_C(86400000) + 45296000) / 4, 1, NULL), TIMESTAMP, 0,
	               &size),
	       24);
	CHECK(!memcmp(text, "2028-02-29T12:34:56.00", 22));
	generator_free(posthog);
}

static void pools_are_bounded(void)
{
#define BOUNDED(pool, member)                                                                                          \
	for (uint32_t i = 0; i < pool##_count; i++)                                                                    \
	CHECK(pool[i] member.size <= POOL_TEXT_MAX)
	BOUNDED(pool_devices, .system);
	BOUNDED(pool_devices, .agent);
	BOUNDED(pool_places, .geo);
	BOUNDED(pool_paths, );
	BOUNDED(pool_utm, );
	BOUNDED(pool_products, );
	BOUNDED(pool_leaves, );
	BOUNDED(pool_containers, );
	BOUNDED(pool_errors, );
	for (uint32_t i = 0; i < pool_paths_count; i++)
		CHECK(pool_paths[i].size < 100);
	for (uint32_t i = 0; i < pool_names_count; i++)
		CHECK(pool_names[i].size < 30);
}

/* ---- produce_run */

static int on_assigned(void *context, struct source_start *starts, int count, struct error *err)
{
	for (int i = 0; i < count; i++)
		starts[i].offset = 0;
	return 0;
}

static void on_revoked(void *context, const int32_t *partitions, int count, bool lost)
{
}

static void free_nothing(void *opaque)
{
}

static void on_progress(void *context, int64_t rows, int64_t bytes)
{
	*(int64_t *)context = rows;
}

/* 2,500 rows in messages of 300 over 2 partitions: nine messages, the last of 100 rows, all of them decodable. */
static void sends_whole_streams(void)
{
	struct error err = {0};
	struct embedded_broker *broker = embedded_broker_start(&err);
	struct produce_config config = {
	        .topic = "events", .count = 2500, .batch_rows = 300, .partitions = 2, .seed = 1, .embedded = true};
	struct produce_report report = {0};
	struct batch_counters counters = {0};
	struct batch_decoder *decoder = batch_decoder_new(&counters, &err);
	struct kafka_config reading = {.topic = "events", .assign_all = true};
	struct source *source;
	int64_t rows = 0, progress = 0, deadline = clock_monotonic_ms() + 20000;
	int per_lane[2] = {0};

	config.brokers = reading.brokers = embedded_broker_address(broker);
	config.progress = on_progress;
	config.progress_context = &progress;
	CHECK_INT(embedded_broker_create_topic(broker, "events", 2, &err), 0);
	CHECK_INT(produce_run(&config, &report, &err), 0);
	CHECK_INT(report.messages, 9);
	CHECK_INT(report.rows, 2500);
	CHECK_INT(progress, 2500);
	CHECK(!report.stopped && report.bytes > 2500 * 900);
	source = source_open_kafka(&reading, &(struct source_events){NULL, on_assigned, on_revoked}, &err);
	while (rows < 2500) {
		struct message message = {0};
		struct batch_set set = {0};

		CHECK(clock_monotonic_ms() < deadline);
		if (source->ops->poll(source, 100, &message, &err) != POLL_MESSAGE)
			continue;
		CHECK_INT(message.offset, per_lane[message.partition]++);
		CHECK_INT(ipc_decode(decoder, (struct batch_bytes){message.payload, message.size, free_nothing, NULL},
		                     &set, &err),
		          0);
		rows += set.rows;
		CHECK_INT(set.rows, message.partition == 0 && message.offset == 4 ? 100 : 300);
		batch_set_release(&set);
		message_release(&message);
	}
	CHECK_INT(per_lane[0], 5);
	CHECK_INT(per_lane[1], 4);
	source->ops->close(source);
	batch_decoder_free(decoder);
	embedded_broker_stop(broker);
}

static void keeps_the_rate(void)
{
	struct error err = {0};
	struct embedded_broker *broker = embedded_broker_start(&err);
	struct produce_config config = {
	        .topic = "events", .count = 500, .batch_rows = 50, .rate = 1000, .embedded = true};
	struct produce_report report = {0};

	config.brokers = embedded_broker_address(broker);
	CHECK_INT(embedded_broker_create_topic(broker, "events", 1, &err), 0);
	CHECK_INT(produce_run(&config, &report, &err), 0);
	CHECK(report.seconds > 0.45 && report.seconds < 3);
	embedded_broker_stop(broker);
}

static int64_t never(void *context, int32_t partition)
{
	atomic_store((atomic_bool *)context, true); /* the stop flag, set while it waits */
	return 0;
}

static void stops_when_told(void)
{
	struct error err = {0};
	struct embedded_broker *broker = embedded_broker_start(&err);
	atomic_bool stop = false;
	struct produce_config config = {.topic = "events",
	                                .count = 1000000,
	                                .batch_rows = 2000,
	                                .embedded = true,
	                                .position = never,
	                                .position_context = &stop,
	                                .stop = &stop};
	struct produce_report report = {0};

	config.brokers = embedded_broker_address(broker);
	CHECK_INT(embedded_broker_create_topic(broker, "events", 1, &err), 0);
	CHECK_INT(produce_run(&config, &report, &err), 0);
	CHECK(report.stopped);
	CHECK_INT(report.rows, 2000);
	embedded_broker_stop(broker);
}

static void refuses_nonsense(void)
{
	struct error err = {0};
	struct produce_report report;
	struct produce_config config = {.brokers = "127.0.0.1:1", .topic = "t", .count = 1};
#define REFUSED(member, value, part)                                                                                   \
	do {                                                                                                           \
		struct produce_config wrong = config;                                                                  \
		wrong.member = value;                                                                                  \
		err = (struct error){0};                                                                               \
		CHECK_INT(produce_run(&wrong, &report, &err), -1);                                                     \
		CHECK_INT(err.kind, ERROR_INVALID);                                                                    \
		CHECK_HAS(err.message, part);                                                                          \
	} while (0)
	REFUSED(shape, "segment", "there are: posthog, telecom");
	REFUSED(format, "csv", "there are: arrow, json");
	REFUSED(bad, 0.5, "take the shape telecom");
	REFUSED(bad, 1.5, "0 to 1");
	REFUSED(bad, (double)NAN, "0 to 1");
	REFUSED(topic, "", "which topic");
	REFUSED(count, -1, "count");
	REFUSED(batch_rows, PRODUCE_ROWS_MAX + 1, "14000");
	REFUSED(rate, -1.0, "rate");
	REFUSED(rate, (double)NAN, "rate");
	REFUSED(partitions, -1, "partitions");
}

int main(int argc, char **argv)
{
	log_init(true, LOG_WARN, false);
	return CHECK_MAIN(argc, argv, TEST(same_seed_same_bytes), TEST(properties_are_json), TEST(uuids_are_unique),
	                  TEST(kinds_keep_their_weights), TEST(time_goes_on), TEST(pools_are_bounded),
	                  TEST(sends_whole_streams), TEST(keeps_the_rate), TEST(stops_when_told),
	                  TEST(refuses_nonsense));
}
