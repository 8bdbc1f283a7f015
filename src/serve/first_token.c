#include "serve/first_token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/owned.h"
#include "serve/token.h"

/* A new file of mode 0600 (mkstemp), which then gets its name: what stood there, a link for instance, is replaced. */
static char *write_in(const char *folder, const char *address, const char *token)
{
	OWNED_FREE char *file = NULL;
	OWNED_FREE char *draft = NULL;
	OWNED_FD int fd = -1;

	if (asprintf(&draft, "%s/.tarn-XXXXXX", folder) < 0 ||
	    asprintf(&file, "%s/tarn-%s.token", folder, address) < 0 || (fd = mkostemp(draft, O_CLOEXEC)) < 0)
		return NULL;
	if (fchmod(fd, 0600) || dprintf(fd, "%s\n", token) != (int)strlen(token) + 1 || rename(draft, file)) {
		unlink(draft);
		return NULL;
	}
	return TAKE(file);
}

int first_token_make(const char *folder, const char *address, struct first_token *ret_token, struct error *err)
{
	const char *places[] = {getenv("XDG_RUNTIME_DIR"), folder, folder_temporary()};
	struct first_token made = {.file = NULL};

	if (token_make(made.token, made.sha256, err))
		return -1;
	for (size_t i = 0; i < COUNT_OF(places) && !made.file; i++)
		if (places[i] && *places[i] == '/')
			made.file = write_in(places[i], address, made.token);
	if (!made.file)
		return error_set(
		        err, ERROR_INVALID, errno,
		        "there is no token, and no place for the file of a new one: %s; make one with `tarn token`",
		        strerror(errno));
	*ret_token = made;
	return 0;
}

void first_token_remove(struct first_token *token)
{
	if (token->file)
		unlink(token->file);
	free(token->file);
	explicit_bzero(token, sizeof *token);
}
