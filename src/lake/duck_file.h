/*
 * duck_file.h - the bytes of a file that DuckDB reaches, in an object store too, piece by piece. Private to lake/.
 *
 * The file is opened on the connection's context: its settings and its secrets hold. They are looked up in a
 * transaction, which stays open as long as the file does.
 *
 * Invariant: all bytes are those of one version of an object. httpfs compares the ETag of each piece with that of the
 * first, and refuses the others.
 * Life cycle: duck_file_open -> duck_file_read... -> duck_file_close. One thread; the connection is borrowed, and runs
 * nothing else meanwhile.
 */
#ifndef TARN_LAKE_DUCK_FILE_H
#define TARN_LAKE_DUCK_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct duck_connection;
struct duck_file;

/* NULL with *err: kinds as DuckDB gives them. The name is no pattern. */
struct duck_file *duck_file_open(struct duck_connection *connection, const char *name, int64_t *ret_size,
                                 struct error *err);
/* The next `size` bytes, all of them: TRANSIENT where there are fewer. After an error the file is of no use. */
int duck_file_read(struct duck_file *file, void *to, size_t size, struct error *err);
void duck_file_close(struct duck_file *file);

#endif
