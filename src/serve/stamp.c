#include "serve/stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/owned.h"

#define STEP_BYTES 65536

bool stamp_look(struct stamp *stamp, const char *path)
{
	struct stamp now = {0};
	struct stat found;

	if (!stat(path, &found)) {
		now = (struct stamp){
		        .there = true,
		        .device = found.st_dev,
		        .inode = found.st_ino,
		        .written_ns = (int64_t)found.st_mtim.tv_sec * 1000000000 + found.st_mtim.tv_nsec,
		        .changed_ns = (int64_t)found.st_ctim.tv_sec * 1000000000 + found.st_ctim.tv_nsec,
		        .size = found.st_size,
		};
	}
	if (now.there == stamp->there && now.device == stamp->device && now.inode == stamp->inode &&
	    now.written_ns == stamp->written_ns && now.changed_ns == stamp->changed_ns && now.size == stamp->size)
		return false;
	*stamp = now;
	return true;
}

int stamp_read(const char *path, struct buffer *out, struct error *err)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 1;

	if (fd < 0)
		return error_set(err, ERROR_INVALID, errno, "%s: %s", path, strerror(errno));
	while (got > 0) {
		char *room = buffer_reserve(out, STEP_BYTES);

		if (!room)
			return error_set(err, ERROR_INVALID, 0, "%s: larger than %zu bytes", path, out->maximum);
		got = read(fd, room, STEP_BYTES);
		if (got < 0)
			return error_set(err, ERROR_INVALID, errno, "%s: %s", path, strerror(errno));
		out->size += (size_t)got;
		room[got] = 0;
	}
	return 0;
}
