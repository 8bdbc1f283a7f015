/*
 * checkup.h - what a lake needs to work, looked at without changing anything: for `tarn doctor`.
 */
#ifndef TARN_LAKE_CHECKUP_H
#define TARN_LAKE_CHECKUP_H

#include "base/error.h"
#include "lake/lake.h"

/* Loads every extension that a manifest may ask for into a DuckDB of its own. ret_version: DuckDB's, such as v1.5.5. */
int checkup_installed(char *ret_version, size_t size, struct error *err);
/* The process that holds the writer lock of a catalog that has one writer; 0: nobody does; -1: one that is not known.
 */
int checkup_writer(const struct spec_catalog *catalog);
/* A setting of the catalog's PostgreSQL server, such as max_connections. */
int checkup_postgres(struct lake_session *session, const char *setting, char *ret_value, size_t size,
                     struct error *err);

#endif
