/*
 * The libuv contender: it has no coroutines, but timers, and a callback for each.
 */
#include <uv.h>

#include "../bench.h"

static uv_loop_t *loop;
static uv_timer_t timer[BENCH_TIMERS];
static uint32_t set;

static void never(uv_timer_t *t)
{
	(void)t;
	bench_check(0, "a timer fired");
}

static void rearm(long n)
{
	for (long i = 0; i < n; i++) {
		uv_timer_start(&timer[bench_timer_index(set)], never, bench_timer_ms(set), 0);
		if (++set % BENCH_TIMERS_A_TURN == 0)
			uv_run(loop, UV_RUN_NOWAIT);
	}
}

static double timer_rearm(void)
{
	loop = uv_default_loop();
	for (int i = 0; i < BENCH_TIMERS; i++)
		uv_timer_init(loop, &timer[i]);
	rearm(BENCH_TIMERS);
	return bench_each(rearm, LONG_MAX);
}

static void rings(uv_timer_t *t)
{
	(void)t;
}

static void nap(void)
{
	uv_update_time(loop);
	uv_timer_start(&timer[0], rings, 1, 0);
	uv_run(loop, UV_RUN_DEFAULT);
}

static double timer_late(void)
{
	loop = uv_default_loop();
	uv_timer_init(loop, &timer[0]);
	return bench_sleeps(nap);
}

static void wake(uv_timer_t *t)
{
	bench_wakes(t->data);
	free(t);
}

static void sleep_all(bench_sleep *s)
{
	for (long i = 0; i < s->tasks; i++) {
		uv_timer_t *t = malloc(sizeof *t);
		bench_check(t && uv_timer_init(loop, t) == 0, "no timer");
		t->data = s;
		bench_falls_asleep(s);
		/* Else it sleeps from the loop's last turn on, and so less. */
		uv_update_time(loop);
		uv_timer_start(t, wake, (uint64_t)(s->seconds * 1e3), 0);
	}
	uv_run(loop, UV_RUN_DEFAULT);
}

static double sleepers_100k(void)
{
	loop = uv_default_loop();
	return bench_sleepers(sleep_all, 100000, BENCH_SLEEP_100K);
}

static double sleepers_1m(void)
{
	loop = uv_default_loop();
	return bench_sleepers(sleep_all, 1000000, BENCH_SLEEP_1M);
}

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
		{ "timer-rearm", timer_rearm },
		{ "timer-late", timer_late },
		{ "sleepers-100k", sleepers_100k },
		{ "sleepers-1m", sleepers_1m },
		{ NULL, NULL },
	};
	return bench_main(argc, argv, table);
}
