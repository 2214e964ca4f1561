/* The stacks of one loop's coroutines.
 *
 * A stack's size is a power of two, from 64 KiB to 64 GiB, and is address space: memory is used as
 * deep as it is written, a page at least. The size includes a little at its top; the guard below the
 * stack comes on top of it.
 *
 * Design notes
 *
 * Slabs. Stacks of one size lie one above the other in slabs of 32 MiB, which are aligned to 32 MiB;
 * so an address tells by two table look-ups whether it lies in a slab, and by a division in which
 * stack. A slab is reserved without access and opened in batches of 4 MiB, so that a process under
 * strict overcommit accounting pays for batches only.
 *
 * The distance of two stacks is an odd number of pages. With a power of two, the tops of all stacks
 * would share a few sets of the second-level TLB, and their page-table entries a few sets of the
 * caches, and to switch among a thousand would take three times as long. For the first-level cache,
 * the tops do not all have the same place in their page: sixteen colours, a line apart, within the
 * first KiB, so that a coroutine that is not deep still uses one page.
 *
 * Guards. Below each stack there are pages that fault: 1 page of 64 KiB, 5 of 256, 17 of more. Which
 * way, is the best of these that works, found out with the first batch and again when it fails:
 *   1. MADV_GUARD_INSTALL (Linux 6.13): costs no mapping.
 *   2. mprotect: two mappings each, of which a process may have 65,530; so only up to half of them,
 *      over all loops.
 *   3. none: the pages are a gap which nobody writes, so that they read as zeros, from the zero page.
 *      tz_stack_is_intact looks whether they still do. A loop that has such stacks calls it whenever
 *      a coroutine stops.
 *
 * Free stacks are a stack themselves: the one used last, whose first page is in the cache, is taken
 * next, and neither taking nor giving makes a system call. What was used of a stack beyond 16 KiB
 * stays in memory only for a few of the free ones (4 MiB of stacks for each size). To see whether
 * it was, two lines at that depth are read, which are zero if nothing has been there; from a stack's
 * second use on, as to read fresh memory is a page fault, which a program should not pay whose
 * million tasks run once. tz_stacks_trim gives back more, as the number of stacks in use, at most,
 * decays.
 *
 * The owner of a stack stands at its top, in the line above the first frame, which is in the cache
 * anyway.
 */
#ifndef TZ_LOOP_STACK_H
#define TZ_LOOP_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The part that can be used: no guard and no owner. */
struct tz_stack {
	char *low;
	size_t size;
};

enum tz_guards { TZ_GUARDS_MADVISE, TZ_GUARDS_MPROTECT, TZ_GUARDS_NONE };

/* All stacks of one size. */
struct tz_stack_class {
	uintptr_t *free; /* addresses, the one given last at the end, with flags in the low bits */
	size_t nfree, room;
	size_t used, peak; /* now; and at most since the last trim */
	size_t kept; /* how many a trim leaves, used and free */
	size_t deep; /* free ones with memory beyond the first 16 KiB */
	struct tz_slab *slabs;
};

enum { TZ_STACK_LEAST = 16, TZ_STACK_MOST = 36, TZ_STACK_CLASSES = 4 + TZ_STACK_MOST - 21 };

/* All-zero is valid. Only its loop's thread uses it. */
struct tz_stacks {
	struct tz_stack_class classes[TZ_STACK_CLASSES];
	enum tz_guards guards;
	size_t unguarded; /* stacks whose guard is a gap only */
};

/* The size that a program gets which does not ask for one. */
#define TZ_STACK_DEFAULT ((size_t)256 * 1024)

/* Takes a stack of at least that size; 0 for the default. 0, -ENOMEM, or -EINVAL
 * over 64 GiB. */
int tz_stack_take(struct tz_stacks *stacks, size_t size, struct tz_stack *ret);
void tz_stack_give(struct tz_stacks *stacks, struct tz_stack stack);

/* Gives back memory of free stacks that were not needed for a while; for a loop to call every few
 * seconds, or when it has nothing to do. True if there is more to give back at a later call. */
bool tz_stacks_trim(struct tz_stacks *stacks);

/* Gives back everything. No stack is in use. */
void tz_stacks_done(struct tz_stacks *stacks);

/* Whose stack it is, until it is given. */
void tz_stack_own(const struct tz_stack *stack, void *owner);

/* Of any address: true, and the stack and its owner (NULL if it is free), if it lies in a stack of
 * any loop or in its guard. Async-signal-safe. */
bool tz_stack_find(const void *address, struct tz_stack *ret_stack, void **ret_owner);

/* Its owner, or NULL. Async-signal-safe. */
void *tz_stack_owner_of(const void *address);

/* The size that was asked for, rounded up. */
size_t tz_stack_full_size(const struct tz_stack *stack);

/* How deep it was used, in bytes, since its memory was last fresh. */
size_t tz_stack_used(const struct tz_stack *stack);

bool tz_stack_gap_is_intact(const struct tz_stack *stack);

/* Whether nothing was written below the stack, as far as that is not for a guard to say. */
static inline bool tz_stack_is_intact(const struct tz_stacks *stacks, const struct tz_stack *stack)
{
	return !stacks->unguarded || tz_stack_gap_is_intact(stack);
}

/* For tests: the best kind of guard that new loops try. */
extern enum tz_guards tz_guards_at_best;

#endif
