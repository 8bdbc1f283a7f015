/*
 * lineage.h - a lineage as text, JSON and a picture.
 *
 * Each appends to `out`, which tells when it grew too large or memory ran out. columns: with what the columns are made
 * of (lineage_read_columns was called).
 */
#ifndef TARN_CLI_LINEAGE_H
#define TARN_CLI_LINEAGE_H

#include "base/buffer.h"
#include "layers/lineage.h"

/* For people: who reads what, from the sources on. unicode: the tree has lines of box drawing characters. */
int lineage_text(const struct lineage *lineage, bool columns, bool unicode, struct buffer *out, struct error *err);
/* {"nodes": [...], "edges": [...]}, as the command's description has it. */
void lineage_json(const struct lineage *lineage, bool columns, struct buffer *out);
/* A picture that needs nothing else: SVG 1.1 with a style for light and one for dark. */
int lineage_svg(const struct lineage *lineage, bool columns, struct buffer *out, struct error *err);

/* "bronze", "gold, made anew", ...: what a node is, in a few words. */
void lineage_words(const struct lineage_node *node, const char *between, struct buffer *out);
/* "1,234 rows"; nothing where that is not known. */
void lineage_rows(const struct lineage_node *node, struct buffer *out);
/* TABLE.COLUMN, TABLE.COLUMN->part */
void lineage_source(const struct lineage *lineage, const struct spec_catalog *catalog,
                    const struct column_source *source, struct buffer *out);
/* Those with one of the uses, with ", " between them; where it is about values, or all rows, a '?' and why there may be
 * others. */
void lineage_sources(const struct lineage *lineage, const struct spec_catalog *catalog,
                     const struct made_column *column, unsigned uses, struct buffer *out);

#endif
