/*
 * options.h - what may stand on the command line, from one table.
 *
 * commands.def, options.def and exits.def give parsing, `tarn help`, `tarn COMMAND --help`, shell completion,
 * docs/tarn.1 and docs/cli.md.
 *
 * Invariants:
 *  1. An invocation that leaves options_parse is complete: every option has its value or its default, in range, and the
 *     count of positional arguments is right.
 *  2. Every mistake is an INVALID error that says what would be right.
 *  3. Asking an invocation for an option that its command does not have is a bug and aborts.
 *
 * Life cycle: options_parse -> borrow -> invocation_release. Texts are borrowed from argv and from the table.
 */
#ifndef TARN_CLI_OPTIONS_H
#define TARN_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/owned.h"

enum command_id {
#define COMMAND(id, name, arguments, least, most, summary, description) COMMAND_##id,
#include "cli/commands.def"
#undef COMMAND
	COMMAND_COUNT,
	COMMAND_GLOBAL = COMMAND_COUNT, /* options that every command takes */
};

struct command {
	const char *name;
	const char *arguments; /* as in a synopsis: "FILE SQL", "[COMMAND]", "" */
	int least, most; /* positional arguments; most -1: any number */
	const char *summary; /* one line, no full stop */
	const char *description;
};

enum option_kind {
	OPTION_FLAG,
	OPTION_TEXT,
	OPTION_PATH, /* text that a shell completes as a file */
	OPTION_LIST, /* text; may be repeated */
	OPTION_INT,
	OPTION_NUMBER, /* 0.05 */
	OPTION_SIZE, /* 256Mi; bytes */
	OPTION_DURATION, /* 500ms; milliseconds */
	OPTION_CHOICE,
};

struct option {
	enum command_id command;
	const char *name;
	char letter; /* 0: none */
	enum option_kind kind;
	const char *argument; /* its name in help: "FILE"; "" for a flag; the choices with | for a choice */
	const char *standard; /* the default, as one would write it; NULL: none */
	int64_t least, most; /* of numbers, sizes (bytes) and durations (ms) */
	bool required;
	const char *help; /* a sentence */
};

struct exit_row {
	int code;
	const char *meaning;
};

enum exit_status {
#define EXIT(id, code, meaning) EXIT_##id = code,
#include "cli/exits.def"
#undef EXIT
};

const struct command *command_row(enum command_id id);
/* COMMAND_COUNT where there is none of that name. */
enum command_id command_find(const char *name);
/* The table; *ret_count rows. Global options have the command COMMAND_GLOBAL. */
const struct option *option_rows(int *ret_count);
const struct exit_row *exit_rows(int *ret_count);
/* The exit status that stands for a kind of error. */
int exit_code(enum error_kind kind);

struct option_value {
	const char *text; /* borrowed; NULL: neither given nor a default */
	int64_t number;
	double real; /* of OPTION_NUMBER */
	bool given;
	const char **items; /* of a list; owned */
	int item_count;
};

struct invocation {
	enum command_id command; /* COMMAND_HELP or COMMAND_VERSION too where --help or --version asked for it */
	const char **positional; /* without the command */
	int positional_count;
	struct option_value *values; /* one a row of the table: what lies behind the functions below */
};

/* argv as main gets it. On failure there is nothing to release, but ret_invocation->command tells which command was
 * read, or COMMAND_COUNT. */
int options_parse(int argc, char *const *argv, struct invocation *ret_invocation, struct error *err);
void invocation_release(struct invocation *invocation);

/* By long name without dashes. A global option's name is found too. */
const char *option_text(const struct invocation *invocation, const char *name); /* NULL: not given, no default */
int64_t option_int(const struct invocation *invocation, const char *name); /* the integer, bytes or milliseconds */
double option_number(const struct invocation *invocation, const char *name);
bool option_flag(const struct invocation *invocation, const char *name);
bool option_given(const struct invocation *invocation, const char *name);
/* Repeated options: how many; *ret_items borrowed. */
int option_list(const struct invocation *invocation, const char *name, const char *const **ret_items);

/* The name of the table nearest to `text`, NULL where none is near. */
const char *nearest_name(const char *text, const char *const *names, int count);

#endif
