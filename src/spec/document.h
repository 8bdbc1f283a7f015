/*
 * document.h - a manifest's documents, each into an item of its kind's array in struct manifest.
 *
 * What needs other documents (references, unique names) is check.h's.
 */
#ifndef TARN_SPEC_DOCUMENT_H
#define TARN_SPEC_DOCUMENT_H

#include "spec/kinds.h"
#include "spec/mistake.h"
#include "spec/yaml_tree.h"

/* A document and the item of the manifest it became. */
struct document {
	enum kind_id kind;
	int index; /* in the kind's array */
	struct yaml_node *node; /* borrowed */
};

/* Appends an item to the manifest and fills it. At a mistake the item stays, perhaps in part: manifest_free takes it.
 */
int document_read(const struct reading *reading, struct yaml_node *node, struct manifest *manifest,
                  struct document *ret_document);

/* Item `index` of the kind's array. Borrowed until the next fill_document. */
void *document_item(const struct manifest *manifest, enum kind_id kind, int index);
int document_count(const struct manifest *manifest, enum kind_id kind);
/* Releases every item of the kind and the array. */
void document_release(struct manifest *manifest, enum kind_id kind);

#endif
