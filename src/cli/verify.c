/* verify.c - tarn verify FILE: is every offset accounted for exactly once, and every row of the layers? Exit status 1
 * where one is not. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/layers.h"
#include "cli/table.h"
#include "spec/spec.h"
#include "stream/verify.h"

enum column {
	STREAM,
	PARTITION,
	FIRST,
	NEXT,
	MESSAGES,
	ROWS,
	QUARANTINED,
	REPLAYED,
	DISCARDED,
	SKIPPED,
	LOST,
	GAPS,
	DUPLICATES,
	LAG,
	PROBLEM,
	COLUMNS
};

static const char *const headers[COLUMNS] = {"stream", "partition",   "first",      "next",      "messages",
                                             "rows",   "quarantined", "replayed",   "discarded", "skipped",
                                             "lost",   "gaps",        "duplicates", "lag",       "problem"};

static void add_lane(struct table *table, const char *stream, const struct verified_lane *lane)
{
	char numbers[COLUMNS][24];
	const char *cells[COLUMNS];
	const struct lane_audit *audit = &lane->audit;
	const int64_t values[COLUMNS] = {
	        [PARTITION] = audit->partition,
	        [FIRST] = audit->first_offset,
	        [NEXT] = audit->next_offset,
	        [MESSAGES] = audit->messages,
	        [ROWS] = audit->rows,
	        [QUARANTINED] = audit->quarantined,
	        [REPLAYED] = audit->replayed,
	        [DISCARDED] = audit->discarded,
	        [SKIPPED] = audit->skipped,
	        [LOST] = audit->lost,
	        [GAPS] = lane->gaps,
	        [DUPLICATES] = lane->duplicates,
	        [LAG] = lane->lag,
	};

	for (int i = 0; i < COLUMNS; i++) {
		snprintf(numbers[i], sizeof numbers[i], "%" PRId64, values[i]);
		cells[i] = numbers[i];
	}
	cells[STREAM] = stream;
	if (lane->lag < 0 && lane->high < 0)
		cells[LAG] = NULL;
	cells[PROBLEM] = lane->problem;
	table_add(table, cells);
}

static struct table *lanes_table(void)
{
	struct table *table = table_new(COLUMNS, headers);

	for (int i = PARTITION; i <= LAG; i++)
		table_number(table, i);
	return table;
}

static int print_json(const char *stream, const struct verification *verification, struct error *err)
{
	OWNED_TABLE struct table *table = lanes_table();
	OWNED_BUFFER struct buffer out = {0};

	for (int i = 0; i < verification->lane_count; i++)
		add_lane(table, stream, &verification->lanes[i]);
	buffer_init(&out, 64 << 20);
	buffer_text(&out, "{\"stream\":");
	buffer_json_text(&out, stream, strlen(stream));
	buffer_printf(&out,
	              ",\"passed\":%s,\"rows\":%" PRId64 ",\"table_rows\":%" PRId64 ",\"replayed_rows\":%" PRId64
	              ",\"gaps\":%" PRId64 ",\"duplicates\":%" PRId64 ",\"snapshot\":%" PRId64 ",\"problem\":",
	              verification->passed ? "true" : "false", verification->rows, verification->table_rows,
	              verification->replayed_rows, verification->gaps, verification->duplicates,
	              verification->snapshot);
	buffer_json_text(&out, verification->problem, strlen(verification->problem));
	buffer_text(&out, ",\"lanes\":");
	if (table_render_json(table, &out, err))
		return -1;
	while (out.size && out.data[out.size - 1] == '\n')
		out.data[--out.size] = 0;
	buffer_text(&out, "}");
	fputs(buffer_string(&out), stdout);
	return 0;
}

static int print_table(const char *stream, const struct verification *verification, struct error *err)
{
	OWNED_TABLE struct table *table = lanes_table();
	char rows[HUMAN_SIZE];

	for (int i = 0; i < verification->lane_count; i++)
		add_lane(table, stream, &verification->lanes[i]);
	if (table_print(table, stdout, err))
		return -1;
	if (*verification->problem)
		printf("stream %s: %s\n", stream, verification->problem);
	printf("stream %s: %s - %s rows in %d lanes, %" PRId64 " gaps, %" PRId64 " duplicates\n", stream,
	       verification->passed ? "verified" : "NOT verified",
	       human_count(verification->table_rows < 0 ? 0 : verification->table_rows, rows), verification->lane_count,
	       verification->gaps, verification->duplicates);
	return 0;
}

static int verify_one(const struct spec_stream *spec, const struct invocation *invocation, bool first, bool *passed,
                      struct error *err)
{
	struct lake_options options = {.writer = false};
	struct verification verification = {0};
	struct lake_session *session = NULL;
	struct lake *lake = lake_open(spec->catalog, &options, err);
	bool json = !strcmp(option_text(invocation, "format"), "json");
	int failed = -1;

	if (lake && (session = lake_session_new(lake, err)) &&
	    !verify_stream(spec, session, option_flag(invocation, "topic"), NULL, &verification, err)) {
		if (json && !first)
			fputs(",\n", stdout);
		failed =
		        json ? print_json(spec->name, &verification, err) : print_table(spec->name, &verification, err);
		*passed &= verification.passed;
	}
	verification_release(&verification);
	lake_session_free(session);
	lake_close(lake);
	return failed;
}

int cmd_verify(const struct invocation *invocation)
{
	struct error err = {0};
	struct manifest *manifest = manifest_load(invocation->positional[0], &err);
	bool passed = true, json, failed = false;

	if (!manifest)
		return cli_fail(&err);
	json = !strcmp(option_text(invocation, "format"), "json");
	if (json)
		fputs("[", stdout);
	for (int i = 0; i < manifest->stream_count && !failed; i++) {
		failed = verify_one(&manifest->streams[i], invocation, i == 0, &passed, &err);
	}
	for (int i = 0; i < manifest->pipeline_count && !failed; i++) {
		bool first = !i && !manifest->stream_count;

		failed = verify_pipeline(&manifest->pipelines[i], json, first, &passed, &err);
	}
	if (json)
		fputs("]\n", stdout);
	manifest_free(manifest);
	if (failed)
		return cli_fail(&err);
	return passed ? EXIT_DONE : EXIT_NO;
}
