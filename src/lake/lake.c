#include "lake/lake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/fault.h"
#include "base/owned.h"
#include "lake/extension.h"
#include "lake/lake_private.h"
#include "lake/lock.h"
#include "lake/object_store.h"
#include "lake/options.h"
#include "lake/pin.h"
#include "lake/publish.h"

#define CONNECT_PATIENCE_S 10 /* for a PostgreSQL server's answer to a new connection */
#define ATTACH_PATIENCE_MS 2000 /* the longest of doubling waits */
#define COMMIT_TRIES 100 /* of DuckLake, beside others' commits that do not conflict */

static int make_folders(const char *path, bool with_last, struct error *err)
{
	OWNED_FREE char *copy = strdup(path);

	if (!copy)
		return error_no_memory(err);
	for (char *slash = strchr(copy + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (!slash && !with_last)
			return 0;
		if (slash)
			*slash = 0;
		if (mkdir(copy, 0755) && errno != EEXIST)
			return error_set(err, ERROR_INVALID, errno, "cannot make the folder %s: %s", copy,
			                 strerror(errno));
		if (!slash)
			return 0;
		*slash = '/';
	}
}

int lake_make_folders(const char *path, struct error *err)
{
	return make_folders(path, true, err);
}

static const char *catalog_path(const struct lake *lake)
{
	return lake->catalog->backend.path;
}

/* The folders and the writer lock; for readers, that there is something to read. */
static int prepare_files(struct lake *lake, struct error *err)
{
	const struct spec_catalog *catalog = lake->catalog;
	OWNED_FREE char *lock_path = NULL;

	if (catalog->backend.type == BACKEND_POSTGRES) {
		if (lake->options.writer && catalog->data_path && catalog->data_path[0] == '/')
			return make_folders(catalog->data_path, true, err);
		return 0;
	}
	if ((!lake->options.writer || lake->options.existing) && access(catalog_path(lake), F_OK))
		return error_set(err, ERROR_INVALID, errno,
		                 "there is no lake at %s yet: `tarn run` makes it when the first events arrive",
		                 catalog_path(lake));
	if (!lake->options.writer)
		return 0;
	if (make_folders(catalog_path(lake), false, err))
		return -1;
	if (catalog->data_path && catalog->data_path[0] == '/' && make_folders(catalog->data_path, true, err))
		return -1;
	if (asprintf(&lock_path, "%s.writer-lock", catalog_path(lake)) < 0)
		return error_no_memory(err);
	lake->writer_lock = lock_open(lock_path, err);
	if (lake->writer_lock < 0)
		return -1;
	return lock_take_or_tell(lake->writer_lock, lock_path, catalog_path(lake), err);
}

/* What one of DuckDB's threads takes to write a row group, with some to spare: 16 threads on 112 MiB ran out of it. */
#define THREAD_BYTES ((int64_t)32 << 20)

int lake_threads(const struct lake *lake)
{
	const struct lake_options *options = &lake->options;
	int64_t threads = cpus();

	if (options->confined)
		return 1;
	if (options->threads)
		return options->threads;
	if (options->writer && options->memory_bytes && threads > options->memory_bytes / THREAD_BYTES)
		threads = options->memory_bytes / THREAD_BYTES;
	return threads < 1 ? 1 : (int)threads;
}

/* By backend. */
static const char *const wanted_extensions[][3] = {
        [BACKEND_SQLITE] = {"ducklake", "sqlite_scanner"},
        [BACKEND_POSTGRES] = {"ducklake", "postgres_scanner"},
        [BACKEND_DUCKDB] = {"ducklake"},
        [BACKEND_FILE] = {NULL},
};

static int load_extensions(const struct lake *lake, struct duck_connection *connection, struct error *err)
{
	const char *const *wanted = wanted_extensions[lake->catalog->backend.type];

	for (int i = 0; i < 3 && wanted[i]; i++)
		if (lake_load_extension(connection, wanted[i], err))
			return -1;
	/* It closes connections that are idle for long, by a thread: a worker is not idle for long. */
	if (lake->options.confined && lake->catalog->backend.type == BACKEND_POSTGRES)
		return duck_exec(connection, "SET pg_pool_enable_reaper_thread = false", NULL, err);
	return 0;
}

static struct duck *open_duck(struct lake *lake, struct error *err)
{
	const struct lake_options *options = &lake->options;
	char threads[16], memory[32];
	struct duck_setting settings[12] = {EXTENSION_SETTINGS};
	int count = EXTENSION_SETTING_COUNT;

	/* What LOAD and ATTACH ask of the catalog is small, and two threads take twice as long for it as one. */
	snprintf(threads, sizeof threads, "%d", options->threads ? options->threads : 1);
	settings[count++] = (struct duck_setting){"threads", threads};
	/* Arrays of one lane may be written by two threads: no order between rows is promised. */
	settings[count++] = (struct duck_setting){"preserve_insertion_order", options->writer ? "false" : "true"};
	/* Its own: DuckDB's default is .tmp in the working folder, which the first process that ends takes from the
	 * others. */
	if (!options->confined)
		spill_open(&lake->spill);
	settings[count++] = (struct duck_setting){"temp_directory", options->confined ? "" : lake->spill.path};
	if (options->memory_bytes) {
		snprintf(memory, sizeof memory, "%" PRId64 "B", options->memory_bytes);
		settings[count++] = (struct duck_setting){"memory_limit", memory};
	}
	/* A writer reads a file once, to merge it: what is kept of it grows with each commit. */
	if (options->writer)
		settings[count++] = (struct duck_setting){"enable_external_file_cache", "false"};
	/* Half the size of what DuckDB would choose for such texts, and less work: as the lakes' Parquet. */
	if (lake->catalog->backend.type == BACKEND_FILE)
		settings[count++] = (struct duck_setting){"force_compression", "zstd"};
	return duck_open(NULL, settings, count, err);
}

/* A server that takes connections and is silent would be waited for without end: libpq has no limit of its own. */
static void append_postgres(const char *connection, struct buffer *address)
{
	bool uri = !strncmp(connection, "postgresql://", 13) || !strncmp(connection, "postgres://", 11);

	buffer_text(address, connection);
	if (strstr(connection, "connect_timeout") || getenv("PGCONNECT_TIMEOUT"))
		return;
	if (uri)
		buffer_text(address, strchr(connection, '?') ? "&" : "?");
	buffer_printf(address, "%sconnect_timeout=%d", uri ? "" : " ", CONNECT_PATIENCE_S);
}

static void append_attach(const struct lake *lake, struct buffer *sql)
{
	static const char *const prefixes[] = {
	        [BACKEND_SQLITE] = "ducklake:sqlite:",
	        [BACKEND_POSTGRES] = "ducklake:postgres:",
	        [BACKEND_DUCKDB] = "ducklake:",
	        [BACKEND_FILE] = "",
	};
	const struct spec_catalog *catalog = lake->catalog;
	OWNED_BUFFER struct buffer address = {0};

	buffer_init(&address, 65536);
	buffer_text(&address, prefixes[catalog->backend.type]);
	if (catalog->backend.type == BACKEND_POSTGRES)
		append_postgres(catalog->backend.connection, &address);
	else
		buffer_text(&address, catalog->backend.path);
	buffer_text(sql, "ATTACH ");
	buffer_sql_text(sql, buffer_string(&address));
	buffer_text(sql, " AS lake (");
	if (catalog->backend.type != BACKEND_FILE) {
		/* Rows go to Parquet at once; Tarn's own small tables are inlined by an option of their own (ledger.c).
		 */
		buffer_text(sql, "DATA_INLINING_ROW_LIMIT 0, DATA_PATH ");
		buffer_sql_text(sql, catalog->data_path);
		/* The file remembers it: one reader's PRAGMA may meet another one's recovery of the WAL. */
		if (catalog->backend.type == BACKEND_SQLITE && lake->options.writer)
			buffer_text(sql, ", META_JOURNAL_MODE 'WAL'");
		if (lake->options.existing)
			buffer_text(sql, ", CREATE_IF_NOT_EXISTS false");
		buffer_text(sql, ", ");
	}
	/* Each writer holds a row group in memory: DuckDB's 122,880 rows of 1 KB would be 126 MB. zstd needs
	 * format 1.2. */
	if (lake->catalog->backend.type == BACKEND_FILE && lake->options.writer)
		buffer_text(sql, "ROW_GROUP_SIZE 8192, STORAGE_VERSION 'v1.2.0', ");
	buffer_text(sql, lake->options.writer ? "READ_WRITE)" : "READ_ONLY)");
}

/* Settings for many small commits, and for tables that are quick to write and to read (docs/benchmarks.md). The size of
 * a row group is a table's: table.c. */
static int set_options(struct lake *lake, struct duck_connection *connection, struct error *err)
{
	if (lake->catalog->backend.type == BACKEND_FILE)
		return 0;
	if (duck_exec(connection, "SET ducklake_retry_wait_ms = 5", NULL, err) ||
	    duck_exec(connection, "SET ducklake_retry_backoff = 1.2", NULL, err) ||
	    duck_execf(connection, err, "SET ducklake_max_retry_count = %d", COMMIT_TRIES))
		return -1;
	return lake->options.writer ? lake_say_options(lake, connection, err) : 0;
}

/* Of several processes that make a Postgres catalog at once DuckLake lets one succeed; the others then find it made. A
 * SQLite file that another program is making refuses its journal mode at once: SQLite's own patience is not for that.
 */
static bool is_being_made(const struct lake *lake, const struct error *err)
{
	enum backend_type type = lake->catalog->backend.type;

	if (!lake->options.writer)
		return false;
	return (type == BACKEND_POSTGRES && strstr(err->message, "Failed to initialize DuckLake")) ||
	       (type == BACKEND_SQLITE && strstr(err->message, "database is locked"));
}

static int attach_catalog(const struct lake *lake, struct duck_connection *connection, const char *sql,
                          struct error *err)
{
	for (int wait_ms = 50;; wait_ms *= 2) {
		if (duck_exec(connection, sql, NULL, err) == 0)
			return 0;
		if (wait_ms > ATTACH_PATIENCE_MS || !is_being_made(lake, err))
			return -1;
		*err = (struct error){0};
		clock_sleep_ms(wait_ms);
	}
}

static int attach(struct lake *lake, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	struct duck_connection *connection = duck_connect(lake->duck, err);
	int failed;

	buffer_init(&sql, 65536);
	append_attach(lake, &sql);
	if (!connection)
		return -1;
	failed = !buffer_ok(&sql) || load_extensions(lake, connection, err) ||
	         object_store_open(lake->catalog, lake->catalog->data_path, connection, err) ||
	         lake_extensions_end(connection, err) || object_store_check(lake->catalog, connection, err) ||
	         attach_catalog(lake, connection, buffer_string(&sql), err) || set_options(lake, connection, err) ||
	         (!lake->options.rests && duck_execf(connection, err, "SET threads = %d", lake_threads(lake)));
	duck_disconnect(connection);
	return failed ? -1 : 0;
}

struct lake *lake_open(const struct spec_catalog *catalog, const struct lake_options *options, struct error *err)
{
	struct lake *lake = calloc(1, sizeof *lake);

	if (!lake) {
		error_no_memory(err);
		return NULL;
	}
	lake->catalog = catalog;
	lake->options = *options;
	lake->writer_lock = -1;
	shed_init(&lake->shed);
	turns_init(&lake->turns);
	if (prepare_files(lake, err) || !(lake->duck = open_duck(lake, err)) || attach(lake, err)) {
		error_wrap(err, "catalog %s", catalog->name);
		lake_close(lake);
		return NULL;
	}
	if (options->writer && lake_has_many_writers(lake))
		pins_recover(catalog->data_path);
	return lake;
}

void lake_close(struct lake *lake)
{
	if (!lake)
		return;
	duck_close(lake->duck);
	spill_close(&lake->spill);
	if (lake->writer_lock >= 0)
		close(lake->writer_lock);
	shed_release(&lake->shed);
	turns_release(&lake->turns);
	free(lake);
}

bool lake_is_broken(struct lake *lake)
{
	struct error ignored;
	struct duck_connection *connection = duck_connect(lake->duck, &ignored);
	bool broken = connection && duck_is_broken(connection);

	duck_disconnect(connection);
	return broken;
}

const struct spec_catalog *lake_catalog(const struct lake *lake)
{
	return lake->catalog;
}

bool lake_has_snapshots(const struct lake *lake)
{
	return lake->catalog->backend.type != BACKEND_FILE;
}

bool lake_session_has_snapshots(const struct lake_session *session)
{
	return lake_has_snapshots(session->lake);
}

bool lake_has_many_writers(const struct lake *lake)
{
	return lake->catalog->backend.type == BACKEND_POSTGRES;
}

bool lake_is_local(const struct lake *lake)
{
	return !object_store_used(lake->catalog);
}

/* Each session opens the file itself: flock is between open file descriptions, so it holds between threads too. */
static int open_catalog_lock(struct lake_session *session, struct error *err)
{
	OWNED_FREE char *path = NULL;

	session->catalog_lock = -1;
	if (lake_has_many_writers(session->lake) || !session->lake->options.writer)
		return 0;
	if (asprintf(&path, "%s.catalog-lock", catalog_path(session->lake)) < 0)
		return error_no_memory(err);
	session->catalog_lock = lock_open(path, err);
	return session->catalog_lock < 0 ? -1 : 0;
}

/* Its transactions may make and alter DuckLake's tables, which other sessions' statements must not meet (duck.h). */
static bool makes_tables(const struct lake *lake)
{
	return lake->options.writer && lake_has_snapshots(lake);
}

/* What the transaction reads of the lake's schema, while no other session loads it: from here on it is no danger. */
static int load_schema(struct lake_session *session, struct error *err)
{
	if (makes_tables(session->lake) &&
	    duck_exec(session->connection, "SELECT count(*) FROM duckdb_schemas() WHERE database_name = 'lake'", NULL,
	              err))
		return -1;
	duck_take_turns(session->connection, false);
	return 0;
}

struct lake_session *lake_session_new(struct lake *lake, struct error *err)
{
	struct lake_session *session = calloc(1, sizeof *session);

	if (!session) {
		error_no_memory(err);
		return NULL;
	}
	session->lake = lake;
	buffer_init(&session->published, 1 << 20);
	if (open_catalog_lock(session, err) || !(session->connection = duck_connect(lake->duck, err)) ||
	    !(session->idle = duck_connect(lake->duck, err))) {
		lake_session_free(session);
		return NULL;
	}
	duck_take_turns(session->connection, makes_tables(lake));
	return session;
}

void lake_session_free(struct lake_session *session)
{
	if (!session)
		return;
	if (session->in_transaction)
		lake_rollback(session);
	duck_disconnect(session->idle);
	duck_disconnect(session->connection);
	if (session->catalog_lock >= 0)
		close(session->catalog_lock);
	buffer_release(&session->published);
	free(session);
}

int lake_use_threads(struct lake_session *session, int threads, struct error *err)
{
	if (!session->lake->options.rests)
		return 0;
	return duck_execf(session->connection, err, "SET threads = %d", threads);
}

int lake_take_turn(struct lake_session *session, struct error *err)
{
	if (session->catalog_lock < 0)
		return 0;
	turns_enter(&session->lake->turns);
	if (lock_wait(session->catalog_lock, err)) {
		turns_leave(&session->lake->turns);
		return -1;
	}
	session->has_turn = true;
	return 0;
}

void lake_give_turn(struct lake_session *session)
{
	if (!session->has_turn)
		return;
	session->has_turn = false;
	lock_drop(session->catalog_lock);
	turns_leave(&session->lake->turns);
}

/* nothing_committed: for certain. */
static void end_transaction(struct lake_session *session, bool nothing_committed)
{
	if (session->in_transaction)
		shed_leave(&session->lake->shed);
	if (session->alone)
		duck_execf(session->connection, NULL, "SET SESSION ducklake_max_retry_count = %d", COMMIT_TRIES);
	session->in_transaction = session->alone = false;
	session->inserts = false;
	publish_end(session, nothing_committed);
	duck_take_turns(session->connection, makes_tables(session->lake));
	lake_give_turn(session);
}

int lake_begin(struct lake_session *session, struct error *err)
{
	if (fault_error(FAULT_BEGIN_BEFORE, err))
		return -1;
	object_store_renew(session->lake->catalog, session->lake->catalog->data_path, &session->lake->keys,
	                   session->connection);
	if (lake_take_turn(session, err))
		return -1;
	shed_enter(&session->lake->shed);
	session->in_transaction = true;
	session->begun_ms = clock_wall_ms();
	if (duck_exec(session->connection, "BEGIN", NULL, err)) {
		end_transaction(session, true);
		return -1;
	}
	if (load_schema(session, err) || fault_error(FAULT_BEGIN_AFTER, err)) {
		lake_rollback(session);
		return -1;
	}
	return 0;
}

int lake_begin_alone(struct lake_session *session, struct error *err)
{
	if (lake_begin(session, err))
		return -1;
	if (!lake_has_snapshots(session->lake))
		return 0;
	session->alone = true;
	/* A snapshot has the number after the one that was read: of two with one number the second COMMIT fails, and
	 * there is no other try. */
	if (duck_exec(session->connection, "SET SESSION ducklake_max_retry_count = 0", NULL, err) == 0)
		return 0;
	lake_rollback(session);
	return -1;
}

/* Files that DuckLake would delete at a failed COMMIT, which only a server can have done all the same. Where all rows
 * were published (publish.h) there are none. */
static bool may_delete_files(const struct lake_session *session)
{
	return lake_has_many_writers(session->lake) && !session->files_closed &&
	       (session->inserts || !session->published.size);
}

enum commit_outcome lake_commit(struct lake_session *session, const char *note, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	struct pins pins;
	int failed = 0;

	buffer_init(&sql, 1 << 20);
	if (note && lake_has_snapshots(session->lake)) {
		buffer_text(&sql, "CALL lake.set_commit_message('tarn', 'ingest', extra_info => ");
		buffer_sql_text(&sql, note);
		buffer_text(&sql, ")");
		failed = duck_exec(session->connection, buffer_string(&sql), NULL, err);
	}
	if (!failed)
		failed = fault_error(FAULT_COMMIT_BEFORE, err);
	if (failed) {
		lake_rollback(session);
		return COMMIT_UNKNOWN;
	}
	pins_take(may_delete_files(session) ? session->lake->catalog->data_path : NULL, session->begun_ms, &pins);
	failed = duck_exec(session->connection, "COMMIT", NULL, err);
	pins_drop(&pins, failed && err->kind != ERROR_CONFLICT);
	if (failed && session->alone && strstr(err->message, "maximum retry count"))
		err->kind = ERROR_CONFLICT;
	if (failed) {
		duck_tell_memory(err);
		object_store_doubt(&session->lake->keys);
	}
	/* After a failed COMMIT the transaction is over as well. */
	end_transaction(session, failed && err->kind == ERROR_CONFLICT);
	if (!failed && fault_error(FAULT_COMMIT_AFTER, err))
		failed = -1;
	return failed ? COMMIT_UNKNOWN : COMMIT_DONE;
}

void lake_rollback(struct lake_session *session)
{
	object_store_doubt(&session->lake->keys);
	/* "no transaction is active" is what a transaction that failed in its COMMIT answers. */
	duck_exec(session->connection, "ROLLBACK", NULL, NULL);
	end_transaction(session, true);
}

int lake_execute_all(struct lake_session *session, const char *const *statements, size_t count, struct error *err)
{
	if (lake_begin(session, err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (duck_exec(session->connection, statements[i], NULL, err)) {
			lake_rollback(session);
			return -1;
		}
	}
	return lake_commit(session, NULL, err) == COMMIT_DONE ? 0 : -1;
}

int lake_snapshot(struct lake_session *session, int64_t *ret_snapshot, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	*ret_snapshot = 0;
	if (!lake_has_snapshots(session->lake))
		return 0;
	if (duck_query(session->connection, "SELECT id FROM lake.current_snapshot()", &rows, err))
		return -1;
	*ret_snapshot = rows.row_count ? duck_cell_int(&rows, 0, 0) : 0;
	return 0;
}

int lake_use(struct lake_session *session, int64_t at, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 65536);
	if (at < 0)
		return duck_exec(session->connection, "USE lake", NULL, err);
	if (!lake_has_snapshots(session->lake))
		return error_set(
		        err, ERROR_INVALID, 0,
		        "catalog %s has backend file, which keeps no snapshots: --at needs sqlite, postgres or duckdb",
		        session->lake->catalog->name);
	/* The whole lake as of one snapshot: attached anew at that version. */
	if (duck_exec(session->connection, "DETACH lake", NULL, err))
		return -1;
	append_attach(session->lake, &sql);
	sql.data[--sql.size] = 0;
	buffer_printf(&sql, ", SNAPSHOT_VERSION %" PRId64 ")", at);
	if (duck_exec(session->connection, buffer_string(&sql), NULL, err))
		return error_wrap(err, "snapshot %" PRId64, at);
	return duck_exec(session->connection, "USE lake", NULL, err);
}

struct duck_connection *lake_connection(struct lake_session *session)
{
	return session->connection;
}
