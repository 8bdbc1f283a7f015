/*
 * files_list.h - which files there are: of a pattern on this machine (glob(7)), or elsewhere by whoever reaches there.
 *
 * A file's name is what it is known by for good: its path relative to the manifest's folder where it is below that, so
 * that folder and lake may move together; else its absolute path, or its URL.
 */
#ifndef TARN_WIRE_FILES_LIST_H
#define TARN_WIRE_FILES_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* One file as it is now. Texts are borrowed for the call. */
struct listed_file {
	const char *name;
	int64_t size, modified_ms;
};

typedef void files_found(void *context, const struct listed_file *file);

/* What reaches files that are not on this machine: object stores. */
struct files_remote {
	void *context;
	/* In order of name. */
	int (*list)(void *context, const char *pattern, files_found *found, void *list, struct error *err);
	/* A step towards a copy on this machine. 1: it is there, its path is the caller's to free, the file the
	 * caller's to remove; 0: go on with the same; -1: *err, and nothing is left of it. */
	int (*fetch)(void *context, const char *name, char **ret_path, struct error *err);
	/* Lets go of what fetch began. */
	void (*drop)(void *context);
};

struct files_place {
	const char *pattern; /* absolute, or a URL */
	const char *folder; /* the manifest's; NULL: none */
	const struct files_remote *remote; /* NULL: none */
};

/* A URL: by the remote. */
bool files_is_remote(const char *name_or_pattern);
/* Every regular file that matches, in order of name, without those whose writers are at work by their names. A file
 * that cannot be looked at has size -1. Errors: TRANSIENT (the remote's), INVALID (a URL without a remote), FATAL
 * (memory). */
int files_list(const struct files_place *place, files_found *found, void *context, struct error *err);
/* Where the file of that name is opened; the caller's to free. NULL: out of memory. */
char *files_path(const struct files_place *place, const char *name);
/* "_x", ".x", "x.tmp", "x.part", "x.inprogress" */
bool files_is_temporary(const char *name);
/* Has it not changed for long enough? age_ms: by its own time, negative where that is in the future; unchanged_ms: as
 * seen from here. Either will do: clocks differ between machines, and a backfill need not wait. */
bool files_is_settled(int64_t settle_ms, int64_t age_ms, int64_t unchanged_ms);

#endif
