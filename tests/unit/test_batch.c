/* test_batch.c - messages of the corpus, whole and broken: refused with a reason or decoded, and let go of exactly
 * once. */
#include <dirent.h>
#include <pthread.h>

#include "batch/arrow_abi.h"
#include "batch/batch.h"
#include "check.h"

#define CORPUS TESTS_FOLDER "/fuzz/corpus/ipc/"

struct file {
	uint8_t *data;
	size_t size;
};

static struct file read_file(const char *name)
{
	struct file file = {0};
	char path[512];
	FILE *stream;

	snprintf(path, sizeof path, CORPUS "%s", name);
	stream = fopen(path, "rb");
	if (!stream)
		return file;
	file.data = malloc(1 << 20);
	file.size = fread(file.data, 1, 1 << 20, stream);
	fclose(stream);
	return file;
}

static void count_release(void *opaque)
{
	++*(int *)opaque;
}

static struct batch_bytes bytes_of(const uint8_t *data, size_t size, int *released)
{
	*released = 0;
	return (struct batch_bytes){data, size, count_release, released};
}

/* Decodes and drops. Returns 1 accepted, 0 refused well, -1 anything else. */
static int try_bytes(struct batch_decoder *decoder, const uint8_t *data, size_t size, struct error *err)
{
	struct batch_set set;
	int released;

	memset(err, 0, sizeof *err);
	if (ipc_decode(decoder, bytes_of(data, size, &released), &set, err))
		return err->kind == ERROR_CORRUPT && strstr(err->message, "at byte ") && !released && !set.arrays ? 0
		                                                                                                  : -1;
	if (released != (set.count == 0))
		return -1;
	batch_set_release(&set);
	return released == 1 ? 1 : -1;
}

static void corpus_is_taken_or_refused_by_name(void)
{
	struct batch_decoder *decoder = batch_decoder_new(NULL, NULL);
	DIR *folder = opendir(CORPUS);
	struct dirent *entry;
	struct error err;
	int seen = 0;

	CHECK(folder && decoder);
	while ((entry = readdir(folder))) {
		struct file file = read_file(entry->d_name);
		int result;

		if (entry->d_name[0] == '.' || !file.data) {
			free(file.data);
			continue;
		}
		result = try_bytes(decoder, file.data, file.size, &err);
		if (result < 0 || (!strncmp(entry->d_name, "ok_", 3) && result != 1) ||
		    (!strncmp(entry->d_name, "bad_", 4) && result != 0))
			CHECK_FAIL("%s: %d %s", entry->d_name, result, err.message);
		seen++;
		free(file.data);
	}
	closedir(folder);
	batch_decoder_free(decoder);
	CHECK(seen > 100);
}

/* A frame may end the payload (the end marker is optional); nothing else may. */
static void every_truncation_is_seen(void)
{
	static const char *const names[] = {"ok_scalars", "ok_nested", "ok_encoded", "ok_nested_lz4",
	                                    "ok_dictionary_delta_zstd"};
	struct batch_decoder *decoder = batch_decoder_new(NULL, NULL);
	struct error err;

	for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
		struct file file = read_file(names[n]);
		int accepted = 0, result;

		CHECK(file.data);
		for (size_t size = 0; size < file.size; size++) {
			uint8_t *exact = malloc(size + 1); /* so that a sanitizer sees a read beyond the end */

			memcpy(exact, file.data, size);
			result = try_bytes(decoder, exact, size, &err);
			free(exact);
			if (result < 0)
				CHECK_FAIL("%s cut to %zu: %s", names[n], size, err.message);
			accepted += result;
		}
		free(file.data);
		CHECK(accepted >= 1 && accepted < 20);
	}
	batch_decoder_free(decoder);
}

static void no_bit_flip_does_harm(void)
{
	static const char *const names[] = {"ok_scalars", "ok_nested", "ok_encoded", "ok_nested_zstd",
	                                    "ok_dictionary_delta"};
	struct batch_decoder *decoder = batch_decoder_new(NULL, NULL);
	struct error err;

	for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
		struct file file = read_file(names[n]);

		CHECK(file.data);
		for (size_t bit = n; bit < file.size * 8; bit += 5) {
			file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (try_bytes(decoder, file.data, file.size, &err) < 0)
				CHECK_FAIL("%s with bit %zu flipped: %s", names[n], bit, err.message);
			file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		free(file.data);
	}
	batch_decoder_free(decoder);
}

static void reasons_say_where(void)
{
	static const struct {
		const char *file, *reason;
	} cases[] = {
	        {"bad_utf8_middle_string", "record batch 0: column 't': the text at row 1 is not UTF-8"},
	        {"bad_utf8_cut_string", "the text at row 0 is not UTF-8"},
	        {"bad_utf8_end_string_view", "the text at row 1 is not UTF-8"},
	        {"bad_dictionary_index", "column 'd': index 5 at row 1 is outside its dictionary of 1 values"},
	        {"bad_dictionary_list", "a dictionary of list cannot be stored: send the column plain"},
	        {"bad_decimal256", "column 'a': decimal256(50, 2) cannot be stored"},
	        {"bad_dense_union", "send a sparse union"},
	        {"bad_empty_name", "column 0 has an empty name"},
	        {"bad_same_names", "the names 'Name' and 'name' are the same without case"},
	        {"bad_file_format", "send the stream format"},
	        {"bad_trailing", "8 bytes follow the end of the stream"},
	        {"bad_two_streams", "a second schema"},
	        {"bad_json", "no Arrow IPC message begins here"},
	        {"bad_empty", "the message holds no schema"},
	        {"bad_shared_children", "more than 10000 columns and nested fields"},
	        {"bad_bomb", "says it has 1099511627776 bytes uncompressed"},
	        {"bad_list_view_order", "does not follow the one before"},
	};
	struct batch_decoder *decoder = batch_decoder_new(NULL, NULL);
	struct error err;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct file file = read_file(cases[i].file);

		CHECK(file.data);
		CHECK_INT(try_bytes(decoder, file.data, file.size, &err), 0);
		CHECK_HAS(err.message, cases[i].reason);
		free(file.data);
	}
	batch_decoder_free(decoder);
}

/* What decompressing and converting made, and the arrays; a message that would make a byte more is refused. */
static void what_a_message_makes_is_told_and_bounded(void)
{
	static const char *const files[] = {"ok_scalars_zstd", "ok_nested_lz4", "ok_encoded_dictionary_text"};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct batch_counters counters = {0};
		struct batch_decoder *decoder = batch_decoder_new(&counters, NULL);
		struct file file = read_file(files[i]);
		struct batch_set set;
		struct error err;
		int64_t schema;
		int released;

		CHECK(file.data);
		CHECK_INT(try_bytes(decoder, file.data, file.size, &err), 1);
		schema = counters.copied;
		counters.copied = counters.decompressed = 0;
		CHECK_INT(ipc_decode(decoder, bytes_of(file.data, file.size, &released), &set, &err), 0);
		CHECK_INT(set.made, counters.copied + counters.decompressed);
		CHECK(set.made > 0 && schema > counters.copied);
		CHECK(set.heads >= (int64_t)sizeof *set.arrays * (set.count + set.schema->column_count));
		batch_decoder_bound(decoder, set.made + set.heads);
		CHECK_INT(try_bytes(decoder, file.data, file.size, &err), 1);
		batch_decoder_bound(decoder, set.made + set.heads - 1);
		CHECK_INT(try_bytes(decoder, file.data, file.size, &err), 0);
		CHECK_HAS(err.message, "0 MiB of memory: send smaller batches, or raise spec.memory");
		batch_decoder_bound(decoder, 1);
		CHECK_INT(try_bytes(decoder, file.data, file.size, &err), 0);
		CHECK_HAS(err.message, ": send smaller batches, or raise spec.memory");
		batch_set_release(&set);
		batch_decoder_free(decoder);
		free(file.data);
	}
}

static void a_schema_is_shared_and_printed(void)
{
	struct file scalars = read_file("ok_scalars"), empty = read_file("ok_scalars_empty"),
	            nested = read_file("ok_nested");
	struct batch_decoder *decoder = batch_decoder_new(NULL, NULL);
	struct batch_set first, second, third;
	struct error err = {0};
	int released[3];
	char print[33];

	CHECK_TEXT(batch_decoder_fingerprint(decoder), "");
	CHECK_INT(ipc_decode(decoder, bytes_of(scalars.data, scalars.size, &released[0]), &first, &err), 0);
	strcpy(print, batch_decoder_fingerprint(decoder));
	CHECK_INT(strlen(print), 32);
	CHECK_INT(ipc_decode(decoder, bytes_of(empty.data, empty.size, &released[1]), &second, &err), 0);
	CHECK(first.schema == second.schema);
	CHECK_INT(second.count, 0);
	CHECK_INT(released[1], 1);
	CHECK_INT(ipc_decode(decoder, bytes_of(nested.data, nested.size, &released[2]), &third, &err), 0);
	CHECK(strcmp(third.schema->fingerprint, print) && !strcmp(first.schema->fingerprint, print));
	CHECK_INT(try_bytes(decoder, (const uint8_t *)"{\"a\": 12}", 9, &err), 0);
	CHECK_TEXT(batch_decoder_fingerprint(decoder), "");
	batch_decoder_free(decoder); /* schemas and arrays outlive it */
	CHECK_INT(first.schema->arrow->n_children, first.schema->column_count);
	batch_set_release(&first);
	batch_set_release(&second);
	batch_set_release(&third);
	CHECK_INT(released[0], 1);
	CHECK_INT(released[2], 1);
	free(scalars.data);
	free(empty.data);
	free(nested.data);
}

static void *release_there(void *opaque)
{
	struct ArrowArray *array = opaque;

	array->release(array);
	return NULL;
}

static void bytes_go_with_the_last_array_on_any_thread(void)
{
	struct file file = read_file("ok_nested_batches");
	struct batch_decoder *decoder = batch_decoder_new(NULL, NULL);
	struct ArrowArray moved, child;
	struct batch_set set;
	struct error err = {0};
	pthread_t thread;
	int released;

	CHECK_INT(ipc_decode(decoder, bytes_of(file.data, file.size, &released), &set, &err), 0);
	CHECK_INT(set.count, 2);
	CHECK_INT(set.rows, 16);
	moved = set.arrays[1];
	set.arrays[1].release = NULL;
	child = *moved.children[0]; /* the C data interface lets a consumer move a child out */
	moved.children[0]->release = NULL;
	batch_set_release(&set);
	CHECK_INT(released, 0);
	moved.release(&moved);
	CHECK_INT(released, 0);
	CHECK_INT(pthread_create(&thread, NULL, release_there, &child), 0);
	pthread_join(thread, NULL);
	CHECK_INT(released, 1);
	batch_decoder_free(decoder);
	free(file.data);
}

static const struct ArrowSchema *column(const struct batch_set *set, const char *name,
                                        const struct ArrowArray **ret_array)
{
	for (int i = 0; i < set->schema->column_count; i++) {
		if (strcmp(set->schema->arrow->children[i]->name, name))
			continue;
		*ret_array = set->arrays[0].children[i];
		return set->schema->arrow->children[i];
	}
	return NULL;
}

static void encodings_leave_as_values(void)
{
	struct file file = read_file("ok_encoded");
	struct batch_decoder *decoder = batch_decoder_new(NULL, NULL);
	const struct ArrowArray *array = NULL;
	const struct ArrowSchema *schema;
	struct batch_set set;
	struct error err = {0};
	int released, size;

	CHECK_INT(ipc_decode(decoder, bytes_of(file.data, file.size, &released), &set, &err), 0);
	schema = column(&set, "dictionary_text", &array);
	CHECK(schema && !schema->dictionary);
	CHECK_TEXT(schema->format, "vu");
	CHECK_INT(array->null_count, 3);
	memcpy(&size, (const uint8_t *)array->buffers[1] + 16, 4); /* row 1: index 1 */
	CHECK_INT(size, 24);
	CHECK(!memcmp(array->buffers[2], "redlonger than twelve bytes", 27));
	CHECK((const uint8_t *)array->buffers[2] > file.data &&
	      (const uint8_t *)array->buffers[2] < file.data + file.size);
	schema = column(&set, "runs_number_int32", &array);
	CHECK_TEXT(schema->format, "g");
	CHECK_INT(array->length, 11);
	CHECK_INT(array->null_count, 1);
	CHECK(((const uint8_t *)array->buffers[0])[0] == 0xf7);
	schema = column(&set, "in_list", &array);
	CHECK_TEXT(schema->format, "+l");
	CHECK_TEXT(schema->children[0]->format, "vu");
	batch_set_release(&set);
	batch_decoder_free(decoder);
	free(file.data);
}

static void extensions_only_over_their_storage(void)
{
	struct file file = read_file("ok_extensions");
	struct batch_decoder *decoder = batch_decoder_new(NULL, NULL);
	struct batch_set set;
	struct error err = {0};
	int released;

	CHECK_INT(ipc_decode(decoder, bytes_of(file.data, file.size, &released), &set, &err), 0);
	CHECK(set.schema->arrow->children[0]->metadata && set.schema->arrow->children[1]->metadata);
	CHECK(!set.schema->arrow->children[2]->metadata);
	CHECK(!memcmp(set.schema->arrow->children[0]->metadata + 32, "arrow.uuid", 10));
	batch_set_release(&set);
	batch_decoder_free(decoder);
	free(file.data);
}

static void first_columns_can_own_the_rest(void)
{
	static const char *const names[] = {"ok_first_null", "ok_first_bool8"}, *const formats[] = {"i", "b"};
	struct batch_decoder *decoder = batch_decoder_new(NULL, NULL);
	struct batch_set set;
	struct error err = {0};
	int released;

	for (int i = 0; i < 2; i++) {
		struct file file = read_file(names[i]);

		CHECK_INT(ipc_decode(decoder, bytes_of(file.data, file.size, &released), &set, &err), 0);
		CHECK_TEXT(set.schema->arrow->children[0]->format, formats[i]);
		CHECK_INT(set.arrays[0].children[0]->null_count, i ? 0 : 11);
		if (i)
			CHECK_INT(((const uint8_t *)set.arrays[0].children[0]->buffers[1])[0],
			          0xb6); /* 0 1 2 0 1 2 0 1 */
		batch_set_release(&set);
		free(file.data);
	}
	batch_decoder_free(decoder);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(corpus_is_taken_or_refused_by_name), TEST(every_truncation_is_seen),
	                  TEST(no_bit_flip_does_harm), TEST(reasons_say_where),
	                  TEST(what_a_message_makes_is_told_and_bounded), TEST(a_schema_is_shared_and_printed),
	                  TEST(bytes_go_with_the_last_array_on_any_thread), TEST(encodings_leave_as_values),
	                  TEST(extensions_only_over_their_storage), TEST(first_columns_can_own_the_rest));
}
