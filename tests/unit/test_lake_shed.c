/*
 * test_lake_shed.c - lake/shed.h: what DuckDB keeps of commits is given back, its bound of memory is as before, and no
 * transaction is disturbed.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/owned.h"
#include "check.h"
#include "lake/duck.h"
#include "lake/lake_private.h"
#include "test_lake.h"

#define COMMITS 60
#define KEPT_BYTES 16384

static int insert(struct lake_place *place)
{
	static const char *const statements[] = {"INSERT INTO lake.t SELECT i, 'x' FROM range(10) r(i)"};

	return lake_execute_all(place->session, statements, 1, &place->err);
}

static int64_t ask(struct lake_place *place, const char *sql)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (duck_query(lake_connection(place->session), sql, &rows, &place->err))
		return -1;
	return rows.row_count ? duck_cell_int(&rows, 0, 0) : -2;
}

static int64_t cached(struct lake_place *place)
{
	return ask(place,
	           "SELECT CAST(coalesce(sum(memory_usage_bytes), 0) AS BIGINT) FROM duckdb_memory() WHERE tag = "
	           "'OBJECT_CACHE'");
}

static bool limit_is(struct lake_place *place, const char *limit)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (duck_query(lake_connection(place->session), "SELECT current_setting('memory_limit')", &rows, &place->err))
		return false;
	if (strcmp(duck_cell(&rows, 0, 0), limit))
		printf("# the limit is %s\n", duck_cell(&rows, 0, 0));
	return !strcmp(duck_cell(&rows, 0, 0), limit);
}

static bool fill(struct lake_place *place)
{
	static const char *const statements[] = {"CREATE TABLE lake.t (id BIGINT, name VARCHAR)"};

	if (lake_execute_all(place->session, statements, 1, &place->err))
		return false;
	for (int i = 0; i < COMMITS; i++)
		if (insert(place))
			return false;
	return cached(place) > KEPT_BYTES;
}

static void gives_back(void)
{
	OWNED_BY(lake_place_close) struct lake_place place;
	int64_t shed = 0, before;

	CHECK(lake_place_open(&place, BACKEND_SQLITE, (int64_t)64 << 20));
	CHECK(fill(&place));
	before = cached(&place);
	CHECK(lake_shed(place.session, before + 1, &shed, &place.err) == 0 && shed == 0);
	CHECK(lake_shed(place.session, KEPT_BYTES, &shed, &place.err) == 0);
	CHECK(shed > 0 && cached(&place) <= before - shed && cached(&place) < KEPT_BYTES);
	CHECK(limit_is(&place, "64.0 MiB"));
	CHECK(insert(&place) == 0 && ask(&place, "SELECT count(*) FROM lake.t") == 10 * (COMMITS + 1));
}

static void leaves_transactions_alone(void)
{
	OWNED_BY(lake_place_close) struct lake_place place;
	int64_t shed = 0, before;

	CHECK(lake_place_open(&place, BACKEND_SQLITE, (int64_t)64 << 20));
	CHECK(fill(&place));
	before = cached(&place);
	CHECK(lake_begin(place.session, &place.err) == 0);
	CHECK(lake_shed(place.other, KEPT_BYTES, &shed, &place.err) == 0 && shed == 0 && cached(&place) >= before);
	lake_rollback(place.session);
	lake_rollback(place.session); /* of none */
	CHECK(lake_shed(place.other, KEPT_BYTES, &shed, &place.err) == 0 && shed > 0);
}

static void without_a_bound(void)
{
	OWNED_BY(lake_place_close) struct lake_place place;
	int64_t shed = 0;

	CHECK(lake_place_open(&place, BACKEND_SQLITE, 0));
	CHECK(fill(&place));
	CHECK(lake_shed(place.session, 0, &shed, &place.err) == 0 && shed == 0);
}

static int64_t resident_mib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size = 0, pages = 0;
	bool read = file && fscanf(file, "%ld %ld", &size, &pages) == 2;

	if (file)
		fclose(file);
	return read ? (int64_t)pages * sysconf(_SC_PAGESIZE) >> 20 : -1;
}

static void purges(void)
{
	OWNED_BY(lake_place_close) struct lake_place place;
	int64_t before;

	CHECK(lake_place_open(&place, BACKEND_SQLITE, (int64_t)512 << 20));
	CHECK(ask(&place, "SELECT len(list(r)) FROM range(8000000) t(r)") == 8000000); /* 64 MB, in one thread */
	before = resident_mib();
	CHECK(lake_purge(place.session, &place.err) == 0);
	printf("# %lld MiB resident, then %lld\n", (long long)before, (long long)resident_mib());
	CHECK(before > 0 && resident_mib() < before - 32);
	CHECK(limit_is(&place, "512.0 MiB"));
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(gives_back), TEST(leaves_transactions_alone), TEST(without_a_bound),
	                  TEST(purges));
}
