/*
 * rows.h - the rows of a SELECT as what a model is trained and evaluated on: a matrix of features and a label each.
 *
 * Features are all columns but the key, the label and the column that splits: numbers, booleans (0 and 1), dates and
 * timestamps (seconds since 1970), each as float32. NULL, NaN and what float32 cannot hold are missing.
 *
 * Invariants:
 *  1. The same rows give the same matrix, whatever order they come in: they are sorted by their key, which no two of
 *     them share.
 *  2. What is held is bounded by `memory_bytes`, together with what XGBoost makes of it to train; DuckDB's own memory
 *     is bounded by the lake's.
 *
 * Life cycle: rows_read -> rows_split -> rows_release. One thread.
 */
#ifndef TARN_SCORE_ROWS_H
#define TARN_SCORE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/owned.h"
#include "lake/duck_vector.h"

struct duck_connection;

struct rows_request {
	const char *sql; /* one SELECT */
	const char *const *key;
	int key_count;
	const char *label; /* a column of 0 and 1, or false and true; rows where it is NULL are left out */
	const char *split_by; /* NULL: rows are drawn by their key */
	uint64_t seed; /* of the draw */
	const char *const *features; /* these columns in this order; NULL: all that are features */
	int feature_count;
	int64_t memory_bytes;
};

struct rows {
	float *values; /* row after row; owned, as all here */
	float *labels;
	double *places; /* what a row is split by: its draw, from 0 to 1, or the rank of its value of split_by */
	int64_t count, unlabelled;
	char **features;
	enum duck_class *classes; /* of features */
	int feature_count;
	bool ranked; /* places are ranks */
};

/*
 * Errors: INVALID - the SELECT, or what it gives, is not as it should be: a column is missing or of a type that is no
 * number, a label neither 0 nor 1, a key NULL or twice there, too many rows for the memory; each says which and what
 * would be right. Others as DuckDB gives them.
 */
int rows_read(struct duck_connection *connection, const struct rows_request *request, struct rows *ret_rows,
              struct error *err);
void rows_release(struct rows *rows);

/*
 * Orders the rows anew so that those that train come first: ret_train of them. The others evaluate: about `share` of
 * all, those of the least draws or of the greatest ranks, where rows of one rank stay together. INVALID where either
 * would have none.
 */
int rows_split(struct rows *rows, double share, int64_t *ret_train, struct error *err);

/* The draw of a key, from 0 to 1: the same on every machine and in every version (FNV-1a of 64 bits, then splitmix64's
 * last steps). */
double rows_draw(const void *key, size_t size, uint64_t seed);

#define OWNED_ROWS OWNED_BY(rows_release)

#endif
