/*
 * session.c: sessions, the connections that one transfer at a time uses and the next one finds
 * open.
 *
 * Design notes. A session belongs to a transfer and not to a thread, so the task that uses it need
 * not know what it runs on. There are never more of them than transfers at one time.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>

#include <trenza/lock.h>

static tz_lock idle_lock; /* guards `idle` */
static struct session *idle;

static void close_session(struct session *session)
{
	if (session->easy != NULL)
		curl_easy_cleanup(session->easy);
	if (session->multi != NULL)
		curl_multi_cleanup(session->multi);
	free(session);
}

static int open_session(struct session **ret_session)
{
	struct session *session = calloc(1, sizeof *session);

	if (session == NULL)
		return -ENOMEM;
	session->multi = curl_multi_init();
	session->easy = curl_easy_init();
	if (session->multi == NULL || session->easy == NULL) {
		close_session(session);
		return -ENOMEM;
	}
	*ret_session = session;
	return 0;
}

int session_take(struct session **ret_session)
{
	struct session *session;

	tz_with_lock(&idle_lock) {
		session = idle;
		if (session != NULL)
			idle = session->next;
	}
	if (session == NULL)
		return open_session(ret_session);
	*ret_session = session;
	return 0;
}

void session_give(struct session *session)
{
	tz_with_lock(&idle_lock) {
		session->next = idle;
		idle = session;
	}
}

void sessions_close(void)
{
	struct session *list, *next;

	tz_with_lock(&idle_lock) {
		list = idle;
		idle = NULL;
	}
	for (; list != NULL; list = next) {
		next = list->next;
		close_session(list);
	}
}
