/* Submitting: arguments, results and options reach the job, and what cannot be submitted says so. */
#include "conformance.h"

#include <limits.h>
#include <stdalign.h>

/* --- arguments and results ---------------------------------------------------------------------------------------------- */

static bool not_(bool b)
{
	return !b;
}
TZ_TASK(bool, not_, bool);

static char next_char(char c)
{
	return (char)(c + 1);
}
TZ_TASK(char, next_char, char);

static unsigned char wrap(unsigned char c)
{
	return (unsigned char)(c + 1);
}
TZ_TASK(unsigned char, wrap, unsigned char);

static long long sum3(short a, int b, long long c)
{
	return a + b + c;
}
TZ_TASK(long long, sum3, short, int, long long);

static unsigned long flip(unsigned long n)
{
	return ~n;
}
TZ_TASK(unsigned long, flip, unsigned long);

static float half(float x)
{
	return x / 2;
}
TZ_TASK(float, half, float);

static long double thrice(long double x)
{
	return 3 * x;
}
TZ_TASK(long double, thrice, long double);

static const char *behind(const char *s, int n)
{
	return s + n;
}
TZ_TASK(const char *, behind, const char *, int);

static char *same(char *s)
{
	return s;
}
TZ_TASK(char *, same, char *);

static tz_bytes front(tz_bytes b, size_t n)
{
	return (tz_bytes){ b.data, n };
}
TZ_TASK(tz_bytes, front, tz_bytes, size_t);

static void *shape_of_pthreads(void *p)
{
	return p;
}
TZ_TASK(void *, shape_of_pthreads, void *);

typedef struct {
	double x, y;
} point;

static point swapped(point p)
{
	return (point){ p.y, p.x };
}
TZ_FLAT(point);
TZ_TASK(point, swapped, point);

typedef struct {
	int n[100];
} large;

static large reversed(large a)
{
	large b;

	for (int i = 0; i < 100; i++)
		b.n[i] = a.n[99 - i];
	return b;
}
TZ_FLAT(large);
TZ_TASK(large, reversed, large);

typedef struct {
	alignas(128) char c[128];
} aligned;

static aligned is_aligned(aligned a)
{
	const aligned *volatile p = &a;

	a.c[0] = (uintptr_t)p % 128 == 0;
	return a;
}
TZ_FLAT(aligned);
TZ_TASK(aligned, is_aligned, aligned);

static int answer(void)
{
	return 42;
}
TZ_TASK(int, answer, void);

static void set(int *where, int what)
{
	*where = what;
}
TZ_TASK(void, set, int *, int);

static int digits(char a, short b, int c, long d, unsigned e, long long f, float g, double h)
{
	return (int)(a * 10000000 + b * 1000000 + c * 100000 + d * 10000 + (long)e * 1000 +
		     f * 100 + (int)g * 10 + (int)h);
}
TZ_TASK(int, digits, char, short, int, long, unsigned, long long, float, double);

#define check(type, expected, ...) \
	do { \
		type got_; \
		int r_; \
		bounded(r_, tz_result(tz_submit(s->ex, __VA_ARGS__), &got_)); \
		assert_int_equal(r_, 0); \
		assert_true(got_ == (expected)); \
	} while (0)

static void passes_numbers(struct subject *s)
{
	check(bool, true, not_, false);
	check(char, 'b', next_char, 'a');
	check(unsigned char, 0, wrap, UCHAR_MAX);
	check(long long, LLONG_MIN + 2, sum3, 1, 1, LLONG_MIN);
	check(unsigned long, 0, flip, ULONG_MAX);
	check(float, 0.25f, half, 0.5f);
	check(long double, 0.75L, thrice, 0.25L);
}

static void passes_pointers(struct subject *s)
{
	char text[] = "trenza";
	tz_bytes got;
	int r;

	check(const char *, text + 3, behind, text, 3);
	check(char *, text, same, text);
	check(void *, text, shape_of_pthreads, text);
	bounded(r, tz_result(tz_submit(s->ex, front, ((tz_bytes){ text, 6 }), 2), &got));
	assert_int_equal(r, 0);
	assert_true(got.data == text && got.size == 2);
}

static void passes_structs(struct subject *s)
{
	large a, b;
	point p;
	aligned c;
	int r;

	for (int i = 0; i < 100; i++)
		a.n[i] = i;
	bounded(r, tz_result(tz_submit(s->ex, swapped, ((point){ 1, 2 })), &p));
	assert_int_equal(r, 0);
	assert_true(p.x == 2 && p.y == 1);
	bounded(r, tz_result(tz_submit(s->ex, reversed, a), &b));
	assert_int_equal(r, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(b.n[i], 99 - i);
	memset(&c, 7, sizeof c);
	bounded(r, tz_result(tz_submit(s->ex, is_aligned, c), &c));
	assert_int_equal(r, 0);
	assert_int_equal(c.c[0], 1);
	assert_int_equal(c.c[127], 7);
}

static void takes_up_to_eight(struct subject *s)
{
	check(int, 42, answer);
	check(int, 12345678, digits, 1, 2, 3, 4, 5, 6, 7, 8);
}

static void runs_void_tasks(struct subject *s)
{
	int here = 0, r;

	bounded(r, tz_result(tz_submit(s->ex, set, &here, 5), NULL));
	assert_int_equal(r, 0);
	assert_int_equal(here, 5);
}

static void copies_arguments(struct subject *s)
{
	digits_args a = tz_bind(digits, 1, 1, 1, 1, 1, 1, 1, 1);
	digits_future f[8];

	for (int i = 0; i < 8; i++) {
		a.a8 = i;
		f[i] = tz_submit_bound(s->ex, NULL, digits, &a);
	}
	memset(&a, 0, sizeof a);
	for (int i = 0; i < 8; i++) {
		int got;

		settle(f[i]);
		assert_int_equal(tz_result(f[i], &got), 0);
		assert_int_equal(got, 11111110 + i);
	}
}

/* --- where a job runs --------------------------------------------------------------------------------------------------- */

struct place {
	pthread_t thread;
	tz_executor *executor;
	int worker;
	char name[16];
};

static void look_around(struct place *p)
{
	p->thread = pthread_self();
	p->executor = tz_executor_current();
	p->worker = tz_worker_index();
	(void)pthread_getname_np(p->thread, p->name, sizeof p->name);
}
TZ_TASK(void, look_around, struct place *);

static void runs_where_it_says(struct subject *s)
{
	struct place p = { .worker = -7 };
	look_around_future f = tz_submit(s->ex, look_around, &p);

	if (can(s, TZ_CAN_RUN_AT_SUBMIT))
		assert_int_equal(tz_done(f), 1);
	settle(f);
	assert_int_equal(tz_detach(f), 0);
	/* A full queue may have had the caller run it, with no worker; this one is not full. */
	assert_int_equal(pthread_equal(p.thread, pthread_self()) != 0,
			 can(s, TZ_CAN_RUN_AT_SUBMIT));
	assert_ptr_equal(p.executor, s->ex);
	assert_true(p.worker >= 0);
	assert_null(tz_executor_current());
	assert_int_equal(tz_worker_index(), -1);
}

static void names_its_workers(struct subject *s)
{
	tz_executor *ex = open_another(s, &(tz_executor_options){ .name = "carders" });
	struct place p = { .worker = -7 };
	look_around_future f = tz_submit(ex, look_around, &p);

	settle(f);
	assert_int_equal(tz_detach(f), 0);
	assert_string_equal(tz_executor_name(ex), "carders");
	if (can(s, TZ_CAN_RUN_IN_PARALLEL))
		assert_int_equal(strncmp(p.name, "carders-", 8), 0);
	tz_executor_close(ex);
}

static void has_a_default(struct subject *s)
{
	tz_executor *ex = tz_executor_default();
	int got = 0, r;

	(void)s;
	assert_non_null(ex);
	assert_ptr_equal(tz_executor_default(), ex);
	assert_string_equal(tz_executor_kind(ex), "threads");
	bounded(r, tz_result(tz_submit(NULL, answer), &got));
	assert_int_equal(r, 0);
	assert_int_equal(got, 42);
	tz_executor_close(ex); /* does nothing */
	bounded(r, tz_result(tz_submit(ex, answer), &got));
	assert_int_equal(r, 0);
	assert_int_equal(tz_executor_shutdown(ex, TZ_DRAIN, soon()), -EPERM);
}

/* --- options -------------------------------------------------------------------------------------------------------------- */

static atomic_int calls;

static int count_call(void)
{
	return atomic_fetch_add(&calls, 1);
}
TZ_TASK(int, count_call, void);

static int fails_until(int which)
{
	int n = atomic_fetch_add(&calls, 1);

	return n < which ? tz_fail(-EAGAIN, "call %d", n) : n;
}
TZ_TASK(int, fails_until, int);

static void calls_it_what_it_is_told(struct subject *s)
{
	tz_outcome o;
	fails_until_future f = tz_submit_with(s->ex, &(tz_submit_options){ .name = "first page" },
					      fails_until, INT_MAX);

	settle(f);
	assert_int_equal(tz_outcome_of(f, &o), 0);
	assert_string_equal(o.task, "first page");
	assert_int_equal(tz_detach(f), 0);
	f = tz_submit(s->ex, fails_until, INT_MAX);
	settle(f);
	assert_int_equal(tz_outcome_of(f, &o), 0);
	assert_string_equal(o.task, "fails_until");
	assert_int_equal(tz_detach(f), 0);
}

static void retries(struct subject *s)
{
	int got = -1, r;

	atomic_store(&calls, 0);
	bounded(r, tz_result(tz_submit_with(s->ex, &(tz_submit_options){ .retries = 3 },
					    fails_until, 2),
			     &got));
	assert_int_equal(r, 0);
	assert_int_equal(got, 2);
	atomic_store(&calls, 0);
	bounded(r, tz_result(tz_submit_with(s->ex,
					    TZ_OPTIONS(tz_submit_options, .retries = 3,
						       .name = "again"),
					    fails_until, 9),
			     &got));
	assert_int_equal(r, -EREMOTEIO);
	assert_string_equal(tz_last()->task, "again");
	assert_int_equal(atomic_load(&calls), 4);
	assert_string_equal(tz_last()->message, "call 3");
}

static void keeps_deadlines(struct subject *s)
{
	tz_submit_options past = { .deadline = { 1 } }, future = { .deadline = soon() };
	int got = -1, r;

	atomic_store(&calls, 0);
	count_call_future f = tz_submit_with(s->ex, &past, count_call);

	assert_outcome(f, TZ_TIMED_OUT, -ETIMEDOUT);
	assert_int_equal(tz_result(f, &got), -EREMOTEIO);
	assert_int_equal(atomic_load(&calls), 0);
	bounded(r, tz_result(tz_submit_with(s->ex, &future, count_call), &got));
	assert_int_equal(r, 0);
	assert_int_equal(got, 0);
}

static int sees_its_deadline(void)
{
	while (tz_interrupted() == 0)
		(void)tz_sleep(0.001);
	return tz_fail(tz_interrupted(), "gave up");
}
TZ_TASK(int, sees_its_deadline, void);

static void shows_a_running_job_its_deadline(struct subject *s)
{
	/* Long enough to begin as a rule; the outcome is the same if it was not. */
	tz_submit_options o = { .deadline = tz_after(0.1) };
	sees_its_deadline_future f = tz_submit_with(s->ex, &o, sees_its_deadline);

	assert_outcome(f, TZ_TIMED_OUT, -ETIMEDOUT);
	assert_int_equal(tz_detach(f), 0);
}

static int deaf_to_its_deadline(void)
{
	while (tz_interrupted() == 0)
		(void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	return 5;
}
TZ_TASK(int, deaf_to_its_deadline, void);

static void lets_a_job_miss_its_deadline(struct subject *s)
{
	int got = 0, r = -1;

	/* Once it begins in time. */
	for (double patience = 0.02; r != 0 && patience < CREW_PATIENCE; patience *= 2) {
		tz_submit_options o = { .deadline = tz_after(patience) };

		bounded(r, tz_result(tz_submit_with(s->ex, &o, deaf_to_its_deadline), &got));
		assert_true(r == 0 || tz_last()->status == TZ_TIMED_OUT);
	}
	assert_int_equal(r, 0);
	assert_int_equal(got, 5);
}

static void refuses_nonsense(struct subject *s)
{
	count_call_future f = tz_submit_with(
		s->ex, &(tz_submit_options){ .priority = (tz_priority)2 }, count_call);
	int got = 5;

	assert_outcome(f, TZ_FAILED, -EINVAL);
	assert_int_equal(tz_result(f, &got), -EREMOTEIO);
	assert_int_equal(got, 5);
	tz_future raw = { .handle = tz_submit_raw(s->ex, NULL, NULL, NULL) };

	assert_outcome(raw, TZ_FAILED, -EINVAL);
	assert_int_equal(tz_detach(raw), 0);
}

/* --- order ------------------------------------------------------------------------------------------------------------------ */

static struct {
	atomic_int length;
	int order[512];
} book;

static void sign(int n)
{
	book.order[atomic_fetch_add(&book.length, 1)] = n;
}
TZ_TASK(void, sign, int);

static void hold(struct gate *g)
{
	(void)pass(g);
}
TZ_TASK(void, hold, struct gate *);

/* Submits n jobs while the only worker is held, and lets it go. */
static void sign_in_a_burst(struct subject *s, tz_executor *ex, int n,
			    tz_priority (*priority)(int i))
{
	struct gate g = { 0 };
	bool held = !can(s, TZ_CAN_RUN_AT_SUBMIT);
	hold_future h = { 0 };
	sign_future f[512];

	atomic_store(&book.length, 0);
	if (held) {
		h = tz_submit(ex, hold, &g);
		until(atomic_load(&g.waiting));
	}
	for (int i = 0; i < n; i++)
		f[i] = tz_submit_with(
			ex,
			&(tz_submit_options){ .priority =
						      priority ? priority(i) : TZ_PRIORITY_NORMAL },
			sign, i);
	atomic_store(&g.open, 1);
	for (int i = 0; i < n; i++) {
		settle(f[i]);
		assert_int_equal(tz_detach(f[i]), 0);
	}
	if (held) {
		settle(h);
		assert_int_equal(tz_detach(h), 0);
	}
	assert_int_equal(atomic_load(&book.length), n);
}

static tz_priority by_three(int i)
{
	return (tz_priority)(i % 3 - 1);
}

static void begins_urgent_jobs_first(struct subject *s)
{
	/* Fewer than 61 turns, so that the low ones get no turn out of order. */
	sign_in_a_burst(s, s->ex, 30, by_three);
	for (int i = 0; i < 30; i++)
		assert_int_equal(by_three(book.order[i]), i < 10   ? TZ_PRIORITY_HIGH
							  : i < 20 ? TZ_PRIORITY_NORMAL
								   : TZ_PRIORITY_LOW);
}

static tz_priority one_low(int i)
{
	return i == 0 ? TZ_PRIORITY_LOW : TZ_PRIORITY_NORMAL;
}

static void starves_nobody(struct subject *s)
{
	sign_in_a_burst(s, s->ex, 300, one_low);
	assert_int_not_equal(book.order[299], 0);
}

static void begins_in_order_of_submitting(struct subject *s)
{
	sign_in_a_burst(s, s->ex, 100, NULL);
	for (int i = 0; i < 100; i++)
		assert_int_equal(book.order[i], i);
}

static void repeats_its_order(struct subject *s)
{
	int first[100], same_places = 0;
	tz_executor *again = open_another(s, NULL), *other = open_another(s, NULL);

	tz_executor_close(other);
	assert_int_equal(tz_executor_open(&other, "chaos:1,seed=99,delay=0.00002"), 0);
	sign_in_a_burst(s, s->ex, 100, NULL);
	memcpy(first, book.order, sizeof first);
	sign_in_a_burst(s, again, 100, NULL);
	assert_memory_equal(first, book.order, sizeof first);
	sign_in_a_burst(s, other, 100, NULL);
	for (int i = 0; i < 100; i++)
		same_places += first[i] == book.order[i];
	assert_true(same_places < 50);
	tz_executor_close(again);
	tz_executor_close(other);
}

static void makes_failures_up(struct subject *s)
{
	tz_executor *ex = open_another(s, &(tz_executor_options){ .fail = 0.5 });
	count_call_future f[200];
	int failed = 0;

	atomic_store(&calls, 0);
	assert_int_equal(
		tz_submit_bulk(ex, NULL, count_call, 200, (count_call_args[200]){ { 0 } }, f), 0);
	for (int i = 0; i < 200; i++) {
		tz_outcome o;

		settle(f[i]);
		assert_int_equal(tz_outcome_of(f[i], &o), 0);
		if (o.status != TZ_OK) {
			assert_int_equal(o.status, TZ_FAILED);
			assert_int_equal(o.code, -EIO);
			assert_string_equal(o.message, "chaos");
			failed++;
		}
		assert_int_equal(tz_detach(f[i]), 0);
	}
	assert_in_range(failed, 50, 150);
	assert_int_equal(atomic_load(&calls), 200 - failed); /* those that failed were not run */
	tz_executor_close(ex);
}

/* --- many ------------------------------------------------------------------------------------------------------------------- */

static int add_one(int n)
{
	return n + 1;
}
TZ_TASK(int, add_one, int);

static void submit_and_check(struct subject *s, size_t n)
{
	add_one_args *args = calloc(n + 1, sizeof *args);
	add_one_future *f = calloc(n + 1, sizeof *f);

	assert_non_null(args);
	assert_non_null(f);
	for (size_t i = 0; i < n; i++)
		args[i].a1 = (int)i;
	assert_int_equal(tz_submit_bulk(s->ex, NULL, add_one, n, args, f), 0);
	for (size_t i = 0; i < n; i++) {
		int got = -1;

		settle(f[i]);
		assert_int_equal(tz_result(f[i], &got), 0);
		assert_int_equal(got, (int)i + 1);
	}
	free(args);
	free(f);
}

static void submits_none(struct subject *s)
{
	submit_and_check(s, 0);
}

static void submits_one(struct subject *s)
{
	submit_and_check(s, 1);
}

static void submits_very_many(struct subject *s)
{
	submit_and_check(s, 100000);
}

/* As one by one: who cannot wait for the start does not begin before it. */
static void submits_many_for_later(struct subject *s)
{
	const tz_submit_options later = { .start = tz_after(0.005) };
	add_one_args args[3] = { { 1 }, { 2 }, { 3 } };
	add_one_future f[3];
	tz_outcome o;

	assert_int_equal(tz_submit_bulk(s->ex, &later, add_one, 3, args, f), 0);
	for (int i = 0; i < 3; i++) {
		settle(f[i]);
		assert_int_equal(tz_outcome_of(f[i], &o), 0);
		assert_int_equal(o.status, can(s, TZ_CAN_START_LATER) ? TZ_OK : TZ_FAILED);
		assert_int_equal(o.code, can(s, TZ_CAN_START_LATER) ? 0 : -ENOTSUP);
		assert_int_equal(tz_detach(f[i]), 0);
	}
}

static void submits_many_detached(struct subject *s)
{
	static count_call_args args[1000];

	atomic_store(&calls, 0);
	assert_int_equal(tz_submit_bulk(s->ex, NULL, count_call, 1000, args, NULL), 0);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	assert_int_equal(atomic_load(&calls), 1000);
}

static void *submit_from_here(void *arg)
{
	struct subject *s = arg;

	for (int i = 0; i < 500; i++) {
		int got = -1;
		add_one_future f = tz_submit(s->ex, add_one, i);

		must(tz_wait(f, soon()) == 0);
		must(tz_result(f, &got) == 0 && got == i + 1);
	}
	return NULL;
}

static void takes_jobs_from_everywhere(struct subject *s)
{
	struct crew crew = { .count = 0 };

	for (int i = 0; i < 4; i++)
		crew_add(&crew, submit_from_here, s);
	crew_join(&crew);
}

/* --- a full queue ------------------------------------------------------------------------------------------------------------- */

/* Holds all workers of an executor with room for two waiting jobs, and fills it. */
static tz_executor *fill(struct subject *s, struct gate *g, tz_full_policy full, hold_future *held)
{
	tz_executor *ex;

	(void)s;
	assert_int_equal(tz_executor_open_with(&ex, "threads:1,queue=2,spares=0",
					       &(tz_executor_options){ .full = full }),
			 0);
	held[0] = tz_submit(ex, hold, g);
	until(atomic_load(&g->waiting) == 1);
	held[1] = tz_submit(ex, hold, g);
	held[2] = tz_submit(ex, hold, g);
	return ex;
}

static void drain(tz_executor *ex, struct gate *g, hold_future *held)
{
	atomic_store(&g->open, 1);
	for (int i = 0; i < 3; i++) {
		settle(held[i]);
		assert_int_equal(tz_detach(held[i]), 0);
	}
	tz_executor_close(ex);
}

static void full_queue_fails(struct subject *s)
{
	struct gate g = { 0 };
	hold_future held[3];
	tz_executor *ex = fill(s, &g, TZ_FULL_FAIL, held);
	answer_future f = tz_submit(ex, answer);

	assert_outcome(f, TZ_FAILED, -EAGAIN);
	assert_int_equal(tz_detach(f), 0);
	drain(ex, &g, held);
}

static void full_queue_has_the_caller_run_it(struct subject *s)
{
	struct gate g = { 0 };
	hold_future held[3];
	struct place p = { .worker = 7 };
	tz_executor *ex = fill(s, &g, TZ_FULL_CALLER_RUNS, held);
	look_around_future f = tz_submit(ex, look_around, &p);

	assert_int_equal(tz_done(f), 1);
	assert_true(pthread_equal(p.thread, pthread_self()));
	assert_int_equal(p.worker, -1);
	assert_int_equal(tz_detach(f), 0);
	drain(ex, &g, held);
}

static void full_queue_blocks(struct subject *s)
{
	struct gate g = { 0 };
	hold_future held[3];
	answer_future f;
	tz_executor *ex = fill(s, &g, TZ_FULL_BLOCK, held);

	/* As long as the scope allows. */
	TZ_TIMEOUT(0.01)
		f = tz_submit(ex, answer);
	assert_outcome(f, TZ_TIMED_OUT, -ETIMEDOUT);
	assert_int_equal(tz_detach(f), 0);
	drain(ex, &g, held);
}

struct late_submit {
	tz_executor *ex;
	atomic_int begun;
};

static void *submit_later(void *arg)
{
	struct late_submit *l = arg;
	int got = 0;

	atomic_store(&l->begun, 1);
	answer_future f = tz_submit(l->ex, answer); /* blocks until there is room */

	must(tz_wait(f, soon()) == 0);
	must(tz_result(f, &got) == 0 && got == 42);
	return NULL;
}

static void full_queue_blocks_until_there_is_room(struct subject *s)
{
	struct gate g = { 0 };
	hold_future held[3];
	struct crew crew = { .count = 0 };
	struct late_submit late = { .ex = fill(s, &g, TZ_FULL_BLOCK, held) };

	crew_add(&crew, submit_later, &late);
	until(atomic_load(&late.begun));
	atomic_store(&g.open, 1);
	crew_join(&crew);
	drain(late.ex, &g, held);
}

static const struct conformance_case cases[] = {
	CASE("numbers go in and come out by value", passes_numbers),
	SHARING("pointers and strings go by their address where memory is shared", passes_pointers),
	CASE("structs go by value: small, large, over-aligned", passes_structs),
	CASE("no arguments, and eight", takes_up_to_eight),
	SHARING("a void task", runs_void_tasks),
	CASE("arguments are copied at submit", copies_arguments),
	SHARING("a job knows its executor and its worker", runs_where_it_says),
	SHARING("workers have the executor's name", names_its_workers),
	CASE("NULL is the default executor, which nobody can close", has_a_default),
	CASE("a job is called by its task or by the name it was given", calls_it_what_it_is_told),
	SHARING("a job that failed is run again as often as was said", retries),
	CASE("a job that has not begun by its deadline does not", keeps_deadlines),
	CASE("a running job sees its deadline", shows_a_running_job_its_deadline),
	{ "a job that returns after its deadline is OK all the same", lets_a_job_miss_its_deadline,
	  0, TZ_CAN_KILL | TZ_CAN_SIMULATE, 0 },
	CASE("nonsense is a future that has failed", refuses_nonsense),
	CASE("bulk of none", submits_none),
	CASE("bulk of one", submits_one),
	CASE("bulk of 100,000", submits_very_many),
	CASE("bulk for later", submits_many_for_later),
	SHARING("bulk without futures", submits_many_detached),
	CASE("jobs come from several threads", takes_jobs_from_everywhere),
	{ "urgent jobs begin first", begins_urgent_jobs_first, TZ_CAN_PRIORITY,
	  TZ_CAN_RUN_AT_SUBMIT, 1 },
	{ "a low priority gets its turn", starves_nobody, TZ_CAN_PRIORITY, TZ_CAN_RUN_AT_SUBMIT,
	  1 },
	{ "without reordering, jobs begin in order of submitting", begins_in_order_of_submitting, 0,
	  TZ_CAN_REORDER, 0 },
	{ "the order is a matter of the seed", repeats_its_order, TZ_CAN_INJECT, 0, 1 },
	{ "failures are made up as often as was said", makes_failures_up, TZ_CAN_INJECT, 0, 0 },
	{ "a full queue: the future has failed", full_queue_fails, TZ_CAN_LIMIT_QUEUE, 0, 1 },
	{ "a full queue: the caller runs the job", full_queue_has_the_caller_run_it,
	  TZ_CAN_LIMIT_QUEUE, 0, 1 },
	{ "a full queue: submit waits as long as the scope allows", full_queue_blocks,
	  TZ_CAN_LIMIT_QUEUE, 0, 1 },
	{ "a full queue: submit waits for room", full_queue_blocks_until_there_is_room,
	  TZ_CAN_LIMIT_QUEUE, 0, 1 },
};

int main(void)
{
	return RUN_CASES("submit", cases);
}
