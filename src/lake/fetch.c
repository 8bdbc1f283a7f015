#include "lake/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/owned.h"
#include "batch/arrow_abi.h"
#include "lake/duck_file.h"
#include "lake/extension.h"
#include "lake/lake_private.h"
#include "lake/object_store.h"
#include "lake/query.h"

#define MEMORY_MIN ((int64_t)256 << 20)
#define MESSAGE_MAX ((size_t)1 << 30)
#define COPY_BYTES ((size_t)8 << 20) /* a request each: smaller ones would wait for the store more than for bytes */

/* One object at a time, through one buffer. */
struct copying {
	struct duck_file *from; /* NULL: nothing is being copied */
	char *path; /* owned */
	int fd; /* -1: none */
	uint8_t *piece;
	int64_t size, at; /* of the object */
};

struct fetch {
	struct fetch_options options;
	struct spill spill;
	struct duck *duck; /* NULL: not opened, or it broke */
	struct duck_connection *connection; /* to object stores; NULL: none was needed */
	struct object_store_keys keys;
	struct copying copy;
	int copies;
};

struct fetch_rows {
	struct fetch *fetch;
	struct duck_connection *connection;
	char *path;
	struct query *query;
	struct duck_stream *stream; /* NULL: the file is to be opened, from its beginning */
	int64_t given; /* messages */
	int64_t made; /* since the file was opened: those that were given before are passed over */
	bool over;
	bool broke; /* DuckDB itself: nothing more can be asked of it */
};

struct fetch *fetch_new(const struct fetch_options *options, struct error *err)
{
	struct fetch *fetch = calloc(1, sizeof *fetch);

	if (!fetch) {
		error_no_memory(err);
		return NULL;
	}
	fetch->options = *options;
	fetch->copy.fd = -1;
	return fetch;
}

static void close_duck(struct fetch *fetch)
{
	duck_disconnect(TAKE(fetch->connection));
	duck_close(TAKE(fetch->duck));
}

void fetch_free(struct fetch *fetch)
{
	if (!fetch)
		return;
	fetch_drop(fetch);
	close_duck(fetch);
	spill_close(&fetch->spill);
	free(fetch);
}

static int open_duck(struct fetch *fetch, struct error *err)
{
	int64_t bytes = fetch->options.memory_bytes > MEMORY_MIN ? fetch->options.memory_bytes : MEMORY_MIN;
	char memory[32];
	struct duck_setting settings[] = {
	        EXTENSION_SETTINGS,       {"threads", "1"},       {"preserve_insertion_order", "true"},
	        {"memory_limit", memory}, {"temp_directory", ""},
	};

	if (fetch->duck)
		return 0;
	if (!fetch->spill.path)
		spill_open(&fetch->spill);
	settings[COUNT_OF(settings) - 1].value = fetch->spill.path;
	snprintf(memory, sizeof memory, "%" PRId64 "B", bytes);
	fetch->duck = duck_open(NULL, settings, (int)COUNT_OF(settings), err);
	return fetch->duck ? 0 : -1;
}

/* ---- object stores */

static int connect_to_stores(struct fetch *fetch, struct error *err)
{
	struct duck_connection *connection;

	if (fetch->connection) {
		object_store_renew(fetch->options.catalog, NULL, &fetch->keys, fetch->connection);
		return 0;
	}
	if (open_duck(fetch, err))
		return -1;
	connection = duck_connect(fetch->duck, err);
	if (!connection)
		return -1;
	if (lake_load_extension(connection, "httpfs", err) ||
	    object_store_open(fetch->options.catalog, NULL, connection, err) || lake_extensions_end(connection, err)) {
		duck_disconnect(connection);
		return -1;
	}
	fetch->connection = connection;
	return 0;
}

int fetch_list(struct fetch *fetch, const char *pattern,
               void (*found)(void *context, const char *name, int64_t size, int64_t modified_ms), void *context,
               struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (connect_to_stores(fetch, err))
		return -1;
	buffer_init(&sql, 1 << 16);
	/* Without the column `content` no object is read. */
	buffer_text(&sql, "SELECT filename, size, epoch_ms(last_modified) FROM read_blob(");
	buffer_sql_text(&sql, pattern);
	buffer_text(&sql, ") ORDER BY 1");
	if (duck_query(fetch->connection, buffer_string(&sql), &rows, err)) {
		/* DuckDB's word for a pattern that nothing matches. */
		if (!strstr(err->message, "No files found")) {
			object_store_doubt(&fetch->keys);
			return -1;
		}
		*err = (struct error){0};
		return 0;
	}
	for (int64_t i = 0; i < rows.row_count; i++)
		found(context, duck_cell(&rows, i, 0), duck_cell_int(&rows, i, 1), duck_cell_int(&rows, i, 2));
	return 0;
}

/* ---- copies */

void fetch_drop(struct fetch *fetch)
{
	struct copying *copy = &fetch->copy;

	duck_file_close(TAKE(copy->from));
	if (copy->fd >= 0)
		close(copy->fd);
	if (copy->path)
		unlink(copy->path);
	free(TAKE(copy->path));
	free(TAKE(copy->piece));
	copy->fd = -1;
}

/* Said before anything is fetched; what others take meanwhile ends the copy later. */
static int check_room(const struct fetch *fetch, struct error *err)
{
	struct statvfs disk;
	int64_t size = fetch->copy.size, room;

	if (statvfs(fetch->spill.path, &disk))
		return 0; /* writing will tell */
	room = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
	if (size <= room)
		return 0;
	return error_set(err, ERROR_TRANSIENT, ENOSPC,
	                 "it has %" PRId64 " bytes, and where it is copied to (%s) there is room for %" PRId64
	                 ": make room, or set TMPDIR to a folder that has more",
	                 size, fetch->spill.path, room);
}

static int cannot_write(const struct fetch *fetch, struct error *err)
{
	return error_set(err, ERROR_TRANSIENT, errno,
	                 "its copy cannot be written to %s: %s: make room, or set TMPDIR to a folder that has more",
	                 fetch->spill.path, strerror(errno));
}

static int write_piece(const struct fetch *fetch, size_t size, struct error *err)
{
	const struct copying *copy = &fetch->copy;

	for (size_t done = 0; done < size;) {
		ssize_t put = write(copy->fd, copy->piece + done, size - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return cannot_write(fetch, err);
		done += (size_t)put;
	}
	return 0;
}

static int begin_copy(struct fetch *fetch, const char *name, struct error *err)
{
	struct copying *copy = &fetch->copy;

	if (connect_to_stores(fetch, err))
		return -1;
	if (!*fetch->spill.path)
		return error_set(err, ERROR_INVALID, 0, "it cannot be copied here: set TMPDIR to a folder with room");
	copy->at = 0;
	copy->piece = malloc(COPY_BYTES);
	if (!copy->piece || asprintf(&copy->path, "%s/object-%d", fetch->spill.path, fetch->copies++) < 0) {
		copy->path = NULL;
		return error_no_memory(err);
	}
	copy->from = duck_file_open(fetch->connection, name, &copy->size, err);
	if (!copy->from) {
		object_store_doubt(&fetch->keys);
		return -1;
	}
	if (check_room(fetch, err))
		return -1;
	copy->fd = open(copy->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (copy->fd < 0)
		return error_set(err, ERROR_TRANSIENT, errno, "%s cannot be made: %s", copy->path, strerror(errno));
	return 0;
}

/* 1: all of it was copied. */
static int copy_piece(struct fetch *fetch, struct error *err)
{
	struct copying *copy = &fetch->copy;
	int64_t left = copy->size - copy->at;
	size_t size = left > (int64_t)COPY_BYTES ? COPY_BYTES : (size_t)left;
	int fd;

	if (duck_file_read(copy->from, copy->piece, size, err)) {
		object_store_doubt(&fetch->keys);
		return -1;
	}
	if (write_piece(fetch, size, err))
		return -1;
	copy->at += (int64_t)size;
	if (copy->at < copy->size)
		return 0;
	fd = copy->fd;
	copy->fd = -1;
	return close(fd) ? cannot_write(fetch, err) : 1;
}

int fetch_copy(struct fetch *fetch, const char *name, char **ret_path, struct error *err)
{
	int done = fetch->copy.from || begin_copy(fetch, name, err) == 0 ? copy_piece(fetch, err) : -1;

	if (done > 0)
		*ret_path = TAKE(fetch->copy.path);
	if (done)
		fetch_drop(fetch);
	return done < 0 ? error_wrap(err, "fetching %s", name) : done;
}

/* ---- Parquet */

static void rows_stop(struct fetch_rows *rows)
{
	duck_stream_close(TAKE(rows->stream));
	query_close(TAKE(rows->query));
}

/* DuckDB's reasons name the path it was given, which tells nobody anything. */
static int rows_failed(struct fetch_rows *rows, struct error *err)
{
	duck_tell_memory(err);
	if (err->kind == ERROR_MEMORY) {
		err->kind = ERROR_INVALID;
		return error_wrap(err, "a row group does not fit in memory: raise spec.memory");
	}
	if (duck_is_about_system(err)) {
		rows_stop(rows); /* no query goes on behind its error: the file is opened again */
		err->kind = ERROR_TRANSIENT;
		return -1;
	}
	rows->broke = err->kind == ERROR_FATAL;
	rows->over = true;
	err->kind = ERROR_CORRUPT;
	return -1;
}

static int rows_start(struct fetch_rows *rows, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 1 << 16);
	buffer_text(&sql, "SELECT * FROM read_parquet(");
	buffer_sql_text(&sql, rows->path);
	buffer_text(&sql, ", hive_partitioning = false)");
	rows->made = 0;
	rows->query = query_open(rows->connection, buffer_string(&sql), err);
	if (rows->query)
		rows->stream = query_arrow(rows->query, err);
	return rows->stream ? 0 : rows_failed(rows, err);
}

struct fetch_rows *fetch_rows_open(struct fetch *fetch, const char *path, struct error *err)
{
	struct fetch_rows *rows = calloc(1, sizeof *rows);
	char *copy = rows ? strdup(path) : NULL;

	if (!copy) {
		free(rows);
		error_no_memory(err);
		return NULL;
	}
	rows->fetch = fetch;
	rows->path = copy;
	if (open_duck(fetch, err) == 0 && (rows->connection = duck_connect(fetch->duck, err)) &&
	    rows_start(rows, err) == 0)
		return rows;
	fetch_rows_close(rows);
	return NULL;
}

static int append(void *context, const void *bytes, size_t size)
{
	struct buffer *out = context;

	buffer_append(out, bytes, size);
	return buffer_ok(out) ? 0 : -1;
}

/* Arrays until there are enough. 1: some; 0: none are left; -1: *err. */
static int write_rows(struct fetch_rows *rows, struct ipc_writer *writer, const struct buffer *out, struct error *err)
{
	int64_t count = 0;

	while (count < FETCH_ROWS && out->size < FETCH_BYTES) {
		struct ArrowArray array;
		int got = duck_stream_next(rows->stream, &array, err), failed;

		if (got < 0)
			return rows_failed(rows, err);
		if (got == 0) {
			rows->over = true; /* a stream that ended must not be asked again */
			return count > 0;
		}
		count += array.length;
		failed = ipc_writer_write(writer, &array, err);
		array.release(&array);
		if (failed)
			return -1;
	}
	return 1;
}

static int make_message(struct fetch_rows *rows, uint8_t **ret_data, size_t *ret_size, struct error *err)
{
	OWNED_BUFFER struct buffer out = {0};
	struct ipc_writer *writer;
	int got;

	if (rows->over)
		return 0;
	buffer_init(&out, MESSAGE_MAX);
	writer = ipc_writer_new(duck_stream_schema(rows->stream), append, &out, err);
	if (!writer)
		return -1;
	got = write_rows(rows, writer, &out, err);
	if (got <= 0) {
		ipc_writer_free(writer);
		return got;
	}
	if (ipc_writer_finish(writer, err))
		return -1;
	rows->made++;
	*ret_size = out.size;
	*ret_data = (uint8_t *)TAKE(out.data);
	return 1;
}

int fetch_rows_next(struct fetch_rows *rows, uint8_t **ret_data, size_t *ret_size, struct error *err)
{
	int got;

	*ret_data = NULL;
	*ret_size = 0;
	if (!rows->over && !rows->stream && rows_start(rows, err))
		return -1;
	do {
		free(TAKE(*ret_data));
		got = make_message(rows, ret_data, ret_size, err);
	} while (got > 0 && rows->made <= rows->given);
	rows->given += got > 0;
	return got;
}

void fetch_rows_close(struct fetch_rows *rows)
{
	if (!rows)
		return;
	rows_stop(rows);
	duck_disconnect(rows->connection);
	if (rows->broke)
		close_duck(rows->fetch);
	free(rows->path);
	free(rows);
}
