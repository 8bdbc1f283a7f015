/*
 * ask.h - a question in words: the tables are described, a language model is asked for one SELECT, and that is run as
 * if the asker had written it.
 *
 *     ask -> service_run(DESCRIBE) -> prompt_build -> llm_ask -> extract_sql -> service_run(QUERY) -> rows
 *                                         ^--------------- once more, with the refusal's sentence
 *
 * Invariants:
 *  1. The model's word is nobody's right: its statement passes service_run, its guard and its sandbox, with the rights
 *     of the asker, narrowed to the tables that the assistant may be told of.
 *  2. One repair at most: where the answer had no statement or several drafts, and where the statement was refused for
 * its own fault (SYNTAX, FORBIDDEN, INVALID, PARAMETERS). Two statements, or something that is no SELECT, are refused
 * at once.
 *  3. Rows and their bytes are bounded; what was cut off is told.
 *  4. No key, and no body of the model's server, stands in an answer, a log or an audit line.
 *
 * Threads: any may ask. Life cycle: asker_new -> ask... -> asker_free.
 */
#ifndef TARN_SERVE_ASK_H
#define TARN_SERVE_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "serve/service.h"

#define ASK_QUESTION_BYTES_MAX 4000
#define ASK_ROWS_DEFAULT 1000
#define ASK_ROWS_MAX 10000
#define ASK_ROW_BYTES_MAX ((size_t)4 << 20)

struct asker;

/* The service is borrowed until asker_free. */
struct asker *asker_new(struct service *service, struct error *err);
void asker_free(struct asker *asker);
/* The catalog's assistant; NULL: none. */
const struct spec_assistant *asker_assistant(const struct asker *asker, const struct spec_catalog *catalog);

struct ask_question {
	const char *text;
	const struct spec_catalog *catalog;
	const struct token *token;
	const char *route, *client; /* for the audit log */
	int client_fd; /* -1: none; all ends soon after its other end was closed */
	int64_t max_rows; /* 1 to ASK_ROWS_MAX */
	size_t max_bytes; /* of the rows */
	bool sql_only; /* the statement is checked and bound, and no rows are read */
	void (*tell)(void *context, const char *what); /* what is waited for, for people; may be NULL */
	void *context;
};

struct ask_answer {
	int status; /* 200, or HTTP's of what follows */
	int retry_after_s; /* 0: none */
	char name[32], title[128], detail[512]; /* where the status is not 200: as of a problem (problem.h) */
	struct buffer sql; /* the last statement that the model wrote; "" where there was none */
	struct buffer rows; /* JSON objects, a line each */
	struct buffer columns, tables; /* JSON lists: [{"name", "type"}], ["main.t"] */
	int64_t row_count, snapshot; /* snapshot -1: not known */
	bool truncated; /* there are more rows */
	const char *model; /* borrowed from the manifest; NULL: there is none */
	int attempts; /* statements asked for */
	int64_t input_tokens, output_tokens; /* of all attempts; -1: not told */
	int64_t describe_ms, model_ms, query_ms, total_ms;
};

/* Fills *ret_answer, which is the caller's to release, whatever happens. */
void ask(struct asker *asker, const struct ask_question *question, struct ask_answer *ret_answer);
void ask_answer_release(struct ask_answer *answer);

#define OWNED_ASK_ANSWER OWNED_BY(ask_answer_release)

/* The answer as POST /sql sends it: a JSON object; of a status other than 200 a problem. instance: the path, or NULL.
 */
void ask_write_json(const struct ask_answer *answer, const char *instance, struct buffer *out);

/* The cells of each row, for tables and CSV. Numbers are as they were written, nested values JSON, NULL is NULL. */
struct ask_cell {
	const char *name, *text;
	size_t size;
	bool number;
};
/* The columns' names, also where there is no row. -1: of `each`, or CORRUPT. */
int ask_columns(const struct ask_answer *answer, int (*each)(void *context, const char *const *names, int count),
                void *context, struct error *err);
/* CORRUPT: the rows are not what they should be. Whatever is not 0 of `each` ends it, and is returned. */
int ask_each_row(const struct ask_answer *answer, int (*each)(void *context, const struct ask_cell *cells, int count),
                 void *context, struct error *err);

#endif
