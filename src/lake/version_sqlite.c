#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/owned.h"
#include "lake/version_private.h"

#define BUSY_MS 200

enum question { NEWEST, DATA_VERSION, TIME, TABLE, CHANGES, QUESTIONS };

static const char *const questions[QUESTIONS] = {
        [NEWEST] = VERSION_NEWEST_SQL, [DATA_VERSION] = "PRAGMA data_version", [TIME] = VERSION_TIME_SQL,
        [TABLE] = VERSION_TABLE_SQL,   [CHANGES] = VERSION_CHANGES_SQL,
};

struct version_sqlite {
	char *path, *shared; /* shared: PATH-shm */
	sqlite3 *database;
	sqlite3_stmt *statements[QUESTIONS];
	struct stat is, shared_is; /* the files, when they were opened */
	bool has_shared;
	bool knows;
	int64_t data_version;
	struct version_seen seen;
};

struct version_sqlite *version_sqlite_new(const char *path, struct error *err)
{
	struct version_sqlite *sqlite = calloc(1, sizeof *sqlite);

	if (!sqlite || !(sqlite->path = strdup(path)) || asprintf(&sqlite->shared, "%s-shm", path) < 0) {
		if (sqlite)
			sqlite->shared = NULL;
		version_sqlite_free(sqlite);
		error_no_memory(err);
		return NULL;
	}
	return sqlite;
}

static void forget_statements(struct version_sqlite *sqlite)
{
	for (int i = 0; i < QUESTIONS; i++) {
		sqlite3_finalize(sqlite->statements[i]);
		sqlite->statements[i] = NULL;
	}
	sqlite->knows = false;
}

void version_sqlite_free(struct version_sqlite *sqlite)
{
	if (!sqlite)
		return;
	forget_statements(sqlite);
	sqlite3_close(sqlite->database);
	free(sqlite->path);
	free(sqlite->shared);
	free(sqlite);
}

static int fail(struct version_sqlite *sqlite, struct error *err)
{
	return error_set(err, ERROR_TRANSIENT, sqlite->database ? sqlite3_errcode(sqlite->database) : 0,
	                 "the catalog cannot be read just now: %s",
	                 sqlite->database ? sqlite3_errmsg(sqlite->database) : "out of memory");
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The lake may have been made anew, and its -shm, through which writers tell readers what is new, may be another one
 * since nobody had it open. */
static bool is_current(const struct version_sqlite *sqlite, const struct stat *is)
{
	struct stat shared;
	bool has_shared = stat(sqlite->shared, &shared) == 0;

	if (!sqlite->database || !is_same(&sqlite->is, is) || sqlite->has_shared != has_shared)
		return false;
	return !has_shared || is_same(&sqlite->shared_is, &shared);
}

static void close_database(struct version_sqlite *sqlite)
{
	forget_statements(sqlite);
	sqlite3_close(sqlite->database);
	sqlite->database = NULL;
}

static int open_database(struct version_sqlite *sqlite, struct error *err)
{
	sqlite3_stmt *first = NULL;
	int code;

	close_database(sqlite);
	code = sqlite3_open_v2(sqlite->path, &sqlite->database, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (code == SQLITE_OK) {
		sqlite3_busy_timeout(sqlite->database, BUSY_MS);
		/* With the first read it opens the other files. */
		code = sqlite3_prepare_v2(sqlite->database, VERSION_NEWEST_SQL, -1, &first, NULL);
		if (code == SQLITE_OK) {
			int stepped = sqlite3_step(first);

			code = stepped == SQLITE_ROW || stepped == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
		}
	}
	sqlite3_finalize(first);
	if (code != SQLITE_OK) {
		fail(sqlite, err);
		close_database(sqlite);
		return -1;
	}
	if (stat(sqlite->path, &sqlite->is))
		return error_set(err, ERROR_TRANSIENT, errno, "the catalog's file is gone");
	sqlite->has_shared = stat(sqlite->shared, &sqlite->shared_is) == 0;
	return 0;
}

static int make_current(struct version_sqlite *sqlite, struct error *err)
{
	struct stat is;

	if (stat(sqlite->path, &is))
		return error_set(err, ERROR_TRANSIENT, errno, "there is no lake yet");
	return is_current(sqlite, &is) ? 0 : open_database(sqlite, err);
}

/* Prepared once; *ret_statement is to be reset. */
static int ready(struct version_sqlite *sqlite, enum question question, sqlite3_stmt **ret_statement, struct error *err)
{
	if (!sqlite->statements[question] && sqlite3_prepare_v2(sqlite->database, questions[question], -1,
	                                                        &sqlite->statements[question], NULL) != SQLITE_OK)
		return fail(sqlite, err);
	*ret_statement = sqlite->statements[question];
	return 0;
}

static int ask_data_version(struct version_sqlite *sqlite, int64_t *ret_number, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	bool got;

	if (ready(sqlite, DATA_VERSION, &statement, err))
		return -1;
	got = sqlite3_step(statement) == SQLITE_ROW;
	if (got)
		*ret_number = sqlite3_column_int64(statement, 0);
	else
		fail(sqlite, err);
	sqlite3_reset(statement);
	return got ? 0 : -1;
}

static void take_text(sqlite3_stmt *statement, int column, char text[VERSION_TIME_SIZE])
{
	const unsigned char *found = sqlite3_column_text(statement, column);

	snprintf(text, VERSION_TIME_SIZE, "%s", found ? (const char *)found : "");
}

static int ask_newest(struct version_sqlite *sqlite, struct error *err)
{
	struct version_seen *seen = &sqlite->seen;
	sqlite3_stmt *statement = NULL;
	bool got;

	if (ready(sqlite, NEWEST, &statement, err))
		return -1;
	got = sqlite3_step(statement) == SQLITE_ROW;
	if (got) {
		seen->snapshot = sqlite3_column_int64(statement, 0);
		seen->inlined = sqlite3_column_int64(statement, 1);
		take_text(statement, 2, seen->lake);
		take_text(statement, 3, seen->time);
	} else {
		fail(sqlite, err);
	}
	sqlite3_reset(statement);
	return got ? 0 : -1;
}

int version_sqlite_newest(struct version_sqlite *sqlite, struct version_seen *ret_seen, struct error *err)
{
	int64_t data_version = 0;

	if (make_current(sqlite, err) || ask_data_version(sqlite, &data_version, err))
		return -1;
	if (!sqlite->knows || sqlite->data_version != data_version) {
		sqlite->knows = false;
		if (ask_newest(sqlite, err))
			return -1;
		sqlite->knows = true;
		sqlite->data_version = data_version;
	}
	*ret_seen = sqlite->seen;
	return 0;
}

int version_sqlite_time(struct version_sqlite *sqlite, int64_t snapshot, char ret_time[VERSION_TIME_SIZE],
                        struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int code;

	if (make_current(sqlite, err) || ready(sqlite, TIME, &statement, err))
		return -1;
	sqlite3_bind_int64(statement, 1, snapshot);
	*ret_time = 0;
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		take_text(statement, 0, ret_time);
	else if (code != SQLITE_DONE)
		fail(sqlite, err);
	sqlite3_reset(statement);
	return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : -1;
}

int version_sqlite_table(struct version_sqlite *sqlite, const char *schema, const char *table, int64_t snapshot,
                         int64_t *ret_id, int64_t *ret_begin, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int code;

	if (make_current(sqlite, err) || ready(sqlite, TABLE, &statement, err))
		return -1;
	sqlite3_bind_text(statement, 1, schema, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, table, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 3, snapshot);
	*ret_id = *ret_begin = -1;
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		*ret_id = sqlite3_column_int64(statement, 0);
		*ret_begin = sqlite3_column_int64(statement, 1);
	} else if (code != SQLITE_DONE) {
		fail(sqlite, err);
	}
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : -1;
}

int version_sqlite_changes(struct version_sqlite *sqlite, int64_t after, int64_t until, version_take *take,
                           void *context, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int code;

	if (make_current(sqlite, err) || ready(sqlite, CHANGES, &statement, err))
		return -1;
	sqlite3_bind_int64(statement, 1, after);
	sqlite3_bind_int64(statement, 2, until);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		if (!take(context, sqlite3_column_int64(statement, 0), (const char *)sqlite3_column_text(statement, 1)))
			break;
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		fail(sqlite, err);
	sqlite3_reset(statement);
	return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : -1;
}
