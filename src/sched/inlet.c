/* Inlets: which thread has which, and how long; and what is seldom done with one. See inlet.h. */
#include "sched/inlet.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "os/atomic.h"
#include "os/cpu.h"

_Thread_local struct tz_inlet_here tz_inlet_here __attribute__((tls_model("initial-exec")));
static _Thread_local struct tz_inlet *mine
	__attribute__((tls_model("initial-exec"))); /* all of the thread's, linked by `next` */

static pthread_key_t exit_key;
static bool has_exit_key; /* without one there are no inlets */
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

uint64_t tz_inlet_pool_number(void)
{
	static _Atomic uint64_t last;

	return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

static void let_go(struct tz_inlet *in)
{
	/* acq_rel: who frees it sees what the other one did with it. */
	if (atomic_fetch_sub_explicit(&in->holders, 1, memory_order_acq_rel) == 1)
		free(in);
}

/* The thread ends. */
static void leave_all(void *unused)
{
	(void)unused;
	tz_inlet_here = (struct tz_inlet_here){ 0 };
	while (mine) {
		struct tz_inlet *in = mine;

		mine = in->next;
		atomic_store_explicit(&in->vacant, true, memory_order_release);
		let_go(in);
	}
}

static void make_exit_key(void)
{
	has_exit_key = pthread_key_create(&exit_key, leave_all) == 0;
}

static void drop_dead(void)
{
	for (struct tz_inlet **at = &mine; *at;) {
		struct tz_inlet *in = *at;

		if (atomic_load_explicit(&in->holders, memory_order_relaxed) ==
		    1) { /* we: its pool is gone */
			*at = in->next;
			let_go(in);
		} else {
			at = &in->next;
		}
	}
}

static void use(struct tz_inlet *in)
{
	tz_inlet_here = (struct tz_inlet_here){ in->pool, in };
}

bool tz_inlet_find(uint64_t pool)
{
	for (struct tz_inlet *in = mine; in; in = in->next)
		if (in->pool == pool) {
			use(in);
			return true;
		}
	return false;
}

/* One that a thread has left. */
static struct tz_inlet *vacant(struct tz_inlets *inlets)
{
	for (int i = 0, n = tz_inlets_count(inlets); i < n; i++) {
		struct tz_inlet *in = tz_inlet_at(inlets, i);

		if (atomic_load_explicit(&in->vacant, memory_order_acquire)) {
			atomic_store_explicit(&in->vacant, false, memory_order_relaxed);
			atomic_fetch_add_explicit(&in->holders, 1, memory_order_relaxed);
			return in;
		}
	}
	return NULL;
}

static struct tz_inlet *new_inlet(struct tz_inlets *inlets, uint64_t pool)
{
	int n = tz_inlets_count(inlets);
	struct tz_inlet *in = n < TZ_INLETS ? aligned_alloc(64, (sizeof *in + 63) / 64 * 64) : NULL;

	if (!in)
		return NULL;
	memset((void *)in, 0,
	       offsetof(struct tz_inlet,
			jobs)); /* what lies in the ring is not looked at before it is pushed */
	in->room = TZ_INLET_SIZE;
	in->pool = pool;
	atomic_store_explicit(&in->holders, 2, memory_order_relaxed);
	atomic_store_explicit(&inlets->all[n], in, memory_order_relaxed);
	atomic_store_explicit(&inlets->n, n + 1, memory_order_release);
	return in;
}

bool tz_inlet_add(struct tz_inlets *inlets, uint64_t pool)
{
	struct tz_inlet *in;

	(void)pthread_once(&exit_once, make_exit_key);
	drop_dead();
	if (!has_exit_key || pthread_setspecific(exit_key, &mine) != 0)
		return false;
	in = vacant(inlets);
	if (!in)
		in = new_inlet(inlets, pool);
	if (!in)
		return false;
	in->next = mine;
	mine = in;
	use(in);
	return true;
}

size_t tz_inlet_push_all(struct tz_inlet *in, tz_job *const *jobs, size_t n)
{
	uint64_t tail = atomic_load_explicit(&in->tail, memory_order_relaxed);

	if (in->room - tail < n)
		in->room = atomic_load_explicit(&in->head, memory_order_acquire) + TZ_INLET_SIZE;
	if (in->room - tail < n)
		n = (size_t)(in->room - tail);
	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		atomic_store_explicit(&in->jobs[(tail + i) % TZ_INLET_SIZE], jobs[i],
				      memory_order_relaxed);
	atomic_store_explicit(&in->inside, true, memory_order_relaxed);
	tz_store_seq_cst(&in->tail, tail + n);
	return n;
}

size_t tz_inlet_take_all(struct tz_inlet *in, tz_job **jobs, size_t n)
{
	uint64_t head = atomic_load_explicit(&in->head, memory_order_relaxed), beyond;

	do {
		beyond = tz_inlet_beyond(in, head);
		if (n > beyond)
			n = (size_t)beyond;
		if (n == 0)
			return 0;
		for (size_t i = 0; i < n; i++)
			jobs[i] = tz_inlet_job(in, head + i);
	} while (!atomic_compare_exchange_weak_explicit(
		&in->head, &head, head + n, memory_order_release, memory_order_relaxed));
	return n;
}

void tz_inlets_settle(struct tz_inlets *inlets)
{
	for (int i = 0, n = tz_inlets_count(inlets); i < n; i++)
		for (unsigned spins = 0;
		     atomic_load_explicit(&tz_inlet_at(inlets, i)->inside, memory_order_acquire);)
			tz_cpu_backoff(&spins);
}

uint64_t tz_inlets_pushed(struct tz_inlets *inlets)
{
	uint64_t pushed = 0;

	for (int i = 0, n = tz_inlets_count(inlets); i < n; i++)
		pushed += atomic_load_explicit(&tz_inlet_at(inlets, i)->tail, memory_order_relaxed);
	return pushed;
}

void tz_inlets_done(struct tz_inlets *inlets)
{
	for (int i = 0, n = tz_inlets_count(inlets); i < n; i++)
		let_go(tz_inlet_at(inlets, i));
}
