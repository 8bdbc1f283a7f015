/*
 * llm_openai.c - chat completions as OpenAI defined them and others serve them: llama.cpp, Ollama, vLLM.
 *
 * Their peculiarities: a key is often not asked for; content may be null, or a list of parts; what a model thinks comes
 * as reasoning_content (llama.cpp), reasoning (Ollama) or inside the text in <think> (extract.c leaves it out);
 * finish_reason may be null or missing (older llama.cpp); an error may be a text instead of an object (Ollama).
 */
#include <string.h>

#include "base/owned.h"
#include "serve/llm_provider.h"

static int write_headers(const struct spec_assistant *assistant, struct fetch_header headers[LLM_HEADERS_MAX],
                         struct buffer *scratch)
{
	if (!assistant->api_key)
		return 0;
	buffer_printf(scratch, "Bearer %s", assistant->api_key);
	headers[0] = (struct fetch_header){"Authorization", buffer_string(scratch)};
	return 1;
}

static void add_message(yyjson_mut_doc *json, yyjson_mut_val *messages, const char *role, const char *text)
{
	yyjson_mut_val *message = yyjson_mut_arr_add_obj(json, messages);

	yyjson_mut_obj_add_str(json, message, "role", role);
	yyjson_mut_obj_add_str(json, message, "content", text);
}

static void write_body(yyjson_mut_doc *json, yyjson_mut_val *body, const struct spec_assistant *assistant,
                       const struct llm_request *request, const struct llm_manner *manner)
{
	yyjson_mut_val *messages;

	yyjson_mut_obj_add_int(json, body, manner->completion_tokens ? "max_completion_tokens" : "max_tokens",
	                       assistant->max_tokens);
	/* llama.cpp and Ollama draw at 0.8 unless told. */
	if (!manner->no_temperature)
		yyjson_mut_obj_add_int(json, body, "temperature", 0);
	yyjson_mut_obj_add_bool(json, body, "stream", false);
	messages = yyjson_mut_obj_add_arr(json, body, "messages");
	add_message(json, messages, "system", request->system);
	for (int i = 0; i < request->turn_count; i++)
		add_message(json, messages, request->turns[i].by_model ? "assistant" : "user", request->turns[i].text);
}

static enum llm_outcome read_finish(yyjson_val *choice, struct error *err)
{
	yyjson_val *value = yyjson_obj_get(choice, "finish_reason");
	size_t size;
	const char *reason;

	if (!value || yyjson_is_null(value))
		return LLM_ANSWERED;
	reason = llm_member_text(choice, "finish_reason", &size);
	if (!reason)
		return llm_nonsense(err, "finish_reason is no text");
	if (!strcmp(reason, "length")) {
		error_set(err, ERROR_INVALID, 0, "the model stopped: length");
		return LLM_CUT_SHORT;
	}
	if (!strcmp(reason, "content_filter")) {
		error_set(err, ERROR_INVALID, 0, "the model stopped: content_filter");
		return LLM_DECLINED;
	}
	if (!strcmp(reason, "tool_calls") || !strcmp(reason, "function_call"))
		return llm_nonsense(err, "it calls a tool, and none was offered");
	return LLM_ANSWERED; /* stop, eos, ... : servers have words of their own */
}

static enum llm_outcome read_content(yyjson_val *content, struct llm_answer *answer, struct error *err)
{
	yyjson_val *part;
	size_t i, count, size;

	if (yyjson_is_str(content)) {
		buffer_append(&answer->text, yyjson_get_str(content), yyjson_get_len(content));
		return LLM_ANSWERED;
	}
	if (yyjson_is_null(content))
		return LLM_ANSWERED;
	if (!yyjson_is_arr(content))
		return llm_nonsense(err, "content is no text");
	yyjson_arr_foreach(content, i, count, part)
	{
		const char *text = llm_member_text(part, "text", &size);

		if (!text)
			return llm_nonsense(err, "a part of content is no text");
		buffer_append(&answer->text, text, size);
	}
	return LLM_ANSWERED;
}

static enum llm_outcome read_body(yyjson_val *root, struct llm_answer *answer, struct error *err)
{
	yyjson_val *choice = yyjson_arr_get_first(yyjson_obj_get(root, "choices")),
	           *usage = yyjson_obj_get(root, "usage");
	yyjson_val *message = yyjson_obj_get(choice, "message");
	enum llm_outcome outcome;
	size_t size;

	answer->input_tokens = llm_member_count(usage, "prompt_tokens");
	answer->output_tokens = llm_member_count(usage, "completion_tokens");
	if (!yyjson_is_obj(message))
		return llm_nonsense(err, "choices has no message");
	outcome = read_finish(choice, err);
	if (outcome != LLM_ANSWERED)
		return outcome;
	if (llm_member_text(message, "refusal", &size) && size) {
		error_set(err, ERROR_INVALID, 0, "the model refuses");
		return LLM_DECLINED;
	}
	if (yyjson_arr_size(yyjson_obj_get(message, "tool_calls")))
		return llm_nonsense(err, "it calls a tool, and none was offered");
	outcome = read_content(yyjson_obj_get(message, "content"), answer, err);
	return outcome == LLM_ANSWERED ? llm_check_text(answer, err) : outcome;
}

const struct llm_provider llm_openai = {
        .path = "/chat/completions",
        .headers = write_headers,
        .write = write_body,
        .read = read_body,
};
