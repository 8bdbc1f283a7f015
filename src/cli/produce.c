/*
 * produce.c - `tarn produce`: made-up events to a topic.
 */
#include "produce/produce.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "spec/mistake.h"
#include "spec/values.h"

#define PROGRESS_MS 100

struct progress {
	int64_t started_ms, shown_ms;
	int64_t count; /* 0: no end */
};

static double per_second(int64_t count, double seconds)
{
	return seconds > 0 ? (double)count / seconds : 0;
}

static void show_progress(void *context, int64_t rows, int64_t bytes)
{
	char count[HUMAN_SIZE], size[HUMAN_SIZE], rate[HUMAN_SIZE], part[HUMAN_SIZE], line[256];
	struct progress *progress = context;
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms - progress->shown_ms < PROGRESS_MS)
		return;
	progress->shown_ms = now_ms;
	snprintf(line, sizeof line, "%s rows%s%s, %s, %s rows/s", human_count(rows, count), progress->count ? ", " : "",
	         progress->count ? human_percent((double)rows / (double)progress->count, part) : "",
	         human_bytes(bytes, size),
	         human_count((int64_t)per_second(rows, (double)(now_ms - progress->started_ms) / 1000), rate));
	log_progress(line);
}

/* NAME=VALUE pairs. *ret_text owns what the pairs borrow. */
static int read_properties(const struct invocation *invocation, struct kafka_property **ret_properties,
                           char ***ret_texts, struct error *err)
{
	const char *const *items;
	int count = option_list(invocation, "property", &items);

	*ret_properties = calloc((size_t)count + 1, sizeof **ret_properties);
	*ret_texts = calloc((size_t)count + 1, sizeof **ret_texts);
	if (!*ret_properties || !*ret_texts)
		return error_no_memory(err);
	for (int i = 0; i < count; i++) {
		char *text = (*ret_texts)[i] = strdup(items[i]), *equals = text ? strchr(text, '=') : NULL;
		char quoted[QUOTED_SIZE];
		const char *problem;

		if (!text)
			return error_no_memory(err);
		if (!equals)
			return error_set(err, ERROR_INVALID, 0, "--property: %s has no =: NAME=VALUE would be right",
			                 quote_text(quoted, text));
		*equals = 0;
		if ((problem = value_property(text)))
			return error_set(err, ERROR_INVALID, 0, "--property: %s %s: NAME=VALUE would be right",
			                 quote_text(quoted, text), problem);
		(*ret_properties)[i] = (struct kafka_property){text, equals + 1};
		if (strstr(text, "password") || strstr(text, "secret") || strstr(text, "key.pem"))
			log_mask_secret(equals + 1);
	}
	return 0;
}

static void free_properties(struct kafka_property *properties, char **texts)
{
	for (char **text = texts; text && *text; text++)
		free(*text);
	free(texts);
	free(properties);
}

static void print_json(const char *topic, const struct produce_report *report)
{
	OWNED_BUFFER struct buffer out = {0};

	buffer_init(&out, 1 << 20);
	buffer_text(&out, "{\"topic\": ");
	buffer_json_text(&out, topic, strlen(topic));
	buffer_printf(
	        &out,
	        ", \"rows\": %" PRId64 ", \"messages\": %" PRId64 ", \"bytes\": %" PRId64
	        ", \"seconds\": %.3f, \"rows_per_second\": %.0f, \"bytes_per_second\": %.0f, \"interrupted\": %s}\n",
	        report->rows, report->messages, report->bytes, report->seconds,
	        per_second(report->rows, report->seconds), per_second(report->bytes, report->seconds),
	        report->stopped ? "true" : "false");
	fputs(buffer_string(&out), stdout);
}

static int print_table(const char *topic, const struct produce_report *report, struct error *err)
{
	static const char *const headers[] = {"topic", "rows", "messages", "bytes", "time", "rows/s", "bytes/s"};
	OWNED_TABLE struct table *table = table_new((int)COUNT_OF(headers), headers);

	table_cell(table, topic);
	table_cell_count(table, report->rows);
	table_cell_count(table, report->messages);
	table_cell_bytes(table, report->bytes);
	table_cell_duration(table, (int64_t)(report->seconds * 1000));
	table_cell_count(table, (int64_t)per_second(report->rows, report->seconds));
	table_cell_bytes(table, (int64_t)per_second(report->bytes, report->seconds));
	return table_print(table, stdout, err);
}

static int produce(const struct invocation *invocation, const struct kafka_property *properties, int property_count,
                   struct error *err)
{
	bool endless = !option_given(invocation, "count");
	int64_t now_ms = clock_monotonic_ms();
	struct progress progress = {now_ms, now_ms, endless ? 0 : option_int(invocation, "count")};
	struct produce_report report;
	struct produce_config config = {
	        .brokers = option_text(invocation, "brokers"),
	        .topic = option_text(invocation, "topic"),
	        .shape = option_text(invocation, "shape"),
	        .format = option_text(invocation, "format"),
	        .bad = option_given(invocation, "bad") ? option_number(invocation, "bad") : -1,
	        .count = endless ? INT64_MAX : option_int(invocation, "count"),
	        .batch_rows = (int)option_int(invocation, "batch"),
	        .rate = (double)option_int(invocation, "rate"),
	        .partitions = (int)option_int(invocation, "partitions"),
	        .seed = (uint64_t)option_int(invocation, "seed"),
	        .properties = properties,
	        .property_count = property_count,
	        .pace_group = option_text(invocation, "pace"),
	        .progress = show_progress,
	        .progress_context = &progress,
	        .stop = cli_interrupt_flag(),
	};
	int failed = produce_run(&config, &report, err);

	log_progress(NULL);
	if (failed)
		return cli_fail(err);
	if (!strcmp(option_text(invocation, "report"), "json"))
		print_json(config.topic, &report);
	else if (print_table(config.topic, &report, err))
		return cli_fail(err);
	return report.stopped && !endless ? EXIT_INTERRUPTED : EXIT_DONE;
}

int cmd_produce(const struct invocation *invocation)
{
	struct kafka_property *properties;
	const char *const *items;
	struct error err;
	char **texts;
	int status;

	cli_catch_signals();
	if (read_properties(invocation, &properties, &texts, &err))
		status = cli_usage(COMMAND_PRODUCE, &err);
	else
		status = produce(invocation, properties, option_list(invocation, "property", &items), &err);
	free_properties(properties, texts);
	return status;
}
