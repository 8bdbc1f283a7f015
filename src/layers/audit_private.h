/* audit_private.h - an audit while it is made, for the files layers/audit*.c alone. */
#ifndef TARN_LAYERS_AUDIT_PRIVATE_H
#define TARN_LAYERS_AUDIT_PRIVATE_H

#include "lake/duck.h"
#include "lake/lake.h"
#include "layers/audit.h"

#define SQL_MAXIMUM_BYTES ((size_t)1 << 20)

struct auditing {
	struct lake_session *session;
	struct duck_connection *connection;
	const struct spec_pipeline *spec;
	const struct model_set *set;
	bool snapshots; /* false: backend file */
	const char **sources; /* one an audited model: as tarn.models has them */
	const char **hashes;
	struct pipeline_audit *audit;
	struct error *err;
};

int audit_query(struct auditing *a, const struct buffer *sql, struct duck_rows *ret_rows);
/* The first cell as a number; -1 where it is null or there is none. */
int audit_number(struct auditing *a, const struct buffer *sql, int64_t *ret_number);

/* ---- audit_state.c: what tarn.models says */

int audit_state(struct auditing *a);

/* ---- audit_lag.c: how far behind it is */

int audit_lag(struct auditing *a);
#endif
