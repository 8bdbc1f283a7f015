/* serve/fetch.h: a request to somebody's server ends, whatever the server does; against a server of a few lines. */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/fetch.h"

/* Answers one connection with `says`, then holds it open until the client closes it, or closes it itself. */
static struct {
	int listener, port;
	pthread_t thread;
	const char *says;
	bool hold;
	char got[4096]; /* the request */
} server;

static void *serve(void *unused)
{
	int fd = accept(server.listener, NULL, NULL);
	ssize_t size = recv(fd, server.got, sizeof server.got - 1, 0);
	char rest[256];

	server.got[size > 0 ? size : 0] = 0;
	if (send(fd, server.says, strlen(server.says), MSG_NOSIGNAL) > 0 && server.hold)
		while (recv(fd, rest, sizeof rest, 0) > 0)
			;
	close(fd);
	return NULL;
}

static void begin(const char *says, bool hold)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;

	server.listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(server.listener, (struct sockaddr *)&address, size) || listen(server.listener, 1) ||
	    getsockname(server.listener, (struct sockaddr *)&address, &size))
		CHECK_FAIL("no server");
	server.port = ntohs(address.sin_port);
	server.says = says;
	server.hold = hold;
	pthread_create(&server.thread, NULL, serve, NULL);
}

static struct fetch_answer answer;
static struct error err;

static enum fetch_outcome get(size_t max_bytes, int64_t total_ms, bool (*cancelled)(void *), const char *key)
{
	struct fetch_header header = {"x-api-key", key};
	struct fetch_request request = {.method = "POST",
	                                .headers = &header,
	                                .header_count = 1,
	                                .body = "{}",
	                                .body_size = 2,
	                                .connect_ms = total_ms,
	                                .total_ms = total_ms,
	                                .max_bytes = max_bytes,
	                                .cancelled = cancelled};
	enum fetch_outcome outcome;
	char url[64];

	snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/x", server.port);
	request.url = url;
	fetch_answer_release(&answer);
	answer = (struct fetch_answer){0};
	err = (struct error){0};
	outcome = fetch(&request, &answer, &err);
	if (outcome != FETCH_ANSWERED && !*err.message)
		CHECK_FAIL("nothing is told");
	if (strstr(err.message, key))
		CHECK_FAIL("the key is told: %s", err.message);
	return outcome;
}

static void end(void)
{
	pthread_join(server.thread, NULL);
	close(server.listener);
}

static void an_answer_is_taken_whole(void)
{
	begin("HTTP/1.1 429 Too Many\r\nContent-Type: Application/JSON; charset=utf-8\r\nRetry-After: "
	      "7\r\nContent-Length: 5\r\n\r\nhello",
	      false);
	CHECK_INT(get(5, 5000, NULL, "k-1"), FETCH_ANSWERED);
	end();
	CHECK_INT(answer.status, 429);
	CHECK_TEXT(answer.content_type, "application/json");
	CHECK_TEXT(buffer_string(&answer.body), "hello");
	CHECK_INT(answer.retry_after_s, 7);
	CHECK_HAS(server.got, "POST /v1/x HTTP/1.1\r\n");
	CHECK_HAS(server.got, "x-api-key: k-1\r\n");
	CHECK_HAS(server.got, "\r\n\r\n{}");
	CHECK(!strcasestr(server.got, "expect") && !strcasestr(server.got, "accept-encoding"));
}

static void a_redirect_is_an_answer(void)
{
	begin("HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", false);
	CHECK_INT(get(100, 5000, NULL, "k-1"), FETCH_ANSWERED);
	end();
	CHECK_INT(answer.status, 307);
	CHECK_INT(answer.retry_after_s, -1);
}

static void bytes_are_bounded(void)
{
	begin("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n123456", false);
	CHECK_INT(get(5, 5000, NULL, "k-1"), FETCH_TOO_LARGE);
	end();
	/* Without a length, without an end. */
	begin("HTTP/1.1 200 OK\r\n\r\n123456", true);
	CHECK_INT(get(5, 5000, NULL, "k-1"), FETCH_TOO_LARGE);
	end();
}

static void an_end_midway_is_none(void)
{
	begin("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n123", false);
	CHECK_INT(get(100, 5000, NULL, "k-1"), FETCH_CUT);
	end();
	begin("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n123\r\n", false);
	CHECK_INT(get(100, 5000, NULL, "k-1"), FETCH_CUT);
	end();
	begin("SSH-2.0-OpenSSH_9.2\r\n", false);
	CHECK_INT(get(100, 5000, NULL, "k-1"), FETCH_CUT);
	end();
}

static void time_is_bounded(void)
{
	int64_t began_ms = clock_monotonic_ms();

	begin("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n123", true);
	CHECK_INT(get(100, 300, NULL, "k-1"), FETCH_LATE);
	CHECK(clock_monotonic_ms() - began_ms >= 290 && clock_monotonic_ms() - began_ms < 2000);
	end();
}

static bool never_wanted(void *unused)
{
	return true;
}

static void what_nobody_waits_for_ends(void)
{
	int64_t began_ms = clock_monotonic_ms();

	begin("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n123", true);
	CHECK_INT(get(100, 10000, never_wanted, "k-1"), FETCH_CANCELLED);
	CHECK(clock_monotonic_ms() - began_ms < 1000);
	shutdown(server.listener, SHUT_RDWR);
	end();
}

static void nobody_there_is_told_at_once(void)
{
	begin("", false);
	shutdown(server.listener, SHUT_RDWR);
	end();
	CHECK_INT(get(100, 5000, NULL, "k-1"), FETCH_UNREACHABLE);
}

static void a_key_with_a_line_end_is_no_header(void)
{
	CHECK_INT(get(100, 5000, NULL, "k-1\r\nx-more: yes"), FETCH_FAILED);
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "x-api-key");
}

static void only_http_is_spoken(void)
{
	struct fetch_request request = {
	        .url = "file:///etc/passwd", .method = "GET", .connect_ms = 100, .total_ms = 100, .max_bytes = 100};

	CHECK_INT(fetch(&request, &answer, &err), FETCH_FAILED);
	request.url = "http://[";
	CHECK_INT(fetch(&request, &answer, &err), FETCH_FAILED);
}

int main(int argc, char **argv)
{
	int status;

	/* The machine's proxy is not asked for this machine. */
	setenv("no_proxy", "127.0.0.1", 1);
	status = CHECK_MAIN(argc, argv, TEST(an_answer_is_taken_whole), TEST(a_redirect_is_an_answer),
	                    TEST(bytes_are_bounded), TEST(an_end_midway_is_none), TEST(time_is_bounded),
	                    TEST(what_nobody_waits_for_ends), TEST(nobody_there_is_told_at_once),
	                    TEST(a_key_with_a_line_end_is_no_header), TEST(only_http_is_spoken));
	fetch_answer_release(&answer);
	return status;
}
