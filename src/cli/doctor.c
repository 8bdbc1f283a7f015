/*
 * doctor.c - tarn doctor [FILE]: is what Tarn needs here, reachable, free and set well? Each finding says what to do.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "base/owned.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "lake/checkup.h"
#include "spec/spec.h"
#include "stream/stream.h"
#include "stream/verify.h"

#define FREE_LEAST ((int64_t)1 << 30) /* bytes of a disk that is not nearly full */
#define FILES_LEAST 1024
#define PROCESS_BYTES ((int64_t)150 << 20) /* what a process needs beside its streams' memory */

enum state { STATE_OK, STATE_NOTE, STATE_WARN, STATE_FAIL, STATES };
static const char *const state_names[STATES] = {"ok", "note", "warn", "fail"};

struct doctor {
	const char *file;
	struct table *findings; /* state, subject, detail, fix */
	int counts[STATES];
};

/* fix: what to do, or NULL. */
static void find(struct doctor *doctor, enum state state, const char *subject, const char *fix, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

static void find(struct doctor *doctor, enum state state, const char *subject, const char *fix, const char *format, ...)
{
	char detail[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(detail, sizeof detail, format, arguments);
	va_end(arguments);
	log_mask(detail);
	table_add(doctor->findings, (const char *const[]){state_names[state], subject, detail, fix});
	doctor->counts[state]++;
}

/* ---- the program and the machine */

static void look_at_program(struct doctor *doctor)
{
	struct error err = {0};
	char version[64];

	if (checkup_installed(version, sizeof version, &err))
		find(doctor, STATE_FAIL, "DuckDB",
		     "run `make setup`, or say by TARN_EXTENSIONS where the extensions are", "%s", err.message);
	else
		find(doctor, STATE_OK, "DuckDB", NULL, "%s with its extensions", version);
}

static int64_t read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long long value = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%lld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

/* Of the machine, or of the container (cgroup v2, then v1) where that is less. */
static int64_t memory_bytes(void)
{
	int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	const int64_t limits[] = {read_number("/sys/fs/cgroup/memory.max"),
	                          read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes")};

	for (size_t i = 0; i < COUNT_OF(limits); i++)
		if (limits[i] > 0 && limits[i] < bytes)
			bytes = limits[i];
	return bytes;
}

static void look_at_memory(struct doctor *doctor, const struct manifest *manifest)
{
	int64_t wanted = PROCESS_BYTES, have = memory_bytes();
	char want_text[HUMAN_SIZE], have_text[HUMAN_SIZE];

	for (int i = 0; manifest && i < manifest->stream_count; i++)
		wanted += manifest->streams[i].memory_bytes;
	human_bytes(wanted, want_text);
	human_bytes(have, have_text);
	if (wanted > have)
		find(doctor, STATE_FAIL, "memory", "lower spec.memory of the streams, or give the process more",
		     "the streams may take %s, and there are %s", want_text, have_text);
	else
		find(doctor, wanted > have / 4 * 3 ? STATE_WARN : STATE_OK, "memory",
		     wanted > have / 4 * 3 ? "leave some to other processes" : NULL, "%s of %s", want_text, have_text);
}

/* The nearest folder above that is there. */
static void nearest_folder(const char *path, char *folder, size_t size)
{
	snprintf(folder, size, "%s", path);
	while (access(folder, F_OK) && strlen(folder) > 1) {
		char *slash = strrchr(folder, '/');

		if (!slash)
			break;
		slash[slash == folder] = 0;
	}
}

static void look_at_folder(struct doctor *doctor, const char *subject, const char *path)
{
	char folder[4096], space[HUMAN_SIZE];
	struct statvfs disk;
	int64_t left;

	nearest_folder(path, folder, sizeof folder);
	if (access(folder, W_OK) || statvfs(folder, &disk)) {
		find(doctor, STATE_FAIL, subject, "let this user write there, or name another place", "%s: %s", folder,
		     strerror(errno));
		return;
	}
	left = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
	human_bytes(left, space);
	find(doctor, left < FREE_LEAST ? STATE_WARN : STATE_OK, subject,
	     left < FREE_LEAST ? "make room, or name another place" : NULL, "%s may be written, %s are free", folder,
	     space);
}

static void look_at_machine(struct doctor *doctor, const struct manifest *manifest)
{
	const char *temporary = getenv("TMPDIR");
	struct rlimit files;

	look_at_memory(doctor, manifest);
	look_at_folder(doctor, "temporary folder", temporary && *temporary ? temporary : "/tmp");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES_LEAST)
		find(doctor, STATE_WARN, "open files", "raise it: ulimit -n 65536", "at most %" PRIu64,
		     (uint64_t)files.rlim_cur);
}

/* ---- catalogs */

static void look_at_postgres(struct doctor *doctor, struct lake_session *session, const char *subject)
{
	char version[64], idle[64], connections[64];
	struct error err = {0};

	if (checkup_postgres(session, "server_version", version, sizeof version, &err) ||
	    checkup_postgres(session, "idle_in_transaction_session_timeout", idle, sizeof idle, &err) ||
	    checkup_postgres(session, "max_connections", connections, sizeof connections, &err)) {
		find(doctor, STATE_WARN, subject, NULL, "its settings cannot be read: %s", err.message);
		return;
	}
	find(doctor, STATE_OK, subject, NULL, "PostgreSQL %s, max_connections %s", version, connections);
	if (!strcmp(idle, "0"))
		find(doctor, STATE_WARN, subject,
		     "ALTER SYSTEM SET idle_in_transaction_session_timeout = '10min', then SELECT pg_reload_conf()",
		     "idle_in_transaction_session_timeout is off: a writer that hangs keeps its transaction open for "
		     "ever");
}

static void look_into(struct doctor *doctor, const struct spec_catalog *catalog, struct lake *lake, const char *subject)
{
	struct error err = {0};
	struct lake_session *session = lake_session_new(lake, &err);
	int64_t snapshot;

	if (!session || lake_snapshot(session, &snapshot, &err)) {
		find(doctor, STATE_FAIL, subject, NULL, "%s", err.message);
	} else {
		if (lake_has_snapshots(lake))
			find(doctor, STATE_OK, subject, NULL, "can be read, newest snapshot %" PRId64, snapshot);
		else
			find(doctor, STATE_OK, subject, NULL, "can be read");
		if (catalog->backend.type == BACKEND_POSTGRES)
			look_at_postgres(doctor, session, subject);
	}
	lake_session_free(session);
}

static const char *fix_of(const struct spec_catalog *catalog, const struct error *err)
{
	if (err->kind == ERROR_TRANSIENT)
		return catalog->store.bucket
		               ? "see that the server and the store run, and that their addresses are right"
		               : "see that the server runs, and that its address and password are right";
	return catalog->store.bucket ? "see spec.objectStore: its endpoint, bucket, region and credentials" : NULL;
}

/* A DuckDB file cannot be opened beside its writer. */
static bool is_closed(const struct spec_catalog *catalog)
{
	return (catalog->backend.type == BACKEND_DUCKDB || catalog->backend.type == BACKEND_FILE) &&
	       checkup_writer(catalog);
}

static void look_at_catalog(struct doctor *doctor, const struct spec_catalog *catalog)
{
	struct lake_options options = {.writer = false, .threads = 1};
	struct error err = {0};
	int writer = checkup_writer(catalog);
	bool absent = catalog->backend.path && access(catalog->backend.path, F_OK);
	struct lake *lake;
	char subject[128];

	snprintf(subject, sizeof subject, "catalog %s", catalog->name);
	if (catalog->backend.path)
		look_at_folder(doctor, subject, catalog->backend.path);
	if (catalog->data_path && catalog->data_path[0] == '/')
		look_at_folder(doctor, subject, catalog->data_path);
	if (catalog->store.endpoint && !strncmp(catalog->store.endpoint, "http://", 7) &&
	    !strstr(catalog->store.endpoint, "//127.") && !strstr(catalog->store.endpoint, "//localhost"))
		find(doctor, STATE_WARN, subject, "use https:// where others can listen", "data go to %s unencrypted",
		     catalog->store.endpoint);
	if (writer)
		find(doctor, STATE_NOTE, subject, "stop that one before another writes, or use a postgres catalog",
		     "process %d is writing it", writer);
	if (absent) {
		find(doctor, STATE_NOTE, subject, NULL,
		     "is not there yet: `tarn run` makes it when the first events arrive");
		return;
	}
	if (is_closed(catalog))
		return;
	lake = lake_open(catalog, &options, &err);
	if (lake)
		look_into(doctor, catalog, lake, subject);
	/* It may also be the database that does not exist, or the role. */
	else if (catalog->backend.type == BACKEND_POSTGRES && strstr(err.message, "does not exist") &&
	         !strstr(err.message, "Unable to connect"))
		find(doctor, STATE_NOTE, subject, NULL,
		     "has no lake yet: `tarn run` makes it when the first events arrive");
	else
		find(doctor, STATE_FAIL, subject, fix_of(catalog, &err), "%s", err.message);
	lake_close(lake);
}

/* ---- streams */

#define CLOSED "what of it is in the lake cannot be told while another process writes it"

static void judge(struct doctor *doctor, const struct verification *verification, const char *subject)
{
	int64_t lag = 0, quarantined = 0;
	char count[HUMAN_SIZE], rows[HUMAN_SIZE];

	for (int i = 0; i < verification->lane_count; i++) {
		lag += verification->lanes[i].lag > 0 ? verification->lanes[i].lag : 0;
		quarantined += verification->lanes[i].audit.quarantine_rows;
		if (*verification->lanes[i].problem)
			find(doctor, STATE_FAIL, subject, "see tarn verify --topic", "partition %d: %s",
			     verification->lanes[i].audit.partition, verification->lanes[i].problem);
	}
	if (*verification->problem)
		find(doctor, STATE_FAIL, subject, "see tarn verify", "%s", verification->problem);
	find(doctor, STATE_OK, subject, NULL, "%d %s, %s rows in the lake, %s messages to come",
	     verification->lane_count, verification->lane_count == 1 ? "lane" : "lanes",
	     human_count(verification->rows, rows), human_count(lag, count));
	if (quarantined)
		find(doctor, STATE_NOTE, subject, "see tarn quarantine list", "%s messages are in quarantine",
		     human_count(quarantined, count));
}

/* What the lake says and what the topic says; the topic alone where there is no lake to ask. */
static int ask(const struct spec_stream *spec, struct verification *verification, struct error *err)
{
	struct lake_options options = {.writer = false, .threads = 1};
	struct error ignored = {0};
	struct lake *lake = lake_open(spec->catalog, &options, &ignored);
	struct lake_session *session = lake ? lake_session_new(lake, &ignored) : NULL;
	int failed = session ? verify_stream(spec, session, true, NULL, verification, err)
	                     : verify_topic(spec, verification, err);

	lake_session_free(session);
	lake_close(lake);
	return failed;
}

/* What the lake says of a stream of files, where there is one. */
static void look_at_files(struct doctor *doctor, const struct spec_stream *spec, const char *subject)
{
	struct lake_options options = {.writer = false, .threads = 1};
	struct verification verification = {0};
	struct error err = {0};
	struct lake *lake = lake_open(spec->catalog, &options, &err);
	struct lake_session *session = lake ? lake_session_new(lake, &err) : NULL;

	if (!session)
		find(doctor, STATE_NOTE, subject, NULL, "%s: none is in the lake yet", spec->source.files);
	else if (verify_stream(spec, session, true, NULL, &verification, &err))
		find(doctor, STATE_FAIL, subject, "see that the files may be listed and read", "%s: %s",
		     spec->source.files, err.message);
	else
		judge(doctor, &verification, subject);
	verification_release(&verification);
	lake_session_free(session);
	lake_close(lake);
}

static void look_at_stream(struct doctor *doctor, const struct spec_stream *spec)
{
	struct verification verification = {0};
	struct error err = {0};
	char subject[128];

	snprintf(subject, sizeof subject, "stream %s", spec->name);
	for (int i = 0; i < spec->kafka.property_count; i++)
		if (!strcmp(spec->kafka.properties[i].name, "security.protocol") &&
		    !strcasecmp(spec->kafka.properties[i].value, "sasl_plaintext"))
			find(doctor, STATE_WARN, subject, "use sasl_ssl where others can listen",
			     "its password and its data go to the broker unencrypted");
	if (spec->source.files && is_closed(spec->catalog)) {
		find(doctor, STATE_NOTE, subject, "see tarn status, or stop it", CLOSED);
		return;
	}
	if (spec->source.files) {
		look_at_files(doctor, spec, subject);
		return;
	}
	if (!strcmp(spec->kafka.brokers, "embedded")) {
		find(doctor, STATE_NOTE, subject, "for data that must last name real brokers in spec.kafka.brokers",
		     "reads the in-process broker, which forgets its topics at the end");
		return;
	}
	if (ask(spec, &verification, &err))
		find(doctor, STATE_FAIL, subject,
		     "see that the brokers run, that the topic is there, and who may read it", "brokers %s: %s",
		     spec->kafka.brokers, err.message);
	else if (is_closed(spec->catalog))
		find(doctor, STATE_NOTE, subject, "see tarn status, or stop it", "its topic can be read; " CLOSED);
	else
		judge(doctor, &verification, subject);
	verification_release(&verification);
}

static void look_at_manifest(struct doctor *doctor, const struct manifest *manifest)
{
	find(doctor, STATE_OK, "manifest", NULL, "%d catalogs, %d streams", manifest->catalog_count,
	     manifest->stream_count);
	for (int i = 0; i < manifest->catalog_count; i++)
		look_at_catalog(doctor, &manifest->catalogs[i]);
	for (int i = 0; i < manifest->stream_count; i++)
		look_at_stream(doctor, &manifest->streams[i]);
}

/* ---- the report */

static void print_text(const struct doctor *doctor)
{
	static const char *const colours[STATES] = {"\033[32m", "\033[36m", "\033[33m", "\033[31m"};
	bool colour = color_for(stdout);

	for (int64_t i = 0; i < table_row_count(doctor->findings); i++) {
		const char *name = table_at(doctor->findings, i, 0), *fix = table_at(doctor->findings, i, 3);
		int state = 0;

		while (strcmp(state_names[state], name) != 0)
			state++;
		printf("%s%-4s%s  %s: %s\n", colour ? colours[state] : "", name, colour ? "\033[0m" : "",
		       table_at(doctor->findings, i, 1), table_at(doctor->findings, i, 2));
		if (fix)
			printf("      -> %s\n", fix);
	}
	printf("%d failures, %d warnings\n", doctor->counts[STATE_FAIL], doctor->counts[STATE_WARN]);
}

int cmd_doctor(const struct invocation *invocation)
{
	static const char *const headers[] = {"state", "subject", "detail", "fix"};
	OWNED_TABLE struct table *findings = table_new(COUNT_OF(headers), headers);
	struct doctor doctor = {.file = invocation->positional_count ? invocation->positional[0] : NULL,
	                        .findings = findings};
	struct manifest *manifest = NULL;
	struct error err = {0};

	if (!option_given(invocation, "log-level")) /* what is wrong is said once, in the report */
		log_init(false, LOG_ERROR, color_for(stderr));
	if (doctor.file && !(manifest = manifest_load(doctor.file, &err)))
		find(&doctor, STATE_FAIL, "manifest", "see `tarn explain`", "%s", err.message);
	look_at_program(&doctor);
	look_at_machine(&doctor, manifest);
	if (manifest)
		look_at_manifest(&doctor, manifest);
	manifest_free(manifest);
	if (strcmp(option_text(invocation, "format"), "json") == 0) {
		if (table_print_json(findings, stdout, &err))
			return cli_fail(&err);
	} else {
		print_text(&doctor);
	}
	return doctor.counts[STATE_FAIL] ? EXIT_NO : EXIT_DONE;
}
