/* status.c - tarn status FILE: where each stream and each pipeline stands, from the lake alone. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/layers.h"
#include "cli/table.h"
#include "spec/spec.h"
#include "stream/verify.h"

#define OUTPUT_MAXIMUM_BYTES ((size_t)64 << 20)

enum column {
	STREAM,
	CATALOG,
	TABLE,
	LANES,
	TAKEN,
	ROWS,
	QUARANTINED,
	WAITING,
	FILES,
	BYTES,
	SNAPSHOT,
	LAST_COMMIT,
	STATE,
	COLUMNS
};

static const char *const headers[COLUMNS] = {"stream",   "catalog",     "table",         "lanes", "taken",
                                             "rows",     "quarantined", "in quarantine", "files", "bytes",
                                             "snapshot", "last_commit", "state"};

static void add_stream(struct table *table, const struct spec_stream *spec, const struct verification *verification,
                       const struct lake_table_size *size, const char *state)
{
	char name[256], last[40] = "", taken[64], numbers[COLUMNS][24];
	const char *cells[COLUMNS];
	int64_t quarantined = 0, waiting = 0;

	for (int i = 0; i < verification->lane_count; i++) {
		quarantined += verification->lanes[i].audit.quarantined;
		waiting += verification->lanes[i].audit.quarantine_rows;
	}
	const int64_t values[COLUMNS] = {
	        [LANES] = verification->lane_count,
	        [ROWS] = verification->table_rows < 0 ? 0 : verification->table_rows,
	        [QUARANTINED] = quarantined,
	        [WAITING] = waiting,
	        [FILES] = size->files,
	        [BYTES] = size->bytes,
	        [SNAPSHOT] = verification->snapshot,
	};
	for (int i = 0; i < COLUMNS; i++) {
		snprintf(numbers[i], sizeof numbers[i], "%" PRId64, values[i]);
		cells[i] = numbers[i];
	}
	snprintf(name, sizeof name, "%s.%s", spec->schema, spec->table);
	if (verification->last_commit_ms)
		clock_format(verification->last_commit_ms, last, sizeof last);
	cells[STREAM] = spec->name;
	cells[CATALOG] = spec->catalog_ref;
	cells[TABLE] = name;
	cells[LAST_COMMIT] = *last ? last : NULL;
	cells[STATE] = state;
	/* Of a stream of files: how many it took, of those that are there now. */
	if (verification->files_there >= 0)
		snprintf(taken, sizeof taken, "%" PRId64 " of %" PRId64, verification->files_taken,
		         verification->files_there);
	else
		snprintf(taken, sizeof taken, "%" PRId64, verification->files_taken);
	cells[TAKEN] = spec->source.files ? taken : NULL;
	table_add(table, cells);
}

static int look_at(const struct spec_stream *spec, struct table *table, struct error *err)
{
	struct lake_options options = {.writer = false};
	struct verification verification = {0};
	struct lake_table_size size = {0};
	struct lake *lake = lake_open(spec->catalog, &options, err);
	struct lake_session *session = lake ? lake_session_new(lake, err) : NULL;
	/* Files of this machine are there to be looked at; a topic or an object store may not answer. */
	bool with_source = spec->source.files && !strstr(spec->source.files, "://");
	int failed = !session || verify_stream(spec, session, with_source, NULL, &verification, err) ||
	             (verification.table_rows >= 0 && lake_table_size(session, spec->schema, spec->table, &size, err));

	if (!failed)
		add_stream(table, spec, &verification, &size,
		           !verification.lane_count || !verification.last_commit_ms ? "not started"
		           : verification.passed                                    ? "ok"
		                                                                    : "see tarn verify");
	verification_release(&verification);
	lake_session_free(session);
	lake_close(lake);
	return failed ? -1 : 0;
}

/* One array: an object a stream, then one a pipeline. */
static int print_json(const struct manifest *manifest, const struct table *streams, struct error *err)
{
	OWNED_BUFFER struct buffer out = {0};

	buffer_init(&out, OUTPUT_MAXIMUM_BYTES);
	if (table_render_json(streams, &out, err))
		return -1;
	while (out.size && out.data[out.size - 1] != ']')
		out.data[--out.size] = 0;
	if (out.size)
		out.data[--out.size] = 0;
	buffer_text(&out, manifest->pipeline_count && manifest->stream_count ? ",\n" : "");
	if (status_pipelines(manifest, true, &out, err))
		return -1;
	buffer_text(&out, "]\n");
	fputs(buffer_string(&out), stdout);
	return 0;
}

static int print_tables(const struct manifest *manifest, const struct table *streams, struct error *err)
{
	OWNED_BUFFER struct buffer out = {0};

	if ((manifest->stream_count || !manifest->pipeline_count) && table_print(streams, stdout, err))
		return -1;
	buffer_init(&out, OUTPUT_MAXIMUM_BYTES);
	if (manifest->pipeline_count && status_pipelines(manifest, false, &out, err))
		return -1;
	fputs(buffer_string(&out), stdout);
	return 0;
}

int cmd_status(const struct invocation *invocation)
{
	OWNED_TABLE struct table *table = table_new(COLUMNS, headers);
	struct error err = {0};
	struct manifest *manifest = manifest_load(invocation->positional[0], &err);
	int failed = 0;

	if (!manifest)
		return cli_fail(&err);
	for (int i = LANES; i <= SNAPSHOT; i++)
		table_number(table, i);
	for (int i = 0; i < manifest->stream_count && !failed; i++)
		failed = look_at(&manifest->streams[i], table, &err);
	if (!failed)
		failed = !strcmp(option_text(invocation, "format"), "json") ? print_json(manifest, table, &err)
		                                                            : print_tables(manifest, table, &err);
	manifest_free(manifest);
	return failed ? cli_fail(&err) : EXIT_DONE;
}
