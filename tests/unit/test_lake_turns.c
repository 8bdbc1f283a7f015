/*
 * test_lake_turns.c - on a catalog of one writer at a time whatever writes it takes its turn: an option of a table that
 * is said while another session is in its transaction waits for that, and does not break it.
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

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(an_option_waits_for_its_turn));
}
