/*
 * check.h - what takes more than one document: unique names, references, and things that must not be shared.
 */
#ifndef TARN_SPEC_CHECK_H
#define TARN_SPEC_CHECK_H

#include "spec/document.h"

/* Resolves catalogs, splits SCHEMA.TABLE and finds the first mistake between the documents (all of the manifest's). */
int check_manifest(const struct reading *reading, struct manifest *manifest, const struct document *documents,
                   int count);

#endif
