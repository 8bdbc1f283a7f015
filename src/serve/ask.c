#include "serve/ask.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/owned.h"
#include "serve/ask_private.h"
#include "serve/audit.h"
#include "serve/description.h"
#include "serve/extract.h"
#include "serve/llm.h"
#include "serve/problem.h"
#include "serve/prompt.h"

#define ATTEMPTS_MAX 2
#define TURNS_MAX (2 * ATTEMPTS_MAX)
#define PROMPT_BYTES_MAX ((size_t)8 << 20)
#define DESCRIBE_BYTES_MAX ((size_t)16 << 20)

struct asker {
	struct service *service;
	struct descriptions *descriptions;
	struct llm **models; /* of each of the manifest's assistants */
	int model_count;
};

struct asking {
	struct asker *asker;
	const struct ask_question *question;
	struct ask_answer *answer;
	struct llm *llm;
	struct prompt_told told;
	struct buffer system, first; /* the prompt, the question */
	struct buffer said, repair; /* what the model wrote first, and what it was told then */
	struct llm_turn turns[TURNS_MAX];
	int turn_count;
};

struct asker *asker_new(struct service *service, struct error *err)
{
	const struct manifest *manifest = service_manifest(service);
	struct asker *asker = calloc(1, sizeof *asker);

	if (asker)
		asker->models = calloc((size_t)manifest->assistant_count + 1, sizeof *asker->models);
	if (!asker || !asker->models) {
		asker_free(asker);
		error_no_memory(err);
		return NULL;
	}
	asker->descriptions = descriptions_new(err);
	if (!asker->descriptions) {
		asker_free(asker);
		return NULL;
	}
	asker->service = service;
	for (; asker->model_count < manifest->assistant_count; asker->model_count++) {
		asker->models[asker->model_count] = llm_new(&manifest->assistants[asker->model_count], err);
		if (!asker->models[asker->model_count]) {
			asker_free(asker);
			return NULL;
		}
	}
	return asker;
}

void asker_free(struct asker *asker)
{
	if (!asker)
		return;
	for (int i = 0; i < asker->model_count; i++)
		llm_free(asker->models[i]);
	descriptions_free(asker->descriptions);
	free(asker->models);
	free(asker);
}

static struct llm *model_of(const struct asker *asker, const struct spec_catalog *catalog)
{
	for (int i = 0; i < asker->model_count; i++)
		if (llm_assistant(asker->models[i])->catalog == catalog)
			return asker->models[i];
	return NULL;
}

const struct spec_assistant *asker_assistant(const struct asker *asker, const struct spec_catalog *catalog)
{
	struct llm *llm = model_of(asker, catalog);

	return llm ? llm_assistant(llm) : NULL;
}

/* ---- refusals: each returns -1 */

static int refuse(struct asking *asking, int status, const char *name, const char *title, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

static int refuse(struct asking *asking, int status, const char *name, const char *title, const char *format, ...)
{
	struct ask_answer *answer = asking->answer;
	va_list args;

	va_start(args, format);
	vsnprintf(answer->detail, sizeof answer->detail, format, args);
	va_end(args);
	answer->status = status;
	snprintf(answer->name, sizeof answer->name, "%s", name);
	snprintf(answer->title, sizeof answer->title, "%s", title);
	return -1;
}

static int refuse_fault(struct asking *asking, const struct error *err)
{
	log_event(EVENT_QUESTION, FIELDS(LOG_TEXT("outcome", "failed")), "a question failed: %s", err->message);
	return refuse(asking, 500, problem_name(PROBLEM_FAULT), "The question failed for a reason of the server's",
	              "The question failed for a reason of the server's.");
}

/* A refusal on the way to a worker, which is none of the statement's. */
static int refuse_as(struct asking *asking, const struct service_refusal *refusal)
{
	asking->answer->retry_after_s = refusal->retry_after_s;
	return refuse(asking, refusal->status, refusal->name, refusal->title, "%s", refusal->detail);
}

static int refuse_model(struct asking *asking, enum llm_outcome outcome, const struct llm_answer *got,
                        const struct error *err)
{
	char type[sizeof got->error_type + 32] = "", name[32];

	if (outcome != LLM_CANCELLED)
		log_event(EVENT_QUESTION,
		          FIELDS(LOG_TEXT("outcome", llm_outcome_name(outcome)),
		                 LOG_TEXT("model", asking->answer->model), LOG_NUMBER("tries", got->tries)),
		          "the language model: %s", err->message);
	if (got->http_status >= 300)
		snprintf(type, sizeof type, " (%d%s%s)", got->http_status, *got->error_type ? " " : "",
		         got->error_type);
	if (got->retry_after_s > 0)
		asking->answer->retry_after_s = got->retry_after_s > 86400 ? 86400 : (int)got->retry_after_s;
	snprintf(name, sizeof name, "model_%s", llm_outcome_name(outcome));
	return refuse(asking, llm_outcome_status(outcome), name,
	              outcome == LLM_DECLINED ? "The language model declines" : "The language model does not answer",
	              "The language model did not answer: %s%s.", llm_outcome_text(outcome), type);
}

/* ---- the question */

static bool is_gone(void *context)
{
	const struct ask_question *question = ((struct asking *)context)->question;
	struct pollfd client = {.fd = question->client_fd, .events = POLLRDHUP};

	return client.fd >= 0 && poll(&client, 1, 0) > 0 && (client.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void tell(const struct asking *asking, const char *what)
{
	if (asking->question->tell)
		asking->question->tell(asking->question->context, what);
}

/* A question is words of a person: on several lines perhaps, without other control characters. */
static int check_question(struct asking *asking)
{
	const char *text = asking->question->text, *title = "The question cannot be asked";
	size_t size = strlen(text);
	bool blank = true;

	for (const char *c = text; *c; c++) {
		if (((unsigned char)*c < ' ' && *c != '\n' && *c != '\t' && *c != '\r') || *c == 0x7f)
			return refuse(asking, 422, "question", title, "The question has control characters in it.");
		blank &= *c == ' ' || *c == '\n' || *c == '\t' || *c == '\r';
	}
	if (blank)
		return refuse(asking, 422, "question", title, "The question is empty.");
	if (size > ASK_QUESTION_BYTES_MAX)
		return refuse(asking, 422, "question", title, "The question has more than %d bytes.",
		              ASK_QUESTION_BYTES_MAX);
	return 0;
}

static int find_model(struct asking *asking)
{
	asking->llm = model_of(asking->asker, asking->question->catalog);
	if (!asking->llm)
		return refuse(asking, 503, "no_model", "There is no language model",
		              "No language model answers questions about this catalog: its manifest has no "
		              "DuckLakeAssistant.");
	asking->answer->model = llm_assistant(asking->llm)->model;
	return 0;
}

/* ---- the tables */

static struct service_ask service_ask_of(const struct asking *asking, struct request *request)
{
	return (struct service_ask){
	        .catalog = asking->question->catalog,
	        .token = asking->question->token,
	        .request = request,
	        .route = asking->question->route,
	        .client_fd = asking->question->client_fd,
	        .client = asking->question->client,
	};
}

/* A query of a token that has more rows than the token allows would be refused; of a question they are not asked for.
 */
static int64_t shown_rows(const struct asking *asking)
{
	int64_t most = asking->question->token ? token_spec(asking->question->token)->max_rows : ASK_ROWS_MAX;

	return asking->question->max_rows < most ? asking->question->max_rows : most;
}

static int describe(struct asking *asking)
{
	OWNED_BUFFER struct buffer text = {0};
	struct request request = {.op = REQUEST_DESCRIBE, .format = ANSWER_JSON, .snapshot = -1, .table_count = -1};
	struct service_ask ask_ = service_ask_of(asking, &request);
	struct prompt_options options = {
	        .assistant = llm_assistant(asking->llm),
	        .question = asking->question->text,
	        .now_ms = clock_wall_ms(),
	        .shown_rows = shown_rows(asking),
	};
	int64_t began_ms = clock_monotonic_ms();
	struct service_refusal refusal = {0};
	struct error err = {0};
	int failed;

	tell(asking, "reading what tables there are");
	buffer_init(&text, DESCRIBE_BYTES_MAX);
	failed = descriptions_get(asking->asker->descriptions, asking->asker->service, &ask_, &text, &refusal);
	asking->answer->describe_ms = clock_monotonic_ms() - began_ms;
	if (failed)
		return refuse_as(asking, &refusal);
	if (prompt_build(&options, buffer_string(&text), text.size, &asking->system, &asking->told, &err))
		return refuse_fault(asking, &err);
	return 0;
}

/* ---- the model */

/* What the model wrote, in `said`; its statement, in answer->sql. */
static int consult(struct asking *asking, enum extracted *ret_extracted)
{
	struct ask_answer *answer = asking->answer;
	struct llm_request request = {
	        .system = buffer_string(&asking->system),
	        .turns = asking->turns,
	        .turn_count = asking->turn_count,
	        .cancelled = is_gone,
	        .context = asking,
	};
	OWNED_LLM_ANSWER struct llm_answer got = {0};
	int64_t began_ms = clock_monotonic_ms();
	enum llm_outcome outcome;
	struct error err = {0};

	tell(asking,
	     answer->attempts ? "asking the language model to mend its SQL" : "asking the language model for SQL");
	answer->attempts++;
	outcome = llm_ask(asking->llm, &request, &got, &err);
	answer->model_ms += clock_monotonic_ms() - began_ms;
	if (got.input_tokens >= 0)
		answer->input_tokens = (answer->input_tokens < 0 ? 0 : answer->input_tokens) + got.input_tokens;
	if (got.output_tokens >= 0)
		answer->output_tokens = (answer->output_tokens < 0 ? 0 : answer->output_tokens) + got.output_tokens;
	if (outcome != LLM_ANSWERED)
		return refuse_model(asking, outcome, &got, &err);
	*ret_extracted = extract_sql(got.text.data, got.text.size, &answer->sql);
	buffer_clear(&asking->said);
	/* Turns are texts without 0 bytes; what a model wrote at length is not said again at length. */
	buffer_append(&asking->said, got.text.data,
	              strnlen(got.text.data, got.text.size < 16384 ? got.text.size : 16384));
	return 0;
}

/* 0: a statement. 1: none, but it may be asked again. -1: answered with a refusal. */
static int judge(struct asking *asking, enum extracted extracted)
{
	static const char unsafe[] = "The statement is not allowed",
	                  invalid[] = "The language model wrote no statement";
	bool last = asking->answer->attempts == ATTEMPTS_MAX;
	char reason[EXTRACT_REASON_BYTES_MAX + 4];

	switch (extracted) {
	case EXTRACTED_SQL: return 0;
	case EXTRACTED_CANNOT:
		snprintf(reason, sizeof reason, "%s", buffer_string(&asking->answer->sql));
		buffer_clear(&asking->answer->sql);
		return refuse(asking, 422, "cannot_answer", "The question cannot be answered from the tables", "%s",
		              *reason ? reason : "The language model says so, without a reason.");
	case EXTRACTED_TWO:
		return refuse(asking, 422, "unsafe", unsafe, "The language model wrote more than one statement.");
	case EXTRACTED_NO_SELECT:
		return refuse(asking, 422, "unsafe", unsafe, "The language model wrote a statement that is no SELECT.");
	case EXTRACTED_TOO_LONG:
		return refuse(asking, 422, "invalid", invalid,
		              "The language model wrote a statement of more than %zu bytes.", EXTRACT_SQL_BYTES_MAX);
	case EXTRACTED_SEVERAL:
		return !last ? 1
		             : refuse(asking, 422, "several", invalid,
		                      "The language model wrote several statements to choose from.");
	case EXTRACTED_NOTHING: break;
	}
	return !last ? 1
	             : refuse(asking, 502, "model_no_sql", invalid,
	                      "The language model's answer has no SQL statement in it.");
}

/* ---- its statement */

static bool is_statements_fault(enum refusal kind)
{
	return kind == REFUSAL_SYNTAX || kind == REFUSAL_FORBIDDEN || kind == REFUSAL_INVALID ||
	       kind == REFUSAL_PARAMETERS;
}

/* What was refused, as the answer to a question: the asker did not write the statement. */
static int refuse_statement(struct asking *asking, const struct service_refusal *refusal)
{
	switch (refusal->kind) {
	case REFUSAL_SYNTAX:
	case REFUSAL_FORBIDDEN:
		return refuse(asking, 422, "unsafe", "The language model's statement is not allowed", "%s",
		              refusal->detail);
	case REFUSAL_INVALID:
	case REFUSAL_PARAMETERS:
	case REFUSAL_NOT_FOUND:
		return refuse(asking, 422, "invalid", "The language model's statement cannot be run", "%s",
		              refusal->detail);
	default: return refuse_as(asking, refusal);
	}
}

/* 0: rows. 1: refused for the statement's own fault. -1: answered with a refusal. */
static int run(struct asking *asking, struct service_refusal *ret_refusal)
{
	struct ask_answer *answer = asking->answer;
	OWNED_BUFFER struct buffer sql = {0};
	struct request request = {
	        .op = REQUEST_QUERY,
	        .format = ANSWER_NDJSON,
	        .snapshot = -1,
	        .first_rows = shown_rows(asking),
	        .tables = asking->told.tables,
	        .table_count = asking->told.table_count,
	};
	struct service_ask ask_ = service_ask_of(asking, &request);
	int64_t began_ms = clock_monotonic_ms();
	int failed;

	tell(asking, "running it");
	buffer_init(&sql, 2 * EXTRACT_SQL_BYTES_MAX);
	buffer_printf(&sql, asking->question->sql_only ? "SELECT * FROM (%s\n) LIMIT 0" : "%s",
	              buffer_string(&answer->sql));
	request.sql = sql.data;
	*ret_refusal = (struct service_refusal){0};
	failed = ask_read_rows(service_run(asking->asker->service, &ask_, ret_refusal), asking->question, answer,
	                       ret_refusal);
	answer->query_ms += clock_monotonic_ms() - began_ms;
	if (!failed)
		return 0;
	if (is_statements_fault(ret_refusal->kind) && answer->attempts < ATTEMPTS_MAX)
		return 1;
	return refuse_statement(asking, ret_refusal);
}

static void ask_again(struct asking *asking, const struct service_refusal *refusal)
{
	/* What the guard says is of the statement alone. */
	bool about_names = refusal && (refusal->about_names || refusal->kind == REFUSAL_SYNTAX ||
	                               refusal->kind == REFUSAL_FORBIDDEN);

	prompt_repair(llm_assistant(asking->llm), refusal ? refusal->detail : "", about_names, &asking->repair);
	asking->turns[asking->turn_count++] = (struct llm_turn){true, buffer_string(&asking->said)};
	asking->turns[asking->turn_count++] = (struct llm_turn){false, buffer_string(&asking->repair)};
}

static int attempt(struct asking *asking)
{
	enum extracted extracted = EXTRACTED_NOTHING;
	struct service_refusal refusal;
	int state;

	if (consult(asking, &extracted))
		return -1;
	state = judge(asking, extracted);
	if (state) {
		if (state > 0)
			ask_again(asking, NULL);
		return state;
	}
	state = run(asking, &refusal);
	if (state > 0)
		ask_again(asking, &refusal);
	return state;
}

static int answer_question(struct asking *asking)
{
	int state = 1;

	if (check_question(asking) || find_model(asking) || describe(asking))
		return -1;
	buffer_printf(&asking->first, "Question: %s", asking->question->text);
	asking->turns[asking->turn_count++] = (struct llm_turn){false, buffer_string(&asking->first)};
	while (state > 0)
		state = attempt(asking);
	return state;
}

/* ---- the audit log: a line for the question, beside those of the queries that it leads to */

static int64_t begin_audit(const struct asking *asking)
{
	const struct ask_question *question = asking->question;
	struct audit_start start = {
	        .token = question->token ? token_spec(question->token)->name : NULL,
	        .route = question->route,
	        .catalog = question->catalog ? question->catalog->name : NULL,
	        .sql = question->text,
	        .client = question->client,
	};

	return audit_begin(service_audit(asking->asker->service), &start);
}

static const char *outcome_of(const struct ask_answer *answer)
{
	return answer->status == 200 ? "ok" : answer->name;
}

static void end_audit(const struct asking *asking, int64_t query)
{
	const struct ask_answer *answer = asking->answer;
	struct audit_end end = {
	        .outcome = outcome_of(answer),
	        .snapshot = answer->snapshot,
	        .rows = answer->row_count,
	        .bytes = (int64_t)answer->rows.size,
	        .ms = answer->total_ms,
	        .worker = -1,
	};

	audit_finish(service_audit(asking->asker->service), query, &end);
}

static void count(const struct asking *asking)
{
	const struct ask_answer *answer = asking->answer;
	const char *assistant = asking->llm ? llm_assistant(asking->llm)->name : "";
	struct metrics *metrics = metrics_find(SCOPE_ASSISTANT, assistant, NULL, NULL);

	metric_add(metrics_find(SCOPE_QUESTION, assistant, outcome_of(answer), NULL), METRIC_QUESTIONS, 1);
	metric_add(metrics, METRIC_QUESTION_INPUT, answer->input_tokens > 0 ? answer->input_tokens : 0);
	metric_add(metrics, METRIC_QUESTION_OUTPUT, answer->output_tokens > 0 ? answer->output_tokens : 0);
	metric_observe(metrics, HISTOGRAM_QUESTION_SECONDS, answer->total_ms * 1000);
}

void ask(struct asker *asker, const struct ask_question *question, struct ask_answer *ret_answer)
{
	struct asking asking = {.asker = asker, .question = question, .answer = ret_answer};
	int64_t began_ms = clock_monotonic_ms(), query;

	*ret_answer = (struct ask_answer){.status = 200, .snapshot = -1, .input_tokens = -1, .output_tokens = -1};
	buffer_init(&ret_answer->sql, 2 * EXTRACT_SQL_BYTES_MAX);
	buffer_init(&ret_answer->rows, question->max_bytes + FRAME_BYTES_MAX);
	buffer_init(&ret_answer->columns, FRAME_BYTES_MAX);
	buffer_init(&ret_answer->tables, FRAME_BYTES_MAX);
	buffer_init(&asking.system, PROMPT_BYTES_MAX);
	buffer_init(&asking.first, PROMPT_BYTES_MAX);
	buffer_init(&asking.said, PROMPT_BYTES_MAX);
	buffer_init(&asking.repair, PROMPT_BYTES_MAX);
	query = begin_audit(&asking);
	answer_question(&asking);
	ret_answer->total_ms = clock_monotonic_ms() - began_ms;
	end_audit(&asking, query);
	count(&asking);
	prompt_told_release(&asking.told);
	buffer_release(&asking.system);
	buffer_release(&asking.first);
	buffer_release(&asking.said);
	buffer_release(&asking.repair);
}

void ask_answer_release(struct ask_answer *answer)
{
	buffer_release(&answer->sql);
	buffer_release(&answer->rows);
	buffer_release(&answer->columns);
	buffer_release(&answer->tables);
}
