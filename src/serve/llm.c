#include "serve/llm.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "serve/fetch.h"
#include "serve/llm_provider.h"

#define TRIES_MAX 3
#define CONNECT_MS 10000
#define PAUSE_MS 500 /* before the second try; twice that before the third */
#define POLL_MS 50
#define REQUEST_BYTES_MAX ((size_t)16 << 20)

struct llm {
	const struct spec_assistant *assistant; /* borrowed */
	const struct llm_provider *provider;
	char *url; /* owned */
	atomic_int calls; /* under way */
	pthread_mutex_t lock;
	struct llm_manner manner; /* under the lock */
};

static const struct {
	const char *name;
	int status;
	const char *text;
} outcomes[LLM_OUTCOME_COUNT] = {
#define LLM_OUTCOME_ROW(id, name, status, text) [LLM_##id] = {name, status, text},
        LLM_OUTCOMES(LLM_OUTCOME_ROW)
#undef LLM_OUTCOME_ROW
};

const char *llm_outcome_name(enum llm_outcome outcome)
{
	return outcomes[outcome].name;
}

int llm_outcome_status(enum llm_outcome outcome)
{
	return outcomes[outcome].status;
}

const char *llm_outcome_text(enum llm_outcome outcome)
{
	return outcomes[outcome].text;
}

/* The key can be read on the way, unless that ends on this machine. */
static void warn_of_plain_key(const struct spec_assistant *assistant)
{
	const char *base = assistant->base_url;

	if (!assistant->api_key || !base || strncmp(base, "http://", 7) || !strncmp(base + 7, "127.", 4) ||
	    !strncmp(base + 7, "localhost", 9))
		return;
	log_event(EVENT_CONFIG, FIELDS(LOG_TEXT("assistant", assistant->name)),
	          "the key of %s goes over http://, where it can be read on the way; https:// would be right",
	          assistant->name);
}

struct llm *llm_new(const struct spec_assistant *assistant, struct error *err)
{
	OWNED_BUFFER struct buffer url = {0};
	struct llm *llm = calloc(1, sizeof *llm);

	buffer_init(&url, 4096);
	llm_url(assistant, &url);
	if (!llm || !buffer_ok(&url) || !(llm->url = strdup(buffer_string(&url)))) {
		free(llm);
		error_no_memory(err);
		return NULL;
	}
	warn_of_plain_key(assistant);
	llm->assistant = assistant;
	llm->provider = llm_provider_of(assistant);
	pthread_mutex_init(&llm->lock, NULL);
	return llm;
}

void llm_free(struct llm *llm)
{
	if (!llm)
		return;
	pthread_mutex_destroy(&llm->lock);
	free(llm->url);
	free(llm);
}

const struct spec_assistant *llm_assistant(const struct llm *llm)
{
	return llm->assistant;
}

void llm_answer_release(struct llm_answer *answer)
{
	buffer_release(&answer->text);
}

/* ---- one call, of several tries */

struct call {
	struct llm *llm;
	const struct llm_request *request;
	int64_t end_ms; /* monotonic */
	struct llm_manner manner;
	bool adapted; /* by the last try */
};

static enum llm_outcome outcome_of(enum fetch_outcome outcome)
{
	switch (outcome) {
	case FETCH_ANSWERED: return LLM_ANSWERED;
	case FETCH_UNREACHABLE: return LLM_UNREACHABLE;
	case FETCH_UNTRUSTED: return LLM_UNTRUSTED;
	case FETCH_LATE: return LLM_LATE;
	case FETCH_CUT: return LLM_CUT;
	case FETCH_TOO_LARGE: return LLM_TOO_LARGE;
	case FETCH_CANCELLED: return LLM_CANCELLED;
	case FETCH_FAILED: break;
	}
	return LLM_FAILED;
}

static enum llm_outcome try_once(struct call *call, struct llm_answer *answer, struct error *err)
{
	OWNED_BUFFER struct buffer body = {0}, scratch = {0};
	OWNED_FETCH_ANSWER struct fetch_answer got = {0};
	struct fetch_header headers[LLM_HEADERS_MAX + 1] = {{"Content-Type", "application/json"}};
	const struct spec_assistant *assistant = call->llm->assistant;
	int64_t left_ms = call->end_ms - clock_monotonic_ms();
	enum llm_outcome outcome;
	struct fetch_request request = {.url = call->llm->url, .method = "POST", .headers = headers};

	if (left_ms <= 0) {
		error_set(err, ERROR_TRANSIENT, 0, "no time is left for the language model");
		return LLM_LATE;
	}
	buffer_init(&body, REQUEST_BYTES_MAX);
	buffer_init(&scratch, 64 << 10);
	llm_write_body(assistant, call->request, &call->manner, &body);
	request.header_count = 1 + call->llm->provider->headers(assistant, headers + 1, &scratch);
	if (!buffer_ok(&body) || !buffer_ok(&scratch)) {
		error_set(err, ERROR_FATAL, 0, "the request to the language model is too large, or is no UTF-8");
		return LLM_FAILED;
	}
	request.body = body.data;
	request.body_size = body.size;
	request.total_ms = left_ms;
	request.connect_ms = left_ms < CONNECT_MS ? left_ms : CONNECT_MS;
	request.max_bytes = LLM_ANSWER_BYTES_MAX;
	request.cancelled = call->request->cancelled;
	request.context = call->request->context;
	answer->tries++;
	outcome = outcome_of(fetch(&request, &got, err));
	if (scratch.data)
		explicit_bzero(scratch.data, scratch.size);
	if (outcome != LLM_ANSWERED)
		return outcome;
	answer->http_status = got.status;
	answer->retry_after_s = got.retry_after_s;
	outcome = llm_read_answer(call->llm->provider, &got, answer, err);
	call->adapted = got.status == 400 && call->llm->provider == &llm_openai &&
	                llm_adapt(&call->manner, got.body.data, got.body.size);
	return outcome;
}

static bool is_cancelled(const struct call *call)
{
	return call->request->cancelled && call->request->cancelled(call->request->context);
}

static bool is_later(const struct llm_answer *answer)
{
	static const int later[] = {408, 429, 500, 502, 503, 504, 529};

	for (size_t i = 0; i < COUNT_OF(later); i++)
		if (answer->http_status == later[i])
			return true;
	return false;
}

/* Waits before the next try. False: it would be over by then, or is not wanted any more. */
static bool wait_for_next(const struct call *call, const struct llm_answer *answer)
{
	int64_t until_ms = clock_monotonic_ms();

	if (answer->retry_after_s > call->llm->assistant->timeout_ms / 1000)
		return false;
	until_ms += answer->retry_after_s >= 0 ? answer->retry_after_s * 1000 : (int64_t)PAUSE_MS * answer->tries;
	if (until_ms >= call->end_ms)
		return false;
	while (clock_monotonic_ms() < until_ms) {
		if (is_cancelled(call))
			return false;
		clock_sleep_ms(POLL_MS);
	}
	return true;
}

static enum llm_outcome try_until(struct call *call, struct llm_answer *answer, struct error *err)
{
	for (int adaptations = 0;;) {
		struct error why = {0};
		enum llm_outcome outcome;

		buffer_clear(&answer->text);
		answer->http_status = 0;
		answer->retry_after_s = -1;
		*answer->error_type = 0;
		call->adapted = false;
		outcome = try_once(call, answer, &why);
		if (outcome == LLM_ANSWERED)
			return outcome;
		if (call->adapted && adaptations++ < 2)
			continue;
		if (!is_later(answer) || answer->tries - adaptations >= TRIES_MAX || !wait_for_next(call, answer)) {
			*err = why;
			return is_cancelled(call) ? LLM_CANCELLED : outcome;
		}
	}
}

enum llm_outcome llm_ask(struct llm *llm, const struct llm_request *request, struct llm_answer *ret_answer,
                         struct error *err)
{
	struct call call = {.llm = llm, .request = request};
	enum llm_outcome outcome;

	*ret_answer = (struct llm_answer){.input_tokens = -1, .output_tokens = -1, .retry_after_s = -1};
	buffer_init(&ret_answer->text, LLM_ANSWER_BYTES_MAX);
	if (atomic_fetch_add(&llm->calls, 1) >= LLM_CALLS_MAX) {
		atomic_fetch_sub(&llm->calls, 1);
		error_set(err, ERROR_TRANSIENT, 0, "%d questions are under way already", LLM_CALLS_MAX);
		ret_answer->retry_after_s = 2;
		return LLM_CROWDED;
	}
	pthread_mutex_lock(&llm->lock);
	call.manner = llm->manner;
	pthread_mutex_unlock(&llm->lock);
	call.end_ms = clock_monotonic_ms() + llm->assistant->timeout_ms;
	outcome = try_until(&call, ret_answer, err);
	pthread_mutex_lock(&llm->lock);
	llm->manner.no_temperature |= call.manner.no_temperature;
	llm->manner.completion_tokens |= call.manner.completion_tokens;
	pthread_mutex_unlock(&llm->lock);
	atomic_fetch_sub(&llm->calls, 1);
	return outcome;
}
