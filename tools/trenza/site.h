/* site.h: a small web site on this machine, which serves the invented pages. */
#ifndef TRENZA_TOOL_SITE_H
#define TRENZA_TOOL_SITE_H

#include <sys/types.h>

#include "urls.h"

struct site {
	pid_t process;
	int leash; /* while it is open, the site runs */
	int port;
};

/*
 * Starts the site in a process of its own, on a free port of the loopback address. It answers each
 * request `delay` seconds after it came, any number of them at once. To be called before there are
 * threads.
 * Errors: -errno.
 */
int site_open(struct site *ret_site, double delay);

/* Adds the addresses of all its pages. Errors: -ENOMEM. */
int site_urls(const struct site *site, struct urls *urls);

/* Ends the site and waits for its process. All-zero is legal. */
void site_close(struct site *site);

#endif
