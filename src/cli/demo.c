/*
 * demo.c - tarn demo [FILE]: the main job in one process, on the embedded broker: produce, ingest, verify, ask.
 *
 * The embedded broker forgets its topics with the process, so each demo starts a lake of its own. A lake that an
 * earlier demo made is known by the marker file beside its catalog, and removed first; any other lake is left alone and
 * refused.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/owned.h"
#include "cli/cli.h"
#include "cli/runtime.h"
#include "cli/table.h"
#include "lake/duck.h"
#include "produce/produce.h"
#include "stream/verify.h"

static const char built_in[] = "apiVersion: " SPEC_API_VERSION "\n"
                               "kind: DuckLakeCatalog\n"
                               "metadata: {name: main}\n"
                               "spec: {backend: {type: sqlite, path: lake/catalog.sqlite}, dataPath: lake/data}\n"
                               "---\n"
                               "apiVersion: " SPEC_API_VERSION "\n"
                               "kind: DuckLakeStream\n"
                               "metadata: {name: events}\n"
                               "spec: {table: events_arrow, kafka: {brokers: embedded, topic: test-events-arrow}}\n";

struct demo {
	struct manifest *manifest;
	struct spec_stream *spec;
	char *folder; /* of the built-in manifest, owned; NULL with FILE */
	struct runtime *runtime;
	struct produce_config config;
	struct produce_report produced;
	struct error produce_error;
	atomic_bool stop, produced_all;
	double seconds;
	struct stream_status status;
};

/* ---- a lake of its own */

static int remove_catalog(const char *path, struct error *err)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", ".wal", ".writer-lock", ".catalog-lock"};
	char file[4200];

	for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
		snprintf(file, sizeof file, "%s%s", path, suffixes[i]);
		if (unlink(file) && errno != ENOENT)
			return error_set(err, ERROR_INVALID, errno, "cannot remove %s: %s", file, strerror(errno));
	}
	return 0;
}

static int start_afresh(const struct spec_catalog *catalog, struct error *err)
{
	char marker[4200];

	if (catalog->backend.type == BACKEND_POSTGRES)
		return error_set(err, ERROR_INVALID, 0,
		                 "catalog %s is on Postgres: the demo makes a lake of its own, in files",
		                 catalog->name);
	snprintf(marker, sizeof marker, "%s.tarn-demo", catalog->backend.path);
	if (!access(catalog->backend.path, F_OK)) {
		if (access(marker, F_OK))
			return error_set(err, ERROR_INVALID, 0,
			                 "there is a lake at %s that no demo made: move it away, or name another path",
			                 catalog->backend.path);
		if (remove_catalog(catalog->backend.path, err) ||
		    (catalog->data_path && folder_remove(catalog->data_path, err)))
			return -1;
	}
	return 0;
}

static int leave_marker(const struct spec_catalog *catalog, struct error *err)
{
	char marker[4200];
	FILE *file;

	snprintf(marker, sizeof marker, "%s.tarn-demo", catalog->backend.path);
	file = fopen(marker, "we");
	if (!file || fputs("made by tarn demo, which may remove this lake\n", file) < 0 || fclose(file))
		return error_set(err, ERROR_INVALID, errno, "cannot write %s: %s", marker, strerror(errno));
	return 0;
}

static int load(struct demo *demo, const struct invocation *invocation, struct error *err)
{
	if (invocation->positional_count) {
		demo->manifest = manifest_load(invocation->positional[0], err);
	} else {
		demo->folder = folder_make(NULL, "tarn-demo.", err);
		if (!demo->folder)
			return -1;
		demo->manifest = manifest_parse(built_in, sizeof built_in - 1, "(built in)", demo->folder, err);
	}
	if (!demo->manifest)
		return -1;
	if (demo->manifest->stream_count != 1 || !demo->manifest->streams[0].kafka.brokers ||
	    strcmp(demo->manifest->streams[0].kafka.brokers, "embedded") != 0)
		return error_set(err, ERROR_INVALID, 0, "%s: the demo wants exactly one stream, with brokers: embedded",
		                 demo->manifest->file);
	demo->spec = &demo->manifest->streams[0];
	demo->spec->kafka.partitions = (int)option_int(invocation, "partitions");
	return start_afresh(demo->spec->catalog, err);
}

/* ---- the job */

static int64_t position(void *context, int32_t partition)
{
	struct demo *demo = context;

	return stream_position(runtime_stream(demo->runtime, 0), partition);
}

static void *produce_main(void *context)
{
	struct demo *demo = context;

	if (produce_run(&demo->config, &demo->produced, &demo->produce_error) && !demo->produce_error.kind)
		demo->produce_error.kind = ERROR_FATAL;
	atomic_store(&demo->produced_all, true);
	return NULL;
}

static void configure(struct demo *demo, const struct invocation *invocation)
{
	demo->config = (struct produce_config){
	        .brokers = runtime_embedded_address(demo->runtime),
	        .topic = demo->spec->kafka.topic,
	        .count = option_int(invocation, "count"),
	        .batch_rows = (int)option_int(invocation, "batch"),
	        .partitions = demo->spec->kafka.partitions,
	        .seed = (uint64_t)option_int(invocation, "seed"),
	        .embedded = true,
	        .position = position,
	        .position_context = demo,
	        .stop = &demo->stop,
	};
}

/* Waits for the producer, then for the stream to commit all of it. */
static int ingest(struct demo *demo, struct error *err)
{
	int state = 0;
	bool finishing = false;

	while (state == 0) {
		state = runtime_wait(demo->runtime, 50, err);
		if (state == 0 && !finishing && atomic_load(&demo->produced_all)) {
			if (demo->produce_error.kind) {
				*err = demo->produce_error;
				return error_wrap(err, "produce");
			}
			finishing = true;
			if (runtime_finish(demo->runtime, err))
				return -1;
		}
	}
	if (state > 0 && cli_interrupted())
		return error_set(err, ERROR_TRANSIENT, 0, "interrupted: what was read is committed");
	return state < 0 ? -1 : 0;
}

static int run(struct demo *demo, const struct invocation *invocation, struct error *err)
{
	int64_t started_ms = clock_monotonic_ms();
	pthread_t producer;
	int failed;

	demo->runtime = runtime_start(demo->manifest, NULL, err);
	if (!demo->runtime)
		return -1;
	/* load() found it. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	if (leave_marker(demo->spec->catalog, err)) {
		runtime_free(demo->runtime);
		return -1;
	}
	configure(demo, invocation);
	if (pthread_create(&producer, NULL, produce_main, demo)) {
		runtime_free(demo->runtime);
		return error_set(err, ERROR_FATAL, 0, "cannot start a thread");
	}
	failed = ingest(demo, err);
	atomic_store(&demo->stop, true);
	pthread_join(producer, NULL);
	demo->seconds = (double)(clock_monotonic_ms() - started_ms) / 1000;
	stream_status(runtime_stream(demo->runtime, 0), &demo->status);
	runtime_free(demo->runtime);
	return failed;
}

/* ---- the report */

static int ask(struct lake_session *session, const char *sql, const char *const *headers, int columns, int64_t *ret_ms,
               struct error *err)
{
	OWNED_TABLE struct table *table = table_new(columns, headers);
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	int64_t started_us = clock_monotonic_us();

	if (duck_query(lake_connection(session), sql, &rows, err))
		return -1;
	*ret_ms = (clock_monotonic_us() - started_us) / 1000;
	for (int i = 1; i < columns; i++)
		table_number(table, i);
	for (int64_t i = 0; i < rows.row_count; i++)
		table_add(table, (const char *const *)(void *)&rows.cells[i * rows.column_count]);
	return table_print(table, stdout, err);
}

static int ask_two(struct demo *demo, struct lake_session *session, struct error *err)
{
	static const char *const kinds[] = {"event", "events", "people"};
	static const char *const pages[] = {"page", "views", "share_pct"};
	OWNED_FREE char *first = NULL, *second = NULL;
	int64_t ms = 0;

	if (asprintf(&first,
	             "SELECT event, count(*) AS events, count(DISTINCT distinct_id) AS people FROM lake.\"%s\".\"%s\" "
	             "GROUP BY ALL "
	             "ORDER BY events DESC, event LIMIT 5",
	             demo->spec->schema, demo->spec->table) < 0 ||
	    asprintf(&second,
	             "SELECT json_extract_string(properties, '$.\"$pathname\"') AS page, count(*) AS views, "
	             "round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS share_pct FROM lake.\"%s\".\"%s\" "
	             "WHERE event = '$pageview' GROUP BY ALL ORDER BY views DESC, page LIMIT 5",
	             demo->spec->schema, demo->spec->table) < 0)
		return error_no_memory(err);
	printf("\nWhat happens most?\n");
	if (lake_use(session, -1, err) || ask(session, first, kinds, COUNT_OF(kinds), &ms, err))
		return -1;
	printf("%" PRId64 " ms\n\nWhich pages are viewed most? (from the events' JSON)\n", ms);
	if (ask(session, second, pages, COUNT_OF(pages), &ms, err))
		return -1;
	printf("%" PRId64 " ms\n", ms);
	return 0;
}

/* Offsets between the lake and the topic's end, as the broker told it when the producer was done. */
static int64_t lane_lag(const struct demo *demo, const struct verified_lane *lane)
{
	return metric_get(metrics_set(demo->spec->name, lane->audit.partition), METRIC_HIGH_WATERMARK) -
	       lane->audit.next_offset;
}

static void print_figures(const struct demo *demo, const struct lake_table_size *size,
                          const struct verification *verification)
{
	char rows[HUMAN_SIZE], rate[HUMAN_SIZE], wire[HUMAN_SIZE], disk[HUMAN_SIZE], copied[HUMAN_SIZE],
	        peak[HUMAN_SIZE];
	int64_t lag = 0;
	double wire_bytes = (double)demo->produced.bytes;

	for (int i = 0; i < verification->lane_count; i++)
		lag += lane_lag(demo, &verification->lanes[i]);
	printf("rows          %s in %.1f s, %s rows/s, %.0f MB/s (broker, producer and ingest in one process)\n",
	       human_count(demo->status.rows, rows), demo->seconds,
	       human_count((int64_t)((double)demo->status.rows / demo->seconds), rate),
	       wire_bytes / demo->seconds / 1e6);
	if (size->bytes > 0)
		printf("files         %" PRId64 " Parquet files, %s: %.1f x smaller than the %s on the wire\n",
		       size->files, human_bytes(size->bytes, disk), wire_bytes / (double)size->bytes,
		       human_bytes(demo->produced.bytes, wire));
	printf("commits       %" PRId64 ", %" PRId64 " messages in quarantine\n", demo->status.commits,
	       demo->status.quarantined);
	printf("copied        %s of %s between the receive buffer and DuckDB\n",
	       human_bytes(demo->status.copied_bytes, copied), human_bytes(demo->status.payload_bytes, wire));
	printf("memory        %s at its peak\n", human_bytes(clock_peak_rss_bytes(), peak));
	printf("lag           %" PRId64 " messages, in %d lanes\n", lag, verification->lane_count);
}

static int print_lanes(const struct demo *demo, const struct verification *verification, struct error *err)
{
	static const char *const headers[] = {"partition", "first", "next", "messages",
	                                      "rows",      "lag",   "gaps", "duplicates"};
	OWNED_TABLE struct table *table = table_new(COUNT_OF(headers), headers);

	for (int i = 0; i < (int)COUNT_OF(headers); i++)
		table_number(table, i);
	for (int i = 0; i < verification->lane_count; i++) {
		const struct verified_lane *lane = &verification->lanes[i];
		const int64_t values[] = {lane->audit.partition,
		                          lane->audit.first_offset,
		                          lane->audit.next_offset,
		                          lane->audit.messages,
		                          lane->audit.rows,
		                          lane_lag(demo, lane),
		                          lane->gaps,
		                          lane->duplicates};
		char numbers[COUNT_OF(values)][24];
		const char *cells[COUNT_OF(values)];

		for (size_t c = 0; c < COUNT_OF(values); c++) {
			snprintf(numbers[c], sizeof numbers[c], "%" PRId64, values[c]);
			cells[c] = numbers[c];
		}
		table_add(table, cells);
	}
	return table_print(table, stdout, err);
}

static int report_on(struct demo *demo, struct lake_session *session, const char *file, struct error *err)
{
	struct verification verification = {0};
	struct lake_table_size size = {0};
	bool passed;

	if (verify_stream(demo->spec, session, false, NULL, &verification, err))
		return -1;
	passed = verification.passed && verification.rows == demo->produced.rows;
	if (lake_table_size(session, demo->spec->schema, demo->spec->table, &size, err) ||
	    print_lanes(demo, &verification, err)) {
		verification_release(&verification);
		return -1;
	}
	print_figures(demo, &size, &verification);
	printf("verify        %s\n",
	       passed ? "passed: every offset is in the lake exactly once" : "NOT passed: see tarn verify");
	verification_release(&verification);
	if (ask_two(demo, session, err))
		return -1;
	if (file)
		printf("\nTry next:\n"
		       "  build/tarn verify %s\n"
		       "  build/tarn query %s 'SELECT event, count(*) FROM %s GROUP BY ALL'\n"
		       "  build/tarn help run        with a Kafka of your own; README.md goes on from here\n",
		       file, file, demo->spec->table);
	return passed ? 0
	              : error_set(err, ERROR_FATAL, 0, "%" PRId64 " rows were produced and the lake does not verify",
	                          demo->produced.rows);
}

static int report(struct demo *demo, const char *file, struct error *err)
{
	struct lake_options options = {.writer = false};
	struct lake *lake = lake_open(demo->spec->catalog, &options, err);
	struct lake_session *session = lake ? lake_session_new(lake, err) : NULL;
	int failed = !session || report_on(demo, session, file, err);

	lake_session_free(session);
	lake_close(lake);
	return failed ? -1 : 0;
}

int cmd_demo(const struct invocation *invocation)
{
	struct demo demo = {0};
	struct error err = {0}, ignored;
	const char *file = invocation->positional_count ? invocation->positional[0] : NULL;
	int failed;

	cli_catch_signals();
	/* The report tells what happened; each commit's line would only stand in its way. */
	failed = load(&demo, invocation, &err) || run(&demo, invocation, &err) || report(&demo, file, &err);
	manifest_free(demo.manifest);
	if (demo.folder && option_flag(invocation, "keep"))
		printf("\nthe lake is in %s\n", demo.folder);
	else if (demo.folder)
		folder_remove(demo.folder, &ignored);
	free(demo.folder);
	if (failed)
		failed = cli_fail(&err);
	return failed && cli_interrupted() ? EXIT_INTERRUPTED : failed;
}
