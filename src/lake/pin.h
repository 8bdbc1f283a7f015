/*
 * pin.h - second names (hard links) for the files of a transaction while it commits.
 *
 * When a COMMIT fails DuckLake deletes the files that it wrote. A Postgres server may have done that COMMIT before its
 * connection died: the catalog then names files that are gone, and the table cannot be read any more. So each new file
 * has a second name during the COMMIT, and comes back where it was deleted although nobody knows the outcome. A file
 * that comes back and is in no catalog is an orphan, as a kill leaves them too: ducklake_delete_orphaned_files.
 *
 * Only data paths in the file system; where it has no hard links nothing is pinned, and a log line says so once.
 *
 * Life cycle: pins_take -> COMMIT -> pins_drop. A process that dies in between leaves its folder, DATA/.tarn/...,
 * unlocked; pins_recover brings back what is missing and removes it.
 */
#ifndef TARN_LAKE_PIN_H
#define TARN_LAKE_PIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/folder.h"

struct pins {
	char *data_path; /* owned, ends with '/'; NULL: nothing is pinned */
	struct held_folder folder; /* under data_path */
	int count;
};

/* Pins what DuckLake wrote below data_path (absolute; any other kind of path: nothing) since since_ms (wall time). */
void pins_take(const char *data_path, int64_t since_ms, struct pins *ret_pins);
/* Removes the second names. restore: first gives the files their own names again where those are missing. Returns how
 * many came back. */
int pins_drop(struct pins *pins, bool restore);
/* Does so for processes that died. Errors are left to the next one. */
int pins_recover(const char *data_path);

#endif
