/* The condition for several processes.
 *
 * Design notes. The table says of each process how many strands of it wait without having been notified, and how many notifications it has that none of them has
 * taken yet; both in one word, so to notify is one store. The strands of a process sleep on a gate of their own: a wake-up goes to the process that it is for.
 *
 * A strand may take a notification if its process has one and the gate was opened after the strand began to wait. The gate is opened before the notification is
 * written: killed in between, a notifier has notified nobody, and has woken somebody for nothing.
 *
 * It takes it when it has the user's lock again. So who is killed before that has not taken it, and who is killed after that leaves the user's lock to somebody who is told;
 * and those that wait look whether the lock was left so, since there may be nobody else to find it.
 *
 * Who finds that a process has ended (nap.h) hands the notifications that it had not taken to others, before it clears them: killed in between, it has them handed out
 * twice, which wakes one too many, and never one too few.
 *
 * The order of locks: the user's, then the condition's. Nobody waits for the user's with the condition's held.
 */
#include <trenza/shared_condition.h>

#include <errno.h>

#include "core/strand.h"
#include "shared/holders.h"
#include "shared/lock.h"

/* Of an amount. */
enum { WAITING = 1, NOTIFIED = 0x10000, MOST = 0xffff };

static struct tz_holders holders_of(tz_shared_condition *c)
{
	return (struct tz_holders){ c->tz__holders, &c->tz__used };
}

static uint32_t amount_of(const tz__shared_holder *h)
{
	return tz_word_get(&h->tz__amount);
}

static void add(tz__shared_holder *h, int32_t n)
{
	tz_word_set(&h->tz__amount, amount_of(h) + (uint32_t)n);
}

static uint32_t *gate_of(tz_shared_condition *c, const tz__shared_holder *h)
{
	return &c->tz__gates[h - c->tz__holders];
}

/* --- notify, under the lock ----------------------------------------------------------------------------------------------------------- */

static size_t notify_one(tz_shared_condition *c, tz__shared_holder *h, size_t n)
{
	uint32_t a = amount_of(h), *gate = gate_of(c, h);
	uint32_t k = a % NOTIFIED < n ? a % NOTIFIED : (uint32_t)n;

	if (k == 0)
		return 0;
	tz_word_set(gate, tz_word_get(gate) + 1);
	tz_word_set(&h->tz__amount, a + k * (uint32_t)(NOTIFIED - WAITING));
	(void)tz_nap_wake(gate, (int)k);
	return k;
}

/* Each begins where the last one has ended, so that processes take turns. */
static void notify(tz_shared_condition *c, size_t n)
{
	unsigned used = tz_holders_count(holders_of(c)), at = c->tz__next;

	for (unsigned i = 0; i < used && n > 0; i++, at++)
		n -= notify_one(c, &c->tz__holders[at % used], n);
	c->tz__next = used ? at % used : 0;
}

static void bury(tz_shared_condition *c, const struct tz_dead *dead)
{
	unsigned used = dead->count ? tz_holders_count(holders_of(c)) : 0;

	for (unsigned i = 0; i < used; i++) {
		tz__shared_holder *h = &c->tz__holders[i];

		if (tz_dead_has(dead, tz_word_get(&h->tz__owner)))
			tz_word_set(&h->tz__amount, amount_of(h) - amount_of(h) % NOTIFIED);
	}
	for (unsigned i = 0; i < used; i++) {
		tz__shared_holder *h = &c->tz__holders[i];

		if (tz_dead_has(dead, tz_word_get(&h->tz__owner)) && amount_of(h)) {
			notify(c, amount_of(h) / NOTIFIED);
			tz_word_set(&h->tz__amount, 0);
		}
	}
}

/* --- wait ----------------------------------------------------------------------------------------------------------------------------- */

/* A strand that waits. */
struct waiter {
	tz__shared_holder *entry;
	uint32_t since; /* the gate when it began */
	uint32_t gate; /* to sleep on */
};

static int line_up(tz_shared_condition *c, struct waiter *me, const struct tz_dead *dead)
{
	tz__shared_holder *h;
	int r = -EUSERS;

	tz_monitor_enter(&c->tz__lock);
	bury(c, dead);
	h = tz_holders_own(holders_of(c));
	if (h && amount_of(h) % NOTIFIED + amount_of(h) / NOTIFIED < MOST) {
		add(h, WAITING);
		me->entry = h;
		me->since = me->gate = tz_word_get(gate_of(c, h));
		r = 0;
	}
	tz_monitor_leave(&c->tz__lock);
	return r;
}

static bool may_be_notified(tz_shared_condition *c, const struct waiter *me)
{
	return tz_word_get(gate_of(c, me->entry)) != me->since && amount_of(me->entry) >= NOTIFIED;
}

/* Waits without the user's lock, until it may have been notified: 0; or until it has to give up; or until it has the lock, because who had it has ended: -EOWNERDEAD. */
static int sleep_until(tz_shared_condition *c, struct waiter *me, struct tz_nap *nap,
		       tz_shared_lock *lock)
{
	int n = 0;

	while (!may_be_notified(c, me)) {
		struct tz_dead dead = { .count = 0 };

		n = tz_nap_take(nap, gate_of(c, me->entry), me->gate);
		me->gate = tz_word_get(gate_of(c, me->entry));
		if (n < 0)
			return n;
		if (n != TZ_NAP_OVER)
			continue;
		if (tz_shared_lock_inherit(lock))
			return -EOWNERDEAD;
		tz_dead_find(&dead, holders_of(c));
		if (dead.count == 0)
			continue;
		tz_monitor_enter(&c->tz__lock);
		bury(c, &dead);
		tz_monitor_leave(&c->tz__lock);
	}
	return 0;
}

/* With the user's lock: it takes its notification, 0; or gives up because of `why`; or has to wait on, -EAGAIN, since another strand of the process was faster. */
static int settle(tz_shared_condition *c, struct waiter *me, int why)
{
	struct tz_dead dead = { .count = 0 };
	int r = -EAGAIN;

	if (why < 0)
		tz_dead_find(&dead, holders_of(c));
	tz_monitor_enter(&c->tz__lock);
	bury(c, &dead);
	if (may_be_notified(c, me)) {
		add(me->entry, -NOTIFIED);
		r = 0;
	} else if (why < 0) {
		add(me->entry, -WAITING);
		r = why;
	}
	tz_monitor_leave(&c->tz__lock);
	return r;
}

static int begin(tz_shared_condition *c, struct waiter *me)
{
	struct tz_dead dead = { .count = 0 };
	int r = line_up(c, me, &dead);

	if (r == -EUSERS) {
		tz_dead_find(&dead, holders_of(c));
		r = dead.count ? line_up(c, me, &dead) : r;
	}
	return r;
}

static int wait_with(tz_shared_condition *c, tz_shared_lock *lock, tz_deadline deadline)
{
	struct tz_nap nap = tz_nap_begin("condition", c, deadline);
	struct waiter me;
	int r = begin(c, &me), again;

	if (r < 0)
		return r;
	do {
		(void)tz_shared_lock_release(lock);
		r = sleep_until(c, &me, &nap, lock);
		again = r == -EOWNERDEAD ? r : tz_shared_lock_acquire(lock);
		r = settle(c, &me, again < 0 ? again : r);
	} while (r == -EAGAIN);
	return again < 0 ? again : r;
}

int tz_shared_condition_wait_until(tz_shared_condition *c, tz_shared_lock *lock,
				   tz_deadline deadline)
{
	return tz_shared_lock_is_own(lock) ? wait_with(c, lock, deadline) : -EPERM;
}

int tz_shared_condition_wait(tz_shared_condition *c, tz_shared_lock *lock)
{
	return tz_shared_condition_wait_until(c, lock, tz_never());
}

int tz_shared_condition_wait_for_until(tz_shared_condition *c, tz_shared_lock *lock,
				       tz_predicate *predicate, void *arg, tz_deadline deadline)
{
	if (!tz_shared_lock_is_own(lock))
		return -EPERM;
	while (!predicate(arg)) {
		int r = wait_with(c, lock, deadline);

		if (r == -ETIMEDOUT || r == -ECANCELED)
			return predicate(arg) ? 0 : r;
		if (r < 0)
			return r;
	}
	return 0;
}

int tz_shared_condition_wait_for(tz_shared_condition *c, tz_shared_lock *lock,
				 tz_predicate *predicate, void *arg)
{
	return tz_shared_condition_wait_for_until(c, lock, predicate, arg, tz_never());
}

int tz_shared_condition_wait_rlock(tz_shared_condition *c, tz_shared_rlock *lock,
				   tz_deadline deadline)
{
	uint32_t depth;
	int r;

	if (!tz_shared_rlock_unfold(lock, &depth))
		return -EPERM;
	r = wait_with(c, &lock->tz__lock, deadline);
	if (r != -ENOTRECOVERABLE)
		tz_shared_rlock_fold(lock, depth);
	return r;
}

/* --- notify ------------------------------------------------------------------------------------------------------------------------------ */

void tz_shared_condition_notify_n(tz_shared_condition *c, size_t n)
{
	tz_monitor_enter(&c->tz__lock);
	notify(c, n);
	tz_monitor_leave(&c->tz__lock);
}

void tz_shared_condition_notify(tz_shared_condition *c)
{
	tz_shared_condition_notify_n(c, 1);
}

void tz_shared_condition_notify_all(tz_shared_condition *c)
{
	tz_shared_condition_notify_n(c, SIZE_MAX);
}
