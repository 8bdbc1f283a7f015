#include "wire/files_list.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/owned.h"

bool files_is_remote(const char *name)
{
	return strstr(name, "://") != NULL;
}

/* The part of a path behind the folder; NULL where it is not below that. */
static const char *below(const char *folder, const char *path)
{
	size_t size = folder ? strlen(folder) : 0;

	if (!size || strncmp(path, folder, size) != 0)
		return NULL;
	if (folder[size - 1] == '/')
		return path + size;
	return path[size] == '/' ? path + size + 1 : NULL;
}

char *files_path(const struct files_place *place, const char *name)
{
	char *path = NULL;

	if (*name == '/' || files_is_remote(name) || !place->folder)
		return strdup(name);
	return asprintf(&path, "%s/%s", place->folder, name) < 0 ? NULL : path;
}

bool files_is_temporary(const char *name)
{
	static const char *const ends[] = {".tmp", ".part", ".inprogress"};
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
	size_t size = strlen(base);

	if (*base == '.' || *base == '_')
		return true;
	for (size_t i = 0; i < COUNT_OF(ends); i++)
		if (size >= strlen(ends[i]) && !strcmp(base + size - strlen(ends[i]), ends[i]))
			return true;
	return false;
}

bool files_is_settled(int64_t settle_ms, int64_t age_ms, int64_t unchanged_ms)
{
	return age_ms >= settle_ms || unchanged_ms >= settle_ms;
}

/* The folder's own characters stand for themselves. */
static void append_pattern(const struct files_place *place, struct buffer *out)
{
	const char *rest = below(place->folder, place->pattern), *at = place->pattern;

	for (; rest && at < rest; at++)
		buffer_printf(out, "%s%c", strchr("*?[\\", *at) ? "\\" : "", *at);
	buffer_text(out, at);
}

static void tell(const struct files_place *place, const char *path, files_found *found, void *context)
{
	const char *name = below(place->folder, path);
	struct listed_file file = {.name = name ? name : path, .size = -1, .modified_ms = -1};
	struct stat st;

	if (files_is_temporary(path))
		return;
	if (stat(path, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			return;
		file.size = st.st_size;
		file.modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	}
	found(context, &file);
}

static int list_here(const struct files_place *place, files_found *found, void *context, struct error *err)
{
	OWNED_BUFFER struct buffer pattern = {0};
	glob_t paths = {0};
	int failed;

	buffer_init(&pattern, 1 << 16);
	append_pattern(place, &pattern);
	failed = glob(buffer_string(&pattern), 0, NULL, &paths);
	for (size_t i = 0; !failed && i < paths.gl_pathc; i++)
		tell(place, paths.gl_pathv[i], found, context);
	globfree(&paths);
	return failed == GLOB_NOSPACE ? error_no_memory(err) : 0;
}

int files_list(const struct files_place *place, files_found *found, void *context, struct error *err)
{
	if (!files_is_remote(place->pattern))
		return list_here(place, found, context, err);
	if (!place->remote)
		return error_set(err, ERROR_INVALID, 0, "%s: only files of this machine can be read here",
		                 place->pattern);
	return place->remote->list(place->remote->context, place->pattern, found, context, err);
}
