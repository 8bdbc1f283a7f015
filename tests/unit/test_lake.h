/* test_lake.h - a lake in a folder of its own, for the tests of lake/: a writer and two sessions of it. */
#ifndef TARN_TESTS_TEST_LAKE_H
#define TARN_TESTS_TEST_LAKE_H

#include <stdio.h>
#include <stdlib.h>

#include "base/folder.h"
#include "lake/lake.h"

struct lake_place {
	char folder[64], catalog_path[96], data[96];
	struct spec_catalog catalog;
	struct lake *lake;
	struct lake_session *session, *other;
	struct error err;
};

/* memory_bytes 0: DuckDB's default. False: why is said. lake_place_close in any case. */
static inline bool lake_place_open(struct lake_place *place, enum backend_type backend, int64_t memory_bytes)
{
	struct lake_options options = {.writer = true, .threads = 1, .memory_bytes = memory_bytes};

	*place = (struct lake_place){.folder = "/tmp/tarn-lake.XXXXXX"};
	if (!mkdtemp(place->folder))
		return false;
	snprintf(place->catalog_path, sizeof place->catalog_path, "%s/catalog", place->folder);
	snprintf(place->data, sizeof place->data, "%s/data/", place->folder);
	place->catalog = (struct spec_catalog){
	        .name = (char[]){"main"},
	        .backend = {.type = backend, .path = place->catalog_path},
	        .data_path = backend == BACKEND_FILE ? NULL : place->data,
	};
	place->lake = lake_open(&place->catalog, &options, &place->err);
	place->session = place->lake ? lake_session_new(place->lake, &place->err) : NULL;
	place->other = place->session ? lake_session_new(place->lake, &place->err) : NULL;
	if (!place->other)
		printf("# %s\n", place->err.message);
	return place->other != NULL;
}

static inline void lake_place_close(struct lake_place *place)
{
	struct error ignored;

	lake_session_free(place->other);
	lake_session_free(place->session);
	lake_close(place->lake);
	folder_remove(place->folder, &ignored);
}

#endif
