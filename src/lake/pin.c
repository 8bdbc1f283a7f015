#include "lake/pin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/owned.h"

#define OURS ".tarn"
#define PREFIX "ducklake-" /* then a UUID of version 7 (RFC 9562): 48 bits of milliseconds come first */
#define CLOCK_SLACK_MS 2000
#define SEPARATOR '%' /* in a second name, for '/'; files whose path has it already are left out */
#define FOLDER_AGE_S 10 /* younger: its process may be about to lock it */

/* When DuckLake named the file, in ms since 1970; -1 where it is none of its names. */
static int64_t named_ms(const char *name)
{
	char digits[13];
	char *end;
	int64_t ms;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || strlen(name) < strlen(PREFIX) + 36)
		return -1;
	name += strlen(PREFIX);
	memcpy(digits, name, 8);
	memcpy(digits + 8, name + 9, 4);
	digits[12] = 0;
	ms = strtoll(digits, &end, 16);
	return *end ? -1 : ms;
}

static char *join(const char *folder, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s%s%s", folder, *folder && folder[strlen(folder) - 1] != '/' ? "/" : "", name) < 0
	               ? NULL
	               : path;
}

static void swap(char *text, char from, char to)
{
	for (; *text; text++)
		if (*text == from)
			*text = to;
}

/* relative: the file's path below data_path, which has no SEPARATOR (checked by the caller). */
static void pin_one(struct pins *pins, const char *relative)
{
	OWNED_FREE char *flat = strdup(relative), *from = join(pins->data_path, relative), *to = NULL;

	if (flat)
		swap(flat, '/', SEPARATOR);
	to = flat ? join(pins->folder, flat) : NULL;
	if (!from || !to || link(from, to)) {
		log_event(EVENT_LAKE, FIELDS(LOG_TEXT("file", relative)),
		          "no second name for a file while it is committed: %s", strerror(errno));
		return;
	}
	pins->count++;
}

static void pin_below(struct pins *pins, const char *relative, int64_t since_ms)
{
	OWNED_FREE char *path = join(pins->data_path, relative);
	DIR *folder = path ? opendir(path) : NULL;
	struct dirent *entry;

	if (!folder)
		return;
	while ((entry = readdir(folder))) {
		OWNED_FREE char *below = NULL;

		if (entry->d_name[0] == '.' || strchr(entry->d_name, SEPARATOR))
			continue;
		if (entry->d_type == DT_DIR) {
			if ((below = join(relative, entry->d_name)))
				pin_below(pins, below, since_ms);
		} else if (named_ms(entry->d_name) >= since_ms && (below = join(relative, entry->d_name))) {
			pin_one(pins, below);
		}
	}
	closedir(folder);
}

/* DATA/.tarn/commit.XXXXXX, locked for as long as this process lives. */
static int make_folder(struct pins *pins)
{
	OWNED_FREE char *ours = join(pins->data_path, OURS);

	if (!ours || (mkdir(ours, 0755) && errno != EEXIST))
		return -1;
	pins->folder = join(ours, "commit.XXXXXX");
	if (!pins->folder || !mkdtemp(pins->folder))
		return -1;
	pins->lock = open(pins->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return pins->lock < 0 || flock(pins->lock, LOCK_EX) ? -1 : 0;
}

void pins_take(const char *data_path, int64_t since_ms, struct pins *ret_pins)
{
	*ret_pins = (struct pins){.lock = -1};
	if (!data_path || *data_path != '/')
		return;
	ret_pins->data_path = join(data_path, "");
	if (!ret_pins->data_path || make_folder(ret_pins)) {
		log_event(EVENT_LAKE, FIELDS(LOG_TEXT("folder", data_path)),
		          "files have no second names while they are committed: %s", strerror(errno));
		pins_drop(ret_pins, false);
		return;
	}
	pin_below(ret_pins, "", since_ms - CLOCK_SLACK_MS);
}

/* Gives the files of a folder of second names their own again where they are missing. */
static int restore_from(const char *data_path, const char *folder_path)
{
	DIR *folder = opendir(folder_path);
	struct dirent *entry;
	int restored = 0;

	while (folder && (entry = readdir(folder))) {
		OWNED_FREE char *from = join(folder_path, entry->d_name), *relative = strdup(entry->d_name), *to = NULL;

		if (entry->d_type != DT_REG || !relative)
			continue;
		swap(relative, SEPARATOR, '/');
		to = join(data_path, relative);
		if (!from || !to || link(from, to))
			continue; /* EEXIST: it is there, as it should be */
		log_event(EVENT_LAKE, FIELDS(LOG_TEXT("file", relative)),
		          "a file that DuckLake deleted after a COMMIT of unknown outcome is there again");
		restored++;
	}
	if (folder)
		closedir(folder);
	return restored;
}

int pins_drop(struct pins *pins, bool restore)
{
	struct error ignored;
	int restored = restore && pins->count ? restore_from(pins->data_path, pins->folder) : 0;

	if (pins->folder)
		folder_remove(pins->folder, &ignored);
	if (pins->lock >= 0)
		close(pins->lock);
	free(pins->folder);
	free(pins->data_path);
	*pins = (struct pins){.lock = -1};
	return restored;
}

int pins_recover(const char *data_path)
{
	OWNED_FREE char *ours = data_path && *data_path == '/' ? join(data_path, OURS) : NULL;
	DIR *folder = ours ? opendir(ours) : NULL;
	struct dirent *entry;
	int restored = 0;

	while (folder && (entry = readdir(folder))) {
		OWNED_FREE char *path = join(ours, entry->d_name);
		struct error ignored;
		struct stat st;
		int fd;

		if (entry->d_name[0] == '.' || !path || (fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
			continue;
		/* Locked: its process lives. The lock goes with the process, however that ends. */
		if (!fstat(fd, &st) && st.st_mtime + FOLDER_AGE_S < clock_wall_ms() / 1000 &&
		    flock(fd, LOCK_EX | LOCK_NB) == 0) {
			restored += restore_from(data_path, path);
			folder_remove(path, &ignored);
		}
		close(fd);
	}
	if (folder)
		closedir(folder);
	return restored;
}
