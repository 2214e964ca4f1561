/* The stacks of a loop's coroutines. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abilities.h"
#include "check.h"
#include "loop/stack.h"

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

static struct tz_stacks stacks;

static char *end_of(struct tz_stack s)
{
	return s.low + s.size;
}

/* Of its guard. */
static char *lowest(struct tz_stack s)
{
	size_t full = tz_stack_full_size(&s), page = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = full <= 64 * KIB ? 1 : full <= 256 * KIB ? 5 : 17;

	return s.low - (page == 4096 ? pages : 1) * page;
}

/* Writes as a coroutine that is so deep. */
static void use(struct tz_stack s, size_t depth)
{
	memset(end_of(s) - depth, 0x5a, depth);
}

static int set_up(void **state)
{
	(void)state;
	tz_guards_at_best = TZ_GUARDS_MADVISE;
	memset(&stacks, 0, sizeof stacks);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tz_stacks_done(&stacks);
	tz_guards_at_best = TZ_GUARDS_MADVISE;
	return 0;
}

static void sizes(void **state)
{
	static const struct {
		size_t asked, full;
	} cases[] = {
		{ 0, 256 * KIB },
		{ 1, 64 * KIB },
		{ 64 * KIB, 64 * KIB },
		{ 64 * KIB + 1, 256 * KIB },
		{ 256 * KIB, 256 * KIB },
		{ 256 * KIB + 1, MIB },
		{ MIB, MIB },
		{ MIB + 1, 2 * MIB },
		{ 3 * MIB, 4 * MIB },
		{ 32 * MIB, 32 * MIB },
		{ 100 * MIB, 128 * MIB },
	};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tz_stack s;
		size_t full = cases[i].full;

		assert_int_equal(tz_stack_take(&stacks, cases[i].asked, &s), 0);
		assert_int_equal(tz_stack_full_size(&s), full);
		assert_in_range(s.size, full - 1024, full - 1);
		assert_true((uintptr_t)s.low % page == 0);
		assert_true(s.size % 16 == 0);
		use(s, 2 * KIB);
		tz_stack_give(&stacks, s);
	}
	struct tz_stack none = { NULL, 7 };

	assert_int_equal(tz_stack_take(&stacks, (size_t)1 << 37, &none), -EINVAL);
	assert_null(none.low);
	assert_int_equal(none.size, 7);
}

enum { MANY = 1000 };
static struct tz_stack many[MANY];

static int by_address(const void *a, const void *b)
{
	const struct tz_stack *x = a, *y = b;

	return x->low < y->low ? -1 : x->low > y->low;
}

static void stacks_do_not_overlap(void **state)
{
	static const size_t asked[] = { 64 * KIB, 256 * KIB, MIB, 4 * MIB };

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(tz_stack_take(&stacks, asked[i % 4], &many[i]), 0);
		tz_stack_own(&many[i], &many[i]);
		use(many[i], 64);
	}
	for (size_t i = 0; i < MANY; i++)
		assert_ptr_equal(tz_stack_owner_of(many[i].low), &many[i]);
	qsort(many, MANY, sizeof *many, by_address);
	for (size_t i = 1; i < MANY; i++)
		assert_true(end_of(many[i - 1]) < many[i].low - 1);
	for (size_t i = 0; i < MANY; i++)
		tz_stack_give(&stacks, many[i]);
}

static void the_last_one_is_taken_first(void **state)
{
	struct tz_stack a, b, c;

	(void)state;
	assert_int_equal(tz_stack_take(&stacks, 0, &a), 0);
	assert_int_equal(tz_stack_take(&stacks, 0, &b), 0);
	tz_stack_give(&stacks, a);
	tz_stack_give(&stacks, b);
	assert_int_equal(tz_stack_take(&stacks, 0, &c), 0);
	assert_ptr_equal(c.low, b.low);
	assert_int_equal(tz_stack_take(&stacks, 0, &c), 0);
	assert_ptr_equal(c.low, a.low);
	tz_stack_give(&stacks, b);
	tz_stack_give(&stacks, c);
}

static void owners(void **state)
{
	struct tz_stack s, found;
	void *owner = &found;
	int local;

	(void)state;
	assert_int_equal(tz_stack_take(&stacks, 64 * KIB, &s), 0);
	assert_null(tz_stack_owner_of(s.low));
	tz_stack_own(&s, &local);
	assert_ptr_equal(tz_stack_owner_of(s.low), &local);
	assert_ptr_equal(tz_stack_owner_of(end_of(s) - 1), &local);
	assert_ptr_equal(tz_stack_owner_of(s.low - 1), &local); /* its guard */
	use(s, 4096);
	assert_ptr_equal(tz_stack_owner_of(s.low), &local);
	assert_true(tz_stack_find(s.low + 100, &found, &owner));
	assert_ptr_equal(found.low, s.low);
	assert_int_equal(found.size, s.size);
	assert_ptr_equal(owner, &local);
	tz_stack_give(&stacks, s);
	assert_null(tz_stack_owner_of(s.low));
	assert_true(tz_stack_find(s.low, &found, &owner));
	assert_null(owner);

	assert_false(tz_stack_find(&local, &found, &owner));
	assert_false(tz_stack_find(NULL, &found, &owner));
	assert_false(tz_stack_find((void *)UINTPTR_MAX, &found, &owner));
	assert_false(tz_stack_find(&stacks, &found, &owner));
	tz_stacks_done(&stacks);
	assert_false(tz_stack_find(s.low, &found, &owner));
}

static void a_stack_over_several_units(void **state)
{
	struct tz_stack s;
	int local;

	(void)state;
	assert_int_equal(tz_stack_take(&stacks, 200 * MIB, &s), 0);
	tz_stack_own(&s, &local);
	for (size_t at = 0; at < s.size; at += MIB)
		assert_ptr_equal(tz_stack_owner_of(s.low + at), &local);
	tz_stack_give(&stacks, s);
	tz_stacks_done(&stacks);
	assert_null(tz_stack_owner_of(s.low + 100 * MIB));
}

static void tops_have_colours(void **state)
{
	bool seen[1024] = { false };
	size_t different = 0, page = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	for (int i = 0; i < 64; i++) {
		assert_int_equal(tz_stack_take(&stacks, 64 * KIB, &many[i]), 0);
		size_t below = (page - (uintptr_t)end_of(many[i]) % page) % page;

		assert_true(below > 0 && below <= 1024);
		assert_true(below % 64 == 0);
		different += !seen[below - 1];
		seen[below - 1] = true;
	}
	assert_int_equal(different, 16);
	for (int i = 0; i < 64; i++)
		tz_stack_give(&stacks, many[i]);
}

/* How a child ends that runs the function. */
static int status_of_child(void (*fn)(void *), void *arg)
{
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		alarm(50);
		fn(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* Whether the kernel can write there: a guard is for it as for anybody. */
static bool is_writable(char *at)
{
	static int zeros = -1;

	if (zeros < 0)
		zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	return read(zeros, at, 1) == 1;
}

static void guarded(enum tz_guards best)
{
	static const size_t asked[] = { 64 * KIB, 256 * KIB, MIB, 8 * MIB };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	tz_guards_at_best = best;
	for (size_t i = 0; i < 4; i++) {
		struct tz_stack s;

		assert_int_equal(tz_stack_take(&stacks, asked[i], &s), 0);
		use(s, s.size);
		assert_true(tz_stack_is_intact(&stacks, &s));
		assert_false(is_writable(s.low - 1));
		assert_false(is_writable(s.low - page));
		assert_false(is_writable(lowest(s)));
		tz_stack_give(&stacks, s);
		assert_int_equal(tz_stack_take(&stacks, asked[i], &s), 0);
		assert_false(is_writable(s.low - 1)); /* also after memory was given back */
		tz_stack_give(&stacks, s);
		while (tz_stacks_trim(&stacks))
			;
		assert_int_equal(tz_stack_take(&stacks, asked[i], &s), 0);
		use(s, s.size);
		assert_false(is_writable(s.low - 1));
		tz_stack_give(&stacks, s);
	}
	assert_int_equal(stacks.unguarded, 0);
}

static void guards_are_pages_that_fault(void **state)
{
	(void)state;
	guarded(TZ_GUARDS_MADVISE);
}

static void guards_by_mprotect(void **state)
{
	(void)state;
	guarded(TZ_GUARDS_MPROTECT);
	assert_int_equal(stacks.guards, TZ_GUARDS_MPROTECT);
}

static void without_guards_a_gap_is_looked_at(void **state)
{
	struct tz_stack s, t;

	(void)state;
	tz_guards_at_best = TZ_GUARDS_NONE;
	assert_int_equal(tz_stack_take(&stacks, 64 * KIB, &s), 0);
	assert_int_equal(tz_stack_take(&stacks, 64 * KIB, &t), 0);
	assert_true(stacks.unguarded > 0);
	use(s, s.size);
	use(t, t.size);
	assert_true(tz_stack_is_intact(&stacks, &s));
	assert_true(tz_stack_is_intact(&stacks, &t));
	for (size_t below = 8; below <= 4096; below += 8) {
		uint64_t *word = (uint64_t *)(t.low - below);

		*word = 1;
		assert_false(tz_stack_is_intact(&stacks, &t));
		assert_true(tz_stack_is_intact(&stacks, &s));
		*word = 0;
	}
	assert_true(tz_stack_is_intact(&stacks, &t));
	tz_stack_give(&stacks, s);
	tz_stack_give(&stacks, t);
	tz_stacks_done(&stacks);
	assert_int_equal(stacks.unguarded, 0);
}

/* A loop whose first stacks have guards by mprotect, and later ones none any more. */
static void kinds_of_guards_mix(void **state)
{
	struct tz_stack first, later;
	size_t n = 0;

	(void)state;
	tz_guards_at_best = TZ_GUARDS_MPROTECT;
	assert_int_equal(tz_stack_take(&stacks, 64 * KIB, &first), 0);
	tz_guards_at_best = TZ_GUARDS_NONE;
	do
		assert_int_equal(tz_stack_take(&stacks, 64 * KIB, &many[n++]), 0);
	while (!stacks.unguarded);
	later = many[n - 1];
	assert_true(tz_stack_is_intact(&stacks, &first));
	assert_true(tz_stack_is_intact(&stacks, &later));
	later.low[-8] = 1;
	assert_false(tz_stack_is_intact(&stacks, &later));
	later.low[-8] = 0;
	assert_false(is_writable(first.low - 1));
	tz_stack_give(&stacks, first);
	while (n > 0)
		tz_stack_give(&stacks, many[--n]);
	while (tz_stacks_trim(&stacks))
		;
	assert_int_equal(stacks.unguarded, 0);
}

static size_t count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	size_t n = 0;

	assert_non_null(f);
	for (int c; (c = getc(f)) != EOF;)
		n += c == '\n';
	fclose(f);
	return n;
}

/* Bytes of a field of /proc/self/status. */
static size_t status_field(const char *name)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	size_t kib = 0;

	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtoul(line + strlen(name), NULL, 10);
	fclose(f);
	return kib * KIB;
}

/* Each costs its one page, and a table for some of them together; and mappings do not run out. */
static void many_idle_stacks(void **state)
{
	enum { N = 20000 };
	static struct tz_stack all[N];
	size_t mappings = count_mappings(), memory, tables;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	memset(all, 1, sizeof all); /* its own pages do not count */
	memory = status_field("RssAnon:");
	tables = status_field("VmPTE:");
	for (int i = 0; i < N; i++) {
		assert_int_equal(tz_stack_take(&stacks, 64 * KIB, &all[i]), 0);
		tz_stack_own(&all[i], &all[i]);
		use(all[i], 1024);
	}
	if (stacks.guards == TZ_GUARDS_MADVISE && page == 4096 && !BUILT_FOR_SANITIZER) {
		assert_true(count_mappings() < mappings + 100);
		assert_true(status_field("RssAnon:") - memory < N * (page + page / 20));
		assert_true(status_field("VmPTE:") - tables < (size_t)N * 160);
	}
	for (int i = 0; i < N; i++)
		tz_stack_give(&stacks, all[i]);
	while (tz_stacks_trim(&stacks))
		;
	if (!BUILT_FOR_SANITIZER) {
		assert_true(count_mappings() < mappings + 10);
		assert_true(status_field("RssAnon:") < memory + 2 * MIB);
	}
}

/* Also of addresses that are no longer mapped. */
static bool is_resident(char *at)
{
	unsigned char resident = 0;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return mincore((char *)((uintptr_t)at & ~(page - 1)), page, &resident) == 0 && resident & 1;
}

static size_t count_resident(const struct tz_stack *all, size_t n)
{
	size_t resident = 0;

	for (size_t i = 0; i < n; i++)
		resident += is_resident(end_of(all[i]) - 100);
	return resident;
}

static void deep_memory_is_kept_for_few(void **state)
{
	enum { N = 32 };
	size_t kept = 0;

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++) {
			assert_int_equal(tz_stack_take(&stacks, MIB, &many[i]), 0);
			use(many[i], 500 * KIB);
		}
		for (int i = 0; i < N; i++)
			tz_stack_give(&stacks, many[i]);
	}
	for (int i = 0; i < N; i++) {
		kept += is_resident(end_of(many[i]) - 400 * KIB);
		assert_true(is_resident(end_of(many[i]) - 8)); /* the hot page stays */
	}
	assert_int_equal(kept, 4);
	/* They are the ones to be used again, once all others are. */
	for (int i = 0; i < N; i++)
		assert_int_equal(tz_stack_take(&stacks, MIB, &many[i]), 0);
	for (int i = 0; i < N; i++)
		tz_stack_give(&stacks, many[i]);
	while (tz_stacks_trim(&stacks))
		;
	for (int i = 0; i < N; i++)
		assert_false(tz_stack_find(many[i].low, &many[i], &(void *){ NULL }));
}

/* With one stack in use, the others decay to nothing; that one is left alone. */
static void the_pool_shrinks(void **state)
{
	struct tz_stack one;
	int rounds = 0;

	(void)state;
	assert_int_equal(tz_stack_take(&stacks, 64 * KIB, &one), 0);
	use(one, 3000);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(tz_stack_take(&stacks, 64 * KIB, &many[i]), 0);
		use(many[i], 3000);
	}
	for (int i = 0; i < MANY; i++)
		tz_stack_give(&stacks, many[i]);
	assert_true(tz_stacks_trim(&stacks)); /* they were used since the last time */
	assert_int_equal(count_resident(many, MANY), MANY);
	(void)tz_stacks_trim(&stacks);
	assert_in_range(count_resident(many, MANY), MANY / 4, MANY * 3 / 4);
	while (tz_stacks_trim(&stacks))
		rounds++;
	assert_in_range(rounds, 3, 20);
	for (size_t i = 0; i < 3000; i++)
		assert_int_equal(end_of(one)[-1 - (long)i], 0x5a);
	assert_true(is_resident(end_of(one) - 100));
	assert_int_equal(count_resident(many, MANY), 0);
	/* And grows again. */
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(tz_stack_take(&stacks, 64 * KIB, &many[i]), 0);
		use(many[i], 3000);
	}
	for (int i = 0; i < MANY; i++)
		tz_stack_give(&stacks, many[i]);
	tz_stack_give(&stacks, one);
	while (tz_stacks_trim(&stacks))
		;
	assert_false(tz_stack_find(one.low, &one, &(void *){ NULL }));
}

static void how_deep_it_was_used(void **state)
{
	struct tz_stack s;

	(void)state;
	assert_int_equal(tz_stack_take(&stacks, 256 * KIB, &s), 0);
	assert_int_equal(tz_stack_used(&s), 0);
	use(s, 100 * KIB);
	assert_int_equal(tz_stack_used(&s), 100 * KIB);
	use(s, 10 * KIB);
	assert_int_equal(tz_stack_used(&s), 100 * KIB);
	use(s, s.size);
	assert_int_equal(tz_stack_used(&s), s.size);
	tz_stack_give(&stacks, s);
}

static void limit_address_space(void *arg)
{
	struct rlimit limit = { *(size_t *)arg, *(size_t *)arg };
	struct tz_stack s, keep[64];
	size_t n = 0;

	(void)tz_stack_take(&stacks, 64 * KIB, &keep[n++]);
	if (setrlimit(RLIMIT_AS, &limit) < 0)
		_exit(1);
	for (;;) {
		int r = tz_stack_take(&stacks, 16 * MIB, &s);

		if (r == -ENOMEM)
			break;
		if (r < 0 || n == 64)
			_exit(2);
		use(s, 64);
		keep[n++] = s;
	}
	limit.rlim_cur = limit.rlim_max;
	while (n > 0)
		tz_stack_give(&stacks, keep[--n]);
	while (tz_stacks_trim(&stacks))
		;
	/* What was given back is there again. */
	if (tz_stack_take(&stacks, 16 * MIB, &s) < 0)
		_exit(3);
	use(s, s.size);
	tz_stacks_done(&stacks);
	_exit(100);
}

static void without_memory_it_says_so(void **state)
{
	size_t limit = status_field("VmSize:") + 300 * MIB;
	int status;

	(void)state;
	if (BUILT_FOR_SANITIZER || EMULATED)
		skip(); /* they reserve address space, or do not limit it */
	status = status_of_child(limit_address_space, &limit);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 100);
}

/* From here on, the system call answers EINVAL (madvise with that advice) or ENOSYS. */
static bool deny(long call, int advice)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)advice, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void on_an_old_kernel(void *arg)
{
	enum { GUARD_INSTALL = 102 };
	struct tz_stack s;

	(void)arg;
	if (!deny(SYS_madvise, GUARD_INSTALL))
		_exit(77);
#ifdef SYS_process_madvise
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_madvise, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(77);
#endif
	if (tz_stack_take(&stacks, 64 * KIB, &s) < 0 || stacks.guards != TZ_GUARDS_MPROTECT ||
	    stacks.unguarded)
		_exit(1);
	use(s, s.size);
	_exit(is_writable(s.low - 1) || is_writable(lowest(s)) ? 2 : 100);
}

static void an_old_kernel_gets_mprotect(void **state)
{
	int status;

	(void)state;
	status = status_of_child(on_an_old_kernel, NULL);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 100);
}

/* More stacks than mprotect may have mappings for. */
static void mappings_do_not_run_out(void **state)
{
	enum { N = 20000 };
	static struct tz_stack all[N];
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned long most = 0;

	(void)state;
	if (!f || fscanf(f, "%lu", &most) != 1 || most > 66000)
		skip();
	fclose(f);
	tz_guards_at_best = TZ_GUARDS_MPROTECT;
	for (int i = 0; i < N; i++) {
		assert_int_equal(tz_stack_take(&stacks, 64 * KIB, &all[i]), 0);
		use(all[i], 8);
		assert_true(tz_stack_is_intact(&stacks, &all[i]));
	}
	assert_true(stacks.unguarded > 0 && stacks.unguarded < N);
	assert_true(count_mappings() < most * 6 / 10);
	for (int i = 0; i < N; i++)
		tz_stack_give(&stacks, all[i]);
	while (tz_stacks_trim(&stacks))
		;
	assert_int_equal(stacks.unguarded, 0);
	/* Guards that are gone may be made again. */
	tz_stacks_done(&stacks);
	assert_int_equal(tz_stack_take(&stacks, 64 * KIB, &all[0]), 0);
	assert_int_equal(stacks.unguarded, 0);
	tz_stack_give(&stacks, all[0]);
}

static void *take_and_give(void *arg)
{
	struct tz_stacks own = { 0 };
	struct tz_stack held[50];
	size_t n = 0;
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < 20000; i++) {
		seed = seed * 1103515245 + 12345;
		if (n < 50 && seed >> 16 & 1) {
			if (tz_stack_take(&own, (size_t)1 << (10 + (seed >> 17) % 12), &held[n]) <
			    0)
				return NULL;
			tz_stack_own(&held[n], &held[n]);
			use(held[n], 100);
			n++;
		} else if (n > 0) {
			if (tz_stack_owner_of(held[n - 1].low + 8) != &held[n - 1])
				return NULL;
			tz_stack_give(&own, held[--n]);
		}
		if (seed >> 16 & 127)
			continue;
		(void)tz_stacks_trim(&own);
	}
	while (n > 0)
		tz_stack_give(&own, held[--n]);
	tz_stacks_done(&own);
	return arg;
}

static void loops_have_their_own(void **state)
{
	pthread_t threads[4];
	void *ret;

	(void)state;
	for (intptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)),
				 0);
	for (intptr_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &ret), 0);
		assert_ptr_equal(ret, (void *)(i + 1));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sizes),
		TEST(stacks_do_not_overlap),
		TEST(the_last_one_is_taken_first),
		TEST(owners),
		TEST(a_stack_over_several_units),
		TEST(tops_have_colours),
		TEST(guards_are_pages_that_fault),
		TEST(guards_by_mprotect),
		TEST(without_guards_a_gap_is_looked_at),
		TEST(kinds_of_guards_mix),
		TEST(many_idle_stacks),
		TEST(deep_memory_is_kept_for_few),
		TEST(the_pool_shrinks),
		TEST(how_deep_it_was_used),
		TEST(without_memory_it_says_so),
		TEST(an_old_kernel_gets_mprotect),
		TEST(mappings_do_not_run_out),
		TEST(loops_have_their_own),
	};

	return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
