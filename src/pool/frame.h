/*
 * frame.h - what the server and a worker say to each other over a stream socket (a socketpair with a process of this
 * machine, TCP with a pod).
 *
 *     frame := size (u32, little endian, of the payload) type (u8) payload
 *
 *     server -> worker   FRAME_REQUEST   a request (request.h, JSON)
 *                        FRAME_CANCEL    empty: the answer is not wanted any more; the worker still ends it
 *     worker -> server   FRAME_READY     JSON {"pid", "warm_ms"}: it is warm, once
 *                        FRAME_START     no error so far: JSON {"snapshot", "content_type",
 *                                        "columns": [{"name", "type"}], "tables": ["main.t"]}
 *                        FRAME_DATA      bytes of the answer, in their form
 *                        FRAME_END       JSON {"rows", "ms", "memory"}, "more": true where there are more rows than
 *                                        first_rows (request.h), and where it failed "error" (a refusal's name,
 *                                        request.h) and "message" (one sentence; no path, key or stack in it), and
 *                                        "names": true where the sentence repeats names and words of the statement,
 *                                        and no value of a table, "page": true where it is of the page's key or
 *                                        cursor
 *                        FRAME_LAST      as FRAME_END, of a worker that cannot take another request, and ends: its
 *                                        DuckDB is broken, or what the query mapped leaves too little
 *
 * Invariants:
 *  1. A request is answered by one END (FRAME_END or FRAME_LAST), and before it by at most one START and, behind that,
 *     any number of DATA. Without START the END has an error, and nothing of the answer was said.
 *  2. A worker has one request at a time; the next one is sent after the END.
 *  3. A payload is at most FRAME_BYTES_MAX; who gets a longer size, or a type that is not known, gives the other up.
 *  4. Backpressure is the socket's: a worker whose server does not read stands still, and holds one chunk.
 */
#ifndef TARN_POOL_FRAME_H
#define TARN_POOL_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define FRAME_BYTES_MAX ((size_t)16 << 20)
#define FRAME_DATA_BYTES ((size_t)256 << 10) /* of a full DATA frame */

enum frame_type {
	FRAME_REQUEST = 'Q',
	FRAME_CANCEL = 'C',
	FRAME_READY = 'R',
	FRAME_START = 'S',
	FRAME_DATA = 'D',
	FRAME_END = 'E',
	FRAME_LAST = 'L',
};

/* Writes a whole frame, waiting as long as the other does not read. TRANSIENT: the other is gone. */
int frame_write(int fd, enum frame_type type, const void *payload, size_t size, struct error *err);
/*
 * Reads a whole frame into *payload (cleared before). 1: a frame; 0: the other closed between two frames; -1: TRANSIENT
 * (it went away within one) or CORRUPT (invariant 3).
 */
int frame_read(int fd, enum frame_type *ret_type, struct buffer *payload, struct error *err);

#endif
