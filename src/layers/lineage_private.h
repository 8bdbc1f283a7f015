/* lineage_private.h - the inside of a lineage, for the files layers/lineage*.c alone. */
#ifndef TARN_LAYERS_LINEAGE_PRIVATE_H
#define TARN_LAYERS_LINEAGE_PRIVATE_H

#include "lake/duck.h"
#include "layers/functions.h"
#include "layers/lineage.h"

struct lineage {
	const struct manifest *manifest; /* borrowed */
	struct duck *duck; /* in memory: it parses, and has no lake */
	struct duck_connection *connection;
	struct functions *functions;
	struct model_set **sets; /* one a pipeline; owned */
	struct lineage_node *nodes;
	int node_count, node_capacity;
	struct lineage_edge *edges;
	int edge_count, edge_capacity;
	struct arena arena; /* has all of the above that is not owned */
	struct error *err; /* of the call that runs */
};

/* A column of its table, once. -1: out of memory. */
int lineage_add_column(struct lineage *lineage, struct lineage_node *node, const char *name);

#endif
