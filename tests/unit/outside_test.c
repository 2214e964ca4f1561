/* What strands wait for that comes from outside of their loop: descriptors, shared words, lanes. The same
 * functions on a thread, in coroutines, and in coroutines in virtual time. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>

#include "check.h"
#include "crew.h"
#include "os/futex.h"

enum { LONG = 20 }; /* seconds that are not to pass */

typedef void (*scenario)(void);

static void play(scenario what)
{
	what();
}
TZ_TASK(void, play, scenario);

/* The ways in which each scenario is played. */
static const tz_loop_options simple = { .backend = "epoll" };
static const tz_loop_options in_order = { .backend = "sim" };
static const tz_loop_options seeded = { .backend = "sim", .seed = 11 };
static const tz_loop_options delayed = { .backend = "sim", .seed = 12, .delay = 0.05 };
static const tz_loop_options *const ways[] = { &simple, &in_order, &seeded, &delayed };

static void everywhere(scenario what)
{
	what(); /* on this thread */
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (tz_run_with(ways[i], NULL, play, what) < 0)
			fail_msg("way %zu: %s", i, tz_last()->message);
}

static bool in_coroutine(void)
{
	return tz_loop_current() != NULL;
}

/* --- descriptors ------------------------------------------------------------------------------- */

static void make_pair(int fds[2])
{
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
}

static void close_both(const int fds[2])
{
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static char read_one(int fd)
{
	char c = 0;

	for (;;) {
		ssize_t n = read(fd, &c, 1);

		if (n == 1)
			return c;
		must(n < 0 && errno == EAGAIN);
		must(tz_wait_fd(fd, POLLIN, tz_after(LONG)) > 0);
	}
}
TZ_TASK(char, read_one, int);

static void write_all(int fd, size_t size)
{
	static const char zeros[4096];

	while (size > 0) {
		ssize_t n = write(fd, zeros, size < sizeof zeros ? size : sizeof zeros);

		if (n > 0)
			size -= (size_t)n;
		else
			must(tz_wait_fd(fd, POLLOUT, tz_after(LONG)) > 0);
	}
}
TZ_TASK(void, write_all, int, size_t);

static void read_all(int fd, size_t size)
{
	char buffer[4096];

	while (size > 0) {
		ssize_t n = read(fd, buffer, size < sizeof buffer ? size : sizeof buffer);

		if (n > 0)
			size -= (size_t)n;
		else
			must(tz_wait_fd(fd, POLLIN, tz_after(LONG)) > 0);
	}
}
TZ_TASK(void, read_all, int, size_t);

/* Both ends are read and written at the same time, more than their buffers take. */
static void talk_both_ways(void)
{
	enum { BYTES = 2000000 };
	int fds[2];

	make_pair(fds);
	write_all_future a = tz_spawn(write_all, fds[0], (size_t)BYTES);
	write_all_future b = tz_spawn(write_all, fds[1], (size_t)BYTES);
	read_all_future c = tz_spawn(read_all, fds[0], (size_t)BYTES);
	read_all_future d = tz_spawn(read_all, fds[1], (size_t)BYTES);

	must(tz_gather(a, b, c, d) == 0);
	close_both(fds);
}

static void streams(void **state)
{
	(void)state;
	everywhere(talk_both_ways);
}

static void several_readers(void)
{
	enum { READERS = 5 };
	int fds[2], sum = 0;
	read_one_future f[READERS];

	make_pair(fds);
	for (int i = 0; i < READERS; i++)
		f[i] = tz_spawn(read_one, fds[0]);
	for (char i = 1; i <= READERS; i++) {
		must(tz_sleep(0.001) == 0);
		must(write(fds[1], &i, 1) == 1);
	}
	for (int i = 0; i < READERS; i++) {
		char c;

		must(tz_result(f[i], &c) == 0);
		sum += c;
	}
	must(sum == 15);
	close_both(fds);
}

static void readers_of_one_socket(void **state)
{
	(void)state;
	everywhere(several_readers);
}

static void end_of_patience(void)
{
	int fds[2], r = 0;

	make_pair(fds);
	must(tz_wait_fd(fds[0], POLLIN, tz_after(0.01)) == -ETIMEDOUT);
	must(tz_wait_fd(fds[0], POLLIN, tz_after(-1)) == -ETIMEDOUT);
	TZ_TIMEOUT(0.01)
		r = tz_wait_fd(fds[0], POLLIN, tz_never());
	must(r == -ETIMEDOUT);
	must(tz_wait_fd(fds[0], POLLIN | POLLOUT, tz_after(LONG)) == POLLOUT);
	must(write(fds[1], "x", 1) == 1);
	must(tz_wait_fd(fds[0], POLLIN, tz_after(LONG)) ==
	     POLLIN); /* nothing is left of the waits before */
	close_both(fds);
	must(tz_wait_fd(fds[0], POLLIN, tz_after(LONG)) == -EBADF);
	must(tz_wait_fd(-1, POLLIN, tz_after(LONG)) == -EBADF);
}

static void time_limits_on_descriptors(void **state)
{
	(void)state;
	everywhere(end_of_patience);
}

static int wait_for_ever(int fd)
{
	return tz_wait_fd(fd, POLLIN, tz_never());
}
TZ_TASK(int, wait_for_ever, int);

static void cancelled_readers(void)
{
	int fds[2], r;

	make_pair(fds);
	for (int i = 0; i < 10; i++) {
		wait_for_ever_future f = tz_spawn(wait_for_ever, fds[0]);

		if (i % 2)
			must(tz_sleep(0.001) == 0);
		(void)tz_cancel(f);
		must(tz_wait(f, tz_after(LONG)) == 0);
		tz_outcome o;

		must(tz_outcome_of(f, &o) == 0);

		must(o.status == TZ_CANCELLED || o.status == TZ_OK);
		if (o.status == TZ_OK)
			must(tz_result(f, &r) == 0 && r == -ECANCELED);
		else
			(void)tz_detach(f);
	}
	close_both(fds);
}

static void cancel_ends_a_wait_for_a_descriptor(void **state)
{
	(void)state;
	everywhere(cancelled_readers);
}

static void numbers_again(void)
{
	int old[2], new[2];

	make_pair(old);
	must(tz_wait_fd(old[0], POLLIN, tz_after(0.001)) == -ETIMEDOUT);
	for (int i = 0; i < 3; i++) {
		make_pair(new);
		must(dup2(new[0], old[0]) == old[0]);
		(void)close(new[0]);
		must(tz_wait_fd(old[0], POLLIN, tz_after(0.001)) == -ETIMEDOUT);
		must(write(new[1], "x", 1) == 1);
		must(tz_wait_fd(old[0], POLLIN, tz_after(LONG)) == POLLIN);
		(void)close(new[1]);
	}
	close_both(old);
}

static void a_number_that_is_used_again(void **state)
{
	(void)state;
	everywhere(numbers_again);
}

/* --- words ------------------------------------------------------------------------------------- */

static uint32_t *word; /* in memory that children share */

static void set_word(uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	tz_futex_wake_shared((const _Atomic uint32_t *)(void *)word, INT32_MAX);
}

static void *set_it_later(void *unused)
{
	(void)tz_sleep(0.01);
	set_word(1);
	return unused;
}

static void words_of_threads(void)
{
	struct crew crew = { .count = 0 };
	int r = 0;

	set_word(0);
	must(tz_wait_word(word, 7, tz_after(LONG)) == -EAGAIN);
	must(tz_wait_word(word, 0, tz_after(0.01)) == -ETIMEDOUT);
	TZ_TIMEOUT(0.01)
		while ((r = tz_wait_word(word, 0, tz_never())) == 0)
			;
	must(r == -ETIMEDOUT);
	crew_add(&crew, set_it_later, NULL);
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0)
		must((r = tz_wait_word(word, 0, tz_after(LONG))) == 0 || r == -EAGAIN);
	crew_join(&crew);
}

static void a_word_that_a_thread_changes(void **state)
{
	(void)state;
	everywhere(words_of_threads);
}

static void words_of_processes(void)
{
	pid_t child;
	int status, r;

	set_word(0);
	child = fork();
	must(child >= 0);
	if (child == 0) {
		(void)usleep(10000);
		set_word(1);
		_exit(0);
	}
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0)
		must((r = tz_wait_word(word, 0, tz_after(LONG))) == 0 || r == -EAGAIN);
	must(waitpid(child, &status, 0) == child && status == 0);
}

static void a_word_that_a_process_changes(void **state)
{
	(void)state;
	everywhere(words_of_processes);
}

/* --- lanes ------------------------------------------------------------------------------------- */

static atomic_bool gate;
static atomic_int waiting;

static int pass_gate(int number)
{
	atomic_fetch_add(&waiting, 1);
	until(gate);
	atomic_fetch_sub(&waiting, 1);
	return number;
}
TZ_TASK(int, pass_gate, int);

static int pass_in_thread(int number)
{
	int n = -1;

	must(tz_result(tz_to_thread(pass_gate, number), &n) == 0);
	return n;
}
TZ_TASK(int, pass_in_thread, int);

/* All of them block at the same time, and who opens the gate is on their loop. */
static void blocked_calls(void)
{
	enum { CALLS = 20 };
	pass_in_thread_future f[CALLS];

	atomic_store(&gate, false);
	for (int i = 0; i < CALLS; i++)
		f[i] = tz_spawn(pass_in_thread, i);
	if (in_coroutine())
		for (tz_deadline end = tz_after(1e6); waiting < CALLS;)
			must(!tz_expired(end) && tz_sleep(0.001) == 0);
	atomic_store(&gate, true);
	for (int i = 0; i < CALLS; i++) {
		int n;

		must(tz_result(f[i], &n) == 0 && n == i);
	}
	must(waiting == 0);
}

static void calls_that_block_do_not_hold_up_the_loop(void **state)
{
	(void)state;
	everywhere(blocked_calls);
}

static int a_while(int number)
{
	(void)usleep(5000);
	return number;
}
TZ_TASK(int, a_while, int);

/* A time limit far off does not come first, in virtual time neither; one that is near does. */
static void limits_on_calls(void)
{
	int n = 0, r = 0;

	TZ_TIMEOUT(3600)
		r = tz_result(tz_to_thread(a_while, 5), &n);
	must(r == 0 && n == 5);

	atomic_store(&gate, false);
	pass_gate_future f = tz_to_thread(pass_gate, 6);

	TZ_TIMEOUT(0.01)
		r = tz_wait(f, tz_never());
	must(r == -ETIMEDOUT);
	atomic_store(&gate, true);
	must(tz_result(f, &n) == 0 && n == 6);
}

static void time_limits_on_calls(void **state)
{
	(void)state;
	everywhere(limits_on_calls);
}

static int map_word(void **state)
{
	(void)state;
	word = mmap(NULL, sizeof *word, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return word == MAP_FAILED ? -1 : 0;
}

static int unmap_word(void **state)
{
	(void)state;
	return munmap(word, sizeof *word);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams),
		cmocka_unit_test(readers_of_one_socket),
		cmocka_unit_test(time_limits_on_descriptors),
		cmocka_unit_test(cancel_ends_a_wait_for_a_descriptor),
		cmocka_unit_test(a_number_that_is_used_again),
		cmocka_unit_test(a_word_that_a_thread_changes),
		cmocka_unit_test(a_word_that_a_process_changes),
		cmocka_unit_test(calls_that_block_do_not_hold_up_the_loop),
		cmocka_unit_test(time_limits_on_calls),
	};

	return cmocka_run_group_tests(tests, map_word, unmap_word);
}
