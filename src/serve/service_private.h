/* service_private.h - what service.c and answer.c share. */
#ifndef TARN_SERVE_SERVICE_PRIVATE_H
#define TARN_SERVE_SERVICE_PRIVATE_H

#include <stdatomic.h>

#include "base/metrics.h"
#include "pool/process.h"
#include "serve/audit.h"
#include "serve/problem.h"
#include "serve/service.h"

struct served { /* a catalog */
	const struct spec_catalog *catalog;
	struct spec_pool standard; /* where no DuckLakePool names it */
	const struct spec_pool *spec;
	struct processes *processes;
	struct pool *pool; /* NULL: why_not */
	struct version *version;
	atomic_int_fast64_t lineage; /* of the lake (version.h) that the pool's workers read */
	const char *why_not;
	struct metrics *metrics;
};

struct service {
	struct service_options options;
	struct audit *audit;
	struct served *served; /* one a catalog of the manifest, in its order */
	int served_count;
};

struct served *service_served(const struct service *service, const struct spec_catalog *catalog);

/* A refusal of the service's own, and of a worker. */
void refuse(struct service_refusal *refusal, enum problem problem, int retry_after_s, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
void refuse_as(struct service_refusal *refusal, enum refusal kind, const char *detail);

#endif
