#include "lake/pin.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"

#define OURS ".tarn"
#define PREFIX "ducklake-" /* then a UUID of version 7 (RFC 9562): 48 bits of milliseconds come first */
#define CLOCK_SLACK_MS 2000
#define SEPARATOR '%' /* in a second name, for '/'; files whose path has it already are left out */
#define FOLDER "commit."
#define FOLDER_AGE_S 10 /* younger ones are left for now: where hosts share the data a lock may be seen late */

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
	to = flat ? join(pins->folder.path, flat) : NULL;
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

/* DATA/.tarn/commit.XXXXXX, held for the time of the COMMIT. */
static int make_folder(struct pins *pins, struct error *err)
{
	OWNED_FREE char *ours = join(pins->data_path, OURS);

	if (!ours)
		return error_no_memory(err);
	if (mkdir(ours, 0755) && errno != EEXIST)
		return error_set(err, ERROR_INVALID, errno, "cannot make %s: %s", ours, strerror(errno));
	return folder_hold(ours, FOLDER, &pins->folder, err);
}

void pins_take(const char *data_path, int64_t since_ms, struct pins *ret_pins)
{
	struct error err = {0};

	*ret_pins = (struct pins){0};
	if (!data_path || *data_path != '/')
		return;
	ret_pins->data_path = join(data_path, "");
	if (!ret_pins->data_path || make_folder(ret_pins, &err)) {
		log_event(EVENT_LAKE, FIELDS(LOG_TEXT("folder", data_path)),
		          "files have no second names while they are committed: %s", err.message);
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
	int restored = restore && pins->count ? restore_from(pins->data_path, pins->folder.path) : 0;

	folder_let_go(&pins->folder);
	free(pins->data_path);
	*pins = (struct pins){0};
	return restored;
}

struct recovery {
	const char *data_path;
	int restored;
};

static bool recover_one(void *context, const char *path)
{
	struct recovery *recovery = context;
	struct stat st;

	if (stat(path, &st) || st.st_mtime + FOLDER_AGE_S >= clock_wall_ms() / 1000)
		return false;
	recovery->restored += restore_from(recovery->data_path, path);
	return true;
}

int pins_recover(const char *data_path)
{
	OWNED_FREE char *ours = data_path && *data_path == '/' ? join(data_path, OURS) : NULL;
	struct recovery recovery = {.data_path = data_path};

	if (ours)
		folder_sweep(ours, FOLDER, recover_one, &recovery);
	return recovery.restored;
}
