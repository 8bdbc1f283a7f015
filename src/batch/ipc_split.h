/*
 * ipc_split.h - an Arrow IPC stream or file of any size as messages for ipc_decode: the schema, the dictionaries that
 * were told so far, and one record batch each.
 *
 * The bytes are read where they are wanted, and nothing of them is trusted: framing and footer are checked step by step
 * (flat.h), columns are ipc_decode's to check. A file (with a footer) is read by its footer, so that a batch that
 * cannot be read leaves the others as they are; in a stream nothing can be found behind it.
 *
 * Invariants:
 *  1. The same bytes give the same messages, in the same order.
 *  2. No byte is read twice but schema and dictionaries: blocks of a footer that overlap are refused.
 *  3. What is held between messages is at most IPC_SPLIT_KEPT_MAX (schema and dictionaries).
 *
 * Source: Arrow columnar format, "IPC Streaming Format" and "IPC File Format"; File.fbs and Message.fbs for the field
 * ids. Life cycle: ipc_split_open -> ipc_split_next... -> ipc_split_free.
 */
#ifndef TARN_BATCH_IPC_SPLIT_H
#define TARN_BATCH_IPC_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define IPC_SPLIT_KEPT_MAX ((int64_t)256 << 20)
#define IPC_SPLIT_BATCH_MAX ((int64_t)1 << 30)

struct ipc_input {
	void *context;
	int64_t size;
	/* Exactly `size` bytes, which lie inside. Its errors are passed on. */
	int (*read)(void *context, int64_t at, void *to, size_t size, struct error *err);
};

/* Did its writer come to the end: a footer, an end of stream, or whole messages to the last byte? What is no Arrow at
 * all is as whole as it will be. False with *why; also where it cannot be read. */
bool ipc_is_whole(const struct ipc_input *input, char *why, size_t size);

struct ipc_split;
/* What `input` points to is borrowed until ipc_split_free. Errors: CORRUPT (nothing of it can be read), FATAL (memory),
 * those of read. */
struct ipc_split *ipc_split_open(const struct ipc_input *input, struct error *err);
void ipc_split_free(struct ipc_split *split);

/*
 * 1: a message, the caller's to free (with skip: passed over, and *ret_data is NULL); 0: the end; -1: *err. After
 * CORRUPT ipc_split_bad says which bytes are lost, and the next call goes on behind them. After other errors the next
 * call tries the same again.
 */
int ipc_split_next(struct ipc_split *split, bool skip, uint8_t **ret_data, size_t *ret_size, struct error *err);
void ipc_split_bad(const struct ipc_split *split, int64_t *ret_from, int64_t *ret_to);
/* Bytes that were split so far, for progress. */
int64_t ipc_split_at(const struct ipc_split *split);

#endif
