/* child.c - a process for each measurement, and its meter. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/folder.h"
#include "base/owned.h"
#include "bench/bench_private.h"
#include "produce/produce.h"

#define FILL_PARTITIONS 8

static const struct {
	const char *name, *meaning;
	bench_function *run;
} stages[BENCH_STAGES] = {
#define STAGE(id, name, function, meaning) [BENCH_##id] = {name, meaning, function},
#include "bench/stages.def"
#undef STAGE
};

/* What comes back through the pipe. */
struct outcome {
	struct bench_sample sample;
	struct error err; /* kind NONE: all is well */
};

const char *bench_stage_name(enum bench_stage stage)
{
	return stages[stage].name;
}

const char *bench_stage_meaning(enum bench_stage stage)
{
	return stages[stage].meaning;
}

/* ---- the meter */

/* The first line of /proc/stat: user nice system idle iowait irq softirq steal, in jiffies since boot. */
static void read_machine(int64_t *ret_busy, int64_t *ret_total)
{
	long long user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
	FILE *file = fopen("/proc/stat", "re");

	*ret_busy = *ret_total = 0;
	if (!file)
		return;
	if (fscanf(file, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &user, &nice, &system, &idle, &iowait, &irq,
	           &softirq, &steal) >= 4) {
		*ret_busy = user + nice + system + irq + softirq + steal;
		*ret_total = *ret_busy + idle + iowait;
	}
	fclose(file);
}

void meter_start(struct meter *meter)
{
	*meter = (struct meter){.cpu_us = clock_process_cpu_us()};
}

void meter_work_begins(struct meter *meter)
{
	if (meter->begun)
		return;
	meter->begun = true;
	read_machine(&meter->busy, &meter->total);
	meter->wall_us = clock_monotonic_us();
}

void meter_work_ends(const struct meter *meter, struct bench_sample *sample)
{
	int64_t busy, total;

	sample->wall_us = clock_monotonic_us() - meter->wall_us;
	read_machine(&busy, &total);
	if (total > meter->total)
		sample->machine_busy = (double)(busy - meter->busy) / (double)(total - meter->total);
}

void meter_stop(const struct meter *meter, struct bench_sample *sample)
{
	sample->cpu_us = clock_process_cpu_us() - meter->cpu_us;
}

/* ---- processes */

static void be_child(const struct bench_config *config, bench_function *run, int to)
{
	struct outcome outcome = {0};
	ssize_t written;

	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (run(config, &outcome.sample, &outcome.err) && !outcome.err.kind)
		error_set(&outcome.err, ERROR_FATAL, 0, "it gave no reason");
	outcome.sample.peak_rss_bytes = clock_peak_rss_bytes();
	written = write(to, &outcome, sizeof outcome);
	_exit(written == (ssize_t)sizeof outcome ? 0 : 1);
}

static int receive(int from, struct outcome *outcome)
{
	size_t have = 0;

	while (have < sizeof *outcome) {
		ssize_t got = read(from, (char *)outcome + have, sizeof *outcome - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		have += (size_t)got;
	}
	return 0;
}

static int in_child(const struct bench_config *config, bench_function *run, struct bench_sample *ret_sample,
                    struct error *err)
{
	struct outcome outcome;
	int ends[2], status = 0, missing;
	pid_t pid;

	if (pipe(ends))
		return error_set(err, ERROR_FATAL, errno, "no pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		be_child(config, run, ends[1]);
	}
	close(ends[1]);
	missing = pid < 0 || receive(ends[0], &outcome);
	close(ends[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (missing)
		return error_set(err, ERROR_FATAL, status, "its process ended without a result (%s %d)",
		                 WIFSIGNALED(status) ? "signal" : "status",
		                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (outcome.err.kind) {
		*err = outcome.err;
		return -1;
	}
	*ret_sample = outcome.sample;
	return 0;
}

int bench_measure(const struct bench_config *config, enum bench_stage stage, struct bench_sample *ret_sample,
                  struct error *err)
{
	struct bench_config own = *config;
	OWNED_FREE char *folder = folder_make(config->folder, stages[stage].name, err);
	struct error ignored;
	int failed;

	if (!folder)
		return -1;
	own.folder = folder;
	failed = in_child(&own, stages[stage].run, ret_sample, err);
	if (failed) {
		folder_remove(folder, &ignored);
		return error_wrap(err, "stage %s", stages[stage].name);
	}
	return folder_remove(folder, err);
}

/* ---- filling */

static int fill(const struct bench_config *config, struct bench_sample *sample, struct error *err)
{
	const struct kafka_property zstd = {"compression.type", "zstd"};
	struct produce_report report;
	struct produce_config produce = {
	        .brokers = config->brokers,
	        .topic = config->topic,
	        .count = config->fill_rows,
	        .partitions = FILL_PARTITIONS,
	        .seed = 1,
	        .properties = &zstd,
	        .property_count = 1,
	};

	return produce_run(&produce, &report, err);
}

int bench_fill(const struct bench_config *config, struct error *err)
{
	struct bench_sample none;

	return in_child(config, fill, &none, err) ? error_wrap(err, "fill topic %s", config->topic) : 0;
}
