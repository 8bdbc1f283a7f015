#include <string.h>

#include "pool/worker_private.h"

void prepared_clear(struct prepared *prepared)
{
	while (prepared->count)
		query_close(prepared->queries[--prepared->count]);
}

struct query *prepared_take(struct prepared *prepared, int64_t generation, const char *sql)
{
	struct query *query;
	int i = 0;

	if (generation != prepared->generation)
		prepared_clear(prepared);
	prepared->generation = generation;
	while (i < prepared->count && strcmp(query_text(prepared->queries[i]), sql) != 0)
		i++;
	if (i == prepared->count)
		return NULL;
	query = prepared->queries[i];
	prepared->count--;
	memmove(&prepared->queries[i], &prepared->queries[i + 1], (size_t)(prepared->count - i) * sizeof query);
	return query;
}

void prepared_give(struct prepared *prepared, struct query *query)
{
	query_reset(query);
	if (prepared->count == PREPARED_MAX)
		query_close(prepared->queries[--prepared->count]);
	memmove(&prepared->queries[1], &prepared->queries[0], (size_t)prepared->count * sizeof query);
	prepared->queries[0] = query;
	prepared->count++;
}
