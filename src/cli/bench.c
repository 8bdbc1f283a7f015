/*
 * bench.c - tarn bench: what Tarn spends, beside what its parts spend alone, on the same topic in the same run.
 *
 * Rounds, not series: each round measures every stage once, so that what else the machine does meets them all alike.
 * Ratios are taken within a round; what is told is the median of the rounds, and the least and the most. MB and GB are
 * 10^6 and 10^9 bytes of payload, as the broker hands it out decompressed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/owned.h"
#include "bench/bench.h"
#include "cli/cli.h"
#include "cli/table.h"

#define HELD_BYTES ((int64_t)1 << 30)

struct bench {
	struct bench_config config;
	bool wanted[BENCH_STAGES];
	int runs;
	struct bench_sample *samples; /* run after run, BENCH_STAGES each; owned */
};

struct figure {
	double median, least, most;
};

/* ---- figures of one sample */

static double mb_per_s(const struct bench_sample *sample)
{
	return sample->wall_us ? (double)sample->bytes / (double)sample->wall_us : 0;
}

static double rows_per_s(const struct bench_sample *sample)
{
	return sample->wall_us ? (double)sample->rows * 1e6 / (double)sample->wall_us : 0;
}

static double messages_per_s(const struct bench_sample *sample)
{
	return sample->wall_us ? (double)sample->messages * 1e6 / (double)sample->wall_us : 0;
}

static double cpu_s_per_gb(const struct bench_sample *sample)
{
	return sample->bytes ? (double)sample->cpu_us * 1e3 / (double)sample->bytes : 0;
}

static double peak_rss_mb(const struct bench_sample *sample)
{
	return (double)(sample->peak_rss_bytes - sample->held_bytes) / 1e6;
}

static double busy_percent(const struct bench_sample *sample)
{
	return sample->machine_busy * 100;
}

/* ---- and of one round: the whole against its parts */

static double cpu_ratio(const struct bench_sample *round)
{
	double parts = cpu_s_per_gb(&round[BENCH_READ]) + cpu_s_per_gb(&round[BENCH_INSERT]);

	return parts > 0 ? cpu_s_per_gb(&round[BENCH_WHOLE]) / parts : 0;
}

static double speed_of(const struct bench_sample *round, enum bench_stage stage)
{
	double alone = mb_per_s(&round[stage]);

	return alone > 0 ? mb_per_s(&round[BENCH_WHOLE]) / alone : 0;
}

static double speed_of_read(const struct bench_sample *round)
{
	return speed_of(round, BENCH_READ);
}

static double speed_of_poll(const struct bench_sample *round)
{
	return speed_of(round, BENCH_POLL);
}

static double speed_of_insert(const struct bench_sample *round)
{
	return speed_of(round, BENCH_INSERT);
}

static double copied_per_byte(const struct bench_sample *round)
{
	const struct bench_sample *whole = &round[BENCH_WHOLE];

	return whole->bytes ? (double)whole->copied_bytes / (double)whole->bytes : 0;
}

static const struct ratio {
	const char *key, *words;
	double (*of)(const struct bench_sample *round);
	unsigned int needs; /* stages, as bits */
} ratios[] = {
        {"cpu_whole_to_parts", "CPU seconds a GB: whole / (read + insert)", cpu_ratio,
         1U << BENCH_READ | 1U << BENCH_INSERT | 1U << BENCH_WHOLE},
        {"speed_whole_to_insert", "speed: whole / insert", speed_of_insert, 1U << BENCH_INSERT | 1U << BENCH_WHOLE},
        {"speed_whole_to_read", "speed: whole / read", speed_of_read, 1U << BENCH_READ | 1U << BENCH_WHOLE},
        {"speed_whole_to_poll", "speed: whole / poll", speed_of_poll, 1U << BENCH_POLL | 1U << BENCH_WHOLE},
        {"copied_per_byte", "bytes that Tarn copied, a byte of payload", copied_per_byte, 1U << BENCH_WHOLE},
};

static bool applies(const struct bench *bench, const struct ratio *ratio)
{
	for (int i = 0; i < BENCH_STAGES; i++)
		if ((ratio->needs >> i & 1) && !bench->wanted[i])
			return false;
	return true;
}

/* ---- over the rounds */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* of(&samples[first + i * BENCH_STAGES]) of each round i. */
static struct figure over_rounds(const struct bench *bench, int first, double (*of)(const struct bench_sample *sample))
{
	OWNED_FREE double *values = calloc((size_t)bench->runs, sizeof *values);
	int middle = bench->runs / 2;

	if (!values)
		return (struct figure){0};
	for (int i = 0; i < bench->runs; i++)
		values[i] = of(&bench->samples[i * BENCH_STAGES + first]);
	qsort(values, (size_t)bench->runs, sizeof *values, compare);
	return (struct figure){
	        .median = bench->runs % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2,
	        .least = values[0],
	        .most = values[bench->runs - 1],
	};
}

static void cell(struct table *table, const struct figure *figure, int digits)
{
	table_cellf(table, "%.*f (%.*f-%.*f)", digits, figure->median, digits, figure->least, digits, figure->most);
}

static void add_stage(const struct bench *bench, struct table *table, enum bench_stage stage)
{
	struct figure messages = over_rounds(bench, (int)stage, messages_per_s),
	              rows = over_rounds(bench, (int)stage, rows_per_s),
	              speed = over_rounds(bench, (int)stage, mb_per_s),
	              cpu = over_rounds(bench, (int)stage, cpu_s_per_gb),
	              busy = over_rounds(bench, (int)stage, busy_percent),
	              rss = over_rounds(bench, (int)stage, peak_rss_mb);

	table_cell(table, bench_stage_name(stage));
	cell(table, &messages, 0);
	if (rows.median > 0)
		cell(table, &rows, 0);
	else
		table_cell(table, "");
	cell(table, &speed, 0);
	cell(table, &cpu, 2);
	cell(table, &busy, 0);
	cell(table, &rss, 0);
}

static int print_table(const struct bench *bench, struct error *err)
{
	static const char *const headers[] = {"stage",    "messages/s",     "rows/s", "MB/s",
	                                      "CPU s/GB", "machine busy %", "peak MB"};
	static const char *const ratio_headers[] = {"ratio", "median (least-most)"};
	OWNED_TABLE struct table *table = table_new(COUNT_OF(headers), headers);
	OWNED_TABLE struct table *lower = table_new(COUNT_OF(ratio_headers), ratio_headers);

	for (int i = 0; i < BENCH_STAGES; i++)
		if (bench->wanted[i])
			add_stage(bench, table, (enum bench_stage)i);
	for (size_t i = 0; i < COUNT_OF(ratios); i++) {
		struct figure figure = over_rounds(bench, 0, ratios[i].of);

		if (!applies(bench, &ratios[i]))
			continue;
		table_cell(lower, ratios[i].words);
		cell(lower, &figure, 4);
	}
	if (table_print(table, stdout, err))
		return -1;
	return table_row_count(lower) ? table_print(lower, stdout, err) : 0;
}

static void add_sample_json(struct buffer *out, const char *name, int run, const struct bench_sample *sample)
{
	buffer_printf(out,
	              "{\"stage\": \"%s\", \"run\": %d, \"messages\": %" PRId64 ", \"rows\": %" PRId64
	              ", \"bytes\": %" PRId64 ", \"seconds\": %.3f, \"cpu_seconds\": %.3f, \"peak_rss_bytes\": %" PRId64
	              ", \"held_bytes\": %" PRId64 ", \"machine_busy\": %.3f, \"copied_bytes\": %" PRId64
	              ", \"commits\": %" PRId64 "}",
	              name, run, sample->messages, sample->rows, sample->bytes, (double)sample->wall_us / 1e6,
	              (double)sample->cpu_us / 1e6, sample->peak_rss_bytes, sample->held_bytes, sample->machine_busy,
	              sample->copied_bytes, sample->commits);
}

static int print_json(const struct bench *bench, struct error *err)
{
	OWNED_BUFFER struct buffer out = {0};
	const char *comma = "";

	buffer_init(&out, BUFFER_DEFAULT_MAXIMUM);
	buffer_text(&out, "{\"samples\": [");
	for (int i = 0; i < bench->runs * BENCH_STAGES; i++) {
		if (!bench->wanted[i % BENCH_STAGES])
			continue;
		buffer_text(&out, comma);
		add_sample_json(&out, bench_stage_name((enum bench_stage)(i % BENCH_STAGES)), i / BENCH_STAGES,
		                &bench->samples[i]);
		comma = ",\n ";
	}
	buffer_text(&out, "],\n \"ratios\": {");
	comma = "";
	for (size_t i = 0; i < COUNT_OF(ratios); i++) {
		struct figure figure = over_rounds(bench, 0, ratios[i].of);

		if (!applies(bench, &ratios[i]))
			continue;
		buffer_printf(&out, "%s\"%s\": {\"median\": %.4f, \"least\": %.4f, \"most\": %.4f}", comma,
		              ratios[i].key, figure.median, figure.least, figure.most);
		comma = ", ";
	}
	buffer_text(&out, "}}\n");
	if (!buffer_ok(&out))
		return error_no_memory(err);
	fputs(buffer_string(&out), stdout);
	return 0;
}

/* ---- the run */

/* What decodes Arrow alone has nothing to do with another format. */
static const char *stages_of(const struct bench *bench, const char *list)
{
	return list || !bench->config.like ? list : "poll,read,whole";
}

static int choose_stages(struct bench *bench, const char *list, struct error *err)
{
	list = stages_of(bench, list);
	for (int i = 0; i < BENCH_STAGES; i++)
		bench->wanted[i] = !list;
	while (list && *list) {
		size_t size = strcspn(list, ",");
		int found = 0;

		while (found < BENCH_STAGES && (strlen(bench_stage_name((enum bench_stage)found)) != size ||
		                                strncmp(bench_stage_name((enum bench_stage)found), list, size) != 0))
			found++;
		if (found == BENCH_STAGES)
			return error_set(
			        err, ERROR_INVALID, 0,
			        "--stages: there is no stage \"%.*s\": poll, read, decode, insert and whole are there",
			        (int)size, list);
		if (bench->config.like && (found == BENCH_DECODE || found == BENCH_INSERT))
			return error_set(err, ERROR_INVALID, 0, "--stages: with --like there are poll, read and whole");
		bench->wanted[found] = true;
		list += size + (list[size] == ',');
	}
	return 0;
}

static int measure_round(struct bench *bench, int run, struct error *err)
{
	for (int i = 0; i < BENCH_STAGES; i++) {
		struct bench_sample *sample = &bench->samples[run * BENCH_STAGES + i];
		char line[128];

		if (!bench->wanted[i])
			continue;
		if (cli_interrupted())
			return error_set(err, ERROR_INVALID, 0, "interrupted in run %d of %d", run + 1, bench->runs);
		snprintf(line, sizeof line, "run %d of %d: %s", run + 1, bench->runs,
		         bench_stage_meaning((enum bench_stage)i));
		log_progress(line);
		if (bench_measure(&bench->config, (enum bench_stage)i, sample, err))
			return -1;
	}
	return 0;
}

static int measure(struct bench *bench, struct error *err)
{
	OWNED_FREE char *folder = NULL;
	struct error ignored;
	int failed = 0;

	bench->samples = calloc((size_t)bench->runs * BENCH_STAGES, sizeof *bench->samples);
	if (!bench->samples)
		return error_no_memory(err);
	bench->config.folder = folder = folder_make(NULL, "tarn-bench.", err);
	if (!folder)
		return -1;
	for (int run = 0; run < bench->runs && !failed; run++)
		failed = measure_round(bench, run, err);
	log_progress(NULL);
	folder_remove(folder, &ignored);
	return failed;
}

static int fill(struct bench *bench, struct error *err)
{
	log_progress("filling a topic");
	if (bench_fill(&bench->config, err))
		return -1;
	log_progress(NULL);
	fprintf(stderr, "topic %s was filled with %" PRId64 " events, and stays\n", bench->config.topic,
	        bench->config.fill_rows);
	return 0;
}

int cmd_bench(const struct invocation *invocation)
{
	struct error err = {0};
	char topic[64];
	struct bench bench = {
	        .config = {.brokers = option_text(invocation, "brokers"),
	                   .topic = option_text(invocation, "topic"),
	                   .like = option_text(invocation, "like"),
	                   .memory_bytes = option_int(invocation, "memory"),
	                   .held_bytes = HELD_BYTES,
	                   .fill_rows = option_int(invocation, "count")},
	        .runs = (int)option_int(invocation, "runs"),
	};
	int failed;

	if (bench.config.like && !bench.config.topic) {
		error_set(&err, ERROR_INVALID, 0, "--like is of a topic that is there: name it with --topic");
		return cli_usage(COMMAND_BENCH, &err);
	}
	if (choose_stages(&bench, option_text(invocation, "stages"), &err))
		return cli_usage(COMMAND_BENCH, &err);
	cli_catch_signals();
	if (!option_given(invocation, "log-level")) /* each commit of each run would have a line */
		log_init(!strcmp(option_text(invocation, "log-format"), "json"), LOG_WARN, color_for(stderr));
	if (!bench.config.topic) {
		snprintf(topic, sizeof topic, "tarn-bench-%d", (int)getpid());
		bench.config.topic = topic;
		if (fill(&bench, &err))
			return cli_fail(&err);
	}
	failed =
	        measure(&bench, &err) || (strcmp(option_text(invocation, "format"), "json") ? print_table(&bench, &err)
	                                                                                    : print_json(&bench, &err));
	free(bench.samples);
	return failed ? cli_fail(&err) : EXIT_DONE;
}
