/*
 * model.h - a pipeline's models: the files of its folder, read, checked and put in order.
 *
 * A model is bronze/NAME.sql, silver/NAME.sql or gold/NAME.sql: options (spec.h, struct spec_model) and one SELECT.
 * What it reads comes from DuckDB's parse of it. A name that is no model's is a table's of the lake.
 *
 * Invariants:
 *  1. A set that leaves models_load is without cycles, and in order: what a model reads stands before it.
 *  2. Every mistake is an INVALID error "FILE:LINE: what is wrong; what would be right".
 *
 * They are parsed by a DuckDB of their own, in memory and without tables: nothing is bound, and a lake would be asked
 * for each function's name.
 *
 * Life cycle: models_load -> borrow -> models_free.
 */
#ifndef TARN_LAYERS_MODEL_H
#define TARN_LAYERS_MODEL_H

#include "layers/shape.h"
#include "spec/spec.h"

struct duck_connection;

enum layer { LAYER_BRONZE, LAYER_SILVER, LAYER_GOLD, LAYER_COUNT };
extern const char *const layer_names[LAYER_COUNT];

#define MODEL_HASH_SIZE 80

/* One table that a model reads. */
struct reference {
	char *schema, *table; /* owned; schema "main" unless written */
	int line;
	int model; /* index in the set; -1: a table of the lake */
	bool qualified; /* somewhere it is written with its schema or catalog */
};

struct model {
	enum layer layer;
	char *name; /* of the table, in schema main */
	char *file; /* as errors name it */
	char *sql; /* the file's text: DuckDB skips the comments, and its lines are the file's */
	char hash[MODEL_HASH_SIZE]; /* SHA-256 of the text, in hex, and which version of Tarn's composing made it */
	struct spec_model options;
	struct shape shape;
	struct reference *reads; /* each table once, in the order of the text */
	int read_count;
};

/* Why a table of that hash is not what the model would make; NULL: it is. */
const char *model_outdated(const struct model *model, const char *hash);

struct model_set {
	struct model *models; /* in order */
	int count;
};

/* folder: absolute; `shown`: how errors name it. */
struct model_set *models_load(const char *folder, const char *shown, struct error *err);
void models_free(struct model_set *set);
void models_freep(struct model_set **set);

/* Index in the set, by the name that SQL knows; -1: none. */
int models_find(const struct model_set *set, const char *schema, const char *table);
/* Why its changes cannot be followed, as far as that is known without its tables; "": they can. snapshots: the lake has
 * some. */
void model_why_never(const struct model_set *set, const struct model *model, bool snapshots, char *ret_why,
                     size_t size);
/* Does model `reader` read `read`, directly or through others? */
bool models_depend(const struct model_set *set, int reader, int read);

#endif
