#include "produce/shape.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"

struct generator {
	const struct shape *shape;
	struct shape_source source;
	int rows_max;
	struct rows *rows; /* owned */
};

const struct shape *shape_find(const char *name, struct error *err)
{
	static const struct shape *const shapes[] = {&shape_posthog, &shape_telecom};

	if (!name)
		return shapes[0];
	for (size_t i = 0; i < COUNT_OF(shapes); i++)
		if (!strcmp(shapes[i]->name, name))
			return shapes[i];
	error_set(err, ERROR_INVALID, 0, "there is no shape \"%s\"; there are: posthog, telecom", name);
	return NULL;
}

struct generator *generator_new(const struct shape *shape, const struct shape_source *source, int rows_max,
                                struct error *err)
{
	struct generator *generator = calloc(1, sizeof *generator);

	if (!generator) {
		error_no_memory(err);
		return NULL;
	}
	generator->shape = shape;
	generator->source = *source;
	generator->rows_max = rows_max;
	generator->rows = rows_new(shape->columns, shape->column_count, rows_max, err);
	if (!generator->rows) {
		free(generator);
		return NULL;
	}
	return generator;
}

void generator_free(struct generator *generator)
{
	if (!generator)
		return;
	rows_free(generator->rows);
	free(generator);
}

const struct ArrowSchema *generator_schema(const struct generator *generator)
{
	return rows_schema(generator->rows);
}

const struct ArrowArray *generator_arrow(struct generator *generator, int64_t first, int count, struct error *err)
{
	assert(first >= 0 && count >= 1 && count <= generator->rows_max);
	rows_clear(generator->rows);
	for (int i = 0; i < count; i++) {
		if (rows_begin(generator->rows, err))
			return NULL;
		generator->shape->write_row(generator->rows, &generator->source, first + i);
	}
	return rows_array(generator->rows);
}

/* Why there is no room for the events of one message. */
static int too_large(const struct buffer *out, int count, struct error *err)
{
	if (out->size + (1 << 20) < out->maximum)
		return error_no_memory(err);
	return error_set(err, ERROR_INVALID, 0,
	                 "%d events are more than the %zu MiB of one message: fewer events a message would be right",
	                 count, out->maximum >> 20);
}

int generator_json(struct generator *generator, int64_t first, int count, struct buffer *out, struct error *err)
{
	const struct shape *shape = generator->shape;

	assert(first >= 0 && count >= 1 && count <= generator->rows_max);
	for (int i = 0; i < count; i++) {
		char *start = buffer_reserve(out, shape->json_max + 1), *p;

		if (!start)
			return too_large(out, count, err);
		p = shape->write_json(start, &generator->source, first + i);
		assert((size_t)(p - start) <= shape->json_max);
		if (generator->rows_max > 1)
			*p++ = '\n';
		out->size += (size_t)(p - start);
		*p = 0;
	}
	return 0;
}
