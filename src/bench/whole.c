/* whole.c - the whole path, as `tarn run --once` goes it: a stream from the topic into a fresh lake. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/owned.h"
#include "bench/bench_private.h"
#include "stream/stream.h"

#define LOOK_MS 10

/* JSON's texts are YAML's too. */
static void append_line(struct buffer *text, const char *name, const char *value)
{
	buffer_text(text, name);
	buffer_json_text(text, value, strlen(value));
	buffer_char(text, '\n');
}

struct manifest *bench_manifest(const struct bench_config *config, struct error *err)
{
	OWNED_BUFFER struct buffer text = {0};
	char group[64];

	buffer_init(&text, 1 << 20);
	buffer_text(&text, "apiVersion: " SPEC_API_VERSION "\nkind: DuckLakeCatalog\nmetadata: {name: bench}\n"
	                   "spec: {backend: {type: sqlite, path: catalog.sqlite}, dataPath: data}\n"
	                   "---\napiVersion: " SPEC_API_VERSION "\nkind: DuckLakeStream\nmetadata: {name: bench}\n"
	                   "spec:\n  table: events\n  kafka:\n");
	append_line(&text, "    brokers: ", config->brokers);
	append_line(&text, "    topic: ", config->topic);
	/* A group of its own: a member that left a moment ago is not waited for. */
	snprintf(group, sizeof group, "tarn-bench-%d", (int)getpid());
	append_line(&text, "    group: ", group);
	buffer_printf(&text, "  memory: %" PRId64 "\n", config->memory_bytes);
	if (!buffer_ok(&text)) {
		error_no_memory(err);
		return NULL;
	}
	return manifest_parse(buffer_string(&text), text.size, "bench", config->folder, err);
}

struct lake *bench_lake(const struct manifest *manifest, struct error *err)
{
	struct lake_options options = {.writer = true, .memory_bytes = stream_memory(&manifest->streams[0]).lake};

	return lake_open(&manifest->catalogs[0], &options, err);
}

/* Until the stream ends: the work begins with the first message and ends with the last commit. */
static int watch(struct stream *stream, struct meter *meter, struct bench_sample *sample, struct error *err)
{
	struct stream_status status;
	int state;

	do {
		state = stream_wait(stream, LOOK_MS, err);
		stream_status(stream, &status);
		if (status.payload_bytes)
			meter_work_begins(meter);
		if (status.commits != sample->commits)
			meter_work_ends(meter, sample);
		sample->commits = status.commits;
	} while (state == 0);
	sample->messages = status.messages;
	sample->rows = status.rows;
	sample->bytes = status.payload_bytes;
	sample->copied_bytes = status.copied_bytes;
	if (state > 0 && status.quarantined)
		return error_set(err, ERROR_INVALID, 0,
		                 "%" PRId64 " messages went to quarantine: this measures a topic of good ones",
		                 status.quarantined);
	return state < 0 ? -1 : 0;
}

static int run_stream(const struct manifest *manifest, struct lake *lake, struct bench_sample *sample,
                      struct error *err)
{
	struct stream_options options = {0};
	struct meter meter;
	struct stream *stream;
	int failed;

	meter_start(&meter);
	stream = stream_start(&manifest->streams[0], lake, &options, err);
	if (!stream)
		return -1;
	failed = stream_finish(stream, err) || watch(stream, &meter, sample, err);
	meter_stop(&meter, sample);
	stream_free(stream);
	return failed ? -1 : 0;
}

int stage_whole(const struct bench_config *config, struct bench_sample *sample, struct error *err)
{
	struct manifest *manifest = bench_manifest(config, err);
	struct lake *lake = manifest ? bench_lake(manifest, err) : NULL;
	int failed = !lake || run_stream(manifest, lake, sample, err);

	lake_close(lake);
	manifest_free(manifest);
	return failed ? -1 : 0;
}
