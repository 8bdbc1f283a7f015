/*
 * ipc_write.c - writes Arrow IPC streams, by nanoarrow.
 *
 * nanoarrow 0.9.0 writes every type but dictionaries, string and binary views and list views; those are INVALID here.
 * The same schema and arrays give the same bytes.
 */
#include <nanoarrow/nanoarrow.h>
#include <nanoarrow/nanoarrow_ipc.h>

#include "batch/batch.h"

struct ipc_writer {
	struct ArrowIpcWriter writer;
	struct ArrowArrayView view;
	int (*write)(void *context, const void *bytes, size_t size);
	void *context;
	bool write_failed; /* the callback's fault, not the array's */
};

static ArrowErrorCode pass_on(struct ArrowIpcOutputStream *stream, const void *bytes, int64_t size,
                              int64_t *ret_written, struct ArrowError *reason)
{
	struct ipc_writer *writer = stream->private_data;

	*ret_written = size;
	if (!size || !writer->write(writer->context, bytes, (size_t)size))
		return NANOARROW_OK;
	writer->write_failed = true;
	ArrowErrorSet(reason, "the output does not take more");
	return EIO;
}

static void release_stream(struct ArrowIpcOutputStream *stream)
{
	stream->release = NULL;
}

static int fail(const struct ipc_writer *writer, int code, const struct ArrowError *reason, struct error *err)
{
	if (code == ENOMEM)
		return error_no_memory(err);
	return error_set(err, writer->write_failed ? ERROR_TRANSIENT : ERROR_INVALID, code,
	                 "writing an Arrow stream: %s",
	                 *reason->message ? reason->message : "this schema or array cannot be written");
}

/* The C data interface allows a field without a name; the encoder takes its length all the same. */
static bool is_named(const struct ArrowSchema *schema)
{
	bool named = true;

	for (int64_t i = 0; named && i < schema->n_children; i++)
		named = schema->children[i]->name && is_named(schema->children[i]);
	return named && (!schema->dictionary || is_named(schema->dictionary));
}

static bool has_dictionary(const struct ArrowSchema *schema)
{
	bool found = schema->dictionary;

	for (int64_t i = 0; !found && i < schema->n_children; i++)
		found = has_dictionary(schema->children[i]);
	return found;
}

static int start(struct ipc_writer *writer, const struct ArrowSchema *schema, struct error *err)
{
	struct ArrowIpcOutputStream stream = {.write = pass_on, .release = release_stream, .private_data = writer};
	struct ArrowError reason = {""};
	int code;

	if (!is_named(schema))
		return error_set(err, ERROR_INVALID, 0, "writing an Arrow stream: a field has no name");
	if (has_dictionary(schema))
		return error_set(err, ERROR_INVALID, 0,
		                 "writing an Arrow stream: there is an ENUM inside another type: cast it to VARCHAR");
	code = ArrowIpcWriterInit(&writer->writer, &stream);
	if (!code)
		code = ArrowArrayViewInitFromSchema(&writer->view, schema, &reason);
	if (!code)
		code = ArrowIpcWriterWriteSchema(&writer->writer, schema, &reason);
	return code ? fail(writer, code, &reason, err) : 0;
}

struct ipc_writer *ipc_writer_new(const struct ArrowSchema *schema,
                                  int (*write)(void *context, const void *bytes, size_t size), void *context,
                                  struct error *err)
{
	struct ipc_writer *writer = calloc(1, sizeof *writer);

	if (!writer) {
		error_no_memory(err);
		return NULL;
	}
	writer->write = write;
	writer->context = context;
	ArrowArrayViewInitFromType(&writer->view, NANOARROW_TYPE_UNINITIALIZED);
	if (!start(writer, schema, err))
		return writer;
	ipc_writer_free(writer);
	return NULL;
}

/* The encoder writes null_count as it is given, and a reader may take -1 badly. */
static void count_nulls(struct ArrowArrayView *view)
{
	view->null_count = ArrowArrayViewComputeNullCount(view);
	for (int64_t i = 0; i < view->n_children; i++)
		count_nulls(view->children[i]);
}

int ipc_writer_write(struct ipc_writer *writer, const struct ArrowArray *array, struct error *err)
{
	struct ArrowError reason = {""};
	int code = ArrowArrayViewSetArray(&writer->view, array, &reason);

	if (!code)
		code = ArrowArrayViewValidate(&writer->view, NANOARROW_VALIDATION_LEVEL_DEFAULT, &reason);
	if (!code) {
		count_nulls(&writer->view);
		code = ArrowIpcWriterWriteArrayView(&writer->writer, &writer->view, &reason);
	}
	return code ? fail(writer, code, &reason, err) : 0;
}

int ipc_writer_finish(struct ipc_writer *writer, struct error *err)
{
	struct ArrowError reason = {""};
	int code = ArrowIpcWriterWriteArrayView(&writer->writer, NULL, &reason);
	int result = code ? fail(writer, code, &reason, err) : 0;

	ipc_writer_free(writer);
	return result;
}

void ipc_writer_free(struct ipc_writer *writer)
{
	if (!writer)
		return;
	if (writer->writer.private_data)
		ArrowIpcWriterReset(&writer->writer);
	ArrowArrayViewReset(&writer->view);
	free(writer);
}
