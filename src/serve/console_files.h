/*
 * console_files.h - the page at /, its style and its script, as src/serve/console/embed.cmake puts them into the
 * program.
 */
#ifndef TARN_SERVE_CONSOLE_FILES_H
#define TARN_SERVE_CONSOLE_FILES_H

#include <stdbool.h>
#include <stddef.h>

enum { CONSOLE_FILES = 3 };

struct console_file {
	const char *path, *content_type;
	const unsigned char *bytes;
	size_t size;
	const char *etag; /* with its quotes */
	bool immutable; /* named by what is in it */
};

extern const struct console_file console_files[CONSOLE_FILES];

#endif
