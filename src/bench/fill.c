/* fill.c - a topic of made-up events, on a cluster or in the embedded broker. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/owned.h"
#include "bench/bench_private.h"
#include "produce/posthog.h"
#include "wire/producer.h"

#define FLUSH_MS 120000
#define MESSAGE_BYTES_MAX (16 << 20)

static int to_buffer(void *context, const void *bytes, size_t size)
{
	buffer_append(context, bytes, size);
	return buffer_ok(context) ? 0 : -1;
}

static int send_batch(struct producer *producer, struct posthog *posthog, const char *topic, int32_t partition,
                      int64_t first, int rows, struct error *err)
{
	const struct ArrowArray *array = posthog_fill(posthog, first, rows, err);
	struct producer_message message = {.topic = topic, .partition = partition, .take = true};
	struct ipc_writer *writer;
	struct buffer payload;
	enum producer_result sent;

	buffer_init(&payload, MESSAGE_BYTES_MAX);
	writer = array ? ipc_writer_new(posthog_schema(posthog), to_buffer, &payload, err) : NULL;
	if (!writer)
		return -1;
	if (ipc_writer_write(writer, array, err)) {
		ipc_writer_free(writer);
		buffer_release(&payload);
		return -1;
	}
	if (ipc_writer_finish(writer, err)) {
		buffer_release(&payload);
		return -1;
	}
	message.payload = payload.data;
	message.size = payload.size;
	sent = producer_send(producer, &message, err);
	if (sent != PRODUCER_SENT)
		buffer_release(&payload);
	return sent == PRODUCER_SENT ? 0 : -1;
}

static int send_all(struct producer *producer, const char *topic, int64_t rows, int partitions, struct error *err)
{
	struct posthog *posthog = posthog_new(1, BENCH_BATCH_ROWS, err);
	int failed = !posthog || producer_ensure_topic(producer, topic, partitions, err);

	for (int64_t first = 0; first < rows && !failed; first += BENCH_BATCH_ROWS)
		failed = send_batch(producer, posthog, topic, (int32_t)(first / BENCH_BATCH_ROWS % partitions), first,
		                    (int)(rows - first < BENCH_BATCH_ROWS ? rows - first : BENCH_BATCH_ROWS), err);
	if (!failed)
		failed = producer_flush(producer, FLUSH_MS, err);
	posthog_free(posthog);
	return failed ? -1 : 0;
}

static int fill(const char *brokers, const char *topic, int64_t rows, int partitions, bool embedded, struct error *err)
{
	const struct kafka_property zstd = {"compression.type", "zstd"};
	struct producer_config config = {
	        .brokers = brokers, .properties = &zstd, .property_count = embedded ? 0 : 1, .embedded = embedded};
	struct producer *producer = producer_open(&config, err);
	int failed;

	if (!producer)
		return -1;
	failed = send_all(producer, topic, rows, partitions, err);
	producer_close(producer);
	return failed;
}

/* ---- in processes of their own */

struct answer {
	char address[64];
	struct error err;
};

/* Answers through `to` when the topic is filled; then lives until `hold` ends. */
static void serve_embedded(const char *topic, int64_t rows, int to, int hold)
{
	struct answer answer = {0};
	/* Three messages of a thousand rows fit a partition, which keeps 5 MiB. */
	int partitions = (int)(rows / BENCH_BATCH_ROWS / 3 + 1);
	struct embedded_broker *broker = embedded_broker_start(&answer.err);
	char end;

	signal(SIGINT, SIG_IGN);
	if (broker) {
		snprintf(answer.address, sizeof answer.address, "%s", embedded_broker_address(broker));
		if (!embedded_broker_create_topic(broker, topic, partitions, &answer.err))
			fill(answer.address, topic, rows, partitions, true, &answer.err);
	}
	if (write(to, &answer, sizeof answer) == (ssize_t)sizeof answer && !answer.err.kind)
		while (read(hold, &end, 1) < 0 && errno == EINTR)
			;
	embedded_broker_stop(broker);
	_exit(0);
}

static void serve_fill(const char *brokers, const char *topic, int64_t rows, int partitions, int to)
{
	struct answer answer = {0};

	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	fill(brokers, topic, rows, partitions, false, &answer.err);
	_exit(write(to, &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 1);
}

static int hear(int from, struct answer *answer, struct error *err)
{
	ssize_t got;

	while ((got = read(from, answer, sizeof *answer)) < 0 && errno == EINTR)
		;
	if (got != (ssize_t)sizeof *answer)
		return error_set(err, ERROR_FATAL, 0, "the process that fills the topic died");
	if (!answer->err.kind)
		return 0;
	*err = answer->err;
	return error_wrap(err, "fill the topic");
}

int bench_fill(const char *brokers, const char *topic, int64_t rows, int partitions, struct error *err)
{
	struct answer answer;
	int ends[2], failed;
	pid_t pid;

	if (pipe(ends))
		return error_set(err, ERROR_FATAL, errno, "no pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		serve_fill(brokers, topic, rows, partitions, ends[1]);
	close(ends[1]);
	failed = hear(ends[0], &answer, err);
	close(ends[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return failed;
}

int bench_broker_start(struct bench_broker *broker, const char *topic, int64_t rows, struct error *err)
{
	struct answer answer;
	int ends[2], hold[2];

	*broker = (struct bench_broker){.hold = -1};
	if (rows > INT64_C(3) * BENCH_BATCH_ROWS * 1000)
		return error_set(err, ERROR_INVALID, 0,
		                 "the in-process broker holds at most %d events here: measure more with --brokers",
		                 3 * BENCH_BATCH_ROWS * 1000);
	if (pipe(ends) || pipe(hold))
		return error_set(err, ERROR_FATAL, errno, "no pipe: %s", strerror(errno));
	fflush(NULL);
	broker->pid = fork();
	if (broker->pid == 0) {
		close(hold[1]);
		serve_embedded(topic, rows, ends[1], hold[0]);
	}
	close(ends[1]);
	close(hold[0]);
	broker->hold = hold[1];
	if (hear(ends[0], &answer, err)) {
		close(ends[0]);
		bench_broker_stop(broker);
		return -1;
	}
	close(ends[0]);
	memcpy(broker->address, answer.address, sizeof broker->address);
	return 0;
}

void bench_broker_stop(struct bench_broker *broker)
{
	if (broker->hold >= 0)
		close(broker->hold);
	if (broker->pid > 0)
		waitpid(broker->pid, NULL, 0);
	*broker = (struct bench_broker){.hold = -1};
}
