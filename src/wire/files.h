/*
 * files.h - files as a source: one lane (partition 0), whose messages are those of the files, in the order in which the
 * files were registered.
 *
 * Each file takes as many offsets as it has messages, and one more for its end: an offset without a message, so that a
 * file that holds none is accounted for as well. The register says which offsets are whose. It lives in the lake
 * (stream/ loads it, and writes it in the commits that hold the files' offsets); what is not committed yet lives here
 * alone.
 *
 * Invariants:
 *  1. A file is registered (number, name, size, hash, first offset) before the first of its messages is given.
 *  2. A name is registered once: other content under it is told of, and never read.
 *  3. What is read again - after a seek, or by the next process - has the size and the hash that were registered, or
 * the source ends with an error: an offset means the same message for good.
 *  4. A file is registered only when it has settled and its format says that it is whole; it is hashed before, and has
 * not changed meanwhile.
 *
 * Life cycle: as every source's. source_open_files -> poll (assigned -> load -> files one by one) ... -> close.
 */
#ifndef TARN_WIRE_FILES_H
#define TARN_WIRE_FILES_H

#include "base/hash.h"
#include "wire/cut.h"
#include "wire/files_list.h"
#include "wire/source.h"

struct file_entry {
	int64_t number; /* from 1 */
	const char *name; /* lives as long as the source */
	int64_t size, modified_ms;
	char hash[HASH_HEX_SIZE];
	int64_t first_offset;
	int64_t next_offset; /* behind its end; -1: it was not read to its end */
};

typedef void files_loaded(void *list, const struct file_entry *entry);

struct files_config {
	struct files_place place;
	const char *stream_name; /* for log lines and metrics */
	int64_t settle_ms, poll_ms;
	const struct cutting *cutting;
	void *context;
	/* The lake's register, in order of number. */
	int (*load)(void *context, files_loaded *add, void *list, struct error *err);
};

/* Texts and what pointers lead to are borrowed until close. */
struct source *source_open_files(const struct files_config *config, const struct source_events *events,
                                 struct error *err);

/* What a commit of the offsets [from, to) registers: the files that begin there (next_offset -1 where their end lies
 * behind `to`), and those that end there. Any thread; *ret is the caller's to free. */
int files_between(struct source *source, int64_t from, int64_t to, struct file_entry **ret, int *ret_count,
                  struct error *err);

/* Of this run, for people and metrics. Any thread. */
struct files_progress {
	int64_t files, files_read; /* seen by this run, and of those read to their ends */
	int64_t bytes, bytes_read;
	int64_t waiting; /* files that are there and not begun */
};

void files_progress(struct source *source, struct files_progress *ret);

/* The first of the files that were there when the source was frozen and could not be read: INVALID, and -1. */
int files_unread(struct source *source, struct error *err);

#endif
