/* A counter: a number that one writer at a time changes and that anybody may read.
 *
 * The writer is one thread, or whoever holds a lock. So what it loads is the newest value there is, nobody can come
 * between its load and its store, and no read-modify-write is needed, which would cost more than all else that is done to
 * count a job. The atomics are there for the readers: they see some value that the counter had.
 */
#ifndef TZ_CORE_COUNTER_H
#define TZ_CORE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

static inline void tz_counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void tz_counter_subtract(_Atomic uint64_t *counter, uint64_t n)
{
	tz_counter_add(counter, 0 - n);
}

#endif
