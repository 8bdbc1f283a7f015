#include "base/folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FOLDERS_OPEN 16 /* at once, while the tree is walked */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

int folder_remove(const char *path, struct error *err)
{
	if (access(path, F_OK))
		return 0;
	if (nftw(path, remove_entry, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS))
		return error_set(err, ERROR_INVALID, errno, "cannot remove %s: %s", path, strerror(errno));
	return 0;
}
