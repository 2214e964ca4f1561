/* Values as messages: MessagePack in frames, and with it the handles that a value holds. See connection_inside.h. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza/buffer.h>
#include <trenza/connection.h>

#include "shared/connection_inside.h"
#include "shared/giver.h"
#include "wire/value.h"

_Static_assert((int)TZ_HANDLES_IN_MESSAGE == (int)TZ_GIVER_MAX &&
		       (int)TZ_GIVER_MAX <= (int)TZ_FDS_IN_MESSAGE,
	       "a giver's go in one message");

/* --- sending ------------------------------------------------------------------------------------------------------ */

static int send_with_handles(tz_connection *c, void *bytes, size_t size, const struct tz_giver *g)
{
	size_t all = size + g->n * sizeof(struct tz_ref);
	unsigned char *message = realloc(bytes, all);
	struct tz_ref refs[TZ_GIVER_MAX];
	int fds[TZ_GIVER_MAX], e;

	if (!message) {
		free(bytes);
		return -ENOMEM;
	}
	tz_refs_note(g, refs);
	memcpy(message + size, refs, all - size);
	for (unsigned i = 0; i < g->n; i++)
		fds[i] = g->refs[i]->fd;
	e = tz_send_fds(c, message, all, fds, (int)g->n);
	free(message);
	return e;
}

int tz_send_value(tz_connection *c, tz_value value)
{
	struct tz_giver giver;
	void *bytes;
	size_t size;
	int e;

	tz_giver_init(&giver, TZ_GIVER_MAX, false);
	e = tz_value_pack_with(&value, &bytes, &size, &giver.carrier);
	tz_value_free(value);
	if (e == 0 && giver.n > 0) {
		e = send_with_handles(c, bytes, size, &giver);
	} else if (e == 0) {
		e = tz_send_bytes(c, bytes, size);
		free(bytes);
	}
	tz_giver_done(&giver);
	return e;
}

/* --- receiving ---------------------------------------------------------------------------------------------------- */

/* What came with a message. */
struct handles {
	int fds[TZ_FDS_IN_MESSAGE]; /* that nobody has yet */
	int nfds;
	struct tz_segment *segments[TZ_GIVER_MAX];
	unsigned n;
};

/* Makes segments of the descriptors; *size becomes that of the value alone. */
static int adopt(const struct tz_connection *c, struct handles *h, const unsigned char *bytes,
		 size_t *size)
{
	size_t tail = (size_t)h->nfds * sizeof(struct tz_ref);
	struct tz_ref ref;
	int e = 0;

	if (h->nfds == 0)
		return 0;
	if (!(c->ways & WAY_HANDLES) || h->nfds > TZ_GIVER_MAX || *size < tail)
		return -EBADMSG;
	*size -= tail;
	for (int i = 0; i < h->nfds && e == 0; i++) {
		memcpy(&ref, bytes + *size + (size_t)i * sizeof ref, sizeof ref);
		if (ref.kind != TZ_SEGMENT_SHARED && ref.kind != TZ_SEGMENT_FD)
			return -EBADMSG;
		e = tz_segment_adopt((enum tz_segment_kind)ref.kind, h->fds[i], (size_t)ref.size,
				     true, &h->segments[i]);
		h->fds[i] = -1;
		h->n += e == 0;
	}
	return e;
}

static int unpack(const struct tz_connection *c, tz_bytes message, struct handles *h,
		  tz_value *ret_value)
{
	struct tz_taker taker;
	int e = adopt(c, h, message.data, &message.size);

	if (e < 0)
		return e;
	tz_taker_init(&taker, h->segments, h->n, TZ_TAKE_RESULT);
	return tz_value_unpack_with(message.data, message.size, NULL, ret_value, &taker.carrier);
}

/* What is in the value by now has references of its own. */
static void let_go(struct handles *h)
{
	for (unsigned i = 0; i < h->n; i++)
		tz_segment_unref(h->segments[i]);
	for (int i = 0; i < h->nfds; i++)
		if (h->fds[i] >= 0)
			(void)close(h->fds[i]);
}

int tz_recv(tz_connection *c, tz_value *ret_value)
{
	struct handles h;
	tz_bytes message;
	int e;

	h.n = 0;
	h.nfds = 0;
	e = tz_connection_receive(c, &message, h.fds, &h.nfds);
	if (e < 0)
		return e;
	e = unpack(c, message, &h, ret_value);
	let_go(&h);
	tz_buffer_free((void *)(uintptr_t)message.data);
	return e < 0 && e != -ENOMEM ? -EBADMSG : e;
}
