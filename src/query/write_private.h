/* write_private.h - what the write*.c share. Nobody else includes it. */
#ifndef TARN_QUERY_WRITE_PRIVATE_H
#define TARN_QUERY_WRITE_PRIVATE_H

#include "query/write.h"

struct write {
	struct query *query;
	const struct write_options *options;
	const struct write_sink *sink;
	struct write_result *result;
	struct buffer out; /* a block that grows */
};

/* Puts the block once it is one, or where `all`. */
int write_drain(struct write *w, bool all, struct error *err);
/* More rows are at hand: -1 where they are too many. */
int write_count(struct write *w, int64_t rows, struct error *err);

/* The next row that is to be written, as query_next. */
int write_next(struct write *w, const struct query_cell **ret_cells, struct error *err);

int write_csv(struct write *w, struct error *err);
int write_json(struct write *w, struct error *err);
int write_ndjson(struct write *w, struct error *err);
int write_arrow(struct write *w, struct error *err);
int write_parquet(struct write *w, struct error *err);

#endif
