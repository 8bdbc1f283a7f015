/* probe.c - what a machine asks a running tarn: /metrics (Prometheus), /healthz (the process lives), /readyz (it does
 * its work: lanes assigned, the lake answering). */
#include "base/metrics.h"
#include "serve/routes.h"
#include "serve/service.h"
#include "serve/serving.h"

#define METRICS_BYTES_MAX ((size_t)16 << 20)

void route_metrics(struct call *call)
{
	const struct serving_options *options = &call->serving->options;

	if (options->before_metrics)
		options->before_metrics(options->context);
	if (call->serving->service)
		service_metrics(call->serving->service);
	call->response->body.maximum = METRICS_BYTES_MAX;
	call->response->compress = true;
	metrics_write(&call->response->body);
	http_add(call->response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
}

void route_healthz(struct call *call)
{
	http_add(call->response, "Content-Type", "text/plain; charset=utf-8");
	buffer_text(&call->response->body, "ok\n");
}

void route_readyz(struct call *call)
{
	const struct serving_options *options = &call->serving->options;
	struct buffer *body = &call->response->body;

	bool ready = !options->ready || options->ready(options->context, body);

	http_add(call->response, "Content-Type", "text/plain; charset=utf-8");
	if (call->serving->service)
		ready &= service_ready(call->serving->service, body);
	if (ready) {
		buffer_text(body, "ok\n");
		return;
	}
	buffer_char(body, '\n');
	call->response->status = 503;
}
