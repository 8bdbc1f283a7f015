/*
 * target.h - a request's target (RFC 9112 section 3.2), taken apart strictly: what two programs could read in two ways
 * is refused instead of guessed.
 *
 * Refused: a path with an encoded '/', '\' or NUL, with a part "." or "..", with bytes that are no UTF-8, control
 * characters, or a '%' without two digits behind it; '#'; more than so many arguments; a target that is too long.
 * In arguments '+' is a space and '%' as in paths; a NUL and what is no UTF-8 are refused.
 *
 * Life cycle: target_parse -> borrow -> target_release.
 */
#ifndef TARN_SERVE_TARGET_H
#define TARN_SERVE_TARGET_H

#include <stddef.h>

#define TARGET_BYTES_MAX 16384
#define TARGET_ARGUMENTS_MAX 100

struct target {
	const char *path; /* decoded; "*" of OPTIONS */
	struct {
		const char *name, *value;
	} arguments[TARGET_ARGUMENTS_MAX];
	int argument_count;
	char *space; /* owned */
};

/* 0, or HTTP's status (400, 414; 500: out of memory) with *ret_why, a sentence. Released by the caller in any case. */
int target_parse(const char *raw, struct target *ret_target, const char **ret_why);
void target_release(struct target *target);

#endif
