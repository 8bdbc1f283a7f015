/*
 * llm.h - a language model is given a conversation and answers with a text: Anthropic's Messages API, or chat
 * completions as OpenAI, llama.cpp, Ollama and others serve them.
 *
 * Invariants:
 *  1. What comes back is nobody's word but the model's: every member of its JSON is checked, and a text that was cut
 * off, refused or is none is a failure of its own.
 *  2. A call takes no longer than the assistant's timeout, its retries and their waits included. Only what says "later"
 *     (408, 429, 500, 502, 503, 504, 529) is tried again, twice at most.
 *  3. At most LLM_CALLS_MAX calls of one assistant are under way at once.
 *  4. The key goes into the request's header and nowhere else; of an error's body its type alone is kept for clients,
 * and the first words of its message for the log, masked.
 *
 * Sources: Anthropic, "Messages" (version 2023-06-01), "Errors", "Stop reasons"; OpenAI, "Create chat completion".
 * Threads: any may call llm_ask. Life cycle: llm_new -> llm_ask... -> llm_free.
 */
#ifndef TARN_SERVE_LLM_H
#define TARN_SERVE_LLM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/owned.h"
#include "spec/spec.h"

#define LLM_CALLS_MAX 8
#define LLM_ANSWER_BYTES_MAX ((size_t)2 << 20)

/* LLM_OUTCOME(id, name, HTTP status, what a client is told) */
#define LLM_OUTCOMES(LLM_OUTCOME)                                                                                      \
	LLM_OUTCOME(ANSWERED, "answered", 200, "it answered")                                                          \
	LLM_OUTCOME(UNREACHABLE, "unreachable", 502, "its server cannot be reached")                                   \
	LLM_OUTCOME(UNTRUSTED, "untrusted", 502, "its server's certificate is not to be trusted")                      \
	LLM_OUTCOME(LATE, "late", 504, "it did not answer in time")                                                    \
	LLM_OUTCOME(CUT, "cut", 502, "its server ended the connection before the answer was whole")                    \
	LLM_OUTCOME(TOO_LARGE, "too_large", 502, "its answer is too large")                                            \
	LLM_OUTCOME(REDIRECTED, "redirected", 502, "its server sends elsewhere, which is not followed")                \
	LLM_OUTCOME(KEY, "key", 502, "its server does not accept the key")                                             \
	LLM_OUTCOME(BUSY, "busy", 502, "its server is busy or allows no more requests just now")                       \
	LLM_OUTCOME(STATUS, "status", 502, "its server answered with an error")                                        \
	LLM_OUTCOME(NONSENSE, "nonsense", 502, "its server's answer is not what its API says")                         \
	LLM_OUTCOME(EMPTY, "empty", 502, "its answer has no text")                                                     \
	LLM_OUTCOME(CUT_SHORT, "cut_short", 502, "its answer was cut off at the most tokens that are allowed")         \
	LLM_OUTCOME(NO_ROOM, "no_room", 502, "what it is told is more than it has room for")                           \
	LLM_OUTCOME(DECLINED, "declined", 422, "it declines to answer this")                                           \
	LLM_OUTCOME(CROWDED, "crowded", 503, "too many questions are under way")                                       \
	LLM_OUTCOME(CANCELLED, "cancelled", 499, "the client went away")                                               \
	LLM_OUTCOME(FAILED, "failed", 500, "the request to it failed for a reason of this server's")

enum llm_outcome {
#define LLM_OUTCOME_ID(id, ...) LLM_##id,
	LLM_OUTCOMES(LLM_OUTCOME_ID)
#undef LLM_OUTCOME_ID
	        LLM_OUTCOME_COUNT
};

const char *llm_outcome_name(enum llm_outcome outcome);
int llm_outcome_status(enum llm_outcome outcome);
const char *llm_outcome_text(enum llm_outcome outcome);

struct llm;

/* The assistant is borrowed until llm_free. */
struct llm *llm_new(const struct spec_assistant *assistant, struct error *err);
void llm_free(struct llm *llm);
const struct spec_assistant *llm_assistant(const struct llm *llm);

struct llm_turn { /* in turns: the user's, the model's, the user's... */
	bool by_model;
	const char *text;
};

struct llm_request {
	const char *system; /* the rules, and what it is told */
	const struct llm_turn *turns;
	int turn_count;
	bool (*cancelled)(void *context); /* NULL: it is wanted in any case */
	void *context;
};

struct llm_answer {
	struct buffer text;
	int64_t input_tokens, output_tokens; /* -1: not told */
	int http_status; /* of the last try; 0: there was no answer */
	char error_type[64]; /* of an error's body, a word such as overloaded_error; "" where there is none */
	int64_t retry_after_s; /* -1: none */
	int tries;
};

/* *ret_answer is filled in any case, and the caller's to release. Anything but ANSWERED fills *err, for the log. */
enum llm_outcome llm_ask(struct llm *llm, const struct llm_request *request, struct llm_answer *ret_answer,
                         struct error *err);
void llm_answer_release(struct llm_answer *answer);

#define OWNED_LLM_ANSWER OWNED_BY(llm_answer_release)

#endif
