/* The seats for spinners. See spin.h. */
#include "core/spin.h"

#include <stdatomic.h>
#include <unistd.h>

#include <trenza/cpu.h>

#include "os/cpus.h"

static _Atomic int seats; /* 0: not counted yet; else 1 + the number of seats */
static _Atomic int taken;

static _Atomic int quota; /* an enum tz_spin_quota */

enum tz_spin_quota tz_spin_known_quota(void)
{
	return (enum tz_spin_quota)atomic_load_explicit(&quota, memory_order_relaxed);
}

void tz_spin_set_quota(enum tz_spin_quota q)
{
	atomic_store_explicit(&quota, (int)q, memory_order_relaxed);
}

static bool is_under_quota(void)
{
	if (tz_spin_known_quota() == TZ_SPIN_QUOTA_UNKNOWN)
		tz_spin_set_quota(tz_cpu_quota() > 0 ? TZ_SPIN_QUOTA : TZ_SPIN_NO_QUOTA);
	return tz_spin_known_quota() == TZ_SPIN_QUOTA;
}

static int count_seats(void)
{
	/* The whole process's mask, whatever the thread that happens to ask first is bound to. */
	int n = is_under_quota() ? 1 : tz_cpus_usable(tz_cpus_affinity(getpid()), 0);

	atomic_store_explicit(&seats, n, memory_order_relaxed);
	return n;
}

static int seat_count(void)
{
	int n = atomic_load_explicit(&seats, memory_order_relaxed);

	return (n ? n : count_seats()) - 1;
}

bool tz_spin_allowed(void)
{
	return seat_count() > 0;
}

bool tz_spin_sit(void)
{
	int n = seat_count();

	if (atomic_load_explicit(&taken, memory_order_relaxed) >= n)
		return false;
	if (atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed) < n)
		return true;
	tz_spin_leave();
	return false;
}

void tz_spin_leave(void)
{
	atomic_fetch_sub_explicit(&taken, 1, memory_order_relaxed);
}

void tz_spin_after_fork(void)
{
	if (atomic_load_explicit(&taken, memory_order_relaxed))
		atomic_store_explicit(&taken, 0, memory_order_relaxed);
}

/* In microseconds. */
enum { FIRST = 20, LEAST = 2, MOST = 100, DEAREST = 200 };
enum { HOPELESS = 1, TRIAL = 1024, TRIAL_PRICED = 64 };

static uint32_t ticks_of(uint32_t us)
{
	return (uint32_t)tz_clock_ticks_per_us() * us;
}

uint32_t tz_patience_ask(struct tz_patience *p)
{
	uint32_t ticks = atomic_load_explicit(&p->ticks, memory_order_relaxed);

	if (ticks == HOPELESS) {
		uint32_t n = atomic_load_explicit(&p->refused, memory_order_relaxed) + 1;
		uint32_t price = atomic_load_explicit(&p->price, memory_order_relaxed);

		atomic_store_explicit(&p->refused, n, memory_order_relaxed);
		return n % (price ? TRIAL_PRICED : TRIAL) == 0 ? ticks_of(FIRST) : 0;
	}
	return ticks ? ticks : ticks_of(FIRST);
}

bool tz_patience_is_left(struct tz_patience *p)
{
	return atomic_load_explicit(&p->ticks, memory_order_relaxed) != HOPELESS;
}

/* What to spin after a wait of `wait` ticks: twice that, but do not forget longer ones at once. */
static uint32_t adapted(uint32_t old, int64_t wait)
{
	uint32_t most = ticks_of(MOST), least = ticks_of(LEAST), next = old - old / 8;

	if (wait > most)
		next = old / 2;
	else if (wait > 0 && (uint32_t)wait * 2 > next)
		next = (uint32_t)wait * 2;
	return next < least ? least : next > most ? most : next;
}

/* The same where the price of a sleep is known: all of it, or half as much as before. */
static uint32_t worth(uint32_t old, uint32_t price, int64_t wait)
{
	uint32_t least = ticks_of(LEAST);

	return wait <= price ? price : old / 2 > least ? old / 2 : least;
}

void tz_patience_pay(struct tz_patience *p, int64_t ticks)
{
	uint32_t old = atomic_load_explicit(&p->price, memory_order_relaxed);
	int64_t least = ticks_of(LEAST), most = ticks_of(DEAREST);

	ticks = ticks < least ? least : ticks > most ? most : ticks;
	atomic_store_explicit(&p->price, old ? (uint32_t)((3 * old + ticks) / 4) : (uint32_t)ticks,
			      memory_order_relaxed);
}

void tz_patience_learn(struct tz_patience *p, struct tz_moment begun, struct tz_moment woken,
		       bool slept)
{
	uint32_t old = atomic_load_explicit(&p->ticks, memory_order_relaxed), next = HOPELESS;
	uint32_t price = atomic_load_explicit(&p->price, memory_order_relaxed);
	int64_t wait = (int64_t)(woken.ticks - begun.ticks);
	bool in_the_way = slept && woken.cpu == begun.cpu;

	if (price && wait > 2 * (int64_t)price)
		in_the_way = false; /* after so long, it only happened to be free */
	if (!in_the_way)
		next = price ? worth(old, price, wait) : adapted(old, wait);
	if (next != old)
		atomic_store_explicit(&p->ticks, next, memory_order_relaxed);
}
