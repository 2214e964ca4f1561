/* The family of Python's Pool: apply, map, starmap and imap, waited for, as futures, and with callbacks. Jobs use no
 * memory of ours, so that all of it is for executors on other processes, too; but where a case needs it. */
#include "conformance.h"

enum { SOME = 1000 };

static int twice(int n)
{
	return 2 * n;
}
TZ_TASK(int, twice, int);

static double weigh(double x, int n, short half)
{
	return x * n + half / 2.0;
}
TZ_TASK(double, weigh, double, int, short);

static int fail_odd(int n)
{
	return n % 2 ? tz_fail(-EDOM, "odd: %d", n) : n;
}
TZ_TASK(int, fail_odd, int);

static void fail_from_70(int n)
{
	if (n >= 70)
		(void)tz_fail(-1000 - n, "at %d", n);
}
TZ_TASK(void, fail_from_70, int);

static void nothing(void)
{
}
TZ_TASK(void, nothing, void);

/* Ends when it is asked to. */
static int nap(int n)
{
	int r = tz_sleep(CREW_PATIENCE);

	return r < 0 ? tz_fail(r, "woken") : n;
}
TZ_TASK(int, nap, int);

static int numbers[SOME], got[SOME];

static void number_them(void)
{
	for (int i = 0; i < SOME; i++) {
		numbers[i] = i;
		got[i] = -1;
	}
}

/* --- apply ------------------------------------------------------------------------------------------ */

static void applies(struct subject *s)
{
	int value = 0, r;

	bounded(r, tz_apply(s->ex, &value, twice, 21));
	assert_int_equal(r, 0);
	assert_int_equal(value, 42);
	assert_int_equal(tz_last()->status, TZ_OK);
	bounded(r, tz_apply(s->ex, NULL, twice, 21));
	assert_int_equal(r, 0);
	bounded(r, tz_apply(s->ex, NULL, nothing));
	assert_int_equal(r, 0);
}

static void applies_what_fails(struct subject *s)
{
	int value = 77, r;

	bounded(r, tz_apply_with(s->ex, TZ_OPTIONS(tz_submit_options, .name = "mine"), &value,
				 fail_odd, 3));
	assert_int_equal(r, -EREMOTEIO);
	assert_int_equal(value, 77);
	assert_int_equal(tz_last()->status, TZ_FAILED);
	assert_int_equal(tz_last()->code, -EDOM);
	assert_string_equal(tz_last()->task, "mine");
	assert_string_equal(tz_last()->message, "odd: 3");
	assert_int_equal(tz_apply_raw(s->ex, NULL, NULL, NULL, NULL), -EREMOTEIO);
	assert_int_equal(tz_last()->code, -EINVAL);
}

static void apply_ends_with_its_scope(struct subject *s)
{
	int value = 77, r = 0;

	TZ_TIMEOUT(0.02)
		r = tz_apply(s->ex, &value, nap, 1);
	assert_int_equal(r, -ETIMEDOUT);
	assert_int_equal(value, 77);
	TZ_SCOPE(scope) {
		tz_scope_cancel(&scope);
		r = tz_apply(s->ex, &value, nap, 1);
	}
	assert_int_equal(r, -ECANCELED);
}

struct late {
	tz_scope scope; /* of who called tz_apply */
	struct gate never;
	int seen; /* by the job */
};

static int give_late(struct late *l)
{
	tz_scope_cancel(&l->scope);
	l->seen = pass(&l->never);
	return 5;
}
TZ_TASK(int, give_late, struct late *);

/* The job sees the request, and what it returns all the same is not lost. It makes the request itself: a deadline could come before the job begins. */
static void apply_gives_what_beat_the_cancel(struct subject *s)
{
	struct late l = { .seen = 0 };
	int value = 0, r;

	tz_scope_enter(&l.scope, soon());
	r = tz_apply(s->ex, &value, give_late, &l);
	tz_scope_leave(&l.scope);
	assert_int_equal(r, 0);
	assert_int_equal(value, 5);
	assert_int_equal(l.seen, -ECANCELED);
}

/* --- callbacks --------------------------------------------------------------------------------------- */

struct heard {
	atomic_int got, failed, code;
};

static void hear_int(void *arg, int value)
{
	atomic_fetch_add(&((struct heard *)arg)->got, value);
}

static void hear_end(void *arg)
{
	atomic_fetch_add(&((struct heard *)arg)->got, 1);
}

static void hear_failure(void *arg, const tz_outcome *outcome)
{
	struct heard *h = arg;

	atomic_store(&h->code, outcome->code);
	atomic_fetch_add(&h->failed, 1);
}

static void calls_back_with_the_result(struct subject *s)
{
	struct heard h = { .got = 0 };
	twice_future f = tz_submit(s->ex, twice, 21);
	nothing_future g = tz_submit(s->ex, nothing);

	assert_int_equal(tz_on_result(f, twice, hear_int, hear_failure, &h), 0);
	assert_int_equal(tz_on_result(f, twice, NULL, hear_failure, &h), 0);
	assert_int_equal(tz_on_result(g, nothing, hear_end, NULL, &h), 0);
	assert_int_equal(tz_detach(f), 0);
	assert_int_equal(tz_detach(g), 0);
	until(atomic_load(&h.got) == 43);
	assert_int_equal(atomic_load(&h.failed), 0);
	assert_int_equal(tz_on_result(f, twice, hear_int, NULL, &h), -ESTALE);
}

static void calls_back_with_the_failure(struct subject *s)
{
	struct heard h = { .got = 0 };
	fail_odd_future f = tz_submit(s->ex, fail_odd, 5);

	assert_int_equal(tz_on_result(f, fail_odd, hear_int, NULL, &h), 0);
	assert_int_equal(tz_on_result(f, fail_odd, hear_int, hear_failure, &h), 0);
	until(atomic_load(&h.failed) == 1);
	assert_int_equal(atomic_load(&h.code), -EDOM);
	assert_int_equal(atomic_load(&h.got), 0);
	assert_int_equal(tz_result(f, NULL), -EREMOTEIO);
}

/* --- maps of calls that lie in structs ------------------------------------------------------------- */

static void maps_bound_calls(struct subject *s)
{
	static weigh_args calls[SOME];
	static double out[SOME];
	int r;

	for (int i = 0; i < SOME; i++)
		calls[i] = tz_bind(weigh, i, 3, (short)(i % 7));
	bounded(r, tz_map_bound(s->ex, NULL, weigh, SOME, out, calls));
	assert_int_equal(r, 0);
	for (int i = 0; i < SOME; i++)
		assert_true(out[i] == 3.0 * i + (i % 7) / 2.0);
	bounded(r, tz_map_bound(s->ex, NULL, weigh, 0, out, NULL));
	assert_int_equal(r, 0);
	assert_int_equal(tz_map_bound(s->ex, NULL, weigh, 1, out, NULL), -EINVAL);
	assert_int_equal(tz_map_bound(s->ex, NULL, weigh, 1, NULL, calls), -EINVAL);
}

static void maps_bound_calls_that_fail(struct subject *s)
{
	static fail_from_70_args calls[SOME];
	static tz_outcome o[SOME];
	int r;

	for (int i = 0; i < SOME; i++)
		calls[i] = tz_bind(fail_from_70, i);
	bounded(r, tz_map_bound(s->ex, NULL, fail_from_70, SOME, calls));
	assert_int_equal(r, -EREMOTEIO);
	assert_int_equal(tz_last()->code, -1070);
	assert_string_equal(tz_last()->message, "element 70: at 70");
	bounded(r,
		tz_map_bound(s->ex, TZ_OPTIONS(tz_map_options, .policy = TZ_MAP_ALL, .outcomes = o),
			     fail_from_70, SOME, calls));
	assert_int_equal(r, -EREMOTEIO);
	for (int i = 0; i < SOME; i++)
		assert_int_equal(o[i].code, i < 70 ? 0 : -1000 - i);
}

/* --- maps with a future ------------------------------------------------------------------------------ */

static void begins_a_map(struct subject *s)
{
	int r;

	number_them();
	tz_future f = tz_submit_map(s->ex, twice, SOME, got, numbers),
		  none = tz_submit_map(s->ex, twice, 0, got, numbers);

	settle(f);
	assert_int_equal(tz_done(f), 1);
	for (int i = 0; i < SOME; i++)
		assert_int_equal(got[i], 2 * i);
	assert_int_equal(tz_result(f, NULL), 0);
	assert_string_equal(tz_last()->task, "twice");
	assert_int_equal(tz_result(f, NULL), -ESTALE);
	bounded(r, tz_gather(none));
	assert_int_equal(r, 0);
}

static void begins_several(struct subject *s)
{
	static weigh_args calls[SOME];
	static double out[SOME];
	tz_future f[3];
	int r;

	number_them();
	for (int i = 0; i < SOME; i++)
		calls[i] = tz_bind(weigh, i, 2, (short)0);
	f[0] = tz_submit_map_bound(s->ex, NULL, weigh, SOME, out, calls);
	f[1] = tz_submit_map(s->ex, twice, SOME, got, numbers);
	f[2] = tz_submit_map_with(s->ex, &(tz_map_options){ .chunk = 10 }, fail_from_70, 70,
				  numbers);
	bounded(r, tz_gather_all(f, 3));
	assert_int_equal(r, 0);
	for (int i = 0; i < SOME; i++) {
		assert_true(out[i] == 2.0 * i);
		assert_int_equal(got[i], 2 * i);
	}
}

static void a_map_fails_as_its_first_failure(struct subject *s)
{
	number_them();
	tz_future f = tz_submit_map(s->ex, fail_from_70, SOME, numbers);

	assert_outcome(f, TZ_FAILED, -1070);
	assert_int_equal(tz_result(f, NULL), -EREMOTEIO);
	assert_string_equal(tz_last()->task, "fail_from_70");
	assert_string_equal(tz_last()->message, "element 70: at 70");
	f = tz_submit_map_with(s->ex, TZ_OPTIONS(tz_map_options, .submit.name = "all of it"),
			       fail_from_70, SOME, numbers);
	settle(f);
	assert_int_equal(tz_result(f, NULL), -EREMOTEIO);
	assert_string_equal(tz_last()->task, "all of it");
}

static void a_map_gives_each_its_outcome(struct subject *s)
{
	static tz_outcome o[100];
	int r;

	number_them();
	memset(o, 0x5a, sizeof o);
	tz_future f = tz_submit_map_with(
		s->ex, TZ_OPTIONS(tz_map_options, .policy = TZ_MAP_ALL, .outcomes = o), fail_odd,
		100, got, numbers);

	bounded(r, tz_result(f, NULL));
	assert_int_equal(r, -EREMOTEIO);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(o[i].status, i % 2 ? TZ_FAILED : TZ_OK);
		assert_int_equal(o[i].code, i % 2 ? -EDOM : 0);
		assert_string_equal(o[i].task, "fail_odd");
		if (i % 2 == 0)
			assert_int_equal(got[i], i);
	}
}

static void a_map_says_what_is_wrong(struct subject *s)
{
	const void *in[] = { numbers };
	tz_future f = { .handle = tz_submit_map_raw(s->ex, NULL, NULL, 5, got, in) };

	assert_outcome(f, TZ_FAILED, -EINVAL);
	assert_int_equal(tz_detach(f), 0);
	f.handle = tz_submit_map_raw(s->ex, NULL, &twice_task, 5, NULL, in);
	assert_outcome(f, TZ_FAILED, -EINVAL);
	assert_int_equal(tz_detach(f), 0);
	f.handle = tz_submit_map_bound_raw(s->ex, NULL, &twice_task, 5, got, NULL);
	assert_outcome(f, TZ_FAILED, -EINVAL);
	assert_int_equal(tz_detach(f), 0);
}

static void cancels_a_map(struct subject *s)
{
	number_them();
	for (int round = 0; round < 4; round++) {
		tz_future f = tz_submit_map(s->ex, nap, 20, got, numbers);

		if (round % 2)
			(void)tz_sleep(0.005);
		assert_in_range(tz_cancel(f), 0, 1);
		assert_outcome(f, TZ_CANCELLED, -ECANCELED);
		assert_int_equal(tz_result(f, NULL), -EREMOTEIO);
	}
}

static int wait_at(struct gate *g)
{
	int r = pass(g);

	return r < 0 ? tz_fail(r, "asked to end") : 1;
}
TZ_TASK(int, wait_at, struct gate *);

static void a_cancelled_map_has_ended(struct subject *s)
{
	struct gate g = { .open = 0 }, *gates[50];

	for (int i = 0; i < 50; i++)
		gates[i] = &g;
	tz_future f = tz_submit_map(s->ex, wait_at, 50, got, gates);

	until(atomic_load(&g.waiting) > 0);
	assert_int_equal(tz_cancel(f), 1);
	settle(f);
	assert_int_equal(atomic_load(&g.waiting), 0);
	assert_int_equal(tz_result(f, NULL), -EREMOTEIO);
}

static void a_map_has_a_deadline(struct subject *s)
{
	number_them();
	tz_future f = tz_submit_map_with(
		s->ex, TZ_OPTIONS(tz_map_options, .submit.deadline = tz_after(0.02)), nap, 20, got,
		numbers);
	tz_outcome o;

	settle(f);
	assert_int_equal(tz_outcome_of(f, &o), 0);
	assert_int_equal(o.code, -ETIMEDOUT);
	assert_int_equal(tz_detach(f), 0);
}

static void a_shutdown_drains_maps(struct subject *s)
{
	enum { MAPS = 20 };
	static int out[MAPS][SOME];
	tz_future f[MAPS];

	number_them();
	memset(out, 0xff, sizeof out);
	for (int m = 0; m < MAPS; m++)
		f[m] = tz_submit_map(s->ex, twice, SOME, out[m], numbers);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	for (int m = 0; m < MAPS; m++) {
		settle(f[m]);
		assert_int_equal(tz_result(f[m], NULL), 0);
		for (int i = 0; i < SOME; i++)
			assert_int_equal(out[m][i], 2 * i);
	}
	f[0] = tz_submit_map(s->ex, twice, SOME, out[0], numbers);
	assert_outcome(f[0], TZ_FAILED, -ESHUTDOWN);
	assert_int_equal(tz_detach(f[0]), 0);
}

static void hear_map(void *arg, const tz_outcome *outcome, const void *result)
{
	(void)result;
	if (outcome->status == TZ_OK)
		hear_end(arg);
	else
		hear_failure(arg, outcome);
}

static void a_map_calls_back(struct subject *s)
{
	static int even[SOME]; /* both maps run at once, so each has an array of its own */
	struct heard h = { .got = 0 };

	number_them();
	tz_future f = tz_submit_map(s->ex, twice, SOME, got, numbers),
		  bad = tz_submit_map(s->ex, fail_odd, SOME, even, numbers);

	assert_int_equal(tz_on_done(f, hear_map, &h), 0);
	assert_int_equal(tz_on_done(bad, hear_map, &h), 0);
	until(atomic_load(&h.got) == 1 && atomic_load(&h.failed) == 1);
	assert_int_equal(atomic_load(&h.code), -EDOM);
	for (int i = 0; i < SOME; i++)
		assert_int_equal(got[i], 2 * i);
	assert_int_equal(tz_detach(f), 0);
	assert_int_equal(tz_detach(bad), 0);
}

static void a_group_owns_maps(struct subject *s)
{
	int r = 0;

	number_them();
	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		tz_map_options mine = { .submit.group = &g };

		(void)tz_submit_map_with(s->ex, &mine, fail_from_70, 71, numbers);
		(void)tz_submit_map_with(s->ex, &mine, nap, 20, got, numbers);
		r = tz_group_wait(&g);
	}
	assert_int_equal(r, -EREMOTEIO);
	assert_int_equal(tz_last()->code, -1070);
}

/* --- streams over arrays, and in chunks ---------------------------------------------------------- */

static void streams_over_arrays(struct subject *s)
{
	static double x[SOME];
	static short half[SOME];
	static const size_t chunks[] = { 0, 1, 7, 64, 5000 };
	weigh_stream stream;
	double value;
	int r;

	number_them();
	for (int i = 0; i < SOME; i++) {
		x[i] = i;
		half[i] = (short)(i % 9);
	}
	for (size_t k = 0; k < sizeof chunks / sizeof *chunks; k++) {
		assert_int_equal(tz_stream_over(&stream, s->ex, weigh,
						TZ_OPTIONS(tz_stream_options, .chunk = chunks[k]),
						SOME, x, numbers, half),
				 0);
		for (int i = 0; i < SOME; i++) {
			bounded(r, tz_stream_next(stream, &value));
			assert_int_equal(r, 1);
			assert_true(value == x[i] * i + half[i] / 2.0);
			assert_string_equal(tz_last()->task, "weigh");
		}
		assert_int_equal(tz_stream_next(stream, &value), 0);
		assert_int_equal(tz_stream_next(stream, &value), 0);
		tz_stream_close(stream);
	}
	assert_int_equal(tz_stream_over(&stream, s->ex, weigh, NULL, 0, NULL, NULL, NULL), 0);
	assert_int_equal(tz_stream_next(stream, &value), 0);
	tz_stream_close(stream);
}

static void streams_over_arrays_as_completed(struct subject *s)
{
	number_them();
	for (size_t chunk = 0; chunk < 20; chunk += 6) {
		bool seen[SOME] = { false };
		fail_odd_stream stream;

		assert_int_equal(tz_stream_over(&stream, s->ex, fail_odd,
						TZ_OPTIONS(tz_stream_options, .chunk = chunk,
							   .as_completed = true),
						SOME, numbers),
				 0);
		for (int i = 0; i < SOME; i++) {
			int value = -1, r;
			size_t index = SOME;

			bounded(r, tz_stream_next_indexed(stream, &value, &index));
			assert_in_range(index, 0, SOME - 1);
			assert_false(seen[index]);
			seen[index] = true;
			assert_int_equal(r, index % 2 ? -EREMOTEIO : 1);
			assert_int_equal(tz_last()->code, index % 2 ? -EDOM : 0);
			if (index % 2 == 0)
				assert_int_equal(value, index);
		}
		assert_int_equal(tz_stream_next(stream, NULL), 0);
		tz_stream_close(stream);
	}
}

struct source {
	int next, given_out, most_ahead;
};

static bool pull(void *arg, twice_args *ret)
{
	struct source *from = arg;

	*ret = tz_bind(twice, from->next++);
	if (from->next - from->given_out > from->most_ahead)
		from->most_ahead = from->next - from->given_out;
	return true; /* for ever */
}

static void a_chunk_fits_the_window(struct subject *s)
{
	for (size_t chunk = 1; chunk < 40; chunk += 12) {
		struct source from = { .next = 0 };
		twice_stream stream;
		int value, r;

		assert_int_equal(
			tz_stream_open(&stream, s->ex, twice,
				       TZ_OPTIONS(tz_stream_options, .window = 20, .chunk = chunk),
				       pull, &from),
			0);
		for (int i = 0; i < 200; i++) {
			bounded(r, tz_stream_next(stream, &value));
			assert_int_equal(r, 1);
			assert_int_equal(value, 2 * i);
			from.given_out++;
		}
		assert_in_range(from.most_ahead, 1, 20);
		tz_stream_close(stream);
	}
}

static atomic_int tries[8];

static int third_time(int n)
{
	return atomic_fetch_add(&tries[n], 1) < 2 ? tz_fail(-EAGAIN, "not yet") : n;
}
TZ_TASK(int, third_time, int);

static void tries_each_of_a_chunk_again(struct subject *s)
{
	third_time_stream stream;
	int value, r;

	number_them();
	for (int i = 0; i < 8; i++)
		atomic_store(&tries[i], 0);
	assert_int_equal(
		tz_stream_over(&stream, s->ex, third_time,
			       TZ_OPTIONS(tz_stream_options, .chunk = 4, .submit.retries = 2), 8,
			       numbers),
		0);
	for (int i = 0; i < 8; i++) {
		bounded(r, tz_stream_next(stream, &value));
		assert_int_equal(r, 1);
		assert_int_equal(value, i);
		assert_int_equal(atomic_load(&tries[i]), 3);
	}
	tz_stream_close(stream);
}

static int leave_at_3(int n)
{
	if (n % 10 == 3)
		pthread_exit(NULL);
	return n;
}
TZ_TASK(int, leave_at_3, int);

static void an_exit_costs_one_of_a_chunk(struct subject *s)
{
	leave_at_3_stream stream;

	number_them();
	assert_int_equal(tz_stream_over(&stream, s->ex, leave_at_3,
					TZ_OPTIONS(tz_stream_options, .chunk = 10), 40, numbers),
			 0);
	for (int i = 0; i < 40; i++) {
		int value = -1, r;

		bounded(r, tz_stream_next(stream, &value));
		if (i % 10 == 3) {
			assert_int_equal(r, -EREMOTEIO);
			assert_int_equal(tz_last()->status, TZ_CRASHED);
		} else {
			assert_int_equal(r, 1);
			assert_int_equal(value, i);
		}
	}
	tz_stream_close(stream);
}

/* What a chunk did not come to has ended as its job has; and nothing waits any more. */
static void closes_a_chunked_stream(struct subject *s)
{
	struct gate g = { .open = 0 }, *gates[50];
	wait_at_stream stream;
	int r = 0;

	for (int i = 0; i < 50; i++)
		gates[i] = &g;
	assert_int_equal(tz_stream_over(&stream, s->ex, wait_at,
					TZ_OPTIONS(tz_stream_options, .chunk = 5), 50, gates),
			 0);
	TZ_TIMEOUT(0.01)
		r = tz_stream_next(stream, NULL);
	assert_int_equal(r, -ETIMEDOUT);
	tz_stream_close(stream);
	assert_int_equal(atomic_load(&g.waiting), 0);
}

static void a_deadline_ends_a_chunk(struct subject *s)
{
	nap_stream stream;

	number_them();
	assert_int_equal(tz_stream_over(&stream, s->ex, nap,
					TZ_OPTIONS(tz_stream_options, .chunk = 5,
						   .submit.deadline = tz_after(0.02)),
					20, numbers),
			 0);
	for (int i = 0; i < 20; i++) {
		int r;

		bounded(r, tz_stream_next(stream, NULL));
		assert_int_equal(r, -EREMOTEIO);
		assert_int_equal(tz_last()->code, -ETIMEDOUT);
	}
	assert_int_equal(tz_stream_next(stream, NULL), 0);
	tz_stream_close(stream);
}

/* For jobs that sleep: where time is real, and the caller goes on meanwhile. */
#define LASTS(title, run) \
	{ \
		title, run, 0, TZ_CAN_RUN_AT_SUBMIT | TZ_CAN_SIMULATE, 0 \
	}
/* For jobs that see our memory. */
#define SHARES(title, run) \
	{ \
		title, run, TZ_CAN_SHARE_MEMORY, 0, 0 \
	}

static const struct conformance_case cases[] = {
	CASE("apply gives the result", applies),
	CASE("apply tells of a failure", applies_what_fails),
	LASTS("apply ends with its scope", apply_ends_with_its_scope),
	{ "apply gives a result that beat the cancel", apply_gives_what_beat_the_cancel,
	  TZ_CAN_SHARE_MEMORY, TZ_CAN_RUN_AT_SUBMIT, 0 },
	CASE("a function hears the result, by value", calls_back_with_the_result),
	CASE("another function hears of the failure", calls_back_with_the_failure),
	CASE("map over calls in structs", maps_bound_calls),
	CASE("map over calls in structs, some of which fail", maps_bound_calls_that_fail),
	CASE("a map with a future", begins_a_map),
	CASE("several maps at once", begins_several),
	CASE("a map fails as its first failure by index", a_map_fails_as_its_first_failure),
	CASE("a map with a future gives each element its outcome", a_map_gives_each_its_outcome),
	CASE("what cannot be mapped is a failed future", a_map_says_what_is_wrong),
	LASTS("a map is cancelled, before and while it runs", cancels_a_map),
	{ "nothing of a cancelled map runs any more", a_cancelled_map_has_ended,
	  TZ_CAN_SHARE_MEMORY, TZ_CAN_RUN_AT_SUBMIT, 0 },
	LASTS("a map has a deadline", a_map_has_a_deadline),
	CASE("a shutdown drains the maps that were begun", a_shutdown_drains_maps),
	CASE("a map calls back", a_map_calls_back),
	/* The naps of one map must not keep the other from beginning. */
	{ "a group owns maps", a_group_owns_maps, TZ_CAN_SHARE_MEMORY,
	  TZ_CAN_RUN_AT_SUBMIT | TZ_CAN_SIMULATE, 0 },
	CASE("a stream over arrays, in chunks of any size", streams_over_arrays),
	CASE("a stream over arrays as completed, some of which fail",
	     streams_over_arrays_as_completed),
	CASE("chunks take no more than the window", a_chunk_fits_the_window),
	SHARES("each element of a chunk is tried again", tries_each_of_a_chunk_again),
	{ "pthread_exit costs one element of a chunk", an_exit_costs_one_of_a_chunk,
	  TZ_CAN_SHARE_MEMORY, TZ_CAN_RUN_AT_SUBMIT | LACKS_FOR_EXIT, 0 },
	{ "closing a stream of chunks cancels and waits", closes_a_chunked_stream,
	  TZ_CAN_SHARE_MEMORY, TZ_CAN_RUN_AT_SUBMIT, 0 },
	LASTS("a deadline ends a chunk", a_deadline_ends_a_chunk),
};

int main(void)
{
	return RUN_CASES("pool", cases);
}
