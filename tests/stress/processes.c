/* Pools of processes whose workers, and their nursery, are killed at random, while jobs are submitted, cancelled and timed out, and pools come and go.
 * Each future ends once, with the right result or with a cause that fits; nothing is left behind. */
#define _GNU_SOURCE

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../abilities.h"
#include "../descriptors.h"
#include "../proc.h"
#include "stress.h"

enum { SUBMITTERS = 3, HELD = 48 };

static tz_executor *pool;
static _Atomic int some_pid; /* of a worker that ran something lately */
static _Atomic uint64_t fine, crashed, cancelled, late, lost;

static uint32_t mix(uint32_t n)
{
	return n * 2654435761u ^ 0x5a5a5a5a;
}
TZ_TASK(uint32_t, mix, uint32_t);

static uint32_t mix_slowly(uint32_t n, double seconds)
{
	(void)tz_sleep(seconds);
	return mix(n);
}
TZ_TASK(uint32_t, mix_slowly, uint32_t, double);

static uint32_t mix_or_die(uint32_t n)
{
	if (n % 4 == 0)
		(void)raise(SIGKILL);
	if (n % 4 == 1)
		_exit(3);
	return mix(n);
}
TZ_TASK(uint32_t, mix_or_die, uint32_t);

static uint32_t spin(uint32_t n)
{
	for (tz_deadline end = tz_after(0.02); !tz_expired(end);)
		;
	return mix(n);
}
TZ_TASK(uint32_t, spin, uint32_t);

static char *repeat(const char *text, int n)
{
	size_t len = strlen(text);
	char *all = malloc(len * (size_t)n + 1);

	for (int i = 0; all && i < n; i++)
		memcpy(all + (size_t)i * len, text, len);
	if (all)
		all[len * (size_t)n] = '\0';
	return all;
}
TZ_TASK(char *, repeat, const char *, int);

static int who(void)
{
	return (int)getpid();
}
TZ_TASK(int, who, void);

/* How a job may have ended. */
static void judge(tz_future f, uint32_t want)
{
	tz_outcome o;
	uint32_t v = 0;

	must(tz_outcome_raw(f.handle, &o) == 0);
	must(o.status != TZ_PENDING);
	switch (o.status) {
	case TZ_OK:
		must(tz_result_raw(f.handle, &v, sizeof v) == 0);
		must(v == want);
		atomic_fetch_add(&fine, 1);
		return;
	case TZ_CRASHED:
		must(o.message[0]);
		atomic_fetch_add(&crashed, 1);
		break;
	case TZ_CANCELLED:
		atomic_fetch_add(&cancelled, 1);
		break;
	case TZ_TIMED_OUT:
		atomic_fetch_add(&late, 1);
		break;
	default:
		/* The nursery was killed while it was to start workers. */
		must(o.status == TZ_LOST || o.status == TZ_FAILED);
		atomic_fetch_add(&lost, 1);
		break;
	}
	must(tz_detach_raw(f.handle) == 0);
	must(tz_done_raw(f.handle) == -ESTALE);
}

static tz_future submit_some(stress_random *r, uint32_t n)
{
	tz_submit_options o = { .priority = (tz_priority)((int)stress_draw(r, 3) - 1) };

	switch (stress_draw(r, 12)) {
	case 0:
		o.retries = 2;
		return TZ_FUTURE(tz_submit_with(pool, &o, mix_or_die, n));
	case 1:
		return TZ_FUTURE(tz_submit(pool, mix_or_die, n));
	case 2:
		o.deadline = tz_after(0.001 * stress_draw(r, 20));
		return TZ_FUTURE(tz_submit_with(pool, &o, mix_slowly, n, 0.01));
	case 3:
		o.deadline = tz_after(0.005);
		return TZ_FUTURE(tz_submit_with(pool, &o, spin, n));
	case 4:
		o.kill = true;
		return TZ_FUTURE(tz_submit_with(pool, &o, mix_slowly, n, 0.002));
	default:
		return TZ_FUTURE(tz_submit_with(pool, &o, mix, n));
	}
}

static void submit_and_judge(int index)
{
	stress_random r = stress_generator((uint64_t)index);
	tz_future held[HELD];
	uint32_t number[HELD];

	while (!stress_over()) {
		int n = 1 + (int)stress_draw(&r, HELD);

		for (int i = 0; i < n; i++) {
			number[i] = stress_draw(&r, 1u << 30);
			held[i] = submit_some(&r, number[i]);
		}
		for (int i = 0; i < n; i++)
			if (stress_draw(&r, 10) == 0)
				(void)tz_cancel_raw(held[i].handle);
		for (int i = 0; i < n; i++) {
			must(tz_wait_raw(held[i].handle, tz_after(60)) == 0);
			judge(held[i], mix(number[i]));
			progress();
		}
		if (stress_draw(&r, 4) == 0) {
			char *text = NULL;
			int pid = 0;

			if (tz_result(tz_submit(pool, repeat, "0123456789",
						(int)stress_draw(&r, 20000)),
				      &text) == 0) {
				must(strncmp(text, "0123456789",
					     strlen(text) < 10 ? strlen(text) : 10) == 0);
				free(text);
			}
			if (tz_result(tz_submit(pool, who), &pid) == 0)
				atomic_store(&some_pid, pid);
		}
	}
}

static bool kills_nursery;

static void kill_some(void)
{
	stress_random r = stress_generator(99);

	while (!stress_over()) {
		(void)tz_sleep(0.001 * (1 + stress_draw(&r, 30)));
		if (kills_nursery && stress_draw(&r, 8) == 0) {
			int pid = atomic_load(&some_pid), parent = pid ? parent_of(pid) : 0;

			if (parent > 1 && parent != (int)getpid())
				(void)kill(parent, SIGKILL);
		} else {
			(void)tz_executor_kill_workers(pool);
		}
	}
}

static void take_part(int index)
{
	if (index == SUBMITTERS)
		kill_some();
	else
		submit_and_judge(index);
}

static void tell(void)
{
	printf("# %llu ok, %llu crashed, %llu cancelled, %llu late, %llu lost\n",
	       (unsigned long long)atomic_exchange(&fine, 0),
	       (unsigned long long)atomic_exchange(&crashed, 0),
	       (unsigned long long)atomic_exchange(&cancelled, 0),
	       (unsigned long long)atomic_exchange(&late, 0),
	       (unsigned long long)atomic_exchange(&lost, 0));
}

static void storm(void)
{
	tz_executor_stats s;

	must(tz_executor_open(&pool, "processes:3,kill_grace=0.01") == 0);
	atomic_store(&some_pid, 0);
	stress_threads(SUBMITTERS + 1, take_part);
	must(tz_executor_shutdown(pool, TZ_DRAIN, tz_after(60)) == 0);
	tz_executor_stats_of(pool, &s);
	must(s.submitted == s.completed);
	must(s.workers == 0 && s.pending == 0 && s.running == 0);
	tz_executor_close(pool);
	tell();
}

static void storm_of_workers(void)
{
	kills_nursery = false;
	storm();
}

static void storm_of_the_nursery(void)
{
	kills_nursery = true;
	storm();
}

/* Pools come and go, in every state. */
static void pools_come_and_go(void)
{
	stress_random r = stress_generator(7);
	int before = 0;

	for (int round = 0; !stress_over() || round < 10; round++) {
		tz_future held[HELD];
		int n = (int)stress_draw(&r, HELD);

		must(tz_executor_open(&pool, "processes:2,kill_grace=0.005") == 0);
		for (int i = 0; i < n; i++)
			held[i] = submit_some(&r, (uint32_t)i * 4 + 2);
		if (stress_draw(&r, 2))
			(void)tz_sleep(0.0005 * stress_draw(&r, 10));
		if (stress_draw(&r, 3) == 0)
			(void)tz_executor_kill_workers(pool);
		must(tz_executor_shutdown(pool, (tz_shutdown)stress_draw(&r, 3), tz_after(60)) ==
		     0);
		for (int i = 0; i < n; i++) {
			must(tz_done_raw(held[i].handle) == 1);
			judge(held[i], mix((uint32_t)i * 4 + 2));
		}
		tz_executor_close(pool);
		progress();
		if (round == 5)
			before = open_descriptors();
	}
	must(open_descriptors() <= before);
	tell();
}

int main(int argc, char **argv)
{
	static const struct stress_case cases[] = {
		{ "workers are killed", storm_of_workers },
		{ "workers and their nursery are killed", storm_of_the_nursery },
		{ "pools come and go", pools_come_and_go },
	};

	if (!PROCESSES) {
		puts(NO_PROCESSES);
		return 0;
	}
	return stress_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
