/* test_files.h - what the tests of files as a source share: a folder of their own, and small files in it. */
#ifndef TARN_TESTS_TEST_FILES_H
#define TARN_TESTS_TEST_FILES_H

#include <stdio.h>
#include <stdlib.h>

#include "base/folder.h"

static char folder[64];

static inline void fresh(void)
{
	struct error err;

	if (*folder)
		folder_remove(folder, &err);
	snprintf(folder, sizeof folder, "/tmp/tarn-files-XXXXXX");
	if (!mkdtemp(folder))
		folder[0] = 0;
}

static inline const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static inline void put(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	if (file) {
		fputs(text, file);
		fclose(file);
	}
}

#endif
