/* The library's own lock: one futex word, all-zero is unlocked.
 *
 * For short critical sections inside the library only; users' code never runs under it. It blocks the thread
 * (never a coroutine), spins briefly first, and never touches the word after the store that unlocks it, so that
 * the last holder may free the memory that it lies in.
 *
 * Design notes. 0 free, 1 held, 2 held and somebody may sleep. A sleeper always sets 2, so an unlock that finds
 * 2 wakes one, who sets 2 again: over-waking by at most one. Acquire on the successful exchange pairs with release
 * on the unlock. (Drepper, "Futexes Are Tricky", mutex 3.)
 */
#ifndef TZ_OS_MUTEX_H
#define TZ_OS_MUTEX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "os/futex.h"

#if defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define TZ_SINGLE_THREADED __libc_single_threaded /* nobody else can have a lock, or come for one */
#endif
#endif
#ifndef TZ_SINGLE_THREADED
#define TZ_SINGLE_THREADED 0
#endif

struct tz_mutex {
	_Atomic uint32_t word;
};

void tz_mutex_lock_slow(struct tz_mutex *m);

static inline void tz_mutex_lock(struct tz_mutex *m)
{
	uint32_t free_word = 0;

	if (!atomic_compare_exchange_weak_explicit(&m->word, &free_word, 1, memory_order_acquire,
						   memory_order_relaxed))
		tz_mutex_lock_slow(m);
}

static inline int tz_mutex_trylock(struct tz_mutex *m)
{
	uint32_t free_word = 0;

	return atomic_compare_exchange_strong_explicit(&m->word, &free_word, 1, memory_order_acquire,
						       memory_order_relaxed);
}

static inline void tz_mutex_unlock(struct tz_mutex *m)
{
	if (atomic_exchange_explicit(&m->word, 0, memory_order_release) == 2)
		tz_futex_wake(&m->word, 1);
}

/* As lock and unlock, but with one thread they write nothing: each page that either process writes to after a fork has to be
 * copied, which costs more than all the rest of a lock. Around fork(2), where the child finds what the lock guards consistent (the
 * second in the parent and in the child), and in what a process does first that was just forked. */
static inline void tz_mutex_lock_unless_alone(struct tz_mutex *m)
{
	if (!TZ_SINGLE_THREADED || atomic_load_explicit(&m->word, memory_order_relaxed))
		tz_mutex_lock(m);
}

static inline void tz_mutex_unlock_if_locked(struct tz_mutex *m)
{
	if (atomic_load_explicit(&m->word, memory_order_relaxed))
		tz_mutex_unlock(m);
}

/* At file scope, once: the child of a fork(2) finds the lock free, and what it guards not in the middle of something. */
#define TZ_KEEP_OVER_FORKS(lock) \
	static void hold(void) \
	{ \
		tz_mutex_lock_unless_alone(&(lock)); \
	} \
	static void let_go(void) \
	{ \
		tz_mutex_unlock_if_locked(&(lock)); \
	} \
	__attribute__((constructor)) static void watch_forks(void) \
	{ \
		(void)pthread_atfork(hold, let_go, let_go); \
	} \
	_Static_assert(sizeof(lock) == sizeof(struct tz_mutex), "a lock of ours")

#endif
