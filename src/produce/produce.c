#include "produce/produce.h"

#include <math.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/owned.h"
#include "batch/batch.h"
#include "produce/shape.h"
#include "wire/producer.h"

#define ARROW_ROWS_DEFAULT 1000
#define JSON_ROWS_DEFAULT 1
#define MESSAGE_BYTES_MAX ((size_t)16 << 20)
#define FLUSH_MS 120000
#define RATE_WAIT_MS 50 /* between two looks at the stop flag */

struct run {
	const struct produce_config *config;
	const struct shape *shape;
	bool json;
	struct generator *generator;
	struct buffer text; /* of the JSON message at hand: the producer copies it */
	struct producer *producer;
	struct group_position *group;
	int batch_rows, partitions;
	int64_t started_us, rows, bytes, messages;
	size_t largest; /* message so far: the next one begins with that much room */
};

static int check_bad(const struct shape *shape, double bad, struct error *err)
{
	if (!(bad <= 1))
		return error_set(err, ERROR_INVALID, 0,
		                 "the share of bad events must be 0 to 1 (0.05 is one of twenty), not %g", bad);
	if (bad > 0 && !shape->has_bad)
		return error_set(err, ERROR_INVALID, 0,
		                 "events of the shape %s are never bad: leave the share of bad ones out, or take the "
		                 "shape telecom",
		                 shape->name);
	return 0;
}

static int check(const struct produce_config *config, struct error *err)
{
	if (config->format && strcmp(config->format, "arrow") && strcmp(config->format, "json"))
		return error_set(err, ERROR_INVALID, 0, "there is no format \"%s\"; there are: arrow, json",
		                 config->format);
	if (!config->brokers || !*config->brokers || !config->topic || !*config->topic)
		return error_set(err, ERROR_INVALID, 0, "say which brokers and which topic to send to");
	if (config->count < 0)
		return error_set(err, ERROR_INVALID, 0, "the count of rows must not be negative");
	if (config->batch_rows < 0 || config->batch_rows > PRODUCE_ROWS_MAX)
		return error_set(err, ERROR_INVALID, 0, "a message has 1 to %d rows (16 MiB), not %d", PRODUCE_ROWS_MAX,
		                 config->batch_rows);
	if (!(config->rate >= 0) || isinf(config->rate))
		return error_set(err, ERROR_INVALID, 0, "the rate must be rows a second, or 0 for as fast as it goes");
	if (config->partitions < 0)
		return error_set(err, ERROR_INVALID, 0, "the count of partitions must not be negative");
	return 0;
}

static int append(void *context, const void *bytes, size_t size)
{
	struct buffer *buffer = context;

	buffer_append(buffer, bytes, size);
	return buffer_ok(buffer) ? 0 : -1;
}

static int encode_arrow(struct run *run, int64_t first_row, int rows, struct buffer *out, struct error *err)
{
	const struct ArrowArray *array = generator_arrow(run->generator, first_row, rows, err);
	struct ipc_writer *writer;

	if (!array)
		return -1;
	buffer_reserve(out, run->largest);
	writer = ipc_writer_new(generator_schema(run->generator), append, out, err);
	if (!writer)
		return -1;
	if (ipc_writer_write(writer, array, err)) {
		ipc_writer_free(writer);
		return -1;
	}
	if (ipc_writer_finish(writer, err))
		return -1;
	run->largest = out->size > run->largest ? out->size + out->size / 64 : run->largest;
	return 0;
}

static bool stopped(const struct run *run)
{
	return run->config->stop && atomic_load_explicit(run->config->stop, memory_order_relaxed);
}

/* Waits until the rate allows the rows sent so far. */
static int keep_rate(struct run *run, struct error *err)
{
	while (run->config->rate > 0 && !stopped(run)) {
		double due_us = (double)run->rows / run->config->rate * 1e6;
		int64_t left_ms = ((int64_t)due_us - (clock_monotonic_us() - run->started_us)) / 1000;

		if (left_ms <= 0)
			break;
		if (producer_poll(run->producer, left_ms > RATE_WAIT_MS ? RATE_WAIT_MS : (int)left_ms, err))
			return -1;
	}
	return 0;
}

/* take: the producer frees the payload, in time. */
static enum producer_result send_bytes(struct run *run, const struct buffer *bytes, int rows, bool take,
                                       struct error *err)
{
	enum producer_result result = producer_send(run->producer,
	                                            &(struct producer_message){
	                                                    .topic = run->config->topic,
	                                                    .partition = (int32_t)(run->messages % run->partitions),
	                                                    .payload = bytes->data,
	                                                    .size = bytes->size,
	                                                    .take = take,
	                                            },
	                                            err);

	if (result != PRODUCER_SENT)
		return result;
	run->bytes += (int64_t)bytes->size;
	run->rows += rows;
	run->messages++;
	return result;
}

static enum producer_result send_arrow(struct run *run, int rows, struct error *err)
{
	OWNED_BUFFER struct buffer bytes = {0};
	enum producer_result result;

	buffer_init(&bytes, MESSAGE_BYTES_MAX);
	if (encode_arrow(run, run->messages * run->batch_rows, rows, &bytes, err))
		return PRODUCER_ERROR;
	result = send_bytes(run, &bytes, rows, true, err);
	if (result == PRODUCER_SENT)
		bytes = (struct buffer){.maximum = MESSAGE_BYTES_MAX}; /* the producer's now */
	return result;
}

static enum producer_result send_json(struct run *run, int rows, struct error *err)
{
	buffer_clear(&run->text);
	if (generator_json(run->generator, run->messages * run->batch_rows, rows, &run->text, err))
		return PRODUCER_ERROR;
	return send_bytes(run, &run->text, rows, false, err);
}

static int send_all(struct run *run, struct produce_report *report, struct error *err)
{
	const struct produce_config *config = run->config;

	while (run->rows < config->count && !stopped(run)) {
		int64_t left = config->count - run->rows;
		int rows = left < run->batch_rows ? (int)left : run->batch_rows;
		enum producer_result result = run->json ? send_json(run, rows, err) : send_arrow(run, rows, err);

		if (result == PRODUCER_ERROR || keep_rate(run, err))
			return -1;
		if (result == PRODUCER_STOPPED)
			break;
		if (config->progress)
			config->progress(config->progress_context, run->rows, run->bytes);
	}
	if (producer_flush(run->producer, FLUSH_MS, err))
		return -1;
	report->messages = run->messages;
	report->rows = run->rows;
	report->bytes = run->bytes;
	report->seconds = (double)(clock_monotonic_us() - run->started_us) / 1e6;
	report->stopped = run->rows < config->count;
	return 0;
}

static int open_all(struct run *run, struct error *err)
{
	const struct produce_config *config = run->config;
	struct producer_config producer = {.brokers = config->brokers,
	                                   .properties = config->properties,
	                                   .property_count = config->property_count,
	                                   .embedded = config->embedded,
	                                   .position = config->position,
	                                   .position_context = config->position_context,
	                                   .stop = config->stop};

	if (!producer.position && config->pace_group) {
		run->group = group_position_open(&producer, config->pace_group, config->topic, run->partitions, err);
		if (!run->group)
			return -1;
		producer.position = group_position_get;
		producer.position_context = run->group;
	}
	run->generator = generator_new(
	        run->shape,
	        &(struct shape_source){.seed = config->seed, .bad = config->bad < 0 ? run->shape->bad : config->bad},
	        run->batch_rows, err);
	run->producer = run->generator ? producer_open(&producer, err) : NULL;
	if (!run->producer)
		return -1;
	return producer_ensure_topic(run->producer, config->topic, run->partitions, err);
}

int produce_run(const struct produce_config *config, struct produce_report *ret, struct error *err)
{
	struct run run = {.config = config, .shape = shape_find(config->shape, err)};
	struct produce_report report = {0};
	int result;

	if (!run.shape || check(config, err) || check_bad(run.shape, config->bad, err))
		return -1;
	run.json = config->format && !strcmp(config->format, "json");
	run.batch_rows = config->batch_rows ? config->batch_rows : run.json ? JSON_ROWS_DEFAULT : ARROW_ROWS_DEFAULT;
	buffer_init(&run.text, MESSAGE_BYTES_MAX);
	run.partitions = config->partitions ? config->partitions : 1;
	result = open_all(&run, err);
	run.started_us = clock_monotonic_us();
	if (!result)
		result = send_all(&run, &report, err);
	producer_close(run.producer);
	group_position_close(run.group);
	generator_free(run.generator);
	buffer_release(&run.text);
	if (!result)
		*ret = report;
	return result;
}
