#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/owned.h"

#define FOLDERS_OPEN 16 /* at once, while the tree is walked */
#define HOLD_TRIES 16

const char *folder_temporary(void)
{
	const char *folder = getenv("TMPDIR");

	return folder && *folder ? folder : "/tmp";
}

char *folder_make(const char *parent, const char *prefix, struct error *err)
{
	OWNED_FREE char *path = NULL;

	if (asprintf(&path, "%s/%sXXXXXX", parent ? parent : folder_temporary(), prefix) < 0) {
		path = NULL;
		error_no_memory(err);
		return NULL;
	}
	if (mkdtemp(path))
		return TAKE(path);
	error_set(err, ERROR_INVALID, errno, "cannot make a folder in %s: %s%s", parent ? parent : folder_temporary(),
	          strerror(errno), parent ? "" : " (TMPDIR names another)");
	return NULL;
}

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

/* The folder's lock, or -1 where somebody else has it, or it is gone: swept between its making and its locking. */
static int lock_folder(const char *path)
{
	int lock = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat locked, named;

	if (lock < 0)
		return -1;
	if (flock(lock, LOCK_EX | LOCK_NB) == 0 && fstat(lock, &locked) == 0 && stat(path, &named) == 0 &&
	    locked.st_dev == named.st_dev && locked.st_ino == named.st_ino)
		return lock;
	close(lock);
	return -1;
}

int folder_hold(const char *parent, const char *prefix, struct held_folder *ret_folder, struct error *err)
{
	for (int i = 0; i < HOLD_TRIES; i++) {
		OWNED_FREE char *path = folder_make(parent, prefix, err);
		int lock = path ? lock_folder(path) : -1;

		if (!path)
			return -1;
		if (lock < 0)
			continue;
		*ret_folder = (struct held_folder){.path = TAKE(path), .lock = lock};
		return 0;
	}
	return error_set(err, ERROR_INVALID, 0, "cannot lock a folder in %s", parent ? parent : folder_temporary());
}

void folder_let_go(struct held_folder *folder)
{
	struct error ignored;

	if (!folder->path)
		return;
	folder_remove(folder->path, &ignored);
	close(folder->lock);
	free(TAKE(folder->path));
}

void folder_sweep(const char *parent, const char *prefix, bool (*found)(void *context, const char *path), void *context)
{
	DIR *all = opendir(parent ? parent : folder_temporary());

	for (const struct dirent *entry = all ? readdir(all) : NULL; entry; entry = readdir(all)) {
		struct held_folder folder = {0};

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (asprintf(&folder.path, "%s/%s", parent ? parent : folder_temporary(), entry->d_name) < 0)
			break;
		folder.lock = lock_folder(folder.path);
		if (folder.lock >= 0 && (!found || found(context, folder.path))) {
			folder_let_go(&folder);
			continue;
		}
		if (folder.lock >= 0)
			close(folder.lock);
		free(folder.path);
	}
	if (all)
		closedir(all);
}
