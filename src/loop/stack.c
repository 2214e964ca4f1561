/* The stacks of one loop's coroutines. See stack.h. */
#include "loop/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/sanitizer.h"

#ifdef __has_include
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define VALGRIND_IS_KNOWN 1
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif

#ifndef MADV_GUARD_INSTALL /* Linux 6.13 */
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MADV_POPULATE_READ /* Linux 5.14 */
#define MADV_POPULATE_READ 22
#endif
#ifndef PIDFD_SELF_THREAD_GROUP /* Linux 6.14 */
#define PIDFD_SELF_THREAD_GROUP (-10001)
#endif

#define UNIT_SHIFT 25
#define UNIT ((size_t)1 << UNIT_SHIFT)
#define BATCH ((size_t)4 << 20)
#define SHALLOW ((size_t)16 << 10) /* memory that a free stack may always keep */
#define DEEP_KEPT \
	((size_t)4 << 20) /* bytes of free stacks of one size that may keep what is deeper */
#define GUARD_MOST ((size_t)64 << 10)

enum { LEAST_PAGE = 4096, LINE = 64, COLOURS = 16, PROBE = 128 };

/* Flags of free stacks. */
enum { DEEP = 1, FRESH = 2, FLAGS = 3 }; /* memory beyond SHALLOW; no memory at all */

struct tz_slab {
	struct tz_slab *next;
	char *base;
	size_t size;
	unsigned shift; /* of its stacks' size */
	size_t stride; /* from one to the next */
	size_t all; /* stacks that fit in */
	_Atomic size_t opened; /* stacks from base on */
	size_t guarded; /* the first ones have a guard, the others a gap */
	size_t nprotected; /* stacks guarded by mprotect */
	size_t free; /* counted by trim */
	bool closing; /* by trim */
	unsigned *tool_ids; /* under valgrind: one for each stack, or NULL */
};

enum tz_guards tz_guards_at_best = TZ_GUARDS_MADVISE;

/* Guards made by mprotect in this process. */
static _Atomic long protected_guards;

/* --- sizes --- */

static unsigned shift_of_class(unsigned c)
{
	return c < 3 ? TZ_STACK_LEAST + 2 * c : TZ_STACK_LEAST + 2 + c;
}

static unsigned class_of_shift(unsigned shift)
{
	return shift < 21 ? (shift - TZ_STACK_LEAST + 1) / 2 : shift - TZ_STACK_LEAST - 2;
}

/* The exponent of the least power of two that is no less. */
static unsigned ceil_log2(size_t n)
{
	return n < 2 ? 0 : (unsigned)(sizeof(long) * 8) - (unsigned)__builtin_clzl(n - 1);
}

static size_t page_size(void)
{
	static _Atomic size_t known;
	size_t page = atomic_load_explicit(&known, memory_order_relaxed);

	if (!page) {
		page = (size_t)sysconf(_SC_PAGESIZE);
		atomic_store_explicit(&known, page, memory_order_relaxed);
	}
	return page;
}

/* An odd number of pages, so that the distance of two stacks is odd too. */
static size_t guard_size(unsigned shift)
{
	size_t page = page_size(), size = (size_t)1 << (shift - 4);

	if (size > GUARD_MOST)
		size = GUARD_MOST;
	return size / page % 2 ? size / page * page : (size / page + 1) * page;
}

/* From one stack's guard to the next one's. */
static size_t stride(unsigned shift)
{
	return ((size_t)1 << shift) + guard_size(shift);
}

/* A stack of a size from the lowest address of its guard. The words above `size` are its top. */
static struct tz_stack stack_at(uintptr_t base, unsigned shift)
{
	size_t colour = base / LEAST_PAGE % COLOURS * LINE;

	return (struct tz_stack){ (char *)base + guard_size(shift),
				  ((size_t)1 << shift) - colour - LINE };
}

/* The usable part is more than half of the size. */
static unsigned shift_of(const struct tz_stack *stack)
{
	return ceil_log2(stack->size);
}

static uintptr_t base_of(const struct tz_stack *stack, unsigned shift)
{
	return (uintptr_t)stack->low - guard_size(shift);
}

/* What stands in the line above a stack. */
struct top {
	_Atomic(void *) owner;
	size_t uses; /* since its memory was fresh, without the present one */
};

static struct top *top_of(const struct tz_stack *stack)
{
	return (struct top *)(stack->low + stack->size);
}

/* --- which slab an address lies in: a table of tables, by the address's bits 25 to 47 --- */

enum { LEAF_BITS = 11, LEAF = 1 << LEAF_BITS, TOP = 1 << (48 - UNIT_SHIFT - LEAF_BITS) };

struct leaf {
	_Atomic(struct tz_slab *) slabs[LEAF];
};
static _Atomic(struct leaf *) tz_stack_leaves[TOP]; /* trenza-gdb.py reads it */

static struct tz_slab *slab_of(const void *address)
{
	uintptr_t unit = (uintptr_t)address >> UNIT_SHIFT;
	struct leaf *leaf;

	if (unit >> LEAF_BITS >= TOP)
		return NULL;
	leaf = atomic_load_explicit(&tz_stack_leaves[unit >> LEAF_BITS], memory_order_acquire);
	return leaf ? atomic_load_explicit(&leaf->slabs[unit % LEAF], memory_order_acquire) : NULL;
}

/* Leaves are never given back: 16 KiB for 64 GiB of address space. */
static struct leaf *leaf_for(uintptr_t unit)
{
	_Atomic(struct leaf *) *at = &tz_stack_leaves[unit >> LEAF_BITS];
	struct leaf *leaf = atomic_load_explicit(at, memory_order_acquire), *made;

	if (leaf)
		return leaf;
	made = calloc(1, sizeof *made);
	if (!made)
		return NULL;
	if (atomic_compare_exchange_strong_explicit(at, &leaf, made, memory_order_acq_rel,
						    memory_order_acquire))
		return made;
	free(made); /* another thread was first */
	return leaf;
}

static void forget_slab(const struct tz_slab *slab)
{
	uintptr_t first = (uintptr_t)slab->base >> UNIT_SHIFT;

	for (uintptr_t unit = first; unit < first + (slab->size >> UNIT_SHIFT); unit++) {
		struct leaf *leaf = tz_stack_leaves[unit >> LEAF_BITS];

		if (leaf)
			atomic_store_explicit(&leaf->slabs[unit % LEAF], NULL,
					      memory_order_release);
	}
}

static int enter_slab(struct tz_slab *slab)
{
	uintptr_t first = (uintptr_t)slab->base >> UNIT_SHIFT;
	uintptr_t end = first + (slab->size >> UNIT_SHIFT);

	if ((end - 1) >> LEAF_BITS >= TOP)
		return -ENOMEM; /* beyond what the table covers */
	for (uintptr_t unit = first; unit < end; unit++) {
		struct leaf *leaf = leaf_for(unit);

		if (!leaf) {
			forget_slab(slab);
			return -ENOMEM;
		}
		atomic_store_explicit(&leaf->slabs[unit % LEAF], slab, memory_order_release);
	}
	return 0;
}

/* --- what valgrind and the address sanitizer are told --- */

#ifdef VALGRIND_IS_KNOWN

static _Atomic bool on_valgrind;

static void tools_begin(struct tz_slab *slab, size_t from, size_t to)
{
	if (!RUNNING_ON_VALGRIND)
		return;
	atomic_store_explicit(&on_valgrind, true, memory_order_relaxed);
	if (!slab->tool_ids)
		slab->tool_ids = calloc(slab->all, sizeof *slab->tool_ids);
	for (size_t i = from; slab->tool_ids && i < to; i++) {
		struct tz_stack s = stack_at((uintptr_t)slab->base + i * slab->stride, slab->shift);

		slab->tool_ids[i] = VALGRIND_STACK_REGISTER(s.low, s.low + s.size);
	}
}

static void tools_end(struct tz_slab *slab)
{
	if (slab->tool_ids)
		for (size_t i = 0; i < slab->opened; i++)
			VALGRIND_STACK_DEREGISTER(slab->tool_ids[i]);
	free(slab->tool_ids);
#if TZ_ASAN
	__asan_unpoison_memory_region(slab->base, slab->opened * slab->stride);
#endif
}

/* Frames that were given up may be read. */
static void tools_forget_frames(const struct tz_stack *stack)
{
	if (__builtin_expect(atomic_load_explicit(&on_valgrind, memory_order_relaxed), 0))
		(void)VALGRIND_MAKE_MEM_DEFINED(stack->low, stack->size);
}

#else

static void tools_begin(struct tz_slab *slab, size_t from, size_t to)
{
	(void)slab;
	(void)from;
	(void)to;
}

static void tools_end(struct tz_slab *slab)
{
	(void)slab;
#if TZ_ASAN
	__asan_unpoison_memory_region(slab->base, slab->opened * slab->stride);
#endif
}

static void tools_forget_frames(const struct tz_stack *stack)
{
	(void)stack;
}

#endif

/* --- slabs --- */

static void *reserve(void *hint, size_t size)
{
	void *at = mmap(hint, size, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* Address space aligned to UNIT: beside the slab before, with luck; else cut from more. */
static char *reserve_aligned(char *beside, size_t size)
{
	char *at = reserve(beside && (uintptr_t)beside > size ? beside - size : NULL, size);
	size_t before, after;

	if (!at || (uintptr_t)at % UNIT == 0)
		return at;
	(void)munmap(at, size);
	at = reserve(NULL, size + UNIT);
	if (!at)
		return NULL;
	before = (UNIT - (uintptr_t)at % UNIT) % UNIT;
	after = UNIT - before;
	if (before)
		(void)munmap(at, before);
	if (after)
		(void)munmap(at + before + size, after);
	return at + before;
}

static void close_slab(struct tz_stacks *stacks, struct tz_slab *slab)
{
	forget_slab(slab);
	tools_end(slab);
	stacks->unguarded -= slab->opened - slab->guarded;
	atomic_fetch_sub_explicit(&protected_guards, (long)slab->nprotected, memory_order_relaxed);
	(void)munmap(slab->base, slab->size);
	free(slab);
}

static struct tz_slab *open_slab(struct tz_stacks *stacks, unsigned shift,
				 const struct tz_slab *before)
{
	struct tz_slab *slab = calloc(1, sizeof *slab);

	if (!slab)
		return NULL;
	slab->shift = shift;
	slab->stride = stride(shift);
	slab->size = ((size_t)1 << shift < UNIT ? 2 : 1) * slab->stride;
	slab->size = (slab->size + UNIT - 1) / UNIT * UNIT;
	slab->all = slab->size / slab->stride;
	slab->base = reserve_aligned(before ? before->base : NULL, slab->size);
	if (!slab->base) {
		free(slab);
		return NULL;
	}
	(void)madvise(slab->base, slab->size, MADV_NOHUGEPAGE); /* or a stack would use 2 MiB */
	if (enter_slab(slab) < 0) {
		close_slab(stacks, slab);
		return NULL;
	}
	return slab;
}

/* --- guards --- */

enum { AT_ONCE = 64 };

/* As in advice, an emulated kernel may say that it did what it does not know: no guard if it can be read. */
static bool is_guard(void *page)
{
	return madvise(page, page_size(), MADV_POPULATE_READ) < 0 && errno == EFAULT;
}

static bool guard_by_madvise(char *at, size_t n, unsigned shift)
{
	size_t guard = guard_size(shift), done = 0;
	struct iovec parts[AT_ONCE];

	for (size_t i = 0; i < n; i++)
		parts[i] = (struct iovec){ at + i * stride(shift), guard };
#ifdef SYS_process_madvise
	if (!RUNNING_ON_VALGRIND && /* which does not know it */
	    syscall(SYS_process_madvise, PIDFD_SELF_THREAD_GROUP, parts, n, MADV_GUARD_INSTALL,
		    0) == (long)(n * guard))
		done = n;
#endif
	while (done < n && madvise(parts[done].iov_base, guard, MADV_GUARD_INSTALL) == 0)
		done++;
	if (done == n && is_guard(at))
		return true;
	while (done > 0)
		(void)madvise(parts[--done].iov_base, guard, MADV_GUARD_REMOVE);
	return false;
}

/* How many guards mprotect may make: half of what the mappings allow, at two each. */
static long guard_budget(void)
{
	static _Atomic long known;
	long budget = atomic_load_explicit(&known, memory_order_relaxed);
	char text[24];
	ssize_t n;
	int fd;

	if (budget)
		return budget;
	budget = 65530;
	fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof text - 1);
		(void)close(fd);
		if (n > 0) {
			text[n] = '\0';
			budget = strtol(text, NULL, 10);
		}
	}
	budget = budget / 4 + 1;
	atomic_store_explicit(&known, budget, memory_order_relaxed);
	return budget;
}

static bool guard_by_mprotect(char *at, size_t n, unsigned shift)
{
	size_t done = 0;

	if (atomic_fetch_add_explicit(&protected_guards, (long)n, memory_order_relaxed) + (long)n <=
	    guard_budget())
		while (done < n &&
		       mprotect(at + done * stride(shift), guard_size(shift), PROT_NONE) == 0)
			done++;
	if (done == n)
		return true;
	while (done > 0)
		(void)mprotect(at + --done * stride(shift), guard_size(shift),
			       PROT_READ | PROT_WRITE);
	atomic_fetch_sub_explicit(&protected_guards, (long)n, memory_order_relaxed);
	return false;
}

/* Guards n stacks as well as can be. */
static void guard(struct tz_stacks *stacks, struct tz_slab *slab, size_t from, size_t n)
{
	char *at = slab->base + from * slab->stride;

	if (stacks->guards < tz_guards_at_best)
		stacks->guards = tz_guards_at_best;
	if (stacks->guards == TZ_GUARDS_MADVISE && !guard_by_madvise(at, n, slab->shift))
		stacks->guards = TZ_GUARDS_MPROTECT;
	if (stacks->guards == TZ_GUARDS_MPROTECT && !guard_by_mprotect(at, n, slab->shift))
		stacks->guards = TZ_GUARDS_NONE;
	if (stacks->guards == TZ_GUARDS_NONE)
		stacks->unguarded += n;
	else
		slab->guarded = from + n;
	if (stacks->guards == TZ_GUARDS_MPROTECT)
		slab->nprotected += n;
}

/* --- opening more stacks --- */

static bool make_room(struct tz_stack_class *class, size_t more)
{
	size_t need = class->used + class->nfree + more, room = class->room ? class->room : 64;
	uintptr_t *free;

	if (need <= class->room)
		return true;
	while (room < need)
		room *= 2;
	free = realloc(class->free, room * sizeof *free);
	if (!free)
		return false;
	class->free = free;
	class->room = room;
	return true;
}

/* Makes a batch of the slab usable. */
static int open_batch(struct tz_stacks *stacks, struct tz_stack_class *class, struct tz_slab *slab)
{
	size_t one = slab->stride, n = one < BATCH ? BATCH / one : 1;
	size_t from = atomic_load_explicit(&slab->opened, memory_order_relaxed);
	char *at = slab->base + from * one;

	if (n > slab->all - from)
		n = slab->all - from;
	if (!make_room(class, n) || mprotect(at, n * one, PROT_READ | PROT_WRITE) < 0)
		return -ENOMEM;
	guard(stacks, slab, from, n);
	tools_begin(slab, from, from + n);
	atomic_store_explicit(&slab->opened, from + n, memory_order_release);
	/* The lowest is taken first. */
	for (size_t i = n; i > 0; i--)
		class->free[class->nfree++] = ((uintptr_t)at + (i - 1) * one) | FRESH;
	return 0;
}

static int open_more(struct tz_stacks *stacks, unsigned c)
{
	struct tz_stack_class *class = &stacks->classes[c];
	struct tz_slab *slab = class->slabs;

	if (!slab || slab->opened == slab->all) {
		slab = open_slab(stacks, shift_of_class(c), slab);
		if (!slab)
			return -ENOMEM;
		slab->next = class->slabs;
		class->slabs = slab;
	}
	return open_batch(stacks, class, slab);
}

/* --- taking and giving --- */

static unsigned class_for(size_t size)
{
	unsigned shift, c;

	if (!size)
		size = TZ_STACK_DEFAULT;
	shift = ceil_log2(size);
	c = class_of_shift(shift < TZ_STACK_LEAST ? TZ_STACK_LEAST : shift);
	return c;
}

int tz_stack_take(struct tz_stacks *stacks, size_t size, struct tz_stack *ret)
{
	struct tz_stack_class *class;
	uintptr_t taken;
	unsigned c;

	if (size > (size_t)1 << TZ_STACK_MOST)
		return -EINVAL;
	c = class_for(size);
	class = &stacks->classes[c];
	if (__builtin_expect(class->nfree == 0, 0)) {
		int r = open_more(stacks, c);

		if (r < 0)
			return r;
	}
	taken = class->free[--class->nfree];
	class->deep -= taken & DEEP;
	if (++class->used > class->peak)
		class->peak = class->used;
	*ret = stack_at(taken & ~(uintptr_t)FLAGS, shift_of_class(c));
	return 0;
}

/* Whether something was written about 16 KiB below the top; not where in its page the top lies, or
 * the processor might take these loads for ones of what was just stored there. */
static TZ_NO_SANITIZE bool was_deep(const char *end)
{
	const uint64_t *w = (const uint64_t *)(end - SHALLOW - 2048);
	uint64_t any = 0;

	for (size_t i = 0; i < PROBE / sizeof *w; i += 4)
		any |= (w[i] | w[i + 1]) | (w[i + 2] | w[i + 3]);
	return any != 0;
}

/* Gives the memory back but for the topmost `keep` bytes, which is a number of pages. */
static void release(uintptr_t base, unsigned shift, size_t keep)
{
	size_t size = (size_t)1 << shift;

	if (size > keep)
		(void)madvise((char *)base + guard_size(shift), size - keep, MADV_DONTNEED);
}

static size_t shallow(void)
{
	return SHALLOW < page_size() ? page_size() : SHALLOW;
}

void tz_stack_give(struct tz_stacks *stacks, struct tz_stack stack)
{
	unsigned shift = shift_of(&stack);
	struct tz_stack_class *class = &stacks->classes[class_of_shift(shift)];
	uintptr_t base = base_of(&stack, shift), flags = 0;
	struct top *top = top_of(&stack);

	atomic_store_explicit(&top->owner, NULL, memory_order_relaxed);
	tools_forget_frames(&stack);
	if (top->uses++ > 0 && __builtin_expect(was_deep((char *)base + stride(shift)), 0)) {
		if (class->deep < DEEP_KEPT >> shift) {
			class->deep++;
			flags = DEEP;
		} else {
			release(base, shift, shallow());
		}
	}
	class->used--;
	class->free[class->nfree++] = base | flags;
}

/* --- giving memory back --- */

/* Closes whole slabs, of at most that many free stacks; how many are left of these. */
static size_t close_free_slabs(struct tz_stacks *stacks, struct tz_stack_class *class, size_t most)
{
	size_t n = 0;

	for (struct tz_slab *slab = class->slabs; slab; slab = slab->next) {
		size_t all = slab->opened;

		slab->closing = slab->free == all && all <= most;
		if (slab->closing)
			most -= all;
	}
	for (size_t i = 0; i < class->nfree; i++) {
		if (slab_of((void *)(class->free[i] & ~(uintptr_t)FLAGS))->closing)
			class->deep -= class->free[i] & DEEP;
		else
			class->free[n++] = class->free[i];
	}
	class->nfree = n;
	for (struct tz_slab **at = &class->slabs; *at;) {
		struct tz_slab *slab = *at;

		if (!slab->closing) {
			at = &slab->next;
			continue;
		}
		*at = slab->next;
		close_slab(stacks, slab);
	}
	return most;
}

static void count_free(struct tz_stack_class *class)
{
	for (struct tz_slab *slab = class->slabs; slab; slab = slab->next)
		slab->free = 0;
	for (size_t i = 0; i < class->nfree; i++)
		slab_of((void *)(class->free[i] & ~(uintptr_t)FLAGS))->free++;
}

/* As many stacks stay as were used at once since the last trim, or half of those that stayed then.
 * */
static bool trim_class(struct tz_stacks *stacks, struct tz_stack_class *class, unsigned shift)
{
	size_t excess;

	class->kept = class->peak > class->kept / 2 ? class->peak : class->kept / 2;
	class->peak = class->used;
	if (class->used + class->nfree <= class->kept)
		return class->kept > class->used;
	count_free(class);
	excess = close_free_slabs(stacks, class, class->used + class->nfree - class->kept);
	/* Those at the bottom have not been used for longest. */
	for (size_t i = 0; i < class->nfree && i < excess; i++) {
		if (class->free[i] & FRESH)
			continue;
		class->deep -= class->free[i] & DEEP;
		class->free[i] &= ~(uintptr_t)FLAGS;
		release(class->free[i], shift, 0);
		class->free[i] |= FRESH;
	}
	return class->kept > class->used;
}

bool tz_stacks_trim(struct tz_stacks *stacks)
{
	bool more = false;

	for (unsigned c = 0; c < TZ_STACK_CLASSES; c++)
		if (stacks->classes[c].slabs &&
		    trim_class(stacks, &stacks->classes[c], shift_of_class(c)))
			more = true;
	return more;
}

void tz_stacks_done(struct tz_stacks *stacks)
{
	for (unsigned c = 0; c < TZ_STACK_CLASSES; c++) {
		struct tz_stack_class *class = &stacks->classes[c];

		while (class->slabs) {
			struct tz_slab *slab = class->slabs;

			class->slabs = slab->next;
			close_slab(stacks, slab);
		}
		free(class->free);
	}
	*stacks = (struct tz_stacks){ .guards = TZ_GUARDS_MADVISE };
}

/* --- looking at stacks --- */

void tz_stack_own(const struct tz_stack *stack, void *owner)
{
	atomic_store_explicit(&top_of(stack)->owner, owner, memory_order_relaxed);
}

bool tz_stack_find(const void *address, struct tz_stack *ret_stack, void **ret_owner)
{
	const struct tz_slab *slab = slab_of(address);
	size_t one, i;

	if (!slab)
		return false;
	one = slab->stride;
	i = (size_t)((const char *)address - slab->base) / one;
	if (i >= atomic_load_explicit(&slab->opened, memory_order_acquire))
		return false;
	*ret_stack = stack_at((uintptr_t)slab->base + i * one, slab->shift);
	*ret_owner = atomic_load_explicit(&top_of(ret_stack)->owner, memory_order_relaxed);
	return true;
}

void *tz_stack_owner_of(const void *address)
{
	struct tz_stack stack;
	void *owner;

	return tz_stack_find(address, &stack, &owner) ? owner : NULL;
}

size_t tz_stack_full_size(const struct tz_stack *stack)
{
	return (size_t)1 << shift_of(stack);
}

/* The lowest page that is in memory and not all zeros, less the zeros in it. */
TZ_NO_SANITIZE size_t tz_stack_used(const struct tz_stack *stack)
{
	size_t page = page_size();
	char *end = stack->low + stack->size;

	for (char *at = stack->low; at < end; at += page) {
		const char *stop = at + page < end ? at + page : end;
		unsigned char resident;

		if (mincore(at, page, &resident) == 0 && !(resident & 1))
			continue;
		for (const uint64_t *word = (const uint64_t *)at; (const char *)word < stop; word++)
			if (*word)
				return (size_t)(end - (const char *)word);
	}
	return 0;
}

TZ_NO_SANITIZE bool tz_stack_gap_is_intact(const struct tz_stack *stack)
{
	const struct tz_slab *slab = slab_of(stack->low);
	size_t page = page_size();
	const uint64_t *words = (const uint64_t *)(stack->low - page);
	uint64_t any = 0;

	if ((size_t)(stack->low - slab->base) / slab->stride < slab->guarded)
		return true;
	for (size_t i = 0; i < page / sizeof *words; i++)
		any |= words[i];
	return any == 0;
}
