/*
 * transaction.c - the one transaction of a refresh, or of a discard: in a DuckDB of its own (lake/apart.h), with the
 * turn as its fence.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "layers/layers_private.h"

#define AGAIN_MS 100

struct patience patience_of(int64_t patience_ms)
{
	return (struct patience){.until_ms = clock_monotonic_ms() + patience_ms, .pause_ms = AGAIN_MS};
}

bool patience_again(struct patience *patience, const struct error *err)
{
	if (!error_may_pass(err) || clock_monotonic_ms() + patience->pause_ms > patience->until_ms)
		return false;
	usleep((useconds_t)patience->pause_ms * 1000);
	if (patience->pause_ms < 16 * AGAIN_MS)
		patience->pause_ms *= 2;
	return true;
}

/* One of DuckDB's threads alone reads a temporary table of less than 122,880 rows, a row group, which is most
 * increments: for this connection each vector of rows is work for any of them, as DuckDB's own tests have it. */
#define SHARE_SMALL_TABLES "PRAGMA verify_parallelism"
/* What a CAST between text and TIMESTAMP WITH TIME ZONE means is not the machine's affair. */
#define SAME_EVERYWHERE "SET TimeZone = 'UTC'"

/* The functions come before USE: then DuckDB does not look for them in the lake. */
int prepare_session(struct pipeline *pipeline, struct lake_session *session, struct error *err)
{
	struct duck_connection *connection = lake_connection(session);

	return exact_sql_register(connection, err) || duck_exec(connection, SHARE_SMALL_TABLES, NULL, err) ||
	                       duck_exec(connection, SAME_EVERYWHERE, NULL, err) ||
	                       (pipeline->scores && score_register(pipeline->scores, session, err)) ||
	                       lake_use(session, -1, err)
	               ? -1
	               : 0;
}

/* Until the lock is released nobody interrupts a connection that is to be closed. */
static void set_running(struct pipeline *pipeline, struct duck_connection *connection)
{
	pthread_mutex_lock(&pipeline->running_lock);
	pipeline->running = connection;
	pthread_mutex_unlock(&pipeline->running_lock);
}

int transaction_open(struct refresh *r)
{
	struct pipeline *pipeline = r->pipeline;

	/* Each attempt has a name of its own: what its COMMIT did can be told. */
	snprintf(pipeline->by, sizeof pipeline->by, "%d-%" PRIx64 "-%" PRId64, (int)getpid(), (uint64_t)clock_wall_ms(),
	         ++pipeline->attempts);
	if (apart_open(pipeline->session, &r->apart, r->err))
		return -1;
	r->session = r->apart.session;
	r->connection = lake_connection(r->session);
	set_running(pipeline, r->connection);
	return r->apart.lake ? prepare_session(pipeline, r->session, r->err)
	                     : duck_exec(r->connection, OPTIMIZE, NULL, r->err);
}

void transaction_close(struct refresh *r)
{
	set_running(r->pipeline, NULL);
	r->threads = 0;
	if (r->apart.session)
		apart_close(&r->apart);
}

/* {"pipeline":"NAME","turn":N,...} */
static int commit(struct refresh *r, void (*append_note)(const struct refresh *, struct buffer *))
{
	OWNED_BUFFER struct buffer note = {0};
	struct error why = {0};
	bool mine = false;

	buffer_init(&note, 1 << 20);
	buffer_text(&note, "{\"pipeline\":");
	buffer_json_text(&note, r->pipeline->spec->name, strlen(r->pipeline->spec->name));
	buffer_printf(&note, ",\"turn\":%" PRId64 ",", r->turn + 1);
	append_note(r, &note);
	buffer_char(&note, '}');
	if (!buffer_ok(&note))
		return error_no_memory(r->err);
	if (fault_error(FAULT_REFRESH_COMMIT, r->err))
		return -1;
	r->committing = true;
	if (apart_commit(&r->apart, buffer_string(&note), &why) != COMMIT_DONE) {
		/* INVARIANT 4. */
		if (state_outcome(r->pipeline, r->turn + 1, &mine, r->err))
			return -1;
		if (!mine) {
			*r->err = why;
			return -1;
		}
	}
	r->committed = true;
	return 0;
}

int transaction_run(struct refresh *r, int (*work)(struct refresh *),
                    void (*append_note)(const struct refresh *, struct buffer *))
{
	int state;

	if (lake_begin(r->session, r->err))
		return -1;
	state = use_threads_for(r, 0) ? -1 : work(r);
	if (state > 0 && commit(r, append_note) == 0)
		return 0;
	if (!r->committing)
		lake_rollback(r->session);
	return state == 0 ? 0 : -1;
}
