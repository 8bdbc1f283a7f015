/*
 * load.c - requests over HTTP/1.1 at a rate, or as fast as they are answered: bench/serve.py builds and runs it.
 *
 *     load HOST PORT CONNECTIONS SECONDS RATE FILE
 *
 * FILE has whole requests with a NUL behind each; they are sent in an order drawn from a fixed seed. RATE 0: a closed
 * loop, each connection sends when it has its answer. Else an open loop: so many a second, whatever the answers do; a
 * request that finds every connection busy waits, and its time counts from when it was due. Prints a line of JSON;
 * times are in ms.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX 4000000
#define HEAD_MAX 16384

struct connection {
	int fd;
	bool busy, chunked, in_body;
	const char *out;
	size_t out_left;
	int64_t since_ns;
	char head[HEAD_MAX + 1];
	size_t head_size;
	int64_t body_left;
	enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILERS } part; /* of a chunked body */
	int64_t chunk; /* its size, and what is left of it */
	int line; /* bytes of the line so far, without its end */
};

static const char **requests;
static int request_count;
static uint32_t *samples;
static int64_t sample_count, errors, bytes, refused;
static uint64_t random_state = 88172645463325252u;

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static const char *draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return requests[random_state % (uint64_t)request_count];
}

static void read_requests(const char *path)
{
	FILE *file = fopen(path, "r");
	struct stat info;
	char *text;
	size_t size;

	if (!file || fstat(fileno(file), &info))
		die(path);
	size = (size_t)info.st_size;
	text = calloc(size + 1, 1);
	requests = calloc(size + 1, sizeof *requests);
	if (!text || !requests || fread(text, 1, size, file) != size)
		die(path);
	fclose(file);
	for (char *at = text; at < text + size; at += strlen(at) + 1)
		requests[request_count++] = at;
}

static void open_connection(struct connection *c, const struct sockaddr_in *address, int epoll)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
	int one = 1;

	*c = (struct connection){.fd = socket(AF_INET, SOCK_STREAM, 0)};
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)address, sizeof *address))
		die("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event))
		die("epoll_ctl");
}

/* Requests are small: one that does not go out at once is an error. */
static bool send_one(struct connection *c, int64_t since_ns)
{
	const char *request = draw();
	size_t size = strlen(request);

	c->busy = true;
	c->since_ns = since_ns;
	c->head_size = 0;
	c->in_body = false;
	return send(c->fd, request, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static void take_head(struct connection *c, size_t end)
{
	const char *length;

	c->head[end] = 0;
	c->chunked = strcasestr(c->head, "\r\nTransfer-Encoding: chunked") != NULL;
	length = strcasestr(c->head, "\r\nContent-Length:");
	c->body_left = length ? strtoll(length + 17, NULL, 10) : 0;
	refused += strncmp(c->head, "HTTP/1.1 2", 10) != 0 && strncmp(c->head, "HTTP/1.1 304", 12) != 0;
	c->in_body = true;
	c->part = CHUNK_SIZE;
	c->chunk = c->line = 0;
}

static int digit_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The end of a line of the framing. True: of the body, too. */
static bool end_line(struct connection *c)
{
	bool last = c->part == TRAILERS && !c->line;

	c->part = c->part == CHUNK_SIZE  ? (c->chunk ? CHUNK_DATA : TRAILERS)
	          : c->part == CHUNK_END ? CHUNK_SIZE
	                                 : TRAILERS;
	c->line = 0;
	return last;
}

static bool take_chunks(struct connection *c, const char *text, size_t size)
{
	for (const char *end = text + size; text < end; text++) {
		if (c->part == CHUNK_DATA) {
			int64_t part = end - text < c->chunk ? end - text : c->chunk;

			c->chunk -= part;
			text += part - 1;
			if (!c->chunk)
				c->part = CHUNK_END;
		} else if (*text == '\n') {
			if (end_line(c))
				return true;
		} else if (*text != '\r') {
			c->line++;
			if (c->part == CHUNK_SIZE && digit_of(*text) >= 0)
				c->chunk = c->chunk * 16 + digit_of(*text);
		}
	}
	return false;
}

/* True: the answer is whole. */
static bool take_body(struct connection *c, const char *text, size_t size)
{
	bytes += (int64_t)size;
	if (c->chunked)
		return take_chunks(c, text, size);
	c->body_left -= (int64_t)size;
	return c->body_left <= 0;
}

/* 1: the answer is whole; 0: there is more to come; -1: the connection broke. */
static int receive(struct connection *c)
{
	static char block[1 << 18];
	ssize_t got = recv(c->fd, block, sizeof block, 0);
	char *end;
	size_t head;

	if (got <= 0)
		return got < 0 && errno == EAGAIN ? 0 : -1;
	if (c->in_body)
		return take_body(c, block, (size_t)got);
	if (c->head_size + (size_t)got > HEAD_MAX && c->head_size)
		return -1;
	head = (size_t)got < HEAD_MAX - c->head_size ? (size_t)got : HEAD_MAX - c->head_size;
	memcpy(c->head + c->head_size, block, head);
	c->head[c->head_size + head] = 0;
	end = strstr(c->head, "\r\n\r\n");
	if (!end) {
		c->head_size += head;
		return 0;
	}
	head = (size_t)(end - c->head) + 4 - c->head_size; /* of this block */
	take_head(c, c->head_size + head);
	return take_body(c, block + head, (size_t)got - head);
}

static void note(int64_t since_ns)
{
	int64_t us = (now_ns() - since_ns) / 1000;

	if (sample_count < SAMPLES_MAX)
		samples[sample_count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile(double share)
{
	return sample_count ? samples[(int64_t)(share * (double)(sample_count - 1))] / 1000.0 : 0;
}

static void report(double seconds)
{
	qsort(samples, (size_t)sample_count, sizeof *samples, compare);
	printf("{\"requests\": %lld, \"seconds\": %.3f, \"rate\": %.1f, \"errors\": %lld, \"refused\": %lld, "
	       "\"bytes\": %lld, "
	       "\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"max\": %.3f}\n",
	       (long long)sample_count, seconds, (double)sample_count / seconds, (long long)errors, (long long)refused,
	       (long long)bytes, percentile(0.5), percentile(0.9), percentile(0.99), percentile(1));
}

/* ---- the loop */

struct load {
	struct connection *connections;
	int count, epoll, timer;
	struct sockaddr_in address;
	double rate;
	int64_t start_ns, end_ns, due; /* due: requests that were due so far */
	int64_t sent;
};

static int64_t due_ns(const struct load *l, int64_t index)
{
	return l->start_ns + (int64_t)((double)index * 1e9 / l->rate);
}

static void broke(struct load *l, struct connection *c)
{
	errors++;
	close(c->fd);
	open_connection(c, &l->address, l->epoll);
}

/* What is due goes to connections that are free. */
static void send_due(struct load *l)
{
	int64_t now = now_ns();

	for (int i = 0; i < l->count; i++) {
		struct connection *c = &l->connections[i];

		if (c->busy || now >= l->end_ns)
			continue;
		if (l->rate > 0 && due_ns(l, l->sent) > now)
			return;
		if (!send_one(c, l->rate > 0 ? due_ns(l, l->sent) : now_ns()))
			broke(l, c);
		l->sent++;
	}
}

static void set_timer(struct load *l)
{
	int64_t at = l->rate > 0 && due_ns(l, l->sent) < l->end_ns ? due_ns(l, l->sent) : l->end_ns;
	struct itimerspec when = {.it_value = {at / 1000000000L, at % 1000000000L}};

	timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static bool all_idle(const struct load *l)
{
	for (int i = 0; i < l->count; i++)
		if (l->connections[i].busy)
			return false;
	return true;
}

static void run(struct load *l, double seconds)
{
	struct epoll_event events[256], tick = {.events = EPOLLIN};
	uint64_t ticks;

	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &tick);
	l->start_ns = now_ns();
	l->end_ns = l->start_ns + (int64_t)(seconds * 1e9);
	while (now_ns() < l->end_ns || (!all_idle(l) && now_ns() < l->end_ns + 10000000000L)) {
		int count;

		send_due(l);
		set_timer(l);
		count = epoll_wait(l->epoll, events, 256, 1000);
		for (int i = 0; i < count; i++) {
			struct connection *c = events[i].data.ptr;
			int got;

			if (!c) {
				(void)!read(l->timer, &ticks, sizeof ticks);
				continue;
			}
			got = receive(c);
			if (got > 0) {
				note(c->since_ns);
				c->busy = false;
			} else if (got < 0) {
				broke(l, c);
			}
		}
	}
	report((double)(now_ns() - l->start_ns) / 1e9);
}

int main(int argc, char **argv)
{
	struct load l = {.epoll = epoll_create1(0)};

	if (argc != 7) {
		fprintf(stderr, "usage: load HOST PORT CONNECTIONS SECONDS RATE FILE\n");
		return 2;
	}
	l.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
	inet_pton(AF_INET, argv[1], &l.address.sin_addr);
	l.count = atoi(argv[3]);
	l.rate = atof(argv[5]);
	samples = malloc(SAMPLES_MAX * sizeof *samples);
	l.connections = calloc((size_t)l.count, sizeof *l.connections);
	if (!samples || !l.connections)
		die("memory");
	read_requests(argv[6]);
	for (int i = 0; i < l.count; i++)
		open_connection(&l.connections[i], &l.address, l.epoll);
	run(&l, atof(argv[4]));
	return errors > sample_count / 100;
}
