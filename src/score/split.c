/* split.c - which rows train and which evaluate (rows.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score/rows.h"

double rows_draw(const void *key, size_t size, uint64_t seed)
{
	const unsigned char *bytes = key;
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	hash += seed * 0x9e3779b97f4a7c15u;
	hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
	hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
	hash ^= hash >> 31;
	return (double)(hash >> 11) / 9007199254740992.0;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* How many of the sorted ranks are at least `rank`. */
static int64_t from_rank(const double *sorted, int64_t count, double rank)
{
	int64_t low = 0, high = count;

	while (low < high) {
		int64_t middle = low + (high - low) / 2;

		if (sorted[middle] < rank)
			low = middle + 1;
		else
			high = middle;
	}
	return count - low;
}

/* The least rank that evaluates: of the two that the share falls between the nearer one that leaves rows to train. */
static int cut_ranks(const struct rows *rows, double share, double *ret_cut, struct error *err)
{
	OWNED_FREE double *sorted = malloc((size_t)rows->count * sizeof *sorted);
	int64_t wanted = llround((double)rows->count * share), most, fewest;
	double rank;

	if (!sorted)
		return error_no_memory(err);
	memcpy(sorted, rows->places, (size_t)rows->count * sizeof *sorted);
	qsort(sorted, (size_t)rows->count, sizeof *sorted, compare);
	wanted = wanted < 1 ? 1 : wanted;
	rank = sorted[rows->count - wanted];
	most = from_rank(sorted, rows->count, rank);
	fewest = from_rank(sorted, rows->count, rank + 0.5);
	if (most == rows->count && !fewest)
		return error_set(
		        err, ERROR_INVALID, 0,
		        "all rows have the same value of split.by: none would be left to train, or to evaluate");
	*ret_cut = most == rows->count || (fewest && wanted - fewest < most - wanted) ? rank + 0.5 : rank;
	return 0;
}

static void swap_rows(struct rows *rows, int64_t a, int64_t b)
{
	float *left = rows->values + a * rows->feature_count, *right = rows->values + b * rows->feature_count;
	float label = rows->labels[a];
	double place = rows->places[a];

	for (int i = 0; i < rows->feature_count; i++) {
		float value = left[i];

		left[i] = right[i];
		right[i] = value;
	}
	rows->labels[a] = rows->labels[b];
	rows->labels[b] = label;
	rows->places[a] = rows->places[b];
	rows->places[b] = place;
}

int rows_split(struct rows *rows, double share, int64_t *ret_train, struct error *err)
{
	double cut = share;
	int64_t train = 0, rest = rows->count;

	if (rows->ranked && cut_ranks(rows, share, &cut, err))
		return -1;
	/* Both ends walk towards each other: the same rows in the same order come out in the same order. */
	while (train < rest) {
		bool evaluates = rows->ranked ? rows->places[train] >= cut : rows->places[train] < cut;

		if (evaluates)
			swap_rows(rows, train, --rest);
		else
			train++;
	}
	if (!train || train == rows->count)
		return error_set(
		        err, ERROR_INVALID, 0,
		        "of %lld rows none is left to %s: more rows, or another spec.model.split.test, would be "
		        "right",
		        (long long)rows->count, train ? "evaluate" : "train");
	*ret_train = train;
	return 0;
}
