/* Naps. See nap.h. */
#include "shared/nap.h"

#include <errno.h>
#include <stddef.h>

#include "core/spin.h"
#include "core/strand.h"
#include "os/futex.h"

static const uint64_t FIRST_NS = 1000000, LAST_NS = 100000000;
enum { SPIN_US = 2, PAUSES = 16 };

static const _Atomic uint32_t *atomic_of(const uint32_t *word)
{
	return (const _Atomic uint32_t *)(const void *)word;
}

struct tz_nap tz_nap_begin(const char *what, const void *on, tz_deadline deadline)
{
	return (struct tz_nap){
		.self = tz_strand_self(),
		.what = what,
		.on = on,
		.deadline = deadline,
		.slice = FIRST_NS,
	};
}

struct tz_nap tz_nap_begin_deaf(const char *what, const void *on)
{
	struct tz_nap nap = tz_nap_begin(what, on, tz_never());

	nap.deaf = true;
	return nap;
}

/* Why the whole wait ends now, or 0. */
static int end_of(struct tz_nap *nap)
{
	int r = tz_strand_interrupted(nap->self); /* also by who is deaf: it passes requests on */

	if (nap->deaf)
		return 0;
	if (r < 0)
		return tz_strand_refuse(nap->self, r);
	return nap->deadline.ns && tz_expired(nap->deadline) ? -ETIMEDOUT : 0;
}

static int wait_until(struct tz_nap *nap, const uint32_t *word, uint32_t expected, tz_deadline end)
{
	struct tz_strand *self = nap->self;
	int r;

	tz_strand_block_begin(self);
	tz_strand_waits(self, nap->what, nap->on);
	r = self->ops->wait_word(self, atomic_of(word), expected, end);
	if (r != 0 && r != -EAGAIN && r != -EINTR && r != -ETIMEDOUT) {
		/* Nobody can watch the word for it: no memory, no thread. */
		(void)self->ops->park(self, end);
		r = -ETIMEDOUT;
	}
	self->waits_for = NULL;
	tz_strand_block_end(self);
	return r;
}

int tz_nap_take(struct tz_nap *nap, const uint32_t *word, uint32_t expected)
{
	struct tz_strand *self = nap->self;
	tz_deadline end;
	int r = end_of(nap);

	if (r < 0)
		return r;
	self->refused = 0;
	if (!nap->until)
		nap->until = self->ops->now(self) + nap->slice;
	end = (tz_deadline){ nap->until };
	if (!nap->deaf)
		end = tz_deadline_min(end, tz_strand_deadline(self, nap->deadline));
	if (wait_until(nap, word, expected, end) == -ETIMEDOUT) {
		r = end_of(nap);
		if (r < 0)
			return r;
	}
	if (self->ops->now(self) < nap->until)
		return 0;
	nap->until = 0;
	nap->slice = nap->slice * 2 < LAST_NS ? nap->slice * 2 : LAST_NS;
	return TZ_NAP_OVER;
}

void tz_nap_spin(const struct tz_nap *nap, const uint32_t *word, uint32_t expected)
{
	if (!tz_strand_may_spin(nap->self) || !tz_spin_sit())
		return;
	struct tz_spin spin = tz_spin_begin((uint64_t)tz_clock_ticks_per_us() * SPIN_US);

	while (__atomic_load_n(word, __ATOMIC_RELAXED) == expected && tz_spin_turn(&spin, PAUSES))
		;
	tz_spin_leave();
}

int tz_nap_wake(const uint32_t *word, int n)
{
	return tz_futex_wake_shared(atomic_of(word), n);
}
