/* lineage.c - tarn lineage FILE: what the tables of a manifest are made of. */
#include "cli/lineage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/table.h"
#include "lake/lake.h"
#include "spec/spec.h"

#define OUTPUT_MAXIMUM_BYTES ((size_t)256 << 20)

/* A lake that is not there, or cannot be read now, is missing from the picture, and no reason not to draw it. */
static void look_at(struct lineage *lineage, const struct spec_catalog *catalog)
{
	struct lake_options options = {.writer = false};
	struct error err = {0};
	struct lake *lake = lake_open(catalog, &options, &err);
	struct lake_session *session = lake ? lake_session_new(lake, &err) : NULL;

	if (!session || lineage_look(lineage, catalog, session, &err))
		log_event(EVENT_LINEAGE_WITHOUT_LAKE, FIELDS(LOG_TEXT("catalog", catalog->name)),
		          "only the files are looked at: %s", err.message);
	lake_session_free(session);
	lake_close(lake);
}

static int render(struct lineage *lineage, const struct invocation *invocation, struct buffer *out, struct error *err)
{
	const char *format = option_text(invocation, "format");
	bool columns = option_flag(invocation, "columns");
	int failed = 0;

	if (columns && lineage_read_columns(lineage, err))
		return -1;
	if (!strcmp(format, "json"))
		lineage_json(lineage, columns, out);
	else if (!strcmp(format, "svg"))
		failed = lineage_svg(lineage, columns, out, err);
	else
		failed = lineage_text(lineage, columns, table_style_of(stdout).unicode, out, err);
	if (!failed && !buffer_ok(out))
		return error_set(err, ERROR_FATAL, 0, "the lineage does not fit in memory");
	return failed;
}

static int write_out(const struct invocation *invocation, const struct buffer *out)
{
	struct output_file output;
	struct error err = {0};

	if (output_open(&output, option_text(invocation, "output"), false, &err))
		return cli_fail(&err);
	errno = 0;
	if (fwrite(buffer_string(out), 1, out->size, output.file) != out->size)
		output.code = errno ? errno : EIO;
	output_close(&output, !output.code);
	return output.code ? output_status(&output) : EXIT_DONE;
}

static int lineage_of(const struct manifest *manifest, const struct invocation *invocation)
{
	OWNED_BY(lineage_freep) struct lineage *lineage = NULL;
	OWNED_BUFFER struct buffer out = {0};
	struct error err = {0};

	if (!manifest->stream_count && !manifest->pipeline_count) {
		error_set(&err, ERROR_INVALID, 0,
		          "%.200s declares neither a DuckLakeStream nor a DuckLakePipeline: there are no tables to "
		          "follow",
		          manifest->file);
		return cli_fail(&err);
	}
	buffer_init(&out, OUTPUT_MAXIMUM_BYTES);
	lineage = lineage_new(manifest, &err);
	if (!lineage)
		return cli_fail(&err);
	for (int i = 0; i < manifest->catalog_count; i++)
		look_at(lineage, &manifest->catalogs[i]);
	if (render(lineage, invocation, &out, &err))
		return cli_fail(&err);
	return write_out(invocation, &out);
}

int cmd_lineage(const struct invocation *invocation)
{
	struct error err = {0};
	struct manifest *manifest = manifest_load(invocation->positional[0], &err);
	int status;

	if (!manifest)
		return cli_fail(&err);
	status = lineage_of(manifest, invocation);
	manifest_free(manifest);
	return status;
}
