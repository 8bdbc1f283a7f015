/*
 * groups_types.c - the types of what is computed of groups: those that DuckDB has, and those that a lake keeps them as.
 */
#include <stdio.h>
#include <stdlib.h>

#include "layers/layers_private.h"
#include "layers/partial.h"

/* ret_kept: of each result the type that the lake keeps it as; owned, with all that is in it. */
static int read_kept(struct refresh *r, const struct described *results, char ***ret_kept)
{
	*ret_kept = calloc((size_t)results->count + 1, sizeof **ret_kept);
	for (int i = 0; *ret_kept && i < results->count; i++) {
		(*ret_kept)[i] = kept_type(r, results->items[i].type);
		if (!(*ret_kept)[i])
			return error_no_memory(r->err);
	}
	return *ret_kept ? 0 : error_no_memory(r->err);
}

static void free_kept(char ***kept)
{
	for (int i = 0; *kept && (*kept)[i]; i++)
		free((*kept)[i]);
	free(*kept);
}

/* A table of the lake has no such type, nor a collation, which no type tells. */
static void find_unkept(const struct shape *shape, const struct described *results, char *ret_why, size_t size)
{
	if (inexact_type(results))
		snprintf(ret_why, size, "a lake does not keep each value of type %.80s as it is",
		         inexact_type(results));
	else if (unkept_type(results))
		snprintf(ret_why, size, "a lake keeps no values of type %.80s", unkept_type(results));
	else if (shape->collates)
		snprintf(ret_why, size, "a lake keeps no collations");
}

int groups_types(struct refresh *r, struct model_run *run)
{
	OWNED_BUFFER struct buffer source = {0}, rows = {0}, groups = {0};
	OWNED_BY(described_release) struct described arguments = {0};
	OWNED_BY(described_release) struct described results = {0};
	OWNED_BY(free_kept) char **kept = NULL;

	if (run->parts)
		return 0;
	buffer_init(&source, SQL_MAXIMUM_BYTES);
	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	buffer_init(&groups, SQL_MAXIMUM_BYTES);
	append_from(run, &source);
	append_rows_of(run, buffer_string(&source), &rows);
	compose_groups(&run->model->shape, buffer_string(&rows), &groups);
	if (describe_own(r, buffer_string(&rows), &arguments) || describe_own(r, buffer_string(&groups), &results) ||
	    read_kept(r, &results, &kept))
		return -1;
	run->parts = calloc(1, sizeof *run->parts);
	if (!run->parts)
		return error_no_memory(r->err);
	if (partials_init(&run->model->shape, &arguments, &results, kept, run->parts, run->parts_why,
	                  sizeof run->parts_why, r->err))
		return -1;
	find_unkept(&run->model->shape, &results, run->parts_why, sizeof run->parts_why);
	return 0;
}

int groups_check(struct refresh *r, struct model_run *run, char *ret_why, size_t size)
{
	if (groups_types(r, run))
		return -1;
	snprintf(ret_why, size, "%s", run->parts_why);
	return 0;
}
