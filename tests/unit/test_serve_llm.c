/* serve/llm_provider.h: requests to both APIs, and what becomes of their answers. */
#include "check.h"

#include "serve/llm_provider.h"

static const struct spec_assistant anthropic = {
        .provider = PROVIDER_ANTHROPIC, .model = "m-1", .api_key = "sk-1", .timeout_ms = 1000, .max_tokens = 77};
static const struct spec_assistant openai = {.provider = PROVIDER_OPENAI,
                                             .base_url = "http://127.0.0.1:8080",
                                             .model = "m-2",
                                             .timeout_ms = 1000,
                                             .max_tokens = 77};

static const struct llm_turn turns[] = {{false, "how \"many\"?"}, {true, "SELECT x"}, {false, "x is not there"}};
static const struct llm_request request = {.system = "rules\n", .turns = turns, .turn_count = 3};

static void bodies(void)
{
	struct buffer out;

	buffer_init(&out, 1 << 20);
	llm_write_body(&anthropic, &request, &(struct llm_manner){0}, &out);
	CHECK_TEXT(buffer_string(&out), "{\"model\":\"m-1\",\"max_tokens\":77,\"system\":\"rules\\n\",\"messages\":["
	                                "{\"role\":\"user\",\"content\":\"how "
	                                "\\\"many\\\"?\"},{\"role\":\"assistant\",\"content\":\"SELECT x\"},"
	                                "{\"role\":\"user\",\"content\":\"x is not there\"}]}");
	buffer_clear(&out);
	llm_write_body(&openai, &request, &(struct llm_manner){0}, &out);
	CHECK_TEXT(
	        buffer_string(&out),
	        "{\"model\":\"m-2\",\"max_tokens\":77,\"temperature\":0,\"stream\":false,\"messages\":["
	        "{\"role\":\"system\",\"content\":\"rules\\n\"},{\"role\":\"user\",\"content\":\"how \\\"many\\\"?\"},"
	        "{\"role\":\"assistant\",\"content\":\"SELECT x\"},{\"role\":\"user\",\"content\":\"x is not "
	        "there\"}]}");
	buffer_clear(&out);
	llm_write_body(&openai, &request, &(struct llm_manner){true, true}, &out);
	CHECK_HAS(buffer_string(&out), "\"max_completion_tokens\":77,\"stream\":false");
	buffer_clear(&out);
	llm_write_body(&anthropic, &(struct llm_request){.system = "\xff", .turns = turns, .turn_count = 1},
	               &(struct llm_manner){0}, &out);
	CHECK(!buffer_ok(&out));
	buffer_release(&out);
}

static void headers(void)
{
	struct fetch_header list[LLM_HEADERS_MAX];
	struct buffer scratch;
	struct spec_assistant with_key = openai;

	buffer_init(&scratch, 100);
	CHECK_INT(llm_anthropic.headers(&anthropic, list, &scratch), 2);
	CHECK_TEXT(list[0].name, "anthropic-version");
	CHECK_TEXT(list[0].value, "2023-06-01");
	CHECK_TEXT(list[1].name, "x-api-key");
	CHECK_TEXT(list[1].value, "sk-1");
	CHECK_INT(llm_openai.headers(&openai, list, &scratch), 0);
	with_key.api_key = "sk-2";
	CHECK_INT(llm_openai.headers(&with_key, list, &scratch), 1);
	CHECK_TEXT(list[0].name, "Authorization");
	CHECK_TEXT(list[0].value, "Bearer sk-2");
	buffer_release(&scratch);
}

static void urls(void)
{
	static const char *const bases[][2] = {
	        {NULL, "https://api.anthropic.com/v1/messages"},
	        {"http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/messages"},
	        {"http://127.0.0.1:8080/", "http://127.0.0.1:8080/v1/messages"},
	        {"http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1/messages"},
	        {"https://x.example/api", "https://x.example/api/v1/messages"},
	        {"https://x.example/api/v1", "https://x.example/api/v1/messages"},
	};
	struct spec_assistant assistant = anthropic;
	struct buffer out;

	buffer_init(&out, 1000);
	for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
		assistant.base_url = (char *)bases[i][0];
		buffer_clear(&out);
		llm_url(&assistant, &out);
		CHECK_TEXT(buffer_string(&out), bases[i][1]);
	}
	buffer_clear(&out);
	llm_url(&openai, &out);
	CHECK_TEXT(buffer_string(&out), "http://127.0.0.1:8080/v1/chat/completions");
	buffer_release(&out);
}

/* ---- answers */

struct example {
	int status;
	const char *body;
	enum llm_outcome outcome;
	const char *text; /* of an answer; else what *err has in it, or NULL */
};

static void run(const struct llm_provider *provider, const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct example *e = &examples[i];
		struct fetch_answer got = {.status = e->status, .retry_after_s = -1};
		struct llm_answer answer = {0};
		struct error err = {0};
		enum llm_outcome outcome;

		buffer_init(&got.body, 1 << 20);
		buffer_init(&answer.text, 1 << 20);
		buffer_text(&got.body, e->body);
		outcome = llm_read_answer(provider, &got, &answer, &err);
		if (outcome != e->outcome)
			CHECK_FAIL("%s is %s (%s), not %s", e->body, llm_outcome_name(outcome), err.message,
			           llm_outcome_name(e->outcome));
		else if (outcome == LLM_ANSWERED && strcmp(buffer_string(&answer.text), e->text))
			CHECK_FAIL("%s gives '%s', not '%s'", e->body, buffer_string(&answer.text), e->text);
		else if (outcome != LLM_ANSWERED && (!*err.message || (e->text && !strstr(err.message, e->text))))
			CHECK_FAIL("%s is told as '%s', without '%s'", e->body, err.message, e->text ? e->text : "");
		buffer_release(&got.body);
		llm_answer_release(&answer);
	}
}

#define RUN(provider, examples) run(provider, examples, sizeof(examples) / sizeof(examples)[0])
#define TEXT_BLOCK "{\"type\":\"text\",\"text\":\"SELECT 1\"}"

static void answers_of_anthropic(void)
{
	static const struct example examples[] = {
	        {200, "{\"content\":[" TEXT_BLOCK "],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":5}}",
	         LLM_ANSWERED, "SELECT 1"},
	        {200,
	         "{\"content\":[{\"type\":\"thinking\",\"thinking\":\"DROP\"}," TEXT_BLOCK
	         ",{\"type\":\"text\",\"text\":\" + 1\"}],\"stop_reason\":\"stop_sequence\"}",
	         LLM_ANSWERED, "SELECT 1 + 1"},
	        {200, "{\"content\":[" TEXT_BLOCK "],\"stop_reason\":\"max_tokens\"}", LLM_CUT_SHORT, "max_tokens"},
	        {200, "{\"content\":[],\"stop_reason\":\"refusal\"}", LLM_DECLINED, "refusal"},
	        {200, "{\"content\":[],\"stop_reason\":\"model_context_window_exceeded\"}", LLM_NO_ROOM, NULL},
	        {200, "{\"content\":[],\"stop_reason\":\"end_turn\"}", LLM_EMPTY, NULL},
	        {200, "{\"content\":[{\"type\":\"text\",\"text\":\" \\n\"}],\"stop_reason\":\"end_turn\"}", LLM_EMPTY,
	         NULL},
	        {200, "{\"content\":[{\"type\":\"tool_use\",\"id\":\"1\"}],\"stop_reason\":\"tool_use\"}", LLM_NONSENSE,
	         NULL},
	        {200, "{\"content\":[{\"type\":\"tool_use\"}],\"stop_reason\":\"end_turn\"}", LLM_NONSENSE, "neither"},
	        {200, "{\"content\":[{\"type\":\"text\",\"text\":7}],\"stop_reason\":\"end_turn\"}", LLM_NONSENSE,
	         NULL},
	        {200, "{\"content\":[\"SELECT 1\"],\"stop_reason\":\"end_turn\"}", LLM_NONSENSE, NULL},
	        {200, "{\"content\":\"SELECT 1\",\"stop_reason\":\"end_turn\"}", LLM_NONSENSE, "content is no list"},
	        {200, "{\"content\":[" TEXT_BLOCK "]}", LLM_NONSENSE, "stop_reason"},
	        {200, "{\"content\":[" TEXT_BLOCK "],\"stop_reason\":null}", LLM_NONSENSE, "stop_reason"},
	        {200, "{\"content\":[" TEXT_BLOCK "],\"stop_reason\":\"end_turn\"", LLM_NONSENSE, "no JSON object"},
	        {200, "[]", LLM_NONSENSE, NULL},
	        {200, "", LLM_NONSENSE, NULL},
	        {200, "<html>busy</html>", LLM_NONSENSE, NULL},
	        {200, "{\"error\":{\"type\":\"overloaded_error\"}}", LLM_STATUS, "overloaded_error"},
	        {529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
	         LLM_BUSY, "529 overloaded_error: Overloaded"},
	        {429, "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"so\\nmany\"}}",
	         LLM_BUSY, "429 rate_limit_error: so many"},
	        {400, "{\"error\":{\"type\":\"<b>\",\"message\":\"no\"}}", LLM_STATUS, "answered 400: no"},
	        {404, "<html>", LLM_STATUS, "answered 404"},
	        {500, "", LLM_STATUS, "500"},
	        {302, "", LLM_REDIRECTED, "302"},
	};

	RUN(&llm_anthropic, examples);
}

#define MESSAGE(content) "{\"choices\":[{\"message\":{\"content\":" content "}"

static void answers_of_others(void)
{
	static const struct example examples[] = {
	        {200, MESSAGE("\"SELECT 1\"") ",\"finish_reason\":\"stop\"}]}", LLM_ANSWERED, "SELECT 1"},
	        {200, MESSAGE("\"SELECT 1\"") ",\"finish_reason\":null}]}", LLM_ANSWERED, "SELECT 1"},
	        {200, MESSAGE("\"SELECT 1\"") "}]}", LLM_ANSWERED, "SELECT 1"},
	        {200, MESSAGE("[{\"type\":\"text\",\"text\":\"SELECT \"},{\"text\":\"1\"}]") "}]}", LLM_ANSWERED,
	         "SELECT 1"},
	        {200,
	         "{\"choices\":[{\"message\":{\"content\":\"SELECT "
	         "1\",\"reasoning_content\":\"hm\",\"tool_calls\":[]}}]}",
	         LLM_ANSWERED, "SELECT 1"},
	        {200, MESSAGE("\"SELECT 1\"") ",\"finish_reason\":\"length\"}]}", LLM_CUT_SHORT, "length"},
	        {200, MESSAGE("\"\"") ",\"finish_reason\":\"content_filter\"}]}", LLM_DECLINED, NULL},
	        {200, "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"No.\"}}]}", LLM_DECLINED, "refuses"},
	        {200, MESSAGE("null") ",\"finish_reason\":\"tool_calls\"}]}", LLM_NONSENSE, "tool"},
	        {200, "{\"choices\":[{\"message\":{\"content\":\"x\",\"tool_calls\":[{}]}}]}", LLM_NONSENSE, "tool"},
	        {200, MESSAGE("null") "}]}", LLM_EMPTY, NULL},
	        {200, "{\"choices\":[{\"message\":{}}]}", LLM_NONSENSE, "content"},
	        {200, MESSAGE("7") "}]}", LLM_NONSENSE, NULL},
	        {200, MESSAGE("[7]") "}]}", LLM_NONSENSE, NULL},
	        {200, MESSAGE("\"x\"") ",\"finish_reason\":7}]}", LLM_NONSENSE, NULL},
	        {200, "{\"choices\":[]}", LLM_NONSENSE, NULL},
	        {200, "{\"choices\":{}}", LLM_NONSENSE, NULL},
	        {200, "{}", LLM_NONSENSE, NULL},
	        {200, "{\"error\":\"model is required\"}", LLM_STATUS, "model is required"},
	        {404, "{\"error\":{\"message\":\"model 'x' not found\",\"type\":\"api_error\"}}", LLM_STATUS,
	         "not found"},
	        {503, "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}",
	         LLM_BUSY, "Loading model"},
	        {400,
	         "{\"error\":{\"code\":400,\"message\":\"the request "
	         "exceeds\",\"type\":\"exceed_context_size_error\"}}",
	         LLM_NO_ROOM, NULL},
	};

	RUN(&llm_openai, examples);
}

static void a_wrong_key_is_not_told_again(void)
{
	struct fetch_answer got = {.status = 401, .retry_after_s = -1};
	struct llm_answer answer = {0};
	struct error err = {0};

	buffer_init(&got.body, 1000);
	buffer_text(&got.body, "{\"error\":{\"message\":\"Incorrect API key provided: "
	                       "sk-***34.\",\"type\":\"invalid_request_error\"}}");
	CHECK_INT(llm_read_answer(&llm_openai, &got, &answer, &err), LLM_KEY);
	CHECK_TEXT(err.message, "the language model's server answered 401 invalid_request_error");
	buffer_release(&got.body);
}

static void usage_is_counted(void)
{
	struct fetch_answer got = {.status = 200};
	struct llm_answer answer = {0};
	struct error err = {0};

	buffer_init(&got.body, 1000);
	buffer_init(&answer.text, 1000);
	buffer_text(&got.body, MESSAGE("\"SELECT 1\"") "}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":-3}}");
	CHECK_INT(llm_read_answer(&llm_openai, &got, &answer, &err), LLM_ANSWERED);
	CHECK_INT(answer.input_tokens, 12);
	CHECK_INT(answer.output_tokens, -1);
	buffer_release(&got.body);
	llm_answer_release(&answer);
}

static bool adapt(struct llm_manner *manner, const char *message)
{
	char body[300];

	snprintf(body, sizeof body, "{\"error\":{\"message\":\"%s\"}}", message);
	return llm_adapt(manner, body, strlen(body));
}

static void what_a_server_does_not_take_is_left_out(void)
{
	struct llm_manner manner = {0};

	CHECK(!adapt(&manner, "no such model"));
	CHECK(adapt(&manner, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."));
	CHECK(manner.completion_tokens && !manner.no_temperature);
	CHECK(adapt(&manner, "Unsupported value: 'temperature' does not support 0 with this model."));
	CHECK(!adapt(&manner, "Unsupported value: 'temperature' and max_completion_tokens"));
	CHECK(!llm_adapt(&manner, "", 0));
	CHECK(!llm_adapt(&manner, "{\"error\":[]}", 12));
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(bodies), TEST(headers), TEST(urls), TEST(answers_of_anthropic),
	                  TEST(answers_of_others), TEST(a_wrong_key_is_not_told_again), TEST(usage_is_counted),
	                  TEST(what_a_server_does_not_take_is_left_out));
}
