/* layers.h - what verify and status tell of pipelines. */
#ifndef TARN_CLI_LAYERS_H
#define TARN_CLI_LAYERS_H

#include "cli/table.h"
#include "layers/audit.h"

struct audited_pipeline {
	const struct spec_pipeline *spec; /* borrowed */
	struct model_set *models; /* owned */
	struct pipeline_audit audit; /* owned */
};

/* Opens the pipeline's lake for reading, and looks (audit.h). */
int audited_pipeline_read(const struct spec_pipeline *spec, bool in_full, struct audited_pipeline *ret_pipeline,
                          struct error *err);
void audited_pipeline_release(struct audited_pipeline *pipeline);

/* The next cell: a number, or NULL for one that is not told (-1). */
void layers_cell(struct table *table, int64_t number);
/* ,"KEY":NUMBER or null; ,"KEY":"TEXT" */
void layers_json_number(struct buffer *out, const char *key, int64_t number);
void layers_json_text(struct buffer *out, const char *key, const char *text);
/* ,"KEY":[...] of a table. */
int layers_json_table(struct buffer *out, const char *key, const struct table *table, struct error *err);

/* verify's part: *passed becomes false where figures differ. first: of the JSON array. */
int verify_pipeline(const struct spec_pipeline *spec, bool json, bool first, bool *passed, struct error *err);
/* status' part: of all pipelines of the manifest, as JSON objects with commas between, or as tables for people. */
int status_pipelines(const struct manifest *manifest, bool json, struct buffer *out, struct error *err);

#endif
