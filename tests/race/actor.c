#include "actor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/owned.h"
#include "lake/duck.h"
#include "lake/lake.h"
#include "lake/ledger.h"
#include "lake/publish.h"

/* An actor's own side. */
struct mind {
	int socket;
	struct lake *lake;
	struct lake_session *session;
	char name[32], stream[64], table[80];
	struct lane_key key;
	struct lake_lane lanes[RACE_LANES];
	int64_t next[RACE_LANES];
	int count;
};

static struct duck_connection *connection(struct mind *mind)
{
	return lake_connection(mind->session);
}

static int first_offset(void *context, int32_t partition, int64_t *ret_offset, struct error *err)
{
	*ret_offset = 0;
	return 0;
}

static int claim(struct mind *mind, const struct race_call *call, struct error *err)
{
	struct lane_start start = {.first_offset = first_offset};

	memcpy(mind->lanes, call->lanes, sizeof mind->lanes);
	mind->count = call->count;
	return lanes_claim(mind->session, &mind->key, mind->name, mind->lanes, mind->count, &start, 30000, err);
}

static int reread(struct mind *mind, struct error *err)
{
	struct lake_lane now[RACE_LANES];

	if (lanes_read(mind->session, &mind->key, mind->lanes, mind->count, now, err))
		return -1;
	memcpy(mind->lanes, now, sizeof now);
	return 0;
}

/* The offsets of the bypasses that keep them elsewhere. */
static int read_elsewhere(struct mind *mind, unsigned bypass, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	char sql[256];

	snprintf(sql, sizeof sql, "SELECT coalesce(max(next_offset), 0) FROM lake.main.%s WHERE lane = %d",
	         bypass & APPENDED ? "appended" : "shared", mind->lanes[0].partition);
	if (duck_query(connection(mind), sql, &rows, err))
		return -1;
	if (duck_cell_int(&rows, 0, 0) != mind->lanes[0].next_offset)
		return error_set(err, ERROR_CONFLICT, 0, "the lake is at %" PRId64, duck_cell_int(&rows, 0, 0));
	return 0;
}

static int read_offsets(struct mind *mind, unsigned bypass, struct error *err)
{
	if (bypass & (APPENDED | ONE_TABLE))
		return read_elsewhere(mind, bypass, err);
	if (bypass & NO_FENCE)
		return 0;
	return lanes_fence(mind->session, &mind->key, mind->lanes, mind->count, err);
}

/* As the stream does (append.c), where DuckLake would delete an INSERT's files at a COMMIT that fails (publish.h). */
static int publish(struct mind *mind, const char *rows, struct error *err)
{
	OWNED_BY(table_release) struct table table = {0};
	OWNED_BY(layout_release) struct layout layout = {0};
	OWNED_DUCK_ROWS struct duck_rows columns = {0};
	OWNED_BUFFER struct buffer from = {0};
	int64_t count = 0;

	buffer_init(&from, 65536);
	buffer_printf(&from, "(%s)", rows);
	return table_init(&table, mind->session, "main", mind->table) || table_columns(&table, &columns, err) ||
	       layout_read(&table, &columns, &layout, err) ||
	       publish_rows(&table, &layout, buffer_string(&from), &count, err);
}

static int insert_rows(struct mind *mind, struct error *err)
{
	OWNED_BUFFER struct buffer rows = {0}, sql = {0};

	buffer_init(&rows, 65536);
	for (int i = 0; i < mind->count; i++)
		buffer_printf(&rows,
		              "%sSELECT %d AS lane, \"range\" AS o, '%s' AS who FROM range(%" PRId64 ", %" PRId64 ")",
		              i ? " UNION ALL " : "", mind->lanes[i].partition, mind->name, mind->lanes[i].next_offset,
		              mind->next[i]);
	if (!lake_is_local(mind->lake) && lake_has_many_writers(mind->lake))
		return publish(mind, buffer_string(&rows), err);
	buffer_init(&sql, 65536);
	buffer_printf(&sql, "INSERT INTO lake.main.%s %s", mind->table, buffer_string(&rows));
	return duck_exec(connection(mind), buffer_string(&sql), NULL, err);
}

static int book(struct mind *mind, struct error *err)
{
	struct ledger_row rows[RACE_LANES];

	for (int i = 0; i < mind->count; i++)
		rows[i] = (struct ledger_row){
		        .partition = mind->lanes[i].partition,
		        .topic_id = "",
		        .epoch = mind->lanes[i].epoch,
		        .from_offset = mind->lanes[i].next_offset,
		        .next_offset = mind->next[i],
		        .messages = mind->next[i] - mind->lanes[i].next_offset,
		        .rows = mind->next[i] - mind->lanes[i].next_offset,
		};
	return ledger_append(mind->session, &mind->key, mind->table, rows, mind->count, err);
}

/* lanes_advance for one lane, with guards left out. */
static int advance_badly(struct mind *mind, unsigned bypass, struct error *err)
{
	const struct lake_lane *lane = &mind->lanes[0];
	OWNED_BUFFER struct buffer sql = {0};
	int64_t changed = 0;

	buffer_init(&sql, 65536);
	if (bypass & APPENDED) {
		buffer_printf(&sql, "INSERT INTO lake.main.appended VALUES (%d, %" PRId64 ")", lane->partition,
		              mind->next[0]);
	} else if (bypass & ONE_TABLE) {
		buffer_printf(&sql,
		              "UPDATE lake.main.shared SET next_offset = %" PRId64
		              " WHERE lane = %d AND next_offset = %" PRId64,
		              mind->next[0], lane->partition, lane->next_offset);
	} else {
		buffer_text(&sql, "UPDATE lake.tarn.");
		if (lake_has_many_writers(mind->lake))
			buffer_printf(&sql, "offsets_%s_%d", mind->stream, lane->partition);
		else
			buffer_printf(&sql, "offsets_%s", mind->stream);
		buffer_printf(&sql, " SET next_offset = %" PRId64 " WHERE \"partition\" = %d", mind->next[0],
		              lane->partition);
		if (!(bypass & BLIND))
			buffer_printf(&sql, " AND next_offset = %" PRId64, lane->next_offset);
		if (!(bypass & (BLIND | NO_EPOCH)))
			buffer_printf(&sql, " AND epoch = %" PRId64, lane->epoch);
	}
	if (duck_exec(connection(mind), buffer_string(&sql), &changed, err))
		return -1;
	if (changed != 1 && !(bypass & NO_COUNT))
		return error_set(err, ERROR_CONFLICT, 0, "%" PRId64 " rows changed", changed);
	return 0;
}

/* The lane's one version is in a new table: what this transaction did to the old one is gone from it. */
static int swap_table(struct mind *mind, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	char table[128];

	snprintf(table, sizeof table, "lake.tarn.offsets_%s_%d", mind->stream, mind->lanes[0].partition);
	buffer_init(&sql, 65536);
	buffer_printf(&sql,
	              "CREATE OR REPLACE TABLE %s AS SELECT * REPLACE (%" PRId64 "::BIGINT AS next_offset) FROM %s",
	              table, mind->next[0], table);
	return duck_exec(connection(mind), buffer_string(&sql), NULL, err);
}

static int update(struct mind *mind, unsigned bypass, struct error *err)
{
	for (int i = 0; i < mind->count; i++)
		mind->next[i] = mind->lanes[i].next_offset + ROUND_OFFSETS;
	if (insert_rows(mind, err) || book(mind, err))
		return -1;
	if (bypass & SWAPPED && !strcmp(mind->name, "actor1"))
		return swap_table(mind, err);
	if (bypass & ~(unsigned)(NO_LOCK | NO_FENCE | SWAPPED))
		return advance_badly(mind, bypass, err);
	return lanes_advance(mind->session, &mind->key, mind->lanes, mind->next, mind->count, err);
}

static int commit(struct mind *mind, unsigned bypass, struct error *err)
{
	if (bypass & NO_LOCK) {
		if (duck_exec(connection(mind), "COMMIT", NULL, err))
			return -1;
	} else if (lake_commit(mind->session, "{}", err) != COMMIT_DONE) {
		return -1;
	}
	for (int i = 0; i < mind->count; i++)
		mind->lanes[i].next_offset = mind->next[i];
	return 0;
}

static int query(struct mind *mind, const char *sql, struct race_reply *reply, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (duck_query(connection(mind), sql, &rows, err))
		return -1;
	for (int i = 0; i < rows.column_count && i < 8 && rows.row_count; i++)
		reply->values[reply->value_count++] = duck_cell_int(&rows, 0, i);
	return 0;
}

/* Wall and processor microseconds since *mark, which moves to now, are added to a step's. */
struct mark {
	int64_t wall_us, cpu_us;
};

static void lap(struct mark *mark, struct race_reply *reply, int step)
{
	struct mark now = {clock_monotonic_us(), clock_process_cpu_us()};

	reply->values[step] += now.wall_us - mark->wall_us;
	reply->values[BENCH_STEPS + step] += now.cpu_us - mark->cpu_us;
	*mark = now;
}

static int bench_commit(struct mind *mind, struct race_reply *reply, struct error *err)
{
	struct mark mark = {clock_monotonic_us(), clock_process_cpu_us()};

	for (int i = 0; i < mind->count; i++)
		mind->next[i] = mind->lanes[i].next_offset + ROUND_OFFSETS;
	if (lake_begin(mind->session, err))
		return -1;
	lap(&mark, reply, 0);
	if (lanes_fence(mind->session, &mind->key, mind->lanes, mind->count, err))
		return -1;
	lap(&mark, reply, 1);
	if (insert_rows(mind, err))
		return -1;
	lap(&mark, reply, 2);
	if (book(mind, err))
		return -1;
	lap(&mark, reply, 3);
	if (lanes_advance(mind->session, &mind->key, mind->lanes, mind->next, mind->count, err))
		return -1;
	lap(&mark, reply, 4);
	if (commit(mind, 0, err))
		return -1;
	lap(&mark, reply, 5);
	return 0;
}

/* Commits in a row; values: BEGIN, fence, INSERT, ledger, advance, COMMIT with its message, in microseconds a commit of
 * the clock, and then of the process. */
static int bench(struct mind *mind, int64_t commits, struct race_reply *reply, struct error *err)
{
	for (int64_t n = 0; n < commits; n++)
		if (bench_commit(mind, reply, err))
			return -1;
	for (int i = 0; i < 2 * BENCH_STEPS; i++)
		reply->values[i] /= commits;
	return 0;
}

/* Without the fence also without what lake_begin reads: the snapshot is that of the first read, as DuckLake has it. */
static int begin(struct mind *mind, unsigned bypass, struct error *err)
{
	if (bypass & NO_LOCK)
		return duck_exec(connection(mind), "BEGIN", NULL, err);
	if (lake_begin(mind->session, err))
		return -1;
	if (!(bypass & NO_FENCE))
		return 0;
	return duck_exec(connection(mind), "ROLLBACK", NULL, err) || duck_exec(connection(mind), "BEGIN", NULL, err);
}

static int act(struct mind *mind, const struct race_call *call, struct race_reply *reply)
{
	struct error *err = &reply->error;

	switch (call->op) {
	case OP_WORLD:
		snprintf(mind->stream, sizeof mind->stream, "%.60s", call->text);
		snprintf(mind->table, sizeof mind->table, "rows_%s", mind->stream);
		mind->key = (struct lane_key){.stream = mind->stream, .topic = "topic"};
		return ledger_create(mind->session, err);
	case OP_CLAIM: return claim(mind, call, err);
	case OP_BELIEVE:
		memcpy(mind->lanes, call->lanes, sizeof mind->lanes);
		mind->count = call->count;
		return 0;
	case OP_REREAD: return reread(mind, err);
	case OP_BEGIN: return begin(mind, call->bypass, err);
	case OP_READ: return read_offsets(mind, call->bypass, err);
	case OP_UPDATE: return update(mind, call->bypass, err);
	case OP_COMMIT: return commit(mind, call->bypass, err);
	case OP_ROLLBACK:
		if (call->bypass & NO_LOCK)
			duck_exec(connection(mind), "ROLLBACK", NULL, NULL);
		else
			lake_rollback(mind->session);
		return 0;
	case OP_SQL: return duck_exec(connection(mind), call->text, &reply->values[0], err);
	case OP_QUERY: return query(mind, call->text, reply, err);
	case OP_PRUNE: return lanes_prune(mind->session, &mind->key, mind->lanes, mind->count, call->values[0], err);
	case OP_BENCH: return bench(mind, call->values[0], reply, err);
	}
	return error_set(err, ERROR_FATAL, 0, "no such step");
}

static void *actor_main(void *argument)
{
	struct mind *mind = argument;
	struct race_call call;

	mind->session = lake_session_new(mind->lake, NULL);
	while (mind->session && recv(mind->socket, &call, sizeof call, 0) == (ssize_t)sizeof call) {
		struct race_reply reply = {0};

		reply.failed = act(mind, &call, &reply);
		memcpy(reply.lanes, mind->lanes, sizeof reply.lanes);
		reply.count = mind->count;
		if (send(mind->socket, &reply, sizeof reply, MSG_NOSIGNAL) != (ssize_t)sizeof reply)
			break;
	}
	close(mind->socket);
	lake_session_free(mind->session);
	return NULL;
}

/* In the forked process. The first message is how lake_open went. */
static void host_main(const struct spec_catalog *catalog, const int *sockets, int count, int first)
{
	static struct mind minds[3];
	pthread_t threads[3];
	struct race_reply opened = {0};
	struct lake_options options = {.writer = true, .threads = 2};
	struct lake *lake;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	lake = lake_open(catalog, &options, &opened.error);
	opened.failed = !lake;
	send(sockets[0], &opened, sizeof opened, MSG_NOSIGNAL);
	for (int i = 0; lake && i < count; i++) {
		minds[i] = (struct mind){.socket = sockets[i], .lake = lake};
		snprintf(minds[i].name, sizeof minds[i].name, "actor%d", first + i);
		pthread_create(&threads[i], NULL, actor_main, &minds[i]);
	}
	for (int i = 0; lake && i < count; i++)
		pthread_join(threads[i], NULL);
	lake_close(lake);
	_exit(0);
}

/* Forks a host for actors first..first+count-1, and waits until its lake is open. */
static int host_start(struct crew *crew, const struct spec_catalog *catalog, int first, int count, struct error *err)
{
	struct race_reply opened;
	int mine[3], theirs[3];
	pid_t pid;

	for (int i = 0; i < count; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
			return error_set(err, ERROR_FATAL, errno, "socketpair: %s", strerror(errno));
		mine[i] = pair[0];
		theirs[i] = pair[1];
	}
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return error_set(err, ERROR_FATAL, errno, "fork: %s", strerror(errno));
	if (!pid) {
		/* An end that a sibling keeps open would hide the driver's end from us, or ours from it. */
		for (int i = 0; i < 3; i++)
			if (crew->actors[i].socket > 0)
				close(crew->actors[i].socket);
		for (int i = 0; i < count; i++)
			close(mine[i]);
		host_main(catalog, theirs, count, first);
	}
	crew->hosts[crew->host_count++] = pid;
	for (int i = 0; i < count; i++) {
		close(theirs[i]);
		crew->actors[first + i] = (struct actor){.socket = mine[i], .host = pid};
	}
	if (actor_wait(&crew->actors[first], 60000, &opened) != 1)
		return error_set(err, ERROR_FATAL, 0, "the host of actor %d did not open its lake", first);
	if (opened.failed)
		*err = opened.error;
	return opened.failed ? -1 : 0;
}

int crew_start(struct crew *crew, const struct spec_catalog *catalog, enum crew_shape shape, struct error *err)
{
	int each = shape == ONE_PROCESS ? 3 : 1;

	*crew = (struct crew){0};
	for (int first = 0; first < 3; first += each) {
		char lock[512];

		snprintf(lock, sizeof lock, "%.400s.writer-lock",
		         shape == UNLOCKED_PROCESSES ? catalog->backend.path : "");
		if (shape == UNLOCKED_PROCESSES)
			unlink(lock);
		if (host_start(crew, catalog, first, each, err))
			return -1;
	}
	return 0;
}

int second_writer(const struct spec_catalog *catalog, struct error *err)
{
	struct crew crew = {0};
	int failed = host_start(&crew, catalog, 0, 1, err);

	crew_stop(&crew);
	return failed;
}

void crew_stop(struct crew *crew)
{
	for (int i = 0; i < 3; i++)
		if (crew->actors[i].socket > 0)
			close(crew->actors[i].socket);
	for (int i = 0; i < crew->host_count; i++) {
		kill(crew->hosts[i], SIGCONT);
		for (int wait_ms = 0; waitpid(crew->hosts[i], NULL, WNOHANG) == 0; wait_ms += 10) {
			if (wait_ms == 10000)
				kill(crew->hosts[i], SIGKILL);
			usleep(10000);
		}
	}
	*crew = (struct crew){0};
}

void actor_send(struct actor *actor, const struct race_call *call)
{
	(void)!send(actor->socket, call, sizeof *call, MSG_NOSIGNAL);
}

int actor_wait(struct actor *actor, int timeout_ms, struct race_reply *ret_reply)
{
	struct pollfd poll_fd = {.fd = actor->socket, .events = POLLIN};

	if (poll(&poll_fd, 1, timeout_ms) == 0)
		return 0;
	return recv(actor->socket, ret_reply, sizeof *ret_reply, 0) == (ssize_t)sizeof *ret_reply ? 1 : -1;
}

int actor_call(struct actor *actor, const struct race_call *call, struct race_reply *ret_reply)
{
	actor_send(actor, call);
	if (actor_wait(actor, 60000, ret_reply) == 1)
		return ret_reply->failed;
	ret_reply->failed = error_set(&ret_reply->error, ERROR_FATAL, 0, "an actor gave no answer");
	return -1;
}
