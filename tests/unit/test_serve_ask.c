/*
 * serve/ask.h: from a question to an answer, with a model and workers that do as they are told: what is asked again,
 * what is refused at once and as what, what is cut off. The real ones are in tests/scenario/test_ask.py.
 */
#include "check.h"

#include <sys/socket.h>
#include <unistd.h>

#include "serve/ask.h"
#include "serve/audit.h"
#include "serve/llm.h"

/* ---- workers: each call of service_run takes the next row; DESCRIBE is answered by itself */

struct answer {
	const char *rows;
	struct service_refusal end; /* of a status of 0: none */
	size_t at, size;
	bool more;
};

struct step {
	const char *said; /* by the model */
	enum llm_outcome outcome;
	const char *rows; /* NULL: `refusal` comes before any */
	enum refusal refusal;
	const char *detail;
};

static struct {
	const struct step *steps;
	int model_calls, runs;
	char told[20000]; /* the last conversation */
	char sql[20000]; /* the last statement */
	int tables; /* of its request */
	bool open; /* an answer was not closed */
	bool audited;
	struct version *version; /* NULL: it has none */
	int64_t newest;
	int described;
	const char *outcome;
} fake;

static const char describe[] =
        "{\"tables\":[{\"schema\":\"main\",\"name\":\"t\",\"columns\":[{\"name\":\"a\",\"type\":\"INTEGER\"}]}]}";
static struct spec_catalog catalog = {.name = "main"};
static struct spec_assistant assistant = {
        .catalog = &catalog, .model = "m", .sample_values = true, .timeout_ms = 1000, .prompt_bytes = 1 << 16};
static struct manifest manifest = {.assistants = &assistant, .assistant_count = 1};
static struct answer current;
static struct ask_question question = {
        .text = "how many?", .catalog = &catalog, .client_fd = -1, .max_rows = 3, .max_bytes = 1000};

const struct manifest *service_manifest(const struct service *service)
{
	return &manifest;
}

static struct answer *refuse(enum refusal kind, const char *detail, struct service_refusal *ret_refusal)
{
	*ret_refusal = (struct service_refusal){
	        .kind = kind, .status = refusal_status(kind), .name = refusal_name(kind), .title = refusal_title(kind)};
	snprintf(ret_refusal->detail, sizeof ret_refusal->detail, "%s", detail);
	return NULL;
}

struct version *service_version(const struct service *service, const struct spec_catalog *of)
{
	return fake.version;
}

int version_now(struct version *version, int64_t *ret_snapshot, struct error *err)
{
	*ret_snapshot = fake.newest;
	return 0;
}

int64_t version_lineage(struct version *version)
{
	return 1;
}

struct audit *service_audit(const struct service *service)
{
	return NULL;
}

int64_t audit_begin(struct audit *audit, const struct audit_start *start)
{
	fake.audited = start->sql && !strcmp(start->sql, question.text);
	return 7;
}

void audit_finish(struct audit *audit, int64_t id, const struct audit_end *end)
{
	fake.audited &= id == 7;
	fake.outcome = end->outcome;
}

struct answer *service_run(struct service *service, const struct service_ask *ask_, struct service_refusal *ret_refusal)
{
	const struct step *step = &fake.steps[fake.runs];

	if (ask_->request->op == REQUEST_DESCRIBE) {
		current = (struct answer){.rows = describe, .size = strlen(describe)};
		fake.described++;
		fake.open = true;
		return &current;
	}
	fake.runs++;
	fake.tables = ask_->request->table_count;
	snprintf(fake.sql, sizeof fake.sql, "%s", ask_->request->sql);
	if (!step->rows)
		return refuse(step->refusal, step->detail, ret_refusal);
	current = (struct answer){.rows = step->rows};
	for (int64_t i = 0; i < ask_->request->first_rows && step->rows[current.size]; i++)
		current.size += strcspn(step->rows + current.size, "\n") + 1;
	current.more = step->rows[current.size];
	if (step->refusal)
		refuse(step->refusal, step->detail, &current.end);
	fake.open = true;
	return &current;
}

/* Three bytes at a time: lines are cut anywhere. */
int answer_next(struct answer *answer, struct buffer *block, struct service_refusal *ret_refusal)
{
	size_t left = answer->size - answer->at, size = left < 3 ? left : 3;

	if (!left && answer->end.status)
		*ret_refusal = answer->end;
	if (!left)
		return answer->end.status ? -1 : 0;
	buffer_append(block, answer->rows + answer->at, size);
	answer->at += size;
	return 1;
}

struct answer_facts answer_facts(const struct answer *answer)
{
	return (struct answer_facts){.snapshot = 41,
	                             .more = answer->more,
	                             .columns = "[{\"name\":\"a\",\"type\":\"INTEGER\"}]",
	                             .tables = "[\"main.t\"]"};
}

void answer_close(struct answer *answer)
{
	fake.open = false;
}

int answer_collect(struct answer *answer, struct buffer *out, size_t max_bytes, struct answer_facts *ret_facts,
                   struct service_refusal *ret_refusal)
{
	buffer_text(out, answer->rows);
	*ret_facts = answer_facts(answer);
	answer_close(answer);
	return 0;
}

/* ---- the model */

struct llm {
	const struct spec_assistant *assistant;
};

struct llm *llm_new(const struct spec_assistant *of, struct error *err)
{
	struct llm *llm = malloc(sizeof *llm);

	llm->assistant = of;
	return llm;
}

void llm_free(struct llm *llm)
{
	free(llm);
}

const struct spec_assistant *llm_assistant(const struct llm *llm)
{
	return llm->assistant;
}

const char *llm_outcome_name(enum llm_outcome outcome)
{
	return outcome == LLM_LATE ? "late" : outcome == LLM_CANCELLED ? "cancelled" : "busy";
}

int llm_outcome_status(enum llm_outcome outcome)
{
	return outcome == LLM_LATE ? 504 : outcome == LLM_CANCELLED ? 499 : 502;
}

const char *llm_outcome_text(enum llm_outcome outcome)
{
	return "because";
}

enum llm_outcome llm_ask(struct llm *llm, const struct llm_request *request, struct llm_answer *ret_answer,
                         struct error *err)
{
	const struct step *step = &fake.steps[fake.model_calls++];
	size_t used = 0;

	*ret_answer = (struct llm_answer){.input_tokens = 10, .output_tokens = -1, .retry_after_s = -1, .tries = 1};
	buffer_init(&ret_answer->text, 1 << 20);
	for (int i = 0; i < request->turn_count; i++)
		used += (size_t)snprintf(fake.told + used, sizeof fake.told - used, "[%s] %s\n",
		                         request->turns[i].by_model ? "model" : "user", request->turns[i].text);
	if (request->cancelled(request->context))
		return LLM_CANCELLED;
	if (step->outcome) {
		ret_answer->http_status = 529;
		ret_answer->retry_after_s = 7;
		snprintf(ret_answer->error_type, sizeof ret_answer->error_type, "overloaded_error");
		error_set(err, ERROR_TRANSIENT, 0, "no");
		return step->outcome;
	}
	buffer_text(&ret_answer->text, step->said);
	return LLM_ANSWERED;
}

void llm_answer_release(struct llm_answer *answer)
{
	buffer_release(&answer->text);
}

/* ---- questions */

static struct ask_answer answer;
static struct buffer json;

static void ask_with(const struct step *steps)
{
	struct error err;
	struct asker *asker = asker_new(NULL, &err);

	ask_answer_release(&answer);
	buffer_release(&json);
	memset(&fake, 0, sizeof fake);
	fake.steps = steps;
	ask(asker, &question, &answer);
	asker_free(asker);
	buffer_init(&json, 1 << 20);
	ask_write_json(&answer, "/sql", &json);
	if (fake.open)
		CHECK_FAIL("an answer of a worker was left open");
	if (!fake.audited || strcmp(fake.outcome, answer.status == 200 ? "ok" : answer.name))
		CHECK_FAIL("the audit log does not have the question and its outcome");
}

#define ASK(...) ask_with((const struct step[]){__VA_ARGS__})

static void rows_come(void)
{
	ASK({"```sql\nSELECT a FROM t\n```", 0, "{\"a\": 1}\n{\"a\": 2}\n", 0, NULL});
	CHECK_INT(answer.status, 200);
	CHECK_TEXT(fake.sql, "SELECT a FROM t");
	CHECK_INT(fake.tables, 1);
	CHECK_INT(answer.row_count, 2);
	CHECK_INT(answer.attempts, 1);
	CHECK(!answer.truncated);
	CHECK_HAS(buffer_string(&json),
	          "{\"sql\":\"SELECT a FROM "
	          "t\",\"snapshot\":41,\"tables\":[\"main.t\"],\"columns\":[{\"name\":\"a\",\"type\":\"INTEGER\"}],"
	          "\"rows\":2,\"truncated\":false,\"model\":\"m\",\"attempts\":1,\"tokens\":{\"input\":10,\"output\":"
	          "null},\"ms\":{");
	CHECK_HAS(buffer_string(&json), "\"results\":[{\"a\": 1},\n{\"a\": 2}]}\n");
	CHECK_TEXT(fake.told, "[user] Question: how many?\n");
}

static void no_row_is_an_answer(void)
{
	ASK({"SELECT a FROM t", 0, "", 0, NULL});
	CHECK_INT(answer.status, 200);
	CHECK_HAS(buffer_string(&json), "\"results\":[]}");
}

static void rows_are_bounded(void)
{
	ASK({"SELECT a FROM t", 0, "{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n", 0, NULL});
	CHECK(answer.row_count == 3 && !answer.truncated);
	ASK({"SELECT a FROM t", 0, "{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n{\"a\": 4}\n", 0, NULL});
	CHECK(answer.row_count == 3 && answer.truncated);
	CHECK_HAS(buffer_string(&json), "{\"a\": 3}]}");
	question.max_bytes = 20;
	ASK({"SELECT a FROM t", 0, "{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n", 0, NULL});
	CHECK(answer.row_count == 2 && answer.truncated);
	question.max_bytes = 5;
	ASK({"SELECT a FROM t", 0, "{\"a\": 1}\n", 0, NULL});
	CHECK(answer.row_count == 0 && answer.truncated);
	CHECK_HAS(buffer_string(&json), "\"results\":[]}");
	question.max_bytes = 1000;
}

static void a_statement_is_mended_once(void)
{
	ASK({"SELECT b FROM t", 0, NULL, REFUSAL_INVALID, "Binder Error: column b not found, a is"},
	    {"SELECT a FROM t", 0, "{\"a\": 1}\n", 0, NULL});
	CHECK_INT(answer.status, 200);
	CHECK_INT(answer.attempts, 2);
	CHECK_INT(answer.input_tokens, 20);
	CHECK_HAS(fake.told, "[model] SELECT b FROM t\n[user] That cannot be run.");
	CHECK_HAS(fake.told, "column b not found, a is");
	/* It fails at a row: those that came before it are forgotten. */
	ASK({"SELECT 1/a FROM t", 0, "{\"a\": 7}\n", REFUSAL_INVALID, "Conversion Error"},
	    {"SELECT a FROM t", 0, "{\"a\": 1}\n", 0, NULL});
	CHECK_INT(answer.row_count, 1);
	CHECK(!strstr(buffer_string(&json), "7}"));
	ASK({"SELECT b FROM t", 0, NULL, REFUSAL_INVALID, "no b"},
	    {"SELECT c FROM t", 0, NULL, REFUSAL_INVALID, "no c"}, {"SELECT a FROM t", 0, "{\"a\": 1}\n", 0, NULL});
	CHECK_INT(answer.status, 422);
	CHECK_INT(fake.model_calls, 2);
	CHECK_TEXT(answer.name, "invalid");
	CHECK_HAS(buffer_string(&json), "\"status\":422,\"detail\":\"no c\",\"instance\":\"/sql\",\"sql\":\"SELECT c "
	                                "FROM t\",\"reason\":\"no c\"");
}

static void what_is_no_statement_is_asked_for_once_more(void)
{
	ASK({"I would count them.", 0, NULL, 0, NULL}, {"SELECT a FROM t", 0, NULL, 0, NULL});
	CHECK_INT(fake.model_calls, 2);
	ASK({"No.", 0, NULL, 0, NULL}, {"No!", 0, NULL, 0, NULL});
	CHECK_INT(answer.status, 502);
	CHECK_TEXT(answer.name, "model_no_sql");
	CHECK_HAS(buffer_string(&json), "\"sql\":null");
	ASK({"SELECT 1;\nor\nSELECT 2;", 0, NULL, 0, NULL}, {"SELECT 1;\nor\nSELECT 2;", 0, NULL, 0, NULL});
	CHECK_INT(answer.status, 422);
	CHECK_INT(fake.runs, 0);
}

static void what_is_unsafe_is_refused(void)
{
	ASK({"DROP TABLE t", 0, NULL, 0, NULL});
	CHECK(answer.status == 422 && fake.model_calls == 1 && fake.runs == 0);
	CHECK_TEXT(answer.name, "unsafe");
	CHECK_HAS(buffer_string(&json), "\"sql\":\"DROP TABLE t\"");
	ASK({"SELECT 1; SELECT 2", 0, NULL, 0, NULL});
	CHECK(answer.status == 422 && fake.model_calls == 1 && fake.runs == 0);
	ASK({"SELECT * FROM tarn.quarantine", 0, NULL, REFUSAL_FORBIDDEN, "there is no such table"},
	    {"SELECT * FROM tarn.quarantine", 0, NULL, REFUSAL_FORBIDDEN, "there is no such table"});
	CHECK(answer.status == 422 && fake.model_calls == 2 && fake.runs == 2);
	CHECK_TEXT(answer.name, "unsafe");
}

static void it_may_say_that_it_cannot(void)
{
	ASK({"CANNOT_ANSWER: no table has \"rain\"", 0, NULL, 0, NULL});
	CHECK_INT(answer.status, 422);
	CHECK_TEXT(answer.name, "cannot_answer");
	CHECK_TEXT(answer.detail, "no table has \"rain\"");
	CHECK_HAS(buffer_string(&json), "\"sql\":null,\"reason\":\"no table has \\\"rain\\\"\"");
}

static void other_refusals_are_told_as_they_are(void)
{
	static const struct {
		enum refusal kind;
		int status;
	} kinds[] = {{REFUSAL_TIME, 408},
	             {REFUSAL_LATER, 503},
	             {REFUSAL_LOST, 503},
	             {REFUSAL_INTERNAL, 500},
	             {REFUSAL_MEMORY, 422}};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		ASK({"SELECT a FROM t", 0, NULL, kinds[i].kind, "so it is"});
		CHECK_INT(answer.status, kinds[i].status);
		CHECK_INT(fake.model_calls, 1);
		CHECK_TEXT(answer.name, refusal_name(kinds[i].kind));
	}
	ASK({NULL, LLM_BUSY, NULL, 0, NULL});
	CHECK_INT(answer.status, 502);
	CHECK_INT(answer.retry_after_s, 7);
	CHECK_TEXT(answer.detail, "The language model did not answer: because (529 overloaded_error).");
	ASK({NULL, LLM_LATE, NULL, 0, NULL});
	CHECK_INT(answer.status, 504);
}

static void a_question_is_checked(void)
{
	static char long_text[ASK_QUESTION_BYTES_MAX + 2];
	static const char *const wrong[] = {"", " \n", "a\x1b[31m", "a\x7f", long_text};

	memset(long_text, 'a', sizeof long_text - 1);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		question.text = wrong[i];
		ASK({"SELECT a FROM t", 0, "", 0, NULL});
		CHECK_INT(answer.status, 422);
		CHECK_INT(fake.model_calls, 0);
		CHECK_TEXT(answer.name, "question");
	}
	question.text = "wie viele?\nüberall";
	ASK({"SELECT a FROM t", 0, "", 0, NULL});
	question.text = "how many?";
	CHECK_INT(answer.status, 200);
	question.catalog = NULL;
	ASK({"SELECT a FROM t", 0, "", 0, NULL});
	question.catalog = &catalog;
	CHECK_INT(answer.status, 503);
	CHECK_TEXT(answer.name, "no_model");
}

static void a_client_that_goes_away_ends_it(void)
{
	int ends[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	question.client_fd = ends[0];
	ASK({"SELECT a FROM t", 0, "", 0, NULL});
	CHECK_INT(answer.status, 200);
	close(ends[1]);
	ASK({"SELECT a FROM t", 0, "", 0, NULL});
	CHECK_INT(answer.status, 499);
	close(ends[0]);
	question.client_fd = -1;
}

static void sql_alone_reads_nothing(void)
{
	question.sql_only = true;
	ASK({"SELECT a FROM t -- all", 0, "", 0, NULL});
	question.sql_only = false;
	CHECK_TEXT(fake.sql, "SELECT * FROM (SELECT a FROM t -- all\n) LIMIT 0");
	CHECK_TEXT(buffer_string(&answer.sql), "SELECT a FROM t -- all");
}

static void tables_are_described_once_a_snapshot(void)
{
	struct version *version = (struct version *)&catalog;
	struct error err;
	struct asker *asker = asker_new(NULL, &err);

	memset(&fake, 0, sizeof fake);
	fake.version = version;
	for (int i = 0; i < 6; i++) {
		static const struct step step = {"SELECT a FROM t", 0, "", 0, NULL};

		/* 40: the description is of 41, and the lake is at 40 as far as is known. */
		fake.newest = i < 2 ? 40 : i < 4 ? 41 : 42;
		fake.steps = &step;
		fake.model_calls = fake.runs = 0;
		ask_answer_release(&answer);
		ask(asker, &question, &answer);
		CHECK_INT(answer.status, 200);
		CHECK_INT(fake.described, i < 2 ? i + 1 : i < 4 ? 2 : i - 1);
	}
	asker_free(asker);
}

/* ---- cells */

static char cells_text[1000];

static int add_cells(void *context, const struct ask_cell *cells, int count)
{
	for (int i = 0; i < count; i++) {
		size_t used = strlen(cells_text);

		snprintf(cells_text + used, sizeof cells_text - used, "%s%s=%.*s%s", i ? " " : "|", cells[i].name,
		         cells[i].text ? (int)cells[i].size : 1, cells[i].text ? cells[i].text : "-",
		         cells[i].number ? "#" : "");
	}
	return 0;
}

static void rows_are_taken_apart(void)
{
	struct error err = {0};

	ASK({"SELECT a FROM t", 0,
	     "{\"a\": 12345678901234567890123456789012345678.5, \"b\": \"x\\ny\", \"c\": null}\n"
	     "{\"a\": [1, {\"k\": \"v\"}], \"b\": true}\n",
	     0, NULL});
	*cells_text = 0;
	CHECK_INT(ask_each_row(&answer, add_cells, NULL, &err), 0);
	CHECK_TEXT(cells_text, "|a=12345678901234567890123456789012345678.5# b=x\ny c=-|a=[1,{\"k\":\"v\"}] b=true");
	ASK({"SELECT a FROM t", 0, "[1]\n", 0, NULL});
	CHECK_INT(ask_each_row(&answer, add_cells, NULL, &err), -1);
	CHECK_INT(err.kind, ERROR_CORRUPT);
}

int main(int argc, char **argv)
{
	int status = CHECK_MAIN(argc, argv, TEST(rows_come), TEST(no_row_is_an_answer), TEST(rows_are_bounded),
	                        TEST(a_statement_is_mended_once), TEST(what_is_no_statement_is_asked_for_once_more),
	                        TEST(what_is_unsafe_is_refused), TEST(it_may_say_that_it_cannot),
	                        TEST(other_refusals_are_told_as_they_are), TEST(a_question_is_checked),
	                        TEST(a_client_that_goes_away_ends_it), TEST(sql_alone_reads_nothing),
	                        TEST(tables_are_described_once_a_snapshot), TEST(rows_are_taken_apart));

	ask_answer_release(&answer);
	buffer_release(&json);
	return status;
}
