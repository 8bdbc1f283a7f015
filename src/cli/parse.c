/*
 * parse.c - argv to an invocation. Options may stand before, between and after positional arguments, as --name VALUE,
 * --name=VALUE, -n VALUE or -nVALUE; `--` ends them.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "spec/mistake.h"
#include "spec/values.h"

struct parsing {
	int argc, at; /* at: the next one to be read */
	char *const *argv;
	const struct option *rows;
	int row_count;
	struct invocation *invocation;
	struct error *err;
};

static bool applies(const struct parsing *parsing, const struct option *option)
{
	return option->command == COMMAND_GLOBAL || option->command == parsing->invocation->command;
}

static int wrong(const struct parsing *parsing, const struct option *option, const char *text, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* --NAME: 'TEXT' FORMAT */
static int wrong(const struct parsing *parsing, const struct option *option, const char *text, const char *format, ...)
{
	char quoted[QUOTED_SIZE], problem[256];
	va_list args;

	va_start(args, format);
	vsnprintf(problem, sizeof problem, format, args);
	va_end(args);
	return error_set(parsing->err, ERROR_INVALID, 0, "--%s: %s %s", option->name, quote_text(quoted, text),
	                 problem);
}

/* "256Mi" for 268435456 */
static const char *size_text(int64_t bytes, char *text, size_t size)
{
	static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti"};
	int unit = 0;

	for (; unit < 4 && bytes && bytes % 1024 == 0; unit++)
		bytes /= 1024;
	snprintf(text, size, "%" PRId64 "%s", bytes, units[unit]);
	return text;
}

static int check_range(const struct parsing *parsing, const struct option *option, const char *text, int64_t number)
{
	char least[32], most[32];
	const char *unit = option->kind == OPTION_DURATION ? "ms" : "";

	if (number >= option->least && number <= option->most)
		return 0;
	if (option->kind == OPTION_SIZE)
		return wrong(parsing, option, text, "is out of range: %s to %s would be right",
		             size_text(option->least, least, sizeof least), size_text(option->most, most, sizeof most));
	if (option->most == INT64_MAX)
		return wrong(parsing, option, text, "is out of range: %" PRId64 "%s or more would be right",
		             option->least, unit);
	return wrong(parsing, option, text, "is out of range: %" PRId64 "%s to %" PRId64 "%s would be right",
	             option->least, unit, option->most, unit);
}

static int parse_number(const struct parsing *parsing, const struct option *option, const char *text,
                        int64_t *ret_number)
{
	const char *problem, *right;

	switch (option->kind) {
	case OPTION_INT:
		problem = value_integer(text, ret_number);
		right = "a whole number";
		break;
	case OPTION_SIZE:
		problem = value_quantity(text, ret_number);
		right = "bytes, as 268435456 or 256Mi,";
		break;
	default:
		problem = value_duration(text, ret_number);
		right = "a duration, as 500ms, 5s or 1m30s,";
		break;
	}
	if (problem)
		return wrong(parsing, option, text, "%s: %s would be right", problem, right);
	return check_range(parsing, option, text, *ret_number);
}

static int parse_real(const struct parsing *parsing, const struct option *option, const char *text, double *ret_real)
{
	const char *problem = value_number(text);
	double real;

	if (problem)
		return wrong(parsing, option, text, "%s: %" PRId64 " to %" PRId64 " would be right", problem,
		             option->least, option->most);
	real = strtod(text, NULL);
	if (real < (double)option->least || real > (double)option->most)
		return wrong(parsing, option, text, "is out of range: %" PRId64 " to %" PRId64 " would be right",
		             option->least, option->most);
	*ret_real = real;
	return 0;
}

/* The next of the choices a|b|c, or NULL; *ret_size bytes. */
static const char *next_choice(const char *after, const char *choices, size_t *ret_size)
{
	const char *choice = after ? after + *ret_size : choices;

	if (after && !*choice)
		return NULL;
	choice += after != NULL;
	*ret_size = strcspn(choice, "|");
	return choice;
}

static int parse_choice(const struct parsing *parsing, const struct option *option, const char *text)
{
	size_t size = 0;

	for (const char *choice = next_choice(NULL, option->argument, &size); choice;
	     choice = next_choice(choice, option->argument, &size))
		if (strlen(text) == size && !memcmp(choice, text, size))
			return 0;
	return wrong(parsing, option, text, "is not a choice: %s would be right", option->argument);
}

static int add_item(struct option_value *value, const char *text, struct error *err)
{
	const char **items = realloc(value->items, (size_t)(value->item_count + 1) * sizeof *items);

	if (!items)
		return error_no_memory(err);
	value->items = items;
	items[value->item_count++] = text;
	return 0;
}

static int set_value(const struct parsing *parsing, const struct option *option, const char *text)
{
	struct option_value *value = &parsing->invocation->values[option - parsing->rows];

	value->text = text;
	switch (option->kind) {
	case OPTION_FLAG: return 0;
	case OPTION_TEXT:
	case OPTION_PATH:
		return *text ? 0 : wrong(parsing, option, text, "is empty: %s would be right", option->argument);
	case OPTION_LIST: return add_item(value, text, parsing->err);
	case OPTION_CHOICE: return parse_choice(parsing, option, text);
	case OPTION_NUMBER: return parse_real(parsing, option, text, &value->real);
	case OPTION_INT:
	case OPTION_SIZE:
	case OPTION_DURATION: return parse_number(parsing, option, text, &value->number);
	}
	return 0;
}

/* attached: the value behind = or behind the letter, or NULL. */
static int give(struct parsing *parsing, const struct option *option, const char *attached)
{
	parsing->invocation->values[option - parsing->rows].given = true;
	if (option->kind == OPTION_FLAG)
		return attached ? error_set(parsing->err, ERROR_INVALID, 0, "--%s takes no value", option->name) : 0;
	if (attached)
		return set_value(parsing, option, attached);
	if (parsing->at == parsing->argc)
		return error_set(parsing->err, ERROR_INVALID, 0, "--%s needs a value: %s", option->name,
		                 option->argument);
	return set_value(parsing, option, parsing->argv[parsing->at++]);
}

static int unknown_option(const struct parsing *parsing, const char *text)
{
	char quoted[QUOTED_SIZE];
	const char *names[64], *nearest;
	enum command_id command = parsing->invocation->command;
	int count = 0;

	for (int i = 0; i < parsing->row_count && count < (int)COUNT_OF(names); i++)
		if (applies(parsing, &parsing->rows[i]))
			names[count++] = parsing->rows[i].name;
	nearest = text[1] == '-' ? nearest_name(text + 2, names, count) : NULL;
	quote_text(quoted, text);
	if (nearest)
		return error_set(parsing->err, ERROR_INVALID, 0, "there is no option %s: did you mean --%s?", quoted,
		                 nearest);
	if (command == COMMAND_COUNT)
		return error_set(parsing->err, ERROR_INVALID, 0,
		                 "there is no option %s before a command: a command's own options come after it",
		                 quoted);
	return error_set(parsing->err, ERROR_INVALID, 0, "%s has no option %s", command_row(command)->name, quoted);
}

static int parse_long(struct parsing *parsing, const char *text)
{
	char name[64];
	size_t size = strcspn(text + 2, "=");
	const char *attached = text[2 + size] ? text + 2 + size + 1 : NULL;

	snprintf(name, sizeof name, "%.*s", (int)(size < sizeof name ? size : sizeof name - 1), text + 2);
	for (int i = 0; i < parsing->row_count; i++)
		if (applies(parsing, &parsing->rows[i]) && !strcmp(parsing->rows[i].name, name))
			return give(parsing, &parsing->rows[i], attached);
	snprintf(name, sizeof name, "--%.*s", (int)(size < sizeof name - 3 ? size : sizeof name - 3), text + 2);
	return unknown_option(parsing, name);
}

static int parse_letters(struct parsing *parsing, const char *text)
{
	for (const char *letter = text + 1; *letter; letter++) {
		const struct option *option = NULL;

		for (int i = 0; i < parsing->row_count; i++)
			if (applies(parsing, &parsing->rows[i]) && parsing->rows[i].letter == *letter)
				option = &parsing->rows[i];
		if (!option)
			return unknown_option(parsing, text);
		if (option->kind != OPTION_FLAG)
			return give(parsing, option, letter[1] ? letter + 1 : NULL);
		if (give(parsing, option, NULL))
			return -1;
	}
	return 0;
}

static int parse_word(struct parsing *parsing, const char *text)
{
	struct invocation *invocation = parsing->invocation;
	const char *names[COMMAND_COUNT], *nearest;
	char quoted[QUOTED_SIZE];

	if (invocation->command != COMMAND_COUNT) {
		invocation->positional[invocation->positional_count++] = text;
		return 0;
	}
	invocation->command = command_find(text);
	if (invocation->command != COMMAND_COUNT)
		return 0;
	for (int i = 0; i < COMMAND_COUNT; i++)
		names[i] = command_row((enum command_id)i)->name;
	nearest = nearest_name(text, names, COMMAND_COUNT);
	quote_text(quoted, text);
	if (nearest)
		return error_set(parsing->err, ERROR_INVALID, 0, "there is no command %s: did you mean %s?", quoted,
		                 nearest);
	return error_set(parsing->err, ERROR_INVALID, 0, "there is no command %s", quoted);
}

static int parse_all(struct parsing *parsing)
{
	bool ended = false;

	while (parsing->at < parsing->argc) {
		const char *text = parsing->argv[parsing->at++];
		int failed;

		if (!ended && !strcmp(text, "--")) {
			ended = true;
			continue;
		}
		if (!ended && !strncmp(text, "--", 2))
			failed = parse_long(parsing, text);
		else if (!ended && text[0] == '-' && text[1])
			failed = parse_letters(parsing, text);
		else
			failed = parse_word(parsing, text);
		if (failed)
			return -1;
	}
	return 0;
}

/* The positional arguments and required options of the command are there. */
static int check_complete(const struct parsing *parsing)
{
	const struct invocation *invocation = parsing->invocation;
	const struct command *command = command_row(invocation->command);
	char quoted[QUOTED_SIZE];

	for (int i = 0; i < parsing->row_count; i++) {
		const struct option *option = &parsing->rows[i];

		if (option->command == invocation->command && option->required && !invocation->values[i].given)
			return error_set(parsing->err, ERROR_INVALID, 0, "%s needs --%s %s", command->name,
			                 option->name, option->argument);
	}
	if (invocation->positional_count < command->least)
		return error_set(parsing->err, ERROR_INVALID, 0, "%s needs %s, %s given: tarn %s %s", command->name,
		                 command->least == 1 ? "one argument" : "two arguments",
		                 invocation->positional_count ? "one is" : "none is", command->name,
		                 command->arguments);
	if (command->most >= 0 && invocation->positional_count > command->most) {
		quote_text(quoted, invocation->positional[command->most]);
		return error_set(parsing->err, ERROR_INVALID, 0, "%s takes no argument %s: tarn %s%s%s", command->name,
		                 quoted, command->name, *command->arguments ? " " : "", command->arguments);
	}
	return 0;
}

static int set_defaults(const struct parsing *parsing)
{
	for (int i = 0; i < parsing->row_count; i++)
		if (parsing->rows[i].standard && set_value(parsing, &parsing->rows[i], parsing->rows[i].standard))
			return -1;
	return 0;
}

/* --help and --version stand for the commands of these names, whatever else is missing. */
static bool asks_for_help(struct invocation *invocation)
{
	enum command_id asked = invocation->command;

	if (option_flag(invocation, "help")) {
		invocation->positional_count = 0;
		if (asked != COMMAND_COUNT)
			invocation->positional[invocation->positional_count++] = command_row(asked)->name;
		invocation->command = COMMAND_HELP;
		return true;
	}
	if (option_flag(invocation, "version")) {
		invocation->positional_count = 0;
		invocation->command = COMMAND_VERSION;
		return true;
	}
	return false;
}

int options_parse(int argc, char *const *argv, struct invocation *ret_invocation, struct error *err)
{
	struct invocation invocation = {.command = COMMAND_COUNT};
	struct parsing parsing = {.argc = argc, .at = 1, .argv = argv, .invocation = &invocation, .err = err};
	int failed;

	parsing.rows = option_rows(&parsing.row_count);
	invocation.values = calloc((size_t)parsing.row_count, sizeof *invocation.values);
	/* One more than argv has: --help puts the command's name here. */
	invocation.positional = calloc((size_t)argc + 1, sizeof *invocation.positional);
	if (!invocation.values || !invocation.positional) {
		invocation_release(&invocation);
		return error_no_memory(err);
	}
	failed = set_defaults(&parsing) || parse_all(&parsing);
	if (!failed && !asks_for_help(&invocation)) {
		if (invocation.command == COMMAND_COUNT)
			failed = error_set(err, ERROR_INVALID, 0, "say which command");
		else
			failed = check_complete(&parsing);
	}
	ret_invocation->command = invocation.command;
	if (failed) {
		invocation_release(&invocation);
		return -1;
	}
	*ret_invocation = invocation;
	return 0;
}
