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

static int wait_for_descriptors(const void *ops)
{
	static const struct tz_backend_options options = { .exact = true };
	struct tz_backend *b = NULL;
	int fds[2], r;

	r = ((const struct tz_backend_ops *)ops)->open(&b, &options);
	if (r < 0) {
		expect(b == NULL);
		return r;
	}
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backends),
		cmocka_unit_test(shared_words),
		cmocka_unit_test(lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
