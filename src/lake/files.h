/*
 * files.h - tarn.files: which files a stream took, and which offsets of its lane are theirs.
 *
 * Rows are only added, in the commit that holds the offsets they tell of: one when a file's first offset is committed,
 * with next_offset NULL where its end is not, and one when its end is (for most files both are one row). Nothing is
 * changed in place, for two streams of two processes share the table, and changes conflict where appends do not.
 */
#ifndef TARN_LAKE_FILES_H
#define TARN_LAKE_FILES_H

#include <stdint.h>

#include "base/error.h"
#include "lake/lane.h"

struct lake_file {
	int64_t number; /* of the stream's files, from 1 */
	const char *name;
	int64_t size, modified_ms;
	const char *hash; /* SHA-256, hex */
	int64_t first_offset;
	int64_t next_offset; /* behind its end; -1: it is not committed to its end */
};

/* Makes the table where absent, in a transaction of its own. */
int files_create(struct lake_session *session, struct error *err);
/* In the transaction that advances the lane. */
int files_append(struct lake_session *session, const struct lane_key *key, const struct lake_file *files, int count,
                 struct error *err);
/* The stream's files in order of number, each once; texts are borrowed for the call. No table: no files. */
int files_read(struct lake_session *session, const struct lane_key *key,
               void (*each)(void *context, const struct lake_file *file), void *context, struct error *err);

#endif
