/*
 * query.c - `tarn query`: one statement of SQL asked of a lake.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/owned.h"
#include "cli/cli.h"
#include "cli/query_write.h"
#include "lake/at_offset.h"
#include "lake/lake.h"
#include "score/models.h"
#include "spec/spec.h"

#define SQL_MAXIMUM_BYTES (16 << 20)

static const struct {
	const char *name;
	int (*write)(struct query *, struct output_file *, struct error *);
	bool binary;
} formats[] = {
        {"table", query_write_table, false}, {"csv", query_write_csv, false},        {"json", query_write_json, false},
        {"arrow", query_write_arrow, true},  {"parquet", query_write_parquet, true},
};

static int format_of(const struct invocation *invocation)
{
	int i = 0;

	while (strcmp(formats[i].name, option_text(invocation, "format")))
		i++;
	return i;
}

/* ---- SIGINT ends the statement, so that nothing half written stays */

struct watch {
	struct duck_connection *connection;
	pthread_t thread;
	int end[2]; /* a pipe: closed for writing when the statement is over */
	bool runs;
};

static void *watch_main(void *argument)
{
	struct watch *watch = argument;
	struct pollfd fds[] = {{.fd = cli_interrupt_fd(), .events = POLLIN}, {.fd = watch->end[0], .events = POLLIN}};

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	/* An interrupt that comes before the statement runs would be lost: it is said again until the end. */
	while (fds[0].revents) {
		query_interrupt(watch->connection);
		if (poll(&fds[1], 1, 20) > 0)
			break;
	}
	return NULL;
}

static void watch_begin(struct watch *watch, struct duck_connection *connection)
{
	*watch = (struct watch){.connection = connection};
	cli_catch_signals();
	if (pipe2(watch->end, O_CLOEXEC))
		return;
	watch->runs = !pthread_create(&watch->thread, NULL, watch_main, watch);
	if (!watch->runs) {
		close(watch->end[0]);
		close(watch->end[1]);
	}
}

static void watch_end(struct watch *watch)
{
	if (!watch->runs)
		return;
	close(watch->end[1]);
	pthread_join(watch->thread, NULL);
	close(watch->end[0]);
}

/* ---- the command */

/* `-` is standard input. */
static int read_sql(const char *argument, struct buffer *sql, struct error *err)
{
	char block[4096];
	size_t got;

	if (strcmp(argument, "-")) {
		buffer_text(sql, argument);
	} else {
		while ((got = fread(block, 1, sizeof block, stdin)))
			buffer_append(sql, block, got);
		if (ferror(stdin))
			return error_set(err, ERROR_INVALID, errno, "cannot read SQL from standard input");
	}
	if (!buffer_ok(sql))
		return error_set(err, ERROR_INVALID, 0, "the statement has more than %d MiB", SQL_MAXIMUM_BYTES >> 20);
	if (strlen(buffer_string(sql)) != sql->size)
		return error_set(err, ERROR_INVALID, 0, "the statement has a 0 byte in it");
	return 0;
}

/* A table may be missing only because the snapshot is older than it. */
static int fail_query(int64_t at, struct error *err)
{
	if (at >= 0)
		error_wrap(err, "as of snapshot %" PRId64, at);
	return cli_fail(err);
}

/* The snapshot to read; -1: the newest. */
static int find_snapshot(const struct invocation *invocation, struct lake_session *session, int64_t *ret_at,
                         struct error *err)
{
	const char *text = option_text(invocation, "at-offset");
	struct offset_snapshot found;
	struct place place;

	*ret_at = option_given(invocation, "at") ? option_int(invocation, "at") : -1;
	if (!text)
		return 0;
	if (place_parse(text, true, &place, err))
		return error_wrap(err, "--at-offset");
	if (lake_at_offset(session, &place, &found, err))
		return -1;
	*ret_at = found.snapshot;
	log_event(EVENT_AT_OFFSET,
	          FIELDS(LOG_TEXT("place", text), LOG_NUMBER("snapshot", found.snapshot),
	                 LOG_TEXT("stream", found.stream)),
	          "%s is in the lake from snapshot %" PRId64 " on%s%s", text, found.snapshot,
	          found.streams > 1 ? ", for each stream that has it" : "",
	          found.incarnations > 1 ? "; the topic was made anew, and the newest one is meant" : "");
	return 0;
}

static int run(const struct invocation *invocation, struct lake_session *session, int64_t at, const char *sql,
               struct error *err)
{
	int format = format_of(invocation), failed;
	struct output_file output;
	struct query *query = query_open(lake_connection(session), sql, err);

	if (!query)
		return fail_query(at, err);
	failed = output_open(&output, option_text(invocation, "output"), formats[format].binary, err);
	if (!failed)
		failed = formats[format].write(query, &output, err);
	query_close(query);
	output_close(&output, !failed);
	if (cli_interrupted() && (failed || output.code)) {
		error_set(err, ERROR_NONE, 0, "interrupted");
		cli_fail(err);
		return EXIT_INTERRUPTED;
	}
	if (output.code)
		return output_status(&output);
	return failed ? cli_fail(err) : EXIT_DONE;
}

static int ask(const struct invocation *invocation, struct lake *lake, struct score_models *models, const char *sql,
               struct error *err)
{
	struct lake_session *session = lake_session_new(lake, err);
	struct watch watch;
	int64_t at;
	int status;

	if (!session)
		return cli_fail(err);
	watch_begin(&watch, lake_connection(session));
	if (score_register(models, session, err) || find_snapshot(invocation, session, &at, err) ||
	    lake_use(session, at, err))
		status = cli_fail(err);
	else
		status = run(invocation, session, at, sql, err);
	watch_end(&watch);
	lake_session_free(session);
	return status;
}

int cmd_query(const struct invocation *invocation)
{
	OWNED_SCORE_MODELS struct score_models *models = NULL;
	OWNED_BUFFER struct buffer sql = {0};
	struct manifest *manifest;
	struct spec_catalog *catalog;
	struct lake *lake = NULL;
	struct error err;
	int status;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	if (option_given(invocation, "at") && option_given(invocation, "at-offset")) {
		error_set(&err, ERROR_INVALID, 0, "--at and --at-offset each choose a snapshot: one would be right");
		return cli_usage(COMMAND_QUERY, &err);
	}
	if (read_sql(invocation->positional[1], &sql, &err))
		return cli_fail(&err);
	manifest = manifest_load(invocation->positional[0], &err);
	if (!manifest)
		return cli_fail(&err);
	catalog = manifest_catalog(manifest, option_text(invocation, "catalog"), &err);
	if (catalog)
		models = score_models_of(manifest, catalog, &err);
	if (models)
		lake = lake_open(catalog, &(struct lake_options){0}, &err);
	status = lake ? ask(invocation, lake, models, buffer_string(&sql), &err) : cli_fail(&err);
	lake_close(lake);
	manifest_free(manifest);
	return status;
}
