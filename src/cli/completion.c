/*
 * completion.c - `tarn completion`: what the table says, as the three shells want to be told it.
 */
#include <stdio.h>
#include <string.h>

#include "base/owned.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "spec/mistake.h"

static const struct option *next_option(const struct option *after, enum command_id command)
{
	int count;
	const struct option *rows = option_rows(&count);

	for (const struct option *row = after ? after + 1 : rows; row < rows + count; row++)
		if (row->command == command)
			return row;
	return NULL;
}

#define EACH_OPTION(row, command)                                                                                      \
	const struct option *row = next_option(NULL, command);                                                         \
	row;                                                                                                           \
	row = next_option(row, command)
#define EACH_COMMAND(id)                                                                                               \
	enum command_id id = (enum command_id)0;                                                                       \
	id < COMMAND_COUNT;                                                                                            \
	id++

/* The first positional argument is a file. */
static bool takes_file(enum command_id command)
{
	const char *arguments = command_row(command)->arguments;

	return !strncmp(arguments + (*arguments == '['), "FILE", 4);
}

/* The first positional argument is a choice "a|b|c", and a file follows: how long the choice is; 0: it is not so. */
static size_t verbs_size(enum command_id command)
{
	const char *arguments = command_row(command)->arguments;
	size_t size = strcspn(arguments, " ");

	return memchr(arguments, '|', size) && !strncmp(arguments + size, " FILE", 5) ? size : 0;
}

/* Its choices, separated by spaces. */
static void append_verbs(struct buffer *out, enum command_id command)
{
	for (size_t i = 0; i < verbs_size(command); i++)
		buffer_char(out, command_row(command)->arguments[i] == '|' ? ' ' : command_row(command)->arguments[i]);
}

/* a|b|c with another separator */
static void append_choices(struct buffer *out, const char *choices, char separator)
{
	for (; *choices; choices++)
		buffer_char(out, *choices == '|' ? separator : *choices);
}

static void append_command_names(struct buffer *out, char separator)
{
	for (EACH_COMMAND(id)) {
		if (id)
			buffer_char(out, separator);
		buffer_text(out, command_row(id)->name);
	}
}

/* Text inside single quotes of a shell, without backquotes. `special` characters get a backslash. */
static void append_quoted(struct buffer *out, const char *text, const char *special)
{
	for (; *text; text++) {
		if (*text == '\'') {
			buffer_text(out, "'\\''");
			continue;
		}
		if (*text == '`')
			continue;
		if (strchr(special, *text))
			buffer_char(out, '\\');
		buffer_char(out, *text);
	}
}

/* ---- bash */

/* "query --format" as a pattern of bash; a global option's is *" --color" */
static void bash_pattern(struct buffer *out, const struct option *row, const char *dashes, const char *name)
{
	if (row->command == COMMAND_GLOBAL)
		buffer_printf(out, "*\" %s%s\"", dashes, name);
	else
		buffer_printf(out, "\"%s %s%s\"", command_row(row->command)->name, dashes, name);
}

/* One branch for the word after an option: its choices, files, or nothing to offer. */
static void bash_value(struct buffer *out, const struct option *row)
{
	if (row->kind == OPTION_FLAG)
		return;
	buffer_char(out, '\t');
	bash_pattern(out, row, "--", row->name);
	if (row->letter) {
		buffer_char(out, '|');
		bash_pattern(out, row, "-", (char[]){row->letter, 0});
	}
	buffer_text(out, ") ");
	if (row->kind == OPTION_CHOICE) {
		buffer_text(out, "COMPREPLY=($(compgen -W \"");
		append_choices(out, row->argument, ' ');
		buffer_text(out, "\" -- \"$current\"))");
	} else {
		buffer_text(out, row->kind == OPTION_PATH ? "compopt -o default" : ":");
	}
	buffer_text(out, "; return ;;\n");
}

static void bash_names(struct buffer *out, enum command_id command)
{
	for (EACH_OPTION(row, command)) {
		buffer_printf(out, " --%s", row->name);
		if (row->letter)
			buffer_printf(out, " -%c", row->letter);
	}
}

static void bash_script(struct buffer *out)
{
	const struct option *rows;
	int count;

	rows = option_rows(&count);
	buffer_text(out,
	            "# bash completion for tarn, made by `tarn completion bash`\n"
	            "_tarn()\n{\n"
	            "\tlocal current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= options= i\n"
	            "\tif [[ $current == \"=\" ]]; then\n\t\tcurrent=\n"
	            "\telif [[ $before == \"=\" ]]; then\n\t\tbefore=${COMP_WORDS[COMP_CWORD-2]}\n\tfi\n"
	            "\tCOMPREPLY=()\n"
	            "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tcase ${COMP_WORDS[i]} in\n\t\t");
	append_command_names(out, '|');
	buffer_text(out, ") command=${COMP_WORDS[i]}; break ;;\n\t\tesac\n\tdone\n\tcase \"$command $before\" in\n");
	for (int i = 0; i < count; i++)
		bash_value(out, &rows[i]);
	buffer_text(out, "\tesac\n\tcase $command in\n");
	for (EACH_COMMAND(id)) {
		buffer_printf(out, "\t%s) options=\"", command_row(id)->name);
		bash_names(out, id);
		buffer_text(out, "\" ;;\n");
	}
	buffer_text(out, "\tesac\n\tif [[ $current == -* ]]; then\n\t\tCOMPREPLY=($(compgen -W \"$options");
	bash_names(out, COMMAND_GLOBAL);
	buffer_text(
	        out,
	        "\" -- \"$current\"))\n\t\treturn\n\tfi\n\tcase $command in\n\t\"\"|help) COMPREPLY=($(compgen -W \"");
	append_command_names(out, ' ');
	buffer_text(out, "\" -- \"$current\")) ;;\n\tcompletion) COMPREPLY=($(compgen -W \"");
	append_choices(out, command_row(COMMAND_COMPLETION)->arguments, ' ');
	buffer_text(out, "\" -- \"$current\")) ;;\n");
	for (EACH_COMMAND(id))
		if (takes_file(id))
			buffer_printf(out, "\t%s) compopt -o default ;;\n", command_row(id)->name);
	for (EACH_COMMAND(id)) {
		if (!verbs_size(id))
			continue;
		buffer_printf(out, "\t%s) if [[ $before == %s ]]; then COMPREPLY=($(compgen -W \"",
		              command_row(id)->name, command_row(id)->name);
		append_verbs(out, id);
		buffer_text(out, "\" -- \"$current\")); else compopt -o default; fi ;;\n");
	}
	buffer_text(out, "\tesac\n}\ncomplete -F _tarn tarn\n");
}

/* ---- zsh */

static void zsh_option(struct buffer *out, const struct option *row, const char *indent)
{
	const char *repeat = row->kind == OPTION_LIST ? "*" : "";

	for (int letter = 0; letter < (row->letter ? 2 : 1); letter++) {
		buffer_printf(out, " \\\n%s'%s", indent, repeat);
		if (letter)
			buffer_printf(out, "-%c%s", row->letter, row->kind == OPTION_FLAG ? "" : "+");
		else
			buffer_printf(out, "--%s%s", row->name, row->kind == OPTION_FLAG ? "" : "=");
		buffer_char(out, '[');
		append_quoted(out, row->help, "[]\\");
		buffer_char(out, ']');
		if (row->kind == OPTION_CHOICE) {
			buffer_printf(out, ":%s:(", row->name);
			append_choices(out, row->argument, ' ');
			buffer_char(out, ')');
		} else if (row->kind != OPTION_FLAG) {
			buffer_char(out, ':');
			append_quoted(out, row->argument, ":\\");
			buffer_printf(out, ":%s", row->kind == OPTION_PATH ? "_files" : " ");
		}
		buffer_char(out, '\'');
	}
}

static void zsh_arguments(struct buffer *out, enum command_id id)
{
	const struct command *command = command_row(id);

	if (id == COMMAND_HELP || id == COMMAND_COMPLETION) {
		buffer_text(out, " \\\n\t\t\t'1:argument:(");
		if (id == COMMAND_HELP)
			append_command_names(out, ' ');
		else
			append_choices(out, command->arguments, ' ');
		buffer_text(out, ")'");
	} else if (verbs_size(id)) {
		buffer_text(out, " \\\n\t\t\t'1:what to do:(");
		append_verbs(out, id);
		buffer_text(out, ")' \\\n\t\t\t'2:manifest:_files' \\\n\t\t\t'*:message: '");
	} else if (takes_file(id)) {
		buffer_printf(out, " \\\n\t\t\t'1:manifest:_files'%s", command->most > 1 ? " \\\n\t\t\t'2:SQL: '" : "");
	} else if (command->most) {
		buffer_text(out, " \\\n\t\t\t'1:argument: '");
	}
}

static void zsh_script(struct buffer *out)
{
	buffer_text(out, "#compdef tarn\n# zsh completion for tarn, made by `tarn completion zsh`\n_tarn()\n{\n"
	                 "\tlocal curcontext=\"$curcontext\" state line result=1\n\tlocal -a commands\n\tcommands=(\n");
	for (EACH_COMMAND(id)) {
		buffer_printf(out, "\t\t'%s:", command_row(id)->name);
		append_quoted(out, command_row(id)->summary, ":\\");
		buffer_text(out, "'\n");
	}
	buffer_text(out, "\t)\n\t_arguments -C");
	for (EACH_OPTION(row, COMMAND_GLOBAL))
		zsh_option(out, row, "\t\t");
	buffer_text(out, " \\\n\t\t'1: :->command' '*:: :->arguments' && result=0\n\tcase $state in\n"
	                 "\tcommand) _describe -t commands command commands && result=0 ;;\n\targuments)\n\t\tcase "
	                 "$words[1] in\n");
	for (EACH_COMMAND(id)) {
		buffer_printf(out, "\t\t%s) _arguments", command_row(id)->name);
		for (EACH_OPTION(row, id))
			zsh_option(out, row, "\t\t\t");
		for (EACH_OPTION(row, COMMAND_GLOBAL))
			zsh_option(out, row, "\t\t\t");
		zsh_arguments(out, id);
		buffer_text(out, " && result=0 ;;\n");
	}
	buffer_text(out,
	            "\t\tesac ;;\n\tesac\n\treturn result\n}\n"
	            "if [ \"$funcstack[1]\" = \"_tarn\" ]; then\n\t_tarn \"$@\"\nelse\n\tcompdef _tarn tarn\nfi\n");
}

/* ---- fish */

static void fish_option(struct buffer *out, const struct option *row)
{
	buffer_text(out, "complete -c tarn");
	if (row->command != COMMAND_GLOBAL)
		buffer_printf(out, " -n '__fish_seen_subcommand_from %s'", command_row(row->command)->name);
	buffer_printf(out, " -l %s", row->name);
	if (row->letter)
		buffer_printf(out, " -s %c", row->letter);
	if (row->kind == OPTION_CHOICE) {
		buffer_text(out, " -x -a '");
		append_choices(out, row->argument, ' ');
		buffer_char(out, '\'');
	} else if (row->kind != OPTION_FLAG) {
		buffer_text(out, row->kind == OPTION_PATH ? " -r -F" : " -x");
	}
	buffer_text(out, " -d '");
	append_quoted(out, row->help, "\\");
	buffer_text(out, "'\n");
}

static void fish_script(struct buffer *out)
{
	const struct option *rows;
	int count;

	rows = option_rows(&count);
	buffer_text(out, "# fish completion for tarn, made by `tarn completion fish`\ncomplete -c tarn -f\n");
	for (EACH_COMMAND(id)) {
		buffer_printf(out, "complete -c tarn -n __fish_use_subcommand -a %s -d '", command_row(id)->name);
		append_quoted(out, command_row(id)->summary, "\\");
		buffer_text(out, "'\n");
		if (takes_file(id))
			buffer_printf(out, "complete -c tarn -n '__fish_seen_subcommand_from %s' -F\n",
			              command_row(id)->name);
	}
	for (EACH_COMMAND(id)) {
		if (!verbs_size(id))
			continue;
		buffer_printf(out, "complete -c tarn -n '__fish_seen_subcommand_from %s' -F -a '",
		              command_row(id)->name);
		append_verbs(out, id);
		buffer_text(out, "'\n");
	}
	buffer_text(out, "complete -c tarn -n '__fish_seen_subcommand_from help' -a '");
	append_command_names(out, ' ');
	buffer_text(out, "'\ncomplete -c tarn -n '__fish_seen_subcommand_from completion' -a '");
	append_choices(out, command_row(COMMAND_COMPLETION)->arguments, ' ');
	buffer_text(out, "'\n");
	for (int i = 0; i < count; i++)
		fish_option(out, &rows[i]);
}

bool completion_script(const char *shell, struct buffer *out)
{
	if (!strcmp(shell, "bash"))
		bash_script(out);
	else if (!strcmp(shell, "zsh"))
		zsh_script(out);
	else if (!strcmp(shell, "fish"))
		fish_script(out);
	else
		return false;
	return true;
}

int cmd_completion(const struct invocation *invocation)
{
	OWNED_BUFFER struct buffer out = {0};
	char quoted[QUOTED_SIZE];
	struct error err;

	buffer_init(&out, 1 << 20);
	if (!completion_script(invocation->positional[0], &out)) {
		error_set(&err, ERROR_INVALID, 0, "there is no completion for %s: bash, zsh or fish would be right",
		          quote_text(quoted, invocation->positional[0]));
		return cli_usage(COMMAND_COMPLETION, &err);
	}
	fputs(buffer_string(&out), stdout);
	return EXIT_DONE;
}
