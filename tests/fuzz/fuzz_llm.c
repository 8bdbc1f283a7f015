/*
 * fuzz_llm.c - any bytes as a language model's answer: as the body of both APIs, and as its text. The first byte
 * chooses.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/extract.h"
#include "serve/llm_provider.h"

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_text(const char *text, size_t size)
{
	OWNED_BUFFER struct buffer out = {0}, again = {0};
	enum extracted what;

	buffer_init(&out, EXTRACT_SQL_BYTES_MAX);
	buffer_init(&again, EXTRACT_SQL_BYTES_MAX);
	what = extract_sql(text, size, &out);
	REQUIRE(buffer_ok(&out));
	if (what == EXTRACTED_CANNOT)
		REQUIRE(out.size <= EXTRACT_REASON_BYTES_MAX + 3 && !strchr(buffer_string(&out), '\n'));
	if (what != EXTRACTED_SQL)
		return;
	REQUIRE(out.size && strlen(out.data) == out.size);
	/* A statement that stands alone is itself. */
	if (extract_sql(out.data, out.size, &again) == EXTRACTED_SQL)
		REQUIRE(again.size <= out.size);
}

static void try_answer(const struct llm_provider *provider, int status, const uint8_t *data, size_t size)
{
	OWNED_FETCH_ANSWER struct fetch_answer got = {.status = status, .retry_after_s = -1};
	OWNED_LLM_ANSWER struct llm_answer answer = {0};
	struct llm_manner manner = {0};
	struct error err = {0};
	enum llm_outcome outcome;

	buffer_init(&got.body, LLM_ANSWER_BYTES_MAX);
	buffer_init(&answer.text, LLM_ANSWER_BYTES_MAX);
	buffer_append(&got.body, data, size);
	outcome = llm_read_answer(provider, &got, &answer, &err);
	llm_adapt(&manner, got.body.data, got.body.size);
	if (outcome == LLM_ANSWERED) {
		REQUIRE(status == 200 && answer.text.size);
		try_text(answer.text.data, answer.text.size);
	} else {
		REQUIRE(*err.message);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size || size > LLM_ANSWER_BYTES_MAX)
		return 0;
	switch (data[0]) {
	case 'A': try_answer(&llm_anthropic, 200, data + 1, size - 1); break;
	case 'O': try_answer(&llm_openai, 200, data + 1, size - 1); break;
	case 'E': try_answer(&llm_openai, 400, data + 1, size - 1); break;
	default: try_text((const char *)data + 1, size - 1);
	}
	return 0;
}
