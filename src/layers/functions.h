/*
 * functions.h - what DuckDB says of its functions, and what it does not say: which results depend on the order of rows.
 *
 * Life cycle: functions_load -> ask -> functions_free.
 */
#ifndef TARN_LAYERS_FUNCTIONS_H
#define TARN_LAYERS_FUNCTIONS_H

#include <stdbool.h>

#include "base/error.h"

struct duck_connection;
struct functions;
struct node;

/* The DuckDB of which functions.def tells; of any other it is asked, which takes 20 ms. */
#define FUNCTIONS_OF "v1.5.5"

struct functions *functions_load(struct duck_connection *connection, struct error *err);
void functions_free(struct functions *functions);

bool function_aggregates(const struct functions *functions, const char *name);
/* Its result is not one of its arguments alone: random(), now(). */
bool function_varies(const struct functions *functions, const char *name);
/* The same of a node of a statement's tree, and what DuckDB does not say: its macros ask the clock (ago), age() of one
 * argument and the words of SQL without brackets do; the model of predict() may be trained again. */
bool node_varies(const struct functions *functions, const struct node *node);

/* How an aggregate of a key can follow the changes of its rows. */
enum merging {
	MERGE_NONE, /* its result may depend on the order of rows */
	MERGE_AGAIN, /* computed again from the key's rows */
	MERGE_COUNT,
	MERGE_SUM,
	MERGE_AVG,
	MERGE_EXTREME, /* min, max: merges until a row is deleted */
	MERGE_BOOL, /* bool_and, bool_or */
};

enum merging function_merging(const char *name, bool distinct, bool ordered);

#endif
