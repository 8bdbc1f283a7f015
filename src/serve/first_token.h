/*
 * first_token.h - a token for whoever starts a service that has none: in a file that this user alone may read, for as
 * long as the service runs. It is never logged.
 *
 * Life cycle: first_token_make -> first_token_remove.
 */
#ifndef TARN_SERVE_FIRST_TOKEN_H
#define TARN_SERVE_FIRST_TOKEN_H

#include "base/error.h"

struct first_token {
	char token[44], sha256[65];
	char *file; /* owned; its one line is the token */
};

/* In $XDG_RUNTIME_DIR, or else beside the manifest (its folder), or else in the temporary folder: the first of them
 * that can be written. address: "127.0.0.1:8080", for the file's name. */
int first_token_make(const char *folder, const char *address, struct first_token *ret_token, struct error *err);
/* The file goes, the token is forgotten. */
void first_token_remove(struct first_token *token);

#endif
