/*
 * token.h - who may ask what. A token is 256 random bits; only its SHA-256 is kept, in DuckLakeToken documents of the
 * manifest and of a file that is read again when it changes (a mounted Secret is a link that moves).
 *
 * Invariants:
 *  1. Whether a token is known takes the same time for every token: its hash is compared with each that is known,
 *     all bytes of each.
 *  2. A file with a mistake in it changes nothing: the rights that were go on, and the log says what is wrong.
 *  3. Who has a struct token keeps it whole until token_release, also when the file has changed meanwhile.
 */
#ifndef TARN_SERVE_TOKEN_H
#define TARN_SERVE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "spec/spec.h"

struct tokens;
struct token;

/* manifest: its own tokens, borrowed; file: NULL for none. */
struct tokens *tokens_new(const struct manifest *manifest, const char *file, struct error *err);
void tokens_free(struct tokens *tokens);
int tokens_count(struct tokens *tokens);
/* One more, which may ask everything: the one that a service without any makes (first_token.h). Before any is found. */
int tokens_add(struct tokens *tokens, const char *sha256, struct error *err);

/* The token behind "Bearer ..." (RFC 6750); NULL: not one that is known. Retained for the caller. */
const struct token *tokens_find(struct tokens *tokens, const char *authorization);
/* For everybody, where the service asks for no token. Retained for the caller. */
const struct token *tokens_anyone(struct tokens *tokens);
void token_release(const struct token *token);

const struct spec_token *token_spec(const struct token *token);
/* Takes one from its rate (a bucket that holds rate_requests and fills in rate_ms). 0, or ms until the next. */
int64_t token_take(const struct token *token, int64_t now_ms);
/* What token_take would answer; takes none. */
int64_t token_look(const struct token *token, int64_t now_ms);
bool token_may_catalog(const struct token *token, const char *catalog);
bool token_may_endpoint(const struct token *token, const char *endpoint);

/*
 * * stands for any characters, case aside. A '*' in the text is matched by a '*' of the pattern alone: so that a
 * pattern that fits another pattern means all that the other one means.
 */
bool pattern_fits(const char *pattern, const char *text);

/* A new one: 43 characters of base64url, and its SHA-256 in hexadecimal. */
int token_make(char ret_token[44], char ret_sha256[65], struct error *err);

#endif
