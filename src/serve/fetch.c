#include "serve/fetch.h"

#include <ctype.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/owned.h"

#define CANCEL_POLL_MS 50

struct transfer {
	const struct fetch_request *request;
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	struct buffer body;
	bool too_large, no_memory;
	char why[CURL_ERROR_SIZE];
};

static void global_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void transfer_release(struct transfer *transfer)
{
	if (transfer->multi && transfer->easy)
		curl_multi_remove_handle(transfer->multi, transfer->easy);
	curl_easy_cleanup(transfer->easy);
	curl_multi_cleanup(transfer->multi);
	curl_slist_free_all(transfer->headers);
	buffer_release(&transfer->body);
}

#define OWNED_TRANSFER OWNED_BY(transfer_release)

/* ---- the request */

static bool is_one_line(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static int add_header(struct transfer *transfer, const char *name, const char *value, struct error *err)
{
	OWNED_BUFFER struct buffer line = {0};
	struct curl_slist *longer;

	/* A line's end in a value, such as that of a key's file, would begin a header of its own. */
	if (!is_one_line(name) || !is_one_line(value))
		return error_set(err, ERROR_INVALID, 0, "the value of header %s has control characters", name);
	buffer_init(&line, 64 << 10);
	buffer_printf(&line, "%s: %s", name, value);
	longer = buffer_ok(&line) ? curl_slist_append(transfer->headers, buffer_string(&line)) : NULL;
	if (line.data)
		explicit_bzero(line.data, line.size);
	if (!longer)
		return error_no_memory(err);
	transfer->headers = longer;
	return 0;
}

static size_t take_bytes(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;

	/* What is not taken ends the transfer. */
	if (size * count > transfer->request->max_bytes - transfer->body.size) {
		transfer->too_large = true;
		return 0;
	}
	buffer_append(&transfer->body, bytes, size * count);
	transfer->no_memory |= !buffer_ok(&transfer->body);
	return transfer->no_memory ? 0 : size * count;
}

/* False: an option that this libcurl does not know, or out of memory. */
static bool set_options(struct transfer *transfer)
{
	const struct fetch_request *request = transfer->request;
	const char *authorities = getenv("SSL_CERT_FILE");
	CURL *easy = transfer->easy;
	bool good = true;

#define SET(option, value) (good = good && !curl_easy_setopt(easy, option, value))
	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (authorities && *authorities)
		SET(CURLOPT_CAINFO, authorities);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_ms);
	SET(CURLOPT_TIMEOUT_MS, (long)request->total_ms);
	SET(CURLOPT_USERAGENT, "tarn");
	SET(CURLOPT_CUSTOMREQUEST, request->method);
	if (request->body) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
		SET(CURLOPT_POSTFIELDS, request->body);
	}
	SET(CURLOPT_HTTPHEADER, transfer->headers);
	SET(CURLOPT_WRITEFUNCTION, take_bytes);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->why);
#undef SET
	return good;
}

static int prepare(struct transfer *transfer, struct error *err)
{
	const struct fetch_request *request = transfer->request;

	for (int i = 0; i < request->header_count; i++)
		if (add_header(transfer, request->headers[i].name, request->headers[i].value, err))
			return -1;
	/* Without this libcurl waits a second for a 100 that few servers send. */
	if (add_header(transfer, "Expect", "", err))
		return -1;
	transfer->multi = curl_multi_init();
	transfer->easy = curl_easy_init();
	if (!transfer->multi || !transfer->easy)
		return error_no_memory(err);
	if (!set_options(transfer) || curl_multi_add_handle(transfer->multi, transfer->easy))
		return error_set(err, ERROR_FATAL, 0, "libcurl does not take the request");
	return 0;
}

/* ---- the answer */

static bool is_connected(CURL *easy)
{
	curl_off_t us = 0;

	curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &us);
	return us > 0;
}

static enum fetch_outcome fail(const struct transfer *transfer, CURLcode code, struct error *err)
{
	const char *why = *transfer->why ? transfer->why : curl_easy_strerror(code);

	if (transfer->too_large) {
		error_set(err, ERROR_CORRUPT, 0, "the answer has more than %zu bytes", transfer->request->max_bytes);
		return FETCH_TOO_LARGE;
	}
	if (transfer->no_memory || code == CURLE_OUT_OF_MEMORY) {
		error_no_memory(err);
		return FETCH_FAILED;
	}
	error_set(err, ERROR_TRANSIENT, code, "%s", why);
	switch (code) {
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT: return FETCH_UNREACHABLE;
	/* A connection that is not made in time is the same to the caller as one that is refused. */
	case CURLE_OPERATION_TIMEDOUT: return is_connected(transfer->easy) ? FETCH_LATE : FETCH_UNREACHABLE;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION: return FETCH_UNTRUSTED;
	case CURLE_UNSUPPORTED_PROTOCOL: return is_connected(transfer->easy) ? FETCH_CUT : FETCH_FAILED;
	case CURLE_URL_MALFORMAT:
	case CURLE_FAILED_INIT: return FETCH_FAILED;
	default: return FETCH_CUT;
	}
}

static enum fetch_outcome take_answer(struct transfer *transfer, struct fetch_answer *ret_answer)
{
	struct fetch_answer answer = {.retry_after_s = -1};
	const char *type = NULL;
	curl_off_t seconds = 0;
	long status = 0;
	size_t size;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);
	curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &seconds);
	answer.status = (int)status;
	if (seconds > 0)
		answer.retry_after_s = seconds;
	size = type ? strcspn(type, "; \t") : 0;
	for (size_t i = 0; i < size && i + 1 < sizeof answer.content_type; i++)
		answer.content_type[i] = (char)tolower((unsigned char)type[i]);
	answer.body = transfer->body;
	transfer->body = (struct buffer){0};
	*ret_answer = answer;
	return FETCH_ANSWERED;
}

static enum fetch_outcome finish(struct transfer *transfer, struct fetch_answer *ret_answer, struct error *err)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(transfer->multi, &left)))
		if (message->msg == CURLMSG_DONE) {
			CURLcode code = message->data.result;

			return code ? fail(transfer, code, err) : take_answer(transfer, ret_answer);
		}
	error_set(err, ERROR_FATAL, 0, "libcurl ended without a result");
	return FETCH_FAILED;
}

enum fetch_outcome fetch(const struct fetch_request *request, struct fetch_answer *ret_answer, struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	OWNED_TRANSFER struct transfer transfer = {.request = request};
	int running = 1;

	pthread_once(&once, global_init);
	buffer_init(&transfer.body, request->max_bytes);
	if (prepare(&transfer, err))
		return FETCH_FAILED;
	for (;;) {
		CURLMcode code = curl_multi_perform(transfer.multi, &running);

		if (!code && running)
			code = curl_multi_poll(transfer.multi, NULL, 0, CANCEL_POLL_MS, NULL);
		if (code) {
			error_set(err, ERROR_FATAL, code, "libcurl: %s", curl_multi_strerror(code));
			return FETCH_FAILED;
		}
		if (!running)
			return finish(&transfer, ret_answer, err);
		if (request->cancelled && request->cancelled(request->context)) {
			error_set(err, ERROR_TRANSIENT, 0, "nobody waits for the answer any more");
			return FETCH_CANCELLED;
		}
	}
}

void fetch_answer_release(struct fetch_answer *answer)
{
	buffer_release(&answer->body);
}
