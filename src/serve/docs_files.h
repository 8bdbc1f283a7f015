/* docs_files.h - the files of docs/, in the program (docs/embed.cmake). Private to serve/. */
#ifndef TARN_SERVE_DOCS_FILES_H
#define TARN_SERVE_DOCS_FILES_H

#include <stddef.h>

struct docs_file {
	const char *name;
	const char *bytes; /* with a NUL behind them */
	size_t size;
	const char *etag; /* with its quotes */
};

enum { DOCS_HTML, DOCS_CSS, DOCS_JS, DOCS_OPENAPI, DOCS_FILES };
extern const struct docs_file docs_files[DOCS_FILES];

#endif
