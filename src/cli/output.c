#include "cli/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

int output_open(struct output_file *output, const char *path, bool binary, struct error *err)
{
	struct stat there;

	*output = (struct output_file){.file = stdout, .path = path};
	if (!path && binary && isatty(STDOUT_FILENO))
		return error_set(err, ERROR_INVALID, 0,
		                 "this format is not for a terminal: --output PATH, or a pipe, would be right");
	if (!path)
		return 0;
	if (!stat(path, &there) && !S_ISREG(there.st_mode)) {
		output->file = fopen(path, "we");
	} else if (asprintf(&output->temporary, "%s.%ld.part", path, (long)getpid()) < 0) {
		output->temporary = NULL;
		return error_no_memory(err);
	} else {
		output->file = fopen(output->temporary, "we");
	}
	if (!output->file)
		return error_set(err, ERROR_INVALID, errno, "cannot write %s: %s", path, strerror(errno));
	return 0;
}

void output_close(struct output_file *output, bool complete)
{
	errno = 0;
	if (output->file && fflush(output->file) && !output->code)
		output->code = errno ? errno : EIO;
	if (output->file && output->path && fclose(output->file) && !output->code)
		output->code = errno ? errno : EIO;
	if (output->temporary && complete && !output->code && rename(output->temporary, output->path))
		output->code = errno;
	if (output->temporary && (!complete || output->code))
		unlink(output->temporary);
	free(output->temporary);
	output->temporary = NULL;
}

int output_status(const struct output_file *output)
{
	struct error err;

	if (output->code == EPIPE)
		return EXIT_PIPE;
	error_set(&err, ERROR_TRANSIENT, output->code, "cannot write %s: %s",
	          output->path ? output->path : "the output", strerror(output->code));
	cli_fail(&err);
	return EXIT_OUTPUT;
}
