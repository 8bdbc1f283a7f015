/*
 * batch.h - columns: validated Arrow arrays that still lie in the message they came in.
 *
 * Invariants:
 *  1. Nothing leaves batch/ unvalidated: offsets rise, lengths are inside their buffers, text is UTF-8, dictionary
 *     indices are inside their dictionaries. DuckDB reads the pointers without a further check.
 *  2. The message's bytes live until the last array made from it is released, and no longer (DESIGN invariant 6).
 *  3. A message is decoded whole before any of it is handed on: a message is accepted or refused, never half.
 *  4. Every array's offset is 0, its null_count is exact, and no dictionary leaves (convert.c: what leaves as what).
 *
 * Life cycle: batch_decoder_new (one per reading thread) -> ipc_decode per message -> batch_set, whose arrays are moved
 * out one by one (or dropped by batch_set_release).
 */
#ifndef TARN_BATCH_BATCH_H
#define TARN_BATCH_BATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The Arrow C data interface (https://arrow.apache.org/docs/format/CDataInterface.html), defined in batch/arrow_abi.h.
 */
struct ArrowSchema;
struct ArrowArray;

/* The most rows of one array handed to DuckDB: its STANDARD_VECTOR_SIZE. */
#define BATCH_ROWS_MAX 2048

/* A schema that many messages share; counted references, freed with the last. */
struct batch_schema {
	atomic_int references;
	struct ArrowSchema *arrow; /* struct of the columns; owned */
	char fingerprint[33]; /* 128-bit hash of names, types, nullability and metadata that matter, as hex */
	int column_count;
};

struct batch_schema *batch_schema_retain(struct batch_schema *schema);
void batch_schema_release(struct batch_schema *schema);

/* An array of that schema with no rows; the caller releases it. */
int batch_schema_empty_array(const struct batch_schema *schema, struct ArrowArray *ret_array, struct error *err);

/* The bytes of one message and what lets go of them. release may run on any thread; it runs exactly once. */
struct batch_bytes {
	const uint8_t *data;
	size_t size;
	void (*release)(void *opaque);
	void *opaque;
};

/* What decoding one message cost; added to, never reset. Bytes. */
struct batch_counters {
	_Atomic int64_t copied; /* what convert.c makes, a new schema, and buffers that the machine needs aligned */
	_Atomic int64_t decompressed;
	_Atomic int64_t payload;
};

/* All record batches of one message, cut to arrays of at most BATCH_ROWS_MAX rows, in order. */
struct batch_set {
	struct batch_schema *schema; /* owned; NULL: the message held no schema */
	struct ArrowArray *arrays; /* owned; each element's release is NULL once moved out */
	int count;
	int64_t rows;
	int64_t made; /* bytes of values that lie outside of the message: decompressed or converted */
	int64_t heads; /* bytes of the arrays themselves */
};

void batch_set_release(struct batch_set *set);

struct batch_decoder;
struct batch_decoder *batch_decoder_new(struct batch_counters *counters, struct error *err);
/* What one message may make the process allocate for its values and their arrays; IPC_MADE_MAX at first, and at most.
 */
#define IPC_MADE_MAX ((int64_t)512 << 20)
void batch_decoder_bound(struct batch_decoder *decoder, int64_t made_max);
void batch_decoder_free(struct batch_decoder *decoder);

/*
 * Decodes one message: an Arrow IPC stream (schema, dictionaries, record batches, end of stream), in place.
 * Takes `bytes` in every case: on success they live until the last array is released; on failure bytes.release was not
 * called and the caller keeps them (the message goes to quarantine with its raw bytes).
 * Errors: CORRUPT (what is wrong, and at which byte offset of the message), FATAL (memory).
 * Source: Arrow columnar format, "Serialization and Interprocess Communication (IPC)", streaming format.
 */
int ipc_decode(struct batch_decoder *decoder, struct batch_bytes bytes, struct batch_set *ret_set, struct error *err);

/* The hex fingerprint of the schema of the last message that this decoder saw, "" where it had none; for quarantine. */
const char *batch_decoder_fingerprint(const struct batch_decoder *decoder);

/* Writes an IPC stream: schema first, then arrays, then end. Output goes to `write` (returns 0 or -1). */
struct ipc_writer;
struct ipc_writer *ipc_writer_new(const struct ArrowSchema *schema,
                                  int (*write)(void *context, const void *bytes, size_t size), void *context,
                                  struct error *err);
/* Borrows the array (a struct array of the columns). */
int ipc_writer_write(struct ipc_writer *writer, const struct ArrowArray *array, struct error *err);
/* Writes the end-of-stream marker and frees the writer. */
int ipc_writer_finish(struct ipc_writer *writer, struct error *err);
void ipc_writer_free(struct ipc_writer *writer);

#endif
