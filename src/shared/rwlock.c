/* The read-write lock for several processes.
 *
 * Design notes. `writer` is 0, or the process that writes, with DIED if it has not said yet that what a writer before it has left is whole; DIED without a process is what a
 * writer that has ended has left, and LOST what nobody can have again. The table says of each process how many strands of it read, and how many wait to write
 * (holders.h). Each operation is one store of the one or the other.
 *
 * Who waits to write is counted so that readers give way; one who is killed there is buried by those who wait for it to write. A reader that has slept while a writer ended
 * does not give way any more: so nobody starves for ever, if the scheduler is fair.
 */
#include <trenza/shared_rwlock.h>

#include <errno.h>

#include "core/strand.h"
#include "shared/holders.h"
#include "shared/lock.h"
#include "shared/owner.h"

#define DIED ((uint32_t)1 << TZ_OWNER_BITS)
#define LOST ((uint32_t)2 << TZ_OWNER_BITS)

/* Of an amount. */
enum { READER = 1, WRITER = 0x10000, MOST = 0xffff };

static struct tz_holders holders_of(const tz_shared_rwlock *l)
{
	tz_shared_rwlock *m = (tz_shared_rwlock *)(uintptr_t)l;

	return (struct tz_holders){ m->tz__holders, &m->tz__used };
}

static uint32_t amount_of(const tz__shared_holder *h)
{
	return h ? tz_word_get(&h->tz__amount) : 0;
}

static void add(tz__shared_holder *h, int32_t n)
{
	tz_word_set(&h->tz__amount, amount_of(h) + (uint32_t)n);
}

static void count(const tz_shared_rwlock *l, unsigned *ret_readers, unsigned *ret_waiting)
{
	struct tz_holders hs = holders_of(l);

	*ret_readers = *ret_waiting = 0;
	for (unsigned i = 0, n = tz_holders_count(hs); i < n; i++) {
		uint32_t a = amount_of(&hs.table[i]);

		*ret_readers += a % WRITER;
		*ret_waiting += a / WRITER;
	}
}

static void open_both(tz_shared_rwlock *l)
{
	tz_gate_open(&l->tz__readers_gate, TZ_NAP_ALL);
	tz_gate_open(&l->tz__writers_gate, TZ_NAP_ALL);
}

/* --- those that have ended --------------------------------------------------------------------------------------------------------- */

static void find_dead(struct tz_dead *dead, const tz_shared_rwlock *l)
{
	tz_dead_find(dead, holders_of(l));
	tz_dead_look(dead, tz_word_get(&l->tz__writer));
}

static void bury(tz_shared_rwlock *l, const struct tz_dead *dead)
{
	struct tz_holders hs = holders_of(l);
	uint32_t w = tz_word_get(&l->tz__writer);

	if (dead->count == 0)
		return;
	for (unsigned i = 0, n = tz_holders_count(hs); i < n; i++)
		if (tz_dead_has(dead, tz_word_get(&hs.table[i].tz__owner)))
			tz_word_set(&hs.table[i].tz__amount, 0);
	if (w & TZ_OWNER_MASK && tz_dead_has(dead, w))
		tz_word_set(&l->tz__writer, DIED);
	open_both(l);
}

/* --- attempts, under the lock ------------------------------------------------------------------------------------------------------- */

/* 0; -EBUSY; -EUSERS; -EOWNERDEAD, -ENOTRECOVERABLE. Who is patient does not give way to writers that wait. */
static int take_read(tz_shared_rwlock *l, bool patient)
{
	uint32_t w = tz_word_get(&l->tz__writer);
	unsigned readers, waiting;
	tz__shared_holder *h;

	if (w == LOST || w == DIED)
		return w == LOST ? -ENOTRECOVERABLE : -EOWNERDEAD;
	count(l, &readers, &waiting);
	if (w || (waiting && !patient))
		return -EBUSY;
	h = tz_holders_own(holders_of(l));
	if (!h || amount_of(h) % WRITER == MOST)
		return -EUSERS;
	add(h, READER);
	return 0;
}

/* 0 or -EOWNERDEAD: it is taken; -EBUSY, -ENOTRECOVERABLE. */
static int take_write(tz_shared_rwlock *l)
{
	uint32_t w = tz_word_get(&l->tz__writer);
	unsigned readers, waiting;

	if (w == LOST)
		return -ENOTRECOVERABLE;
	count(l, &readers, &waiting);
	if (w & TZ_OWNER_MASK || readers)
		return -EBUSY;
	tz_word_set(&l->tz__writer, tz_owner_self() | w);
	return w == DIED ? -EOWNERDEAD : 0;
}

/* --- reading ----------------------------------------------------------------------------------------------------------------------------- */

/* A strand that waits to read. */
struct reader {
	uint32_t gate; /* as it closed it; 0: it has not slept yet */
	bool patient; /* it was opened since */
};

/* `me` NULL: it will not wait. */
static int attempt_read(tz_shared_rwlock *l, struct reader *me, bool look)
{
	struct tz_dead dead = { .count = 0 };
	int r;

	if (look)
		find_dead(&dead, l);
	tz_monitor_enter(&l->tz__lock);
	bury(l, &dead);
	if (me && me->gate && (tz_word_get(&l->tz__readers_gate) ^ me->gate) > 1)
		me->patient = true;
	r = take_read(l, me && me->patient);
	if (me && r == -EBUSY)
		me->gate = tz_gate_close(&l->tz__readers_gate);
	tz_monitor_leave(&l->tz__lock);
	return r;
}

static int acquire_read(tz_shared_rwlock *l, struct tz_nap *nap)
{
	struct reader me = { .gate = 0 };
	int n = 0, r = attempt_read(l, &me, false);

	if (r == -EUSERS)
		r = attempt_read(l, &me, true);
	while (r == -EBUSY && n >= 0) {
		n = tz_nap_take(nap, &l->tz__readers_gate, me.gate);
		r = attempt_read(l, &me, n != 0);
	}
	return r == -EBUSY ? n : r;
}

int tz_shared_rwlock_acquire_read(tz_shared_rwlock *l)
{
	struct tz_nap nap = tz_nap_begin_deaf("rwlock", l);

	return acquire_read(l, &nap);
}

int tz_shared_rwlock_acquire_read_until(tz_shared_rwlock *l, tz_deadline deadline)
{
	struct tz_nap nap = tz_nap_begin("rwlock", l, deadline);

	tz_strand_count_call();
	return acquire_read(l, &nap);
}

int tz_shared_rwlock_try_read(tz_shared_rwlock *l)
{
	int r = attempt_read(l, NULL, false);

	return r == -EBUSY || r == -EUSERS ? attempt_read(l, NULL, true) : r;
}

int tz_shared_rwlock_release_read(tz_shared_rwlock *l)
{
	unsigned readers, waiting;
	tz__shared_holder *h;
	int r = -EPERM;

	tz_monitor_enter(&l->tz__lock);
	h = tz_holders_find(holders_of(l));
	if (amount_of(h) % WRITER) {
		add(h, -READER);
		count(l, &readers, &waiting);
		if (!readers)
			tz_gate_open(&l->tz__writers_gate, 1);
		r = 0;
	}
	tz_monitor_leave(&l->tz__lock);
	return r;
}

/* --- writing ----------------------------------------------------------------------------------------------------------------------------- */

/* A strand that waits to write. */
struct writer {
	tz__shared_holder *entry; /* in which it is counted, or NULL */
	uint32_t gate;
};

/* Under the lock: it will sleep. */
static int line_up(tz_shared_rwlock *l, struct writer *me)
{
	if (!me->entry) {
		tz__shared_holder *h = tz_holders_own(holders_of(l));

		if (!h || amount_of(h) / WRITER == MOST)
			return -EUSERS;
		add(h, WRITER);
		me->entry = h;
	}
	me->gate = tz_gate_close(&l->tz__writers_gate);
	return -EBUSY;
}

/* Under the lock: it does not wait any more. */
static void step_out(tz_shared_rwlock *l, struct writer *me)
{
	unsigned readers, waiting;

	if (!me->entry)
		return;
	add(me->entry, -WRITER);
	me->entry = NULL;
	count(l, &readers, &waiting);
	if (!waiting && !(tz_word_get(&l->tz__writer) & TZ_OWNER_MASK))
		tz_gate_open(&l->tz__readers_gate, TZ_NAP_ALL);
}

/* `me` NULL: it will not wait. */
static int attempt_write(tz_shared_rwlock *l, struct writer *me, bool look, bool last)
{
	struct tz_dead dead = { .count = 0 };
	int r;

	if (look)
		find_dead(&dead, l);
	tz_monitor_enter(&l->tz__lock);
	bury(l, &dead);
	r = take_write(l);
	if (me && (r != -EBUSY || last))
		step_out(l, me);
	else if (me)
		r = line_up(l, me);
	tz_monitor_leave(&l->tz__lock);
	return r;
}

static int acquire_write(tz_shared_rwlock *l, struct tz_nap *nap)
{
	struct writer me = { .entry = NULL };
	int n = 0, r = attempt_write(l, &me, false, false);

	if (r == -EUSERS)
		r = attempt_write(l, &me, true, false);
	while (r == -EBUSY && n >= 0) {
		n = tz_nap_take(nap, &l->tz__writers_gate, me.gate);
		r = attempt_write(l, &me, n != 0, n < 0);
	}
	return r == -EBUSY ? n : r;
}

int tz_shared_rwlock_acquire_write(tz_shared_rwlock *l)
{
	struct tz_nap nap = tz_nap_begin_deaf("rwlock", l);

	return acquire_write(l, &nap);
}

int tz_shared_rwlock_acquire_write_until(tz_shared_rwlock *l, tz_deadline deadline)
{
	struct tz_nap nap = tz_nap_begin("rwlock", l, deadline);

	tz_strand_count_call();
	return acquire_write(l, &nap);
}

int tz_shared_rwlock_try_write(tz_shared_rwlock *l)
{
	int r = attempt_write(l, NULL, false, false);

	return r == -EBUSY ? attempt_write(l, NULL, true, false) : r;
}

/* What the calling process, which writes, has of the lock: it says that all is well, or gives the lock up. */
static int change_own(tz_shared_rwlock *l, bool release)
{
	uint32_t w;
	int r = 0;

	tz_monitor_enter(&l->tz__lock);
	w = tz_word_get(&l->tz__writer);
	if ((w & TZ_OWNER_MASK) != tz_owner_self())
		r = -EPERM;
	else if (!release && !(w & DIED))
		r = -EINVAL;
	else if (!release)
		tz_word_set(&l->tz__writer, w & ~DIED);
	else
		tz_word_set(&l->tz__writer, w & DIED ? LOST : 0);
	if (release && r == 0) {
		tz_gate_open(&l->tz__readers_gate, TZ_NAP_ALL);
		tz_gate_open(&l->tz__writers_gate, w & DIED ? TZ_NAP_ALL : 1);
	}
	tz_monitor_leave(&l->tz__lock);
	return r;
}

int tz_shared_rwlock_recover(tz_shared_rwlock *l)
{
	return change_own(l, false);
}

int tz_shared_rwlock_release_write(tz_shared_rwlock *l)
{
	return change_own(l, true);
}

/* --- questions ----------------------------------------------------------------------------------------------------------------------- */

int tz_shared_rwlock_readers(const tz_shared_rwlock *l)
{
	unsigned readers, waiting;

	count(l, &readers, &waiting);
	return (int)readers;
}

bool tz_shared_rwlock_is_written(const tz_shared_rwlock *l)
{
	return (tz_word_get(&l->tz__writer) & TZ_OWNER_MASK) != 0;
}
