/* console_pool.c - GET /console/pool: the workers of a catalog's pool. */
#include "pool/pool.h"
#include "serve/console.h"
#include "serve/service.h"
#include "serve/serving.h"

static void write_counts(const struct machine_facts *facts, struct buffer *out)
{
	buffer_text(out, ", \"counts\": {");
	for (int state = 0; state <= WORKER_TERMINATING; state++)
		buffer_printf(out, "%s\"%s\": %d", state ? ", " : "", worker_state_name((enum worker_state)state),
		              facts->workers[state]);
	buffer_char(out, '}');
}

static void write_totals(const struct pool_facts *facts, struct buffer *out)
{
	const struct machine_facts *machine = &facts->machine;

	buffer_printf(out,
	              ", \"totals\": {\"queries\": %lld, \"lost\": %lld, \"late\": %lld, \"created\": %lld, "
	              "\"deleted\": %lld, "
	              "\"refused_full\": %lld, \"refused_waited\": %lld, \"one_shots\": %lld}",
	              (long long)facts->queries, (long long)facts->lost, (long long)facts->late,
	              (long long)machine->created, (long long)machine->deleted, (long long)machine->refused_full,
	              (long long)machine->refused_waited, (long long)machine->one_shots);
}

void route_console_pool(struct call *call)
{
	const struct spec_catalog *catalog = console_catalog(call);
	struct pool *pool;
	struct buffer *out = &call->response->body;
	struct pool_facts facts;

	if (!catalog)
		return;
	pool = service_pool(call->serving->service, catalog);
	facts = pool_facts(pool);
	http_add(call->response, "Content-Type", "application/json");
	buffer_text(out, "{\"catalog\": ");
	console_json_text(out, catalog->name);
	buffer_text(out, ", \"name\": ");
	console_json_text(out, pool_spec(pool)->name);
	buffer_printf(
	        out,
	        ", \"min\": %d, \"max\": %d, \"desired\": %d, \"waiting\": %d, \"circuit_open\": %s, \"workers\": ",
	        pool_spec(pool)->min_size, pool_spec(pool)->max_size, facts.machine.desired, facts.machine.waiting,
	        facts.machine.circuit_open ? "true" : "false");
	pool_describe(pool, out);
	write_counts(&facts.machine, out);
	write_totals(&facts, out);
	buffer_text(out, "}\n");
}
