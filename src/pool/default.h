/*
 * default.h - the pool of a catalog that no DuckLakePool names: the same for the server and its workers.
 */
#ifndef TARN_POOL_DEFAULT_H
#define TARN_POOL_DEFAULT_H

#include "spec/spec.h"

/* The first DuckLakePool of the catalog; NULL: there is none. */
const struct spec_pool *pool_find(const struct manifest *manifest, const struct spec_catalog *catalog);
/* What pool_default gives is borrowed from the catalog and from constants: nothing is to be released. */
struct spec_pool pool_default(const struct spec_catalog *catalog);

#endif
