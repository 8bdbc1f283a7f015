/* model.h - what the files of `tarn model` share: model.c (the verbs) and model_report.c. */
#ifndef TARN_CLI_MODEL_H
#define TARN_CLI_MODEL_H

#include "base/buffer.h"
#include "score/score.h"

struct spec_pipeline;

/* The evaluation for a person, on standard output. -1 with *err: out of memory. */
int model_report_print(const struct spec_pipeline *pipeline, const struct score_report *report, struct error *err);
/* The same as one JSON object, without a newline. */
void model_report_json(const struct spec_pipeline *pipeline, const struct score_report *report, struct buffer *out);

#endif
