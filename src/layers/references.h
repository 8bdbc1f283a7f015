/* references.h - the tables that a SELECT reads. Private to layers/. */
#ifndef TARN_LAYERS_REFERENCES_H
#define TARN_LAYERS_REFERENCES_H

#include "layers/model.h"

/* Tarn's own tables of the layers; those in schema tarn are small and stand in the catalog (lake/ledger.c). */
#define PARTIALS_SCHEMA "tarn_layers"

/* sql: the text that the tree was parsed from. The array and what is in it are the caller's, also after a failure. */
int references_find(struct tree *tree, const char *sql, struct reference **ret_references, int *ret_count,
                    struct error *err);
void references_release(struct reference *references, int count);
/* Is it a table of Tarn's own? They change within a refresh, which no feed tells yet. */
bool reference_is_own(const struct reference *reference);

#endif
