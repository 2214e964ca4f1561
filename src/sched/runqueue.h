/* A worker's run queue: a bounded FIFO of submitted jobs. The owner pushes; the owner and thieves take the oldest.
 *
 * Design notes. One word, {head:16 | tail:16 | tag:32}, decides everything; entries lie in a ring. push stores the entry, then moves tail by
 * compare-and-swap (seq_cst: the owner looks next whether anybody must be woken, see pool.c). take loads the word (acquire), reads the oldest entry, then moves head by compare-and-swap: if that succeeds,
 * the word has not changed in between, and neither has the entry. The tag goes up with each change by the owner, so that a word
 * that went away and came back (unpush, then push) is not mistaken for the old one. unpush takes the newest entry back, if it is a given job: a
 * strand that submits a job and waits for it at once runs it without leaving a tombstone behind.
 */
#ifndef TZ_SCHED_RUNQUEUE_H
#define TZ_SCHED_RUNQUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <trenza/executor_impl.h>

enum { TZ_RUNQUEUE_SIZE = 256 };

struct tz_runqueue {
	_Alignas(64) _Atomic uint64_t word;
	_Atomic(tz_job *) entries[TZ_RUNQUEUE_SIZE];
};

static inline uint16_t tz_rq_head(uint64_t w)
{
	return (uint16_t)w;
}

static inline uint16_t tz_rq_tail(uint64_t w)
{
	return (uint16_t)(w >> 16);
}

static inline uint64_t tz_rq_word(uint16_t head, uint16_t tail, uint64_t tag)
{
	return (uint64_t)head | (uint64_t)tail << 16 | (tag & 0xffffffff) << 32;
}

static inline size_t tz_runqueue_length(struct tz_runqueue *q)
{
	uint64_t w = atomic_load_explicit(&q->word, memory_order_relaxed);

	return (uint16_t)(tz_rq_tail(w) - tz_rq_head(w));
}

/* Owner only. False if it is full. */
static inline bool tz_runqueue_push(struct tz_runqueue *q, tz_job *job)
{
	uint64_t w = atomic_load_explicit(&q->word, memory_order_relaxed), pushed;

	do {
		if ((uint16_t)(tz_rq_tail(w) - tz_rq_head(w)) == TZ_RUNQUEUE_SIZE)
			return false;
		atomic_store_explicit(&q->entries[tz_rq_tail(w) % TZ_RUNQUEUE_SIZE], job, memory_order_relaxed);
		pushed = tz_rq_word(tz_rq_head(w), (uint16_t)(tz_rq_tail(w) + 1), (w >> 32) + 1);
	} while (!atomic_compare_exchange_weak_explicit(&q->word, &w, pushed, memory_order_seq_cst, memory_order_relaxed));
	return true;
}

/* Owner only. Pushes n jobs at once; the caller knows that there is room. Returns the new tail. */
static inline uint16_t tz_runqueue_push_all(struct tz_runqueue *q, tz_job *const *jobs, size_t n)
{
	uint64_t w = atomic_load_explicit(&q->word, memory_order_relaxed), pushed;
	uint16_t tail = tz_rq_tail(w);

	for (size_t i = 0; i < n; i++)
		atomic_store_explicit(&q->entries[(uint16_t)(tail + i) % TZ_RUNQUEUE_SIZE], jobs[i], memory_order_relaxed);
	do
		pushed = tz_rq_word(tz_rq_head(w), (uint16_t)(tail + n), (w >> 32) + 1);
	while (!atomic_compare_exchange_weak_explicit(&q->word, &w, pushed, memory_order_release, memory_order_relaxed));
	return (uint16_t)(tail + n);
}

/* Any thread. The oldest entry, or NULL. */
static inline tz_job *tz_runqueue_take(struct tz_runqueue *q)
{
	uint64_t w = atomic_load_explicit(&q->word, memory_order_acquire);
	tz_job *job;

	do {
		if (tz_rq_head(w) == tz_rq_tail(w))
			return NULL;
		job = atomic_load_explicit(&q->entries[tz_rq_head(w) % TZ_RUNQUEUE_SIZE], memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&q->word, &w, tz_rq_word((uint16_t)(tz_rq_head(w) + 1), tz_rq_tail(w), w >> 32),
							memory_order_acq_rel, memory_order_acquire));
	return job;
}

/* Owner only. Takes the newest entry if it is `job`. */
static inline bool tz_runqueue_unpush(struct tz_runqueue *q, const tz_job *job)
{
	uint64_t w = atomic_load_explicit(&q->word, memory_order_relaxed);
	uint16_t newest;

	do {
		newest = (uint16_t)(tz_rq_tail(w) - 1);
		if (tz_rq_head(w) == tz_rq_tail(w) ||
		    atomic_load_explicit(&q->entries[newest % TZ_RUNQUEUE_SIZE], memory_order_relaxed) != job)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&q->word, &w, tz_rq_word(tz_rq_head(w), newest, (w >> 32) + 1),
							memory_order_acquire, memory_order_relaxed));
	return true;
}

#endif
