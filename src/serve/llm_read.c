/*
 * llm_read.c - answers of both APIs, and requests to them, as JSON.
 */
#include <ctype.h>
#include <string.h>

#include "base/log.h"
#include "base/owned.h"
#include "serve/llm_provider.h"

#define MESSAGE_BYTES 160 /* of an error's message, for the log */

const char *llm_member_text(yyjson_val *object, const char *name, size_t *ret_size)
{
	yyjson_val *value = yyjson_obj_get(object, name);

	*ret_size = yyjson_get_len(value);
	return yyjson_get_str(value);
}

int64_t llm_member_count(yyjson_val *object, const char *name)
{
	yyjson_val *value = yyjson_obj_get(object, name);

	return yyjson_is_uint(value) && yyjson_get_uint(value) <= INT64_MAX ? (int64_t)yyjson_get_uint(value) : -1;
}

enum llm_outcome llm_nonsense(struct error *err, const char *what)
{
	error_set(err, ERROR_CORRUPT, 0, "the language model's answer is not what its API says: %s", what);
	return LLM_NONSENSE;
}

enum llm_outcome llm_check_text(const struct llm_answer *answer, struct error *err)
{
	if (!buffer_ok(&answer->text)) {
		error_no_memory(err);
		return LLM_FAILED;
	}
	for (size_t i = 0; i < answer->text.size; i++)
		if (!isspace((unsigned char)answer->text.data[i]))
			return LLM_ANSWERED;
	error_set(err, ERROR_CORRUPT, 0, "the language model's answer has no text");
	return LLM_EMPTY;
}

/* ---- errors */

/* A word of the error's own, or nothing: it is shown to clients. */
static void keep_type(yyjson_val *error, char type[64])
{
	size_t size;
	const char *text = llm_member_text(error, "type", &size);

	if (!text || size >= 64)
		return;
	for (size_t i = 0; i < size; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("_-.", text[i]))
			return;
	memcpy(type, text, size);
	type[size] = 0;
}

static void tell_message(yyjson_val *error, int status, const struct llm_answer *answer, struct error *err)
{
	size_t size = yyjson_get_len(error);
	const char *text = yyjson_is_str(error) ? yyjson_get_str(error) : llm_member_text(error, "message", &size);
	OWNED_FREE char *shown = text ? strdup(text) : NULL;

	/* Masked before it is cut: a half of a secret would not be found. */
	if (shown)
		log_mask(shown);
	for (char *c = shown; c && *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	/* An answer to a wrong key may repeat the key, in a spelling that no mask knows. */
	if (!shown || status == 401 || status == 403)
		error_set(err, ERROR_TRANSIENT, status, "the language model's server answered %d%s%s", status,
		          *answer->error_type ? " " : "", answer->error_type);
	else
		error_set(err, ERROR_TRANSIENT, status, "the language model's server answered %d%s%s: %.*s", status,
		          *answer->error_type ? " " : "", answer->error_type, MESSAGE_BYTES, shown);
}

static enum llm_outcome outcome_of(int status)
{
	switch (status) {
	case 401:
	case 403: return LLM_KEY;
	case 413: return LLM_NO_ROOM;
	case 429:
	case 503:
	case 529: return LLM_BUSY;
	default: return status >= 300 && status < 400 ? LLM_REDIRECTED : LLM_STATUS;
	}
}

static enum llm_outcome read_failure(yyjson_val *root, const struct fetch_answer *answer, struct llm_answer *ret_answer,
                                     struct error *err)
{
	yyjson_val *error = yyjson_obj_get(root, "error");

	keep_type(error, ret_answer->error_type);
	tell_message(error, answer->status, ret_answer, err);
	/* llama.cpp: the prompt has more tokens than the model's context. */
	if (!strcmp(ret_answer->error_type, "exceed_context_size_error"))
		return LLM_NO_ROOM;
	return outcome_of(answer->status);
}

static void free_document(yyjson_doc **document)
{
	yyjson_doc_free(*document);
}

enum llm_outcome llm_read_answer(const struct llm_provider *provider, const struct fetch_answer *answer,
                                 struct llm_answer *ret_answer, struct error *err)
{
	OWNED_BY(free_document) yyjson_doc *document = NULL;
	yyjson_val *root;

	/* No flags: yyjson then takes RFC 8259 and nothing else, and reads nothing outside of the bytes. */
	if (answer->body.size)
		document = yyjson_read(answer->body.data, answer->body.size, 0);
	root = yyjson_doc_get_root(document);
	if (answer->status != 200)
		return read_failure(root, answer, ret_answer, err);
	if (!yyjson_is_obj(root))
		return llm_nonsense(err, "it is no JSON object");
	/* Proxies answer 200 with the error of the server behind them. */
	if (yyjson_obj_get(root, "error") && !yyjson_is_null(yyjson_obj_get(root, "error"))) {
		read_failure(root, answer, ret_answer, err);
		return LLM_STATUS;
	}
	return provider->read(root, ret_answer, err);
}

bool llm_adapt(struct llm_manner *manner, const char *bytes, size_t size)
{
	OWNED_BY(free_document) yyjson_doc *document = size ? yyjson_read(bytes, size, 0) : NULL;
	yyjson_val *error = yyjson_obj_get(yyjson_doc_get_root(document), "error");
	struct llm_manner before = *manner;
	const char *message;
	size_t length;

	message = llm_member_text(error, "message", &length);
	if (!message)
		return false;
	manner->completion_tokens |= strstr(message, "max_completion_tokens") != NULL;
	manner->no_temperature |= strstr(message, "temperature") != NULL;
	return manner->completion_tokens != before.completion_tokens || manner->no_temperature != before.no_temperature;
}

/* ---- requests */

static void free_mutable(yyjson_mut_doc **document)
{
	yyjson_mut_doc_free(*document);
}

void llm_write_body(const struct spec_assistant *assistant, const struct llm_request *request,
                    const struct llm_manner *manner, struct buffer *out)
{
	OWNED_BY(free_mutable) yyjson_mut_doc *json = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *body = json ? yyjson_mut_obj(json) : NULL;
	OWNED_FREE char *text = NULL;
	size_t size = 0;

	if (body) {
		yyjson_mut_doc_set_root(json, body);
		yyjson_mut_obj_add_str(json, body, "model", assistant->model);
		llm_provider_of(assistant)->write(json, body, assistant, request, manner);
		text = yyjson_mut_write(json, 0, &size);
	}
	if (text)
		buffer_append(out, text, size);
	else
		out->failed = true; /* out of memory, or a text that is not UTF-8 */
}

const struct llm_provider *llm_provider_of(const struct spec_assistant *assistant)
{
	return assistant->provider == PROVIDER_ANTHROPIC ? &llm_anthropic : &llm_openai;
}

void llm_url(const struct spec_assistant *assistant, struct buffer *out)
{
	const struct llm_provider *provider = llm_provider_of(assistant);
	const char *base = assistant->base_url ? assistant->base_url : provider->base_url;
	size_t size = strlen(base);

	while (size && base[size - 1] == '/')
		size--;
	if (size > 3 && !memcmp(base + size - 3, "/v1", 3))
		size -= 3;
	buffer_append(out, base, size);
	buffer_printf(out, "/v1%s", provider->path);
}
