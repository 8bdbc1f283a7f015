/*
 * extract.h - the one statement in what a language model wrote, or why there is none. Pure.
 *
 * What a model is asked for is a statement and nothing else; what it writes is that, or the same in a fence, with words
 * around it, after <think>...</think>, or several of them.
 *
 * This is no guard: what is taken out passes guard_check as anybody's SQL does. It only tells apart what can be asked
 * again (nothing, several drafts) from what is refused at once (two statements, or something that is no SELECT).
 *
 * Rules, in this order:
 *  1. <think>...</think> is left out; without its end all behind it is.
 *  2. A text, or a fence, that begins with CANNOT_ANSWER is a reason.
 *  3. Of fences that are marked sql or duckdb, or that begin as a statement does, the only one counts; equal ones are
 * one. Several that differ are SEVERAL.
 *  4. Without fences: the text, if it begins as a statement does, else from its first line that does.
 *  5. A statement ends at its first ';' outside of quotes and comments. What follows must be words for people or
 *     comments: another statement is TWO.
 *  6. A first word that a SELECT cannot have is NO_SELECT.
 */
#ifndef TARN_SERVE_EXTRACT_H
#define TARN_SERVE_EXTRACT_H

#include <stddef.h>

#include "base/buffer.h"

#define EXTRACT_SQL_BYTES_MAX ((size_t)64 << 10)
#define EXTRACT_REASON_BYTES_MAX 500

enum extracted {
	EXTRACTED_SQL,
	EXTRACTED_CANNOT, /* out: the reason, one line */
	EXTRACTED_NOTHING,
	EXTRACTED_SEVERAL,
	EXTRACTED_TWO, /* out: the statements as they were written */
	EXTRACTED_NO_SELECT, /* so here */
	EXTRACTED_TOO_LONG, /* or with a 0 byte in it */
};

/* out is cleared before; its maximum should be at least EXTRACT_SQL_BYTES_MAX. */
enum extracted extract_sql(const char *text, size_t size, struct buffer *out);

/* One line of at most `most` bytes, whole characters; control characters become spaces. */
void extract_line(struct buffer *out, const char *text, size_t size, size_t most);

#endif
