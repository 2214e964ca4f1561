/* Numbers that wrap: the indices of a run queue, the tag of a stack of forks, the generation of a job's handle. */
#define _GNU_SOURCE

#include <pthread.h>
#include <string.h>

#include "core/job.h"
#include "sched/runqueue.h"
#include "stress.h"

/* --- the run queue: 16-bit indices and a 32-bit tag ------------------------------------------------------------------------ */

enum { ENTRIES = 1 << 17, THIEVES = 3 };

static struct tz_runqueue queue;
static _Atomic unsigned char taken[ENTRIES];
static char jobs[ENTRIES]; /* never looked into: addresses that stand for jobs */
static _Atomic bool pushed_all;
static _Atomic uint64_t stream;

static tz_job *entry(size_t i)
{
	return (tz_job *)(void *)&jobs[i];
}

static void note(tz_job *job)
{
	size_t i = (size_t)((char *)job - jobs);

	must(i < ENTRIES && atomic_fetch_add(&taken[i], 1) == 0);
}

static void steal_or_own(int index)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));
	tz_job *job;

	if (index > 0) {
		while (!atomic_load(&pushed_all) || tz_runqueue_length(&queue) > 0)
			if ((job = tz_runqueue_take(&queue)))
				note(job);
		return;
	}
	for (size_t i = 0; i < ENTRIES;) {
		tz_job *batch[32];
		size_t n = 1 + stress_draw(&rnd, 32),
		       room = TZ_RUNQUEUE_SIZE - tz_runqueue_length(&queue);

		n = n < room ? n : room;
		n = n < ENTRIES - i ? n : ENTRIES - i;
		if (stress_draw(&rnd, 2)) {
			for (size_t k = 0; k < n; k++)
				batch[k] = entry(i + k);
			if (n)
				tz_runqueue_push_all(&queue, batch, n);
			i += n;
		} else if (tz_runqueue_push(&queue, entry(i))) {
			if (stress_draw(&rnd, 3) == 0 && tz_runqueue_unpush(&queue, entry(i)))
				note(entry(i));
			i++;
		}
		if (stress_draw(&rnd, 4) == 0 && (job = tz_runqueue_take(&queue)))
			note(job);
		if (i % 4096 == 0)
			progress();
	}
	atomic_store(&pushed_all, true);
	while ((job = tz_runqueue_take(&queue)))
		note(job);
}

static void run_queue(void)
{
	do {
		uint16_t near_the_end = 0xff80;

		memset((void *)taken, 0, sizeof taken);
		atomic_store(&pushed_all, false);
		atomic_store(&queue.word, tz_rq_word(near_the_end, near_the_end, 0xffffff00));
		stress_threads(1 + THIEVES, steal_or_own);
		for (int i = 0; i < ENTRIES; i++)
			must(atomic_load(&taken[i]) == 1);
		progress();
	} while (!stress_over());
}

/* --- generations of handles -------------------------------------------------------------------------------------------------- */

static int number(int x)
{
	return x;
}
TZ_TASK(int, number, int);

/* A cell whose generation is about to wrap: handles of each go stale, and the next one is good. */
static void generations(void)
{
	tz_executor *ex;

	must(tz_executor_open(&ex, "threads:2") == 0);
	do {
		number_future old[8];
		struct tz_job *cell = NULL;

		for (int i = 0; i < 8; i++) {
			int v = -1;

			old[i] = tz_submit(ex, number, i);
			if (old[i].handle.tz__cell != cell) {
				/* The thread's cache is last in, first out: the next submit gets the same cell. */
				cell = old[i].handle.tz__cell;
				must(tz_wait(old[i], tz_never()) == 0);
				uint64_t s = atomic_load(&cell->state);

				while (tz_job_phase(s) != JOB_DONE || (s & JOB_REFS) != JOB_REF)
					s = atomic_load(&cell->state);
				atomic_store(&cell->state, (s & (JOB_GENERATION - 1)) |
								   UINT64_C(0xfffffffd) << 32);
				old[i].handle = tz_job_handle(cell);
			}
			must(tz_result(old[i], &v) == 0 && v == i);
			for (int k = 0; k <= i; k++) {
				must(tz_done(old[k]) < 0);
				must(tz_detach(old[k]) < 0);
			}
		}
		progress();
	} while (!stress_over());
	tz_executor_close(ex);
}

/* --- the stack of forks: a 16-bit tag ------------------------------------------------------------------------------------------ */

static long leaf(long x)
{
	return x;
}
TZ_TASK(long, leaf, long);

/* More publishes and take-backs at the same indices than the tag has values. */
static long many_forks(long rounds)
{
	long sum = 0;

	for (long i = 0; i < rounds; i++) {
		leaf_fork a = tz_fork(leaf, i), b = tz_fork(leaf, 1L);

		sum += tz_join(b);
		sum += tz_join(a);
	}
	return sum;
}
TZ_TASK(long, many_forks, long);

static void tags(void)
{
	enum { ROUNDS = 200000 };
	tz_executor *ex;
	long v = 0;

	must(tz_executor_open(&ex, "threads:3") == 0);
	do {
		must(tz_result(tz_submit(ex, many_forks, (long)ROUNDS), &v) == 0);
		must(v == (long)ROUNDS * (ROUNDS - 1) / 2 + ROUNDS);
		progress();
	} while (!stress_over());
	tz_executor_close(ex);
}

int main(int argc, char **argv)
{
	static const struct stress_case cases[] = {
		{ "indices of a run queue wrap", run_queue },
		{ "generations wrap", generations },
		{ "tags of a stack of forks wrap", tags },
	};

	return stress_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
