/* What a loop stands on, when memory, threads or the system's event queues run out at any point. */
#include "fault.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include <trenza.h>

#include "check.h"
#include "loop/backend.h"
#include "loop/lane.h"
#include "loop/word.h"
#include "os/futex.h"

/* --- backends ---------------------------------------------------------------------------------- */

struct noted {
	struct tz_watch watch; /* first */
	bool ready;
};

static void note(struct tz_watch *watch)
{
	((struct noted *)watch)->ready = true;
}

/* Waits until the watch is ready for what it wants; arms it again if it was only told to look. */
static int finish(struct tz_backend *b, struct noted *n)
{
	for (int looks = 0; !(n->watch.revents & n->watch.events); looks++) {
		int r = 0;

		expect(looks < 1000);
		if (n->ready) {
			n->ready = false;
			r = b->ops->arm(b, &n->watch);
		}
		if (r < 0)
			return r;
		r = b->ops->poll(b, b->ops->now(b) + 1000000);
		expect(r >= 0);
	}
	return 0;
}

static int both_ways(struct tz_backend *b, const int fds[2])
{
	struct noted in = { .watch = { .fd = fds[0], .events = POLLIN, .ready = note } };
	struct noted out = { .watch = { .fd = fds[0], .events = POLLOUT, .ready = note } };
	int r = b->ops->arm(b, &in.watch);

	if (r == 0)
		r = b->ops->arm(b, &out.watch);
	if (r == 0)
		r = finish(b, &out);
	expect(write(fds[1], "x", 1) == 1);
	if (r == 0)
		r = finish(b, &in);
	b->ops->disarm(b, &in.watch);
	b->ops->disarm(b, &out.watch);
	expect(b->armed == 0);
	return r;
}

/* Of the tests themselves: it is not to fail. */
int __real_socketpair(int domain, int type, int protocol, int *ret);

static int wait_for_descriptors(const void *ops)
{
	static const struct tz_backend_options options;
	struct tz_backend *b = NULL;
	int fds[2], r;

	r = ((const struct tz_backend_ops *)ops)->open(&b, &options);
	if (r < 0) {
		expect(b == NULL);
		return r;
	}
	expect(__real_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	r = both_ways(b, fds);
	b->ops->wake(b);
	expect(b->ops->poll(b, 0) > 0);
	b->ops->close(b);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return r;
}

static void backends(void **state)
{
	(void)state;
	fault_sweep(wait_for_descriptors, &tz_backend_epoll);
	fault_sweep(wait_for_descriptors, &tz_backend_sim);
}

/* --- words ------------------------------------------------------------------------------------- */

enum { WORDS = 200 };

struct heard {
	struct tz_word_wait wait; /* first */
	_Atomic uint32_t told;
};

static void hear(struct tz_word_wait *wait)
{
	struct heard *h = (struct heard *)wait;

	atomic_store(&h->told, 1);
	tz_futex_wake(&h->told, 1);
}

static int wait_for_words(const void *use_threads)
{
	static _Atomic uint32_t words[WORDS];
	static struct heard heard[WORDS];
	int n = use_threads ? 3 : WORDS, begun = 0, r = 0;

	tz_words_use_threads(use_threads != NULL);
	for (int i = 0; i < n; i++) {
		atomic_store(&words[i], 0);
		atomic_store(&heard[i].told, 0);
	}
	while (r == 0 && begun < n) {
		heard[begun].wait = (struct tz_word_wait){ .word = &words[begun], .woken = hear };
		r = tz_word_watch(&heard[begun].wait);
		begun += r == 0;
	}
	for (int i = 0; i < begun; i++) {
		if (i % 2 == 0)
			(void)tz_word_unwatch(&heard[i].wait);
		atomic_store(&words[i], 1);
		tz_futex_wake_shared(&words[i], 1);
	}
	for (int i = 1; i < begun; i += 2)
		while (!atomic_load(&heard[i].told))
			(void)tz_futex_wait(&heard[i].told, 0, 0);
	return r;
}

static void shared_words(void **state)
{
	static const int yes;

	(void)state;
	fault_sweep(wait_for_words, NULL);
	fault_sweep(wait_for_words, &yes);
}

/* --- lanes ------------------------------------------------------------------------------------- */

static int twice(int n)
{
	return 2 * n;
}
TZ_TASK(int, twice, int);

static void count(void *calls)
{
	++*(int *)calls;
}

static int call_in_lanes(const void *unused)
{
	int calls = 0, n = 0, r = 0;

	(void)unused;
	for (tz_lane_kind kind = TZ_LANE_IO; kind <= TZ_LANE_DNS; kind++)
		tz_lane_call(kind, count, &calls);
	expect(calls == 3); /* here, if nowhere else */
	for (int i = 0; i < 5 && r == 0; i++) {
		r = tz_result(tz_to_thread(twice, i), &n);
		expect(r < 0 || n == 2 * i);
	}
	return r == -EREMOTEIO ? tz_last()->code : r;
}

static void lanes(void **state)
{
	(void)state;
	fault_sweep(call_in_lanes, NULL);
}

/* --- loops ------------------------------------------------------------------------------------- */

enum { SOME = 20 };

static int first_error(int r, int answer)
{
	int code = answer == -EREMOTEIO ? tz_last()->code : answer;

	return r < 0 ? r : code < 0 ? code : 0;
}

static int nap(int n)
{
	int r = tz_sleep(0.0001 * n);

	return r < 0 ? tz_fail(r, "no sleep") : 0;
}
TZ_TASK(int, nap, int);

static int nap_in_many(void)
{
	nap_future f[SOME];
	tz_future timers[SOME];
	int r = 0;

	for (int i = 0; i < SOME; i++) {
		f[i] = tz_spawn_with(TZ_OPTIONS(tz_submit_options,
						.stack_size = i == 7 ? (size_t)1 << 20 : 0,
						.eager = i == 9),
				     nap, i % 3);
		timers[i] = tz_timer_future(tz_after(0.0001 * (i % 5)));
	}
	for (int i = 0; i < SOME; i++) {
		r = first_error(r, tz_result(f[i], NULL));
		r = first_error(r, tz_result(timers[i], NULL));
	}
	return first_error(r, tz_result(tz_call_later(tz_loop_current(), 0.0001, nap, 1), NULL));
}

static void take_byte(int fd, void *count)
{
	char c;

	*(int *)count += read(fd, &c, 1) == 1;
}

static int read_in_loop(void)
{
	int fds[2], count = 0;

	expect(__real_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	tz_future reader = tz_add_reader(tz_loop_current(), fds[0], take_byte, &count);

	expect(write(fds[1], "abc", 3) == 3);
	while (count < 3 && tz_done(reader) == 0)
		(void)tz_sleep(0.0001);
	(void)tz_cancel(reader);
	int r = tz_result(reader, NULL);
	int error = r == -EREMOTEIO && tz_last()->code != -ECANCELED ? tz_last()->code : 0;

	expect(error < 0 || count == 3);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return error;
}

static int use_a_loop(void)
{
	int r = nap_in_many(), n = 0;

	r = first_error(r, read_in_loop());
	for (int i = 0; i < 3; i++)
		r = first_error(r, tz_result(tz_to_thread(twice, i), &n));
	return r < 0 ? tz_fail(r, "without memory") : 0;
}
TZ_TASK(int, use_a_loop, void);

static int run_a_loop(const void *options)
{
	return first_error(0, tz_run_with(options, NULL, use_a_loop));
}

static int use_loops_of_an_executor(const void *spec)
{
	tz_executor *ex = NULL;
	int r = tz_executor_open(&ex, spec);

	if (r < 0)
		return r;
	r = first_error(0, tz_result(tz_submit(ex, use_a_loop), NULL));
	tz_executor_close(ex);
	return r;
}

static void loops(void **state)
{
	(void)state;
	fault_sweep(run_a_loop, &(tz_loop_options){ .backend = "epoll" });
	fault_sweep(run_a_loop, &(tz_loop_options){ .backend = "sim", .seed = 3 });
	fault_sweep(use_loops_of_an_executor, "coroutines:2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backends),
		cmocka_unit_test(shared_words),
		cmocka_unit_test(lanes),
		cmocka_unit_test(loops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
