/*
 * cut.h - one file as messages, in order: lines (lines.c), or what stream/ brings for formats that wire/ does not know.
 *
 * Invariants:
 *  1. The same bytes give the same messages, whoever cuts them and whenever: a message's number in its file is its
 *     identity, which the lake's offsets stand on.
 *  2. Where the rest of a file cannot be cut, the rest is one last message with `broken` and its first bytes. A line
 *     that is too long is such a message alone.
 *
 * Life cycle: cutting->open -> next... -> close. The file's descriptor is borrowed. Messages may outlive it.
 */
#ifndef TARN_WIRE_CUT_H
#define TARN_WIRE_CUT_H

#include "wire/source.h"

#define CUT_BROKEN_MAX ((size_t)4 << 20) /* bytes of a broken rest that are kept */

struct cut {
	const struct cut_ops *ops;
	int64_t at; /* bytes of the file that were cut so far, about: for progress */
};

struct cut_ops {
	/* 1: *ret has payload, size, place, release and maybe broken (with skip: the message was passed over, and *ret
	 * is empty); 0: the end; -1: *err, and the same again may work. */
	int (*next)(struct cut *cut, bool skip, struct message *ret, struct error *err);
	void (*close)(struct cut *cut);
};

/* A file on this machine. */
struct cut_file {
	int fd;
	int64_t size;
	const char *path;
};

struct cutting {
	void *context;
	/* "line", "batch": what a message's place counts. */
	const char *unit;
	/* Has its writer ended it? False with why: not yet, or it never will. NULL: every settled file is whole. */
	bool (*is_whole)(void *context, const struct cut_file *file, char *why, size_t size);
	/* NULL with *err: TRANSIENT where another try may work. */
	struct cut *(*open)(void *context, const struct cut_file *file, struct error *err);
};

/* Reads exactly `size` bytes at `at`. TRANSIENT where they cannot be read; INVALID where they are no longer there. */
int cut_read(const struct cut_file *file, int64_t at, void *to, size_t size, struct error *err);
/* The file's bytes from `at`, at most CUT_BROKEN_MAX, as a message that cannot be read, with the reason. */
int cut_broken(const struct cut_file *file, int64_t at, int64_t place, const char *reason, struct message *ret,
               struct error *err);
/* A message of `size` bytes, which it takes over (*data becomes NULL) and frees when it is released. */
int cut_message(uint8_t **data, size_t size, int64_t place, struct message *ret, struct error *err);

/* A line each, without what ends it. Empty lines are no messages. Whole is a file whose last line has its newline, or
 * is a JSON value to its end. */
extern const struct cutting cutting_lines;

#endif
