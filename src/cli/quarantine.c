/* quarantine.c - tarn quarantine list|show|replay|discard: the messages that could not be decoded or stored. */
#include "cli/quarantine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/owned.h"
#include "cli/query_write.h"
#include "cli/table.h"
#include "lake/resolve.h"
#include "layers/quarantined.h"
#include "spec/mistake.h"

#define TERMINAL_ROWS 50 /* what `list` shows on a terminal without --limit */
#define DISCARD_PATIENCE_MS 60000

static int list(struct quarantine_job *job, struct error *err);
static int replay(struct quarantine_job *job, struct error *err);
static int discard(struct quarantine_job *job, struct error *err);

/* The verbs, and which of the command's options each takes. */
static const struct verb {
	const char *name;
	int (*run)(struct quarantine_job *, struct error *);
	const char *options; /* each between spaces */
	const char *formats;
	bool changes; /* and so wants to be told what */
} verbs[] = {
        {"list", list, " limit summary since reason model ", " table csv json ", false},
        {"show", quarantine_show, " payload ", " table json ", false},
        {"replay", replay, " all dry-run since reason model ", " table json ", true},
        {"discard", discard, " all because dry-run since reason model ", " table json ", true},
};

static const char *const some_take[] = {"limit", "summary", "since",   "reason", "payload",
                                        "all",   "because", "dry-run", "model"};

bool quarantine_format(const struct quarantine_job *job, const char *name)
{
	return !strcmp(option_text(job->invocation, "format"), name);
}

/* ---- list */

int quarantine_print(struct quarantine_job *job, const char *sql, struct error *err)
{
	struct output_file output = {.file = stdout};
	struct query *query = query_open(lake_connection(job->session), sql, err);
	int failed;

	if (!query)
		return -1;
	if (quarantine_format(job, "csv"))
		failed = query_write_csv(query, &output, err);
	else if (quarantine_format(job, "json"))
		failed = query_write_json(query, &output, err);
	else
		failed = query_write_table(query, &output, err);
	query_close(query);
	return failed;
}

int64_t quarantine_limit(const struct quarantine_job *job)
{
	if (option_given(job->invocation, "limit"))
		return option_int(job->invocation, "limit");
	return quarantine_format(job, "table") && isatty(STDOUT_FILENO) ? TERMINAL_ROWS : -1;
}

int quarantine_print_list(struct quarantine_job *job, const struct buffer *listed, const char *title,
                          const struct buffer *totals, struct error *err)
{
	bool summary = option_flag(job->invocation, "summary");

	if (!summary && quarantine_print(job, buffer_string(listed), err))
		return -1;
	if (!summary && !quarantine_format(job, "table"))
		return 0;
	if (!summary)
		printf("\n%s\n", title);
	return quarantine_print(job, buffer_string(totals), err);
}

static int print_all(struct quarantine_job *job, struct error *err)
{
	OWNED_BUFFER struct buffer listed = {0}, totals = {0};

	buffer_init(&listed, 1 << 22);
	buffer_init(&totals, 1 << 22);
	quarantine_list_sql(&job->selection, quarantine_limit(job), quarantine_format(job, "table"), &listed);
	quarantine_totals_sql(&job->selection, &totals);
	return quarantine_print_list(job, &listed, "In all, by reason (N stands for any number):", &totals, err);
}

static bool of_model(const struct quarantine_job *job)
{
	return option_given(job->invocation, "model");
}

/* What models refused is in a table of its own. */
static int mention_models(struct quarantine_job *job, struct error *err)
{
	const struct refused_rows any = {0};
	char count[HUMAN_SIZE];
	int64_t rows;

	if (!quarantine_format(job, "table"))
		return 0;
	if (refused_rows_count(job->session, &any, &rows, err))
		return -1;
	if (rows)
		printf("\nModels have %s %s in quarantine: `tarn status` says which, --model NAME shows them\n",
		       human_count(rows, count), rows == 1 ? "row" : "rows");
	return 0;
}

static int list(struct quarantine_job *job, struct error *err)
{
	if (of_model(job))
		return quarantine_rows_list(job, err);
	*err = (struct error){0};
	if (print_all(job, err) == 0 && mention_models(job, err) == 0)
		return EXIT_DONE;
	return err->kind ? cli_fail(err) : EXIT_OUTPUT;
}

/* ---- replay and discard */

static int replay(struct quarantine_job *job, struct error *err)
{
	return of_model(job) ? quarantine_rows_replay(job, err) : quarantine_replay(job, err);
}

static void say_discarded(const struct quarantine_job *job, int64_t messages, bool dry_run)
{
	char count[HUMAN_SIZE];

	if (quarantine_format(job, "json"))
		printf("{\"discarded\":%" PRId64 ",\"dry_run\":%s}\n", messages, dry_run ? "true" : "false");
	else if (!messages)
		puts("nothing in quarantine matches");
	else
		printf("%s %s %s\n", human_count(messages, count), messages == 1 ? "message" : "messages",
		       dry_run        ? "would be discarded"
		       : messages > 1 ? "were discarded; tarn.resolutions says which and why"
		                      : "was discarded; tarn.resolutions says why");
}

static int count_messages(struct quarantine_job *job, int64_t *ret_messages, struct error *err)
{
	OWNED_QUARANTINE_STREAMS struct quarantine_streams streams = {0};

	if (quarantine_streams(job->session, &job->selection, &streams, err))
		return -1;
	*ret_messages = 0;
	for (int i = 0; i < streams.count; i++)
		*ret_messages += streams.messages[i];
	return 0;
}

static int discard(struct quarantine_job *job, struct error *err)
{
	const char *because = option_text(job->invocation, "because");
	bool dry_run = option_flag(job->invocation, "dry-run");
	struct resolver resolver;
	int64_t messages;

	if (!because && !dry_run) {
		error_set(err, ERROR_INVALID, 0,
		          "say why these %s are discarded, for it cannot be undone: --because 'test data'",
		          of_model(job) ? "rows" : "messages");
		return cli_usage(COMMAND_QUARANTINE, err);
	}
	if (of_model(job))
		return quarantine_rows_discard(job, because, err);
	if (count_messages(job, &messages, err))
		return cli_fail(err);
	if (messages && !dry_run &&
	    (resolver_init(&resolver, job->session, err) ||
	     resolve_discard(&resolver, &job->selection, because, DISCARD_PATIENCE_MS, &messages, err)))
		return cli_fail(err);
	say_discarded(job, messages, dry_run);
	return EXIT_DONE;
}

/* ---- what the command line says */

static const struct verb *find_verb(const char *text, struct error *err)
{
	char quoted[QUOTED_SIZE];

	for (size_t i = 0; i < COUNT_OF(verbs); i++)
		if (!strcmp(verbs[i].name, text))
			return &verbs[i];
	error_set(err, ERROR_INVALID, 0,
	          "quarantine: %s is nothing to do: list, show, replay or discard would be right",
	          quote_text(quoted, text));
	return NULL;
}

static bool is_listed(const char *list_of_names, const char *name)
{
	char padded[64];

	snprintf(padded, sizeof padded, " %s ", name);
	return strstr(list_of_names, padded) != NULL;
}

static int check_options(const struct verb *verb, const struct invocation *invocation, struct error *err)
{
	const char *format = option_text(invocation, "format");
	bool choice = option_given(invocation, "reason") || option_given(invocation, "since");
	bool messages = invocation->positional_count > 2 || option_given(invocation, "stream");
	bool selected = messages || choice || option_given(invocation, "model");

	for (size_t i = 0; i < COUNT_OF(some_take); i++)
		if (option_given(invocation, some_take[i]) && !is_listed(verb->options, some_take[i]))
			return error_set(err, ERROR_INVALID, 0, "quarantine %s has no option --%s", verb->name,
			                 some_take[i]);
	if (!is_listed(verb->formats, format))
		return error_set(err, ERROR_INVALID, 0, "quarantine %s has no --format %s", verb->name, format);
	if (messages && option_given(invocation, "model"))
		return error_set(err, ERROR_INVALID, 0, "--model is of rows, and places and --stream are of messages");
	if (verb->run == replay && choice && option_given(invocation, "model"))
		return error_set(
		        err, ERROR_INVALID, 0,
		        "quarantine replay --model is of all that the model has in quarantine: leave out --reason "
		        "and --since");
	if (verb->changes && !selected && !option_flag(invocation, "all"))
		return error_set(err, ERROR_INVALID, 0,
		                 "say which messages: places (TOPIC/P:OFFSET), --stream, --reason or --since would be "
		                 "right, or --all; or --model, for rows that a model refused");
	if (verb->changes && selected && option_flag(invocation, "all"))
		return error_set(err, ERROR_INVALID, 0, "--all is every message, and there is a choice beside it");
	return 0;
}

static int read_places(struct quarantine_job *job, const struct verb *verb, struct error *err)
{
	const struct invocation *invocation = job->invocation;
	int count = invocation->positional_count - 2;

	job->places = calloc((size_t)count + 1, sizeof *job->places);
	if (!job->places)
		return error_no_memory(err);
	for (int i = 0; i < count; i++)
		if (place_parse(invocation->positional[2 + i], verb->run == quarantine_show, &job->places[i], err))
			return -1;
	if (!count && verb->run == quarantine_show)
		return error_set(err, ERROR_INVALID, 0, "say which message: tarn quarantine show FILE TOPIC/P:OFFSET");
	job->selection.stream = option_text(invocation, "stream");
	job->selection.places = job->places;
	job->selection.place_count = count;
	job->selection.reason = option_text(invocation, "reason");
	if (option_given(invocation, "since"))
		job->selection.since_ms = clock_wall_ms() - option_int(invocation, "since");
	return 0;
}

/* Where no catalog is named, the stream names it. */
static struct spec_catalog *find_catalog(struct quarantine_job *job, struct error *err)
{
	const char *name = option_text(job->invocation, "catalog");

	for (int i = 0; i < job->manifest->stream_count && !name && job->selection.stream; i++)
		if (!strcmp(job->manifest->streams[i].name, job->selection.stream))
			return job->manifest->streams[i].catalog;
	return manifest_catalog(job->manifest, name, err);
}

static int open_job(struct quarantine_job *job, const struct verb *verb, struct error *err)
{
	struct lake_options options = {.existing = true};

	/* A replay of a model is rehearsed in a transaction. */
	options.writer = verb->changes && (of_model(job) || !option_flag(job->invocation, "dry-run"));
	job->manifest = manifest_load(job->invocation->positional[1], err);
	if (!job->manifest || !(job->catalog = find_catalog(job, err)))
		return -1;
	job->lake = lake_open(job->catalog, &options, err);
	if (!job->lake || !(job->session = lake_session_new(job->lake, err)))
		return -1;
	if (of_model(job))
		return 0;
	return quarantine_check(job->session, err);
}

int cmd_quarantine(const struct invocation *invocation)
{
	struct quarantine_job job = {.invocation = invocation};
	struct error err = {0};
	const struct verb *verb = find_verb(invocation->positional[0], &err);
	int status;

	if (!verb || check_options(verb, invocation, &err) || read_places(&job, verb, &err)) {
		free(job.places);
		return cli_usage(COMMAND_QUARANTINE, &err);
	}
	status = open_job(&job, verb, &err) ? cli_fail(&err) : verb->run(&job, &err);
	lake_session_free(job.session);
	lake_close(job.lake);
	manifest_free(job.manifest);
	free(job.places);
	return status;
}
