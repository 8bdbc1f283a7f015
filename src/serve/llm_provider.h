/*
 * llm_provider.h - what the two APIs differ in. Pure: bytes in, bytes out; private to llm*.c and its tests.
 */
#ifndef TARN_SERVE_LLM_PROVIDER_H
#define TARN_SERVE_LLM_PROVIDER_H

#include <stddef.h>
#include <yyjson.h>

#include "serve/fetch.h"
#include "serve/llm.h"

#define LLM_HEADERS_MAX 4

/* What a server was found not to take; kept for its next request. */
struct llm_manner {
	bool no_temperature;
	bool completion_tokens; /* max_completion_tokens instead of max_tokens */
};

struct llm_provider {
	const char *base_url; /* where the manifest has none; NULL: it must have one */
	const char *path; /* below /v1 */
	/* scratch holds what a header's value is made of, until the request is over. */
	int (*headers)(const struct spec_assistant *assistant, struct fetch_header headers[LLM_HEADERS_MAX],
	               struct buffer *scratch);
	void (*write)(yyjson_mut_doc *json, yyjson_mut_val *body, const struct spec_assistant *assistant,
	              const struct llm_request *request, const struct llm_manner *manner);
	/* Of a 200's body. */
	enum llm_outcome (*read)(yyjson_val *root, struct llm_answer *answer, struct error *err);
};

extern const struct llm_provider llm_anthropic, llm_openai;

const struct llm_provider *llm_provider_of(const struct spec_assistant *assistant);
/* BASE/v1/PATH; a base that ends in /v1 or '/' is no mistake. */
void llm_url(const struct spec_assistant *assistant, struct buffer *out);
/* The request's body. */
void llm_write_body(const struct spec_assistant *assistant, const struct llm_request *request,
                    const struct llm_manner *manner, struct buffer *out);
/* A whole answer: its status, its type, its bytes. */
enum llm_outcome llm_read_answer(const struct llm_provider *provider, const struct fetch_answer *answer,
                                 struct llm_answer *ret_answer, struct error *err);
/* After a 400: true where its message names something that can be left out, which *manner then does. */
bool llm_adapt(struct llm_manner *manner, const char *bytes, size_t size);

/* ---- for the providers: members that are what they should be */

/* The text of a member; NULL: it is not there or no text. */
const char *llm_member_text(yyjson_val *object, const char *name, size_t *ret_size);
/* -1: it is not there, or no whole number. */
int64_t llm_member_count(yyjson_val *object, const char *name);
enum llm_outcome llm_nonsense(struct error *err, const char *what);
/* ANSWERED where there is a text of more than white space, else EMPTY. */
enum llm_outcome llm_check_text(const struct llm_answer *answer, struct error *err);

#endif
