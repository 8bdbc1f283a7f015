#include "lake/options.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "lake/ledger.h"

#define CODEC "parquet_compression"
#define LEVEL "parquet_compression_level"

#define SAY_TRIES 20
#define SAY_PAUSE_MS 50

/* The lake's value of an option, not a schema's or a table's; NULL: there is none. Borrowed from the rows. */
static const char *value_of(const struct duck_rows *rows, const char *option)
{
	for (int64_t r = 0; r < rows->row_count; r++)
		if (!strcmp(duck_cell(rows, r, 0), option) && !duck_cell(rows, r, 1))
			return duck_cell(rows, r, 2);
	return NULL;
}

/* Of the lake, or of a schema or table of it. */
static bool has_other_codec(const struct duck_rows *rows)
{
	for (int64_t r = 0; r < rows->row_count; r++)
		if (!strcmp(duck_cell(rows, r, 0), CODEC) && strcmp(duck_cell(rows, r, 2), "zstd") != 0)
			return true;
	return false;
}

static int say(const struct lake *lake, struct duck_connection *connection, const struct duck_rows *rows,
               struct error *err)
{
	const char *codec = value_of(rows, CODEC), *level = value_of(rows, LEVEL);
	bool again = lake_has_many_writers(lake);

	if (level && codec && strcmp(codec, "zstd") != 0)
		return error_set(err, ERROR_INVALID, 0,
		                 "its option " CODEC " is %s, and " LEVEL " is set, which DuckDB takes for zstd alone: "
		                 "nobody can write to it until one of them goes, such as by DELETE FROM "
		                 "__ducklake_metadata_lake.ducklake_metadata WHERE key = '" LEVEL "'",
		                 codec);
	if (level && has_other_codec(rows))
		log_event(EVENT_LAKE, NO_FIELDS,
		          "a schema or table of catalog %s has another " CODEC
		          " than zstd: nobody can write to it as long as "
		          "the lake has a " LEVEL,
		          lake->catalog->name);
	if ((!codec || again) &&
	    duck_execf(connection, err, "CALL lake.set_option('" CODEC "', '%s')", codec ? codec : "zstd"))
		return -1;
	if (has_other_codec(rows) || (level && !again))
		return 0;
	return duck_execf(connection, err, "CALL lake.set_option('" LEVEL "', '%s')", level ? level : "1");
}

static int read_and_say(struct lake *lake, struct duck_connection *connection, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (duck_query(connection,
	               "SELECT option_name, scope_entry, value FROM ducklake_options('lake') WHERE option_name LIKE "
	               "'parquet%' OR option_name = 'data_inlining_row_limit'",
	               &rows, err))
		return -1;
	/* Nobody else can have said them since ATTACH read them. */
	lake->options_said = !lake_has_many_writers(lake) && ledger_options_said(&rows);
	return say(lake, connection, &rows, err);
}

int lake_say_options(struct lake *lake, struct duck_connection *connection, struct error *err)
{
	/* A server refuses one of two that say it at once. */
	for (int tries = 0; read_and_say(lake, connection, err); tries++) {
		if (err->kind == ERROR_INVALID || !lake_has_many_writers(lake) || tries == SAY_TRIES)
			return -1;
		clock_sleep_ms(SAY_PAUSE_MS + getpid() % 17);
	}
	*err = (struct error){0};
	return 0;
}
