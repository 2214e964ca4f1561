/* Tables of processes that have something of an object in shared memory, and how much; and gates, on which those sleep who wait for the object.
 *
 * Design notes
 *
 * An entry with amount 0 is free, whatever process it names: it is taken by writing the own name into it, and counts from the moment when the amount is
 * written, in one store. So who is killed in between leaves a free entry. What an object has left is computed from the table and kept nowhere else.
 *
 * Who has ended is found without the object's lock, since that takes system calls, and buried with it. A name that has ended does not come to life again, so nothing is
 * lost in between.
 *
 * A gate is a count of openings, and a bit that says that somebody may sleep. It is closed and opened under the object's lock; who finds it closed sleeps while it has
 * the value that was found. The bit is cleared by an opening that has found fewer sleepers than it was to wake: no count of waiters that a killed process could leave
 * wrong.
 */
#ifndef TZ_SHARED_HOLDERS_H
#define TZ_SHARED_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <trenza/shared_lock.h>

#include "shared/nap.h"

static inline uint32_t tz_word_get(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void tz_word_set(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

struct tz_holders {
	tz__shared_holder *table;
	uint32_t *used;
};

/* How many entries there are to look at. */
static inline unsigned tz_holders_count(struct tz_holders hs)
{
	uint32_t n = tz_word_get(hs.used);

	return n < TZ_SHARED_PROCESSES ? n : TZ_SHARED_PROCESSES;
}

/* The entry of the calling process: a new one if there is none; NULL if the table is full. Under the object's lock. */
tz__shared_holder *tz_holders_own(struct tz_holders hs);

/* The one that it has already, or NULL. */
tz__shared_holder *tz_holders_find(struct tz_holders hs);

/* The names of those that have ended. */
struct tz_dead {
	unsigned count;
	uint32_t words[TZ_SHARED_PROCESSES + 1];
};

/* Notes who of those that have something has ended. Without the lock. */
void tz_dead_find(struct tz_dead *dead, struct tz_holders hs);

/* Notes one more, if it has ended; 0 is nobody. */
void tz_dead_look(struct tz_dead *dead, uint32_t owner);
bool tz_dead_has(const struct tz_dead *dead, uint32_t owner);

/* What to sleep on. Under the lock. */
static inline uint32_t tz_gate_close(uint32_t *gate)
{
	uint32_t g = tz_word_get(gate) | 1;

	tz_word_set(gate, g);
	return g;
}

/* Wakes n of those who sleep, TZ_NAP_ALL for all. Under the lock. */
void tz_gate_open(uint32_t *gate, int n);

#endif
