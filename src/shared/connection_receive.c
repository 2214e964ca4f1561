/* Receiving messages. See connection_inside.h. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <trenza/buffer.h>
#include <trenza/loop.h>

#include "core/spin.h"
#include "core/strand.h"
#include "shared/connection_inside.h"

static const struct tz_patient for_ever;

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void close_group(struct tz_incoming *in)
{
	while (in->ngroup > 0)
		(void)close(in->group[--in->ngroup]);
	in->lost = false;
}

/* The stream is over, in the middle of a message or between two. */
static int ended(struct tz_connection *c, ssize_t r)
{
	struct tz_incoming *in = &c->in;

	if (r == 0 || (r == -ECONNRESET &&
		       c->ways & WAY_UNIX)) /* such a socket loses nothing that was sent */
		r = in->headed || in->begin < in->end ? -ECONNRESET : -ENODATA;
	else if (r == -ETIMEDOUT) /* not the scope's */
		r = -ECONNRESET;
	return in->error = (int)r;
}

/* Takes the descriptors that came with a read; n < 0: more than could be had. */
static int take_group(struct tz_incoming *in, int n)
{
	if (n == 0)
		return 0;
	if (in->ngroup > 0 || in->lost)
		return -EPROTO;
	in->lost = n < 0;
	in->ngroup = n < 0 ? 0 : n;
	return 0;
}

static ssize_t read_with_fds(struct tz_connection *c, void *to, size_t size)
{
	struct tz_incoming *in = &c->in;
	int n = in->ngroup > 0 ? 0 : TZ_FDS_MAX, e;
	ssize_t r;

	if (!in->group)
		in->group = malloc(sizeof(int) * TZ_FDS_MAX);
	if (!in->group)
		return -ENOMEM;
	r = tz_fds_receive(c->fd, to, size, in->group, &n, MSG_DONTWAIT);
	if (r < 0)
		return r;
	e = take_group(in, n);
	return e < 0 ? e : r;
}

/* One read. `between`: not the inside of a message alone, so that descriptors may come. */
static ssize_t read_once(struct tz_connection *c, void *to, size_t size, bool between)
{
	ssize_t r;

	if (between && c->ways & WAY_UNIX)
		return read_with_fds(c, to, size);
	do
		r = c->ways & WAY_SOCKET ? recv(c->fd, to, size, MSG_DONTWAIT)
					 : read(c->fd, to, size);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* What is worth to spin for: about what a sleep and a wake-up cost. A peer that sends one message after the other is met before it has to wake this end each
 * time, and finds it with several of them. */
enum { SPIN_US = 20, LUCK_MAX = 8, TRIAL = 32 };

/* Whether what this end waits for has come soon lately; else only a trial now and then. */
static bool is_lucky(struct tz_incoming *in)
{
	return in->luck > 0 || ++in->unlucky % TRIAL == 0;
}

/* As read_once, for a short while if it makes sense. */
static ssize_t read_spinning(struct tz_connection *c, void *to, size_t size, bool between)
{
	struct tz_incoming *in = &c->in;
	struct tz_spin spin;
	ssize_t r;

	if (!is_lucky(in) || !tz_strand_may_spin(tz_strand_self()) || !tz_spin_sit())
		return -EAGAIN;
	spin = tz_spin_begin(SPIN_US * tz_clock_ticks_per_us());
	do
		r = read_once(c, to, size, between);
	while (r == -EAGAIN && tz_spin_turn(&spin, 32));
	tz_spin_leave();
	if (r != -EAGAIN)
		in->luck += in->luck < LUCK_MAX;
	else
		in->luck -= in->luck > 0;
	return r;
}

/* Reads, and waits until there is something: how many bytes, or a negative errno code. */
static ssize_t read_some(struct tz_connection *c, void *to, size_t size, bool between,
			 const struct tz_patient *patient)
{
	for (;;) {
		ssize_t r = read_once(c, to, size, between);

		if (r == -EAGAIN && !patient->never)
			r = read_spinning(c, to, size, between);
		if (r > 0 || r == -ENOMEM)
			return r;
		if (r != -EAGAIN)
			return ended(c, r);
		if (patient->never)
			return r;
		r = tz_wait_fd(c->fd, POLLIN, patient->deadline);
		if (r < 0)
			return r;
	}
}

/* Sees to it that `need` bytes after `begin` have room. */
static void make_room(struct tz_incoming *in, size_t need)
{
	if (in->begin == in->end) {
		in->begin = in->end = 0;
	} else if (READ_AHEAD - in->begin < need) {
		memmove(in->buf, in->buf + in->begin, in->end - in->begin);
		in->end -= in->begin;
		in->begin = 0;
	}
}

/* Reads until there are `need` bytes in the buffer. */
static int fill(struct tz_connection *c, size_t need, const struct tz_patient *patient)
{
	struct tz_incoming *in = &c->in;

	if (!in->buf)
		in->buf = malloc(READ_AHEAD);
	if (!in->buf)
		return -ENOMEM;
	while (in->end - in->begin < need) {
		ssize_t r;

		make_room(in, need);
		r = read_some(c, in->buf + in->end,
			      c->exact ? need - (in->end - in->begin) : READ_AHEAD - in->end, true,
			      patient);
		if (r < 0)
			return (int)r;
		in->end += (size_t)r;
	}
	return 0;
}

/* --- the head ----------------------------------------------------------------------------------------------------- */

static uint64_t get(const unsigned char *from, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v = v << 8 | from[i];
	return v;
}

/* Whether what a head says can be. The descriptors have come with its first byte. */
static bool plausible(const struct tz_incoming *in)
{
	return in->size <= PTRDIFF_MAX && in->nfds <= TZ_FDS_IN_MESSAGE &&
	       (in->nfds == 0 || in->lost || in->nfds == (unsigned)in->ngroup);
}

/* Reads a head that begins with `code`. */
static int read_long_head(struct tz_connection *c, int32_t code, const struct tz_patient *patient)
{
	struct tz_incoming *in = &c->in;
	size_t head = code == FRAME_FDS ? HEAD_FDS : HEAD_LONG;
	const unsigned char *p;
	int e;

	if (code != FRAME_LONG && !(code == FRAME_FDS && c->ways & WAY_UNIX))
		return in->error = -EPROTO;
	e = fill(c, head, patient);
	if (e < 0)
		return e;
	p = in->buf + in->begin;
	in->nfds = code == FRAME_FDS ? (unsigned)get(p + 4, 4) : 0;
	in->size = get(p + head - 8, 8);
	in->begin += head;
	return plausible(in) ? 0 : (in->error = -EPROTO);
}

/* Makes sure that the head of the next message has been read, and that the rest may come. */
static int read_head(struct tz_connection *c, const struct tz_patient *patient)
{
	struct tz_incoming *in = &c->in;
	int e = in->error;
	int32_t code;

	if (e || in->headed)
		return e;
	e = fill(c, HEAD_SHORT, patient);
	if (e < 0)
		return e;
	code = (int32_t)(uint32_t)get(in->buf + in->begin, HEAD_SHORT);
	if (code < 0) {
		e = read_long_head(c, code, patient);
		if (e < 0)
			return e;
	} else {
		in->size = (uint64_t)code;
		in->nfds = 0;
		in->begin += HEAD_SHORT;
	}
	in->headed = true;
	in->have = 0;
	return 0;
}

/* --- the bytes ---------------------------------------------------------------------------------------------------- */

static bool is_large(const struct tz_incoming *in)
{
	return in->size > SMALL_MAX;
}

static bool too_large(const struct tz_connection *c)
{
	size_t max = atomic_load_explicit(&c->max_message, memory_order_relaxed);

	return max != 0 && c->in.size > max;
}

/* Moves what the buffer has of a large message to where it is to go: how much of it is there then. */
static size_t move_begun(struct tz_incoming *in, unsigned char *to, size_t have)
{
	size_t n = in->end - in->begin, need = (size_t)in->size - have;

	n = n < need ? n : need;
	if (n > 0)
		memcpy(to + have, in->buf + in->begin, n);
	in->begin += n;
	return have + n;
}

/* Reads a large message into `to`, from *have on. */
static int read_large(struct tz_connection *c, unsigned char *to, size_t *have,
		      const struct tz_patient *patient)
{
	struct tz_incoming *in = &c->in;

	*have = move_begun(in, to, *have);
	while (*have < in->size) {
		ssize_t r = read_some(c, to + *have, (size_t)in->size - *have, false, patient);

		if (r < 0)
			return (int)r;
		*have += (size_t)r;
	}
	return 0;
}

/* Reads a large message into a buffer of its own. */
static int read_body(struct tz_connection *c, const struct tz_patient *patient)
{
	struct tz_incoming *in = &c->in;

	if (!in->body)
		in->body = tz_buffer_alloc((size_t)in->size);
	return in->body ? read_large(c, in->body, &in->have, patient) : -ENOMEM;
}

int tz_incoming_complete(struct tz_connection *c, const struct tz_patient *patient)
{
	int e = read_head(c, patient);

	if (e < 0)
		return e;
	if (too_large(c))
		return -EMSGSIZE;
	return is_large(&c->in) ? read_body(c, patient) : fill(c, (size_t)c->in.size, patient);
}

/* --- handing out -------------------------------------------------------------------------------------------------- */

/* The message has been handed out; descriptors that are left are not wanted. */
static void message_done(struct tz_incoming *in)
{
	if (in->nfds > 0)
		close_group(in);
	in->headed = false;
	in->body = NULL;
}

/* Hands the descriptors out: how many. */
static int hand_out_fds(struct tz_incoming *in, int *ret_fds)
{
	int n = in->nfds > 0 ? in->ngroup : 0;

	if (n > 0) {
		memcpy(ret_fds, in->group, sizeof(int) * (size_t)n);
		in->ngroup = 0;
	}
	return n;
}

/* Copies a small message, which is in the buffer. */
static void copy_small(struct tz_incoming *in, void *to)
{
	if (in->size > 0)
		memcpy(to, in->buf + in->begin, (size_t)in->size);
	in->begin += (size_t)in->size;
}

/* The whole message as a buffer of the caller's; its descriptors, too, unless ret_fds is NULL. */
static int hand_out(struct tz_incoming *in, tz_bytes *ret, int *ret_fds, int *ret_n)
{
	unsigned char *data = in->body;

	if (!is_large(in) && in->size > 0) {
		data = tz_buffer_alloc((size_t)in->size);
		if (!data)
			return -ENOMEM;
		copy_small(in, data);
	}
	*ret = (tz_bytes){ data, (size_t)in->size };
	if (ret_fds)
		*ret_n = hand_out_fds(in, ret_fds);
	message_done(in);
	return 0;
}

/* A receive into the caller's memory ends early: keeps what it has got. Without memory for that the stream is lost. */
static int keep_begun(struct tz_incoming *in, const unsigned char *from, size_t have, int e)
{
	if (in->error)
		return e;
	in->body = tz_buffer_alloc((size_t)in->size);
	if (!in->body)
		return in->error = -ENOMEM;
	memcpy(in->body, from, have);
	in->have = have;
	return e;
}

/* Reads the message, whose head is there and which fits, into the caller's memory. */
static int read_into(struct tz_connection *c, unsigned char *to, const struct tz_patient *patient)
{
	struct tz_incoming *in = &c->in;
	size_t have = 0;
	int e;

	if (is_large(in) && !in->body) {
		e = read_large(c, to, &have, patient);
		return e < 0 ? keep_begun(in, to, have, e) : 0;
	}
	e = is_large(in) ? read_body(c, patient) : fill(c, (size_t)in->size, patient);
	if (e < 0)
		return e;
	if (is_large(in)) {
		memcpy(to, in->body, (size_t)in->size);
		tz_buffer_free(in->body);
	} else {
		copy_small(in, to);
	}
	return 0;
}

/* Whether the message's descriptors can be handed out. */
static int fds_fit(struct tz_incoming *in, int room)
{
	if (in->nfds == 0)
		return 0;
	if (!in->lost)
		return (int)in->nfds <= room ? 0 : -EMSGSIZE;
	in->lost = false;
	in->nfds = 0;
	return -EMFILE;
}

/* Where a message is to go. */
struct sink {
	void *bytes;
	size_t room;
	int *fds; /* NULL: close them */
	int nfds;
};

static ptrdiff_t receive_into(struct tz_connection *c, const struct sink *to, int *ret_n)
{
	struct tz_incoming *in = &c->in;
	int e = read_head(c, &for_ever);

	if (e == 0 && (too_large(c) || in->size > to->room))
		e = -EMSGSIZE;
	if (e == 0 && to->fds)
		e = fds_fit(in, to->nfds);
	if (e == 0)
		e = read_into(c, to->bytes, &for_ever);
	if (e < 0)
		return e;
	*ret_n = to->fds ? hand_out_fds(in, to->fds) : 0;
	message_done(in);
	return (ptrdiff_t)in->size;
}

/* --- the calls ---------------------------------------------------------------------------------------------------- */

static int begin(struct tz_connection *c, tz_deadline deadline)
{
	return c->ways & WAY_IN ? tz_lock_acquire_until(&c->receiving, deadline) : -EBADF;
}

static void end(struct tz_connection *c)
{
	(void)tz_lock_release(&c->receiving);
}

int tz_connection_receive(struct tz_connection *c, tz_bytes *ret_message, int *ret_fds, int *ret_n)
{
	int e = begin(c, tz_never());
	bool lost;

	if (e < 0)
		return e;
	e = tz_incoming_complete(c, &for_ever);
	lost = e == 0 && ret_fds && c->in.nfds > 0 && c->in.lost;
	if (e == 0)
		e = hand_out(&c->in, ret_message, ret_fds, ret_n);
	end(c);
	if (e < 0 || !lost)
		return e;
	tz_buffer_free((void *)(uintptr_t)ret_message->data);
	return -EMFILE;
}

int tz_recv_bytes(tz_connection *c, tz_bytes *ret_message)
{
	return tz_connection_receive(c, ret_message, NULL, NULL);
}

ptrdiff_t tz_recv_bytes_into(tz_connection *c, void *ret_bytes, size_t room)
{
	const struct sink to = { .bytes = ret_bytes, .room = room };
	int e = begin(c, tz_never()), none;
	ptrdiff_t r;

	if (e < 0)
		return e;
	r = receive_into(c, &to, &none);
	end(c);
	return r;
}

ptrdiff_t tz_recv_fds(tz_connection *c, void *ret_bytes, size_t room, int *ret_fds, int n,
		      int *ret_n)
{
	const struct sink to = { .bytes = ret_bytes, .room = room, .fds = ret_fds, .nfds = n };
	int e = begin(c, tz_never());
	ptrdiff_t r;

	if (e < 0)
		return e;
	r = receive_into(c, &to, ret_n);
	end(c);
	return r;
}

int tz_recv_size(tz_connection *c, size_t *ret_size)
{
	int e = begin(c, tz_never());

	if (e < 0)
		return e;
	e = read_head(c, &for_ever);
	if (e == 0)
		*ret_size = (size_t)c->in.size;
	end(c);
	return e;
}

/* Takes a message that is not wanted. */
static int drop(struct tz_connection *c)
{
	tz_bytes dropped;
	int e = tz_incoming_complete(c, &for_ever);

	if (e == 0)
		e = hand_out(&c->in, &dropped, NULL, NULL);
	if (e == 0)
		tz_buffer_free((void *)(uintptr_t)dropped.data);
	return e;
}

int tz__recv_item(tz_connection *c, void *ret_item, size_t size)
{
	const struct sink to = { .bytes = ret_item, .room = size };
	int e = begin(c, tz_never()), none;
	ptrdiff_t r;

	if (e < 0)
		return e;
	e = read_head(c, &for_ever);
	if (e == 0 && c->in.size != size) {
		e = drop(c);
		e = e < 0 ? e : -EBADMSG;
	} else if (e == 0) {
		r = receive_into(c, &to, &none);
		e = r < 0 ? (int)r : 0;
	}
	end(c);
	return e;
}

int tz_connection_poll(tz_connection *c)
{
	const struct tz_patient at_once = { .never = true };
	int e;

	if (!(c->ways & WAY_IN))
		return -EBADF;
	tz_strand_count_call();
	if (tz_lock_try(&c->receiving) < 0)
		return -EBUSY;
	e = tz_incoming_complete(c, &at_once);
	end(c);
	return e != -EAGAIN;
}

int tz_connection_poll_until(tz_connection *c, tz_deadline deadline)
{
	const struct tz_patient patient = { .deadline = deadline };
	int e = begin(c, deadline);

	if (e < 0)
		return e;
	e = tz_incoming_complete(c, &patient);
	end(c);
	return e == -ETIMEDOUT || e == -ECANCELED ? e : 0;
}

void tz_incoming_done(struct tz_incoming *in)
{
	close_group(in);
	free(in->group);
	free(in->buf);
	tz_buffer_free(in->body);
	memset(in, 0, sizeof *in);
}
