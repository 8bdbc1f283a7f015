/* endpoint_private.h - what the files of endpoint.h share. Private to serve/. */
#ifndef TARN_SERVE_ENDPOINT_PRIVATE_H
#define TARN_SERVE_ENDPOINT_PRIVATE_H

#include <pthread.h>

#include "base/metrics.h"
#include "serve/answers.h"
#include "serve/cursor.h"
#include "serve/endpoint.h"
#include "serve/endpoint_reads.h"
#include "serve/endpoint_request.h"
#include "serve/routes.h"

#define ETAG_SIZE 64

struct endpoint {
	const struct spec_endpoint *spec;
	struct endpoints *all;
	struct endpoint_reads reads;
	struct answers *answers;
	struct metrics *metrics;
	char definition[17]; /* digits of a hash of what the manifest says: another SELECT is another answer */
	pthread_mutex_t lock;
	int64_t looked_at,
	        changed; /* `changed` is what endpoint_version found at snapshot `looked_at`; -1: nothing yet */
	char changed_at[VERSION_TIME_SIZE]; /* when `changed` was committed */
	int64_t lineage; /* of the lake (lake/version.h) that all of this was found in */
	bool tables_known;
	char *columns; /* FRAME_START's, a JSON list; NULL: not known yet */
};

struct endpoints {
	const struct manifest *manifest;
	struct service *service;
	struct endpoint *list;
	int count;
};

/* ---- endpoint_version.c */

/* What an answer is made of, at one snapshot. */
struct endpoint_version {
	int64_t snapshot;
	int64_t version; /* the newest snapshot in which one of the tables changed */
	bool keeps; /* false: it may differ from one request to the next, or the catalog does not answer */
	char at[VERSION_TIME_SIZE]; /* when that was committed (version_time) */
	char stamp[33]; /* of the lake, and of the files beside it that it is made of, too */
};

/* snapshot -1: the newest. */
void endpoint_version(struct endpoint *endpoint, int64_t snapshot, struct endpoint_version *ret_version);
/* Which lake has the snapshot, as of the last endpoint_version. */
void endpoint_origin(const struct endpoint *endpoint, int64_t snapshot, struct cursor_origin *ret_origin);
/* Is it known that the lake was made anew, or brought back from a copy, behind the cursor's page? newest: its snapshot
 * now, or -1. */
bool endpoint_is_another_lake(const struct endpoint *endpoint, const struct cursor *cursor, int64_t newest);
/* The first of its tables that is no table of the lake (a view, or not there), or NULL. */
const char *endpoint_missing(struct endpoint *endpoint);
/* It asks a model, and one of its catalog's has no file yet. */
bool endpoint_lacks_model(const struct endpoint *endpoint);

/* ---- one request */

struct asked {
	struct call *call;
	struct endpoint *endpoint;
	enum answer_format format;
	struct endpoint_values values;
	struct cursor cursor; /* key NULL: there is none */
	struct buffer mark; /* of whom a cursor is for */
	struct buffer key; /* of answers.h */
	struct endpoint_version version;
	int64_t snapshot; /* to be read; -1: the newest */
};

/* "VERSION-HASH" in quotes; at: when the version was committed. A lake that was made anew, or brought back from a copy,
 * has another one at the same number. */
void endpoint_etag(const struct asked *asked, int64_t version, const char *at, char ret_etag[ETAG_SIZE]);

/* ---- endpoint_run.c */

/* Asks a worker. *ret_kept: the whole answer; or *ret_stream: one that is too large to be kept, whose beginning is in
 * *ret_begun; or -1 with *ret_refusal. */
struct ran {
	struct kept *kept;
	struct answer *stream;
	struct buffer begun;
	struct answer_facts facts;
};

int endpoint_run(struct asked *asked, struct ran *ret_ran, struct service_refusal *ret_refusal);
/* The columns of the SELECT as START has them, a JSON list; NULL: they cannot be told now. Borrowed. */
const char *endpoint_columns(struct endpoint *endpoint);

#endif
