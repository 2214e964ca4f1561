/* A worker's stack of forks: a split deque.
 *
 * Design notes
 *
 * The slots lie in an array. The owner pushes and pops at `head`. Slots below `split` are public: thieves take the oldest of them, at
 * `tail`. Slots from `split` on are the owner's alone: pushing and popping them is plain loads and stores (fork.h, inline in the user's code).
 *
 *     0 ... tail          stolen
 *     tail ... split      public: thieves and, by shrinking, the owner
 *     split ... head      private
 *
 * tail and split lie in one word, {tail:24 | split:24 | tag:16}. Thieves add 1 to tail by compare-and-swap; all else is done by the owner:
 *
 *   publish   a hungry thief has set `request`: split moves up by half of the private part (rounded up); release, so that a thief that
 *             acquires the word sees the slots. Then a seq_cst fence before looking for sleepers, which pairs with the fence of a worker that goes to
 *             sleep (pool_sleep.c).
 *   shrink    join found its slot public: split moves down to half of what is public, at most to the slot, by compare-and-swap on the word
 *             that thieves change too, so no fence is needed. If tail has passed the slot, it is stolen.
 *   reset     a stolen slot has been waited for: tail = split = its index.
 *
 * The tag goes up with each change by the owner, so that a thief's compare-and-swap fails if the word went away and came back (indices recur, the
 * slots behind them do not). That also makes it safe to look at a word, then at something else, and then steal: leapfrogging does.
 *
 * A thief runs a slot in place: it reads the arguments from it and writes the result to it. `done` goes 0 -> 1 by the thief as its last touch;
 * if the joiner sleeps, it found 2 and wakes it. Waiting for a stolen slot, the joiner leapfrogs: it steals back from its thief, and only
 * what that thief has forked since it began on the slot (its position is in slot->thief), that is, descendants of what is waited for. So no
 * foreign code runs on a waiter's stack, and stacks grow no deeper than in a serial run.
 *
 * Joins out of order. The slot of a join that is not the youngest is made private (or waited for) and its `run` replaced by a tombstone, which
 * is dropped when it comes to the top.
 */
#ifndef TZ_SCHED_FORKS_H
#define TZ_SCHED_FORKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <trenza/fork.h>

struct tz_strand;
struct tz_frame;

enum { TZ_FORK_SLOTS = 1 << 13 };

struct tz_fork_stack {
	struct tz__forks owner; /* first: what fork.h sees */
	struct tz__slot *slots;
	struct tz_strand *strand; /* of the owner */
	void *worker; /* the owner */
	int index; /* the owner's */
	_Alignas(64) _Atomic uint64_t word;
};

int tz_fork_stack_init(struct tz_fork_stack *stack, struct tz_strand *strand, void *worker,
		       int index);
void tz_fork_stack_done(struct tz_fork_stack *stack);

/* Takes the oldest public slot of `victim` for a thief with that stack; NULL if there is none, after asking for one. `min`: take none below
 * that index; `while_running`: take none once that slot is done. */
struct tz__slot *tz_fork_steal(struct tz_fork_stack *victim, struct tz_fork_stack *thief,
			       uint32_t min, struct tz__slot *while_running);

/* Runs a slot that was stolen from `victim`, and hands it back. */
void tz_fork_run_stolen(struct tz_fork_stack *victim, struct tz_fork_stack *thief,
			struct tz__slot *slot);

/* Whether a thief could steal here now. */
bool tz_fork_has_public(struct tz_fork_stack *stack);

/* Lets others steal all of it: the owner is about to block. */
void tz_fork_publish_all(struct tz_fork_stack *stack);

/* Joins all slots above `mark`, which a job left behind. */
void tz_fork_join_rest(struct tz_fork_stack *stack, struct tz__slot *mark);

/* Of the pool: wakes a worker for work that the caller has just made stealable, and finds a worker's stack by its index. */
void tz_pool_wake_for_forks(void *worker);
struct tz_fork_stack *tz_pool_fork_stack(void *worker, int index);

#endif
