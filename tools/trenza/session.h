/* session.h: sessions, the connections that one transfer at a time uses and the next one finds
   open. */
#ifndef TRENZA_TOOL_SESSION_H
#define TRENZA_TOOL_SESSION_H

#include <stdbool.h>

#include <curl/curl.h>

struct session {
	CURLM *multi;
	CURL *easy;
	bool prepared; /* `easy` has the options that hold for all transfers */
	struct session *next; /* in the list of idle ones */
};

/* Takes an idle session, or opens one. To be returned with session_give. Threads: any. Errors:
   -ENOMEM. */
int session_take(struct session **ret_session);

/* Gives a session back for the next transfer. Threads: any. */
void session_give(struct session *session);

/* Closes all idle sessions, and their connections with them. Threads: any. */
void sessions_close(void);

#endif
