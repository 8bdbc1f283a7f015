/*
 * telling.h - which quarantined messages are told in the log one by one: a topic full of them must not fill a disk.
 *
 * Of each kind of reason (its digits as N) the first TELLING_FIRST within TELLING_MS are; how many more there were is
 * said when the time is over. The metric and the quarantine table miss none.
 *
 * One thread, the committer's. Starts as zeros.
 */
#ifndef TARN_STREAM_TELLING_H
#define TARN_STREAM_TELLING_H

#include <stdbool.h>
#include <stdint.h>

#define TELLING_FIRST 5
#define TELLING_MS 10000
#define TELLING_KINDS 16 /* at once; the last one takes whatever the others do not */
#define TELLING_KIND_SIZE 128

struct telling {
	struct told_kind {
		char kind[TELLING_KIND_SIZE];
		int64_t since_ms;
		int64_t messages; /* 0: free */
	} kinds[TELLING_KINDS];
};

/* One more message: is it to be told? now_ms: monotonic. */
bool telling_one(struct telling *telling, const char *reason, int64_t now_ms);
/*
 * A kind whose time is over (all: or not) leaves. True: it had *ret_untold messages that were not told; ret_kind has
 * TELLING_KIND_SIZE bytes. To be called until it is false.
 */
bool telling_rest(struct telling *telling, int64_t now_ms, bool all, char *ret_kind, int64_t *ret_untold);

#endif
