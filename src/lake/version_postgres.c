#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "lake/version.h"
#include "lake/version_private.h"

#define LEFT_ALONE_MS 500 /* after a failure */

struct version_postgres {
	char *connection; /* owned; a secret */
	PGconn *server; /* NULL: not connected */
	int64_t not_before_ms; /* after a failure */
};

struct version_postgres *version_postgres_new(const char *connection, struct error *err)
{
	struct version_postgres *postgres = calloc(1, sizeof *postgres);

	if (!postgres || !(postgres->connection = strdup(connection))) {
		free(postgres);
		error_no_memory(err);
		return NULL;
	}
	return postgres;
}

void version_postgres_free(struct version_postgres *postgres)
{
	if (!postgres)
		return;
	PQfinish(postgres->server);
	free(postgres->connection);
	free(postgres);
}

static int give_up(struct version_postgres *postgres, const char *why, struct error *err)
{
	char text[256];

	snprintf(text, sizeof text, "%s", why && *why ? why : "it does not answer");
	text[strcspn(text, "\n")] = 0;
	log_mask(text);
	PQfinish(postgres->server);
	postgres->server = NULL;
	postgres->not_before_ms = clock_monotonic_ms() + LEFT_ALONE_MS;
	return error_set(err, ERROR_TRANSIENT, 0, "the catalog's server cannot be asked just now: %s", text);
}

/* 0: the socket can be used; -1: the time is over. */
static int wait_for(PGconn *server, short events, int64_t until_ms)
{
	struct pollfd fd = {PQsocket(server), events, 0};
	int64_t left = until_ms - clock_monotonic_ms();
	int got;

	do
		got = left > 0 ? poll(&fd, 1, (int)left) : 0;
	while (got < 0 && errno == EINTR);
	return got > 0 ? 0 : -1;
}

static int connect_to(struct version_postgres *postgres, int64_t until_ms, struct error *err)
{
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;

	if (clock_monotonic_ms() < postgres->not_before_ms)
		return error_set(err, ERROR_TRANSIENT, 0, "the catalog's server could not be asked a moment ago");
	postgres->server = PQconnectStart(postgres->connection);
	if (!postgres->server || PQstatus(postgres->server) == CONNECTION_BAD)
		return give_up(postgres, PQerrorMessage(postgres->server), err);
	while (state != PGRES_POLLING_OK) {
		if (state == PGRES_POLLING_FAILED)
			return give_up(postgres, PQerrorMessage(postgres->server), err);
		if (wait_for(postgres->server, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_ms))
			return give_up(postgres, NULL, err);
		state = PQconnectPoll(postgres->server);
	}
	PQsetnonblocking(postgres->server, 1);
	return 0;
}

static int send_all(struct version_postgres *postgres, int64_t until_ms, struct error *err)
{
	int left;

	while ((left = PQflush(postgres->server)) == 1)
		if (wait_for(postgres->server, POLLOUT, until_ms))
			return give_up(postgres, NULL, err);
	return left ? give_up(postgres, PQerrorMessage(postgres->server), err) : 0;
}

static int wait_for_answer(struct version_postgres *postgres, int64_t until_ms, struct error *err)
{
	while (PQisBusy(postgres->server)) {
		if (wait_for(postgres->server, POLLIN, until_ms))
			return give_up(postgres, NULL, err);
		if (!PQconsumeInput(postgres->server))
			return give_up(postgres, PQerrorMessage(postgres->server), err);
	}
	return 0;
}

/* The whole answer; the caller clears it. NULL: the server is given up. */
static PGresult *ask_once(struct version_postgres *postgres, const char *sql, int count, const char *const *values,
                          struct error *err)
{
	int64_t until_ms = clock_monotonic_ms() + VERSION_PATIENCE_MS;
	PGresult *result = NULL, *next;

	if (!postgres->server && connect_to(postgres, until_ms, err))
		return NULL;
	if (!PQsendQueryParams(postgres->server, sql, count, NULL, values, NULL, NULL, 0)) {
		give_up(postgres, PQerrorMessage(postgres->server), err);
		return NULL;
	}
	if (send_all(postgres, until_ms, err))
		return NULL;
	for (;;) {
		if (wait_for_answer(postgres, until_ms, err)) {
			PQclear(result);
			return NULL;
		}
		next = PQgetResult(postgres->server);
		if (!next)
			break;
		PQclear(result);
		result = next;
	}
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	give_up(postgres, PQresultErrorMessage(result), err);
	PQclear(result);
	return NULL;
}

/* A connection that was idle while the server went away and returned is found out with the first question. */
static PGresult *ask(struct version_postgres *postgres, const char *sql, int count, const char *const *values,
                     struct error *err)
{
	bool was_connected = postgres->server != NULL;
	int64_t begun_ms = clock_monotonic_ms();
	PGresult *result = ask_once(postgres, sql, count, values, err);

	if (result || !was_connected || clock_monotonic_ms() - begun_ms >= VERSION_PATIENCE_MS)
		return result;
	postgres->not_before_ms = 0;
	if (err)
		*err = (struct error){0};
	return ask_once(postgres, sql, count, values, err);
}

int version_postgres_newest(struct version_postgres *postgres, struct version_seen *ret_seen, struct error *err)
{
	PGresult *result = ask(postgres, VERSION_NEWEST_SQL, 0, NULL, err);
	bool got = result && PQntuples(result) == 1;

	if (got) {
		ret_seen->snapshot = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
		ret_seen->inlined = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
		/* NULL is an empty text here. */
		snprintf(ret_seen->lake, sizeof ret_seen->lake, "%s", PQgetvalue(result, 0, 2));
		snprintf(ret_seen->time, sizeof ret_seen->time, "%s", PQgetvalue(result, 0, 3));
	} else if (result) {
		error_set(err, ERROR_TRANSIENT, 0, "there is no lake yet");
	}
	PQclear(result);
	return got ? 0 : -1;
}

int version_postgres_time(struct version_postgres *postgres, int64_t snapshot, char ret_time[VERSION_TIME_SIZE],
                          struct error *err)
{
	char number[24];
	const char *values[] = {number};
	PGresult *result;

	snprintf(number, sizeof number, "%lld", (long long)snapshot);
	result = ask(postgres, VERSION_TIME_SQL, COUNT_OF(values), values, err);
	if (!result)
		return -1;
	snprintf(ret_time, VERSION_TIME_SIZE, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
	PQclear(result);
	return 0;
}

int version_postgres_table(struct version_postgres *postgres, const char *schema, const char *table, int64_t snapshot,
                           int64_t *ret_id, int64_t *ret_begin, struct error *err)
{
	char number[24];
	const char *values[] = {schema, table, number};
	PGresult *result;

	snprintf(number, sizeof number, "%lld", (long long)snapshot);
	result = ask(postgres, VERSION_TABLE_SQL, COUNT_OF(values), values, err);
	if (!result)
		return -1;
	*ret_id = *ret_begin = -1;
	if (PQntuples(result) > 0) {
		*ret_id = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
		*ret_begin = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
	}
	PQclear(result);
	return 0;
}

int version_postgres_changes(struct version_postgres *postgres, int64_t after, int64_t until, version_take *take,
                             void *context, struct error *err)
{
	char from[24], to[24];
	const char *values[] = {from, to};
	PGresult *result;
	bool more = true;

	snprintf(from, sizeof from, "%lld", (long long)after);
	snprintf(to, sizeof to, "%lld", (long long)until);
	result = ask(postgres, VERSION_CHANGES_SQL, COUNT_OF(values), values, err);
	if (!result)
		return -1;
	for (int i = 0; more && i < PQntuples(result); i++)
		more = take(context, strtoll(PQgetvalue(result, i, 0), NULL, 10),
		            PQgetisnull(result, i, 1) ? NULL : PQgetvalue(result, i, 1));
	PQclear(result);
	return 0;
}
