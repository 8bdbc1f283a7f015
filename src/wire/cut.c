#include "wire/cut.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/owned.h"

/* Bytes that belong to one message alone; the reason, where there is one, stands behind them. */
struct cut_bytes {
	char *broken;
	uint8_t *data;
};

static void release_bytes(struct message *message)
{
	struct cut_bytes *bytes = message->owner;

	free(bytes->broken);
	free(bytes->data);
	free(bytes);
}

int cut_read(const struct cut_file *file, int64_t at, void *to, size_t size, struct error *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(file->fd, (uint8_t *)to + done, size - done, at + (int64_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(err, ERROR_TRANSIENT, errno, "%s: cannot be read: %s", file->path,
			                 strerror(errno));
		if (got == 0)
			return error_set(err, ERROR_INVALID, 0,
			                 "%s became shorter while it was read (it had %lld bytes): put it back as it "
			                 "was; files are written under another name and renamed when they are whole",
			                 file->path, (long long)file->size);
		done += (size_t)got;
	}
	return 0;
}

static int own_bytes(uint8_t *data, size_t size, int64_t place, const char *broken, struct message *ret)
{
	struct cut_bytes *bytes = calloc(1, sizeof *bytes);

	if (bytes && broken)
		bytes->broken = strdup(broken);
	if (!bytes || (broken && !bytes->broken)) {
		free(bytes);
		return -1;
	}
	bytes->data = data;
	*ret = (struct message){.payload = data,
	                        .size = size,
	                        .place = place,
	                        .broken = bytes->broken,
	                        .owner = bytes,
	                        .release = release_bytes};
	return 0;
}

int cut_message(uint8_t **data, size_t size, int64_t place, struct message *ret, struct error *err)
{
	if (own_bytes(*data, size, place, NULL, ret))
		return error_no_memory(err);
	*data = NULL;
	return 0;
}

int cut_broken(const struct cut_file *file, int64_t at, int64_t place, const char *reason, struct message *ret,
               struct error *err)
{
	int64_t left = file->size > at ? file->size - at : 0;
	size_t size = left > (int64_t)CUT_BROKEN_MAX ? CUT_BROKEN_MAX : (size_t)left;
	OWNED_FREE uint8_t *data = malloc(size + 1);
	char text[600];

	if (!data)
		return error_no_memory(err);
	if (cut_read(file, at, data, size, err))
		return -1;
	if ((int64_t)size < left)
		snprintf(text, sizeof text, "%s (the first %zu of %lld bytes are kept here)", reason, size,
		         (long long)left);
	if (own_bytes(data, size, place, (int64_t)size < left ? text : reason, ret))
		return error_no_memory(err);
	data = NULL;
	return 0;
}
