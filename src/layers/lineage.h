/*
 * lineage.h - where the tables of a manifest come from: streams, tables, models, trained models and their scores, and
 * who reads what.
 *
 * It is read from the manifest and the models' files; a lake that is there adds how many rows there are and what the
 * last refresh did. With the columns (columns.h) it tells what each column comes from, through all models.
 *
 * Invariants:
 *  1. Nothing is written, and nothing but the files is needed.
 *  2. A table that two pipelines name is one node: CATALOG, SCHEMA and TABLE are what a table is.
 *
 * Life cycle: lineage_new -> lineage_look... -> lineage_read_columns -> look -> lineage_free. One thread. The manifest
 * is borrowed until then.
 */
#ifndef TARN_LAYERS_LINEAGE_H
#define TARN_LAYERS_LINEAGE_H

#include "layers/columns.h"
#include "layers/model.h"

struct lake_session;
struct lineage;

enum lineage_kind {
	LINEAGE_STREAM, /* a topic, or files */
	LINEAGE_TABLE, /* that a stream fills, or that is there */
	LINEAGE_MODEL, /* and the table that it makes */
	LINEAGE_TRAINED, /* the manifest's spec.model */
	LINEAGE_SCORES, /* the table of its scores */
	LINEAGE_KINDS
};

enum lineage_edge_kind {
	LINEAGE_WRITES, /* a stream its table */
	LINEAGE_READS, /* a model a table */
	LINEAGE_TRAINS, /* a table a trained model */
	LINEAGE_SCORES_ROWS, /* a table has the rows that are scored */
	LINEAGE_PREDICTS, /* a trained model its scores */
	LINEAGE_EDGE_KINDS
};

/* From left to right. */
enum lineage_place { PLACE_SOURCE, PLACE_BRONZE, PLACE_SILVER, PLACE_GOLD, PLACE_TRAINED, PLACE_SCORES, PLACE_COUNT };

/* A feature and the label are made of the same column, with no condition between. */
struct lineage_leak {
	const char *feature;
	struct column_source shared;
};

struct lineage_node {
	enum lineage_kind kind;
	enum lineage_place place;
	const char *id; /* unique in the manifest */
	const char *name; /* of a table in schema main without it */
	const char *schema, *table; /* NULL: it is no table */
	const struct spec_catalog *catalog;
	const struct spec_stream *stream; /* of LINEAGE_STREAM */
	const struct spec_pipeline *pipeline; /* of models, trained models and scores */
	const struct model *model; /* of LINEAGE_MODEL */
	char why[256]; /* of a model: why its changes cannot be followed; "": they can */

	/* Of the lake; as if it were not there until lineage_look. */
	bool there;
	int64_t rows; /* -1: not known */
	const char *how, *how_why, *refreshed_at; /* the last refresh; NULL: there was none */

	/* Of its table; NULL: not known. */
	const char **columns;
	int column_count, column_capacity;

	/* From lineage_read_columns on, of models and trained models. */
	struct made_columns *made;
	struct made_column *roots; /* one a column: the same, in tables that no model makes */
	struct lineage_leak *leaks; /* of a trained model */
	int leak_count;
	int reading; /* whose columns are being read, or were */
};

struct lineage_edge {
	int from, to;
	enum lineage_edge_kind kind;
};

const char *lineage_kind_name(enum lineage_kind kind); /* "model" */
const char *lineage_edge_name(enum lineage_edge_kind kind); /* "reads" */
const char *lineage_place_name(enum lineage_place place); /* "bronze" */

/* INVALID: a model's mistake, with file and line. */
struct lineage *lineage_new(const struct manifest *manifest, struct error *err);
void lineage_free(struct lineage *lineage);
void lineage_freep(struct lineage **lineage);

/* Borrowed. Edges are in the order of the text. */
const struct lineage_node *lineage_nodes(const struct lineage *lineage, int *ret_count);
const struct lineage_edge *lineage_edges(const struct lineage *lineage, int *ret_count);
/* Index; -1: none. */
int lineage_find(const struct lineage *lineage, const struct spec_catalog *catalog, const char *schema,
                 const char *table);

/* What the catalog's lake knows of its tables. */
int lineage_look(struct lineage *lineage, const struct spec_catalog *catalog, struct lake_session *session,
                 struct error *err);

/* What the columns of models and trained models are made of. */
int lineage_read_columns(struct lineage *lineage, struct error *err);
/* The same of any SELECT over the tables of a catalog, behind lineage_read_columns. */
int lineage_columns(struct lineage *lineage, const struct spec_catalog *catalog, const char *sql,
                    struct made_columns *ret_columns, struct error *err);
/* All that a column is made of, near and far: its sources, what those are made of, and so on. The nearer stand first.
 */
int lineage_follow(struct lineage *lineage, const struct spec_catalog *catalog, const struct made_column *column,
                   struct made_column *ret_all, struct error *err);

#endif
