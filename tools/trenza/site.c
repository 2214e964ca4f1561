/*
 * site.c: a small web site on this machine, which serves the invented pages.
 *
 * Design notes. It is a process of its own so that the times of the program that is shown are its
 * own. One thread serves all requests: each is suspended when it comes and taken up again when it
 * is due, and since all wait equally long, the queue of those who wait is in order by itself. The
 * process ends when the other end of its leash, a pipe, is closed, which the system sees to however
 * the program dies.
 */
#include "site.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "pages.h"

/* What a handler answers was an int once. */
#if MHD_VERSION < 0x00097002
typedef int mhd_result;
#else
typedef enum MHD_Result mhd_result;
#endif

/* A request: it comes, waits, and is answered. */
struct visit {
	struct MHD_Connection *connection;
	int64_t due; /* in milliseconds; 0 until it has begun to wait */
	bool waits; /* is in the queue */
	struct visit *next;
};

struct server {
	struct MHD_Daemon *daemon;
	int64_t delay;
	struct visit *first, **last; /* those who wait, the next one to be due in front */
	struct MHD_Response *pages[PAGES];
};

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static mhd_result answer(struct server *server, struct MHD_Connection *connection, const char *path)
{
	struct MHD_Response *none;
	mhd_result result;

	for (int i = 0; i < PAGES; i++)
		if (strcmp(pages_known(i)->path, path) == 0)
			return MHD_queue_response(connection, MHD_HTTP_OK, server->pages[i]);
	none = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (none == NULL)
		return MHD_NO;
	result = MHD_queue_response(connection, MHD_HTTP_NOT_FOUND, none);
	MHD_destroy_response(none);
	return result;
}

static void wait_in_queue(struct server *server, struct visit *visit)
{
	visit->due = now() + server->delay;
	visit->waits = true;
	visit->next = NULL;
	*server->last = visit;
	server->last = &visit->next;
	MHD_suspend_connection(visit->connection);
}

static void take_up(struct server *server)
{
	while (server->first != NULL && server->first->due <= now()) {
		struct visit *visit = server->first;

		server->first = visit->next;
		if (server->first == NULL)
			server->last = &server->first;
		visit->waits = false;
		MHD_resume_connection(visit->connection);
	}
}

/* Is called when a request's headers have come, again for its content, and again when it is
   taken up. */
static mhd_result on_request(void *arg, struct MHD_Connection *connection, const char *path,
			     const char *method, const char *version, const char *content,
			     size_t *content_size, void **state)
{
	struct server *server = arg;
	struct visit *visit = *state;

	(void)version;
	(void)content;
	if (visit == NULL) {
		visit = calloc(1, sizeof *visit);
		if (visit == NULL || (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)) {
			free(visit);
			return MHD_NO;
		}
		visit->connection = connection;
		*state = visit;
		return MHD_YES;
	}
	if (*content_size > 0) {
		*content_size = 0;
		return MHD_YES;
	}
	if (visit->due == 0 && server->delay > 0) {
		wait_in_queue(server, visit);
		return MHD_YES;
	}
	return answer(server, connection, path);
}

/* A connection that waits is suspended and cannot end, so what ends here is in no queue. */
static void on_end(void *arg, struct MHD_Connection *connection, void **state,
		   enum MHD_RequestTerminationCode code)
{
	(void)arg;
	(void)connection;
	(void)code;
	free(*state);
	*state = NULL;
}

static int make_pages(struct server *server)
{
	for (int i = 0; i < PAGES; i++) {
		size_t bytes;
		char *text = pages_make(i, &bytes);

		if (text == NULL)
			return -ENOMEM;
		server->pages[i] =
			MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE);
		if (server->pages[i] == NULL)
			return -ENOMEM;
		MHD_add_response_header(server->pages[i], MHD_HTTP_HEADER_CONTENT_TYPE,
					"text/html; charset=utf-8");
	}
	return 0;
}

static int start_daemon(struct server *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->daemon =
		MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
				 on_request, server, MHD_OPTION_SOCK_ADDR, &address,
				 MHD_OPTION_CONNECTION_LIMIT, 4000u, MHD_OPTION_LISTEN_BACKLOG_SIZE,
				 1000u, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_END);
	return server->daemon != NULL ? 0 : errno != 0 ? -errno : -EIO;
}

/* How many milliseconds may pass before something is due; -1 if nothing is. */
static int patience(struct server *server)
{
	MHD_UNSIGNED_LONG_LONG limit;
	int64_t wait = server->first != NULL ? server->first->due - now() : -1;

	if (server->first != NULL && wait < 0)
		wait = 0;
	if (MHD_get_timeout(server->daemon, &limit) == MHD_YES &&
	    (wait < 0 || (int64_t)limit < wait))
		wait = (int64_t)limit;
	return wait > 60000 ? 60000 : (int)wait;
}

static void serve(struct server *server, int leash)
{
	const union MHD_DaemonInfo *epoll =
		MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd wait[] = { { .fd = leash, .events = POLLIN },
				 { .fd = epoll->epoll_fd, .events = POLLIN } };

	while (poll(wait, 2, patience(server)) >= 0 || errno == EINTR) {
		if (wait[0].revents != 0)
			return;
		take_up(server);
		MHD_run(server->daemon);
	}
}

/* The life of the site's process: it tells its port, or a negative error, and serves. */
static _Noreturn void live(double delay, int tell, int leash)
{
	struct server server = { .delay = (int64_t)(delay * 1000) };
	int r;

	server.last = &server.first;
	/* Ctrl-C is for the program, which then lets go of the leash. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	r = make_pages(&server);
	if (r == 0)
		r = start_daemon(&server);
	if (r == 0)
		r = MHD_get_daemon_info(server.daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
	if (write(tell, &r, sizeof r) == (ssize_t)sizeof r && r > 0) {
		close(tell);
		serve(&server, leash);
	}
	_exit(0);
}

/* Reads the port that the new process tells. */
static int hear(int from)
{
	int port;
	ssize_t got;

	do
		got = read(from, &port, sizeof port);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof port ? port : -EIO;
}

static int start_process(struct site *site, double delay, int leash[2], int told[2])
{
	site->process = fork();
	if (site->process < 0)
		return -errno;
	if (site->process == 0) {
		close(leash[1]);
		close(told[0]);
		live(delay, told[1], leash[0]);
	}
	close(told[1]);
	told[1] = -1;
	site->port = hear(told[0]);
	if (site->port > 0)
		return 0;
	site_close(&(struct site){ .process = site->process, .leash = leash[1] });
	leash[1] = -1;
	return site->port;
}

int site_open(struct site *ret_site, double delay)
{
	struct site site = { 0 };
	int leash[2], told[2], r;

	if (pipe2(leash, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(told, O_CLOEXEC) < 0) {
		r = -errno;
		close(leash[0]);
		close(leash[1]);
		return r;
	}
	r = start_process(&site, delay, leash, told);
	close(leash[0]);
	close(told[0]);
	if (told[1] >= 0)
		close(told[1]);
	site.leash = leash[1];
	if (r < 0 && leash[1] >= 0)
		close(leash[1]);
	if (r == 0)
		*ret_site = site;
	return r;
}

int site_urls(const struct site *site, struct urls *urls)
{
	int r = 0;

	for (int i = 0; i < PAGES && r == 0; i++) {
		char url[128];
		int len = snprintf(url, sizeof url, "http://127.0.0.1:%d%s", site->port,
				   pages_known(i)->path);

		r = urls_add(urls, url, (size_t)len);
	}
	return r;
}

void site_close(struct site *site)
{
	if (site->process <= 0)
		return;
	close(site->leash);
	while (waitpid(site->process, NULL, 0) < 0 && errno == EINTR)
		;
	*site = (struct site){ 0 };
}
