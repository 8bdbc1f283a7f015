/*
 * console.h - the console: one page (console/, in the program by console_files.h), and what it asks for beside /query.
 *
 *     GET /                       the page; GET /console/HASH.css and .js
 *     GET /console/me             what the token may do
 *     GET /console/overview       what the lake holds, of what the token may read (console_overview.c)
 *     GET /console/pool           the workers (console_pool.c)
 *     GET /console/lineage.svg    the picture (console_lineage.c)
 *
 * docs/console.md has their shapes.
 *
 * Invariants:
 *  1. An overview that is kept is given to a token of the same catalog, the same tables and the same bounds alone.
 *  2. However many pages are open, a worker is asked for an overview once at a time, and once a second at most, for
 * each set of tables and bounds.
 *  3. The lineage's picture names every table, so only a token that may read them all gets it.
 *  4. A token for endpoints alone (query: false) is told what it may do, and nothing of the lake (routes.def).
 *
 * Life cycle: console_new -> routes -> console_free, when no request is answered any more.
 */
#ifndef TARN_SERVE_CONSOLE_H
#define TARN_SERVE_CONSOLE_H

#include <stdbool.h>

#include "base/error.h"
#include "serve/routes.h"
#include "spec/spec.h"

struct console_lineage;
struct console_overviews;

struct console *console_new(struct error *err);
void console_free(struct console *console);

/* The catalog that ?catalog= names, or the only one that the token may see. NULL: the response is 404; or 503, for it
 * is not served (service_why_not), and has neither version nor pool. */
const struct spec_catalog *console_catalog(struct call *call);

/* True with 304, where the client has what the ETag stands for. The answer may be compressed. */
bool console_has_it(struct call *call, const char *etag);

/* May it read all tables of all catalogs (but Tarn's own)? */
bool console_sees_all(const struct call *call);

void console_json_text(struct buffer *out, const char *text);

/* ---- console_lineage.c */

struct console_lineage *console_lineage_new(struct error *err);
void console_lineage_free(struct console_lineage *lineage);
/* The picture of the manifest's lineage, at most a minute old; waits for it. NULL: it failed, and the log says why. The
 * caller's to free. */
char *console_lineage_svg(struct console_lineage *lineage, const char *manifest, size_t *ret_size);

/* ---- console_overview.c */

struct console_overviews *console_overviews_new(struct error *err);
void console_overviews_free(struct console_overviews *overviews);

struct console {
	struct console_overviews *overviews;
	struct console_lineage *lineage;
};

#endif
