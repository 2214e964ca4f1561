/* The backends of a loop: one suite for all kinds, and what only the simulation does. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>

#include "check.h"
#include "crew.h"
#include "loop/backend.h"
#include "os/clock.h"

static const uint64_t MS = 1000000, SECOND = 1000000000;

struct kind {
	const struct tz_backend_ops *ops;
	struct tz_backend_options options;
};

static struct kind kinds[] = {
	{ .ops = &tz_backend_epoll },
	{ .ops = &tz_backend_epoll, .options = { .old_kernel = true } },
	{ .ops = &tz_backend_sim },
	{ .ops = &tz_backend_sim, .options = { .seed = 7, .delay_ns = 50000000 } },
	{ .ops = &tz_backend_sim, .options = { .grace_ns = 1000000, .old_kernel = true } },
};

static struct kind *kind;
static struct tz_backend *b;

static int open_kind(void **state)
{
	kind = *state;
	return kind->ops->open(&b, &kind->options);
}

static int open_sim(void **state)
{
	static const struct tz_backend_options none;

	(void)state;
	return tz_backend_sim.open(&b, &none);
}

static int close_it(void **state)
{
	(void)state;
	b->ops->close(b);
	b = NULL;
	return 0;
}

/* --- watches that count ------------------------------------------------------------------------ */

struct noted {
	struct tz_watch watch; /* first */
	int called;
	int rank; /* the how many-th call of all it was last */
	struct noted *arm, *disarm; /* to be armed, disarmed in the call */
};

static int calls;

static void note(struct tz_watch *w)
{
	struct noted *n = (struct noted *)w;

	n->called++;
	n->rank = ++calls;
	if (n->arm)
		assert_int_equal(b->ops->arm(b, &n->arm->watch), 0);
	if (n->disarm)
		b->ops->disarm(b, &n->disarm->watch);
}

static struct noted watch(int fd, short events)
{
	return (struct noted){ .watch = { .fd = fd, .events = events, .ready = note } };
}

static int arm(struct noted *n)
{
	return b->ops->arm(b, &n->watch);
}

static void disarm(struct noted *n)
{
	b->ops->disarm(b, &n->watch);
}

static uint64_t now(void)
{
	return b->ops->now(b);
}

static int look(void)
{
	return b->ops->poll(b, now() + MS);
}

/* Polls until n was called so often. */
static void expect_calls(struct noted *n, int called)
{
	for (tz_deadline end = soon(); n->called < called;) {
		assert_false(tz_expired(end));
		assert_true(look() >= 0);
	}
	assert_int_equal(n->called, called);
}

/* Looks so often that whatever would come has come. */
static void expect_quiet(struct noted *n, int called)
{
	for (int i = 0; i < 200 && i < (kind && kind->options.delay_ns ? 200 : 5); i++)
		assert_true(look() >= 0);
	assert_int_equal(n->called, called);
}

static void make_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
}

static void put(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static void close_both(const int fds[2])
{
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* --- descriptors ------------------------------------------------------------------------------- */

static void tells_that_a_descriptor_is_readable(void **state)
{
	int fds[2];

	(void)state;
	make_pair(fds);
	struct noted n = watch(fds[0], POLLIN);

	assert_int_equal(arm(&n), 0);
	assert_int_equal(b->armed, 1);
	expect_quiet(&n, 0);
	put(fds[1]);
	expect_calls(&n, 1);
	assert_int_equal(n.watch.revents, POLLIN);
	assert_int_equal(b->armed, 0);
	close_both(fds);
}

static void is_told_once_for_each_time_it_is_armed(void **state)
{
	int fds[2];

	(void)state;
	make_pair(fds);
	struct noted n = watch(fds[0], POLLIN);

	put(fds[1]);
	for (int i = 1; i <= 5; i++) {
		assert_int_equal(arm(&n), 0);
		expect_calls(&n, i);
		expect_quiet(&n, i);
		/* What is there to be read, and nobody waits for, does not disturb. */
		uint64_t until = now() + MS;

		assert_int_equal(b->ops->poll(b, until), 0);
		assert_true(now() >= until);
	}
	close_both(fds);
}

static void several_wait_for_one_descriptor(void **state)
{
	int fds[2];

	(void)state;
	make_pair(fds);
	struct noted in[3], out = watch(fds[0], POLLOUT);
	char fill[4096] = { 0 };

	while (write(fds[0], fill, sizeof fill) > 0)
		;
	assert_int_equal(arm(&out), 0);
	for (int i = 0; i < 3; i++) {
		in[i] = watch(fds[0], POLLIN);
		assert_int_equal(arm(&in[i]), 0);
	}
	assert_int_equal(b->armed, 4);
	put(fds[1]);
	for (int i = 0; i < 3; i++)
		expect_calls(&in[i], 1);
	expect_quiet(&out, 0);
	while (read(fds[1], fill, sizeof fill) > 0)
		;
	expect_calls(&out, 1);
	assert_int_equal(out.watch.revents & POLLOUT, POLLOUT);
	close_both(fds);
}

static void those_that_wait_longest_are_told_first(void **state)
{
	int fds[2];

	(void)state;
	if (kind->options.delay_ns)
		skip();
	make_pair(fds);
	struct noted n[4];

	for (int i = 0; i < 4; i++) {
		n[i] = watch(fds[0], POLLIN);
		assert_int_equal(arm(&n[i]), 0);
	}
	put(fds[1]);
	for (int i = 0; i < 4; i++)
		expect_calls(&n[i], 1);
	for (int i = 1; i < 4; i++)
		assert_int_equal(n[i].rank, n[i - 1].rank + 1);
	close_both(fds);
}

static void a_disarmed_one_is_not_told(void **state)
{
	int fds[2];

	(void)state;
	make_pair(fds);
	struct noted n = watch(fds[0], POLLIN), other = watch(fds[0], POLLIN);

	assert_int_equal(arm(&n), 0);
	assert_int_equal(arm(&other), 0);
	disarm(&n);
	disarm(&n);
	assert_int_equal(b->armed, 1);
	put(fds[1]);
	expect_calls(&other, 1);
	expect_quiet(&n, 0);
	assert_int_equal(arm(&n), 0);
	expect_calls(&n, 1);
	close_both(fds);
}

static void ready_may_disarm_who_would_be_next(void **state)
{
	int fds[2];

	(void)state;
	make_pair(fds);
	struct noted first = watch(fds[0], POLLIN), second = watch(fds[0], POLLIN);

	first.disarm = &second;
	second.disarm = &first;
	assert_int_equal(arm(&first), 0);
	assert_int_equal(arm(&second), 0);
	put(fds[1]);
	for (tz_deadline end = soon(); first.called + second.called == 0;
	     assert_false(tz_expired(end)))
		assert_true(look() >= 0);
	expect_quiet(&first, first.called);
	assert_int_equal(first.called + second.called, 1);
	assert_int_equal(b->armed, 0);
	close_both(fds);
}

static void ready_may_arm_again(void **state)
{
	int fds[2];

	(void)state;
	make_pair(fds);
	struct noted n = watch(fds[0], POLLIN);

	n.arm = &n;
	put(fds[1]);
	assert_int_equal(arm(&n), 0);
	expect_calls(&n, 10);
	n.arm = NULL;
	expect_calls(&n, 11);
	close_both(fds);
}

static void the_end_and_errors_are_told(void **state)
{
	int fds[2], ends[2];

	(void)state;
	make_pair(fds);
	struct noted n = watch(fds[0], POLLIN);

	assert_int_equal(arm(&n), 0);
	(void)close(fds[1]);
	expect_calls(&n, 1);
	assert_true(n.watch.revents & POLLHUP);
	(void)close(fds[0]);

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	n = watch(ends[1], 0);
	assert_int_equal(arm(&n), 0);
	(void)close(ends[0]);
	expect_calls(&n, 1);
	assert_int_equal(n.watch.revents, POLLERR);
	(void)close(ends[1]);
}

static void a_file_is_ready_at_once(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	struct noted n = watch(fd, POLLIN), both = watch(fd, POLLIN | POLLOUT);

	assert_int_equal(arm(&n), 0);
	while (n.called == 0)
		assert_true(b->ops->poll(b, 0) >= 0); /* for ever, and yet at once */
	n.arm = &n;
	assert_int_equal(arm(&n), 0);
	assert_int_equal(arm(&both), 0);
	expect_calls(&both, 1);
	assert_int_equal(both.watch.revents, POLLIN | POLLOUT);
	for (int i = 0; i < 3; i++) {
		int called =
			n.called; /* not more than once a poll, or the loop would not come back */

		expect_calls(&n, called + 1);
	}
	disarm(&n);
	(void)close(fd);
}

static void a_bad_descriptor_is_an_error(void **state)
{
	int fds[2];

	(void)state;
	make_pair(fds);
	close_both(fds);
	struct noted n = watch(fds[0], POLLIN), minus = watch(-1, POLLIN),
		     high = watch(100000, POLLIN);

	assert_int_equal(arm(&minus), -EBADF);
	if (kind->options.delay_ns) {
		/* It may be seen later only. */
		if (arm(&n) == 0) {
			expect_calls(&n, 1);
			assert_int_equal(n.watch.revents, POLLNVAL);
		}
	} else {
		assert_int_equal(arm(&n), -EBADF);
		assert_int_equal(arm(&high), -EBADF);
	}
	assert_int_equal(b->armed, 0);
	disarm(&n);
}

/* --- numbers that are used again --------------------------------------------------------------- */

static void a_number_that_is_used_again_is_noticed(void **state)
{
	int old[2], new[2];

	(void)state;
	make_pair(old);
	struct noted n = watch(old[0], POLLIN);

	for (int i = 1; i <= 3; i++) {
		make_pair(new);
		assert_int_equal(dup2(new[0], old[0]), old[0]);
		(void)close(new[0]);
		assert_int_equal(arm(&n), 0);
		expect_quiet(&n, i - 1);
		put(new[1]);
		expect_calls(&n, i);
		(void)close(new[1]);
	}
	close_both(old);
}

static void events_of_the_one_before_are_not_told(void **state)
{
	int old[2], new[2], alive;

	(void)state;
	make_pair(old);
	struct noted n = watch(old[0], POLLIN);

	assert_int_equal(arm(&n), 0);
	expect_quiet(&n, 0);
	disarm(&n);
	alive = dup(old[0]); /* what was registered stays so */
	assert_true(alive >= 0);
	make_pair(new);
	assert_int_equal(dup2(new[0], old[0]), old[0]);
	assert_int_equal(arm(&n), 0);
	expect_quiet(&n, 0);
	put(old[1]);
	expect_quiet(&n, 0);
	put(new[1]);
	expect_calls(&n, 1);
	(void)close(alive);
	close_both(old);
	close_both(new);
}

static void who_waited_before_waits_for_the_new_one(void **state)
{
	int old[2], new[2];

	(void)state;
	make_pair(old);
	struct noted before = watch(old[0], POLLIN), after = watch(old[0], POLLIN);

	assert_int_equal(arm(&before), 0);
	expect_quiet(&before, 0);
	make_pair(new);
	assert_int_equal(dup2(new[0], old[0]), old[0]);
	assert_int_equal(arm(&after), 0);
	put(new[1]);
	expect_calls(&before, 1);
	expect_calls(&after, 1);
	close_both(old);
	close_both(new);
}

static void who_waited_for_a_closed_one_is_told_when_it_shows(void **state)
{
	int fds[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	if (kind->options.delay_ns)
		skip();
	make_pair(fds);
	struct noted n = watch(fds[0], POLLIN), bad = watch(fds[0], POLLIN);

	assert_int_equal(arm(&n), 0);
	close_both(fds);
	assert_int_equal(arm(&bad), -EBADF);
	expect_calls(&n, 1);
	assert_int_equal(n.watch.revents, POLLNVAL);

	make_pair(fds);
	n.watch.fd = bad.watch.fd = fds[0];
	assert_int_equal(arm(&n), 0);
	assert_int_equal(dup2(file, fds[0]), fds[0]);
	assert_int_equal(arm(&bad), 0);
	expect_calls(&n, 2);
	expect_calls(&bad, 1);
	close_both(fds);
	(void)close(file);
}

/* --- many -------------------------------------------------------------------------------------- */

enum { MANY = 300 };

static void many_at_once(void **state)
{
	static int fds[MANY][2];
	static struct noted n[MANY];

	(void)state;
	for (int round = 1; round <= 2; round++) {
		for (int i = 0; i < MANY; i++) {
			make_pair(fds[i]);
			n[i] = watch(fds[i][0], POLLIN);
			assert_int_equal(arm(&n[i]), 0);
			put(fds[i][1]);
		}
		assert_int_equal(b->armed, MANY);
		for (int i = 0; i < MANY; i++)
			expect_calls(&n[i], 1);
		assert_int_equal(b->armed, 0);
		for (int i = 0; i < MANY; i++)
			close_both(fds[i]);
	}
}

/* --- time -------------------------------------------------------------------------------------- */

static void a_poll_is_never_early(void **state)
{
	static const uint64_t lengths[] = { 1, 1000, 50000, 999999, 1000001, 3000000 };

	(void)state;
	assert_true(now() > 0);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		uint64_t until = now() + lengths[i];

		assert_int_equal(b->ops->poll(b, until), 0);
		assert_true(now() >= until);
	}
}

static void a_time_that_has_passed_does_not_block(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(b->ops->poll(b, i % 2 ? 1 : now()), 0);
}

static void two_hours_pass(void **state)
{
	uint64_t begin = now(), real = tz_clock_now();

	(void)state;
	assert_true(begin >= real - 60 * SECOND && begin <= real);
	assert_int_equal(b->ops->poll(b, begin + 7200 * SECOND), 0);
	assert_true(now() == begin + 7200 * SECOND);
	assert_int_equal(b->ops->poll(b, begin), 0);
	assert_true(now() == begin + 7200 * SECOND);
	assert_true(tz_clock_now() - real < 7200 * SECOND);
}

/* --- wake-ups ---------------------------------------------------------------------------------- */

static void *wake_it(void *n)
{
	(void)tz_sleep(0.01);
	for (int i = 0; i < *(int *)n; i++)
		b->ops->wake(b);
	return NULL;
}

static void another_thread_ends_a_poll(void **state)
{
	struct crew crew = { .count = 0 };
	int times = 5;

	(void)state;
	crew_add(&crew, wake_it, &times);
	assert_true(b->ops->poll(b, 0) > 0);
	crew_join(&crew);
	while (look() > 0)
		; /* a wake-up after the first was seen */
	assert_int_equal(look(), 0);
}

static void one_before_the_poll_is_not_lost(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		b->ops->wake(b);
		b->ops->wake(b);
		assert_int_equal(b->ops->poll(b, 0), 1);
		assert_int_equal(look(), 0);
	}
}

static void on_signal(int unused)
{
	(void)unused;
	b->ops->wake(b);
}

static void ignore_signal(int unused)
{
	(void)unused;
}

static void *signal_it(void *thread)
{
	(void)tz_sleep(0.01);
	must(pthread_kill(*(pthread_t *)thread, SIGUSR1) == 0);
	return NULL;
}

static void a_signal_handler_ends_a_poll(void **state)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, before;
	struct crew crew = { .count = 0 };
	pthread_t me = pthread_self();

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	crew_add(&crew, signal_it, &me);
	for (tz_deadline end = soon(); b->ops->poll(b, 0) == 0;)
		assert_false(tz_expired(end)); /* interrupted first, then woken */
	crew_join(&crew);

	action.sa_handler = ignore_signal;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	crew_add(&crew, signal_it, &me);
	assert_int_equal(b->ops->poll(b, 0), 0);
	crew_join(&crew);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

/* The protocol of backend.h: who pushes wakes only a loop that sleeps. */
enum { PUSHERS = 3, PUSHES = 20000 };
static atomic_int inbox;
static atomic_bool sleeping;

static void *push(void *unused)
{
	for (int i = 0; i < PUSHES; i++) {
		atomic_fetch_add_explicit(&inbox, 1, memory_order_release);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load_explicit(&sleeping, memory_order_relaxed))
			b->ops->wake(b);
		if (i % 64 == 0)
			(void)tz_sleep(0); /* lets the loop sleep now and then */
	}
	return unused;
}

static void no_wake_up_is_lost(void **state)
{
	struct crew crew = { .count = 0 };
	tz_deadline end = soon();
	int got = 0;

	(void)state;
	atomic_store(&inbox, 0);
	for (int i = 0; i < PUSHERS; i++)
		crew_add(&crew, push, NULL);
	while (got < PUSHERS * PUSHES) {
		assert_false(tz_expired(end));
		atomic_store_explicit(&sleeping, true, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load_explicit(&inbox, memory_order_relaxed) == 0)
			assert_true(b->ops->poll(b, 0) >= 0); /* for ever: a lost one hangs */
		atomic_store_explicit(&sleeping, false, memory_order_relaxed);
		got += atomic_exchange_explicit(&inbox, 0, memory_order_acquire);
	}
	assert_int_equal(got, PUSHERS * PUSHES);
	crew_join(&crew);
}

/* How often an eventfd was written to; -1 if it is none. */
static int wake_ups_written(int fd)
{
	char path[64], text[512];
	int info, n;

	(void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -1;
	n = (int)read(info, text, sizeof text - 1);
	(void)close(info);
	text[n > 0 ? n : 0] = '\0';
	char *count = strstr(text, "eventfd-count:");

	return count ? (int)strtol(count + strlen("eventfd-count:"), NULL, 16) : -1;
}

static void a_burst_of_wake_ups_is_one_write(void **state)
{
	int fd = 0;

	(void)state;
	while (fd < 1024 && wake_ups_written(fd) < 0)
		fd++;
	assert_true(fd < 1024);
	assert_int_equal(wake_ups_written(fd), 0);
	for (int burst = 1; burst <= 3; burst++) {
		for (int i = 0; i < 100; i++)
			b->ops->wake(b);
		assert_int_equal(wake_ups_written(fd), burst);
		assert_int_equal(b->ops->poll(b, 0), 1);
	}
}

static void a_wake_up_comes_beside_descriptors(void **state)
{
	int fds[2];

	(void)state;
	make_pair(fds);
	struct noted n = watch(fds[0], POLLIN);

	put(fds[1]);
	n.arm = &n;
	assert_int_equal(arm(&n), 0);
	b->ops->wake(b);
	expect_calls(&n, 3);
	n.arm = NULL;
	expect_calls(&n, 4);
	assert_int_equal(look(), 0);
	close_both(fds);
}

/* --- the process ------------------------------------------------------------------------------- */

static void a_child_may_close_its_copy(void **state)
{
	int fds[2], status;
	pid_t child;

	(void)state;
	make_pair(fds);
	struct noted n = watch(fds[0], POLLIN);

	assert_int_equal(arm(&n), 0);
	expect_quiet(&n, 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		b->ops->close(b);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	put(fds[1]);
	expect_calls(&n, 1);
	b->ops->wake(b);
	assert_int_equal(b->ops->poll(b, 0), 1);
	close_both(fds);
}

static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void without_descriptors_it_does_not_open(void **state)
{
	struct rlimit limit, low;
	int before = open_descriptors(), next = dup(0);

	(void)state;
	assert_true(next >= 0);
	(void)close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int room = 0; room < 2; room++) {
		struct tz_backend *none = NULL;

		low = (struct rlimit){ .rlim_cur = (rlim_t)(next + room),
				       .rlim_max = limit.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		int epoll = tz_backend_epoll.open(&none, &kinds[0].options);
		int sim = tz_backend_sim.open(&none, &kinds[0].options);

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(epoll, -EMFILE);
		assert_int_equal(sim, -EMFILE);
		assert_null(none);
		assert_int_equal(open_descriptors(), before);
	}
}

static void closing_none_is_legal(void **state)
{
	(void)state;
	tz_backend_epoll.close(NULL);
	tz_backend_sim.close(NULL);
}

/* --- the simulation ---------------------------------------------------------------------------- */

static void open_seeded(struct tz_backend_options options)
{
	assert_int_equal(tz_backend_sim.open(&b, &options), 0);
}

static void epoll_has_no_chance(void **state)
{
	(void)state;
	assert_int_equal(tz_backend_epoll.open(&b, &kinds[0].options), 0);
	assert_int_equal(tz_backend_choose(b, 9), 0);
	assert_int_equal(tz_backend_fault(b, TZ_POINT_FD), 0);
	assert_int_equal(tz_backend_delay(b, TZ_POINT_FD), 0);
	tz_backend_hold(b, 1);
	tz_backend_hold(b, -1);
	assert_int_equal(tz_sim_points(b), 0);
	(void)close_it(NULL);
}

static void without_a_seed_it_is_first_in_first_out(void **state)
{
	(void)state;
	for (uint64_t n = 1; n < 100; n++)
		assert_int_equal(tz_backend_choose(b, n), 0);
	assert_int_equal(tz_backend_delay(b, TZ_POINT_BLOCKING), 0);
	assert_int_equal(tz_backend_fault(b, TZ_POINT_BLOCKING), 0);
}

static void a_seed_gives_the_same_choices_again(void **state)
{
	uint64_t choices[3][100];
	int differ = 0, seen[7] = { 0 };

	(void)state;
	for (int run = 0; run < 3; run++) {
		open_seeded((struct tz_backend_options){ .seed = run < 2 ? 42 : 43,
							 .fail = run == 1 ? 0.5 : 0,
							 .delay_ns = run == 1 ? 1000 : 0 });
		for (int i = 0; i < 100; i++) {
			(void)tz_backend_fault(b, TZ_POINT_BLOCKING);
			(void)tz_backend_delay(b, TZ_POINT_BLOCKING);
			choices[run][i] = tz_backend_choose(b, 7);
			assert_true(choices[run][i] < 7);
			seen[choices[run][i]]++;
		}
		(void)close_it(NULL);
	}
	assert_memory_equal(choices[0], choices[1], sizeof choices[0]);
	for (int i = 0; i < 100; i++)
		differ += choices[0][i] != choices[2][i];
	assert_true(differ > 50);
	for (int i = 0; i < 7; i++)
		assert_true(seen[i] > 10);
}

static void a_share_of_waits_fails(void **state)
{
	int failed = 0;

	(void)state;
	open_seeded((struct tz_backend_options){ .seed = 1, .fail = 0.25 });
	for (int i = 0; i < 1000; i++) {
		int error = tz_backend_fault(b, TZ_POINT_BLOCKING);

		assert_true(error == 0 || error == -EAGAIN);
		failed += error != 0;
		assert_int_equal(tz_backend_fault(b, TZ_POINT_PARK), 0);
	}
	for (enum tz_point point = TZ_POINT_FD; point <= TZ_POINT_JOB; point++)
		for (int i = 0; i < 100; i++)
			assert_true(tz_backend_fault(b, point) <= 0);
	assert_true(failed > 150 && failed < 350);
	(void)close_it(NULL);

	open_seeded((struct tz_backend_options){ .fail = 1 });
	struct noted n = watch(0, POLLIN);

	assert_int_equal(arm(&n), -ENOMEM);
	assert_int_equal(b->armed, 0);
	(void)close_it(NULL);
}

static void one_point_fails_as_it_is_told_to(void **state)
{
	(void)state;
	open_seeded((struct tz_backend_options){ .fail_at = 3, .fail_with = -ECANCELED });
	for (int i = 1; i <= 5; i++)
		assert_int_equal(tz_backend_fault(b, TZ_POINT_PARK), i == 3 ? -ECANCELED : 0);
	assert_int_equal(tz_sim_points(b), 5);
	(void)close_it(NULL);
}

static void a_delay_is_waited_for(void **state)
{
	int fds[2];
	uint64_t begin;

	(void)state;
	kind = NULL;
	open_seeded((struct tz_backend_options){ .seed = 3, .delay_ns = 3600 * SECOND });
	make_pair(fds);
	put(fds[1]);
	begin = now();
	struct noted n[8];

	for (int i = 0; i < 8; i++) {
		n[i] = watch(fds[0], POLLIN);
		assert_int_equal(arm(&n[i]), 0);
	}
	assert_int_equal(b->armed, 8);
	disarm(&n[3]);
	assert_int_equal(b->armed, 7);
	for (uint64_t before = begin; b->armed > 0; before = now()) {
		assert_true(b->ops->poll(b, 0) >= 0);
		assert_true(now() >= before);
	}
	assert_true(now() > begin + 60 * SECOND && now() <= begin + 3600 * SECOND);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(n[i].called, i != 3);
		for (int j = 0; j < i; j++)
			if (i != 3 && j != 3 && n[i].watch.due < n[j].watch.due)
				assert_true(n[i].rank < n[j].rank);
	}
	close_both(fds);
	(void)close_it(NULL);
}

static void what_is_real_comes_before_a_jump(void **state)
{
	int fds[2];
	uint64_t begin = now();

	(void)state;
	make_pair(fds);
	put(fds[1]);
	struct noted n = watch(fds[0], POLLIN);

	assert_int_equal(arm(&n), 0);
	assert_int_equal(b->ops->poll(b, begin + SECOND), 1);
	assert_true(now() == begin);
	b->ops->wake(b);
	assert_int_equal(b->ops->poll(b, begin + SECOND), 1);
	assert_true(now() == begin);
	close_both(fds);
}

static void grace_waits_for_other_threads(void **state)
{
	struct crew crew = { .count = 0 };
	int once = 1;
	uint64_t begin;

	(void)state;
	open_seeded((struct tz_backend_options){ .grace_ns = 20 * SECOND });
	begin = now();
	crew_add(&crew, wake_it, &once);
	assert_int_equal(b->ops->poll(b, begin + SECOND), 1);
	assert_true(now() == begin);
	crew_join(&crew);
	(void)close_it(NULL);

	open_seeded((struct tz_backend_options){ .grace_ns = 2 * MS });
	begin = tz_clock_now();
	assert_int_equal(b->ops->poll(b, now() + 1000 * SECOND), 0);
	assert_true(tz_clock_now() - begin >= 2 * MS);
	(void)close_it(NULL);
}

static void what_does_not_matter_does_not_end_the_grace(void **state)
{
	int fds[2];
	uint64_t begin;

	(void)state;
	open_seeded((struct tz_backend_options){ .grace_ns = 5 * MS });
	make_pair(fds);
	struct noted n = watch(fds[0], POLLIN);

	assert_int_equal(arm(&n), 0);
	disarm(&n);
	put(fds[1]);
	begin = tz_clock_now();
	assert_int_equal(b->ops->poll(b, now() + SECOND), 0);
	assert_true(tz_clock_now() - begin >= 5 * MS);
	close_both(fds);
	(void)close_it(NULL);
}

static void nothing_jumps_while_something_is_under_way(void **state)
{
	struct crew crew = { .count = 0 };
	int once = 1;
	uint64_t begin = now(), real;

	(void)state;
	tz_backend_hold(b, 1);
	crew_add(&crew, wake_it, &once);
	assert_int_equal(b->ops->poll(b, begin + 1000 * SECOND), 1);
	assert_true(now() < begin + 1000 * SECOND);
	crew_join(&crew);
	/* A time limit still ends, in real time. */
	begin = now();
	real = tz_clock_now();
	for (tz_deadline end = soon(); now() < begin + 3 * MS; assert_false(tz_expired(end)))
		assert_true(b->ops->poll(b, begin + 3 * MS) >= 0);
	assert_true(tz_clock_now() - real >= 3 * MS);
	assert_true(now() == begin + 3 * MS);
	tz_backend_hold(b, -1);
	assert_int_equal(b->ops->poll(b, begin + 1000 * SECOND), 0);
	assert_true(now() == begin + 1000 * SECOND);
}

static atomic_bool gate;

static void pass_gate(void)
{
	until(gate);
}
TZ_TASK(void, pass_gate, void);

static void nothing_jumps_while_a_lane_is_busy(void **state)
{
	const uint64_t far = now() + 1000000 * SECOND;

	(void)state;
	atomic_store(&gate, false);
	pass_gate_future f = tz_to_thread(pass_gate);

	for (int i = 0; i < 10; i++) {
		assert_int_equal(b->ops->poll(b, far), 0);
		assert_true(now() < far);
	}
	b->ops->wake(b);
	assert_int_equal(b->ops->poll(b, far), 1);
	atomic_store(&gate, true);
	assert_int_equal(tz_result(f, NULL), 0);
	for (tz_deadline end = soon(); now() < far; assert_false(tz_expired(end)))
		assert_int_equal(b->ops->poll(b, far), 0);
}

/* One group for each kind. */
static int run_kind(struct kind *which, const char *name)
{
#define FOR_KIND(f) \
	{ \
#f, f, open_kind, close_it, which \
	}
	const struct CMUnitTest tests[] = {
		FOR_KIND(tells_that_a_descriptor_is_readable),
		FOR_KIND(is_told_once_for_each_time_it_is_armed),
		FOR_KIND(several_wait_for_one_descriptor),
		FOR_KIND(those_that_wait_longest_are_told_first),
		FOR_KIND(a_disarmed_one_is_not_told),
		FOR_KIND(ready_may_disarm_who_would_be_next),
		FOR_KIND(ready_may_arm_again),
		FOR_KIND(the_end_and_errors_are_told),
		FOR_KIND(a_file_is_ready_at_once),
		FOR_KIND(a_bad_descriptor_is_an_error),
		FOR_KIND(a_number_that_is_used_again_is_noticed),
		FOR_KIND(events_of_the_one_before_are_not_told),
		FOR_KIND(who_waited_before_waits_for_the_new_one),
		FOR_KIND(who_waited_for_a_closed_one_is_told_when_it_shows),
		FOR_KIND(many_at_once),
		FOR_KIND(a_poll_is_never_early),
		FOR_KIND(a_time_that_has_passed_does_not_block),
		FOR_KIND(another_thread_ends_a_poll),
		FOR_KIND(one_before_the_poll_is_not_lost),
		FOR_KIND(a_signal_handler_ends_a_poll),
		FOR_KIND(no_wake_up_is_lost),
		FOR_KIND(a_burst_of_wake_ups_is_one_write),
		FOR_KIND(a_wake_up_comes_beside_descriptors),
		FOR_KIND(a_child_may_close_its_copy),
	};

	return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
	static const char *const names[] = { "epoll", "old_kernel", "sim", "sim_delayed",
					     "sim_grace" };
	const struct CMUnitTest others[] = {
		cmocka_unit_test(without_descriptors_it_does_not_open),
		cmocka_unit_test(closing_none_is_legal),
		cmocka_unit_test(epoll_has_no_chance),
		cmocka_unit_test_setup_teardown(two_hours_pass, open_sim, close_it),
		cmocka_unit_test_setup_teardown(without_a_seed_it_is_first_in_first_out, open_sim,
						close_it),
		cmocka_unit_test(a_seed_gives_the_same_choices_again),
		cmocka_unit_test(a_share_of_waits_fails),
		cmocka_unit_test(one_point_fails_as_it_is_told_to),
		cmocka_unit_test(a_delay_is_waited_for),
		cmocka_unit_test_setup_teardown(what_is_real_comes_before_a_jump, open_sim,
						close_it),
		cmocka_unit_test(grace_waits_for_other_threads),
		cmocka_unit_test(what_does_not_matter_does_not_end_the_grace),
		cmocka_unit_test_setup_teardown(nothing_jumps_while_something_is_under_way,
						open_sim, close_it),
		cmocka_unit_test_setup_teardown(nothing_jumps_while_a_lane_is_busy, open_sim,
						close_it),
	};
	int failed = 0;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		failed += run_kind(&kinds[i], names[i]);
	failed += cmocka_run_group_tests_name("only sim", others, NULL, NULL);
	return failed;
}
