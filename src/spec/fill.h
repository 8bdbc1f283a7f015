/*
 * fill.h - a mapping of YAML into a struct, by the table of kinds.
 *
 * It is checked in the order it is written, then for what it leaves out in the table's order; the first mistake ends
 * it.
 */
#ifndef TARN_SPEC_FILL_H
#define TARN_SPEC_FILL_H

#include "spec/kinds.h"
#include "spec/mistake.h"
#include "spec/yaml_tree.h"

/* Fills the kind's struct at `item`, all zero before. At a mistake it stays, perhaps in part. */
int fill_into(const struct reading *reading, enum kind_id kind, struct yaml_node *node, void *item);
/* What fill_into left in it. */
void fill_item_release(enum kind_id kind, void *item);

#endif
