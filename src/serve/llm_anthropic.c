/*
 * llm_anthropic.c - Anthropic's Messages API, version 2023-06-01.
 */
#include <string.h>

#include "base/owned.h"
#include "serve/llm_provider.h"

static int write_headers(const struct spec_assistant *assistant, struct fetch_header headers[LLM_HEADERS_MAX],
                         struct buffer *scratch)
{
	int count = 0;

	headers[count++] = (struct fetch_header){"anthropic-version", "2023-06-01"};
	if (assistant->api_key)
		headers[count++] = (struct fetch_header){"x-api-key", assistant->api_key};
	return count;
}

static void write_body(yyjson_mut_doc *json, yyjson_mut_val *body, const struct spec_assistant *assistant,
                       const struct llm_request *request, const struct llm_manner *manner)
{
	yyjson_mut_val *messages;

	yyjson_mut_obj_add_int(json, body, "max_tokens", assistant->max_tokens);
	yyjson_mut_obj_add_str(json, body, "system", request->system);
	messages = yyjson_mut_obj_add_arr(json, body, "messages");
	for (int i = 0; i < request->turn_count; i++) {
		yyjson_mut_val *message = yyjson_mut_arr_add_obj(json, messages);

		yyjson_mut_obj_add_str(json, message, "role", request->turns[i].by_model ? "assistant" : "user");
		yyjson_mut_obj_add_str(json, message, "content", request->turns[i].text);
	}
}

/* Why it stopped, where that is not that it was done. */
static enum llm_outcome read_stop(yyjson_val *root, struct error *err)
{
	static const struct {
		const char *reason;
		enum llm_outcome outcome;
	} reasons[] = {
	        {"end_turn", LLM_ANSWERED},    {"stop_sequence", LLM_ANSWERED},
	        {"max_tokens", LLM_CUT_SHORT}, {"model_context_window_exceeded", LLM_NO_ROOM},
	        {"refusal", LLM_DECLINED},
	};
	size_t size;
	const char *reason = llm_member_text(root, "stop_reason", &size);

	if (!reason)
		return llm_nonsense(err, "stop_reason is no text");
	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (!strcmp(reasons[i].reason, reason)) {
			if (reasons[i].outcome != LLM_ANSWERED)
				error_set(err, ERROR_INVALID, 0, "the model stopped: %s", reason);
			return reasons[i].outcome;
		}
	/* tool_use and pause_turn wait for something that was not offered. */
	return llm_nonsense(err, "stop_reason is not one that a request without tools can have");
}

static enum llm_outcome read_blocks(yyjson_val *content, struct llm_answer *answer, struct error *err)
{
	yyjson_val *block;
	size_t i, count, size;

	yyjson_arr_foreach(content, i, count, block)
	{
		const char *type = llm_member_text(block, "type", &size), *text;

		if (!type)
			return llm_nonsense(err, "a block of content has no type");
		if (!strcmp(type, "thinking") || !strcmp(type, "redacted_thinking"))
			continue;
		if (strcmp(type, "text"))
			return llm_nonsense(err, "a block of content is neither text nor thinking");
		text = llm_member_text(block, "text", &size);
		if (!text)
			return llm_nonsense(err, "a block of text has no text");
		buffer_append(&answer->text, text, size);
	}
	return LLM_ANSWERED;
}

static enum llm_outcome read_body(yyjson_val *root, struct llm_answer *answer, struct error *err)
{
	yyjson_val *content = yyjson_obj_get(root, "content"), *usage = yyjson_obj_get(root, "usage");
	enum llm_outcome outcome;

	answer->input_tokens = llm_member_count(usage, "input_tokens");
	answer->output_tokens = llm_member_count(usage, "output_tokens");
	if (!yyjson_is_arr(content))
		return llm_nonsense(err, "content is no list");
	outcome = read_stop(root, err);
	if (outcome == LLM_ANSWERED)
		outcome = read_blocks(content, answer, err);
	return outcome == LLM_ANSWERED ? llm_check_text(answer, err) : outcome;
}

const struct llm_provider llm_anthropic = {
        .base_url = "https://api.anthropic.com",
        .path = "/messages",
        .headers = write_headers,
        .write = write_body,
        .read = read_body,
};
