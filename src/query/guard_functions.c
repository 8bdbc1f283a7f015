/* guard_functions.c - the lists of names, sorted once so that a statement of a megabyte is looked at quickly. */
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

#include "base/owned.h"
#include "query/guard_private.h"

#define FUNCTION(name) name,
static const char *functions[] = {
#include "query/guard_functions.def"
};
#define TABLE_FUNCTION(name) name,
static const char *table_functions[] = {
#include "query/guard_functions.def"
};
#define TYPE_NAME(name) name,
static const char *type_names[] = {
#include "query/guard_functions.def"
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static int compare(const void *a, const void *b)
{
	return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_all(void)
{
	qsort(functions, COUNT_OF(functions), sizeof *functions, compare);
	qsort(table_functions, COUNT_OF(table_functions), sizeof *table_functions, compare);
	qsort(type_names, COUNT_OF(type_names), sizeof *type_names, compare);
}

static bool knows(const char *const *names, size_t count, const char *name)
{
	pthread_once(&once, sort_all);
	return bsearch(&name, names, count, sizeof *names, compare) != NULL;
}

bool guard_knows_function(const char *name)
{
	return knows(functions, COUNT_OF(functions), name);
}

bool guard_knows_table_function(const char *name)
{
	return knows(table_functions, COUNT_OF(table_functions), name);
}

bool guard_knows_type(const char *name)
{
	return knows(type_names, COUNT_OF(type_names), name);
}
