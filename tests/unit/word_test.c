/* Waiting for words in shared memory: by watchers that wait for many, and by a thread each. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abilities.h"
#include "check.h"
#include "crew.h"
#include "loop/word.h"
#include "os/clock.h"
#include "os/futex.h"
#include "proc.h"

enum { MANY = 300 };

struct noted {
	struct tz_word_wait wait; /* first */
	atomic_int called;
};

/* In memory that children share. */
static _Atomic uint32_t *shared;

static int with_watchers(void **state)
{
	(void)state;
	tz_words_use_threads(false);
	memset((void *)shared, 0, MANY * sizeof *shared);
	return 0;
}

static int with_threads(void **state)
{
	(void)with_watchers(state);
	tz_words_use_threads(true);
	return 0;
}

static int map(void **state)
{
	(void)state;
	shared = mmap(NULL, MANY * sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

static int unmap(void **state)
{
	(void)state;
	return munmap((void *)shared, MANY * sizeof *shared);
}

static void woken(struct tz_word_wait *wait)
{
	atomic_fetch_add(&((struct noted *)wait)->called, 1);
}

static int watch(struct noted *n, const _Atomic uint32_t *word, uint32_t expected)
{
	n->wait = (struct tz_word_wait){ .word = word, .expected = expected, .woken = woken };
	return tz_word_watch(&n->wait);
}

static bool unwatch(struct noted *n)
{
	return tz_word_unwatch(&n->wait);
}

static void change(_Atomic uint32_t *word, int wake)
{
	atomic_fetch_add(word, 1);
	tz_futex_wake_shared(word, wake);
}

static void a_word_that_differs_is_not_waited_for(void **state)
{
	struct noted n = { .called = 0 };

	(void)state;
	assert_int_equal(watch(&n, shared, 1), -EAGAIN);
	assert_false(unwatch(&n));
	assert_int_equal(n.called, 0);
}

static void a_change_is_told_once(void **state)
{
	struct noted n = { .called = 0 };

	(void)state;
	for (int i = 1; i <= 20; i++) {
		assert_int_equal(watch(&n, shared, (uint32_t)i - 1), 0);
		if (i % 2)
			(void)tz_sleep(0.001);
		assert_int_equal(n.called, i - 1);
		change(shared, 1);
		until(n.called == i);
		assert_false(unwatch(&n));
	}
}

static void a_wake_without_a_change_is_told(void **state)
{
	struct noted n = { .called = 0 };

	(void)state;
	assert_int_equal(watch(&n, shared, 0), 0);
	for (tz_deadline end = soon(); n.called == 0; assert_false(tz_expired(end))) {
		tz_futex_wake_shared(shared, 1); /* until the watcher is there */
		(void)tz_sleep(0.001);
	}
	assert_int_equal(n.called, 1);
	assert_false(unwatch(&n));
}

static void ends_well(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void another_process_is_heard(void **state)
{
	struct noted n = { .called = 0 };

	(void)state;
	assert_int_equal(watch(&n, shared, 0), 0);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		change(shared, 1);
		_exit(0);
	}
	until(n.called == 1);
	ends_well(child);
}

static void several_wait_for_one_word(void **state)
{
	struct noted n[5];

	(void)state;
	memset(n, 0, sizeof n);
	for (int i = 0; i < 5; i++)
		assert_int_equal(watch(&n[i], shared, 0), 0);
	change(shared, INT32_MAX);
	for (int i = 0; i < 5; i++)
		until(n[i].called == 1);
}

static void more_words_than_one_call_takes(void **state)
{
	static struct noted n[MANY];

	(void)state;
	memset(n, 0, sizeof n);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(watch(&n[i], &shared[i], 0), 0);
	for (int k = 0; k < MANY; k++) {
		int i = k * 7 % MANY;

		assert_int_equal(n[i].called, 0);
		if (i % 3 == 0)
			assert_true(unwatch(&n[i]));
		change(&shared[i], 1);
		if (i % 3 != 0)
			until(n[i].called == 1);
	}
	for (int i = 0; i < MANY; i++) {
		assert_false(unwatch(&n[i]));
		assert_int_equal(n[i].called, i % 3 != 0);
	}
}

static void a_wait_that_was_ended_is_not_told(void **state)
{
	struct noted n = { .called = 0 }, never = { .called = 0 };
	int told = 0;

	(void)state;
	assert_false(unwatch(&never));
	for (int i = 0; i < 20; i++) {
		assert_int_equal(watch(&n, shared, (uint32_t)i), 0);
		if (i % 2)
			(void)tz_sleep(0.001);
		/* A wake-up for the one before may have reached it: that is told, and legal. */
		told += !unwatch(&n);
		assert_false(unwatch(&n));
		change(shared, 1);
	}
	(void)tz_sleep(0.005);
	assert_int_equal(n.called, told);
	assert_true(told < 20);
}

struct sleeper {
	atomic_int thread; /* its number, as the kernel has it */
	atomic_bool woken;
};

static void *sleep_on_word(void *sleeper)
{
	struct sleeper *s = sleeper;

	atomic_store(&s->thread, (int)gettid());
	must(tz_futex_wait_shared(shared, 0,
				  tz_clock_now() + CREW_PATIENCE * UINT64_C(1000000000)) == 0);
	atomic_store(&s->woken, true);
	return NULL;
}

/* Who waited first and went away does not keep a wake-up that was for one. */
static void a_wake_up_goes_to_who_still_waits(void **state)
{
	struct crew crew = { .count = 0 };
	struct noted n = { .called = 0 };
	struct sleeper s = { .thread = 0 };

	(void)state;
	assert_int_equal(watch(&n, shared, 0), 0);
	(void)tz_sleep(0.01); /* the watcher waits */
	crew_add(&crew, sleep_on_word, &s);
	until(s.thread != 0);
	until(state_of(s.thread) == 'S'); /* after it */
	assert_true(unwatch(&n));
	tz_futex_wake_shared(shared, 1);
	until(s.woken);
	crew_join(&crew);
	assert_int_equal(n.called, 0);
}

static void a_word_may_be_gone_after_the_wait(void **state)
{
	struct noted n = { .called = 0 }, other = { .called = 0 };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int told = 0;

	(void)state;
	assert_int_equal(watch(&other, shared, 0), 0);
	for (int i = 0; i < 50; i++) {
		_Atomic uint32_t *word =
			mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		assert_true(word != MAP_FAILED);
		assert_int_equal(watch(&n, word, 0), 0);
		told += !unwatch(
			&n); /* a wake-up for the one before may reach it, at the same address */
		assert_int_equal(munmap((void *)word, page), 0);
	}
	assert_int_equal(n.called, told);
	change(shared, 1);
	until(other.called == 1);
}

#if THREADS_AFTER_FORK
static void a_child_may_wait_too(void **state)
{
	struct noted n = { .called = 0 }, child_s = { .called = 0 };

	(void)state;
	assert_int_equal(watch(&n, shared, 0), 0);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (tz_word_unwatch(&n.wait) || watch(&child_s, shared + 1, 0) < 0)
			_exit(1);
		change(shared + 1, 1);
		until(child_s.called == 1);
		_exit(n.called ? 2 : 0);
	}
	ends_well(child);
	change(shared, 1);
	until(n.called == 1);
}

#endif

/* --- all at once ------------------------------------------------------------------------------- */

enum { WAITERS = 4, ROUNDS = 300, FEW_ROUNDS = 40, WORDS = 8 };
static atomic_bool over;
static int rounds;

static void *wake_all(void *unused)
{
	uint32_t seed = 9;

	while (!over) {
		change(&shared[next_random(&seed) % WORDS], INT32_MAX);
		(void)tz_sleep(next_random(&seed) % 4 ? 0 : 0.0001);
	}
	return unused;
}

/* Each wait ends in exactly one way. */
static void *wait_and_give_up(void *number)
{
	uint32_t seed = 100 + (uint32_t) * (int *)number;

	for (int i = 0; i < rounds; i++) {
		struct noted n = { .called = 0 };
		const _Atomic uint32_t *word = &shared[next_random(&seed) % WORDS];
		int r = watch(&n, word, *word);

		must(r == 0 || r == -EAGAIN);
		if (next_random(&seed) % 2) {
			if (r == 0)
				until(n.called > 0);
			must(!unwatch(&n));
			must(n.called == (r == 0));
		} else {
			bool ended = unwatch(&n);

			must(n.called == (r == 0 && !ended));
		}
	}
	return NULL;
}

static void each_wait_ends_once(void **state)
{
	struct crew waiters = { .count = 0 }, waker = { .count = 0 };
	int numbers[WAITERS];

	rounds = *state ? FEW_ROUNDS : ROUNDS;
	atomic_store(&over, false);
	crew_add(&waker, wake_all, NULL);
	for (int i = 0; i < WAITERS; i++) {
		numbers[i] = i;
		crew_add(&waiters, wait_and_give_up, &numbers[i]);
	}
	crew_join(&waiters);
	atomic_store(&over, true);
	crew_join(&waker);
}

int main(void)
{
	static int yes;
#define BOTH(f) \
	cmocka_unit_test_setup(f, with_watchers), \
	{ \
#f " (threads)", f, with_threads, NULL, &yes \
	}
	const struct CMUnitTest tests[] = {
		BOTH(a_word_that_differs_is_not_waited_for),
		BOTH(a_change_is_told_once),
		BOTH(a_wake_without_a_change_is_told),
		BOTH(another_process_is_heard),
		BOTH(several_wait_for_one_word),
		BOTH(more_words_than_one_call_takes),
		BOTH(a_wait_that_was_ended_is_not_told),
		BOTH(a_wake_up_goes_to_who_still_waits),
		BOTH(a_word_may_be_gone_after_the_wait),
#if THREADS_AFTER_FORK /* allows no threads in a fork child */
		BOTH(a_child_may_wait_too),
#endif
		BOTH(each_wait_ends_once),
	};

	return cmocka_run_group_tests(tests, map, unmap);
}
