#include "lake/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int lock_open(const char *path, struct error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return error_set(err, ERROR_INVALID, errno, "cannot open the lock file %s: %s", path, strerror(errno));
	return fd;
}

int lock_take_or_tell(int fd, const char *path, const char *what, struct error *err)
{
	char holder[32] = "";
	ssize_t size;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		size = snprintf(holder, sizeof holder, "%d\n", (int)getpid());
		if (ftruncate(fd, 0) || pwrite(fd, holder, (size_t)size, 0) != size)
			return error_set(err, ERROR_INVALID, errno, "cannot write the lock file %s: %s", path,
			                 strerror(errno));
		return 0;
	}
	if (errno != EWOULDBLOCK)
		return error_set(err, ERROR_INVALID, errno, "cannot lock %s: %s", path, strerror(errno));
	size = pread(fd, holder, sizeof holder - 1, 0);
	holder[size > 0 ? (size_t)size : 0] = 0;
	holder[strcspn(holder, "\n")] = 0;
	return error_set(
	        err, ERROR_CONFLICT, 0,
	        "%s is already written by another tarn (process %s): one process at a time writes this kind of "
	        "catalog. Stop that one, or use 'backend: {type: postgres}' for several writers",
	        what, *holder ? holder : "unknown");
}

int lock_wait(int fd, struct error *err)
{
	while (flock(fd, LOCK_EX)) {
		if (errno != EINTR)
			return error_set(err, ERROR_TRANSIENT, errno, "cannot lock the catalog: %s", strerror(errno));
	}
	return 0;
}

void lock_drop(int fd)
{
	flock(fd, LOCK_UN);
}

void turns_init(struct turns *turns)
{
	pthread_mutex_init(&turns->lock, NULL);
	pthread_cond_init(&turns->next, NULL);
}

void turns_release(struct turns *turns)
{
	pthread_cond_destroy(&turns->next);
	pthread_mutex_destroy(&turns->lock);
}

void turns_enter(struct turns *turns)
{
	uint64_t mine;

	pthread_mutex_lock(&turns->lock);
	mine = turns->asked++;
	while (turns->served != mine)
		pthread_cond_wait(&turns->next, &turns->lock);
	pthread_mutex_unlock(&turns->lock);
}

void turns_leave(struct turns *turns)
{
	pthread_mutex_lock(&turns->lock);
	turns->served++;
	pthread_cond_broadcast(&turns->next);
	pthread_mutex_unlock(&turns->lock);
}
