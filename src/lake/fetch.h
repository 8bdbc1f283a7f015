/*
 * fetch.h - what the source of files needs DuckDB for: objects in stores (listed, copied here), and Parquet files as
 * Arrow messages. An in-memory DuckDB of its own with one thread, apart from the lake's: its order is the file's, and
 * what it holds does not count against the writers' memory.
 *
 * Invariants:
 *  1. The same Parquet file gives the same messages: rows in the file's order, FETCH_ROWS or FETCH_BYTES of them each.
 *  2. Nothing is opened before it is needed.
 *  3. A copy is given when it has as many bytes as the object, all of one version of it. While one is made nothing is
 *     listed.
 *
 * Life cycle: fetch_new -> (fetch_list | fetch_copy... | fetch_rows_open -> fetch_rows_next... -> fetch_rows_close)...
 * -> fetch_free. One thread.
 */
#ifndef TARN_LAKE_FETCH_H
#define TARN_LAKE_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "spec/spec.h"

#define FETCH_ROWS 16384
#define FETCH_BYTES ((size_t)4 << 20)

struct duck_connection;
struct fetch;
struct fetch_rows;

struct fetch_options {
	int64_t memory_bytes;
	const struct spec_catalog *catalog; /* whose object store's keys are used; borrowed until fetch_free */
};

struct fetch *fetch_new(const struct fetch_options *options, struct error *err);
void fetch_free(struct fetch *fetch);

/* What matches, in order of name; texts are borrowed for the call. Errors: TRANSIENT, or as DuckDB gives them. */
int fetch_list(struct fetch *fetch, const char *pattern,
               void (*found)(void *context, const char *name, int64_t size, int64_t modified_ms), void *context,
               struct error *err);
/* The next piece of its copy in the spill folder, a few MiB at a time in memory. 1: it is whole, and *ret_path the
 * caller's to free, the file to remove; 0: more is to come, by the same call; -1: *err, and nothing is left of it.
 * TRANSIENT where there is no room for it, too. */
int fetch_copy(struct fetch *fetch, const char *name, char **ret_path, struct error *err);
/* Lets go of a copy that is not whole. */
void fetch_drop(struct fetch *fetch);

/* A Parquet file by its path on this machine. Errors of these: CORRUPT where the file is not right; INVALID where it
 * does not fit in memory; TRANSIENT where the system did not open or read it, which says nothing about the file. */
struct fetch_rows *fetch_rows_open(struct fetch *fetch, const char *path, struct error *err);
/* 1: an Arrow IPC stream of the next rows, the caller's to free; 0: the end; -1: *err. After TRANSIENT the next call
 * tries the same again. */
int fetch_rows_next(struct fetch_rows *rows, uint8_t **ret_data, size_t *ret_size, struct error *err);
void fetch_rows_close(struct fetch_rows *rows);

#endif
