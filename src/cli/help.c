/*
 * help.c - `tarn help`, `tarn COMMAND --help`, `tarn version`.
 */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "base/owned.h"
#include "cli/cli.h"
#include "spec/mistake.h"

#define WIDTH 80
#define OPTION_COLUMN 26

/* Bytes of the word at `text`. What stands in brackets is one. */
static size_t word_size(const char *text, const char *end)
{
	size_t size = *text == '[' ? strcspn(text, "]") : 0;

	size += strcspn(text + size, " ");
	return text + size > end ? (size_t)(end - text) : size;
}

/* Text wrapped at WIDTH without its backquotes; `column` is where the cursor is, `indent` that of further lines. */
static void append_wrapped(struct buffer *out, const char *text, size_t text_size, size_t column, size_t indent)
{
	const char *end = text + text_size;
	bool first = true;

	while (text < end) {
		size_t size = word_size(text, end), shown = 0;

		for (size_t i = 0; i < size; i++)
			shown += text[i] != '`';
		if (!first && column + 1 + shown > WIDTH) {
			buffer_printf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			buffer_char(out, ' ');
			column++;
		}
		for (size_t i = 0; i < size; i++)
			if (text[i] != '`')
				buffer_char(out, text[i]);
		column += shown;
		first = false;
		text += size + (text + size < end);
	}
	buffer_char(out, '\n');
}

const char *help_next_line(const char **description, enum help_line *ret_kind, size_t *ret_size)
{
	const char *line = *description + strspn(*description, "\n");

	if (!*line)
		return NULL;
	*ret_kind = strncmp(line, "    ", 4) ? HELP_PARAGRAPH : HELP_EXAMPLE;
	if (*ret_kind == HELP_EXAMPLE)
		line += 4;
	*ret_size = strcspn(line, "\n");
	*description = line + *ret_size;
	return line;
}

static void append_description(struct buffer *out, const char *description)
{
	enum help_line kind, before = HELP_PARAGRAPH;
	const char *line;
	size_t size;

	while ((line = help_next_line(&description, &kind, &size))) {
		if (kind == HELP_PARAGRAPH || before == HELP_PARAGRAPH)
			buffer_char(out, '\n');
		if (kind == HELP_PARAGRAPH)
			append_wrapped(out, line, size, 0, 0);
		else
			buffer_printf(out, "    %.*s\n", (int)size, line);
		before = kind;
	}
}

void help_option_form(const struct option *option, bool letter, struct buffer *out)
{
	if (letter && option->letter)
		buffer_printf(out, "-%c, ", option->letter);
	buffer_printf(out, "--%s%s%s", option->name, *option->argument ? " " : "", option->argument);
}

static void append_option(struct buffer *out, const struct option *option)
{
	OWNED_BUFFER struct buffer text = {0};
	size_t start = out->size, column;

	buffer_init(&text, 4096);
	buffer_printf(out, "  %s", option->letter ? "" : "    ");
	help_option_form(option, true, out);
	column = out->size - start;
	if (column + 2 > OPTION_COLUMN) {
		buffer_char(out, '\n');
		column = 0;
	}
	buffer_printf(out, "%*s", (int)(OPTION_COLUMN - column), "");
	buffer_text(&text, option->help);
	if (option->standard)
		buffer_printf(&text, " Default: %s.", option->standard);
	if (option->required)
		buffer_text(&text, " Required.");
	append_wrapped(out, buffer_string(&text), text.size, OPTION_COLUMN, OPTION_COLUMN);
}

static void append_options(struct buffer *out, enum command_id command, const char *title)
{
	const struct option *rows;
	bool any = false;
	int count;

	rows = option_rows(&count);
	for (int i = 0; i < count; i++) {
		if (rows[i].command != command)
			continue;
		if (!any)
			buffer_printf(out, "\n%s\n", title);
		any = true;
		append_option(out, &rows[i]);
	}
}

void help_synopsis(enum command_id id, struct buffer *out)
{
	const struct command *command = command_row(id);
	const struct option *rows;
	int count;

	rows = option_rows(&count);
	buffer_printf(out, "tarn %s%s%s", command->name, *command->arguments ? " " : "", command->arguments);
	for (int i = 0; i < count; i++) {
		if (rows[i].command != id)
			continue;
		buffer_text(out, rows[i].required ? " " : " [");
		help_option_form(&rows[i], false, out);
		buffer_text(out, rows[i].required ? "" : rows[i].kind == OPTION_LIST ? "]..." : "]");
	}
}

void help_overview(struct buffer *out)
{
	const struct exit_row *exits;
	int count;

	buffer_text(out, "tarn - " HELP_TITLE "\n\nusage: tarn COMMAND [ARGUMENT...] [OPTION...]\n\nCommands:\n");
	for (int i = 0; i < COMMAND_COUNT; i++) {
		const struct command *command = command_row((enum command_id)i);

		buffer_printf(out, "  %-12s%s\n", command->name, command->summary);
	}
	append_options(out, COMMAND_GLOBAL, "Options of every command:");
	buffer_text(out, "\nExit status:\n");
	exits = exit_rows(&count);
	for (int i = 0; i < count; i++) {
		buffer_printf(out, "  %3d  ", exits[i].code);
		append_wrapped(out, exits[i].meaning, strlen(exits[i].meaning), 7, 7);
	}
	buffer_text(out, "\n'tarn help COMMAND' explains a command.\n");
}

void help_command(enum command_id id, struct buffer *out)
{
	const struct command *command = command_row(id);
	OWNED_BUFFER struct buffer synopsis = {0};

	buffer_init(&synopsis, 4096);
	help_synopsis(id, &synopsis);
	buffer_printf(out, "tarn %s - %s\n\nusage: ", command->name, command->summary);
	append_wrapped(out, buffer_string(&synopsis), synopsis.size, 7, 11);
	append_description(out, command->description);
	append_options(out, id, "Options:");
	append_options(out, COMMAND_GLOBAL, "Options of every command:");
}

int cmd_help(const struct invocation *invocation)
{
	OWNED_BUFFER struct buffer out = {0};
	enum command_id command = COMMAND_COUNT;
	char quoted[QUOTED_SIZE];
	struct error err;

	buffer_init(&out, 1 << 20);
	if (invocation->positional_count) {
		command = command_find(invocation->positional[0]);
		if (command == COMMAND_COUNT) {
			error_set(&err, ERROR_INVALID, 0, "there is no command %s",
			          quote_text(quoted, invocation->positional[0]));
			return cli_usage(COMMAND_HELP, &err);
		}
	}
	if (option_flag(invocation, "man"))
		help_man(&out);
	else if (option_flag(invocation, "markdown"))
		help_markdown(&out);
	else if (command != COMMAND_COUNT)
		help_command(command, &out);
	else
		help_overview(&out);
	fputs(buffer_string(&out), stdout);
	return EXIT_DONE;
}

int cmd_version(const struct invocation *invocation)
{
	puts("tarn " TARN_VERSION);
	return EXIT_DONE;
}
