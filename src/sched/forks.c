/* A worker's stack of forks. The protocol is described in forks.h. */
#include "sched/forks.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/frame.h"
#include "core/scope.h"
#include "core/spin.h"
#include "core/strand.h"
#include "os/cpu.h"

enum { SLOT_TODO = 0, SLOT_DONE = 1, SLOT_AWAITED = 2 };

/* How long a joiner looks for something to steal back before it sleeps. */
enum { LEAPFROG_US = 20, LEAPFROG_PAUSES = 32 };

static uint32_t tail_of(uint64_t w)
{
	return (uint32_t)(w & 0xffffff);
}

static uint32_t split_of(uint64_t w)
{
	return (uint32_t)(w >> 24 & 0xffffff);
}

/* The word after a change by the owner. */
static uint64_t owners_word(uint64_t old, uint32_t tail, uint32_t split)
{
	return (uint64_t)tail | (uint64_t)split << 24 | (((old >> 48) + 1) & 0xffff) << 48;
}

static struct tz_fork_stack *stack_of(struct tz__forks *forks)
{
	return (struct tz_fork_stack *)(void *)forks;
}

static uint32_t index_of(const struct tz_fork_stack *st, const struct tz__slot *slot)
{
	return (uint32_t)(slot - st->slots);
}

int tz_fork_stack_init(struct tz_fork_stack *st, struct tz_strand *strand, void *worker, int index)
{
	struct tz__slot *slots = mmap(NULL, TZ_FORK_SLOTS * sizeof *slots, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (slots == MAP_FAILED)
		return -ENOMEM;
	st->owner.head = st->owner.split = slots;
	st->owner.limit = slots + TZ_FORK_SLOTS;
	st->owner.request = 0;
	st->slots = slots;
	st->strand = strand;
	st->worker = worker;
	st->index = index;
	atomic_store_explicit(&st->word, 0, memory_order_relaxed);
	return 0;
}

void tz_fork_stack_done(struct tz_fork_stack *st)
{
	if (st->slots)
		(void)munmap(st->slots, TZ_FORK_SLOTS * sizeof *st->slots);
	st->slots = NULL;
}

/* --- the owner: publish ------------------------------------------------------------------------------------------------ */

/* The frame of each slot that becomes public: the innermost one that began at or below it. */
static void stamp(struct tz_fork_stack *st, uint32_t from, uint32_t to)
{
	struct tz_frame *frame = st->strand->frame;

	for (uint32_t i = to; i-- > from;) {
		while (frame && frame->fork_mark > &st->slots[i])
			frame = frame->outer;
		st->slots[i].frame = frame;
		__atomic_store_n(&st->slots[i].done, SLOT_TODO, __ATOMIC_RELAXED);
		__atomic_store_n(&st->slots[i].thief, 0, __ATOMIC_RELAXED);
	}
}

static void publish(struct tz_fork_stack *st, uint32_t split)
{
	uint64_t w = atomic_load_explicit(&st->word, memory_order_relaxed);

	stamp(st, split_of(w), split);
	while (!atomic_compare_exchange_weak_explicit(&st->word, &w,
						      owners_word(w, tail_of(w), split),
						      memory_order_release, memory_order_relaxed))
		;
	st->owner.split = &st->slots[split];
	__atomic_store_n(&st->owner.request, 0, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_seq_cst);
	tz_pool_wake_for_forks(st->worker);
}

void tz__fork_publish(struct tz__forks *forks)
{
	struct tz_fork_stack *st = stack_of(forks);
	uint32_t head = index_of(st, forks->head), split = index_of(st, forks->split);

	publish(st, split + (head - split + 1) / 2);
}

void tz_fork_publish_all(struct tz_fork_stack *st)
{
	if (st->owner.head > st->owner.split)
		publish(st, index_of(st, st->owner.head));
}

/* --- thieves --------------------------------------------------------------------------------------------------------------- */

bool tz_fork_has_public(struct tz_fork_stack *st)
{
	uint64_t w = atomic_load_explicit(&st->word, memory_order_relaxed);

	return tail_of(w) < split_of(w);
}

struct tz__slot *tz_fork_steal(struct tz_fork_stack *victim, struct tz_fork_stack *thief,
			       uint32_t min, struct tz__slot *while_running)
{
	uint64_t w = atomic_load_explicit(&victim->word, memory_order_acquire);
	uint32_t t = tail_of(w);

	if (t >= split_of(w)) {
		if (__atomic_load_n(&victim->owner.request, __ATOMIC_RELAXED) == 0)
			__atomic_store_n(&victim->owner.request, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	if (t < min)
		return NULL;
	/* If it is not done now, what the word said above was forked for it, and the tag keeps the word honest. */
	if (while_running && __atomic_load_n(&while_running->done, __ATOMIC_ACQUIRE) == SLOT_DONE)
		return NULL;
	if (!atomic_compare_exchange_strong_explicit(&victim->word, &w, w + 1, memory_order_acq_rel,
						     memory_order_relaxed))
		return NULL;
	struct tz__slot *slot = &victim->slots[t];

	__atomic_store_n(&slot->thief,
			 (uint32_t)(thief->index + 1) << 16 | index_of(thief, thief->owner.head),
			 __ATOMIC_RELEASE);
	return slot;
}

/* Ends a stolen slot: the last touch of it. The owner's frame cannot end before. */
static void hand_back(struct tz_fork_stack *victim, struct tz__slot *slot)
{
	struct tz_strand *joiner = victim->strand;

	if (__atomic_exchange_n(&slot->done, SLOT_DONE, __ATOMIC_ACQ_REL) == SLOT_AWAITED)
		tz_strand_unpark(joiner);
}

static void give_failure(struct tz_frame *to, struct tz_frame *from)
{
	struct tz_failure *none = NULL, *f = from->failure;

	if (!from->failed)
		return;
	if (!f)
		f = tz_failure_new(from->code, "in a forked call; no memory for its message");
	if (f && from->cursor)
		f->element = (size_t)(uintptr_t)from->cursor->at;
	if (f && !atomic_compare_exchange_strong_explicit(
			 &to->fork_failure, &none, f, memory_order_release, memory_order_relaxed))
		free(f); /* another one was first */
}

struct stolen {
	struct tz_frame frame;
	struct tz_fork_stack *victim, *thief;
	struct tz__slot *slot;
	struct tz_frame *owner;
	struct tz_cursor cursor; /* of the owner's map, as it was */
	bool borrowed, returned;
};

static void end_stolen(struct stolen *s)
{
	struct tz_strand *strand = s->thief->strand;

	if (__builtin_expect(!s->returned, 0))
		tz_frame_unwound(&s->frame);
	tz_frame_join_forks(&s->frame, strand);
	tz_frame_settle(&s->frame, strand, !s->returned);
	tz_frame_leave(&s->frame, strand);
	if (s->frame.inherits)
		tz_frame_unbind(&s->frame, strand);
	strand->borrows = s->borrowed;
	if (s->owner)
		give_failure(s->owner, &s->frame);
	else
		free(s->frame.failure);
	hand_back(s->victim, s->slot);
}

/* What the forking job was given to begin with: what it has bound since is its strand's. */
static struct tz_bindings *inherited_by(const struct tz_frame *owner)
{
	const struct tz_job *job = owner ? owner->job : NULL;

	return job && job->options ? tz_bindings_ref(job->options->bindings) : NULL;
}

void tz_fork_run_stolen(struct tz_fork_stack *victim, struct tz_fork_stack *thief,
			struct tz__slot *slot)
{
	struct tz_strand *strand = thief->strand;
	struct stolen s __attribute__((cleanup(end_stolen))) = {
		.victim = victim,
		.thief = thief,
		.slot = slot,
		.owner = slot->frame,
		.borrowed = strand->borrows,
	};

	tz_frame_enter(&s.frame, strand, s.owner ? s.owner->job : NULL, tz_never(), thief->index);
	if (tz_bindings_are_used())
		tz_frame_bind(&s.frame, strand, inherited_by(s.owner));
	s.frame.scope.tz__parent = s.owner ? &s.owner->scope : NULL;
	if (s.owner && s.owner->cursor) {
		/* In a map, the fork belongs to the element that runs now: it waits for its forks before it ends. */
		s.cursor.at = __atomic_load_n(&s.owner->cursor->at, __ATOMIC_RELAXED);
		s.frame.cursor = &s.cursor;
	}
	strand->borrows = true;
	slot->run(&slot->data);
	s.returned = true;
}

/* --- the owner: join --------------------------------------------------------------------------------------------------------- */

static void tombstone(void *data)
{
	(void)data;
}

/* Makes the slot private, and with it what lies above: true; or false if it is stolen. */
static bool take_back(struct tz_fork_stack *st, uint32_t index)
{
	uint64_t w = atomic_load_explicit(&st->word, memory_order_relaxed);

	if (&st->slots[index] >= st->owner.split)
		return true;
	for (;;) {
		uint32_t t = tail_of(w), split;

		if (t > index)
			return false;
		split = (t + index + 1) / 2;
		if (atomic_compare_exchange_weak_explicit(&st->word, &w, owners_word(w, t, split),
							  memory_order_acq_rel,
							  memory_order_relaxed)) {
			st->owner.split = &st->slots[split];
			return true;
		}
	}
}

static bool steal_back(struct tz_fork_stack *st, struct tz__slot *slot)
{
	uint32_t who = __atomic_load_n(&slot->thief, __ATOMIC_ACQUIRE);

	if (who == 0)
		return false; /* it has just been taken */
	struct tz_fork_stack *thief = tz_pool_fork_stack(st->worker, (int)(who >> 16) - 1);
	struct tz__slot *theirs = tz_fork_steal(thief, st, who & 0xffff, slot);

	if (!theirs)
		return false;
	tz_fork_run_stolen(thief, st, theirs);
	return true;
}

static bool is_done(struct tz__slot *slot)
{
	return __atomic_load_n(&slot->done, __ATOMIC_ACQUIRE) == SLOT_DONE;
}

static void sleep_until_done(struct tz_fork_stack *st, struct tz__slot *slot)
{
	uint32_t todo = SLOT_TODO;

	if (!__atomic_compare_exchange_n(&slot->done, &todo, SLOT_AWAITED, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return;
	tz_fork_publish_all(st);
	while (!is_done(slot))
		tz_strand_park_deaf(st->strand);
}

static void wait_for_stolen(struct tz_fork_stack *st, struct tz__slot *slot)
{
	struct tz_spin spin = tz_spin_begin(LEAPFROG_US * tz_clock_ticks_per_us());

	while (!is_done(slot)) {
		if (steal_back(st, slot)) {
			spin = tz_spin_begin(LEAPFROG_US * tz_clock_ticks_per_us());
			continue;
		}
		if (!tz_spin_turn(&spin, LEAPFROG_PAUSES)) {
			sleep_until_done(st, slot);
			break;
		}
	}
}

/* A stolen slot is done: it and what lies below it are not public any more. */
static void reset(struct tz_fork_stack *st, uint32_t index)
{
	uint64_t w = atomic_load_explicit(&st->word, memory_order_relaxed);

	/* Nobody else changes the word: tail has passed all that was public, or everything above has been joined. */
	atomic_store_explicit(&st->word, owners_word(w, index, index), memory_order_release);
	st->owner.split = &st->slots[index];
}

/* Pops the youngest slot: true if the caller is to run it. */
static bool pop(struct tz_fork_stack *st, struct tz__slot *slot)
{
	uint32_t index = index_of(st, slot);
	bool ours = take_back(st, index);

	if (!ours) {
		wait_for_stolen(st, slot);
		reset(st, index);
	}
	st->owner.head = slot;
	return ours;
}

static void drop_tombstones(struct tz_fork_stack *st)
{
	while (st->owner.head > st->slots && st->owner.head[-1].run == tombstone)
		(void)pop(st, st->owner.head - 1);
}

/* Joins a slot that is not the youngest. */
static bool join_below(struct tz_fork_stack *st, struct tz__slot *slot)
{
	bool ours = take_back(st, index_of(st, slot));

	if (!ours)
		wait_for_stolen(st, slot);
	slot->run = tombstone;
	return ours;
}

int tz__fork_join(struct tz__slot *slot)
{
	struct tz_fork_stack *st = stack_of(tz__forks_self);

	if (st->owner.head != slot + 1)
		drop_tombstones(st);
	return st->owner.head == slot + 1 ? pop(st, slot) : join_below(st, slot);
}

void tz_fork_join_rest(struct tz_fork_stack *st, struct tz__slot *mark)
{
	while (st->owner.head > mark) {
		struct tz__slot *slot = st->owner.head - 1;

		if (pop(st, slot))
			slot->run(&slot->data);
	}
}
