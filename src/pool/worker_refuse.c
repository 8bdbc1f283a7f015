#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/owned.h"
#include "lake/failure.h"
#include "pool/worker_private.h"

static void say(struct error *err, const char *message)
{
	snprintf(err->message, sizeof err->message, "%s", message);
}

/* "Binder Error: ..." */
static void drop_kind(char *message)
{
	static const char *const kinds[] = {
	        "Binder Error: ",       "Catalog Error: ",       "Parser Error: ",          "Conversion Error: ",
	        "Out of Range Error: ", "Invalid Input Error: ", "Not implemented Error: ", "Mismatch Type Error: "};

	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (!strncmp(message, kinds[i], strlen(kinds[i])))
			memmove(message, message + strlen(kinds[i]), strlen(message + strlen(kinds[i])) + 1);
}

static bool names_place(const struct worker *worker, const char *message)
{
	static const char *const strange[] = {
	        "://",    ".parquet", "__ducklake", "/proc/",    "/etc/",           "/home/",     "/tmp/", "/var/",
	        "/root/", "/usr/",    "sqlite:",    "postgres:", "LocalFileSystem", "encryption", ".cpp",  ".hpp"};
	const struct spec_catalog *catalog = worker->catalog;
	const char *own[] = {catalog->data_path, catalog->backend.path, catalog->store.endpoint, catalog->store.bucket,
	                     worker->options->manifest->folder};

	for (size_t i = 0; i < COUNT_OF(strange); i++)
		if (strstr(message, strange[i]))
			return true;
	for (size_t i = 0; i < COUNT_OF(own); i++)
		if (own[i] && *own[i] && strstr(message, own[i]))
			return true;
	return false;
}

/* What DuckDB offers instead of a table may be one that may not be read. */
static void drop_offers(char *message)
{
	char *offer = strstr(message, " Did you mean");

	if (offer)
		*offer = 0;
}

/* " at version 7!": whoever asked for no snapshot knows of none. */
static void drop_version(char *message)
{
	char *at = strstr(message, " at version "), *end = at ? at + strlen(" at version ") : NULL;

	if (!at)
		return;
	end += strspn(end, "0123456789");
	memmove(at, end, strlen(end) + 1);
}

void worker_clean(const struct worker *worker, struct error *err)
{
	drop_kind(err->message);
	drop_offers(err->message);
	/* Tables are named as they were asked for, not by where they are read. */
	for (char *at; (at = strstr(err->message, "lake.main."));)
		memmove(at, at + strlen("lake.main."), strlen(at + strlen("lake.main.")) + 1);
	drop_version(err->message);
	log_mask(err->message);
	if (names_place(worker, err->message))
		say(err, "the query fails on something of the server's, which has it in its log");
}

static enum refusal of_failure(const struct worker *worker, struct error *err)
{
	switch (query_failure_of(err)) {
	case FAILURE_SYNTAX: worker_clean(worker, err); return REFUSAL_SYNTAX;
	case FAILURE_NAMES:
	case FAILURE_VALUE: worker_clean(worker, err); return REFUSAL_INVALID;
	case FAILURE_SNAPSHOT: say(err, "there is no such snapshot, or it has expired"); return REFUSAL_NOT_FOUND;
	case FAILURE_MEMORY:
		say(err, "the query needs more memory than it may have: fewer rows or columns at once may do");
		return REFUSAL_MEMORY;
	case FAILURE_FORBIDDEN: say(err, "the statement asks for what no query may have"); return REFUSAL_FORBIDDEN;
	case FAILURE_LATER: say(err, "the lake cannot be read just now: the same again may do"); return REFUSAL_LATER;
	default: say(err, "the query failed for a reason of the server's, which has it in its log");
	}
	return REFUSAL_INTERNAL;
}

enum refusal worker_refusal(const struct worker *worker, enum stop stop, struct error *err)
{
	struct error full = *err;
	enum refusal refusal;

	switch (stop) {
	case STOP_CANCELLED: say(err, "nobody waits for the answer any more"); return REFUSAL_CANCELLED;
	case STOP_TIME: say(err, "the query took longer than it may"); return REFUSAL_TIME;
	case STOP_MEMORY: say(err, "the query needs more memory than it may have"); return REFUSAL_MEMORY;
	case STOP_NONE: break;
	}
	refusal = of_failure(worker, err);
	if (refusal == REFUSAL_INTERNAL || refusal == REFUSAL_LATER || strstr(err->message, "in its log"))
		log_event(EVENT_WORKER, NO_FIELDS, "a query failed: %s", full.message);
	return refusal;
}
