/* Calls that travel together to a worker process, each with an outcome of its own. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza.h>

#include "abilities.h"
#include "check.h"
#include "crew.h"

enum { MANY = 1000, LONG = 6000, CHUNK = 100 };

static tz_executor *ex;
static char marks[64]; /* name of a file in which each call leaves a mark, wherever it is made */
static const char *names[MANY];
static int numbers[MANY], got[MANY];

static int begin(void **state)
{
	int fd;

	(void)state;
	(void)snprintf(marks, sizeof marks, "/tmp/trenza-together-XXXXXX");
	fd = mkstemp(marks);
	if (fd < 0 || close(fd) < 0)
		return -1;
	for (int i = 0; i < MANY; i++) {
		names[i] = marks;
		numbers[i] = i;
		got[i] = -1;
	}
	return tz_executor_open(&ex, "processes:2");
}

static int end(void **state)
{
	(void)state;
	tz_executor_close(ex);
	return unlink(marks);
}

static void mark(const char *name, int n)
{
	int fd = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 || write(fd, &n, sizeof n) != sizeof n || close(fd) < 0)
		abort();
}

/* How often each call was made; those from `n` on never. */
static void count_marks(int *ret, int n)
{
	FILE *file = fopen(marks, "r");
	int i;

	must(file);
	memset(ret, 0, (size_t)n * sizeof *ret);
	while (fread(&i, sizeof i, 1, file) == 1) {
		assert_in_range(i, 0, n - 1);
		ret[i]++;
	}
	(void)fclose(file);
}

static uint64_t jobs_so_far(void)
{
	tz_executor_stats stats;

	tz_executor_stats_of(ex, &stats);
	return stats.submitted;
}

/* Waits for a future as long as a test may take. */
static int ends(tz_future f)
{
	must(tz_wait(f, soon()) == 0);
	return tz_result(f, NULL);
}

/* --- that they do ------------------------------------------------------------------------------------------------------------- */

static int twice(int n)
{
	return 2 * n;
}
TZ_TASK(int, twice, int);

static void a_chunk_is_one_job(void **state)
{
	uint64_t before = jobs_so_far();
	twice_stream s;
	int v = 0;

	(void)state;
	assert_int_equal(tz_stream_over(&s, ex, twice,
					TZ_OPTIONS(tz_stream_options, .chunk = CHUNK), MANY,
					numbers),
			 0);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(tz_stream_next(s, &v), 1);
		assert_int_equal(v, 2 * i);
	}
	assert_int_equal(tz_stream_next(s, &v), 0);
	tz_stream_close(s);
	assert_int_equal(jobs_so_far() - before, MANY / CHUNK);
}

static void a_submitted_map_is_few_jobs(void **state)
{
	uint64_t before = jobs_so_far();

	(void)state;
	assert_int_equal(ends(tz_submit_map(ex, twice, MANY, got, numbers)), 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(got[i], 2 * i);
	assert_in_range(jobs_so_far() - before, 2, MANY / 10);
	before = jobs_so_far();
	assert_int_equal(ends(tz_submit_map_with(ex, TZ_OPTIONS(tz_map_options, .chunk = CHUNK),
						 twice, MANY, got, numbers)),
			 0);
	assert_int_equal(jobs_so_far() - before, MANY / CHUNK);
}

/* --- each with its outcome -------------------------------------------------------------------------------------------------------- */

static int fail_often(const char *name, int n)
{
	mark(name, n);
	return n % 3 == 0 ? tz_fail(-1000 - n, "at %d", n) : 2 * n;
}
TZ_TASK(int, fail_often, const char *, int);

static void each_failure_is_its_own(void **state)
{
	fail_often_stream s;
	int counts[MANY], v = 0;

	(void)state;
	assert_int_equal(tz_stream_over(&s, ex, fail_often,
					TZ_OPTIONS(tz_stream_options, .chunk = CHUNK), MANY, names,
					numbers),
			 0);
	for (int i = 0; i < MANY; i++) {
		char text[32];
		int r = tz_stream_next(s, &v);

		assert_int_equal(r, i % 3 ? 1 : -EREMOTEIO);
		assert_string_equal(tz_last()->task, "fail_often");
		if (r == 1) {
			assert_int_equal(v, 2 * i);
			continue;
		}
		(void)snprintf(text, sizeof text, "at %d", i);
		assert_int_equal(tz_last()->status, TZ_FAILED);
		assert_int_equal(tz_last()->code, -1000 - i);
		assert_string_equal(tz_last()->message, text);
	}
	tz_stream_close(s);
	count_marks(counts, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(counts[i], 1);
}

static int fail_at_30(const char *name, int n)
{
	mark(name, n);
	return n == 30 ? tz_fail(-EDOM, "no more") : n;
}
TZ_TASK(int, fail_at_30, const char *, int);

static void behind_a_failure_nothing_of_its_piece_is_called(void **state)
{
	static tz_outcome o[CHUNK];
	int counts[CHUNK];
	tz_future f =
		tz_submit_map_with(ex, TZ_OPTIONS(tz_map_options, .chunk = CHUNK, .outcomes = o),
				   fail_at_30, CHUNK, got, names, numbers);

	(void)state;
	assert_int_equal(ends(f), -EREMOTEIO);
	assert_string_equal(tz_last()->message, "element 30: no more");
	count_marks(counts, CHUNK);
	for (int i = 0; i < CHUNK; i++) {
		assert_int_equal(counts[i], i <= 30);
		assert_int_equal(o[i].status, i < 30 ? TZ_OK : i == 30 ? TZ_FAILED : TZ_CANCELLED);
		if (i > 30)
			assert_string_equal(o[i].message, "not called");
	}
}

/* --- a worker dies ------------------------------------------------------------------------------------------------------------------ */

static int die_at_some(const char *name, int n)
{
	mark(name, n);
	if (n % CHUNK == 57 || n % CHUNK == 58)
		(void)raise(SIGKILL);
	if (n % 10 == 3)
		return tz_fail(-EDOM, "at %d", n);
	return n;
}
TZ_TASK(int, die_at_some, const char *, int);

static void a_crash_costs_one_call(void **state)
{
	static tz_outcome o[MANY];
	int counts[MANY];
	tz_future f = tz_submit_map_with(
		ex, TZ_OPTIONS(tz_map_options, .chunk = CHUNK, .outcomes = o, .policy = TZ_MAP_ALL),
		die_at_some, MANY, got, names, numbers);

	(void)state;
	assert_int_equal(ends(f), -EREMOTEIO);
	assert_string_equal(tz_last()->message, "element 3: at 3");
	count_marks(counts, MANY);
	for (int i = 0; i < MANY; i++) {
		bool dies = i % CHUNK == 57 || i % CHUNK == 58;

		assert_int_equal(counts[i], 1);
		assert_int_equal(o[i].status, dies ? TZ_CRASHED : i % 10 == 3 ? TZ_FAILED : TZ_OK);
		if (dies)
			assert_int_equal(o[i].signal, SIGKILL);
		else if (i % 10 != 3)
			assert_int_equal(got[i], i);
	}
}

/* The first time in whichever process. */
static int die_once(const char *name, int n)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC), i;
	bool before = false;

	while (read(fd, &i, sizeof i) == sizeof i)
		before |= i == n;
	(void)close(fd);
	mark(name, n);
	if (n == 12 && !before)
		(void)raise(SIGKILL);
	return n;
}
TZ_TASK(int, die_once, const char *, int);

static void a_call_may_be_tried_again_after_a_crash(void **state)
{
	int counts[40];

	(void)state;
	assert_int_equal(ends(tz_submit_map_with(
				 ex, TZ_OPTIONS(tz_map_options, .chunk = 40, .submit.retries = 1),
				 die_once, 40, got, names, numbers)),
			 0);
	count_marks(counts, 40);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(counts[i], i == 12 ? 2 : 1);
		assert_int_equal(got[i], i);
	}
}

static char *spell(int n)
{
	char *s = malloc(LONG + 16);

	if (!s)
		return NULL;
	if (n == 37)
		(void)raise(SIGKILL);
	memset(s, 'a' + n % 26, LONG);
	(void)snprintf(s + LONG, 16, "%d", n);
	return s;
}
TZ_TASK(char *, spell, int);

/* Results for which there is room on no slate come in parts; also those of a worker that dies later. */
static void long_results(void **state)
{
	spell_stream s;

	(void)state;
	assert_int_equal(tz_stream_over(&s, ex, spell, TZ_OPTIONS(tz_stream_options, .chunk = 25),
					100, numbers),
			 0);
	for (int i = 0; i < 100; i++) {
		char *text = NULL;
		int r = tz_stream_next(s, &text);

		assert_int_equal(r, i == 37 ? -EREMOTEIO : 1);
		if (r < 0)
			continue;
		assert_int_equal(text[0], 'a' + i % 26);
		assert_int_equal(strspn(text, (char[]){ text[0], 0 }), LONG);
		assert_int_equal(atoi(text + LONG), i);
		free(text);
	}
	tz_stream_close(s);
}

static int leave_often(int n)
{
	if (n % 4)
		pthread_exit(NULL);
	return n;
}
TZ_TASK(int, leave_often, int);

static void a_call_that_leaves_costs_one(void **state)
{
	leave_often_stream s;
	int v = 0;

	(void)state;
	assert_int_equal(tz_stream_over(&s, ex, leave_often,
					TZ_OPTIONS(tz_stream_options, .chunk = 50), 100, numbers),
			 0);
	for (int i = 0; i < 100; i++) {
		int r = tz_stream_next(s, &v);

		assert_int_equal(r, i % 4 ? -EREMOTEIO : 1);
		if (r == 1)
			assert_int_equal(v, i);
		else
			assert_int_equal(tz_last()->status, TZ_CRASHED);
	}
	tz_stream_close(s);
}

static void workers_are_killed_all_the_time(void **state)
{
	int lost = 0, killed = 0, v = 0;

	(void)state;
	for (int round = 0; round < 10; round++) {
		twice_stream s;

		assert_int_equal(tz_stream_over(&s, ex, twice,
						TZ_OPTIONS(tz_stream_options, .chunk = 20,
							   .as_completed = round % 2),
						MANY, numbers),
				 0);
		for (int i = 0; i < MANY; i++) {
			size_t index = MANY;
			int r = tz_stream_next_indexed(s, &v, &index);

			must(r == 1 || r == -EREMOTEIO);
			if (r == 1)
				must(v == 2 * (int)index);
			else
				must(tz_last()->status == TZ_CRASHED);
			lost += r < 0;
			if (i % 37 == 36)
				killed += tz_executor_kill_workers(ex);
		}
		must(tz_stream_next(s, &v) == 0);
		tz_stream_close(s);
	}
	assert_in_range(lost, 0, killed);
}

/* --- ends from outside ------------------------------------------------------------------------------------------------------------------- */

static void what_was_accepted_is_drained(void **state)
{
	static tz_outcome o[MANY];
	tz_future f = tz_submit_map_with(
		ex, TZ_OPTIONS(tz_map_options, .outcomes = o, .policy = TZ_MAP_ALL), die_at_some,
		MANY, got, names, numbers);

	(void)state;
	assert_int_equal(tz_executor_shutdown(ex, TZ_DRAIN, soon()), 0);
	assert_int_equal(ends(f), -EREMOTEIO);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(o[i].status, i % CHUNK == 57 || i % CHUNK == 58 ? TZ_CRASHED
					      : i % 10 == 3                      ? TZ_FAILED
										 : TZ_OK);
}

static int stay_at_5(const char *name, int n)
{
	mark(name, n);
	if (n == 5)
		for (volatile int on = 1; on;)
			;
	return n;
}
TZ_TASK(int, stay_at_5, const char *, int);

static void a_deadline_that_is_ignored(void **state)
{
	stay_at_5_stream s;
	int counts[20], v = 0;

	(void)state;
	assert_int_equal(tz_stream_over(&s, ex, stay_at_5,
					TZ_OPTIONS(tz_stream_options, .chunk = 10, .window = 10,
						   .submit.deadline = tz_after(1.0)),
					20, names, numbers),
			 0);
	for (int i = 0; i < 10; i++) {
		int r = tz_stream_next(s, &v);

		if (i >= 5)
			assert_int_equal(r, -EREMOTEIO);
		if (r < 0)
			assert_int_equal(tz_last()->status, TZ_TIMED_OUT);
	}
	tz_stream_close(s);
	count_marks(counts, 20);
	assert_int_equal(counts[6], 0);
}

static void a_cancel_ends_the_piece(void **state)
{
	int counts[MANY];
	tz_future f = tz_submit_map_with(ex, TZ_OPTIONS(tz_map_options, .chunk = CHUNK), stay_at_5,
					 MANY, got, names, numbers);

	(void)state;
	for (counts[5] = 0; counts[5] == 0; count_marks(counts, MANY))
		(void)tz_sleep(0.001);
	assert_in_range(tz_cancel(f), 0, 1);
	assert_int_equal(tz_executor_shutdown(ex, TZ_STOP_NOW, soon()),
			 0); /* which kills what does not listen */
	must(tz_wait(f, soon()) == 0);
	assert_int_equal(tz_result(f, NULL), -EREMOTEIO);
	assert_int_equal(tz_last()->status, TZ_CANCELLED);
	count_marks(counts, MANY);
	assert_int_equal(counts[6], 0);
}

/* --- what goes by itself -------------------------------------------------------------------------------------------------------------------- */

static int length(const char *text)
{
	return (int)strlen(text);
}
TZ_TASK(int, length, const char *);

struct source {
	int next;
	char line[32];
};

static bool next_line(void *arg, length_args *ret)
{
	struct source *s = arg;

	memset(s->line, 'x', (size_t)s->next);
	s->line[s->next] = '\0';
	ret->a1 = s->line; /* which the next call writes to */
	return s->next++ < 20;
}

static void a_generator_may_use_its_buffer_again(void **state)
{
	struct source source = { .next = 0 };
	length_stream s;
	int v = -1;

	(void)state;
	assert_int_equal(tz_stream_open(&s, ex, length, TZ_OPTIONS(tz_stream_options, .chunk = 5),
					next_line, &source),
			 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(tz_stream_next(s, &v), 1);
		assert_int_equal(v, i);
	}
	tz_stream_close(s);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(a_chunk_is_one_job),
		CASE(a_submitted_map_is_few_jobs),
		CASE(each_failure_is_its_own),
		CASE(behind_a_failure_nothing_of_its_piece_is_called),
		CASE(a_crash_costs_one_call),
		CASE(a_call_may_be_tried_again_after_a_crash),
		CASE(long_results),
		CASE(a_call_that_leaves_costs_one),
		CASE(workers_are_killed_all_the_time),
		CASE(what_was_accepted_is_drained),
		CASE(a_deadline_that_is_ignored),
		CASE(a_cancel_ends_the_piece),
		CASE(a_generator_may_use_its_buffer_again),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (!PROCESSES) {
		puts(NO_PROCESSES);
		return 0;
	}
	return cmocka_run_group_tests_name("together", tests, NULL, NULL);
}
