/* What a worker's sandbox lets it read (pool/worker_places.h): every place, each once, or no worker at all. */
#include "check.h"
#include "pool/worker_places.h"

static struct error err;
static struct worker_places places;

static struct spec_catalog catalog = {
        .backend = {.type = BACKEND_POSTGRES, .connection = "host=db.example port=5433 dbname=lake"},
        .store = {.endpoint = "https://store.example", .bucket = "lake", .credentials = CREDENTIALS_KEYS},
        .data_path = "s3://lake/",
};

static int with_models(char (*files)[64], int count)
{
	static struct spec_pipeline pipelines[200];
	static const struct spec_pool pool;
	struct manifest manifest = {.pipelines = pipelines, .pipeline_count = count};

	for (int i = 0; i < count; i++)
		pipelines[i] = (struct spec_pipeline){.catalog = &catalog, .model = {.file = files[i]}};
	return worker_places(&manifest, &catalog, &pool, &places, &err);
}

static bool may_read(const char *path)
{
	int times = 0;

	for (int i = 0; i < places.sandbox.read_count; i++)
		times += !strcmp(places.sandbox.read[i], path);
	return times == 1;
}

/* A server by name, a store by name, and the model is still there. */
static void a_models_folder_has_room(void)
{
	char files[2][64] = {"/models/churn.json", "/models/other.json"};

	CHECK_INT(with_models(files, 2), 0);
	CHECK(may_read("/models"));
	CHECK(may_read("/etc/resolv.conf"));
	CHECK(may_read("/etc/ssl"));
	CHECK_INT(places.sandbox.port_count, 2);
	CHECK(places.sandbox.names);
	catalog.store.credentials = CREDENTIALS_INSTANCE;
	CHECK_INT(with_models(files, 2), 0);
	catalog.store.credentials = CREDENTIALS_KEYS;
	CHECK(may_read("/models"));
}

static void one_folder_counts_once(void)
{
	static char files[200][64];

	for (int i = 0; i < 200; i++)
		snprintf(files[i], sizeof files[i], "/models/%d.json", i);
	CHECK_INT(with_models(files, 200), 0);
	CHECK(may_read("/models"));
	CHECK_INT(places.sandbox.read_count, 9);
}

static void what_does_not_fit_is_told(void)
{
	static char files[200][64];

	for (int i = 0; i < 200; i++)
		snprintf(files[i], sizeof files[i], "/models/%d/m.json", i);
	CHECK_INT(with_models(files, SANDBOX_PATHS_MAX - 8), 0);
	CHECK(may_read("/models/55"));
	CHECK_INT(with_models(files, SANDBOX_PATHS_MAX - 7), -1);
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "at most 64 files and folders");
	CHECK_INT(with_models(files, 200), -1);
}

static void a_path_that_is_too_long_is_told(void)
{
	static char path[8192];
	struct spec_catalog longer = {.backend = {.type = BACKEND_SQLITE, .path = path}, .data_path = "/data"};
	struct manifest manifest = {0};
	static const struct spec_pool pool;

	memset(path, 'x', sizeof path - 1);
	CHECK_INT(worker_places(&manifest, &longer, &pool, &places, &err), -1);
	CHECK_HAS(err.message, "more than 4095 bytes");
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(a_models_folder_has_room), TEST(one_folder_counts_once),
	                  TEST(what_does_not_fit_is_told), TEST(a_path_that_is_too_long_is_told));
}
