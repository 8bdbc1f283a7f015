#include "cli/options.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "spec/kinds.h"

static const struct command commands[COMMAND_COUNT] = {
#define COMMAND(id, name, arguments, least, most, summary, description)                                                \
	[COMMAND_##id] = {#name, arguments, least, most, summary, description},
#include "cli/commands.def"
#undef COMMAND
};

static const struct option options[] = {
#define OPTION(command, letter, name, kind, argument, standard, least, most, required, help)                           \
	{COMMAND_##command, name, letter, OPTION_##kind, argument, standard, least, most, required, help},
#include "cli/options.def"
#undef OPTION
};

static const struct exit_row exits[] = {
#define EXIT(id, code, meaning) {code, meaning},
#include "cli/exits.def"
#undef EXIT
};

const struct command *command_row(enum command_id id)
{
	assert(id < COMMAND_COUNT);
	return &commands[id];
}

enum command_id command_find(const char *name)
{
	for (int i = 0; i < COMMAND_COUNT; i++)
		if (!strcmp(commands[i].name, name))
			return (enum command_id)i;
	return COMMAND_COUNT;
}

const struct option *option_rows(int *ret_count)
{
	*ret_count = (int)COUNT_OF(options);
	return options;
}

const struct exit_row *exit_rows(int *ret_count)
{
	*ret_count = (int)COUNT_OF(exits);
	return exits;
}

int exit_code(enum error_kind kind)
{
	switch (kind) {
	case ERROR_NONE: return EXIT_DONE;
	case ERROR_INVALID:
	case ERROR_CORRUPT: return EXIT_INPUT;
	case ERROR_CONFLICT: return EXIT_OWNED;
	case ERROR_TRANSIENT: return EXIT_LATER;
	case ERROR_MEMORY:
	case ERROR_FATAL: return EXIT_INTERNAL;
	}
	return EXIT_INTERNAL;
}

static const struct option_value *value_of(const struct invocation *invocation, const char *name)
{
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if ((options[i].command == invocation->command || options[i].command == COMMAND_GLOBAL) &&
		    !strcmp(options[i].name, name))
			return &invocation->values[i];
	assert(!"an option that the command has");
	return NULL;
}

const char *option_text(const struct invocation *invocation, const char *name)
{
	return value_of(invocation, name)->text;
}

int64_t option_int(const struct invocation *invocation, const char *name)
{
	return value_of(invocation, name)->number;
}

double option_number(const struct invocation *invocation, const char *name)
{
	return value_of(invocation, name)->real;
}

bool option_flag(const struct invocation *invocation, const char *name)
{
	return value_of(invocation, name)->given;
}

bool option_given(const struct invocation *invocation, const char *name)
{
	return value_of(invocation, name)->given;
}

int option_list(const struct invocation *invocation, const char *name, const char *const **ret_items)
{
	const struct option_value *value = value_of(invocation, name);

	*ret_items = value->items;
	return value->item_count;
}

void invocation_release(struct invocation *invocation)
{
	for (size_t i = 0; invocation->values && i < COUNT_OF(options); i++)
		free(invocation->values[i].items);
	free(invocation->values);
	free(invocation->positional);
	*invocation = (struct invocation){0};
}

const char *nearest_name(const char *text, const char *const *names, int count)
{
	const char *nearest = NULL;
	int best = 0;

	for (int i = 0; i < count; i++) {
		int distance = name_distance(text, names[i]);

		if (!nearest || distance < best) {
			nearest = names[i];
			best = distance;
		}
	}
	/* A third of its letters may differ: "qurey" is query, "xyz" is nothing. */
	return nearest && best <= 1 + (int)strlen(nearest) / 3 ? nearest : NULL;
}
