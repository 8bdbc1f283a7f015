/* lake_private.h - the inside of a session, for the files of lake/ alone. */
#ifndef TARN_LAKE_PRIVATE_H
#define TARN_LAKE_PRIVATE_H

#include "lake/duck.h"
#include "lake/lake.h"
#include "lake/spill.h"

struct lake {
	const struct spec_catalog *catalog; /* borrowed */
	struct lake_options options;
	struct duck *duck;
	struct spill spill;
	int writer_lock; /* fd, -1: none */
	int source_count; /* names the table functions */
};

struct lake_session {
	struct lake *lake;
	struct duck_connection *connection;
	struct duck_connection *idle; /* converts arrays while `connection` runs the INSERT */
	int catalog_lock; /* fd, -1: this catalog needs none */
	bool in_transaction;
	int64_t begun_ms; /* wall time */
};

/* Is there such a table, as the session's transaction sees it? */
int lake_has_table(struct lake_session *session, const char *schema, const char *table, bool *ret_exists,
                   struct error *err);

#endif
