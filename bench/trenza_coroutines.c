/*
 * Our contender, area `coroutines`: one loop, on this thread, with stacks of 64 KiB.
 */
#include <trenza.h>
#include <trenza/loop.h>
#include <trenza/queue.h>
#include <trenza/spawn.h>

#include "trenza_bench.h"

enum { MANY = 1000 };

static double (*workload)(void);

static double run_workload(void)
{
	return workload();
}
TZ_TASK(double, run_workload, void);

/* Runs a workload in a coroutine. */
static double on_loop(double (*f)(void))
{
	const tz_loop_options options = { .stack_size = 65536 };
	double value = 0;

	workload = f;
	bench_check(tz_run_with(&options, &value, run_workload) == 0, "the loop failed");
	return value;
}

static void yield_often(long n)
{
	while (n-- > 0)
		bench_check(tz_yield() == 0, "no yield");
}
TZ_TASK(void, yield_often, long);

static void yields_among(int among, long n)
{
	yield_often_future all[MANY];

	for (int i = 0; i < among; i++)
		all[i] = tz_spawn(yield_often, (n + among - 1) / among);
	bench_check(tz_gather_all(all, (size_t)among) == 0, "a coroutine failed");
}

static void yields_among_2(long n)
{
	yields_among(2, n);
}

static double yield_2_here(void)
{
	return bench_each(yields_among_2, LONG_MAX);
}

static double yield_2(void)
{
	return on_loop(yield_2_here);
}

static void yields_among_many(long n)
{
	yields_among(MANY, n);
}

static double yield_1000_here(void)
{
	return bench_each(yields_among_many, LONG_MAX);
}

static double yield_1000(void)
{
	return on_loop(yield_1000_here);
}

static void empty(void)
{
	bench_nop();
}
TZ_TASK(void, empty, void);

static void spawns(long n)
{
	while (n-- > 0)
		bench_check(tz_result(tz_spawn(empty), NULL) == 0, "a coroutine failed");
}

static double spawn_join_here(void)
{
	return bench_each(spawns, LONG_MAX);
}

static double spawn_join(void)
{
	return on_loop(spawn_join_here);
}

static void yield_once(void)
{
	bench_check(tz_yield() == 0, "no yield");
}
TZ_TASK(void, yield_once, void);

static void spawns_that_yield(long n)
{
	while (n-- > 0)
		bench_check(tz_result(tz_spawn(yield_once), NULL) == 0, "a coroutine failed");
}

static double spawn_yield_join_here(void)
{
	return bench_each(spawns_that_yield, LONG_MAX);
}

static double spawn_yield_join(void)
{
	return on_loop(spawn_yield_join_here);
}

TZ_QUEUE(long, words);

static words there, back;

static void answer(long n)
{
	for (long i = 0; i < n; i += 2) {
		long word = 0;
		bench_check(words_get(there, &word) == 0, "no get");
		bench_check(words_put(back, word) == 0, "no put");
	}
}
TZ_TASK(void, answer, long);

static void ask(long n)
{
	for (long i = 0; i < n; i += 2) {
		long word = 0;
		bench_check(words_put(there, i) == 0, "no put");
		bench_check(words_get(back, &word) == 0, "no get");
		bench_check(word == i, "wrong message");
	}
}

static void hops(long n)
{
	answer_future other = tz_spawn(answer, n);
	ask(n);
	bench_check(tz_result(other, NULL) == 0, "a coroutine failed");
}

static double channel_hop_here(void)
{
	tz_queue_options one = { .capacity = 1 };
	bench_check(words_open(&there, &one) == 0 && words_open(&back, &one) == 0, "no queue");
	double value = bench_each(hops, LONG_MAX);
	words_close(&there);
	words_close(&back);
	return value;
}

static double channel_hop(void)
{
	return on_loop(channel_hop_here);
}

static tz_future timers[BENCH_TIMERS];
static uint32_t set;

static void rearm(long n)
{
	for (long i = 0; i < n; i++) {
		tz_future timer = timers[bench_timer_index(set)];
		tz_deadline when = tz_after(bench_timer_ms(set) * 1e-3);
		bench_check(tz_timer_future_reschedule(timer, when) == 0, "a timer fired");
		if (++set % BENCH_TIMERS_A_TURN == 0)
			bench_check(tz_yield() == 0, "no yield");
	}
}

static double timer_rearm_here(void)
{
	for (; set < BENCH_TIMERS; set++)
		timers[bench_timer_index(set)] =
			tz_timer_future(tz_after(bench_timer_ms(set) * 1e-3));
	double value = bench_each(rearm, LONG_MAX);
	for (size_t i = 0; i < BENCH_TIMERS; i++) {
		tz_cancel(timers[i]);
		tz_detach(timers[i]);
	}
	return value;
}

static double timer_rearm(void)
{
	return on_loop(timer_rearm_here);
}

static void nap(void)
{
	bench_check(tz_sleep(1e-3) == 0, "no sleep");
}

static double timer_late_here(void)
{
	return bench_sleeps(nap);
}

static double timer_late(void)
{
	return on_loop(timer_late_here);
}

static void sleeper(bench_sleep *s)
{
	bench_falls_asleep(s);
	bench_check(tz_sleep(s->seconds) == 0, "no sleep");
	bench_wakes(s);
}
TZ_TASK(void, sleeper, bench_sleep *);

static void sleep_all(bench_sleep *s)
{
	sleeper_future *all = malloc((size_t)s->tasks * sizeof *all);
	bench_check(all != NULL, "no memory");
	for (long i = 0; i < s->tasks; i++)
		all[i] = tz_spawn(sleeper, s);
	bench_check(tz_gather_all(all, (size_t)s->tasks) == 0, "a coroutine failed");
	free(all);
}

static double sleepers_100k_here(void)
{
	return bench_sleepers(sleep_all, 100000, BENCH_SLEEP_100K);
}

static double sleepers_100k(void)
{
	return on_loop(sleepers_100k_here);
}

static double sleepers_1m_here(void)
{
	return bench_sleepers(sleep_all, 1000000, BENCH_SLEEP_1M);
}

static double sleepers_1m(void)
{
	return on_loop(sleepers_1m_here);
}

/* The same without coroutines: futures that are done when their time has come. */
static void set_all(bench_sleep *s)
{
	tz_future *all = malloc((size_t)s->tasks * sizeof *all);
	bench_check(all != NULL, "no memory");
	for (long i = 0; i < s->tasks; i++) {
		all[i] = tz_timer_future(tz_after(s->seconds));
		bench_falls_asleep(s);
	}
	bench_check(tz_gather_all(all, (size_t)s->tasks) == 0, "a timer failed");
	free(all);
}

static double timers_100k_here(void)
{
	return bench_sleepers(set_all, 100000, BENCH_SLEEP_100K);
}

static double timers_100k(void)
{
	return on_loop(timers_100k_here);
}

static double timers_1m_here(void)
{
	return bench_sleepers(set_all, 1000000, BENCH_SLEEP_1M);
}

static double timers_1m(void)
{
	return on_loop(timers_1m_here);
}

const bench_workload coroutines_workloads[] = {
	{ "yield-2", yield_2 },
	{ "yield-1000", yield_1000 },
	{ "spawn-join", spawn_join },
	{ "spawn-yield-join", spawn_yield_join },
	{ "channel-hop", channel_hop },
	{ "timer-rearm", timer_rearm },
	{ "timer-late", timer_late },
	{ "sleepers-100k", sleepers_100k },
	{ "sleepers-100k-timers", timers_100k },
	{ "sleepers-1m", sleepers_1m },
	{ "sleepers-1m-timers", timers_1m },
	{ NULL, NULL },
};
