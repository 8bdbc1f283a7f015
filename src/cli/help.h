/*
 * help.h - what the table of commands and options says, as text for a terminal, a manual page, Markdown and completion
 * scripts. All append to `out`.
 */
#ifndef TARN_CLI_HELP_H
#define TARN_CLI_HELP_H

#include "base/buffer.h"
#include "cli/options.h"

void help_overview(struct buffer *out);
void help_command(enum command_id command, struct buffer *out);
void help_man(struct buffer *out); /* roff, man(7): docs/tarn.1 */
void help_markdown(struct buffer *out); /* docs/cli.md */

/* False where there is no such shell. */
bool completion_script(const char *shell, struct buffer *out);

/* "--format table|json", with its letter before it where it has one and `letter` asks for it. */
void help_option_form(const struct option *option, bool letter, struct buffer *out);
/* "tarn run FILE [--once] [--listen ADDR]" */
void help_synopsis(enum command_id command, struct buffer *out);

/* A description taken apart: each call gives the next line of it, or NULL at its end. */
enum help_line { HELP_PARAGRAPH, HELP_EXAMPLE };
const char *help_next_line(const char **description, enum help_line *ret_kind, size_t *ret_size);

#define HELP_TITLE "Kafka topics into a DuckLake lakehouse, exactly once"

#endif
