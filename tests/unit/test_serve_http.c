/* http.h over real sockets: framing, bounds, what is refused, producers, and their ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "serve/http.h"
#include "serve/problem.h"

#define BODY_MAX 4096

static struct http_server *server;
static atomic_int closed, done_count, done_whole;
static atomic_llong done_bytes, produced;

struct producing {
	int left; /* blocks; then the end, or a failure */
	bool fails;
	int pause_ms; /* before each block */
};

static int next(void *context, struct buffer *block)
{
	struct producing *producing = context;

	if (!producing->left)
		return producing->fails ? -1 : 0;
	clock_sleep_ms(producing->pause_ms);
	producing->left--;
	for (int i = 0; i < 1024; i++)
		buffer_printf(block, "line %058d\n", i);
	atomic_fetch_add(&produced, (long long)block->size);
	return 1;
}

static void trailers(void *context, struct http_response *response)
{
	http_add(response, "Tarn-Rows", "%d", 1024);
}

static void close_producer(void *context)
{
	free(context);
	atomic_fetch_add(&closed, 1);
}

static void produce(struct http_response *response, int blocks, bool fails, int pause_ms)
{
	struct producing *producing = malloc(sizeof *producing);

	*producing = (struct producing){blocks, fails, pause_ms};
	response->producer = (struct http_producer){producing, next, trailers, close_producer};
	response->compress = true;
	http_add(response, "Content-Type", "text/plain");
}

static bool echo_argument(void *context, const char *name, const char *value)
{
	buffer_printf(context, "[%s=%s]", name, value);
	return true;
}

static void handle(void *context, const struct http_request *request, struct http_response *response)
{
	const char *path = http_path(request);
	size_t size;
	const char *body = http_body(request, &size);
	struct pollfd gone = {.fd = http_client_fd(request), .events = POLLRDHUP};

	if (!strcmp(path, "/stream")) {
		produce(response, 4, false, 0);
	} else if (!strcmp(path, "/endless")) {
		produce(response, 1 << 30, false, 0);
	} else if (!strcmp(path, "/broken")) {
		produce(response, 2, true, 0);
	} else if (!strcmp(path, "/pauses")) {
		produce(response, 2, false, 2500);
	} else if (!strcmp(path, "/wait")) {
		poll(&gone, 1, 5000);
		atomic_fetch_add(&closed, gone.revents ? 100 : 0);
	} else if (!strcmp(path, "/header")) {
		http_add(response, "X-Long", "%0*d", atoi(http_argument(request, "size")), 0);
	} else if (!strcmp(path, "/big")) {
		response->compress = true;
		http_add(response, "ETag", "\"7\"");
		for (int i = 0; i < 1000; i++)
			buffer_printf(&response->body, "line %04d\n", i);
	} else {
		buffer_printf(&response->body, "%s %s %s %s ", http_method(request), path, body,
		              http_header(request, "X-List") ? http_header(request, "X-List") : "-");
		http_arguments(request, echo_argument, &response->body);
	}
}

static bool before_body(void *context, const struct http_request *request, struct http_response *response)
{
	if (http_argument(request, "free")) {
		handle(context, request, response);
		return false;
	}
	if (strcmp(http_path(request), "/closed") != 0)
		return true;
	problem_reply(response, request, PROBLEM_UNAUTHORIZED, "No.");
	return false;
}

static void done(void *context, const struct http_done *one)
{
	atomic_fetch_add(&done_count, 1);
	atomic_fetch_add(&done_whole, one->whole);
	atomic_fetch_add(&done_bytes, one->bytes);
}

/* ---- a client */

static int dial(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_port = htons((uint16_t)atoi(strrchr(http_address(server), ':') + 1));
	if (connect(fd, (struct sockaddr *)&to, sizeof to))
		abort();
	return fd;
}

static bool was_closed, was_reset;

/* What comes until the other closes, or until nothing comes for a while. */
static char *hear(int fd, int silence_ms, bool *ret_closed)
{
	static char text[4 << 20];
	size_t size = 0;

	*ret_closed = was_reset = false;
	for (;;) {
		struct pollfd readable = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (poll(&readable, 1, silence_ms) <= 0)
			break;
		got = recv(fd, text + size, sizeof text - 1 - size, 0);
		if (got <= 0) {
			*ret_closed = true;
			was_reset = got < 0 && errno == ECONNRESET;
			break;
		}
		size += (size_t)got;
	}
	text[size] = 0;
	return text;
}

static char *ask(const char *request, size_t size)
{
	int fd = dial();
	char *text;

	if (send(fd, request, size, MSG_NOSIGNAL) < 0)
		perror("send");
	text = hear(fd, 300, &was_closed);
	close(fd);
	return text;
}

#define ASK(text) ask(text, sizeof(text) - 1)

static int status_of(const char *answer)
{
	return strncmp(answer, "HTTP/1.1 ", 9) ? 0 : atoi(answer + 9);
}

/* ---- tests */

static void keeps_connections(void)
{
	char *answer =
	        ASK("GET /a?x=1&y=a+b%20c HTTP/1.1\r\nHost: h\r\nX-List: a\r\nX-List: b\r\n\r\n"
	            "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
	            "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n");

	CHECK_HAS(answer, "GET /a  a, b [x=1][y=a b c]");
	CHECK_HAS(answer, "POST /b abc -");
	CHECK_HAS(answer, "POST /c def -");
	CHECK(!was_closed);
}

static void refuses_targets(void)
{
	static const char *const targets[] = {
	        "/a%2Fb",  "/a%5cb", "/a%00b",    "/%",   "/%4", "/%zz",  "/a/../b", "/..",        "/%2e%2e/", "/./a",
	        "/?a=%00", "/%ff",   "/\xc3\xa4", "/a#b", "a",   "/a\\b", "/%0a",    "/?a=%c0%80", "http://",  "*a"};

	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		char request[256];

		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", targets[i]);
		int status = status_of(ask(request, strlen(request)));
		if (status != 400)
			CHECK_FAIL("%s is %d", targets[i], status);
	}
	CHECK_HAS(ASK("GET http://h/a%20b?c HTTP/1.1\r\nHost: h\r\n\r\n"), "GET /a b  - [c=]");
	CHECK_HAS(ASK("GET /%C3%A4 HTTP/1.1\r\nHost: h\r\n\r\n"), "GET /\xc3\xa4 ");
}

static void refuses_two_meanings(void)
{
	static const char *const heads[] = {
	        "Host: h\r\nHost: h",
	        "Host: h\r\nContent-Length: 3\r\nContent-Length: 3",
	        "Host: h\r\nContent-Length: 3\r\nContent-Length: 4",
	        "Host: h\r\nContent-Length: 3, 3",
	        "Host: h\r\nContent-Length: +3",
	        "Host: h\r\nContent-Length: -1",
	        "Host: h\r\nContent-Length: 0x3",
	        "Host: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
	        "Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3",
	        "Host: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
	        "Host: h\r\nTransfer-Encoding: gzip, chunked",
	        "Host: h\r\nTransfer-Encoding: xchunked",
	        "Host: h\r\nTransfer-Encoding: identity",
	        "Host: h\r\nTransfer-Encoding : chunked",
	        "Host: h\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b",
	        "Host: h/x",
	        "Host: h@i",
	        "Host: h, i",
	        "Hostile: h",
	        "Host: h\r\nX Y: 1",
	        "Host: h\r\nX\x01: 1",
	        "Host: h\r\nX: a\x01",
	        "Host: h\r\nno colon",
	};

	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		char request[512];
		char *answer;

		snprintf(request, sizeof request,
		         "POST / HTTP/1.1\r\n%s\r\n\r\nabcGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", heads[i]);
		answer = ask(request, strlen(request));
		if (status_of(answer) != 400 || !was_closed || strstr(answer, "smuggled"))
			CHECK_FAIL("%s: %.40s%s", heads[i], answer, was_closed ? "" : " (kept)");
	}
}

static void bounds_what_comes(void)
{
	static char big[300000];
	char *answer;

	memset(big, 'a', sizeof big);
	memcpy(big, "GET /", 5);
	memcpy(big + 20000, " HTTP/1.1\r\nHost: h\r\n\r\n", 23);
	CHECK_INT(status_of(ask(big, 20023)), 414);
	memset(big, 'a', sizeof big);
	memcpy(big, "GET / HTTP/1.1\r\nHost: h\r\nX: ", 28);
	memcpy(big + 40000, "\r\n\r\n", 4);
	CHECK_INT(status_of(ask(big, 40004)), 431);
	CHECK_INT(status_of(ASK("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4097\r\n\r\n")), 413);
	CHECK(was_closed);
	CHECK_INT(status_of(ASK("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n")) / 100,
	          4);
	CHECK_INT(status_of(ASK("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4097\r\n\r\n")),
	          413);
	/* chunks say no length: the one that is too much ends it */
	memset(big, 'a', sizeof big);
	memcpy(big, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n", 63);
	answer = ask(big, 63 + 0x2000);
	CHECK_INT(status_of(answer), 413);
	CHECK_HAS(answer, "\"type\":\"urn:tarn:problem:body_size\"");
	CHECK(was_closed);
	/* a client that sends all of its large body first still reads its refusal */
	memset(big, 'a', sizeof big);
	memcpy(big, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n", 52);
	CHECK_INT(status_of(ask(big, 200052)), 413);
}

/* No byte of it is waited for, and none of them is taken for a request. */
static void takes_no_body_that_is_not_wanted(void)
{
	int count = done_count;

	CHECK_INT(status_of(ASK("POST /closed HTTP/1.1\r\nHost: h\r\nContent-Length: 4096\r\n\r\n")), 401);
	CHECK(was_closed);
	CHECK_INT(status_of(ASK("POST /closed HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")), 401);
	CHECK(was_closed);
	CHECK_INT(status_of(ASK("POST /closed HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
	                        "Content-Length: 4096\r\n\r\n")),
	          401);
	CHECK(was_closed);
	CHECK_HAS(ASK("GET /a?free HTTP/1.1\r\nHost: h\r\nContent-Length: 4096\r\n\r\n"), "GET /a  -");
	CHECK(was_closed);
	CHECK(!strstr(ASK("POST /closed HTTP/1.1\r\nHost: h\r\nContent-Length: 36\r\n\r\n"
	                  "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"),
	              "smuggled"));
	CHECK(was_closed);
	for (int i = 0; i < 100 && done_count < count + 5; i++)
		clock_sleep_ms(10);
	CHECK(done_count >= count + 5);
	/* what has none is the handler's, who answers on */
	CHECK_INT(status_of(ASK("POST /closed HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")), 200);
	CHECK(!was_closed);
}

/* A request whose body is waited for: it has its part of the room. -1: there is none. */
static int hold_room(void)
{
	static const char request[] =
	        "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4096\r\n\r\n";
	char answer[64] = "";
	int fd = dial();

	send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
	recv(fd, answer, sizeof answer - 1, 0);
	if (status_of(answer) == 100)
		return fd;
	close(fd);
	return -1;
}

/* There is room for two of the largest here. */
static void bounds_all_bodies(void)
{
	static const char one[] = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n\r\na";
	static char body[BODY_MAX];
	int first = hold_room(), second = hold_room();
	char *answer = ASK("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");

	CHECK(first >= 0 && second >= 0);
	CHECK_INT(status_of(answer), 503);
	CHECK_HAS(answer, "Retry-After: 1\r\n");
	CHECK_HAS(answer, "\"type\":\"urn:tarn:problem:unavailable\"");
	CHECK(was_closed);
	answer = ASK("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n");
	CHECK_INT(status_of(answer), 503);
	CHECK_HAS(answer, "Retry-After: 1\r\n");
	CHECK(was_closed);
	CHECK_INT(status_of(ASK("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")), 200);
	/* who has its answer, or goes, gives its room back */
	memset(body, 'b', sizeof body);
	send(first, body, sizeof body, MSG_NOSIGNAL);
	CHECK_HAS(hear(first, 100, &was_closed), "POST / bbbb");
	CHECK_INT(status_of(ASK(one)), 200);
	close(first);
	first = hold_room();
	CHECK(first >= 0);
	CHECK_INT(status_of(ASK(one)), 503);
	close(first);
	close(second);
	for (int i = 0; i < 100 && status_of(answer) != 200; i++)
		answer = ASK(one);
	CHECK_INT(status_of(answer), 200);
	first = hold_room();
	CHECK(first >= 0);
	close(first);
}

static void streams_with_trailers(void)
{
	char *answer = ASK("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");

	CHECK_HAS(answer, "Transfer-Encoding: chunked");
	CHECK_HAS(answer, "\r\n0\r\nTarn-Rows: 1024\r\n\r\n");
	CHECK(!was_closed);
	answer = ASK("HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
	CHECK(!strstr(answer, "line"));
	answer = ASK("GET /stream HTTP/1.0\r\n\r\n");
	CHECK(!strstr(answer, "chunked"));
	CHECK_HAS(answer, "line");
	CHECK(was_closed);
}

/* idle_s is 1 here: what a client's silence is cut for is nobody's business while the producer works. */
static void waits_for_producers(void)
{
	static const char request[] = "GET /pauses HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	int whole = done_whole, fd = dial();
	char *answer;

	send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
	answer = hear(fd, 5000, &was_closed);
	close(fd);
	CHECK(was_closed);
	CHECK_HAS(answer, "\r\n0\r\nTarn-Rows: 1024\r\n\r\n");
	for (int i = 0; i < 100 && done_whole == whole; i++)
		clock_sleep_ms(10);
	CHECK_INT(done_whole, whole + 1);
}

/* A client that says nothing, before a request or behind one, is not kept. */
static void closes_silent_connections(void)
{
	static const char request[] = "GET /pauses HTTP/1.1\r\nHost: h\r\n\r\n";
	int64_t began = clock_monotonic_ms();
	int fd = dial();

	hear(fd, 4000, &was_closed);
	close(fd);
	CHECK(was_closed && clock_monotonic_ms() < began + 3500);
	fd = dial();
	send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
	began = clock_monotonic_ms();
	hear(fd, 4000, &was_closed);
	close(fd);
	CHECK(was_closed && clock_monotonic_ms() < began + 5000 + 3500);
}

static void cuts_what_is_broken(void)
{
	char *answer = ASK("GET /broken HTTP/1.1\r\nHost: h\r\n\r\n");
	size_t size = strlen(answer);

	CHECK(was_closed);
	CHECK_TEXT(answer + size - 6, "ffff\r\n");
	answer = ASK("GET /broken HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n");
	size = strlen(answer);
	CHECK(was_closed);
	/* a trailer, and not the empty line that would end the message */
	CHECK_TEXT(answer + size - 20, "0\r\nTarn-Rows: 1024\r\n");
	CHECK(!was_reset);
	/* without a framing its end would be that of the whole */
	ASK("GET /broken HTTP/1.0\r\n\r\n");
	CHECK(was_reset);
	ASK("GET /stream HTTP/1.0\r\n\r\n");
	CHECK(was_closed && !was_reset);
}

static void encodes(void)
{
	char *answer = ASK("GET /big HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip;q=0.5, zstd;q=0.4\r\n\r\n");

	CHECK(strstr(answer, "Content-Encoding: gzip"));
	CHECK(strstr(answer, "Vary: Accept-Encoding"));
	CHECK(strstr(answer, "ETag: W/\"7\""));
	answer = ASK("GET /stream HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip, zstd\r\n\r\n");
	CHECK(strstr(answer, "Content-Encoding: zstd"));
	answer = ASK("GET /big HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br\r\n\r\n");
	CHECK(!strstr(answer, "Content-Encoding"));
	CHECK_INT(status_of(ASK("GET /big HTTP/1.1\r\nHost: h\r\nAccept-Encoding: identity;q=0, br\r\n\r\n")), 406);
}

/* Whole, or not at all. */
static void cuts_no_header(void)
{
	char *answer = ASK("GET /header?size=20000 HTTP/1.1\r\nHost: h\r\n\r\n"), *value = strstr(answer, "X-Long: ");

	CHECK_INT(status_of(answer), 200);
	CHECK(value && strspn(value + strlen("X-Long: "), "0") == 20000);
	CHECK_TEXT(ASK("GET /header?size=40000 HTTP/1.1\r\nHost: h\r\n\r\n"), "");
	CHECK(was_closed);
}

static void notices_who_goes(void)
{
	int before = closed, fd = dial();
	static const char request[] = "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n";
	static const char endless[] = "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n";
	long long stands;

	send(fd, request, sizeof request - 1, 0);
	clock_sleep_ms(50);
	close(fd);
	for (int i = 0; i < 100 && closed == before; i++)
		clock_sleep_ms(10);
	CHECK_INT(closed, before + 100);
	/* who does not read holds the producer back */
	before = closed;
	fd = dial();
	send(fd, endless, sizeof endless - 1, 0);
	/* The sockets between them fill, and then it stands. */
	stands = -1;
	for (int i = 0; i < 50 && (stands != produced || !produced); i++) {
		stands = produced;
		clock_sleep_ms(200);
	}
	CHECK_INT(produced, stands);
	close(fd);
	for (int i = 0; i < 200 && closed == before; i++)
		clock_sleep_ms(10);
	CHECK_INT(closed, before + 1);
}

/* idle_s is 1 here: a request whose bytes trickle is cut, whatever each of them says to a time-out of silence. */
static void cuts_slow_clients(void)
{
	int fd = dial();
	int64_t began = clock_monotonic_ms();
	char *answer;

	send(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n", 50, MSG_NOSIGNAL);
	while (clock_monotonic_ms() < began + 3000 && send(fd, "a", 1, MSG_NOSIGNAL) == 1) {
		struct pollfd readable = {.fd = fd, .events = POLLIN};

		if (poll(&readable, 1, 100) == 1)
			break;
	}
	answer = hear(fd, 300, &was_closed);
	close(fd);
	CHECK(clock_monotonic_ms() < began + 2500);
	CHECK_INT(status_of(answer), 408);
	CHECK(was_closed);
	fd = dial();
	began = clock_monotonic_ms();
	while (clock_monotonic_ms() < began + 5000 && send(fd, "G", 1, MSG_NOSIGNAL) == 1)
		clock_sleep_ms(100);
	close(fd);
	CHECK(clock_monotonic_ms() < began + 4000);
}

static void methods_in_full(void)
{
	CHECK_HAS(ASK("BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n"), "BREW /pot");
	CHECK_INT(status_of(ASK("GET / HTTP/2.0\r\nHost: h\r\n\r\n")), 505);
	CHECK_INT(status_of(ASK("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")), 400);
	CHECK(status_of(ASK("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")) < 500);
	CHECK(status_of(ASK("\x16\x03\x01\x02")) < 500);
}

static void counts_what_is_done(void)
{
	int count = done_count, whole = done_whole;

	ASK("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
	ASK("GET /broken HTTP/1.1\r\nHost: h\r\n\r\n");
	for (int i = 0; i < 100 && done_count < count + 2; i++)
		clock_sleep_ms(10);
	CHECK_INT(done_count, count + 2);
	CHECK_INT(done_whole, whole + 1);
}

static void stops_in_time(void)
{
	static const char request[] = "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n";
	int before = closed, fd = dial();
	int64_t began = clock_monotonic_ms();

	send(fd, request, sizeof request - 1, 0);
	clock_sleep_ms(100);
	http_stop(server, 300);
	CHECK(clock_monotonic_ms() - began < 3000);
	CHECK_INT(closed, before + 1);
	close(fd);
}

int main(int argc, char **argv)
{
	struct http_options options = {.address = "0",
	                               .connections = 16,
	                               .body_bytes = BODY_MAX,
	                               .bodies_bytes = 2 * BODY_MAX,
	                               .idle_s = 1,
	                               .handle = handle,
	                               .before_body = before_body,
	                               .done = done};
	struct error err = {0};

	server = http_start(&options, &err);
	if (!server) {
		printf("not ok start: %s\n", err.message);
		return 1;
	}
	return CHECK_MAIN(argc, argv, TEST(keeps_connections), TEST(refuses_targets), TEST(refuses_two_meanings),
	                  TEST(bounds_what_comes), TEST(takes_no_body_that_is_not_wanted), TEST(bounds_all_bodies),
	                  TEST(streams_with_trailers), TEST(waits_for_producers), TEST(closes_silent_connections),
	                  TEST(cuts_what_is_broken), TEST(encodes), TEST(cuts_no_header), TEST(notices_who_goes),
	                  TEST(cuts_slow_clients), TEST(methods_in_full), TEST(counts_what_is_done),
	                  TEST(stops_in_time));
}
