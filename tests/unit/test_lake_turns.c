/*
 * test_lake_turns.c - on a catalog of one writer at a time whatever writes it takes its turn: an option of a table that
 * is said while another session is in its transaction waits for that, and does not break it. And tables are made while
 * others look at the lake: DuckLake's cache of its schema does not take from a transaction what that still points to.
 */
#include <pthread.h>

#include "base/clock.h"
#include "base/owned.h"
#include "check.h"
#include "lake/duck.h"
#include "lake/lake.h"
#include "lake/table.h"
#include "test_lake.h"

struct choice {
	const struct table *table;
	struct error err;
	int failed;
};

static void *choose(void *context)
{
	struct choice *choice = context;

	choice->failed = table_choose_row_group(choice->table, 4096, &choice->err);
	return NULL;
}

static void an_option_waits_for_its_turn(void)
{
	OWNED_BY(lake_place_close) struct lake_place place;
	OWNED_BY(table_release) struct table table = {0};
	struct duck_connection *connection;
	struct choice choice = {.table = &table};
	pthread_t thread;

	CHECK(lake_place_open(&place, BACKEND_SQLITE, 0));
	connection = lake_connection(place.session);
	CHECK_INT(table_init(&table, place.other, "main", "rows"), 0);
	CHECK_INT(table_create(&table, "SELECT 1 AS n", &place.err), 0);
	CHECK_INT(lake_begin(place.session, &place.err), 0);
	CHECK_INT(duck_exec(connection, "INSERT INTO lake.main.rows SELECT range FROM range(1000)", NULL, &place.err),
	          0);
	CHECK_INT(pthread_create(&thread, NULL, choose, &choice), 0);
	clock_sleep_ms(300); /* it would have written by then */
	CHECK_INT(lake_commit(place.session, NULL, &place.err), COMMIT_DONE);
	CHECK_TEXT(place.err.message, "");
	CHECK_INT(pthread_join(thread, NULL), 0);
	CHECK_INT(choice.failed, 0);
	CHECK_TEXT(choice.err.message, "");
}

#define MAKERS 6
#define TABLES_EACH 8

static void lake_session_release(struct lake_session **session)
{
	lake_session_free(*session);
}

struct maker {
	struct lake *lake;
	int number;
	bool failed;
};

/* Makes tables, and looks at all of them before and behind each. */
static bool make_and_look(struct maker *maker)
{
	OWNED_BY(lake_session_release) struct lake_session *session = NULL;
	struct error err = {0};
	bool made = true;

	session = lake_session_new(maker->lake, &err);
	for (int i = 0; session && made && i < TABLES_EACH; i++) {
		OWNED_BY(table_release) struct table table = {0};
		OWNED_DUCK_ROWS struct duck_rows columns = {0}, again = {0};
		char name[32];

		snprintf(name, sizeof name, "of_%d_%d", maker->number, i);
		made = !table_init(&table, session, "main", name) && !table_columns(&table, &columns, &err) &&
		       !table_create(&table, "SELECT 1 AS n, 'text' AS t", &err) &&
		       !table_columns(&table, &again, &err) && columns.row_count == 0 && again.row_count == 2;
	}
	if (!made)
		printf("# %s\n", err.message);
	return session && made;
}

static void *make(void *context)
{
	struct maker *maker = context;

	maker->failed = !make_and_look(maker);
	return NULL;
}

static void tables_are_made_beside_others(void)
{
	OWNED_BY(lake_place_close) struct lake_place place;
	OWNED_DUCK_ROWS struct duck_rows said = {0};
	struct maker makers[MAKERS];
	pthread_t threads[MAKERS];

	CHECK(lake_place_open(&place, BACKEND_SQLITE, 0));
	for (int i = 0; i < MAKERS; i++) {
		makers[i] = (struct maker){.lake = place.lake, .number = i};
		CHECK_INT(pthread_create(&threads[i], NULL, make, &makers[i]), 0);
	}
	for (int i = 0; i < MAKERS; i++) {
		CHECK_INT(pthread_join(threads[i], NULL), 0);
		CHECK(!makers[i].failed);
	}
	/* What the commits wrote into the lake's history of themselves. */
	CHECK_INT(duck_query(lake_connection(place.session),
	                     "SELECT count(*) FROM (SELECT unnest(changes['tables_created']) AS name FROM "
	                     "ducklake_snapshots('lake')) WHERE name LIKE 'main.of\\__\\__' ESCAPE '\\'",
	                     &said, &place.err),
	          0);
	CHECK_TEXT(place.err.message, "");
	CHECK_INT(duck_cell_int(&said, 0, 0), MAKERS * TABLES_EACH);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(an_option_waits_for_its_turn), TEST(tables_are_made_beside_others));
}
