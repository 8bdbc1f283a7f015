/* The files source: which files are listed, what is read again after a seek. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/owned.h"
#include "check.h"
#include "test_files.h"
#include "wire/files.h"

/* ---- names */

static void writers_at_work(void)
{
	static const char *const yes[] = {".a", "_a", "d/.a", "d/_a.json", "a.tmp", "a.json.part", "/x/a.inprogress"};
	static const char *const no[] = {"a", "d_/a", ".d/a", "a.tmp.json", "tmp", "a_", "partial"};

	for (size_t i = 0; i < COUNT_OF(yes); i++)
		CHECK(files_is_temporary(yes[i]));
	for (size_t i = 0; i < COUNT_OF(no); i++)
		CHECK(!files_is_temporary(no[i]));
}

static void settled(void)
{
	CHECK(files_is_settled(2000, 2000, 0)); /* by the file's own time: a backfill need not wait */
	CHECK(files_is_settled(2000, -5000, 2000)); /* its clock is ahead: as seen from here */
	CHECK(!files_is_settled(2000, 1999, 1999));
	CHECK(!files_is_settled(2000, -1, 0));
	CHECK(files_is_settled(0, -1, 0));
}

static char listed[512];

static void list_one(void *context, const struct listed_file *file)
{
	size_t used = strlen(listed);

	snprintf(listed + used, sizeof listed - used, "%s:%lld ", file->name, (long long)file->size);
}

static const char *list(const char *pattern, const char *base)
{
	struct files_place place = {.pattern = path_of(pattern), .folder = base};
	struct error err;

	listed[0] = 0;
	return files_list(&place, list_one, NULL, &err) ? "failed" : listed;
}

static void listing(void)
{
	char whole[200];

	fresh();
	mkdir(path_of("in"), 0755);
	mkdir(path_of("in/folder.json"), 0755);
	put("in/b.json", "12");
	put("in/a.json", "1");
	put("in/.c.json", "1");
	put("in/d.json.tmp", "1");
	put("in/[e].json", "123");
	if (symlink("nowhere", path_of("in/f.json")))
		CHECK_FAIL("no link");
	CHECK_TEXT(list("in/*.json", folder), "in/[e].json:3 in/a.json:1 in/b.json:2 in/f.json:-1 ");
	CHECK_TEXT(list("in/[ab].json", folder), "in/a.json:1 in/b.json:2 ");
	CHECK_TEXT(list("*/*.json*", folder), "in/[e].json:3 in/a.json:1 in/b.json:2 in/f.json:-1 ");
	snprintf(whole, sizeof whole, "%s/in/a.json:1 ", folder);
	CHECK_TEXT(list("in/a.json", "/elsewhere"), whole);
	CHECK_TEXT(list("in/none*", folder), "");
	/* The folder's own characters are no pattern. */
	mkdir(path_of("[in]"), 0755);
	put("[in]/x", "1");
	snprintf(whole, sizeof whole, "%s/[in]", folder);
	CHECK_TEXT(list("[in]/*", whole), "x:1 ");
}

/* ---- hashes */

static const char *hash_of(const char *first, const char *second)
{
	static char hex[HASH_HEX_SIZE];
	struct error err;
	struct hash *hash = hash_new(&err);

	hash_add(hash, first, strlen(first));
	hash_add(hash, second, strlen(second));
	hash_hex(hash, hex);
	hash_free(hash);
	return hex;
}

static void hashes(void)
{
	CHECK_TEXT(hash_of("a", "bc"),
	           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-4, "abc" */
}

/* ---- the source */

/* What the lake would hold. */
struct lake {
	struct file_entry files[8];
	int count;
	int64_t offset;
	struct source *source;
};

static int assigned(void *context, struct source_start *starts, int count, struct error *err)
{
	starts[0].offset = ((struct lake *)context)->offset;
	return 0;
}

static void revoked(void *context, const int32_t *partitions, int count, bool lost)
{
}

static int load(void *context, files_loaded *add, void *list, struct error *err)
{
	struct lake *lake = context;

	for (int i = 0; i < lake->count; i++)
		add(list, &lake->files[i]);
	return 0;
}

static struct source *open_at(struct lake *lake, const char *pattern, const struct files_remote *remote,
                              int64_t poll_ms)
{
	struct source_events events = {lake, assigned, revoked};
	struct files_config config = {
	        .place = {.pattern = pattern, .folder = folder, .remote = remote},
	        .stream_name = "s",
	        .poll_ms = poll_ms,
	        .cutting = &cutting_lines,
	        .context = lake,
	        .load = load,
	};
	struct error err;

	lake->source = source_open_files(&config, &events, &err);
	return lake->source;
}

static const char *everything(void)
{
	static char pattern[100];

	snprintf(pattern, sizeof pattern, "%s/*", folder);
	return pattern;
}

static struct source *open_files(struct lake *lake)
{
	return open_at(lake, everything(), NULL, 1);
}

static struct error why;

/* The next event that is one, as text: "FILE:LINE@OFFSET", "end@OFFSET", or "error". */
static const char *next(struct source *source)
{
	static char text[64];
	struct message message = {0};
	enum poll_result result = POLL_NOTHING;

	why = (struct error){0};
	for (int i = 0; i < 50 && result == POLL_NOTHING; i++)
		result = source->ops->poll(source, 5, &message, &why);
	if (result == POLL_ERROR || result == POLL_NOTHING)
		return result == POLL_ERROR ? "error" : "-";
	if (result == POLL_LANE_END)
		snprintf(text, sizeof text, "end@%lld", (long long)message.offset);
	else
		snprintf(text, sizeof text, "%.*s:%lld@%lld", (int)message.key_size, (const char *)message.key,
		         (long long)message.place, (long long)message.offset);
	message_release(&message);
	return text;
}

/* The end may be told before the next listing finds more. */
static const char *next_message(struct source *source)
{
	const char *text = next(source);

	return strncmp(text, "end", 3) != 0 ? text : next(source);
}

/* The name, for good: the source that gave it may close. */
static const char *keep_name(const char *name)
{
	static char names[16][8];
	int i = 0;

	while (*names[i] && strcmp(names[i], name) && i < 15)
		i++;
	snprintf(names[i], sizeof names[i], "%s", name);
	return names[i];
}

/* The lake commits the offsets up to `to`. */
static void commit(struct lake *lake, int64_t to)
{
	OWNED_FREE struct file_entry *entries = NULL;
	struct error err;
	int count = 0;

	files_between(lake->source, lake->offset, to, &entries, &count, &err);
	for (int i = 0; i < count; i++) {
		struct file_entry *entry = &lake->files[entries[i].number - 1];

		CHECK(entries[i].number <= lake->count + 1);
		*entry = entries[i];
		entry->name = keep_name(entry->name);
		if (entries[i].number > lake->count)
			lake->count++;
	}
	lake->offset = to;
}

static void takes_in_order(void)
{
	struct lake lake = {0};
	struct source *source;
	struct files_progress progress;

	fresh();
	put("b", "1\n2\n");
	put("a", "");
	source = open_files(&lake);
	CHECK_TEXT(next(source), "b:1@1"); /* offset 0 is the end of a */
	CHECK_TEXT(next(source), "b:2@2");
	CHECK_TEXT(next(source), "end@4");
	put("0", "x\n");
	CHECK_TEXT(next_message(source), "0:1@4");
	CHECK_TEXT(next(source), "end@6");
	CHECK_TEXT(next(source), "-");
	files_progress(source, &progress);
	CHECK_INT(progress.files, 3);
	CHECK_INT(progress.files_read, 3);
	CHECK_INT(progress.bytes_read, 6);
	source->ops->close(source);
}

static void goes_on_where_the_lake_is(void)
{
	struct lake lake = {0};
	struct source *source;

	fresh();
	put("a", "1\n2\n3\n");
	put("b", "4\n");
	source = open_files(&lake);
	for (int i = 0; i < 4; i++)
		next(source);
	commit(&lake, 2);
	CHECK_INT(lake.count, 1);
	CHECK_INT(lake.files[0].next_offset, -1);
	/* A reset: what was registered and not committed is read again under the same offsets, though 0 is there now.
	 */
	put("0", "5\n");
	CHECK_INT(source->ops->seek(source, 0, 2, &why), 0);
	CHECK_TEXT(next(source), "a:3@2");
	CHECK_TEXT(next(source), "b:1@4");
	CHECK_TEXT(next_message(source), "0:1@6");
	source->ops->close(source);
	/* The next process knows only what was committed. */
	source = open_files(&lake);
	CHECK_TEXT(next(source), "a:3@2");
	CHECK_TEXT(next(source), "0:1@4");
	CHECK_TEXT(next(source), "b:1@6");
	CHECK_TEXT(next(source), "end@8");
	commit(&lake, 8);
	CHECK_INT(lake.count, 3);
	CHECK_INT(lake.files[0].next_offset, 4);
	CHECK_INT(lake.files[2].next_offset, 8);
	source->ops->close(source);
	source = open_files(&lake);
	CHECK_TEXT(next(source), "end@8");
	CHECK_TEXT(next(source), "-");
	source->ops->close(source);
}

/* An owner who saw a before b, which is taken here. */
static void open_who_saw_a_first(struct lake *other, struct source **ret_theirs)
{
	put("a", "2\n");
	*ret_theirs = open_files(other);
	CHECK_TEXT(next(*ret_theirs), "a:1@0");
	CHECK_TEXT(next(*ret_theirs), "b:1@2");
	commit(other, 2);
}

static void another_owner_was_first(void)
{
	struct lake lake = {0}, other = {0};
	struct source *source, *theirs;

	fresh();
	put("b", "1\n");
	source = open_files(&lake);
	CHECK_TEXT(next(source), "b:1@0");
	open_who_saw_a_first(&other, &theirs);
	/* The lake has a at offset 0: what was registered here as b's is forgotten. */
	lake = other;
	lake.source = source;
	CHECK_INT(source->ops->seek(source, 0, 2, &why), 0);
	CHECK_TEXT(next_message(source), "b:1@2");
	CHECK_TEXT(next(source), "end@4");
	source->ops->close(source);
	theirs->ops->close(theirs);
}

static void refuses_what_changed(void)
{
	struct lake lake = {0};
	struct source *source;

	fresh();
	put("a", "1\n2\n");
	source = open_files(&lake);
	CHECK_TEXT(next(source), "a:1@0");
	commit(&lake, 1);
	source->ops->close(source);
	put("a", "1\n9\n");
	source = open_files(&lake);
	CHECK_TEXT(next(source), "error");
	CHECK(why.kind == ERROR_INVALID);
	CHECK_HAS(why.message, "a was changed after it was taken in part");
	source->ops->close(source);
	unlink(path_of("a"));
	source = open_files(&lake);
	CHECK_TEXT(next(source), "error");
	CHECK_HAS(why.message,
	          "a cannot be opened (No such file or directory), and the lake holds the first part of it");
	source->ops->close(source);
	put("a", "1\n2\n");
	lake.offset = 7; /* behind a's messages */
	source = open_files(&lake);
	CHECK_TEXT(next(source), "error");
	CHECK_HAS(why.message, "comes apart into fewer or more messages");
	source->ops->close(source);
	lake.files[0].first_offset = 3;
	source = open_files(&lake);
	CHECK_TEXT(next(source), "error");
	CHECK_HAS(why.message, "the lake's tarn.files has a at offset 3 and 0 was expected");
	source->ops->close(source);
}

static void frozen(void)
{
	struct lake lake = {0};
	struct source *source;

	fresh();
	put("a", "1\n");
	source = open_files(&lake);
	CHECK_INT(source->ops->freeze(source, &why), 0);
	CHECK_TEXT(next(source), "a:1@0");
	put("b", "2\n");
	CHECK_TEXT(next(source), "end@2"); /* b was not there */
	CHECK_TEXT(next(source), "-");
	CHECK_INT(files_unread(source, &why), 0);
	source->ops->close(source);
}

/* ---- what is let go of unread, and the next listing is far away: the end is not told without it */

#define FAR_MS 60000

/* A file that takes a few steps to be hashed, of one line; then the first of them. */
static struct source *open_hashing(struct lake *lake)
{
	struct message message;
	struct source *source;
	FILE *file;

	fresh();
	file = fopen(path_of("a"), "w");
	for (int i = 0; i < 3 << 20; i++)
		fputc('x', file);
	fputc('\n', file);
	fclose(file);
	source = open_at(lake, everything(), NULL, FAR_MS);
	source->ops->freeze(source, &why);
	for (int i = 0; i < 2; i++)
		source->ops->poll(source, 0, &message, &why);
	return source;
}

static void a_reset_while_a_file_is_hashed(void)
{
	struct lake lake = {0};
	struct source *source = open_hashing(&lake);

	CHECK_INT(source->ops->seek(source, 0, 0, &why), 0);
	CHECK_TEXT(next(source), "a:1@0");
	CHECK_TEXT(next(source), "end@2");
	source->ops->close(source);
}

static void a_file_that_grows_while_it_is_hashed(void)
{
	struct lake lake = {0};
	struct source *source = open_hashing(&lake);
	FILE *file = fopen(path_of("a"), "a");

	fputs("\n\n", file);
	fclose(file);
	CHECK_TEXT(next(source), "a:1@0");
	CHECK_TEXT(next(source), "end@2");
	source->ops->close(source);
}

static void the_lake_has_other_files(void)
{
	struct lake lake = {0}, other = {0};
	struct source *source, *theirs;

	fresh();
	put("b", "1\n");
	source = open_at(&lake, everything(), NULL, FAR_MS);
	source->ops->freeze(source, &why);
	CHECK_TEXT(next(source), "b:1@0");
	open_who_saw_a_first(&other, &theirs);
	lake = other;
	lake.source = source;
	CHECK_INT(source->ops->seek(source, 0, 2, &why), 0);
	CHECK_TEXT(next(source), "b:1@2");
	CHECK_TEXT(next(source), "end@4");
	source->ops->close(source);
	theirs->ops->close(theirs);
}

/* Objects a and b, each one line (or two); a cannot be had for the next `failures` times, at its last piece. */
struct store {
	int failures, list_ms;
	int pieces; /* of an object, before it is there */
	int at; /* those that were copied; 0: none is being */
	int drops; /* of what was begun */
	const char *content;
};

static int list_store(void *context, const char *pattern, files_found *found, void *list, struct error *err)
{
	struct store *store = context;

	usleep((useconds_t)store->list_ms * 1000);
	found(list, &(struct listed_file){"s3://s/a", 2, 1});
	found(list, &(struct listed_file){"s3://s/b", 2, 1});
	return 0;
}

static int fetch_object(void *context, const char *name, char **ret_path, struct error *err)
{
	struct store *store = context;

	if (store->at++ < store->pieces)
		return 0;
	store->at = 0;
	if (name[strlen(name) - 1] == 'a' && store->failures) {
		store->failures--;
		return error_set(err, ERROR_TRANSIENT, 0, "fetching %s: it has expired", name);
	}
	put("copy", store->content ? store->content : "1\n");
	*ret_path = strdup(path_of("copy"));
	return 1;
}

static void drop_object(void *context)
{
	struct store *store = context;

	store->drops += store->at > 0;
	store->at = 0;
}

static struct source *open_store(struct lake *lake, struct store *store)
{
	static struct files_remote remote = {.list = list_store, .fetch = fetch_object, .drop = drop_object};

	fresh();
	remote.context = store;
	return open_at(lake, "s3://s/*", &remote, FAR_MS);
}

static void an_object_that_cannot_be_had_at_first(void)
{
	struct store store = {.failures = 2};
	struct lake lake = {0};
	struct source *source = open_store(&lake, &store);

	CHECK_INT(source->ops->freeze(source, &why), 0);
	CHECK_TEXT(next(source), "error");
	CHECK_TEXT(next(source), "s3://s/b:1@0");
	CHECK_TEXT(next(source), "error");
	CHECK_HAS(why.message, "s3://s/a");
	CHECK_TEXT(next(source), "s3://s/a:1@2");
	CHECK_TEXT(next(source), "end@4");
	source->ops->close(source);
}

/* Each poll says so, however long the listing takes: who polls has a patience that a poll without an error renews. */
static void an_object_that_cannot_be_had_at_all(void)
{
	struct store store = {.failures = 100, .list_ms = 10};
	struct lake lake = {0};
	struct source *source = open_store(&lake, &store);
	struct message message;

	CHECK_INT(source->ops->freeze(source, &why), 0);
	CHECK_TEXT(next(source), "error");
	CHECK_TEXT(next(source), "s3://s/b:1@0");
	CHECK_TEXT(next(source), "error");
	for (int i = 0; i < 5; i++)
		CHECK_INT(source->ops->poll(source, 5, &message, &why), POLL_ERROR);
	source->ops->close(source);
}

/* It comes in pieces between which others have their turn; one that is not whole is let go of. */
static void an_object_in_pieces(void)
{
	struct store store = {.pieces = 3};
	struct lake lake = {0};
	struct source *source = open_store(&lake, &store);
	struct message message;

	CHECK_INT(source->ops->poll(source, 0, &message, &why), POLL_NOTHING);
	CHECK_INT(store.at, 1);
	CHECK_INT(source->ops->poll(source, 0, &message, &why), POLL_NOTHING);
	CHECK_INT(store.at, 2);
	CHECK_INT(source->ops->seek(source, 0, 0, &why), 0);
	CHECK_INT(store.drops, 1);
	CHECK_TEXT(next(source), "s3://s/b:1@0"); /* which was next */
	CHECK_TEXT(next(source), "s3://s/a:1@2");
	source->ops->close(source);
	CHECK_INT(store.drops, 1);
}

/* Its last piece cannot be had, and it was taken in part: it is that object which is fetched again, and nothing is
 * passed over. Frozen, each poll after the first failure says so. */
static void a_part_of_an_object_that_cannot_be_had(void)
{
	struct store store = {.pieces = 3, .content = "1\n2\n"};
	struct lake lake = {0};
	struct source *source = open_store(&lake, &store);
	struct message message;

	lake.files[0] = (struct file_entry){1, "s3://s/a", 4, 1, "", 0, -1};
	snprintf(lake.files[0].hash, sizeof lake.files[0].hash, "%s", hash_of("1\n", "2\n"));
	lake.count = 1;
	lake.offset = 1;
	store.failures = 4;
	CHECK_INT(source->ops->freeze(source, &why), 0);
	CHECK_TEXT(next(source), "error");
	for (int i = 0; i < 3; i++)
		CHECK_INT(source->ops->poll(source, 0, &message, &why), POLL_ERROR);
	CHECK_TEXT(next(source), "s3://s/a:2@1");
	source->ops->close(source);
}

int main(int argc, char **argv)
{
	int result;
	struct error err;

	log_init(true, LOG_ERROR, false);
	result = CHECK_MAIN(argc, argv, TEST(writers_at_work), TEST(settled), TEST(listing), TEST(hashes),
	                    TEST(takes_in_order), TEST(goes_on_where_the_lake_is), TEST(another_owner_was_first),
	                    TEST(refuses_what_changed), TEST(frozen), TEST(a_reset_while_a_file_is_hashed),
	                    TEST(a_file_that_grows_while_it_is_hashed), TEST(the_lake_has_other_files),
	                    TEST(an_object_that_cannot_be_had_at_first), TEST(an_object_that_cannot_be_had_at_all),
	                    TEST(an_object_in_pieces), TEST(a_part_of_an_object_that_cannot_be_had));
	if (*folder)
		folder_remove(folder, &err);
	return result;
}
