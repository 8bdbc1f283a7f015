/* quarantine_replay.c - tarn quarantine replay: what stream/replay.h does, told to a person or a program. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "cli/quarantine.h"
#include "cli/table.h"
#include "stream/replay.h"

#define TOLD_MAX 10000 /* messages that stay and are named; the others are counted */
#define SHOWN_MAX 20 /* of them on a terminal */
#define PROGRESS_MS 250

struct telling {
	struct table *left; /* the messages that stay */
	const char *stream;
	int64_t most; /* that are named */
	int64_t shown_ms;
};

static void note_left(void *context, const struct quarantined *message, const char *reason)
{
	struct telling *telling = context;

	if (table_row_count(telling->left) >= telling->most)
		return;
	table_cell(telling->left, message->stream);
	table_cell(telling->left, message->topic);
	table_cellf(telling->left, "%" PRId32, message->partition);
	table_cellf(telling->left, "%" PRId64, message->offset);
	table_cell(telling->left, reason);
}

static void show_progress(void *context, const struct replay_report *report)
{
	struct telling *telling = context;
	char line[256], done[HUMAN_SIZE], all[HUMAN_SIZE];

	if (!log_is_terminal() || clock_monotonic_ms() < telling->shown_ms + PROGRESS_MS)
		return;
	telling->shown_ms = clock_monotonic_ms();
	snprintf(line, sizeof line, "%.63s: %s of %s messages", telling->stream,
	         human_count(report->replayed + report->left + report->gone, done), human_count(report->messages, all));
	log_progress(line);
}

static const struct spec_stream *find_stream(const struct quarantine_job *job, const char *name)
{
	for (int i = 0; i < job->manifest->stream_count; i++)
		if (job->manifest->streams[i].catalog == job->catalog && !strcmp(job->manifest->streams[i].name, name))
			return &job->manifest->streams[i];
	return NULL;
}

static int replay_all(struct quarantine_job *job, struct telling *telling, struct replay_report *report,
                      struct error *err)
{
	OWNED_QUARANTINE_STREAMS struct quarantine_streams streams = {0};
	const struct replay_options options = {
	        .selection = &job->selection,
	        .dry_run = option_flag(job->invocation, "dry-run"),
	        .stop = cli_interrupt_flag(),
	        .context = telling,
	        .left = note_left,
	        .progress = show_progress,
	};

	if (quarantine_streams(job->session, &job->selection, &streams, err))
		return -1;
	for (int i = 0; i < streams.count && !cli_interrupted(); i++) {
		const struct spec_stream *spec = find_stream(job, streams.names[i]);

		telling->stream = streams.names[i];
		if (spec) {
			if (replay_stream(spec, job->session, &options, report, err))
				return -1;
			continue;
		}
		report->messages += streams.messages[i];
		report->left += streams.messages[i];
		log_event(EVENT_CONFIG, FIELDS(LOG_TEXT("stream", streams.names[i])),
		          "stream %s is not in the manifest: its %" PRId64 " messages stay in quarantine",
		          streams.names[i], streams.messages[i]);
	}
	return 0;
}

static int print_json(const struct telling *telling, const struct replay_report *report, bool dry_run,
                      struct error *err)
{
	OWNED_BUFFER struct buffer out = {0};

	buffer_init(&out, 256 << 20);
	buffer_printf(&out,
	              "{\"messages\":%" PRId64 ",\"replayed\":%" PRId64 ",\"rows\":%" PRId64 ",\"left\":%" PRId64
	              ",\"gone\":%" PRId64 ",\"commits\":%" PRId64 ",\"dry_run\":%s,\"messages_left\":",
	              report->messages, report->replayed, report->rows, report->left, report->gone, report->commits,
	              dry_run ? "true" : "false");
	if (table_render_json(telling->left, &out, err))
		return -1;
	while (out.size && out.data[out.size - 1] == '\n')
		out.data[--out.size] = 0;
	buffer_text(&out, "}");
	puts(buffer_string(&out));
	return 0;
}

static int print_words(const struct telling *telling, const struct replay_report *report, bool dry_run,
                       struct error *err)
{
	char messages[HUMAN_SIZE], replayed[HUMAN_SIZE], rows[HUMAN_SIZE], left[HUMAN_SIZE];

	if (!report->messages) {
		puts("nothing in quarantine matches");
		return 0;
	}
	if (report->left && table_print(telling->left, stdout, err))
		return -1;
	if (report->left > table_row_count(telling->left))
		printf("the first %" PRId64 " that stay; --format json names more\n", table_row_count(telling->left));
	printf("%s of %s messages %s: %s %s\n", human_count(report->replayed, replayed),
	       human_count(report->messages, messages), dry_run ? "would be replayed" : "replayed",
	       human_count(report->rows, rows), report->rows == 1 ? "row" : "rows");
	if (report->left)
		printf("%s %s in quarantine, with the reasons above\n", human_count(report->left, left),
		       report->left == 1 ? "stays" : "stay");
	if (report->gone)
		printf("%s left quarantine meanwhile by another process\n", human_count(report->gone, left));
	return 0;
}

int quarantine_replay(struct quarantine_job *job, struct error *err)
{
	static const char *const headers[] = {"stream", "topic", "partition", "offset", "reason"};
	OWNED_TABLE struct table *left = table_new(COUNT_OF(headers), headers);
	struct telling telling = {.left = left, .most = TOLD_MAX};
	struct replay_report report = {0};
	bool dry_run = option_flag(job->invocation, "dry-run");
	int failed, untold;
	struct error why = {0};

	table_number(left, 2);
	table_number(left, 3);
	if (quarantine_format(job, "table") && isatty(STDOUT_FILENO))
		telling.most = SHOWN_MAX;
	cli_catch_signals();
	failed = replay_all(job, &telling, &report, err);
	log_progress(NULL);
	/* Also after a failure: what it counts is done. */
	untold = quarantine_format(job, "json") ? print_json(&telling, &report, dry_run, &why)
	                                        : print_words(&telling, &report, dry_run, &why);
	if (failed)
		return cli_fail(err);
	if (untold)
		return cli_fail(&why);
	if (cli_interrupted() && report.replayed + report.left + report.gone < report.messages) {
		error_set(err, ERROR_NONE, 0, "interrupted");
		cli_fail(err);
		return EXIT_INTERRUPTED;
	}
	return report.left ? EXIT_NO : EXIT_DONE;
}
