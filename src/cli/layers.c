#include "cli/layers.h"

#include <inttypes.h>
#include <string.h>

#include "lake/lake.h"

int audited_pipeline_read(const struct spec_pipeline *spec, bool in_full, struct audited_pipeline *ret_pipeline,
                          struct error *err)
{
	struct lake_options options = {.writer = false};
	struct audited_pipeline pipeline = {.spec = spec, .models = models_load(spec->models, spec->models, err)};
	struct lake *lake = pipeline.models ? lake_open(spec->catalog, &options, err) : NULL;
	struct lake_session *session = lake ? lake_session_new(lake, err) : NULL;
	int failed = !session || pipeline_audit_read(session, spec, pipeline.models, in_full, &pipeline.audit, err);

	lake_session_free(session);
	lake_close(lake);
	if (failed) {
		models_free(pipeline.models);
		return error_wrap(err, "pipeline %s", spec->name);
	}
	*ret_pipeline = pipeline;
	return 0;
}

void audited_pipeline_release(struct audited_pipeline *pipeline)
{
	pipeline_audit_release(&pipeline->audit);
	models_free(pipeline->models);
	*pipeline = (struct audited_pipeline){0};
}

void layers_cell(struct table *table, int64_t number)
{
	if (number < 0)
		table_cell(table, NULL);
	else
		table_cellf(table, "%" PRId64, number);
}

void layers_json_number(struct buffer *out, const char *key, int64_t number)
{
	if (number < 0)
		buffer_printf(out, ",\"%s\":null", key);
	else
		buffer_printf(out, ",\"%s\":%" PRId64, key, number);
}

void layers_json_text(struct buffer *out, const char *key, const char *text)
{
	buffer_printf(out, ",\"%s\":", key);
	buffer_json_text(out, text, strlen(text));
}

int layers_json_table(struct buffer *out, const char *key, const struct table *table, struct error *err)
{
	buffer_printf(out, ",\"%s\":", key);
	if (table_render_json(table, out, err))
		return -1;
	while (out->size && out->data[out->size - 1] == '\n')
		out->data[--out->size] = 0;
	return 0;
}
