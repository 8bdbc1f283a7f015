/*
 * extension.h - DuckDB's extensions, in the folder where `make setup` put them. They are signed, and an unsigned one is
 * refused: DuckDB checks each at its LOAD, which takes 0.1 to 0.2 s of a processor for one of 35 MB.
 *
 * Private to lake/.
 */
#ifndef TARN_LAKE_EXTENSION_H
#define TARN_LAKE_EXTENSION_H

#include "base/error.h"

struct duck_connection;

/* TARN_EXTENSIONS, or beside the program when installed, else what `make setup` fetched. */
const char *lake_extension_folder(void);
/* FATAL where it cannot be. */
int lake_load_extension(struct duck_connection *connection, const char *name, struct error *err);

#endif
