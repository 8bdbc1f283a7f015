/*
 * expand.h - a manifest's texts with what they refer to: ${VARIABLE}, file:PATH, relative paths.
 *
 * Invariants:
 *  1. ${VARIABLE} is replaced once: what a variable holds is never expanded again, nor taken for file:PATH.
 *  2. What came from a variable or a file and may be a secret is registered with log_mask_secret before anything else
 *     sees it.
 *  3. Without a folder (reading->folder NULL) nothing outside the text is read.
 */
#ifndef TARN_SPEC_EXPAND_H
#define TARN_SPEC_EXPAND_H

#include <stdbool.h>

#include "spec/mistake.h"
#include "spec/yaml_tree.h"

#define EXPAND_FILE_MAXIMUM_BYTES (64 << 10)

/*
 * The node's text with ${VARIABLE} replaced ($${ is a literal ${) and, where `files`, file:PATH by the file's content
 * without its last line break. `mask`: what comes from outside may be a secret.
 */
int expand_text(const struct reading *reading, const struct yaml_node *node, bool files, bool mask, char **ret_text);

/*
 * `path` as an absolute path without '.', '..' and double slashes, relative to the folder; nothing needs to exist, and
 * symbolic links are not followed. NULL only when out of memory.
 */
char *expand_path(const char *folder, const char *path);

/* Registers the password in libpq's connection text (key=value or URI) as a secret. */
void expand_mask_connection(const char *connection);

#endif
