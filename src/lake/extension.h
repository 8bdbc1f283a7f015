/*
 * extension.h - DuckDB's extensions, in the folder where `make setup` put them.
 *
 * DuckDB checks a signature at each LOAD: SHA-256 of 35 MB in portable code, 0.15 to 0.25 s of a processor for each of
 * two extensions. The build knows the hashes of the files that it was made with (deps/pins.tsv has those of the
 * packages), and libcrypto computes SHA-256 by the processor's own instructions in a tenth of the time. So where the
 * files are those of the build, the check is Tarn's: the file that was hashed is the one that is loaded, by its path.
 * Any other file is for DuckDB to check, and an unsigned one is refused.
 *
 * Private to lake/.
 */
#ifndef TARN_LAKE_EXTENSION_H
#define TARN_LAKE_EXTENSION_H

#include <stdbool.h>

#include "base/error.h"

struct duck_connection;

/* TARN_EXTENSIONS, or beside the program when installed, else what `make setup` fetched. */
const char *lake_extension_folder(void);
/* Is the folder's file of that name, for this DuckDB, the one that the build knows? */
bool extension_is_known(const char *name);
/* LOAD of one that is, in a DuckDB that does not look at signatures. FATAL where it cannot be. */
int extension_load_known(struct duck_connection *connection, const char *name, struct error *err);
/* LOAD by DuckDB's own rules. FATAL where it cannot be. */
int lake_load_extension(struct duck_connection *connection, const char *name, struct error *err);

#endif
