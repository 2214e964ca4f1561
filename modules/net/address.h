/* Addresses: from text to what the system takes, and back. */
#ifndef TZ_NET_ADDRESS_H
#define TZ_NET_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

enum { ADDRESS_TEXT_MAX = 160, ADDRESSES_MAX = 8 };

struct address {
	socklen_t size;
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} at;
};

/* What a text means, in the order in which to try: how many, at most ADDRESSES_MAX, or -EINVAL, -EHOSTUNREACH for a host that is not known, -ENOMEM, or as the scope ends the
 * wait for the name. */
int address_resolve(const char *text, struct address *ret);

/* The text of an address, of at most ADDRESS_TEXT_MAX bytes. */
void address_text(const struct address *a, char *ret);

#endif
