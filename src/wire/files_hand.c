/*
 * files_hand.c - the file at hand: opened (or fetched in steps first), hashed in steps, registered or compared with the
 * register, cut into messages, and looked at once more at its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/owned.h"
#include "wire/files_private.h"
#include "wire/headers.h"

#define STEP_BYTES ((size_t)1 << 20)

static bool same_stat(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A copy is removed. */
static void forget_bytes(struct at_hand *at)
{
	if (at->bytes.fd >= 0)
		close(at->bytes.fd);
	if (at->is_copy && at->path)
		unlink(at->path);
	free(TAKE(at->path));
	at->bytes.fd = -1;
	at->is_copy = false;
}

void hand_close(struct files_source *source)
{
	struct at_hand *at = &source->at;

	if (at->work == WORK_FETCH)
		source->config.place.remote->drop(source->config.place.remote->context);
	if (at->cut)
		at->cut->ops->close(at->cut);
	hash_free(at->hash);
	forget_bytes(at);
	*at = (struct at_hand){.bytes = {.fd = -1}};
	pthread_mutex_lock(&source->lock);
	source->bytes_at_hand = 0;
	pthread_mutex_unlock(&source->lock);
}

/* ---- opening */

/* A new file is let go of unread. Once frozen the end is told soon, and not without another listing. */
static void look_again(struct files_source *source)
{
	if (source->frozen && source->at.purpose == TO_TAKE)
		source->due_ms = 0;
}

/* A file that was taken in part must be there; one that is new may go away again. */
static int cannot_open(struct files_source *source, struct error *err)
{
	struct at_hand *at = &source->at;
	struct known_name *known = at->known;
	int code = errno;

	if (at->purpose == TO_GO_ON)
		return error_set(err, code == ENOENT ? ERROR_INVALID : ERROR_TRANSIENT, code,
		                 "%s cannot be opened (%s), and the lake holds the first part of it: put it back as it "
		                 "was, to be read to its end",
		                 known->name, strerror(code));
	if (at->purpose == TO_TAKE)
		known->state = NAME_YOUNG; /* the next listing tells of it, if it is still there */
	look_again(source);
	hand_close(source);
	return 0;
}

/* The file at at->path. */
static int open_file(struct files_source *source, struct error *err)
{
	struct at_hand *at = &source->at;

	at->bytes.fd = open(at->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (at->bytes.fd < 0 || fstat(at->bytes.fd, &at->st))
		return cannot_open(source, err);
	at->bytes.size = at->st.st_size;
	at->bytes.path = at->path;
	posix_fadvise(at->bytes.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	/* What this process hashed and has not changed since needs no second look. */
	if (at->purpose == TO_GO_ON && at->file->hashed.st_ino && same_stat(&at->file->hashed, &at->st)) {
		at->work = WORK_OPEN;
		return 0;
	}
	at->hash = hash_new(err);
	at->work = WORK_HASH;
	return at->hash ? 0 : -1;
}

/* After a failure up to its end at once: a poll without an error would look like the end of the trouble. */
static int fetch_some(struct files_source *source, struct error *err)
{
	const struct files_remote *remote = source->config.place.remote;
	struct at_hand *at = &source->at;
	int got;

	at->work = WORK_FETCH;
	do
		got = remote->fetch(remote->context, at->known->name, &at->path, err);
	while (!got && source->frozen && source->fetch_failed);
	if (!got)
		return 0;
	source->fetch_failed = got < 0;
	at->is_copy = got > 0;
	return got < 0 ? -1 : open_file(source, err);
}

static int first_step(struct files_source *source, struct error *err)
{
	struct at_hand *at = &source->at;

	if (files_is_remote(at->known->name))
		return fetch_some(source, err);
	at->path = files_path(&source->config.place, at->known->name);
	return at->path ? open_file(source, err) : error_no_memory(err);
}

/* Nothing of a file that was to be taken or compared is kept. */
static void let_go(struct files_source *source)
{
	if (source->at.purpose != TO_GO_ON && !files_is_remote(source->at.known->name))
		source->at.known->state = NAME_YOUNG;
	look_again(source);
	hand_close(source);
}

static int begin(struct files_source *source, struct error *err)
{
	if (first_step(source, err) == 0)
		return 0;
	let_go(source);
	return -1;
}

int hand_take(struct files_source *source, struct known_name *known, enum purpose purpose, struct error *err)
{
	hand_close(source);
	source->at.known = known;
	source->at.purpose = purpose;
	source->at.file = known->file;
	return begin(source, err);
}

int hand_go_on(struct files_source *source, struct registered *file, int64_t skip, struct error *err)
{
	hand_close(source);
	source->at.known = file->known;
	source->at.purpose = TO_GO_ON;
	source->at.file = file;
	source->at.skip = skip;
	return begin(source, err);
}

/* ---- hashed */

static int take(struct files_source *source, const char *hash, struct error *err)
{
	struct at_hand *at = &source->at;
	struct file_entry entry = {
	        .number = source->file_count ? source->files[source->file_count - 1]->entry.number + 1 : 1,
	        .name = at->known->name,
	        .size = at->bytes.size,
	        .modified_ms = at->known->modified_ms,
	        .first_offset = source->position,
	        .next_offset = -1,
	};

	memcpy(entry.hash, hash, sizeof entry.hash);
	at->file = register_add(source, &entry, err);
	if (!at->file)
		return -1;
	if (!at->is_copy)
		at->file->hashed = at->st;
	source->next_file = source->file_count;
	pthread_mutex_lock(&source->lock);
	if (source->progress.waiting)
		source->progress.waiting--;
	pthread_mutex_unlock(&source->lock);
	log_event(EVENT_FILE_TAKEN,
	          FIELDS(LOG_TEXT("stream", source->config.stream_name), LOG_TEXT("file", entry.name),
	                 LOG_NUMBER("bytes", entry.size), LOG_NUMBER("offset", entry.first_offset)),
	          "reading %s (%" PRId64 " bytes)", entry.name, entry.size);
	return fault_error(FAULT_FILE_TAKEN, err) ? -1 : 0;
}

static int go_on(struct files_source *source, const char *hash, struct error *err)
{
	struct at_hand *at = &source->at;
	const struct file_entry *entry = &at->file->entry;

	if (entry->size == at->bytes.size && !strcmp(entry->hash, hash)) {
		if (!at->is_copy)
			at->file->hashed = at->st;
		return 0;
	}
	return error_set(err, ERROR_INVALID, 0,
	                 "%s was changed after it was taken in part (it had %" PRId64
	                 " bytes, SHA-256 %.16s...; it has %" PRId64
	                 "): put it back as it was, to be read to its end, and give the new content another name",
	                 entry->name, entry->size, entry->hash, at->bytes.size);
}

/* The same bytes as those that were taken, written anew: nothing has changed. */
static void compare(struct files_source *source, const char *hash)
{
	struct at_hand *at = &source->at;

	if (strcmp(at->file->entry.hash, hash)) {
		names_changed(source, at->known, "has other content");
	} else {
		pthread_mutex_lock(&source->lock);
		at->file->entry.modified_ms = at->known->modified_ms;
		pthread_mutex_unlock(&source->lock);
	}
}

/* Its writer was at work while it was hashed: as if it had just been seen. */
static void put_back(struct files_source *source)
{
	struct known_name *known = source->at.known;

	known->state = NAME_YOUNG;
	known->since_ms = clock_monotonic_ms();
	known->size = -2;
	names_settle(source);
}

static int after_hash(struct files_source *source, struct error *err)
{
	struct at_hand *at = &source->at;
	char hash[HASH_HEX_SIZE];
	struct stat now;

	hash_hex(at->hash, hash);
	hash_free(TAKE(at->hash));
	if (at->purpose == TO_TAKE &&
	    (at->bytes.size != at->known->size || fstat(at->bytes.fd, &now) || !same_stat(&now, &at->st))) {
		put_back(source);
		hand_close(source);
		return 0;
	}
	if (at->purpose == TO_COMPARE) {
		compare(source, hash);
		hand_close(source);
		return 0;
	}
	at->work = WORK_OPEN;
	return at->purpose == TO_TAKE ? take(source, hash, err) : go_on(source, hash, err);
}

static int hash_some(struct files_source *source, struct error *err)
{
	struct at_hand *at = &source->at;
	int64_t left = at->bytes.size - at->hashed;
	size_t size = left > (int64_t)STEP_BYTES ? STEP_BYTES : (size_t)left;
	OWNED_FREE uint8_t *bytes = malloc(STEP_BYTES);

	if (!bytes)
		return error_no_memory(err);
	if (fault_error(FAULT_FILE_HASH, err))
		return -1;
	if (cut_read(&at->bytes, at->hashed, bytes, size, err)) {
		/* A new file that shrinks is not whole after all. */
		if (at->purpose == TO_GO_ON)
			return -1;
		*err = (struct error){0};
		if (at->purpose == TO_TAKE)
			put_back(source);
		hand_close(source);
		return 0;
	}
	hash_add(at->hash, bytes, size);
	at->hashed += (int64_t)size;
	return at->hashed == at->bytes.size ? after_hash(source, err) : 0;
}

int hand_step(struct files_source *source, struct error *err)
{
	struct at_hand *at = &source->at;

	if (at->work == WORK_FETCH) {
		if (fetch_some(source, err) == 0)
			return 0;
		if (at->purpose == TO_GO_ON)
			forget_bytes(at); /* what is registered is fetched again by the next step */
		else
			let_go(source);
		return -1;
	}
	if (at->work == WORK_HASH)
		return hash_some(source, err);
	at->cut = source->config.cutting->open(source->config.cutting->context, &at->bytes, err);
	if (!at->cut)
		return -1;
	at->work = WORK_CUT;
	return 0;
}

/* ---- cut */

/* The end is an offset of its own, without a message. */
static int end_file(struct files_source *source, struct error *err)
{
	struct at_hand *at = &source->at;
	struct file_entry *entry = &at->file->entry;
	struct files_progress *progress = &source->progress;
	struct stat now;

	if (at->skip || (entry->next_offset >= 0 && entry->next_offset != source->position + 1))
		return error_set(err, ERROR_INVALID, 0,
		                 "%s comes apart into fewer or more messages than when it was taken: was it begun by "
		                 "another version of Tarn? Its rest cannot be read; give it another name",
		                 entry->name);
	if (fault_error(FAULT_FILE_END, err))
		return -1;
	if (!at->is_copy && (fstat(at->bytes.fd, &now) || !same_stat(&now, &at->st)))
		names_changed(source, at->known, "was written to while it was read, or");
	pthread_mutex_lock(&source->lock);
	source->position++;
	entry->next_offset = source->position;
	progress->files_read++;
	progress->bytes_read += entry->size;
	if (progress->files < progress->files_read)
		progress->files = progress->files_read;
	if (progress->bytes < progress->bytes_read)
		progress->bytes = progress->bytes_read;
	pthread_mutex_unlock(&source->lock);
	hand_close(source);
	return 0;
}

static void append_headers(const struct message *message, struct buffer *out)
{
	char place[24];
	int size = snprintf(place, sizeof place, "%" PRId64, message->place);

	buffer_char(out, '[');
	headers_pair_json(out, "file", message->key, message->key_size);
	buffer_char(out, ',');
	headers_pair_json(out, message->place_unit, place, (size_t)size);
	buffer_char(out, ']');
}

int hand_next(struct files_source *source, struct message *ret, struct error *err)
{
	struct at_hand *at = &source->at;
	const struct file_entry *entry = &at->file->entry;
	int got = at->cut->ops->next(at->cut, at->skip > 0, ret, err);

	if (got <= 0)
		return got < 0 ? -1 : end_file(source, err);
	pthread_mutex_lock(&source->lock);
	source->bytes_at_hand = at->cut->at;
	if (!at->skip)
		source->position++;
	pthread_mutex_unlock(&source->lock);
	if (at->skip) {
		at->skip--;
		return 0;
	}
	ret->partition = 0;
	ret->offset = source->position - 1;
	ret->timestamp_ms = entry->modified_ms;
	ret->key = (const uint8_t *)entry->name;
	ret->key_size = strlen(entry->name);
	ret->place_unit = source->config.cutting->unit;
	ret->headers = append_headers;
	return 1;
}
