/*
 * yaml_tree.h - a manifest's text as trees of nodes that know where they stand. libyaml is seen by yaml_tree.c alone.
 *
 * Invariants:
 *  1. Texts and keys are UTF-8 without NUL; keys are unique in their mapping.
 *  2. Size (1 MiB), depth (32) and keys of a mapping (1024) are bounded; aliases and tags are refused, so that a small
 *     file cannot become a large tree.
 *  3. Lines and columns count from 1, columns in characters.
 *
 * Life cycle: yaml_tree_read -> borrow nodes -> yaml_tree_free.
 */
#ifndef TARN_SPEC_YAML_TREE_H
#define TARN_SPEC_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "spec/mistake.h"

#define YAML_MAXIMUM_BYTES ((size_t)1 << 20)
#define YAML_MAXIMUM_DEPTH 32
#define YAML_MAXIMUM_KEYS 1024
#define YAML_PATH_SIZE 128

enum yaml_kind { YAML_TEXT, YAML_MAPPING, YAML_SEQUENCE };

struct yaml_node {
	enum yaml_kind kind;
	int line, column; /* of the value */
	int key_line, key_column; /* of the key; of the value where there is none */
	char *key; /* owned; NULL outside a mapping */
	char *text; /* YAML_TEXT: owned */
	bool plain; /* YAML_TEXT: without quotes */
	bool block; /* YAML_TEXT: behind | or >, and begins on the next line */
	int count; /* of children */
	struct yaml_node *parent, *first, *last;
	struct yaml_node *next; /* sibling; of a document: the next document */
};

/* The documents of the text in their order; NULL where there is none that says anything (0) or at a mistake (-1). */
int yaml_tree_read(const struct reading *reading, const char *text, size_t size, struct yaml_node **ret_documents);
void yaml_tree_free(struct yaml_node *documents);
void yaml_tree_freep(struct yaml_node **documents);

/* "spec.kafka.topic"; "document" for a root. Cut to fit; harmless on a terminal. Returns `path`. */
const char *yaml_path(const struct yaml_node *node, char path[YAML_PATH_SIZE]);
/* The node of that path below a document, or NULL. */
struct yaml_node *yaml_find(struct yaml_node *document, const char *path);
/* The same, or the deepest of its parents that is there. */
struct yaml_node *yaml_find_nearest(struct yaml_node *document, const char *path);
/* Nothing was written, or null. */
bool yaml_is_null(const struct yaml_node *node);
/* "a mapping", "a list", "a text" */
const char *yaml_kind_name(const struct yaml_node *node);

#endif
