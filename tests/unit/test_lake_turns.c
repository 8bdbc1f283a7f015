/*
 * test_lake_turns.c - on a catalog of one writer at a time whatever writes it takes its turn: an option of a table that
 * is said while another session is in its transaction waits for that, and does not break it.
 */
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/folder.h"
#include "base/owned.h"
#include "check.h"
#include "lake/duck.h"
#include "lake/lake.h"
#include "lake/table.h"

struct place {
	char folder[64], catalog_path[96], data[96];
	struct spec_catalog catalog;
	struct lake *lake;
	struct lake_session *session, *other;
	struct error err;
};

static bool open_place(struct place *place)
{
	struct lake_options options = {.writer = true, .threads = 1};

	*place = (struct place){.folder = "/tmp/tarn-turns.XXXXXX"};
	if (!mkdtemp(place->folder))
		return false;
	snprintf(place->catalog_path, sizeof place->catalog_path, "%s/catalog", place->folder);
	snprintf(place->data, sizeof place->data, "%s/data/", place->folder);
	place->catalog = (struct spec_catalog){
	        .name = (char[]){"main"},
	        .backend = {.type = BACKEND_SQLITE, .path = place->catalog_path},
	        .data_path = place->data,
	};
	place->lake = lake_open(&place->catalog, &options, &place->err);
	place->session = place->lake ? lake_session_new(place->lake, &place->err) : NULL;
	place->other = place->session ? lake_session_new(place->lake, &place->err) : NULL;
	return place->other != NULL;
}

static void close_place(struct place *place)
{
	struct error ignored;

	lake_session_free(place->other);
	lake_session_free(place->session);
	lake_close(place->lake);
	folder_remove(place->folder, &ignored);
}

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
	OWNED_BY(close_place) struct place place;
	OWNED_BY(table_release) struct table table = {0};
	struct duck_connection *connection;
	struct choice choice = {.table = &table};
	pthread_t thread;

	CHECK(open_place(&place));
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
