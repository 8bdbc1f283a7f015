/* volatile.h - does what a SELECT gives depend on more than the tables, the values and the files it names? */
#ifndef TARN_QUERY_VOLATILE_H
#define TARN_QUERY_VOLATILE_H

#include <stdbool.h>

#include "query/tree.h"

/* It calls now(), random()... (volatile.def), or takes a sample. The tree is as deep as the guard let it be. */
bool volatile_has(const struct node *node);
/* It calls predict(), explain() or model_hash(), whose model's file may be another one. */
bool volatile_asks_model(const struct node *node);

/* The same of one function's name. */
bool volatile_calls(const char *name);
bool volatile_is_of_model(const char *name);

#endif
