/* files_private.h - what the files of the files source share; nothing outside wire/ includes it. */
#ifndef TARN_WIRE_FILES_PRIVATE_H
#define TARN_WIRE_FILES_PRIVATE_H

#include <pthread.h>
#include <sys/stat.h>

#include "base/metrics.h"
#include "wire/files.h"

/*
 * What is known of a name:
 *
 *     YOUNG --settled--> QUEUED --hashed--> TAKEN --other content--> CHANGED
 *     YOUNG <--> PART (settled, but its end is missing) and UNREADABLE; QUEUED --changed meanwhile--> YOUNG
 */
enum name_state { NAME_YOUNG, NAME_PART, NAME_UNREADABLE, NAME_QUEUED, NAME_TAKEN, NAME_CHANGED };

struct known_name {
	char *name; /* owned; lives as long as the source, for messages point at it */
	enum name_state state;
	int64_t size, modified_ms; /* as last listed */
	int64_t since_ms; /* monotonic: not seen to change since */
	int64_t listing; /* that saw it first */
	bool said; /* that it waits, or changed */
	char why[160]; /* it is PART or UNREADABLE */
	struct registered *file; /* TAKEN, CHANGED */
};

/* A file of the register. */
struct registered {
	struct file_entry entry;
	struct known_name *known;
	/* How it was when it was hashed here; st_ino 0: by another process. */
	struct stat hashed;
};

enum work { WORK_NONE, WORK_FETCH, WORK_HASH, WORK_OPEN, WORK_CUT };
enum purpose { TO_TAKE, TO_GO_ON, TO_COMPARE };

/* The file at hand. */
struct at_hand {
	enum work work;
	enum purpose purpose;
	struct known_name *known;
	struct registered *file; /* TO_GO_ON, and TO_TAKE once it is registered */
	char *path; /* owned */
	bool is_copy; /* of a remote file: removed when it is closed */
	struct cut_file bytes; /* fd -1: not open */
	struct stat st; /* when it was opened */
	struct hash *hash;
	int64_t hashed; /* bytes */
	struct cut *cut;
	int64_t skip; /* messages that the lake has */
};

struct files_source {
	struct source source; /* first: the vtable's user holds its address */
	struct source_events events;
	struct files_config config;
	struct metrics *metrics;
	bool assigned, paused;
	void *names; /* tsearch: struct known_name by name */

	/* Under `lock`, changed by the polling thread alone. */
	pthread_mutex_t lock;
	struct registered **files; /* owned, as are they */
	int file_count, file_capacity;
	int64_t position; /* the next offset to be given */
	struct files_progress progress;
	int64_t bytes_at_hand; /* of the file at hand, read */

	int next_file; /* of the register: the one that position comes to next */
	struct known_name **queue; /* to be hashed, in order */
	int queue_count, queue_capacity, queue_at;
	struct at_hand at;
	bool fetch_failed; /* the last one that ended */
	int64_t told; /* POLL_LANE_END; -1: not yet */

	/* Listings. */
	int64_t listing; /* how many there were */
	int64_t due_ms; /* monotonic: the next one */
	int young; /* of the last one: files that settle by waiting */
	bool said_nothing; /* that no file matches */
	bool frozen;
	int64_t frozen_listing; /* names that came later do not count; 0: none was made yet */
	int64_t frozen_ms;
	struct error failed; /* of a callback of a listing */
};

/* files_names.c: the listing, and which file is next. */
/* Lists the files and queues those that are whole. */
int names_look(struct files_source *source, struct error *err);
/* One more file than the last listing told of settles by waiting. */
void names_settle(struct files_source *source);
/* The next queued name, or NULL. */
struct known_name *names_next(struct files_source *source);
/* NULL: out of memory. */
struct known_name *names_find(struct files_source *source, const char *name);
int names_queue(struct files_source *source, struct known_name *known);
/* Another content than the registered one: said once. */
void names_changed(struct files_source *source, struct known_name *known, const char *how);
/* When frozen: will nothing more come? */
bool names_are_done(struct files_source *source);
void names_release(struct files_source *source);

/* files_register.c */
/* The lake's register, and behind it what was registered here and is not committed: as long as the lake knows no other.
 */
int register_load(struct files_source *source, struct error *err);
/* Adds the file at the source's position. NULL with *err: memory. */
struct registered *register_add(struct files_source *source, const struct file_entry *entry, struct error *err);
/* Index of the file that holds the offset; file_count where it is the end; -1 with *err: it is nowhere. */
int register_find(const struct files_source *source, int64_t offset, struct error *err);
int64_t register_end(const struct files_source *source);
void register_release(struct files_source *source);

/* files_hand.c: the file at hand. */
int hand_take(struct files_source *source, struct known_name *known, enum purpose purpose, struct error *err);
int hand_go_on(struct files_source *source, struct registered *file, int64_t skip, struct error *err);
/* A step of fetching, hashing or opening. */
int hand_step(struct files_source *source, struct error *err);
/* 1: a message; 0: none yet, or the file ended; -1: *err. */
int hand_next(struct files_source *source, struct message *ret, struct error *err);
void hand_close(struct files_source *source);

#endif
