/*
 * manual.c - the table as a manual page (man(7)) and as Markdown. docs/tarn.1 and docs/cli.md are what this prints; a
 * unit test compares them.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/owned.h"
#include "cli/help.h"

/* Text with what roff would take for its own escaped, `code` in bold. Never a line that starts with a control. */
static void roff_text(struct buffer *out, const char *text, size_t size)
{
	bool code = false;

	for (size_t i = 0; i < size; i++) {
		switch (text[i]) {
		case '\\': buffer_text(out, "\\e"); break;
		case '-': buffer_text(out, "\\-"); break;
		case '\'': buffer_text(out, i ? "\\(aq" : "\\&\\(aq"); break;
		case '.': buffer_text(out, i ? "." : "\\&."); break;
		case '`':
			code = !code;
			buffer_text(out, code ? "\\fB" : "\\fR");
			break;
		default: buffer_char(out, text[i]);
		}
	}
}

static void roff_description(struct buffer *out, const char *description)
{
	enum help_line kind, before = HELP_PARAGRAPH;
	const char *line;
	size_t size;

	while ((line = help_next_line(&description, &kind, &size))) {
		if (kind != before)
			buffer_text(out, kind == HELP_EXAMPLE ? ".PP\n.RS 4\n.nf\n" : ".fi\n.RE\n");
		if (kind == HELP_PARAGRAPH)
			buffer_text(out, ".PP\n");
		roff_text(out, line, size);
		buffer_char(out, '\n');
		before = kind;
	}
	if (before == HELP_EXAMPLE)
		buffer_text(out, ".fi\n.RE\n");
}

static void roff_options(struct buffer *out, enum command_id command)
{
	const struct option *rows;
	int count;

	rows = option_rows(&count);
	for (int i = 0; i < count; i++) {
		const struct option *row = &rows[i];

		if (row->command != command)
			continue;
		buffer_text(out, ".TP\n");
		if (row->letter)
			buffer_printf(out, "\\fB\\-%c\\fR, ", row->letter);
		buffer_text(out, "\\fB\\-\\-");
		roff_text(out, row->name, strlen(row->name));
		buffer_text(out, *row->argument ? "\\fR \\fI" : "\\fR");
		roff_text(out, row->argument, strlen(row->argument));
		buffer_text(out, *row->argument ? "\\fR\n" : "\n");
		roff_text(out, row->help, strlen(row->help));
		if (row->standard) {
			buffer_text(out, " Default: ");
			roff_text(out, row->standard, strlen(row->standard));
			buffer_char(out, '.');
		}
		buffer_text(out, row->required ? " Required.\n" : "\n");
	}
}

static void roff_command(struct buffer *out, enum command_id id)
{
	OWNED_BUFFER struct buffer synopsis = {0};

	buffer_init(&synopsis, 4096);
	help_synopsis(id, &synopsis);
	buffer_text(out, ".SS \"");
	roff_text(out, buffer_string(&synopsis), synopsis.size);
	buffer_text(out, "\"\n");
	roff_text(out, command_row(id)->summary, strlen(command_row(id)->summary));
	buffer_text(out, ".\n");
	roff_description(out, command_row(id)->description);
	roff_options(out, id);
}

void help_man(struct buffer *out)
{
	const struct exit_row *exits;
	int count;

	buffer_text(out,
	            ".\\\" Made by `tarn help --man`.\n.TH TARN 1 \"\" \"Tarn " TARN_VERSION "\" \"Tarn\"\n.nh\n.ad l\n"
	            ".SH NAME\ntarn \\- " HELP_TITLE "\n"
	            ".SH SYNOPSIS\n\\fBtarn\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR...] [\\fIOPTION\\fR...]\n"
	            ".SH DESCRIPTION\n"
	            "Tarn brings Kafka topics into the tables of a DuckLake lakehouse. Rows, what could not be read, "
	            "and the next\n"
	            "offsets commit in one lake transaction. One manifest file says what goes where.\n"
	            ".PP\nOptions may stand before, between and after arguments; \\fB\\-\\-\\fR ends them.\n"
	            ".SH COMMANDS\n");
	for (int i = 0; i < COMMAND_COUNT; i++)
		roff_command(out, (enum command_id)i);
	buffer_text(out, ".SH OPTIONS OF EVERY COMMAND\n");
	roff_options(out, COMMAND_GLOBAL);
	buffer_text(out, ".SH EXIT STATUS\n");
	exits = exit_rows(&count);
	for (int i = 0; i < count; i++) {
		buffer_printf(out, ".TP\n.B %d\n", exits[i].code);
		roff_text(out, exits[i].meaning, strlen(exits[i].meaning));
		buffer_char(out, '\n');
	}
	buffer_text(out, ".SH ENVIRONMENT\n"
	                 ".TP\n.B NO_COLOR\nNo colours, unless \\-\\-color says otherwise.\n"
	                 ".TP\n.B TARN_EXTENSIONS\nThe folder of the DuckDB extensions, instead of the one known at "
	                 "build time.\n"
	                 ".TP\n.B TMPDIR\nWhere DuckDB spills what does not fit in memory; /tmp otherwise.\n");
}

/* A table cell: | would end it. */
static void markdown_cell(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			buffer_char(out, '\\');
		buffer_char(out, *text);
	}
}

static void markdown_options(struct buffer *out, enum command_id command)
{
	const struct option *rows;
	bool any = false;
	int count;

	rows = option_rows(&count);
	for (int i = 0; i < count; i++) {
		OWNED_BUFFER struct buffer form = {0};

		if (rows[i].command != command)
			continue;
		if (!any)
			buffer_text(out, "\n| Option | Meaning | Default |\n|---|---|---|\n");
		any = true;
		buffer_init(&form, 4096);
		help_option_form(&rows[i], true, &form);
		buffer_text(out, "| `");
		markdown_cell(out, buffer_string(&form));
		buffer_text(out, "` | ");
		markdown_cell(out, rows[i].help);
		if (rows[i].required)
			buffer_text(out, " | required |\n");
		else
			buffer_printf(out, " | %s%s%s |\n", rows[i].standard ? "`" : "",
			              rows[i].standard ? rows[i].standard : "", rows[i].standard ? "`" : "");
	}
}

static void markdown_description(struct buffer *out, const char *description)
{
	enum help_line kind, before = HELP_PARAGRAPH;
	const char *line;
	size_t size;

	while ((line = help_next_line(&description, &kind, &size))) {
		if (kind == HELP_EXAMPLE && before == HELP_PARAGRAPH)
			buffer_text(out, "\n```sh\n");
		else if (kind == HELP_PARAGRAPH)
			buffer_text(out, before == HELP_EXAMPLE ? "```\n\n" : "\n");
		buffer_append(out, line, size);
		buffer_char(out, '\n');
		before = kind;
	}
	if (before == HELP_EXAMPLE)
		buffer_text(out, "```\n");
}

static const struct {
	const char *name, *type, *scope, *help;
} metrics[] = {
#define METRIC(id, type, scope, per_unit, name, help) {name, #type, #scope, help},
#include "base/metrics.def"
#define HISTOGRAM(id, scope, name, help) {name, "histogram", #scope, help},
#include "base/metrics.def"
};

static const struct {
	enum log_level level;
	const char *name, *meaning;
} events[] = {
#define LOG_EVENT(id, level, name, meaning) {level, name, meaning},
#include "base/log.def"
#undef LOG_EVENT
};

/* By the scope in metrics.def. */
static const char *labels_of(const char *scope)
{
	static const struct {
		const char *scope, *labels[3];
	} scopes[] = {
#define SCOPE_LABELS(id, first, second, third) {#id, {first, second, third}},
	        METRIC_SCOPES(SCOPE_LABELS)
#undef SCOPE_LABELS
	};
	static char text[128];

	*text = 0;
	for (size_t i = 0; i < COUNT_OF(scopes); i++)
		for (int l = 0; !strcmp(scopes[i].scope, scope) && l < 3 && scopes[i].labels[l]; l++)
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", l ? ", " : "",
			         scopes[i].labels[l]);
	if (!strcmp(scope, "LANE"))
		snprintf(text + strlen(text), sizeof text - strlen(text), ", partition");
	return text;
}

/* What /metrics and the JSON log lines hold, for those who watch a run. */
static void markdown_watching(struct buffer *out)
{
	buffer_text(out, "\n## Metrics\n\n`tarn run --listen` and `tarn serve` answer `/metrics` with these.\n\n"
	                 "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < COUNT_OF(metrics); i++)
		buffer_printf(out, "| `%s` | %s | %s | %s |\n", metrics[i].name, metrics[i].type,
		              labels_of(metrics[i].scope), metrics[i].help);
	buffer_text(
	        out,
	        "\n## Log events\n\nOff a terminal each line of standard error is a JSON object with `ts`, `level`, "
	        "`event`, `message` and what belongs to the event.\n\n"
	        "| Event | Level | Meaning |\n|---|---|---|\n");
	for (size_t i = 0; i < COUNT_OF(events); i++)
		buffer_printf(out, "| `%s` | %s | %s |\n", events[i].name, log_level_names[events[i].level],
		              events[i].meaning);
}

void help_markdown(struct buffer *out)
{
	const struct exit_row *exits;
	int count;

	buffer_text(out, "<!-- Made by `tarn help --markdown`. -->\n# The command line\n\n`tarn COMMAND [ARGUMENT...] "
	                 "[OPTION...]`: "
	                 "options may stand before, between and after arguments; `--` ends them.\n\n");
	for (int i = 0; i < COMMAND_COUNT; i++) {
		const struct command *command = command_row((enum command_id)i);

		buffer_printf(out, "- [`tarn %s`](#tarn-%s): %s\n", command->name, command->name, command->summary);
	}
	for (int i = 0; i < COMMAND_COUNT; i++) {
		buffer_printf(out, "\n## tarn %s\n\n`", command_row((enum command_id)i)->name);
		help_synopsis((enum command_id)i, out);
		buffer_text(out, "`\n");
		markdown_description(out, command_row((enum command_id)i)->description);
		markdown_options(out, (enum command_id)i);
	}
	buffer_text(out, "\n## Options of every command\n");
	markdown_options(out, COMMAND_GLOBAL);
	buffer_text(out, "\n## Exit status\n\n| Status | Meaning |\n|---|---|\n");
	exits = exit_rows(&count);
	for (int i = 0; i < count; i++)
		buffer_printf(out, "| %d | %s |\n", exits[i].code, exits[i].meaning);
	markdown_watching(out);
}
