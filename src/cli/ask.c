/*
 * ask.c - `tarn ask`: a question in words, answered as POST /sql does, without a server.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/owned.h"
#include "cli/cli.h"
#include "cli/display.h"
#include "cli/table.h"
#include "query/write.h"
#include "serve/ask.h"
#include "spec/spec.h"

#define BYTES_MAX ((size_t)64 << 20)
#define PATIENCE_MS 2000

/* ---- SIGINT is a client that goes away */

struct line {
	pthread_t thread;
	int ends[2]; /* [0] is the client's socket as the service sees it */
	int over[2]; /* a pipe: closed for writing when the question is answered */
	bool runs;
};

static void *line_main(void *argument)
{
	struct line *line = argument;
	struct pollfd fds[] = {{.fd = cli_interrupt_fd(), .events = POLLIN}, {.fd = line->over[0], .events = POLLIN}};

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	shutdown(line->ends[1], SHUT_RDWR);
	return NULL;
}

static void line_end(struct line *line)
{
	if (line->over[1] >= 0)
		close(line->over[1]);
	if (line->runs)
		pthread_join(line->thread, NULL);
	if (line->over[0] >= 0)
		close(line->over[0]);
	for (int i = 0; i < 2; i++)
		if (line->ends[i] >= 0)
			close(line->ends[i]);
}

static int line_begin(struct line *line, struct error *err)
{
	*line = (struct line){.ends = {-1, -1}, .over = {-1, -1}};
	cli_catch_signals();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line->ends) || pipe2(line->over, O_CLOEXEC))
		return error_set(err, ERROR_FATAL, errno, "cannot make a pipe: %s", strerror(errno));
	line->runs = !pthread_create(&line->thread, NULL, line_main, line);
	return line->runs ? 0 : error_set(err, ERROR_FATAL, 0, "cannot start a thread");
}

/* ---- what is shown */

static void tell(void *context, const char *what)
{
	char text[128];

	snprintf(text, sizeof text, "%s...", what);
	log_progress(text);
}

/* A model's text must not steer a terminal; a statement's lines are its own. */
static void show_sql(const struct ask_answer *answer, FILE *out)
{
	OWNED_BUFFER struct buffer shown = {0};
	OWNED_FREE char *sql = strdup(buffer_string(&answer->sql));
	bool dim = out == stderr && color_for(out);

	if (!sql || !*sql)
		return;
	buffer_init(&shown, BUFFER_DEFAULT_MAXIMUM);
	for (char *rest = sql, *line; (line = strsep(&rest, "\n"));) {
		display_text(&shown, line);
		buffer_char(&shown, '\n');
	}
	fprintf(out, "%s%s%s", dim ? "\033[2m" : "", buffer_string(&shown), dim ? "\033[0m" : "");
}

struct shown {
	struct table *table;
	struct buffer *csv;
	bool headed;
};

static void add_table_row(struct table *table, const struct ask_cell *cells, int count)
{
	for (int i = 0; i < count; i++) {
		OWNED_FREE char *text = cells[i].text ? strndup(cells[i].text, cells[i].size) : NULL;

		if (cells[i].number)
			table_number(table, i);
		table_cell(table, text);
	}
}

static int add_row(void *context, const struct ask_cell *cells, int count)
{
	struct shown *shown = context;

	if (!shown->csv) {
		add_table_row(shown->table, cells, count);
		return 0;
	}
	for (int i = 0; i < count; i++) {
		buffer_text(shown->csv, i ? "," : "");
		write_csv_field(shown->csv, &(struct query_cell){cells[i].text, cells[i].size});
	}
	buffer_char(shown->csv, '\n');
	return 0;
}

/* The names stand in the columns, also where there is no row. */
static int add_header(void *context, const char *const *names, int count)
{
	struct shown *shown = context;

	if (!shown->csv) {
		shown->table = table_new(count, names);
		return shown->table ? 0 : -1;
	}
	for (int i = 0; i < count; i++) {
		buffer_text(shown->csv, i ? "," : "");
		write_csv_field(shown->csv, &(struct query_cell){names[i], strlen(names[i])});
	}
	buffer_char(shown->csv, '\n');
	return 0;
}

static int show_rows(const struct ask_answer *answer, bool csv, struct error *err)
{
	OWNED_BUFFER struct buffer text = {0};
	struct shown shown = {.csv = csv ? &text : NULL};
	char count[HUMAN_SIZE];
	int failed;

	buffer_init(&text, BUFFER_DEFAULT_MAXIMUM);
	failed = ask_columns(answer, add_header, &shown, err) || ask_each_row(answer, add_row, &shown, err);
	if (!failed && !csv) {
		failed = table_print(shown.table, stdout, err);
		printf("%s %s\n", human_count(answer->row_count, count), answer->row_count == 1 ? "row" : "rows");
	}
	table_free(shown.table);
	if (failed)
		return -1;
	if (!buffer_ok(&text))
		return error_no_memory(err);
	fwrite(buffer_string(&text), 1, text.size, stdout);
	if (answer->truncated)
		fprintf(stderr, "the first %s rows; there are more\n", human_count(answer->row_count, count));
	return 0;
}

static int show_json(const struct ask_answer *answer)
{
	OWNED_BUFFER struct buffer text = {0};

	buffer_init(&text, BUFFER_DEFAULT_MAXIMUM);
	ask_write_json(answer, NULL, &text);
	fwrite(buffer_string(&text), 1, text.size, stdout);
	return EXIT_DONE;
}

/* ---- what becomes of it */

static int fail_answer(const struct ask_answer *answer)
{
	struct error err;

	if (cli_interrupted()) {
		error_set(&err, ERROR_NONE, 0, "interrupted");
		cli_fail(&err);
		return EXIT_INTERRUPTED;
	}
	show_sql(answer, stderr);
	switch (answer->status) {
	case 408:
	case 429:
	case 502:
	case 503:
	case 504: error_set(&err, ERROR_TRANSIENT, 0, "%s", answer->detail); break;
	case 500: error_set(&err, ERROR_FATAL, 0, "%s", answer->detail); break;
	default: error_set(&err, ERROR_INVALID, 0, "%s", answer->detail); break;
	}
	cli_fail(&err);
	return !strcmp(answer->name, "cannot_answer") || !strcmp(answer->name, "model_declined") ? EXIT_NO
	                                                                                         : exit_code(err.kind);
}

static int show(const struct invocation *invocation, const struct ask_answer *answer)
{
	const char *format = option_text(invocation, "format");
	struct error err;

	log_progress(NULL);
	if (answer->status != 200)
		return fail_answer(answer);
	if (option_flag(invocation, "sql-only")) {
		show_sql(answer, stdout);
		return EXIT_DONE;
	}
	if (!strcmp(format, "json"))
		return show_json(answer);
	show_sql(answer, stderr);
	return show_rows(answer, !strcmp(format, "csv"), &err) ? cli_fail(&err) : EXIT_DONE;
}

static int ask_service(const struct invocation *invocation, struct service *service, const struct spec_catalog *catalog,
                       struct asker *asker)
{
	OWNED_ASK_ANSWER struct ask_answer answer = {0};
	struct line line = {.ends = {-1, -1}, .over = {-1, -1}};
	struct ask_question question = {
	        .text = invocation->positional[1],
	        .catalog = catalog,
	        .route = "tarn ask",
	        .client = "tarn ask",
	        .max_rows = option_int(invocation, "limit"),
	        .max_bytes = BYTES_MAX,
	        .sql_only = option_flag(invocation, "sql-only"),
	        .tell = tell,
	};
	struct error err;
	int status;

	if (line_begin(&line, &err)) {
		status = cli_fail(&err);
	} else {
		question.client_fd = line.ends[0];
		ask(asker, &question, &answer);
		status = show(invocation, &answer);
	}
	line_end(&line);
	return status;
}

/* What is missing is shown as it would stand there. */
static int check_assistant(const struct manifest *manifest, const struct spec_catalog *catalog, struct error *err)
{
	for (int i = 0; i < manifest->assistant_count; i++)
		if (manifest->assistants[i].catalog == catalog)
			return 0;
	fprintf(stderr,
	        "%s has no DuckLakeAssistant of catalog %s. One would be:\n\n"
	        "---\n"
	        "apiVersion: " SPEC_API_VERSION "\n"
	        "kind: DuckLakeAssistant\n"
	        "metadata: {name: questions}\n"
	        "spec:\n"
	        "  catalogRef: %s\n"
	        "  provider: anthropic          # or openai, with baseUrl: http://127.0.0.1:8080 (llama.cpp, "
	        "Ollama...)\n"
	        "  model: claude-sonnet-4-5\n"
	        "  apiKey: ${ANTHROPIC_API_KEY}\n\n",
	        manifest->file, catalog->name, catalog->name);
	return error_set(err, ERROR_INVALID, 0, "no language model is named in %s", manifest->file);
}

int cmd_ask(const struct invocation *invocation)
{
	struct manifest *manifest;
	struct spec_catalog *catalog;
	struct service *service = NULL;
	struct asker *asker = NULL;
	struct error err;
	int status;

	/* Workers come and go, which is nobody's concern here. */
	if (!option_given(invocation, "log-level"))
		log_init(!strcmp(option_text(invocation, "log-format"), "json"), LOG_WARN, color_for(stderr));
	manifest = manifest_load(invocation->positional[0], &err);
	if (!manifest)
		return cli_fail(&err);
	catalog = manifest_catalog(manifest, option_text(invocation, "catalog"), &err);
	/* There is nobody to audit but whoever sees the answer. */
	if (catalog && !check_assistant(manifest, catalog, &err))
		service = service_new(&(struct service_options){.manifest = manifest, .audit = "/dev/null"}, &err);
	if (service)
		asker = asker_new(service, &err);
	status = asker ? ask_service(invocation, service, catalog, asker) : cli_fail(&err);
	asker_free(asker);
	if (service)
		service_stop(service, PATIENCE_MS);
	service_free(service);
	manifest_free(manifest);
	return status;
}
