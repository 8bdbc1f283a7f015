/*
 * query_write.h - the rows of a query in each form, to a place that may fail.
 *
 * Every function returns 0, or -1 where either *err is filled or output->code is: what could not be read is an error of
 * the query, what could not be written is one of the output.
 */
#ifndef TARN_CLI_QUERY_WRITE_H
#define TARN_CLI_QUERY_WRITE_H

#include "base/error.h"
#include "cli/output.h"
#include "lake/query.h"

/* A terminal shows at most so many rows of a table. */
#define QUERY_TABLE_ROWS 10000

int query_write_table(struct query *query, struct output_file *output, struct error *err);
int query_write_csv(struct query *query, struct output_file *output, struct error *err);
int query_write_json(struct query *query, struct output_file *output, struct error *err);
int query_write_arrow(struct query *query, struct output_file *output, struct error *err);
int query_write_parquet(struct query *query, struct output_file *output, struct error *err);

#endif
