/*
 * folder.h - folders that Tarn made itself.
 *
 * A held folder is locked (flock) for as long as its process lives, so that what a killed process left can be told from
 * what is in use, also across containers that share the place. Whoever comes next sweeps it.
 *
 * Life cycle of a held folder: folder_hold -> folder_let_go; after a kill, folder_sweep by another process.
 */
#ifndef TARN_BASE_FOLDER_H
#define TARN_BASE_FOLDER_H

#include <stdbool.h>

#include "base/error.h"

/* $TMPDIR, or /tmp. */
const char *folder_temporary(void);
/* Makes PARENT/PREFIX and six random characters; parent NULL: folder_temporary(). The path is the caller's to free;
 * NULL with *err: INVALID (it cannot be made there) or FATAL (memory). */
char *folder_make(const char *parent, const char *prefix, struct error *err);
/* Removes the file or folder and all below it; links are removed, not followed. Nothing there is no error.
 * Errors: INVALID, with what could not be removed. */
int folder_remove(const char *path, struct error *err);

struct held_folder {
	char *path; /* owned; NULL: nothing is held */
	int lock;
};

/* folder_make, and locked. */
int folder_hold(const char *parent, const char *prefix, struct held_folder *ret_folder, struct error *err);
/* Removes it. What holds nothing is left as it is. */
void folder_let_go(struct held_folder *folder);
/* Removes every folder of that parent and prefix whose process is gone, where `found` (while nobody else can have the
 * folder) says so, or always where it is NULL. Errors are left to the next one. */
void folder_sweep(const char *parent, const char *prefix, bool (*found)(void *context, const char *path),
                  void *context);

#endif
