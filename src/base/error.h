/*
 * error.h - how a Tarn function says what went wrong and what to do next.
 *
 * Purpose: every fallible function returns 0 or -1 (or a pointer or NULL) and takes `struct error *` last.
 * The message is a sentence for a person: it names the thing, and what would be right. Reporting cannot fail:
 * the caller owns the space.
 *
 * Invariants:
 *  1. On success *err is untouched; on failure it is filled, once, where the failure was seen.
 *  2. Control flow reads `kind` only, never the text.
 *  3. A secret never enters a message (log_mask replaces registered secrets on the way out).
 */
#ifndef TARN_BASE_ERROR_H
#define TARN_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

enum error_kind {
	ERROR_NONE = 0,
	ERROR_INVALID, /* the user's input is wrong: say where and what would be right */
	ERROR_CORRUPT, /* foreign bytes are not what their format says */
	ERROR_CONFLICT, /* another owner was first: drop, re-read, go on */
	ERROR_TRANSIENT, /* may work when tried again */
	ERROR_MEMORY, /* does not fit in the memory it may take: less at once may work, the same again will not */
	ERROR_FATAL, /* cannot go on */
};

struct error {
	enum error_kind kind;
	int code; /* errno, a library's code, or 0: for people, never for control flow */
	char message[512];
};

/* Fills *err (which may be NULL) and returns -1, so that `return error_set(...)` reads well. */
int error_set(struct error *err, enum error_kind kind, int code, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
int error_vset(struct error *err, enum error_kind kind, int code, const char *format, va_list args)
        __attribute__((format(printf, 4, 0)));

/* Puts "PREFIX: " before the message where a name is known ("stream events"). Returns -1. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Out of memory is one sentence everywhere. Returns -1. */
int error_no_memory(struct error *err);

/* "INVALID", "CORRUPT", ... for logs. Never NULL. */
const char *error_kind_name(enum error_kind kind);

/* CONFLICT or TRANSIENT: the same may go well when it is tried again. */
bool error_may_pass(const struct error *err);

#endif
