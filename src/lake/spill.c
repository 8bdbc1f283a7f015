#include "lake/spill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/log.h"
#include "base/owned.h"

#define PREFIX "tarn-spill-"
#define TRIES 16

static const char *parent(void)
{
	const char *folder = getenv("TMPDIR");

	return folder && *folder ? folder : "/tmp";
}

/* The lock of the folder, or -1 where another process has it or it is not ours. */
static int lock_folder(const char *path)
{
	int lock = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (lock < 0)
		return -1;
	/* Without a name left it was swept between its making and its locking. */
	if (fstat(lock, &st) == 0 && st.st_uid == geteuid() && flock(lock, LOCK_EX | LOCK_NB) == 0 &&
	    access(path, F_OK) == 0)
		return lock;
	close(lock);
	return -1;
}

static void sweep_one(const char *name)
{
	OWNED_FREE char *path = NULL;
	struct error ignored = {0};
	int lock;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || asprintf(&path, "%s/%s", parent(), name) < 0)
		return;
	lock = lock_folder(path);
	if (lock < 0)
		return;
	folder_remove(path, &ignored);
	close(lock);
}

static void sweep(void)
{
	DIR *folder = opendir(parent());

	if (!folder)
		return;
	for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
		sweep_one(entry->d_name);
	closedir(folder);
}

int spill_open(struct spill *ret_spill)
{
	*ret_spill = (struct spill){.lock = -1};
	sweep();
	for (int i = 0; i < TRIES && ret_spill->lock < 0; i++) {
		free(ret_spill->path);
		ret_spill->path = NULL;
		if (asprintf(&ret_spill->path, "%s/" PREFIX "XXXXXX", parent()) < 0) {
			ret_spill->path = NULL;
			return -1;
		}
		if (!mkdtemp(ret_spill->path))
			break;
		ret_spill->lock = lock_folder(ret_spill->path);
	}
	if (ret_spill->lock < 0) {
		log_event(EVENT_LAKE, NO_FIELDS,
		          "cannot make a folder in %s to spill to (%s): what does not fit in memory fails; set TMPDIR",
		          parent(), strerror(errno));
		*ret_spill->path = 0;
	}
	return 0;
}

void spill_close(struct spill *spill)
{
	struct error ignored = {0};

	if (spill->lock >= 0) {
		folder_remove(spill->path, &ignored);
		close(spill->lock);
	}
	free(spill->path);
	*spill = (struct spill){.lock = -1};
}
