/* lake_private.h - the inside of a session, for the files of lake/ alone. */
#ifndef TARN_LAKE_PRIVATE_H
#define TARN_LAKE_PRIVATE_H

#include "lake/duck.h"
#include "lake/lake.h"
#include "lake/lock.h"
#include "lake/object_store.h"
#include "lake/shed.h"
#include "lake/spill.h"

struct lake {
	const struct spec_catalog *catalog; /* borrowed */
	struct lake_options options;
	struct duck *duck;
	struct spill spill;
	int writer_lock; /* fd, -1: none */
	int source_count; /* names the table functions */
	_Atomic bool options_said; /* DuckLake was told how Tarn's own tables are kept (ledger.c) */
	struct object_store_keys keys;
	struct shed shed;
	struct turns turns; /* of the catalog lock */
};

struct lake_session {
	struct lake *lake;
	struct duck_connection *connection;
	struct duck_connection *idle; /* converts arrays while `connection` runs the INSERT */
	int catalog_lock; /* fd, -1: this catalog needs none */
	bool has_turn; /* holds the catalog lock */
	bool in_transaction;
	bool alone; /* nobody else may commit before it (lake_begin_alone) */
	int64_t begun_ms; /* wall time */
	bool inserts; /* DuckLake wrote data files in this transaction (pin.h) */
	bool files_closed; /* its DuckDB reaches no files any more (apart.h) */
	struct buffer published; /* the files that publish_rows wrote in this transaction, each with its final 0 */
};

/* Where the catalog has one writer: nobody else writes until the turn is given back. A transaction takes it by itself.
 */
int lake_take_turn(struct lake_session *session, struct error *err);
void lake_give_turn(struct lake_session *session);
/* Begins a transaction whose COMMIT fails with CONFLICT where anybody else has committed since, whatever it was. */
int lake_begin_alone(struct lake_session *session, struct error *err);
/* The folder of an absolute path with its parents, where absent. */
int lake_make_folders(const char *path, struct error *err);

#endif
