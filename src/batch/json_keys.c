/*
 * json_keys.c - which keys of a document lead to columns, as a tree: the root is the document itself.
 */
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "batch/json_private.h"

void key_release(struct key *key)
{
	for (int i = 0; i < key->child_count; i++)
		key_release(&key->children[i]);
	free(key->children);
	free(key->name);
	*key = (struct key){.cell = -1};
}

struct key *key_find(struct key *parent, const char *name, size_t size)
{
	uint64_t head = text_head(name, size);

	for (int at = parent->next, tried = 0; tried < parent->child_count; tried++) {
		struct key *child = &parent->children[at];

		at = at + 1 == parent->child_count ? 0 : at + 1;
		if (child->size != size || child->head != head ||
		    (size > sizeof head && memcmp(child->name, name, size) != 0))
			continue;
		parent->next = at;
		return child;
	}
	return NULL;
}

struct key *key_add(struct key *parent, const char *name, size_t size, struct error *err)
{
	struct key *children = realloc(parent->children, (size_t)(parent->child_count + 1) * sizeof *children);
	char *copy = children ? malloc(size + 1) : NULL;

	if (children)
		parent->children = children;
	if (!copy) {
		error_no_memory(err);
		return NULL;
	}
	memcpy(copy, name, size);
	copy[size] = 0;
	children[parent->child_count] =
	        (struct key){.name = copy, .size = size, .head = text_head(name, size), .cell = -1};
	return &children[parent->child_count++];
}

/* One token of a JSON pointer, with ~1 and ~0 (RFC 6901, section 4). */
static size_t unescape(const char *token, size_t size, char *to)
{
	size_t kept = 0;

	for (size_t i = 0; i < size; i++) {
		to[kept] = token[i];
		if (token[i] == '~' && i + 1 < size && (token[i + 1] == '0' || token[i + 1] == '1'))
			to[kept] = token[++i] == '0' ? '~' : '/';
		kept++;
	}
	return kept;
}

struct key *key_of_pointer(struct key *root, const char *pointer, struct error *err)
{
	OWNED_FREE char *token = malloc(strlen(pointer) + 1);
	struct key *key = root;

	if (!token) {
		error_no_memory(err);
		return NULL;
	}
	if (*pointer && *pointer != '/') {
		error_set(err, ERROR_INVALID, 0, "'%s' is no JSON pointer: it begins with '/', as in /payload/plan",
		          pointer);
		return NULL;
	}
	while (key && *pointer) {
		size_t length = strcspn(++pointer, "/"), size = unescape(pointer, length, token);
		struct key *child = key_find(key, token, size);

		key = child ? child : key_add(key, token, size, err);
		pointer += length;
	}
	return key;
}
