/*
 * expectation.h - what must be true of tables after a refresh: read from models and manifest, and as SQL.
 *
 * A model has its tests, and its key: two expectations named "key", that no column of it is null, and that no two rows
 * have the same. A manifest has those of any table of the lake. Each is a SELECT of the rows that break it.
 *
 * Invariants:
 *  1. No two expectations of a set have the same table, name and check: by these tarn.expectations knows them.
 *  2. Every mistake is INVALID and begins with file and line, as far as they are known, and the expectation.
 *  3. An expectation reads: its SQL is one SELECT of tables, and of functions that write nothing.
 *
 * Life cycle: expectations_load -> borrow -> expectations_free. Models, pipeline and manifest are borrowed until then.
 */
#ifndef TARN_LAYERS_EXPECTATION_H
#define TARN_LAYERS_EXPECTATION_H

#include "layers/model.h"

/* How a value of a relationship is compared with one of another type. None of these can fail in the midst of the rows.
 */
enum compared {
	COMPARED_AS_IS,
	COMPARED_AS_TEXT,
	COMPARED_AS_TIMESTAMP, /* dates and coarser timestamps; null where it has no such, and so is equal to none */
	COMPARED_WITHOUT_ZONE,
	COMPARED_WITHOUT_NANOSECONDS, /* null where it has some */
};

struct comparison {
	enum compared own, field; /* of the column's value; of that of the other table */
};

struct expectation {
	const struct spec_expectation *spec; /* borrowed; of a key: &made */
	struct spec_expectation made; /* borrows the key's columns */
	const struct model *model; /* whose file says it; NULL: the manifest does */
	const struct model *of; /* whose table it is about; NULL: of no model's */
	const char *file; /* NULL: unknown */
	char *name;
	char *table; /* TABLE of schema main, or SCHEMA.TABLE; "": a manifest's of check sql */
	/* Of check sql each table of its SELECT; else its table, and of relationship the one that has the values. Lines
	 * are the file's. */
	struct reference *reads;
	int read_count;
	char *sql; /* of check sql, without the ';' at its end; NULL: of another check */
	bool varies; /* its result may change while the tables stay as they are */
	bool by_rowid; /* its SQL asks for rowid, which only a table has */
	bool bound; /* its columns are there, and of the right types */
	struct comparison *comparisons; /* of relationship, by column; owned; set by binding */
};

struct expectation_set {
	struct expectation *items;
	int count;
};

/* manifest: whose name errors tell; may be NULL. */
struct expectation_set *expectations_load(const struct model_set *models, const struct spec_pipeline *pipeline,
                                          const struct manifest *manifest, struct error *err);
void expectations_free(struct expectation_set *set);
void expectations_freep(struct expectation_set **set);

/* Its name, and the check where a name was given to it: "key (unique)". */
void expectation_title(const struct expectation *e, char *title, size_t size);
/* "FILE:LINE: expectation TITLE of TABLE: what"; line 0: the expectation's own. Returns -1. */
int expectation_mistake(const struct expectation *e, int line, struct error *err, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* The same before a message that is there. */
int expectation_wrap(const struct expectation *e, int line, struct error *err);

/* ---- SQL (expectation_sql.c) */

/*
 * A SELECT of the rows that break it. rows: SQL behind FROM, the table or what is new in it; not used by check sql.
 * Of check unique a row a value that is there more than once, with how often ("rows"); of freshness and
 * row_count_change a row that says what is wrong. Not for row_count_change.
 */
void expectation_broken(const struct expectation *e, const char *rows, struct buffer *out);
/* Of check unique: the same, but only the values of the rows behind FROM `new` are looked at. */
void expectation_repeated(const struct expectation *e, const char *rows, const char *new, struct buffer *out);
/* Of check freshness: a row, if one of the table is new enough at that time. */
void expectation_fresh(const struct expectation *e, int64_t wall_ms, struct buffer *out);
/* Of check row_count_change. before: how many rows there were. */
void expectation_row_count(const struct expectation *e, const char *rows, int64_t before, struct buffer *out);
/* Of check relationship: values of its field that the rows behind FROM `gone` had and the table has no more. */
void expectation_lost(const struct expectation *e, const char *gone, struct buffer *out);
/* How many rows a SELECT of broken ones stands for. */
void expectation_count(const struct expectation *e, const char *broken, struct buffer *out);
/* Up to EXAMPLES of them, a JSON object a row, what matters first: keys, then the columns that were looked at. */
#define EXAMPLES 3
void expectation_examples(const struct expectation *e, const char *broken, struct buffer *out);

#endif
