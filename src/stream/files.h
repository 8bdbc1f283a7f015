/*
 * files.h - what a stream of files needs beyond one of a topic: its source, the register in the lake, who may read.
 *
 * Two processes that run the same stream of files (postgres) have no group that divides them: the one that claimed the
 * lane last reads, and the other finds out by CONFLICT when it commits. It then stands by, and claims the lane only
 * when the lake's offset has not moved for STAND_BY_MS (or it was asked to finish): the lane does not go back and
 * forth.
 */
#ifndef TARN_STREAM_FILES_H
#define TARN_STREAM_FILES_H

#include "spec/spec.h"
#include "stream/stream_private.h"

#define FILES_TOPIC_SIZE 80

static inline bool spec_reads_files(const struct spec_stream *spec)
{
	return spec->source.files != NULL;
}

/* What stands for a topic in the ledger and the lanes: no topic of Kafka's is called so. */
void files_topic(const struct spec_stream *spec, char topic[FILES_TOPIC_SIZE]);
struct fetch;
struct files_remote;
/* What reaches object stores and reads Parquet; opened when it is needed. */
struct fetch *files_fetch(const struct spec_stream *spec, struct error *err);
void files_reach(struct fetch *fetch, struct files_remote *ret_remote);
/* stream->source, with what it needs in stream->files. */
int files_open(struct stream *stream, struct error *err);
void files_free(struct stream *stream);
/* In the commit's transaction, of a stream of files: the files of its offsets, by the commit's ledger rows (there is
 * one lane: at most one). ret: how many of the files end there, and their bytes. */
int files_register(struct stream *stream, const struct ledger_row *rows, int count, int64_t *ret_files,
                   int64_t *ret_bytes, struct error *err);
/* Is it time to claim a lane again that another process owns? */
bool files_may_claim(struct stream *stream, const struct lane *lane);

#endif
