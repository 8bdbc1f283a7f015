#include "serve/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/owned.h"
#include "pool/default.h"
#include "serve/service_private.h"

/* ---- refusals */

void refuse(struct service_refusal *refusal, enum problem problem, int retry_after_s, const char *format, ...)
{
	int64_t query = refusal->query;
	va_list args;

	*refusal = (struct service_refusal){.status = problem_status(problem),
	                                    .retry_after_s = retry_after_s,
	                                    .name = problem_name(problem),
	                                    .title = problem_title(problem),
	                                    .query = query};
	va_start(args, format);
	vsnprintf(refusal->detail, sizeof refusal->detail, format, args);
	va_end(args);
}

void refuse_as(struct service_refusal *refusal, enum refusal kind, const char *detail)
{
	int64_t query = refusal->query;

	*refusal = (struct service_refusal){.kind = kind,
	                                    .status = refusal_status(kind),
	                                    .retry_after_s = refusal_status(kind) == 503 ? 1 : 0,
	                                    .name = refusal_name(kind),
	                                    .title = refusal_title(kind),
	                                    .query = query};
	snprintf(refusal->detail, sizeof refusal->detail, "%s", detail);
}

/* ---- catalogs */

/* Of a catalog that one process holds alone: does this one? */
static bool is_held(const struct service_options *options, const struct spec_catalog *catalog)
{
	const struct manifest *manifest = options->manifest;
	bool held = false;

	if (!options->writes || (catalog->backend.type != BACKEND_DUCKDB && catalog->backend.type != BACKEND_FILE))
		return false;
	for (int i = 0; i < manifest->stream_count; i++)
		held |= manifest->streams[i].catalog == catalog;
	for (int i = 0; i < manifest->pipeline_count; i++)
		held |= manifest->pipelines[i].catalog == catalog;
	return held;
}

static int serve(struct served *served, const struct service_options *options, const struct spec_catalog *catalog,
                 struct error *err)
{
	const struct spec_pool *named = pool_find(options->manifest, catalog);
	struct pool_driver driver;

	served->catalog = catalog;
	served->standard = pool_default(catalog);
	served->spec = named ? named : &served->standard;
	served->metrics = metrics_find(SCOPE_POOL, served->spec->name, served->spec->namespace, NULL);
	if (is_held(options, catalog)) {
		served->why_not = "its backend lets nobody read beside the process that writes it";
		log_event(EVENT_NOT_SERVED, FIELDS(LOG_TEXT("catalog", catalog->name)),
		          "catalog %s is not served: backend %s lets nobody read beside the process that writes it; "
		          "sqlite and postgres do",
		          catalog->name, backend_name(catalog->backend.type));
		return 0;
	}
	served->version = version_open(catalog, err);
	/* So that it is known which lake the first workers see. */
	if (served->version)
		version_now(served->version, &(int64_t){0}, &(struct error){0});
	served->processes =
	        served->version ? processes_new(options->manifest->file, named ? named->name : NULL, catalog->name, err)
	                        : NULL;
	if (!served->processes)
		return error_wrap(err, "catalog %s", catalog->name);
	driver = processes_driver(served->processes);
	served->pool = pool_new(served->spec, &driver, err);
	return served->pool ? 0 : error_wrap(err, "catalog %s", catalog->name);
}

struct service *service_new(const struct service_options *options, struct error *err)
{
	struct service *service = calloc(1, sizeof *service);
	int count = options->manifest->catalog_count;

	if (service)
		service->served = calloc((size_t)count + 1, sizeof *service->served);
	if (!service || !service->served) {
		service_free(service);
		error_no_memory(err);
		return NULL;
	}
	service->options = *options;
	service->audit = audit_open(options->audit, err);
	for (int i = 0; service->audit && i < count; i++) {
		service->served_count++;
		if (serve(&service->served[i], options, &options->manifest->catalogs[i], err)) {
			service_free(service);
			return NULL;
		}
	}
	if (service->audit)
		return service;
	service_free(service);
	return NULL;
}

void service_stop(struct service *service, int64_t patience_ms)
{
	for (int i = 0; service && i < service->served_count; i++)
		if (service->served[i].pool)
			pool_stop(service->served[i].pool, patience_ms);
}

void service_free(struct service *service)
{
	if (!service)
		return;
	for (int i = 0; i < service->served_count; i++) {
		struct served *served = &service->served[i];

		if (served->pool)
			pool_free(served->pool);
		processes_free(served->processes);
		version_close(served->version);
	}
	audit_close(service->audit);
	free(service->served);
	free(service);
}

const struct manifest *service_manifest(const struct service *service)
{
	return service->options.manifest;
}

const struct spec_catalog *service_catalog(const struct service *service, const char *name)
{
	for (int i = 0; i < service->served_count; i++)
		if (name ? !strcmp(service->served[i].catalog->name, name) : service->served_count == 1)
			return service->served[i].catalog;
	return NULL;
}

struct served *service_served(const struct service *service, const struct spec_catalog *catalog)
{
	return &service->served[catalog - service->options.manifest->catalogs];
}

struct audit *service_audit(const struct service *service)
{
	return service->audit;
}

struct pool *service_pool(const struct service *service, const struct spec_catalog *catalog)
{
	return service_served(service, catalog)->pool;
}

struct version *service_version(const struct service *service, const struct spec_catalog *catalog)
{
	return service_served(service, catalog)->version;
}

const char *service_why_not(const struct service *service, const struct spec_catalog *catalog)
{
	return service_served(service, catalog)->why_not;
}

static void put_facts(struct metrics *metrics, const struct pool_facts *facts)
{
	const struct machine_facts *machine = &facts->machine;

	metric_put(metrics, METRIC_POOL_SIZE, machine->size);
	metric_put(metrics, METRIC_POOL_DESIRED, machine->desired);
	metric_put(metrics, METRIC_POOL_IDLE, machine->workers[WORKER_IDLE]);
	metric_put(metrics, METRIC_POOL_BUSY, machine->workers[WORKER_BUSY] + machine->workers[WORKER_ACQUIRING]);
	metric_put(metrics, METRIC_POOL_QUEUE, machine->waiting);
	metric_put(metrics, METRIC_POOL_ACQUIRED, machine->acquired);
	metric_put(metrics, METRIC_POOL_RELEASED, machine->released);
	metric_put(metrics, METRIC_POOL_CREATED, machine->created);
	metric_put(metrics, METRIC_POOL_DELETED, machine->deleted);
	metric_put(metrics, METRIC_POOL_SCALED, machine->scaled_up + machine->scaled_down);
	metric_put(metrics, METRIC_POOL_CIRCUIT, machine->circuit_opened);
	metric_put(metrics, METRIC_POOL_LOST, facts->lost);
	metric_put(metrics, METRIC_POOL_ONE_SHOTS, machine->one_shots);
}

void service_metrics(struct service *service)
{
	for (int i = 0; i < service->served_count; i++)
		if (service->served[i].pool) {
			struct pool_facts facts = pool_facts(service->served[i].pool);

			put_facts(service->served[i].metrics, &facts);
		}
}

bool service_ready(struct service *service, struct buffer *reason)
{
	bool all = true;

	for (int i = 0; i < service->served_count; i++) {
		const struct served *served = &service->served[i];
		struct machine_facts facts;

		if (!served->pool || !served->spec->min_size)
			continue;
		facts = pool_facts(served->pool).machine;
		if (facts.workers[WORKER_IDLE] + facts.workers[WORKER_ACQUIRING] + facts.workers[WORKER_BUSY])
			continue;
		buffer_printf(reason, "%spool %s: no worker is warm", reason->size ? "; " : "", served->spec->name);
		all = false;
	}
	return all;
}
