/* volatile.h - does what a SELECT gives depend on more than the tables, the values and the files it names? */
#ifndef TARN_QUERY_VOLATILE_H
#define TARN_QUERY_VOLATILE_H

#include <stdbool.h>

#include "query/tree.h"

/* It calls now(), random()... (volatile.def), or takes a sample. The tree is as deep as the guard let it be. */
bool volatile_has(const struct node *node);
/* It calls predict(), explain() or model_hash(), whose model's file may be another one. */
bool volatile_asks_model(const struct node *node);

#endif
