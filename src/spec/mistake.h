/*
 * mistake.h - one manifest being read, and how a mistake in it is told.
 *
 * A mistake reads "FILE:LINE:COLUMN: FIELD: what is wrong; what would be right". Text from the manifest passes
 * quote_text on its way into a message, so that it can neither flood it nor steer a terminal.
 */
#ifndef TARN_SPEC_MISTAKE_H
#define TARN_SPEC_MISTAKE_H

#include "base/error.h"

/* What every step of reading a manifest knows. Borrowed for the call. */
struct reading {
	const char *file; /* the name in errors */
	const char *folder; /* absolute; NULL: the text is a stranger's, neither files nor the environment are read */
	struct error *err;
};

#define QUOTED_SIZE 84

/* Returns -1. */
int mistake(const struct reading *reading, int line, int column, const char *field, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

/* At most 60 bytes of text in single quotes, whole characters, none that steers a terminal. Returns `quoted`. */
const char *quote_text(char quoted[QUOTED_SIZE], const char *text);

#endif
