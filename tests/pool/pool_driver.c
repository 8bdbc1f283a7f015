/*
 * pool_driver.c - a pool without a server around it, for tests/real/test_pool.py and tests/escapes.
 *
 *     pool_driver MANIFEST [POOL]     commands on standard input, a line of JSON each:
 *
 *     {"id": 1, "holder": "a", "max_ms": 0, "request": {...}}   acquires in a thread of its own, sends, reads all
 *     {"facts": true}                                          pool_facts and pool_describe
 *     {"version": "t"}                                         the newest snapshot, and the last that changed table t
 *     {"stop": ms}                                             pool_stop
 *     {"bench": {"count": n, "threads": t, "request": {...}}}  round trips, their times; hand-outs, their times
 *
 * Answers, a line each, as they come: {"id", "answer", "event", "start", "end", "bytes", "data", "worker",
 * "waited_us"}. "abandon_after": bytes in a command makes the client go away then; "client": true gives the lease a
 * client_fd that is closed after "gone_after_ms".
 *
 * Started as `pool_driver worker ...` it is a worker: pools start their own program again.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/owned.h"
#include "cli/cli.h"
#include "lake/version.h"
#include "pool/default.h"
#include "pool/pool.h"
#include "pool/process.h"

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;
static struct pool *pool;

struct job {
	char *line;
	yyjson_doc *document;
	yyjson_val *root;
	pthread_t thread;
	struct job *next;
};

static void say(const struct buffer *line)
{
	pthread_mutex_lock(&output);
	fwrite(line->data, 1, line->size, stdout);
	fputc('\n', stdout);
	fflush(stdout);
	pthread_mutex_unlock(&output);
}

static const char *const answers[] = {"given", "full", "waited", "client_gone", "stopped", "failed"};
static const char *const events[] = {"start", "data", "end", "lost", "late", "client_gone"};

static int64_t number(yyjson_val *object, const char *name, int64_t standard)
{
	yyjson_val *value = yyjson_obj_get(object, name);

	return yyjson_is_int(value) ? yyjson_get_sint(value) : standard;
}

static int read_request(yyjson_val *root, struct request *request)
{
	OWNED_FREE char *json = yyjson_val_write(yyjson_obj_get(root, "request"), 0, NULL);
	struct error err = {0};

	if (json && request_read(json, strlen(json), request, &err) == 0)
		return 0;
	fprintf(stderr, "pool_driver: %s\n", err.message);
	return -1;
}

struct hang_up {
	int fd;
	int64_t after_ms;
};

static void *hang_up(void *context)
{
	struct hang_up *client = context;

	clock_sleep_ms(client->after_ms);
	close(client->fd);
	return NULL;
}

/* Reads the answer into `out`; what it ended with. */
static enum lease_event read_answer(struct lease *lease, yyjson_val *root, struct buffer *out)
{
	int64_t abandon = number(root, "abandon_after", -1), pause_ms = number(root, "pause_ms", 0);
	OWNED_BUFFER struct buffer payload = {0}, data = {0};
	struct error err = {0};
	enum lease_event event;
	int64_t bytes = 0;

	buffer_init(&payload, FRAME_BYTES_MAX);
	buffer_init(&data, 1 << 20);
	for (;;) {
		event = lease_next(lease, &payload, &err);
		if (event == LEASE_START)
			buffer_printf(out, ",\"start\":%s", buffer_string(&payload));
		if (event == LEASE_DATA) {
			bytes += (int64_t)payload.size;
			if (data.size + payload.size < 200000)
				buffer_append(&data, payload.data, payload.size);
			if (pause_ms)
				clock_sleep_ms(pause_ms);
		}
		if (event >= LEASE_END || (abandon >= 0 && bytes >= abandon))
			break;
	}
	if (event == LEASE_END)
		buffer_printf(out, ",\"end\":%s", buffer_string(&payload));
	if (event == LEASE_LOST) {
		buffer_text(out, ",\"lost\":");
		buffer_json_text(out, err.message, strlen(err.message));
	}
	buffer_printf(out, ",\"bytes\":%lld,\"data\":", (long long)bytes);
	buffer_json_text(out, buffer_string(&data), data.size);
	return event;
}

static void *ask(void *context)
{
	struct job *job = context;
	OWNED_BUFFER struct buffer out = {0};
	struct pool_ask pool_ask = {.holder = "nobody", .client_fd = -1};
	yyjson_val *holder = yyjson_obj_get(job->root, "holder");
	struct request request;
	struct lease *lease = NULL;
	struct error err = {0};
	struct hang_up client;
	pthread_t closer;
	int pair[2] = {-1, -1}, retry_after_s;
	enum pool_answer answer;
	int64_t begun_us = clock_monotonic_us();

	buffer_init(&out, 64 << 20);
	if (read_request(job->root, &request))
		return NULL;
	if (holder)
		pool_ask.holder = yyjson_get_str(holder);
	pool_ask.max_ms = number(job->root, "max_ms", 0);
	if (yyjson_get_bool(yyjson_obj_get(job->root, "client")) && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) {
		pool_ask.client_fd = pair[0];
		client = (struct hang_up){pair[1], number(job->root, "gone_after_ms", 0)};
		if (pthread_create(&closer, NULL, hang_up, &client))
			return NULL;
	}
	answer = pool_acquire(pool, &pool_ask, &lease, &retry_after_s, &err);
	buffer_printf(&out, "{\"id\":%lld,\"answer\":\"%s\",\"retry_after_s\":%d",
	              (long long)number(job->root, "id", 0), answers[answer], retry_after_s);
	if (answer == POOL_GIVEN) {
		struct lease_facts facts = lease_facts(lease);
		enum lease_event event;

		buffer_printf(&out, ",\"worker\":%lld,\"one_shot\":%s,\"waited_us\":%lld", (long long)facts.worker,
		              facts.one_shot ? "true" : "false", (long long)facts.waited_us);
		event = lease_send(lease, &request, &err) ? LEASE_LOST : read_answer(lease, job->root, &out);
		buffer_printf(&out, ",\"event\":\"%s\"", events[event]);
		clock_sleep_ms(number(job->root, "hold_ms", 0));
		lease_release(lease);
	}
	buffer_printf(&out, ",\"us\":%lld}", (long long)(clock_monotonic_us() - begun_us));
	say(&out);
	request_release(&request);
	if (pair[0] >= 0) {
		pthread_join(closer, NULL);
		close(pair[0]);
	}
	return NULL;
}

/* ---- measuring */

struct bench {
	const struct request *request;
	int count;
	int64_t *handed_ns, *trip_ns;
	int failed;
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *bench_one(void *context)
{
	struct bench *bench = context;
	struct pool_ask pool_ask = {.holder = "bench", .client_fd = -1};
	OWNED_BUFFER struct buffer payload = {0};

	buffer_init(&payload, FRAME_BYTES_MAX);
	for (int i = 0; i < bench->count; i++) {
		int64_t begun = now_ns();
		struct lease *lease;
		struct error err = {0};
		enum lease_event event = LEASE_LOST;
		int retry;

		if (pool_acquire(pool, &pool_ask, &lease, &retry, &err) != POOL_GIVEN) {
			bench->failed++;
			continue;
		}
		bench->handed_ns[i] = now_ns() - begun;
		if (lease_send(lease, bench->request, &err) == 0)
			while ((event = lease_next(lease, &payload, &err)) < LEASE_END)
				;
		if (event != LEASE_END || strstr(buffer_string(&payload), "\"error\""))
			bench->failed++;
		lease_release(lease);
		bench->trip_ns[i] = now_ns() - begun;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void run_bench(yyjson_val *options)
{
	enum { THREADS_MAX = 64 };
	int count = (int)number(options, "count", 1000), threads = (int)number(options, "threads", 1), failed = 0;
	int64_t *times = calloc((size_t)(2 * count * threads), sizeof *times);
	int64_t *handed = times, *trips = times + count * threads, begun = now_ns(), took;
	struct bench benches[THREADS_MAX];
	pthread_t ids[THREADS_MAX];
	OWNED_BUFFER struct buffer out = {0};
	struct request request;
	int all = count * threads;

	buffer_init(&out, 65536);
	if (!times || threads > THREADS_MAX || read_request(options, &request))
		exit(1);
	for (int i = 0; i < threads; i++) {
		benches[i] = (struct bench){&request, count, handed + i * count, trips + i * count, 0};
		if (pthread_create(&ids[i], NULL, bench_one, &benches[i]))
			exit(1);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		failed += benches[i].failed;
	}
	took = now_ns() - begun;
	qsort(handed, (size_t)all, sizeof *handed, compare);
	qsort(trips, (size_t)all, sizeof *trips, compare);
	buffer_printf(
	        &out,
	        "{\"bench\":true,\"failed\":%d,\"per_s\":%.0f,\"hand_us\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f},"
	        "\"trip_us\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}}",
	        failed, all * 1e9 / (double)took, (double)handed[all / 2] / 1e3, (double)handed[all * 99 / 100] / 1e3,
	        (double)handed[all - 1] / 1e3, (double)trips[all / 2] / 1e3, (double)trips[all * 99 / 100] / 1e3,
	        (double)trips[all - 1] / 1e3);
	say(&out);
	request_release(&request);
	free(times);
}

/* ---- the program */

static void tell_facts(void)
{
	OWNED_BUFFER struct buffer out = {0};
	struct pool_facts facts = pool_facts(pool);
	const struct machine_facts *m = &facts.machine;

	buffer_init(&out, 1 << 20);
	buffer_printf(
	        &out,
	        "{\"facts\":true,\"size\":%d,\"desired\":%d,\"waiting\":%d,\"circuit_open\":%s,\"created\":%lld,"
	        "\"deleted\":%lld,\"acquired\":%lld,\"released\":%lld,\"circuit_opened\":%lld,\"full\":%lld,"
	        "\"waited\":%lld,\"one_shots\":%lld,\"replaced\":%lld,\"queries\":%lld,\"lost\":%lld,\"late\":%lld,"
	        "\"idle\":%d,\"busy\":%d,\"workers\":",
	        m->size, m->desired, m->waiting, m->circuit_open ? "true" : "false", (long long)m->created,
	        (long long)m->deleted, (long long)m->acquired, (long long)m->released, (long long)m->circuit_opened,
	        (long long)m->refused_full, (long long)m->refused_waited, (long long)m->one_shots,
	        (long long)m->replaced, (long long)facts.queries, (long long)facts.lost, (long long)facts.late,
	        m->workers[WORKER_IDLE], m->workers[WORKER_BUSY]);
	pool_describe(pool, &out);
	buffer_char(&out, '}');
	say(&out);
}

/* lake/version.h, as a server asks it. */
static void tell_version(const struct spec_catalog *catalog, yyjson_val *root)
{
	static struct version *version;
	OWNED_BUFFER struct buffer out = {0};
	struct error err = {0};
	int64_t newest = -1, changed = -1, begun_us = clock_monotonic_us();
	int failed;

	buffer_init(&out, 65536);
	if (!version)
		version = version_open(catalog, &err);
	failed = !version || version_now(version, &newest, &err) ||
	         version_of_table(version, "main", yyjson_get_str(yyjson_obj_get(root, "version")), newest, &changed,
	                          &err);
	buffer_printf(&out, "{\"version\":%lld,\"changed\":%lld,\"us\":%lld,\"error\":", (long long)newest,
	              (long long)changed, (long long)(clock_monotonic_us() - begun_us));
	buffer_json_text(&out, failed ? err.message : "", failed ? strlen(err.message) : 0);
	buffer_char(&out, '}');
	say(&out);
}

static struct job *take(char *line, struct job *jobs)
{
	struct job *job = calloc(1, sizeof *job);

	if (!job)
		exit(1);
	job->document = yyjson_read(line, strlen(line), 0);
	job->root = yyjson_doc_get_root(job->document);
	job->next = jobs;
	if (yyjson_obj_get(job->root, "facts"))
		tell_facts();
	else if (yyjson_obj_get(job->root, "version"))
		tell_version(pool_spec(pool)->catalog, job->root);
	else if (yyjson_obj_get(job->root, "stop"))
		pool_stop(pool, number(job->root, "stop", 0));
	else if (yyjson_obj_get(job->root, "bench"))
		run_bench(yyjson_obj_get(job->root, "bench"));
	else if (yyjson_obj_get(job->root, "request") && pthread_create(&job->thread, NULL, ask, job) == 0)
		return job;
	yyjson_doc_free(job->document);
	free(job);
	return jobs;
}

static int be_worker(int argc, char **argv)
{
	struct invocation invocation = {0};
	struct error err = {0};

	if (options_parse(argc, argv, &invocation, &err))
		return cli_usage(invocation.command, &err);
	log_init(true, LOG_INFO, false);
	return fault_init(&err) ? cli_fail(&err) : cmd_worker(&invocation);
}

int main(int argc, char **argv)
{
	struct processes *processes = NULL;
	struct manifest *manifest;
	struct spec_pool standard;
	const struct spec_pool *spec;
	struct error err = {0};
	struct job *jobs = NULL;
	struct pool_driver driver;
	char *line = NULL;
	size_t room = 0;

	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && !strcmp(argv[1], "worker"))
		return be_worker(argc, argv);
	log_init(true, LOG_INFO, false);
	if (argc < 2)
		return 2;
	manifest = manifest_load(argv[1], &err);
	if (!manifest)
		return cli_fail(&err);
	standard = pool_default(&manifest->catalogs[0]);
	spec = manifest->pool_count ? &manifest->pools[0] : &standard;
	processes = processes_new(argv[1], manifest->pool_count ? spec->name : NULL, spec->catalog->name, &err);
	if (processes) {
		driver = processes_driver(processes);
		pool = pool_new(spec, &driver, &err);
	}
	if (!pool)
		return cli_fail(&err);
	while (getline(&line, &room, stdin) > 0)
		jobs = take(line, jobs);
	for (struct job *job = jobs, *next; job; job = next) {
		next = job->next;
		pthread_join(job->thread, NULL);
		yyjson_doc_free(job->document);
		free(job);
	}
	pool_stop(pool, 2000);
	pool_free(pool);
	processes_free(processes);
	manifest_free(manifest);
	free(line);
	return 0;
}
