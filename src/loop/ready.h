/* What is ready to go on, on one loop: jobs that have not begun, and coroutines that were woken, in
 * one line, first come, first served.
 *
 * Design notes
 *
 * Entries are linked through themselves, so that neither a submit nor a wake-up can fail for want
 * of memory. An entry is a pointer to a job or to a coroutine, told apart by its lowest bit; each
 * has a word for the link (tz_job.next_ready: a job in an executor's hands has no frame yet;
 * tz_coroutine.next_ready). An entry is in one line at most: a job is submitted once, and a
 * coroutine is put in line only by who takes its token from PARKED (coroutine.h).
 *
 * The line belongs to the loop's thread. Others, and signal handlers, push onto the inbox, a stack
 * (Treiber's) of which the loop takes all at once and turns it around. There is no ABA: nobody
 * takes single entries.
 */
#ifndef TZ_LOOP_READY_H
#define TZ_LOOP_READY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/job.h"
#include "loop/coroutine.h"

/* A pointer to a job, or one to a coroutine with this bit set; 0: none. */
typedef uintptr_t tz_entry;
#define TZ_ENTRY_COROUTINE ((tz_entry)1)

struct tz_ready_queue {
	tz_entry first;
	tz_entry *last; /* the link to set next */
	volatile bool busy; /* being changed: a signal handler on the loop's thread must leave it alone */
};

static inline tz_entry tz_entry_of_job(const struct tz_job *job)
{
	return (tz_entry)job;
}

static inline tz_entry tz_entry_of_coroutine(const struct tz_coroutine *c)
{
	return (tz_entry)c | TZ_ENTRY_COROUTINE;
}

static inline struct tz_coroutine *tz_entry_coroutine(tz_entry e)
{
	return e & TZ_ENTRY_COROUTINE ? (struct tz_coroutine *)(e ^ TZ_ENTRY_COROUTINE) : NULL;
}

static inline tz_entry *tz_entry_link(tz_entry e)
{
	return e & TZ_ENTRY_COROUTINE
		       ? &((struct tz_coroutine *)(e ^ TZ_ENTRY_COROUTINE))->next_ready
		       : &((struct tz_job *)e)->next_ready;
}

static inline void tz_ready_init(struct tz_ready_queue *r)
{
	r->first = 0;
	r->last = &r->first;
}

static inline void tz_ready_begin(struct tz_ready_queue *r)
{
	r->busy = true;
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void tz_ready_end(struct tz_ready_queue *r)
{
	atomic_signal_fence(memory_order_seq_cst);
	r->busy = false;
}

/* `link` is the entry's. */
static inline void tz_ready_append(struct tz_ready_queue *r, tz_entry e, tz_entry *link)
{
	*link = 0;
	tz_ready_begin(r);
	*r->last = e;
	r->last = link;
	tz_ready_end(r);
}

static inline void tz_ready_push(struct tz_ready_queue *r, tz_entry e)
{
	tz_ready_append(r, e, tz_entry_link(e));
}

static inline void tz_ready_push_job(struct tz_ready_queue *r, struct tz_job *job)
{
	tz_ready_append(r, tz_entry_of_job(job), &job->next_ready);
}

static inline void tz_ready_push_coroutine(struct tz_ready_queue *r, struct tz_coroutine *c)
{
	tz_ready_append(r, tz_entry_of_coroutine(c), &c->next_ready);
}

/* Puts an entry before all others. */
static inline void tz_ready_push_first(struct tz_ready_queue *r, tz_entry e)
{
	tz_entry *link = tz_entry_link(e);

	tz_ready_begin(r);
	*link = r->first;
	if (!r->first)
		r->last = link;
	r->first = e;
	tz_ready_end(r);
}

static inline tz_entry tz_ready_pop(struct tz_ready_queue *r)
{
	tz_entry e = r->first;

	if (!e)
		return 0;
	tz_ready_begin(r);
	r->first = *tz_entry_link(e);
	if (!r->first)
		r->last = &r->first;
	tz_ready_end(r);
	return e;
}

/* Takes the n-th entry from the front, counted from 0; there are more than n. */
static inline tz_entry tz_ready_take(struct tz_ready_queue *r, size_t n)
{
	tz_entry *at = &r->first;

	while (n-- > 0)
		at = tz_entry_link(*at);
	tz_ready_begin(r);
	tz_entry e = *at;

	*at = *tz_entry_link(e);
	if (!*at)
		r->last = at;
	tz_ready_end(r);
	return e;
}

/* Any thread, also in a signal handler. */
static inline void tz_inbox_push(_Atomic tz_entry *inbox, tz_entry e)
{
	tz_entry head = atomic_load_explicit(inbox, memory_order_relaxed);

	do
		*tz_entry_link(e) = head;
	while (!atomic_compare_exchange_weak_explicit(inbox, &head, e, memory_order_release,
						      memory_order_relaxed));
}

/* Moves what is in the inbox to the end of the line, in the order in which it came. */
static inline void tz_inbox_take(_Atomic tz_entry *inbox, struct tz_ready_queue *r)
{
	tz_entry e = atomic_exchange_explicit(inbox, 0, memory_order_acquire), turned = 0, next;

	for (; e; e = next) {
		next = *tz_entry_link(e);
		*tz_entry_link(e) = turned;
		turned = e;
	}
	for (e = turned; e; e = next) {
		next = *tz_entry_link(e);
		tz_ready_push(r, e);
	}
}

#endif
