/*
 * cursor.h - where a page ends: what a client sends back to get the next one.
 *
 * It names the snapshot, so that all pages are of one, and which lake had it, for one that was made anew has the same
 * numbers; the last row's key; and a mark of the endpoint and the values of its parameters, without which one
 * request's cursor would be taken for another's. It is no secret and no right: it
 * says what row to go on behind, and whoever makes one up gets what the endpoint's SELECT has behind that row.
 */
#ifndef TARN_SERVE_CURSOR_H
#define TARN_SERVE_CURSOR_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "lake/version.h"

#define CURSOR_BYTES_MAX 8192

/* Of a snapshot; each is "" where it cannot be told. */
struct cursor_origin {
	char lake[VERSION_LAKE_SIZE]; /* version_lake */
	char time[VERSION_TIME_SIZE]; /* version_time */
};

struct cursor {
	int64_t snapshot;
	struct cursor_origin origin;
	char *key; /* a JSON list of texts and nulls; owned */
};

/* mark: a text of whom it is for. key: a JSON list. */
void cursor_write(struct buffer *out, int64_t snapshot, const struct cursor_origin *origin, const char *key,
                  const char *mark);
/* INVALID: it is not one that cursor_write wrote with this mark and a key of so many values. */
int cursor_read(const char *text, const char *mark, int key_count, struct cursor *ret_cursor, struct error *err);
void cursor_release(struct cursor *cursor);
/* Is it known that the one is of another lake than the other? */
bool cursor_origins_differ(const struct cursor_origin *one, const struct cursor_origin *other);

#endif
