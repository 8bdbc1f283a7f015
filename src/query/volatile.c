#include "query/volatile.h"

#include <strings.h>

#include "base/owned.h"

static const char *const names[] = {
#define VOLATILE(name) name,
#include "query/volatile.def"
#undef VOLATILE
};

bool volatile_calls(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (!strcasecmp(names[i], name))
			return true;
	return false;
}

/* A word that is a column or, where there is none of that name, a function without brackets. */
static bool is_volatile_word(const struct node *node)
{
	const struct node *words = node_get(node, "column_names");

	return words && node_count(words) == 1 && volatile_calls(node_text(node_at(words, 0), NULL));
}

bool volatile_has(const struct node *node)
{
	struct node_iterator iterator;
	const struct node *next;
	const char *key;

	if (volatile_calls(node_text(node, "function_name")) || node_get(node, "sample") || is_volatile_word(node))
		return true;
	node_iterate(&iterator, node);
	while ((next = node_next(&iterator, &key)))
		if (volatile_has(next))
			return true;
	return false;
}

bool volatile_is_of_model(const char *name)
{
	return !strcasecmp(name, "predict") || !strcasecmp(name, "explain") || !strcasecmp(name, "model_hash");
}

bool volatile_asks_model(const struct node *node)
{
	struct node_iterator iterator;
	const struct node *next;
	const char *key;

	if (volatile_is_of_model(node_text(node, "function_name")))
		return true;
	node_iterate(&iterator, node);
	while ((next = node_next(&iterator, &key)))
		if (volatile_asks_model(next))
			return true;
	return false;
}
