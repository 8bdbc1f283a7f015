#include "base/owned.h"
#include "batch/arrow_abi.h"
#include "batch/batch.h"
#include "lake/duck.h"
#include "query/write_private.h"

/* Small pieces of the IPC writer are gathered; a column's buffer goes as it is. */
#define PIECE_BYTES (16 << 10)

struct output {
	struct write *w;
	struct error failure; /* of the sink */
};

static int put(void *context, const void *bytes, size_t size)
{
	struct output *output = context;
	struct write *w = output->w;

	if (size < PIECE_BYTES) {
		buffer_append(&w->out, bytes, size);
		return write_drain(w, false, &output->failure);
	}
	if (write_drain(w, true, &output->failure))
		return -1;
	return w->sink->put(w->sink->context, bytes, size, &output->failure);
}

static int write_arrays(struct write *w, struct duck_stream *stream, struct ipc_writer *writer, struct error *err)
{
	struct ArrowArray array = {0};
	int got;

	while ((got = duck_stream_next(stream, &array, err)) == 1) {
		int failed = write_count(w, array.length, err) || ipc_writer_write(writer, &array, err);

		array.release(&array);
		if (failed)
			return -1;
	}
	return got;
}

int write_arrow(struct write *w, struct error *err)
{
	struct output output = {.w = w};
	struct duck_stream *stream = query_arrow(w->query, err);
	struct ipc_writer *writer;
	int failed = -1;

	if (!stream)
		return -1;
	writer = ipc_writer_new(duck_stream_schema(stream), put, &output, err);
	if (writer) {
		failed = write_arrays(w, stream, writer, err);
		if (failed)
			ipc_writer_free(writer);
		else
			failed = ipc_writer_finish(writer, err);
	}
	duck_stream_close(stream);
	if (!failed)
		failed = write_drain(w, true, err);
	if (output.failure.kind)
		*err = output.failure;
	else if (failed)
		query_find_reason(w->query, err);
	return failed;
}
