/* The semaphore for several processes.
 *
 * Design notes. Kept are the permits there are, and what each process holds of them (holders.h); how many are left is the difference. So each operation is one store, of a
 * process's amount or of the total, and a process that is killed before it has done nothing, and after it has done all but wake somebody, who looks at
 * the end of a slice (nap.h). To take back what the dead hold is to write 0 for the amount of each.
 *
 * A release of more than the process holds adds to the total first; killed after that, it leaves its amount, which comes back as well, as it was meant to.
 */
#include <trenza/shared_semaphore.h>

#include <errno.h>

#include "core/strand.h"
#include "shared/holders.h"
#include "shared/lock.h"

enum { PLAIN, BOUNDED, SIGNAL };

static struct tz_holders holders_of(const tz_shared_semaphore *s)
{
	tz_shared_semaphore *m = (tz_shared_semaphore *)(uintptr_t)s;

	return (struct tz_holders){ m->tz__holders, &m->tz__used };
}

static uint32_t amount_of(const tz__shared_holder *h)
{
	return h ? tz_word_get(&h->tz__amount) : 0;
}

static int left(const tz_shared_semaphore *s)
{
	struct tz_holders hs = holders_of(s);
	int64_t n = tz_word_get(&s->tz__total);

	for (unsigned i = 0, used = tz_holders_count(hs); i < used; i++)
		n -= amount_of(&hs.table[i]);
	return n > 0 ? (int)n : 0; /* without the lock it is what it was at no moment */
}

static int init(tz_shared_semaphore *s, int permits, uint32_t kind)
{
	if (permits < 0 || permits > TZ_SEMAPHORE_MAX)
		return -EINVAL;
	*s = (tz_shared_semaphore){ .tz__kind = kind, .tz__total = (uint32_t)permits };
	return 0;
}

int tz_shared_semaphore_init(tz_shared_semaphore *s, int permits)
{
	return init(s, permits, PLAIN);
}

int tz_shared_semaphore_init_bounded(tz_shared_semaphore *s, int permits)
{
	return init(s, permits, BOUNDED);
}

int tz_shared_semaphore_init_signal(tz_shared_semaphore *s, int permits)
{
	return init(s, permits, SIGNAL);
}

/* --- acquire ---------------------------------------------------------------------------------------------------------------------- */

static void bury(tz_shared_semaphore *s, const struct tz_dead *dead)
{
	struct tz_holders hs = holders_of(s);
	uint32_t freed = 0;

	for (unsigned i = 0, used = dead->count ? tz_holders_count(hs) : 0; i < used; i++) {
		tz__shared_holder *h = &hs.table[i];

		if (amount_of(h) && tz_dead_has(dead, tz_word_get(&h->tz__owner))) {
			freed += amount_of(h);
			tz_word_set(&h->tz__amount, 0);
		}
	}
	tz_gate_open(&s->tz__gate, freed < TZ_NAP_ALL ? (int)freed : TZ_NAP_ALL);
}

/* Under the lock: 0, -EBUSY, -EUSERS. */
static int take(tz_shared_semaphore *s)
{
	tz__shared_holder *h;

	if (left(s) == 0)
		return -EBUSY;
	if (s->tz__kind == SIGNAL) {
		tz_word_set(&s->tz__total, tz_word_get(&s->tz__total) - 1);
		return 0;
	}
	h = tz_holders_own(holders_of(s));
	if (!h)
		return -EUSERS;
	tz_word_set(&h->tz__amount, amount_of(h) + 1);
	return 0;
}

/* Buries the dead and takes a permit; where there is none, *ret_gate is what to sleep on, unless it is NULL. */
static int attempt(tz_shared_semaphore *s, const struct tz_dead *dead, uint32_t *ret_gate)
{
	int r;

	tz_monitor_enter(&s->tz__lock);
	bury(s, dead);
	r = take(s);
	if (r == -EBUSY && ret_gate)
		*ret_gate = tz_gate_close(&s->tz__gate);
	tz_monitor_leave(&s->tz__lock);
	return r;
}

/* As attempt. Looks who has ended: before it, if so told, or else if it has failed and nobody is going to sleep. */
static int attempt_and_look(tz_shared_semaphore *s, bool look, uint32_t *ret_gate)
{
	struct tz_dead dead = { .count = 0 };
	int r = 0;

	if (!look) {
		r = attempt(s, &dead, ret_gate);
		if (r == 0 || (r == -EBUSY && ret_gate))
			return r;
	}
	tz_dead_find(&dead, holders_of(s));
	return look || dead.count ? attempt(s, &dead, ret_gate) : r;
}

int tz_shared_semaphore_try(tz_shared_semaphore *s)
{
	return attempt_and_look(s, false, NULL);
}

int tz_shared_semaphore_acquire_until(tz_shared_semaphore *s, tz_deadline deadline)
{
	uint32_t gate;
	int n = 0, r;

	tz_strand_count_call();
	r = attempt_and_look(s, false, &gate);
	if (r != -EBUSY)
		return r;
	struct tz_nap nap = tz_nap_begin("semaphore", s, deadline);

	while (r == -EBUSY && n >= 0) {
		n = tz_nap_take(&nap, &s->tz__gate, gate);
		r = attempt_and_look(s, n != 0, &gate);
	}
	return r == -EBUSY ? n : r;
}

int tz_shared_semaphore_acquire(tz_shared_semaphore *s)
{
	return tz_shared_semaphore_acquire_until(s, tz_never());
}

/* --- release ----------------------------------------------------------------------------------------------------------------------- */

/* Under the lock. */
static int give(tz_shared_semaphore *s, uint32_t n)
{
	tz__shared_holder *h = s->tz__kind == SIGNAL ? NULL : tz_holders_find(holders_of(s));
	uint32_t held = amount_of(h), own = held < n ? held : n, total = tz_word_get(&s->tz__total);

	if (s->tz__kind == BOUNDED && held < n)
		return -EPERM;
	if (n - own > TZ_SEMAPHORE_MAX - total)
		return -EOVERFLOW;
	if (n > own)
		tz_word_set(&s->tz__total, total + (n - own));
	if (own)
		tz_word_set(&h->tz__amount, held - own);
	tz_gate_open(&s->tz__gate, (int)n);
	return 0;
}

int tz_shared_semaphore_release_n(tz_shared_semaphore *s, int n)
{
	int r;

	if (n < 0)
		return -EINVAL;
	tz_monitor_enter(&s->tz__lock);
	r = give(s, (uint32_t)n);
	tz_monitor_leave(&s->tz__lock);
	return r;
}

int tz_shared_semaphore_release(tz_shared_semaphore *s)
{
	return tz_shared_semaphore_release_n(s, 1);
}

int tz_shared_semaphore_permits(const tz_shared_semaphore *s)
{
	return left(s);
}
