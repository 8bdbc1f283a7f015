/*
 * test_batch_slice.c - messages made here, by the writer and nanoarrow's builder: slices of more than BATCH_ROWS_MAX
 * rows hold the right values in place, limits hold, and the writer's bytes are the same each time.
 */
#include <nanoarrow/nanoarrow.h>

#include "base/buffer.h"
#include "batch/batch.h"
#include "check.h"

#define ROWS 5003

static int append(void *context, const void *bytes, size_t size)
{
	buffer_append(context, bytes, size);
	return buffer_ok(context) ? 0 : -1;
}

static int refuse(void *context, const void *bytes, size_t size)
{
	return -1;
}

/* id int64, name utf8 with nulls, flag bool, tags list<int32>, pair struct<a int16> with nulls, triple fixed list of 3
 */
static void make_schema(struct ArrowSchema *schema)
{
	static const char *const names[] = {"id", "name", "flag", "tags", "pair", "triple"};
	static const enum ArrowType types[] = {NANOARROW_TYPE_INT64, NANOARROW_TYPE_STRING, NANOARROW_TYPE_BOOL,
	                                       NANOARROW_TYPE_LIST};

	ArrowSchemaInit(schema);
	NANOARROW_ASSERT_OK(ArrowSchemaSetTypeStruct(schema, 6));
	for (int i = 0; i < 4; i++)
		NANOARROW_ASSERT_OK(ArrowSchemaSetType(schema->children[i], types[i]));
	NANOARROW_ASSERT_OK(ArrowSchemaSetType(schema->children[3]->children[0], NANOARROW_TYPE_INT32));
	NANOARROW_ASSERT_OK(ArrowSchemaSetTypeStruct(schema->children[4], 1));
	NANOARROW_ASSERT_OK(ArrowSchemaSetType(schema->children[4]->children[0], NANOARROW_TYPE_INT16));
	NANOARROW_ASSERT_OK(ArrowSchemaSetName(schema->children[4]->children[0], "a"));
	NANOARROW_ASSERT_OK(ArrowSchemaSetTypeFixedSize(schema->children[5], NANOARROW_TYPE_FIXED_SIZE_LIST, 3));
	NANOARROW_ASSERT_OK(ArrowSchemaSetType(schema->children[5]->children[0], NANOARROW_TYPE_BOOL));
	for (int i = 0; i < 6; i++)
		NANOARROW_ASSERT_OK(ArrowSchemaSetName(schema->children[i], names[i]));
}

static bool flag_of(int64_t row)
{
	return row * row % 7 < 3;
}

static void append_row(struct ArrowArray *array, int64_t row)
{
	struct ArrowArray **columns = array->children;
	char name[32];

	NANOARROW_ASSERT_OK(ArrowArrayAppendInt(columns[0], row));
	snprintf(name, sizeof name, "name %lld ü", (long long)row);
	if (row % 3 == 1)
		NANOARROW_ASSERT_OK(ArrowArrayAppendNull(columns[1], 1));
	else
		NANOARROW_ASSERT_OK(ArrowArrayAppendString(columns[1], ArrowCharView(name)));
	NANOARROW_ASSERT_OK(ArrowArrayAppendInt(columns[2], flag_of(row)));
	for (int64_t i = 0; i < row % 4; i++)
		NANOARROW_ASSERT_OK(ArrowArrayAppendInt(columns[3]->children[0], row + i));
	NANOARROW_ASSERT_OK(ArrowArrayFinishElement(columns[3]));
	if (row % 5 == 2) {
		NANOARROW_ASSERT_OK(ArrowArrayAppendNull(columns[4], 1));
	} else {
		NANOARROW_ASSERT_OK(ArrowArrayAppendInt(columns[4]->children[0], row));
		NANOARROW_ASSERT_OK(ArrowArrayFinishElement(columns[4]));
	}
	for (int64_t i = 0; i < 3; i++)
		NANOARROW_ASSERT_OK(ArrowArrayAppendInt(columns[5]->children[0], flag_of(row + i)));
	NANOARROW_ASSERT_OK(ArrowArrayFinishElement(columns[5]));
	NANOARROW_ASSERT_OK(ArrowArrayFinishElement(array));
}

/* An array of `rows` rows of that schema. */
static void make_array(struct ArrowSchema *schema, struct ArrowArray *array, int64_t rows)
{
	make_schema(schema);
	NANOARROW_ASSERT_OK(ArrowArrayInitFromSchema(array, schema, NULL));
	NANOARROW_ASSERT_OK(ArrowArrayStartAppending(array));
	for (int64_t row = 0; row < rows; row++)
		append_row(array, row);
	NANOARROW_ASSERT_OK(ArrowArrayFinishBuildingDefault(array, NULL));
}

static void write_message(struct buffer *message, const struct ArrowSchema *schema, const struct ArrowArray *array)
{
	struct ipc_writer *writer;
	struct error err = {0};

	buffer_init(message, BUFFER_DEFAULT_MAXIMUM);
	writer = ipc_writer_new(schema, append, message, &err);
	if (!writer || ipc_writer_write(writer, array, &err) || ipc_writer_finish(writer, &err))
		CHECK_FAIL("%s", err.message);
}

/* A message of `rows` rows of that schema. */
static void make_message(struct buffer *message, int64_t rows)
{
	struct ArrowSchema schema;
	struct ArrowArray array;

	make_array(&schema, &array, rows);
	write_message(message, &schema, &array);
	ArrowArrayRelease(&array);
	ArrowSchemaRelease(&schema);
}

static void count_release(void *opaque)
{
	++*(int *)opaque;
}

static struct batch_bytes bytes_of(const struct buffer *message, int *released)
{
	*released = 0;
	return (struct batch_bytes){(const uint8_t *)message->data, message->size, count_release, released};
}

static bool inside(const struct buffer *message, const void *at)
{
	return (const char *)at >= message->data && (const char *)at < message->data + message->size;
}

static bool row_is_right(struct ArrowArrayView *view, int64_t i, int64_t row)
{
	struct ArrowArrayView **columns = view->children;
	int64_t begin = ArrowArrayViewListChildOffset(columns[3], i),
	        end = ArrowArrayViewListChildOffset(columns[3], i + 1);
	struct ArrowStringView text;
	char name[32];
	bool right = ArrowArrayViewGetIntUnsafe(columns[0], i) == row;

	right &= ArrowArrayViewIsNull(columns[1], i) == (row % 3 == 1);
	if (row % 3 != 1) {
		text = ArrowArrayViewGetStringUnsafe(columns[1], i);
		snprintf(name, sizeof name, "name %lld ü", (long long)row);
		right &= text.size_bytes == (int64_t)strlen(name) && !memcmp(text.data, name, strlen(name));
	}
	right &= ArrowArrayViewGetIntUnsafe(columns[2], i) == flag_of(row);
	right &= end - begin == row % 4;
	for (int64_t k = begin; k < end; k++)
		right &= ArrowArrayViewGetIntUnsafe(columns[3]->children[0], k) == row + k - begin;
	right &= ArrowArrayViewIsNull(columns[4], i) == (row % 5 == 2);
	right &= row % 5 == 2 || ArrowArrayViewGetIntUnsafe(columns[4]->children[0], i) == row;
	for (int64_t k = 0; k < 3; k++)
		right &= ArrowArrayViewGetIntUnsafe(columns[5]->children[0], 3 * i + k) == flag_of(row + k);
	return right;
}

static void slices_hold_the_right_rows(void)
{
	struct batch_counters counters = {0};
	struct batch_decoder *decoder = batch_decoder_new(&counters, NULL);
	struct ArrowArrayView view;
	struct buffer message;
	struct batch_set set;
	struct error err = {0};
	int64_t row = 0;
	int released;

	make_message(&message, ROWS);
	CHECK_INT(ipc_decode(decoder, bytes_of(&message, &released), &set, &err), 0);
	CHECK_INT(set.count, 3);
	CHECK_INT(set.rows, ROWS);
	for (int a = 0; a < set.count; a++) {
		NANOARROW_ASSERT_OK(ArrowArrayViewInitFromSchema(&view, set.schema->arrow, NULL));
		NANOARROW_ASSERT_OK(ArrowArrayViewSetArray(&view, &set.arrays[a], NULL));
		NANOARROW_ASSERT_OK(ArrowArrayViewValidate(&view, NANOARROW_VALIDATION_LEVEL_FULL, NULL));
		for (int64_t i = 0; i < set.arrays[a].length; i++, row++)
			CHECK(row_is_right(&view, i, row));
		ArrowArrayViewReset(&view);
		CHECK(inside(&message, set.arrays[a].children[0]->buffers[1]));
		CHECK(inside(&message, set.arrays[a].children[1]->buffers[2]));
		set.arrays[a].release(&set.arrays[a]);
		CHECK_INT(released, a == 2);
	}
	CHECK_INT(row, ROWS);
	batch_set_release(&set);
	CHECK_INT(counters.payload, (long long)message.size);
	CHECK(counters.copied * 20 <= counters.payload);
	batch_decoder_free(decoder);
	buffer_release(&message);
}

static void a_megabyte_is_not_copied(void)
{
	struct batch_counters counters = {0};
	struct batch_decoder *decoder = batch_decoder_new(&counters, NULL);
	struct buffer message;
	struct batch_set set;
	struct error err = {0};
	int released;

	make_message(&message, 32000);
	CHECK(message.size > 1000000);
	for (int i = 0; i < 3; i++) {
		CHECK_INT(ipc_decode(decoder, bytes_of(&message, &released), &set, &err), 0);
		batch_set_release(&set);
		CHECK_INT(released, 1);
	}
	CHECK_INT(counters.payload, 3 * (long long)message.size);
	CHECK(counters.copied < 4096); /* the schema, once, to know it again */
	CHECK_INT(counters.decompressed, 0);
	batch_decoder_free(decoder);
	buffer_release(&message);
}

/* One array twice: nanoarrow's builder leaves the unused bits of a bitmap's last byte as they were. */
static void writing_is_repeatable(void)
{
	struct ArrowSchema schema;
	struct ArrowArray array;
	struct buffer first, second;

	make_array(&schema, &array, 100);
	write_message(&first, &schema, &array);
	write_message(&second, &schema, &array);
	CHECK_INT(first.size, second.size);
	CHECK(!memcmp(first.data, second.data, first.size));
	buffer_release(&first);
	buffer_release(&second);
	ArrowArrayRelease(&array);
	ArrowSchemaRelease(&schema);
}

static void what_cannot_be_written_is_refused(void)
{
	struct ArrowSchema schema;
	struct error err = {0};

	ArrowSchemaInit(&schema);
	NANOARROW_ASSERT_OK(ArrowSchemaSetTypeStruct(&schema, 1));
	NANOARROW_ASSERT_OK(ArrowSchemaSetType(schema.children[0], NANOARROW_TYPE_STRING_VIEW));
	CHECK(!ipc_writer_new(&schema, append, NULL, &err));
	CHECK_TEXT(err.message, "writing an Arrow stream: a field has no name");
	NANOARROW_ASSERT_OK(ArrowSchemaSetName(schema.children[0], "v"));
	CHECK(!ipc_writer_new(&schema, append, NULL, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "writing an Arrow stream: ");
	ArrowSchemaRelease(&schema);
	make_schema(&schema);
	CHECK(!ipc_writer_new(&schema, refuse, NULL, &err));
	CHECK_INT(err.kind, ERROR_TRANSIENT);
	ArrowSchemaRelease(&schema);
}

/* A message of one array of `schema`, which has no buffers to fill. */
static int decode_one(struct ArrowSchema *schema, int64_t length, struct error *err)
{
	struct batch_decoder *decoder = batch_decoder_new(NULL, NULL);
	struct ipc_writer *writer;
	struct ArrowArray array;
	struct buffer message;
	struct batch_set set = {0};
	int released, code;

	buffer_init(&message, BUFFER_DEFAULT_MAXIMUM);
	NANOARROW_ASSERT_OK(ArrowArrayInitFromSchema(&array, schema, NULL));
	NANOARROW_ASSERT_OK(ArrowArrayStartAppending(&array));
	NANOARROW_ASSERT_OK(ArrowArrayFinishBuildingDefault(&array, NULL));
	array.length = length;
	for (int64_t i = 0; length && i < array.n_children; i++)
		array.children[i]->length = array.children[i]->null_count = length;
	writer = ipc_writer_new(schema, append, &message, err);
	code = !writer || ipc_writer_write(writer, &array, err) || ipc_writer_finish(writer, err) ? -2 : 0;
	if (!code)
		code = ipc_decode(decoder, bytes_of(&message, &released), &set, err);
	batch_set_release(&set);
	batch_decoder_free(decoder);
	ArrowArrayRelease(&array);
	buffer_release(&message);
	return code;
}

static void bounds_hold(void)
{
	struct ArrowSchema schema, *at;
	struct error err = {0};
	char name[32];

	ArrowSchemaInit(&schema);
	NANOARROW_ASSERT_OK(ArrowSchemaSetTypeStruct(&schema, 1));
	NANOARROW_ASSERT_OK(ArrowSchemaSetType(schema.children[0], NANOARROW_TYPE_NA));
	NANOARROW_ASSERT_OK(ArrowSchemaSetName(schema.children[0], "nothing"));
	CHECK_INT(decode_one(&schema, 3000, &err), 0);
	CHECK_INT(decode_one(&schema, (int64_t)1 << 24, &err), 0);
	CHECK_INT(decode_one(&schema, ((int64_t)1 << 24) + 1, &err), -1);
	CHECK_HAS(err.message, "16777217 rows, a message holds 0 to 16777216");
	ArrowSchemaRelease(&schema);

	/* Nothing but nulls: the message is small, and the arrays of its slices would be many. */
	ArrowSchemaInit(&schema);
	NANOARROW_ASSERT_OK(ArrowSchemaSetTypeStruct(&schema, 1000));
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "c%d", i);
		NANOARROW_ASSERT_OK(ArrowSchemaSetType(schema.children[i], NANOARROW_TYPE_NA));
		NANOARROW_ASSERT_OK(ArrowSchemaSetName(schema.children[i], name));
	}
	CHECK_INT(decode_one(&schema, (int64_t)1 << 20, &err), 0);
	CHECK_INT(decode_one(&schema, (int64_t)1 << 24, &err), -1);
	CHECK_HAS(err.message, "more than 512 MiB of memory");
	ArrowSchemaRelease(&schema);

	ArrowSchemaInit(&schema);
	NANOARROW_ASSERT_OK(ArrowSchemaSetTypeStruct(&schema, 10001));
	for (int i = 0; i < 10001; i++) {
		snprintf(name, sizeof name, "c%d", i);
		NANOARROW_ASSERT_OK(ArrowSchemaSetType(schema.children[i], NANOARROW_TYPE_INT8));
		NANOARROW_ASSERT_OK(ArrowSchemaSetName(schema.children[i], name));
	}
	CHECK_INT(decode_one(&schema, 0, &err), -1);
	CHECK_HAS(err.message, "more than 10000 columns");
	ArrowSchemaRelease(&schema);

	ArrowSchemaInit(&schema);
	at = &schema;
	for (int i = 0; i < 70; i++, at = at->children[0]) {
		NANOARROW_ASSERT_OK(ArrowSchemaSetTypeStruct(at, 1));
		NANOARROW_ASSERT_OK(ArrowSchemaSetName(at->children[0], "in"));
	}
	NANOARROW_ASSERT_OK(ArrowSchemaSetType(at, NANOARROW_TYPE_INT8));
	CHECK_INT(decode_one(&schema, 0, &err), -1);
	CHECK_HAS(err.message, "types are nested more than 64 deep");
	ArrowSchemaRelease(&schema);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(slices_hold_the_right_rows), TEST(a_megabyte_is_not_copied),
	                  TEST(writing_is_repeatable), TEST(what_cannot_be_written_is_refused), TEST(bounds_hold));
}
