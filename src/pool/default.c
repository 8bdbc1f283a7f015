#include "pool/default.h"

#include <unistd.h>

const struct spec_pool *pool_find(const struct manifest *manifest, const struct spec_catalog *catalog)
{
	for (int i = 0; i < manifest->pool_count; i++)
		if (manifest->pools[i].catalog == catalog)
			return &manifest->pools[i];
	return NULL;
}

/* What kinds.def says, but for the sizes: a process more than there are cores. */
struct spec_pool pool_default(const struct spec_catalog *catalog)
{
	static char namespace[] = "default", target[] = "0.8";
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return (struct spec_pool){
	        .name = catalog->name,
	        .namespace = namespace,
	        .catalog_ref = catalog->name,
	        .catalog = (struct spec_catalog *)(uintptr_t)catalog,
	        .read_only = true,
	        .min_size = 1,
	        .max_size = (int)(cores > 0 ? cores : 1) + 1,
	        .target_utilization = target,
	        .request_memory_bytes = INT64_C(256) << 20,
	        .memory_bytes = INT64_C(512) << 20,
	        .request_cpu_millis = 100,
	        .cpu_millis = 1000,
	        .max_idle_ms = 5 * 60 * 1000,
	        .max_lifetime_ms = 60 * 60 * 1000,
	        .max_query_ms = 5 * 60 * 1000,
	        .max_queries = 100000,
	        .queue_length = 100,
	        .queue_wait_ms = 30 * 1000,
	        .scale_up = 2,
	        .scale_down = 1,
	        .scale_interval_ms = 30 * 1000,
	        .stabilization_ms = 2 * 60 * 1000,
	};
}
