/*
 * worker_places.h - the files, folders and servers that a worker needs, for its sandbox.
 */
#ifndef TARN_POOL_WORKER_PLACES_H
#define TARN_POOL_WORKER_PLACES_H

#include "pool/sandbox.h"
#include "spec/spec.h"

struct worker_places {
	struct sandbox sandbox; /* its texts are borrowed of the catalog and of `texts` */
	char texts[SANDBOX_PATHS_MAX][4096];
	int text_count;
	bool too_many, too_long; /* a place was left out */
};

/* All of them, each once. INVALID: they do not fit, and a worker without one of them would fail later. */
int worker_places(const struct manifest *manifest, const struct spec_catalog *catalog, const struct spec_pool *pool,
                  struct worker_places *ret_places, struct error *err);

#endif
