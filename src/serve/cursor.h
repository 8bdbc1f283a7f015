/*
 * cursor.h - where a page ends: what a client sends back to get the next one.
 *
 * It names the snapshot, so that all pages are of one; the last row's key; and a mark of the endpoint and the values of
 * its parameters, without which one request's cursor would be taken for another's. It is no secret and no right: it
 * says what row to go on behind, and whoever makes one up gets what the endpoint's SELECT has behind that row.
 */
#ifndef TARN_SERVE_CURSOR_H
#define TARN_SERVE_CURSOR_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define CURSOR_BYTES_MAX 8192

struct cursor {
	int64_t snapshot;
	char *key; /* a JSON list of texts and nulls; owned */
};

/* mark: a text of whom it is for. key: a JSON list. */
void cursor_write(struct buffer *out, int64_t snapshot, const char *key, const char *mark);
/* INVALID: it is not one that cursor_write wrote with this mark and a key of so many values. */
int cursor_read(const char *text, const char *mark, int key_count, struct cursor *ret_cursor, struct error *err);
void cursor_release(struct cursor *cursor);

#endif
