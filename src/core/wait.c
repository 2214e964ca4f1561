/* Waiting for a descriptor and for a shared word, on whatever strand. */
#include <errno.h>
#include <poll.h>

#include <trenza/loop.h>

#include "core/strand.h"

/* 0, unless the scope lets no wait begin any more. */
static int begin(struct tz_strand *self)
{
	int r = tz_strand_interrupted(self);

	if (r < 0)
		return tz_strand_refuse(self, r);
	self->refused = 0;
	return 0;
}

/* A wait has answered `r`: how it ends, or -EINTR if it is to go on. As in tz_strand_park, what the scope has ended is written down there. */
static int judge(struct tz_strand *self, tz_deadline deadline, int r)
{
	if (r != -EINTR && r != -ETIMEDOUT)
		return r;
	int why = tz_strand_interrupted(self);

	if (why < 0)
		return tz_strand_refuse(self, why);
	return r == -ETIMEDOUT && tz_expired(deadline) ? r : -EINTR;
}

int tz_wait_fd(int fd, int events, tz_deadline deadline)
{
	struct tz_strand *self = tz_strand_self();
	short revents = 0;
	int r;

	if (fd < 0)
		return -EBADF; /* poll(2) would wait for ever */
	r = begin(self);
	if (r < 0)
		return r;
	do {
		tz_strand_block_begin(self);
		tz_strand_waits(self, tz_waits_for_descriptor, (const void *)(intptr_t)fd);
		r = self->ops->wait_fd(self, fd, (short)events, tz_strand_deadline(self, deadline), &revents);
		tz_strand_block_end(self);
		r = judge(self, deadline, r);
	} while (r == -EINTR);
	if (r < 0)
		return r;
	return revents & POLLNVAL ? -EBADF : revents;
}

int tz_wait_word(const uint32_t *word, uint32_t expected, tz_deadline deadline)
{
	struct tz_strand *self = tz_strand_self();
	int r;

	tz_strand_count_call();
	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != expected)
		return -EAGAIN;
	r = begin(self);
	if (r < 0)
		return r;
	do {
		tz_strand_block_begin(self);
		tz_strand_waits(self, "word", word);
		r = self->ops->wait_word(self, (const _Atomic uint32_t *)(const void *)word, expected,
					 tz_strand_deadline(self, deadline));
		tz_strand_block_end(self);
		r = judge(self, deadline, r);
	} while (r == -EINTR);
	return r == -EAGAIN ? 0 : r; /* it has changed meanwhile */
}

int tz_yield(void)
{
	struct tz_strand *self = tz_strand_self();

	self->ops->yield(self);
	return tz_strand_interrupted(self);
}
