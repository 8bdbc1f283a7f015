/* whole.c - the whole path, as `tarn run --once` goes it: a stream from the topic into a fresh lake. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

/* A group of its own: a member that left a moment ago is not waited for. */
static void name_group(char *group, size_t size)
{
	snprintf(group, size, "tarn-bench-%d", (int)getpid());
}

static int replace(char **text, char *by, struct error *err)
{
	if (!by)
		return error_no_memory(err);
	free(*text);
	*text = by;
	return 0;
}

static char *below(const char *folder, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* The stream of another manifest, with this topic and a lake in this folder. */
static int take_over(const struct bench_config *config, struct manifest *manifest, struct error *err)
{
	struct spec_stream *stream = &manifest->streams[0];
	struct spec_catalog *catalog = stream->catalog;
	char group[64];

	name_group(group, sizeof group);
	stream->memory_bytes = config->memory_bytes;
	catalog->backend.type = BACKEND_SQLITE;
	free(TAKE(catalog->store.bucket));
	if (replace(&stream->kafka.brokers, strdup(config->brokers), err) ||
	    replace(&stream->kafka.topic, strdup(config->topic), err) ||
	    replace(&stream->kafka.group, strdup(group), err) ||
	    replace(&catalog->backend.path, below(config->folder, "catalog.sqlite"), err))
		return -1;
	return replace(&catalog->data_path, below(config->folder, "data"), err);
}

static struct manifest *manifest_like(const struct bench_config *config, struct error *err)
{
	struct manifest *manifest = manifest_load(config->like, err);

	if (!manifest)
		return NULL;
	if (manifest->stream_count != 1)
		error_set(err, ERROR_INVALID, 0, "%s has %d streams: one would be right", config->like,
		          manifest->stream_count);
	else if (take_over(config, manifest, err) == 0)
		return manifest;
	manifest_free(manifest);
	return NULL;
}

struct manifest *bench_manifest(const struct bench_config *config, struct error *err)
{
	OWNED_BUFFER struct buffer text = {0};
	char group[64];

	if (config->like)
		return manifest_like(config, err);
	buffer_init(&text, 1 << 20);
	buffer_text(&text, "apiVersion: " SPEC_API_VERSION "\nkind: DuckLakeCatalog\nmetadata: {name: bench}\n"
	                   "spec: {backend: {type: sqlite, path: catalog.sqlite}, dataPath: data}\n"
	                   "---\napiVersion: " SPEC_API_VERSION "\nkind: DuckLakeStream\nmetadata: {name: bench}\n"
	                   "spec:\n  table: events\n  kafka:\n");
	append_line(&text, "    brokers: ", config->brokers);
	append_line(&text, "    topic: ", config->topic);
	name_group(group, sizeof group);
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

	return lake_open(manifest->streams[0].catalog, &options, err);
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
