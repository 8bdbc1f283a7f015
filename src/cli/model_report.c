/* model_report.c - an evaluation, for a person and for a program. */
#include "cli/model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "cli/table.h"
#include "spec/spec.h"

static const char *const *names_of(const struct score_report *report)
{
	return (const char *const *)report->features;
}

/* ---- for a person */

static void add_figure(struct table *table, double figure)
{
	if (isnan(figure))
		table_cell(table, "-");
	else
		table_cellf(table, "%.4f", figure);
}

static void add_figures(struct table *table, const char *what, const struct metrics *metrics)
{
	table_cell(table, what);
	add_figure(table, metrics->auc);
	add_figure(table, metrics->log_loss);
	add_figure(table, metrics->brier);
}

static int print_figures(const struct score_report *report, struct error *err)
{
	static const char *const headers[] = {"what tells", "AUC", "log loss", "Brier"};
	const struct evaluation *evaluation = &report->evaluation;
	OWNED_TABLE struct table *table = table_new(COUNT_OF(headers), headers);
	OWNED_BUFFER struct buffer single = {0};
	char constant[64];

	buffer_init(&single, 1 << 16);
	buffer_text(&single, "one threshold, ");
	rule_split_words(&evaluation->rule, names_of(report), &single);
	snprintf(constant, sizeof constant, "one number, %.3g",
	         (double)evaluation->train_positives / (double)evaluation->train_rows);
	for (size_t i = 1; i < COUNT_OF(headers); i++)
		table_number(table, (int)i);
	add_figures(table, "the model", &evaluation->model);
	add_figures(table, buffer_string(&single), &evaluation->single);
	add_figures(table, constant, &evaluation->constant);
	return table_print(table, stdout, err);
}

static int print_calibration(const struct metrics *metrics, struct error *err)
{
	static const char *const headers[] = {"probability", "rows", "mean", "label 1"};
	OWNED_TABLE struct table *table = table_new(COUNT_OF(headers), headers);

	for (int i = 0; i < METRICS_BINS; i++) {
		const struct metrics_bin *bin = &metrics->bins[i];

		if (!bin->rows)
			continue;
		table_cellf(table, "%.1f to %.1f", (double)i / METRICS_BINS, (double)(i + 1) / METRICS_BINS);
		table_cell_count(table, bin->rows);
		add_figure(table, bin->predicted);
		add_figure(table, bin->observed);
	}
	for (size_t i = 1; i < COUNT_OF(headers); i++)
		table_number(table, (int)i);
	return table_print(table, stdout, err);
}

static void print_rows(const struct spec_pipeline *pipeline, const struct score_report *report)
{
	const struct evaluation *evaluation = &report->evaluation;
	char rows[HUMAN_SIZE], ones[HUMAN_SIZE], left[HUMAN_SIZE];

	printf("model %s: %d trees over %d features\n", pipeline->model.name, report->trees, report->feature_count);
	printf("%s rows train, %s of them with label 1", human_count(evaluation->train_rows, rows),
	       human_count(evaluation->train_positives, ones));
	if (report->unlabelled)
		printf("; %s without a label are left out", human_count(report->unlabelled, left));
	printf("\n%s others evaluate, %s of them with label 1: ", human_count(evaluation->model.rows, rows),
	       human_count(evaluation->model.positives, ones));
	if (report->cut)
		printf("those where %s is %s or greater\n", pipeline->model.split_by, report->cut);
	else
		puts("those that are drawn by their keys");
}

int model_report_print(const struct spec_pipeline *pipeline, const struct score_report *report, struct error *err)
{
	OWNED_BUFFER struct buffer words = {0};

	print_rows(pipeline, report);
	if (print_figures(report, err) || print_calibration(&report->evaluation.model, err))
		return -1;
	buffer_init(&words, 1 << 20);
	leak_words(&report->evaluation.leak, names_of(report), &words);
	if (words.size)
		printf("%s: %s\n", report->evaluation.leak.kind == LEAK_UNTOLD ? "note" : "WARNING",
		       buffer_string(&words));
	printf("sha256 %s\n", report->hash);
	return 0;
}

/* ---- for a program */

static void json_text(struct buffer *out, const char *text)
{
	if (text)
		buffer_json_text(out, text, strlen(text));
	else
		buffer_text(out, "null");
}

static void json_number(struct buffer *out, double number)
{
	if (isfinite(number))
		buffer_printf(out, "%.9g", number);
	else
		buffer_text(out, "null");
}

static void json_figures(struct buffer *out, const struct metrics *metrics)
{
	buffer_text(out, "\"auc\":");
	json_number(out, metrics->auc);
	buffer_text(out, ",\"log_loss\":");
	json_number(out, metrics->log_loss);
	buffer_text(out, ",\"brier\":");
	json_number(out, metrics->brier);
}

static void json_bins(struct buffer *out, const struct metrics *metrics)
{
	buffer_text(out, ",\"calibration\":[");
	for (int i = 0; i < METRICS_BINS; i++) {
		const struct metrics_bin *bin = &metrics->bins[i];

		buffer_printf(out, "%s{\"from\":%.1f,\"to\":%.1f,\"rows\":%" PRId64 ",\"predicted\":", i ? "," : "",
		              (double)i / METRICS_BINS, (double)(i + 1) / METRICS_BINS, bin->rows);
		json_number(out, bin->rows ? bin->predicted : NAN);
		buffer_text(out, ",\"observed\":");
		json_number(out, bin->rows ? bin->observed : NAN);
		buffer_char(out, '}');
	}
	buffer_char(out, ']');
}

/* The splits of a rule: a feature and a threshold each; where the threshold is null it is whether there is a value. */
static void json_splits(struct buffer *out, const struct rule *rule, const char *const *names)
{
	bool first = true;

	buffer_char(out, '[');
	for (int i = 0; i < rule->count; i++) {
		const struct rule_node *node = &rule->nodes[i];

		if (node->feature < 0)
			continue;
		buffer_text(out, first ? "{\"feature\":" : ",{\"feature\":");
		first = false;
		json_text(out, names[node->feature]);
		buffer_text(out, ",\"threshold\":");
		json_number(out, node->threshold);
		buffer_char(out, '}');
	}
	buffer_char(out, ']');
}

static void json_baselines(struct buffer *out, const struct score_report *report)
{
	const struct evaluation *evaluation = &report->evaluation;
	OWNED_BUFFER struct buffer words = {0};

	buffer_init(&words, 1 << 20);
	rule_split_words(&evaluation->rule, names_of(report), &words);
	buffer_text(out, ",\"baselines\":{\"constant\":{\"probability\":");
	json_number(out, (double)evaluation->train_positives / (double)evaluation->train_rows);
	buffer_char(out, ',');
	json_figures(out, &evaluation->constant);
	buffer_text(out, "},\"single\":{\"rule\":");
	json_text(out, buffer_string(&words));
	buffer_text(out, ",\"splits\":");
	json_splits(out, &evaluation->rule, names_of(report));
	buffer_char(out, ',');
	json_figures(out, &evaluation->single);
	buffer_text(out, "}}");
}

static void json_leak(struct buffer *out, const struct score_report *report)
{
	const struct leak *leak = &report->evaluation.leak;
	OWNED_BUFFER struct buffer words = {0};

	buffer_init(&words, 1 << 20);
	buffer_printf(out, ",\"leak\":{\"found\":\"%s\",\"features\":[", leak_name(leak->kind));
	for (int i = 0; i < leak->feature_count; i++) {
		buffer_text(out, i ? "," : "");
		json_text(out, report->features[leak->features[i]]);
	}
	buffer_char(out, ']');
	if (leak->kind == LEAK_RULE) {
		rule_words(&leak->rule, names_of(report), &words);
		buffer_text(out, ",\"rule\":");
		json_text(out, buffer_string(&words));
		buffer_text(out, ",\"splits\":");
		json_splits(out, &leak->rule, names_of(report));
		buffer_printf(out,
		              ",\"positives\":%" PRId64 ",\"positives_right\":%" PRId64 ",\"negatives\":%" PRId64
		              ",\"negatives_right\":%" PRId64,
		              leak->hits.positives, leak->hits.positives_right, leak->hits.negatives,
		              leak->hits.negatives_right);
	}
	if (leak->kind == LEAK_ORDER) {
		buffer_text(out, ",\"auc\":");
		json_number(out, leak->auc);
	}
	buffer_clear(&words);
	leak_words(leak, names_of(report), &words);
	buffer_text(out, ",\"words\":");
	json_text(out, words.size ? buffer_string(&words) : NULL);
	buffer_char(out, '}');
}

void model_report_json(const struct spec_pipeline *pipeline, const struct score_report *report, struct buffer *out)
{
	const struct evaluation *evaluation = &report->evaluation;

	buffer_text(out, "{\"pipeline\":");
	json_text(out, pipeline->name);
	buffer_text(out, ",\"model\":");
	json_text(out, pipeline->model.name);
	buffer_text(out, ",\"file\":");
	json_text(out, pipeline->model.file);
	buffer_printf(out, ",\"model_hash\":\"%s\",\"snapshot\":%" PRId64 ",\"trees\":%d,\"features\":[", report->hash,
	              report->snapshot, report->trees);
	for (int i = 0; i < report->feature_count; i++) {
		buffer_text(out, i ? "," : "");
		json_text(out, report->features[i]);
	}
	buffer_printf(out, "],\"unlabelled\":%" PRId64 ",\"split\":{\"test\":", report->unlabelled);
	json_number(out, strtod(pipeline->model.split_test, NULL));
	buffer_text(out, ",\"by\":");
	json_text(out, pipeline->model.split_by);
	buffer_text(out, ",\"from\":");
	json_text(out, report->cut);
	buffer_printf(out, "},\"train\":{\"rows\":%" PRId64 ",\"positives\":%" PRId64 "},\"test\":{\"rows\":%" PRId64,
	              evaluation->train_rows, evaluation->train_positives, evaluation->model.rows);
	buffer_printf(out, ",\"positives\":%" PRId64 ",", evaluation->model.positives);
	json_figures(out, &evaluation->model);
	json_bins(out, &evaluation->model);
	buffer_char(out, '}');
	json_baselines(out, report);
	json_leak(out, report);
	buffer_char(out, '}');
}
