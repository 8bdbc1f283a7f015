#include "pool/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEADER_BYTES 5

static int write_all(int fd, struct iovec *parts, int count, struct error *err)
{
	while (count) {
		ssize_t written = writev(fd, parts, count);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return error_set(err, ERROR_TRANSIENT, errno, "the other end of a socket: %s", strerror(errno));
		for (; count && (size_t)written >= parts->iov_len; parts++, count--)
			written -= (ssize_t)parts->iov_len;
		if (count) {
			parts->iov_base = (char *)parts->iov_base + written;
			parts->iov_len -= (size_t)written;
		}
	}
	return 0;
}

int frame_write(int fd, enum frame_type type, const void *payload, size_t size, struct error *err)
{
	unsigned char header[HEADER_BYTES] = {(unsigned char)size, (unsigned char)(size >> 8),
	                                      (unsigned char)(size >> 16), (unsigned char)(size >> 24),
	                                      (unsigned char)type};
	struct iovec parts[2] = {{header, sizeof header}, {(void *)(uintptr_t)payload, size}};

	if (size > FRAME_BYTES_MAX)
		return error_set(err, ERROR_INVALID, 0, "%zu bytes are more than a frame holds", size);
	return write_all(fd, parts, size ? 2 : 1, err);
}

/* 1: all of them; 0: the end before the first; -1: TRANSIENT. */
static int read_all(int fd, void *bytes, size_t size, struct error *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = read(fd, (char *)bytes + done, size - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0 && !done)
			return 0;
		if (got <= 0)
			return error_set(err, ERROR_TRANSIENT, got ? errno : 0,
			                 "the other end of a socket went away%s%s", got ? ": " : "",
			                 got ? strerror(errno) : "");
		done += (size_t)got;
	}
	return 1;
}

int frame_read(int fd, enum frame_type *ret_type, struct buffer *payload, struct error *err)
{
	unsigned char header[HEADER_BYTES];
	size_t size;
	char *room;
	int got = read_all(fd, header, sizeof header, err);

	if (got <= 0)
		return got;
	size = header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16 | (size_t)header[3] << 24;
	if (size > FRAME_BYTES_MAX || !header[4] || !strchr("QCRSDE", header[4]))
		return error_set(err, ERROR_CORRUPT, 0, "a frame of type %d and %zu bytes", header[4], size);
	buffer_clear(payload);
	room = buffer_reserve(payload, size);
	if (!room)
		return error_no_memory(err);
	if (size && (got = read_all(fd, room, size, err)) <= 0)
		return got ? got : error_set(err, ERROR_TRANSIENT, 0, "the other end of a socket went away");
	payload->size = size;
	room[size] = 0;
	*ret_type = (enum frame_type)header[4];
	return 1;
}
