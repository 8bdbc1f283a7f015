#include "query/write_private.h"

#include "base/owned.h"

#define BLOCK_BYTES (64 << 10) /* of a put */

static const struct {
	const char *content_type;
	int (*write)(struct write *w, struct error *err);
} formats[] = {
        [ANSWER_CSV] = {"text/csv; charset=utf-8; header=present", write_csv},
        [ANSWER_JSON] = {"application/json", write_json},
        [ANSWER_NDJSON] = {"application/x-ndjson", write_ndjson},
        [ANSWER_ARROW] = {"application/vnd.apache.arrow.stream", write_arrow},
        [ANSWER_PARQUET] = {"application/vnd.apache.parquet", write_parquet},
};

const char *write_content_type(enum answer_format format)
{
	return formats[format].content_type;
}

int write_drain(struct write *w, bool all, struct error *err)
{
	if (!buffer_ok(&w->out))
		return error_set(err, ERROR_FATAL, 0, "a row is too large to be written");
	if (!w->out.size || (w->out.size < BLOCK_BYTES && !all))
		return 0;
	if (w->sink->put(w->sink->context, w->out.data, w->out.size, err))
		return -1;
	buffer_clear(&w->out);
	return 0;
}

int write_count(struct write *w, int64_t rows, struct error *err)
{
	if (w->options->max_rows && w->result->rows + rows > w->options->max_rows) {
		w->result->too_many = true;
		return error_set(err, ERROR_INVALID, 0,
		                 "the answer has more than %lld rows: a LIMIT, or a WHERE, would be right",
		                 (long long)w->options->max_rows);
	}
	w->result->rows += rows;
	return 0;
}

int write_next(struct write *w, const struct query_cell **ret_cells, struct error *err)
{
	int got = query_next(w->query, ret_cells, err);

	return got == 1 && w->options->row ? w->options->row(w->options->row_context, *ret_cells, err) : got;
}

int write_rows(struct query *query, const struct write_options *options, const struct write_sink *sink,
               struct write_result *ret_result, struct error *err)
{
	struct write w = {.query = query, .options = options, .sink = sink, .result = ret_result};
	int failed;

	*ret_result = (struct write_result){0};
	buffer_init(&w.out, BUFFER_DEFAULT_MAXIMUM);
	failed = formats[options->format].write(&w, err);
	buffer_release(&w.out);
	return failed ? -1 : 0;
}
