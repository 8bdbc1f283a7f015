/* http_listen.c - a listening socket for an address as a person writes it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/http_private.h"

#define BACKLOG 256

/* Splits HOST:PORT; host "" means 127.0.0.1. */
static int split(const char *address, char *host, size_t size, const char **ret_port, struct error *err)
{
	const char *colon = strrchr(address, ':');
	size_t length = colon ? (size_t)(colon - address) : 0;
	char *end;
	long port;

	*ret_port = colon ? colon + 1 : address;
	port = strtol(*ret_port, &end, 10);
	if (!**ret_port || *end || port < 0 || port > 65535 || length >= size)
		return error_set(err, ERROR_INVALID, 0, "--listen %s: wanted PORT, HOST:PORT or [IPV6]:PORT", address);
	if (length >= 2 && address[0] == '[' && address[length - 1] == ']') {
		address++;
		length -= 2;
	}
	snprintf(host, size, "%.*s", (int)length, address);
	if (!*host)
		snprintf(host, size, "127.0.0.1");
	return 0;
}

static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
	return address->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

int http_bind(const char *address, bool loopback, struct error *err)
{
	char host[96];
	const char *port;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
	int fd, status, on = 1;

	if (split(address, host, sizeof host, &port, err))
		return -1;
	status = getaddrinfo(host, port, &hints, &found);
	if (status)
		return error_set(err, ERROR_INVALID, status, "--listen %s: %s", address, gai_strerror(status));
	if (loopback && !is_loopback(found->ai_addr)) {
		freeaddrinfo(found);
		return error_set(err, ERROR_INVALID, 0,
		                 "--listen %s: without tokens only 127.0.0.1 and [::1] are listened on", address);
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, BACKLOG)) {
		error_set(err, ERROR_INVALID, errno, "--listen %s: %s", address, strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

void http_name_address(int fd, char *address, size_t size)
{
	struct sockaddr_storage bound;
	socklen_t length = sizeof bound;
	char host[64], port[16];

	*address = 0;
	if (getsockname(fd, (struct sockaddr *)&bound, &length) ||
	    getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, port, sizeof port,
	                NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	snprintf(address, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}
