/* The library's own lock: the path of who does not get it at once. See mutex.h. */
#include "os/mutex.h"

#include "os/cpu.h"

enum { SPINS = 60 }; /* below the cost of a sleep and a wake; the sections under this lock are shorter still */

void tz_mutex_lock_slow(struct tz_mutex *m)
{
	for (int i = 0; i < SPINS; i++) {
		uint32_t w = atomic_load_explicit(&m->word, memory_order_relaxed);

		if (w == 0 && atomic_compare_exchange_weak_explicit(&m->word, &w, 1, memory_order_acquire,
								    memory_order_relaxed))
			return;
		if (w == 2)
			break; /* somebody sleeps already: queue behind rather than overtake for ever */
		tz_cpu_relax();
	}
	while (atomic_exchange_explicit(&m->word, 2, memory_order_acquire) != 0)
		(void)tz_futex_wait(&m->word, 2, 0);
}
