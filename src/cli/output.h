/*
 * output.h - where a command's result goes: standard output, or a file that appears when it is complete.
 *
 * Life cycle: output_open -> write to file, note the first errno in code -> output_close -> output_status where code is
 * set.
 */
#ifndef TARN_CLI_OUTPUT_H
#define TARN_CLI_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

struct output_file {
	FILE *file;
	const char *path; /* that it will have; NULL: standard output */
	char *temporary; /* that it has until it is complete; owned; NULL: written in place */
	int code; /* errno of the first write that failed; 0: none */
};

/* Another file than a plain one (a pipe, /dev/null) is written in place; a plain one appears when it is complete.
 * path NULL: standard output, which for binary must not be a terminal. */
int output_open(struct output_file *output, const char *path, bool binary, struct error *err);
/* Closes, and shows the file under its name where all went well. */
void output_close(struct output_file *output, bool complete);
/* What is told, and the exit status, where code is set. */
int output_status(const struct output_file *output);

#endif
