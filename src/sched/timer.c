/* The timer service: a heap of entries and the thread that waits for its root. See timer.h.
 *
 * Design notes
 *
 * One lock guards all. The heap is a pairing heap linked through the entries: adding is a comparison, and taking out an
 * entry that has no children, as the deadline of a job that ended in time mostly is, is an unlinking.
 *
 * The thread sleeps on `bell`, until the deadline of the root. Who adds an entry that becomes the root rings it. Who removes the
 * root does not: the thread then wakes up once for nothing.
 *
 * `running` is the entry whose function is being called; it is compared, never followed, since the function may
 * free it. Who waits for its end sleeps on `calls`, which counts the calls that ended.
 *
 * Fork. The lock is held over the fork, so the child has a heap in good order; it takes all entries out of it, and
 * has no thread until it adds one.
 */
#include "sched/timer.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "os/clock.h"
#include "os/futex.h"
#include "os/mutex.h"
#include "os/thread.h"

static const uint64_t IDLE_NS = 5000000000u;

static struct {
	struct tz_mutex lock; /* guards all below; the atomics are also slept on */
	struct tz_timer_entry *root;
	uint64_t added; /* how many ever were */
	bool alive; /* the thread is there */
	pthread_t thread;
	struct tz_timer_entry *running;
	unsigned watchers; /* who waits for the end of a call */
	_Atomic uint32_t bell;
	_Atomic uint32_t calls;
} service;

/* --- the heap ------------------------------------------------------------------------------------------ */

static bool earlier(const struct tz_timer_entry *a, const struct tz_timer_entry *b)
{
	return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns
						: a->order < b->order;
}

/* Two heaps become one; neither root has siblings. */
static struct tz_timer_entry *meld(struct tz_timer_entry *a, struct tz_timer_entry *b)
{
	if (!a || !b)
		return a ? a : b;
	if (earlier(b, a)) {
		struct tz_timer_entry *swap = a;

		a = b;
		b = swap;
	}
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	b->prev = a;
	a->child = b;
	return a;
}

/* Siblings become one heap: melded in pairs from the eldest on, and the pairs from the youngest back. */
static struct tz_timer_entry *meld_siblings(struct tz_timer_entry *first)
{
	struct tz_timer_entry *pairs = NULL, *heap = NULL;

	while (first) {
		struct tz_timer_entry *a = first, *b = a->next, *pair;

		first = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		pair = meld(a, b);
		pair->next = pairs;
		pairs = pair;
	}
	while (pairs) {
		struct tz_timer_entry *pair = pairs;

		pairs = pair->next;
		pair->next = NULL;
		heap = meld(heap, pair);
	}
	return heap;
}

static void take_out(struct tz_timer_entry *e)
{
	struct tz_timer_entry *children = meld_siblings(e->child);

	if (e == service.root) {
		service.root = children;
	} else {
		if (e->prev->child == e)
			e->prev->child = e->next;
		else
			e->prev->next = e->next;
		if (e->next)
			e->next->prev = e->prev;
		service.root = meld(service.root, children);
	}
	e->child = e->next = e->prev = NULL;
	e->set = false;
}

/* --- the thread ---------------------------------------------------------------------------------------- */

/* Calls the root's function, with the lock let go meanwhile. */
static void call_root(void)
{
	struct tz_timer_entry *e = service.root;
	void (*fn)(struct tz_timer_entry *entry) = e->fn; /* others may set it again meanwhile */

	take_out(e);
	service.running = e;
	tz_mutex_unlock(&service.lock);
	fn(e);
	tz_mutex_lock(&service.lock);
	service.running = NULL;
	if (service.watchers) {
		(void)atomic_fetch_add_explicit(&service.calls, 1, memory_order_release);
		tz_futex_wake(&service.calls, INT_MAX);
	}
}

static void *service_main(void *unused)
{
	uint64_t idle_end = tz_clock_now() + IDLE_NS;

	(void)unused;
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* the kernel would add 50 us otherwise */
	(void)pthread_setname_np(pthread_self(), "trenza-timer");
	tz_mutex_lock(&service.lock);
	for (;;) {
		uint64_t now = tz_clock_now();

		if (service.root && service.root->deadline_ns <= now) {
			call_root();
			idle_end = tz_clock_now() + IDLE_NS;
			continue;
		}
		if (!service.root && now >= idle_end)
			break;

		uint64_t until = service.root ? service.root->deadline_ns : idle_end;
		uint32_t bell = atomic_load_explicit(&service.bell, memory_order_relaxed);

		tz_mutex_unlock(&service.lock);
		(void)tz_futex_wait(&service.bell, bell, until);
		tz_mutex_lock(&service.lock);
	}
	service.alive = false;
	tz_mutex_unlock(&service.lock);
	return NULL;
}

static void before_fork(void)
{
	tz_mutex_lock_unless_alone(&service.lock);
}

static void in_parent(void)
{
	tz_mutex_unlock_if_locked(&service.lock);
}

static void in_child(void)
{
	while (service.root)
		take_out(service.root);
	if (service.alive || service.watchers) {
		service.alive = false;
		service.running = NULL;
		service.watchers = 0;
	}
	tz_mutex_unlock_if_locked(&service.lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
	(void)pthread_atfork(before_fork, in_parent, in_child);
}

/* Under the lock. */
static int start_thread(void)
{
	int e = 0;

	if (!service.alive)
		e = tz_os_thread_start_detached(&service.thread, service_main, NULL);
	service.alive = e == 0;
	return e;
}

/* --- the operations -------------------------------------------------------------------------------------- */

int tz_timer_add(struct tz_timer_entry *entry, uint64_t deadline_ns,
		 void (*fn)(struct tz_timer_entry *entry))
{
	bool ring;
	int e;

	tz_mutex_lock(&service.lock);
	e = start_thread();
	if (e < 0) {
		tz_mutex_unlock(&service.lock);
		return e;
	}
	if (entry->set)
		take_out(entry);
	entry->deadline_ns = deadline_ns;
	entry->order = service.added++;
	entry->fn = fn;
	entry->child = entry->next = entry->prev = NULL;
	entry->set = true;
	service.root = meld(service.root, entry);
	ring = service.root == entry && !pthread_equal(pthread_self(), service.thread);
	if (ring)
		(void)atomic_fetch_add_explicit(&service.bell, 1, memory_order_relaxed);
	tz_mutex_unlock(&service.lock);
	if (ring)
		tz_futex_wake(&service.bell, 1);
	return 0;
}

static enum tz_timer_removed remove_locked(struct tz_timer_entry *entry)
{
	if (entry->set) {
		take_out(entry);
		return TZ_TIMER_REMOVED;
	}
	return service.running == entry ? TZ_TIMER_RUNNING : TZ_TIMER_IDLE;
}

enum tz_timer_removed tz_timer_remove(struct tz_timer_entry *entry)
{
	enum tz_timer_removed r;

	tz_mutex_lock(&service.lock);
	r = remove_locked(entry);
	tz_mutex_unlock(&service.lock);
	return r;
}

enum tz_timer_removed tz_timer_remove_wait(struct tz_timer_entry *entry)
{
	enum tz_timer_removed r;

	tz_mutex_lock(&service.lock);
	r = remove_locked(entry);
	while (service.running == entry && !pthread_equal(pthread_self(), service.thread)) {
		uint32_t calls = atomic_load_explicit(&service.calls, memory_order_relaxed);

		service.watchers++;
		tz_mutex_unlock(&service.lock);
		(void)tz_futex_wait(&service.calls, calls, 0);
		tz_mutex_lock(&service.lock);
		service.watchers--;
		if (r == TZ_TIMER_RUNNING && entry->set) {
			take_out(entry); /* its own function had set it again */
			r = TZ_TIMER_REMOVED;
		}
	}
	tz_mutex_unlock(&service.lock);
	return r;
}
