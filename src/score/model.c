#include "score/model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int hash_bytes(const char *bytes, size_t size, char ret_hex[HASH_HEX_SIZE], struct error *err)
{
	struct hash *hash = hash_new(err);

	if (!hash)
		return -1;
	hash_add(hash, bytes, size);
	hash_hex(hash, ret_hex);
	hash_free(hash);
	return 0;
}

struct model *model_parse(const char *json, size_t size, struct error *err)
{
	OWNED_MODEL struct model *model = calloc(1, sizeof *model);
	OWNED_BUFFER struct buffer plain = {0};

	if (!model) {
		error_no_memory(err);
		return NULL;
	}
	model->references = 1;
	buffer_init(&plain, BUFFER_DEFAULT_MAXIMUM);
	if (hash_bytes(json, size, model->hash, err) || model_json_read(json, size, &model->outline, &plain, err))
		return NULL;
	model->booster = booster_load(buffer_string(&plain), plain.size, err);
	return model->booster ? TAKE(model) : NULL;
}

struct model *model_retain(struct model *model)
{
	model->references++;
	return model;
}

void model_release(struct model *model)
{
	if (!model || --model->references)
		return;
	booster_free(model->booster);
	model_outline_release(&model->outline);
	free(model);
}

/* ---- the file */

static int read_file(const char *path, struct buffer *bytes, struct error *err)
{
	/* A pipe of that name must not be waited for. */
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char block[1 << 16];
	struct stat there;
	ssize_t got;

	if (fd < 0 || fstat(fd, &there))
		return error_set(err, ERROR_INVALID, errno, "cannot be read: %s", strerror(errno));
	if (!S_ISREG(there.st_mode))
		return error_set(err, ERROR_INVALID, 0, "is no file");
	while ((got = read(fd, block, sizeof block)) > 0)
		buffer_append(bytes, block, (size_t)got);
	if (got < 0)
		return error_set(err, ERROR_INVALID, errno, "cannot be read: %s", strerror(errno));
	if (!buffer_ok(bytes))
		return error_set(err, ERROR_INVALID, 0, "has more than %zu MiB", bytes->maximum >> 20);
	return 0;
}

/* "PATH is not JSON: ...; what would be right". */
static void tell(const char *path, struct error *err)
{
	char what[sizeof err->message];

	snprintf(what, sizeof what, "%s", err->message);
	if (err->kind == ERROR_CORRUPT || err->kind == ERROR_INVALID)
		error_set(err, err->kind, err->code,
		          "the model %.150s %.280s; train it anew with tarn model train, or save it in Python as .json",
		          path, what);
	else
		error_wrap(err, "the model %.150s", path);
}

struct model *model_load(const char *path, struct error *err)
{
	OWNED_BUFFER struct buffer bytes = {0};
	struct model *model = NULL;
	struct error local = {0};

	buffer_init(&bytes, MODEL_BYTES_MAX);
	if (!read_file(path, &bytes, &local))
		model = model_parse(buffer_string(&bytes), bytes.size, &local);
	if (model)
		return model;
	tell(path, &local);
	if (err)
		*err = local;
	return NULL;
}

static int write_all(int fd, const char *bytes, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t put = write(fd, bytes + at, size - at);

		if (put < 0 && errno != EINTR)
			return -1;
		at += put > 0 ? (size_t)put : 0;
	}
	return fsync(fd);
}

static int make_folder_of(const char *path, struct error *err)
{
	OWNED_FREE char *copy = strdup(path);

	if (!copy)
		return error_no_memory(err);
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(copy, 0755) && errno != EEXIST)
			return error_set(err, ERROR_INVALID, errno, "cannot make the folder %s: %s", copy,
			                 strerror(errno));
		*slash = '/';
	}
	return 0;
}

int model_write(const char *path, const char *json, size_t size, struct error *err)
{
	OWNED_FREE char *temporary = NULL;
	OWNED_FD int fd = -1;
	int code = 0;

	if (make_folder_of(path, err))
		return -1;
	if (asprintf(&temporary, "%s.%ld.part", path, (long)getpid()) < 0) {
		temporary = NULL;
		return error_no_memory(err);
	}
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write_all(fd, json, size) || rename(temporary, path))
		code = errno;
	if (!code)
		return 0;
	if (fd >= 0)
		unlink(temporary);
	return error_set(err, ERROR_INVALID, code, "cannot write the model %s: %s", path, strerror(code));
}
