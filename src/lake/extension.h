/*
 * extension.h - DuckDB's extensions, in the folder where `make setup` put them.
 *
 * One is loaded only if it is, byte for byte, the file that this program was built beside (SHA-256). DuckDB would check
 * its signature instead, in portable code: 0.2 s of a processor for one of 35 MB, which libcrypto hashes in 0.03. So a
 * DuckDB is opened with EXTENSION_SETTINGS, by which it takes unsigned ones; and once its extensions are loaded
 * lake_extensions_end has it refuse them again, for good.
 *
 * Private to lake/.
 */
#ifndef TARN_LAKE_EXTENSION_H
#define TARN_LAKE_EXTENSION_H

#include "base/error.h"

struct duck_connection;

/* Rows of an array of struct duck_setting. */
#define EXTENSION_SETTINGS                                                                                             \
	{"extension_directory", lake_extension_folder()}, {"autoinstall_known_extensions", "false"},                   \
	        {"autoload_known_extensions", "false"},                                                                \
	{                                                                                                              \
		"allow_unsigned_extensions", "true"                                                                    \
	}
#define EXTENSION_SETTING_COUNT 4

/* TARN_EXTENSIONS, else where they were when the program was built. */
const char *lake_extension_folder(void);
/* FATAL where it cannot be, or is another file. */
int lake_load_extension(struct duck_connection *connection, const char *name, struct error *err);
/* No further one is loaded into this DuckDB, unless it is signed. */
int lake_extensions_end(struct duck_connection *connection, struct error *err);

#endif
