#include "lake/shed.h"

#include <inttypes.h>

#include "base/owned.h"
#include "lake/lake_private.h"

#define ROOM_BYTES ((int64_t)16 << 20)
#define MORE_THAN_ROOM "SELECT len(list(r)) FROM range(4000000) t(r)" /* 32 MB, which cannot be spilled */

void shed_init(struct shed *shed)
{
	pthread_mutex_init(&shed->lock, NULL);
	pthread_cond_init(&shed->changed, NULL);
}

void shed_release(struct shed *shed)
{
	pthread_cond_destroy(&shed->changed);
	pthread_mutex_destroy(&shed->lock);
}

void shed_enter(struct shed *shed)
{
	pthread_mutex_lock(&shed->lock);
	while (shed->shedding)
		pthread_cond_wait(&shed->changed, &shed->lock);
	shed->transactions++;
	pthread_mutex_unlock(&shed->lock);
}

void shed_leave(struct shed *shed)
{
	pthread_mutex_lock(&shed->lock);
	shed->transactions--;
	pthread_mutex_unlock(&shed->lock);
}

static bool begin(struct shed *shed)
{
	bool may;

	pthread_mutex_lock(&shed->lock);
	may = !shed->transactions && !shed->shedding;
	shed->shedding |= may;
	pthread_mutex_unlock(&shed->lock);
	return may;
}

static void end(struct shed *shed)
{
	pthread_mutex_lock(&shed->lock);
	shed->shedding = false;
	pthread_cond_broadcast(&shed->changed);
	pthread_mutex_unlock(&shed->lock);
}

static int ask(struct lake_session *session, int64_t *ret_cached, int64_t *ret_used, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (duck_query(
	            session->connection,
	            "SELECT CAST(coalesce(sum(memory_usage_bytes) FILTER (WHERE tag = 'OBJECT_CACHE'), 0) AS BIGINT), "
	            "CAST(coalesce(sum(memory_usage_bytes), 0) AS BIGINT) FROM duckdb_memory()",
	            &rows, err))
		return -1;
	*ret_cached = duck_cell_int(&rows, 0, 0);
	*ret_used = duck_cell_int(&rows, 0, 1);
	return 0;
}

int lake_purge(struct lake_session *session, struct error *err)
{
	int64_t limit = session->lake->options.memory_bytes;

	return limit ? duck_execf(session->connection, err, "SET memory_limit = '%" PRId64 "B'", limit) : 0;
}

static int press(struct lake_session *session, int64_t used, struct error *err)
{
	int64_t limit = session->lake->options.memory_bytes;
	struct error expected = {0};

	if (used + ROOM_BYTES < limit &&
	    duck_execf(session->connection, err, "SET memory_limit = '%" PRId64 "B'", used + ROOM_BYTES))
		return -1;
	duck_exec(session->connection, MORE_THAN_ROOM, NULL, &expected);
	return lake_purge(session, err);
}

int lake_shed(struct lake_session *session, int64_t above, int64_t *ret_shed, struct error *err)
{
	struct shed *shed = &session->lake->shed;
	int64_t cached = 0, used = 0, left = 0;
	int failed;

	*ret_shed = 0;
	if (!session->lake->options.memory_bytes)
		return 0;
	if (ask(session, &cached, &used, err))
		return -1;
	if (cached <= above || !begin(shed))
		return 0;
	failed = press(session, used, err) || ask(session, &left, &used, err);
	end(shed);
	*ret_shed = cached - left;
	return failed ? -1 : 0;
}
