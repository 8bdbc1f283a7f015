/* references.h - the tables that a SELECT reads. Private to layers/. */
#ifndef TARN_LAYERS_REFERENCES_H
#define TARN_LAYERS_REFERENCES_H

#include "layers/model.h"

/* sql: the text that the tree was parsed from. The array and what is in it are the caller's, also after a failure. */
int references_find(struct tree *tree, const char *sql, struct reference **ret_references, int *ret_count,
                    struct error *err);
void references_release(struct reference *references, int count);

#endif
