/* Addresses. See address.h. */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <trenza.h>

/* --- unix --------------------------------------------------------------------------------------------------------- */

static int unix_address(const char *text, struct address *ret)
{
	size_t n = strlen(text), room = sizeof ret->at.un.sun_path;

	if (n < 2 || n > (text[0] == '@' ? room : room - 1))
		return -EINVAL;
	memset(ret, 0, sizeof *ret);
	ret->at.un.sun_family = AF_UNIX;
	memcpy(ret->at.un.sun_path, text, n);
	ret->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (text[0] == '@')
		ret->at.un.sun_path[0] = 0;
	else
		ret->size++;
	return 1;
}

static void unix_text(const struct address *a, char *ret)
{
	size_t head = offsetof(struct sockaddr_un, sun_path),
	       n = a->size > head ? a->size - head : 0;

	memcpy(ret, a->at.un.sun_path, n);
	ret[n] = 0;
	if (n > 0 && ret[0] == 0)
		ret[0] = '@';
}

/* --- tcp ---------------------------------------------------------------------------------------------------------- */

/* One question about a name. Who asks may leave before there is an answer, so both share it. */
struct question {
	_Atomic int users;
	char host[256], port[8];
	struct address found[ADDRESSES_MAX];
	int answer; /* how many, or a negative errno code */
};

static void leave(struct question *q)
{
	if (atomic_fetch_sub(&q->users, 1) == 1)
		free(q);
}

static int answer_of(int failure)
{
	switch (failure) {
	case EAI_SYSTEM:
		return errno ? -errno : -EHOSTUNREACH;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_SERVICE:
		return -EINVAL;
	default:
		return -EHOSTUNREACH;
	}
}

static int look_up(struct question *q, int flags)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags },
			*list = NULL;
	int n = 0, failure = getaddrinfo(q->host, q->port, &hints, &list);

	if (failure != 0)
		return answer_of(failure);
	for (struct addrinfo *a = list; a && n < ADDRESSES_MAX; a = a->ai_next) {
		if (a->ai_addrlen > sizeof q->found[n].at)
			continue;
		memcpy(&q->found[n].at, a->ai_addr, a->ai_addrlen);
		q->found[n++].size = a->ai_addrlen;
	}
	freeaddrinfo(list);
	return n > 0 ? n : -EHOSTUNREACH;
}

static void ask_name(struct question *q)
{
	q->answer = look_up(q, 0);
	leave(q);
}
TZ_TASK(void, ask_name, struct question *);

/* A name, on a lane: that may take seconds. */
static int look_up_name(struct question *q)
{
	ask_name_future f;
	int r;

	atomic_fetch_add(&q->users, 1);
	f = tz_submit(tz_lane(TZ_LANE_DNS), ask_name, q);
	r = tz_result(f, NULL);
	if (r == 0)
		return q->answer;
	if (r == -EREMOTEIO) /* it never ran */
		leave(q);
	else
		tz_detach(f);
	return r == -EREMOTEIO ? -ENOMEM : r;
}

/* Splits HOST:PORT or [HOST]:PORT. */
static int split(const char *text, struct question *q)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t n = colon ? (size_t)(colon - text) : 0,
	       port = colon ? strspn(colon + 1, "0123456789") : 0;

	if (!colon || port == 0 || port >= sizeof q->port || colon[1 + port] ||
	    strtol(colon + 1, NULL, 10) > 65535)
		return -EINVAL;
	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	} else if (memchr(host, ':', n)) {
		return -EINVAL;
	}
	if (n == 0 || n >= sizeof q->host)
		return -EINVAL;
	memcpy(q->host, host, n);
	memcpy(q->port, colon + 1, port);
	return 0;
}

static int tcp_address(const char *text, struct address *ret)
{
	struct question *q = calloc(1, sizeof *q);
	int r;

	if (!q)
		return -ENOMEM;
	atomic_init(&q->users, 1);
	r = split(text, q);
	if (r == 0) {
		r = look_up(q, AI_NUMERICHOST);
		if (r == -EHOSTUNREACH)
			r = look_up_name(q);
	}
	if (r > 0)
		memcpy(ret, q->found, (size_t)r * sizeof *ret);
	leave(q);
	return r;
}

static void tcp_text(const struct address *a, char *ret)
{
	bool six = a->at.any.sa_family == AF_INET6;
	const void *host =
		six ? (const void *)&a->at.in6.sin6_addr : (const void *)&a->at.in.sin_addr;
	unsigned port = ntohs(six ? a->at.in6.sin6_port : a->at.in.sin_port);
	char name[INET6_ADDRSTRLEN];

	if (!inet_ntop(a->at.any.sa_family, host, name, sizeof name))
		name[0] = 0;
	(void)snprintf(ret, ADDRESS_TEXT_MAX, six ? "[%s]:%u" : "%s:%u", name, port);
}

/* ------------------------------------------------------------------------------------------------------------------ */

int address_resolve(const char *text, struct address *ret)
{
	bool is_unix = text[0] == '/' || text[0] == '@' || (text[0] == '.' && text[1] == '/');

	return is_unix ? unix_address(text, ret) : tcp_address(text, ret);
}

void address_text(const struct address *a, char *ret)
{
	if (a->at.any.sa_family == AF_UNIX)
		unix_text(a, ret);
	else
		tcp_text(a, ret);
}
