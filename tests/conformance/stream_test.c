/* Streams: a bounded window over a generator, in its order or as completed. */
#include "calls.h"

static int twice(int n)
{
	return n % 50 == 49 ? tz_fail(-EDOM, "at %d", n) : 2 * n;
}
TZ_TASK(int, twice, int);

/* A source of numbers, which knows how far it has got. */
struct source {
	int next, end; /* end < 0: endless */
	int given_out, most_ahead;
};

static bool pull(void *arg, twice_args *ret)
{
	struct source *from = arg;

	if (from->next == from->end)
		return false;
	ret->a1 = from->next++;
	if (from->next - from->given_out > from->most_ahead)
		from->most_ahead = from->next - from->given_out;
	return true;
}

static void gives_out_in_order(struct subject *s)
{
	struct source from = { .end = 40 };
	twice_stream stream;
	int got = -1;

	assert_int_equal(tz_stream_open(&stream, s->ex, twice, NULL, pull, &from), 0);
	for (int i = 0; i < 40; i++) {
		int r;

		bounded(r, tz_stream_next(stream, &got));
		assert_int_equal(r, 1);
		assert_int_equal(got, 2 * i);
		from.given_out++;
	}
	assert_int_equal(tz_stream_next(stream, &got), 0);
	assert_int_equal(tz_stream_next(stream, &got), 0); /* and stays there */
	tz_stream_close(stream);
}

static void gives_each_out_once_as_completed(struct subject *s)
{
	struct source from = { .end = 49 };
	bool seen[49] = { false };
	twice_stream stream;

	assert_int_equal(tz_stream_open(&stream, s->ex, twice,
					&(tz_stream_options){ .as_completed = true }, pull, &from),
			 0);
	for (int i = 0; i < 49; i++) {
		size_t index = 99;
		int got = -1, r;

		bounded(r, tz_stream_next_indexed(stream, &got, &index));
		assert_int_equal(r, 1);
		assert_in_range(index, 0, 48);
		assert_int_equal(got, 2 * (int)index);
		assert_false(seen[index]);
		seen[index] = true;
	}
	assert_int_equal(tz_stream_next(stream, NULL), 0);
	tz_stream_close(stream);
}

static void goes_on_after_a_failure(struct subject *s)
{
	for (int as_completed = 0; as_completed < 2; as_completed++) {
		struct source from = { .end = 120 };
		int failed = 0, done = 0, r;
		twice_stream stream;
		size_t index;

		assert_int_equal(
			tz_stream_open(&stream, s->ex, twice,
				       &(tz_stream_options){ .as_completed = as_completed }, pull,
				       &from),
			0);
		for (;;) {
			bounded(r, tz_stream_next_indexed(stream, NULL, &index));
			if (r == 0)
				break;
			done++;
			if (r == 1)
				continue;
			assert_int_equal(r, -EREMOTEIO);
			assert_int_equal(tz_last()->code, -EDOM);
			assert_int_equal(index % 50, 49);
			failed++;
		}
		assert_int_equal(done, 120);
		assert_int_equal(failed, 2);
		tz_stream_close(stream);
	}
}

static void takes_no_more_than_its_window(struct subject *s)
{
	for (int as_completed = 0; as_completed < 2; as_completed++) {
		struct source from = { .end = -1 };
		twice_stream stream;

		assert_int_equal(
			tz_stream_open(
				&stream, s->ex, twice,
				(&(tz_stream_options){ .window = 5, .as_completed = as_completed }),
				pull, &from),
			0);
		for (int i = 0; i < 300; i++) {
			int r;

			bounded(r, tz_stream_next(stream, NULL));
			assert_true(r == 1 || r == -EREMOTEIO);
			from.given_out++;
		}
		assert_in_range(from.most_ahead, 1, 5);
		tz_stream_close(stream); /* the generator has no end */
	}
}

static void window_of_one(struct subject *s)
{
	struct source from = { .end = 10 };
	twice_stream stream;
	int got, r;

	assert_int_equal(tz_stream_open(&stream, s->ex, twice, &(tz_stream_options){ .window = 1 },
					pull, &from),
			 0);
	for (int i = 0; i < 10; i++) {
		bounded(r, tz_stream_next(stream, &got));
		assert_int_equal(r, 1);
		assert_int_equal(got, 2 * i);
		from.given_out++;
	}
	assert_int_equal(from.most_ahead, 1);
	tz_stream_close(stream);
}

static void empty_stream(struct subject *s)
{
	struct source from = { .end = 0 };
	twice_stream stream;
	int got;

	assert_int_equal(tz_stream_open(&stream, s->ex, twice, NULL, pull, &from), 0);
	assert_int_equal(tz_stream_next(stream, &got), 0);
	tz_stream_close(stream);
	tz_stream_close_raw(NULL);
	assert_int_equal(tz_stream_open_raw(&stream.tz__stream, s->ex, NULL, NULL, NULL, NULL),
			 -EINVAL);
}

/* --- jobs that wait ------------------------------------------------------------------------------------------------------ */

static bool pull_gate(void *arg, hold_args *ret)
{
	ret->a1 = arg;
	return true;
}

static void loses_nothing_when_a_wait_ends(struct subject *s)
{
	for (int as_completed = 0; as_completed < 2; as_completed++) {
		struct gate g = { 0 };
		hold_stream stream;
		size_t index = 99;
		int got = 0, r = 0;

		assert_int_equal(
			tz_stream_open(
				&stream, s->ex, hold,
				(&(tz_stream_options){ .window = 3, .as_completed = as_completed }),
				pull_gate, &g),
			0);
		TZ_TIMEOUT(0.01)
			r = tz_stream_next(stream, &got);
		assert_int_equal(r, -ETIMEDOUT);
		atomic_store(&g.open, 1);
		bounded(r, tz_stream_next_indexed(stream, &got, &index));
		assert_int_equal(r, 1);
		assert_int_equal(got, 7);
		assert_in_range(index, 0, as_completed ? 2 : 0);
		tz_stream_close(stream);
	}
}

static void close_cancels_and_waits(struct subject *s)
{
	for (int as_completed = 0; as_completed < 2; as_completed++) {
		struct gate g = { 0 };
		hold_stream stream;
		int r = 0;

		assert_int_equal(
			tz_stream_open(
				&stream, s->ex, hold,
				(&(tz_stream_options){ .window = 6, .as_completed = as_completed }),
				pull_gate, &g),
			0);
		TZ_TIMEOUT(0.01)
			r = tz_stream_next(stream, NULL);
		assert_int_equal(r, -ETIMEDOUT);
		tz_stream_close(stream);
		assert_int_equal(atomic_load(&g.waiting), 0);
	}
}

static int use_a_stream(int n)
{
	struct source from = { .end = n };
	twice_stream stream;
	int sum = 0, got;

	if (tz_stream_open(&stream, tz_executor_current(), twice, NULL, pull, &from) < 0)
		return tz_fail(-EIO, "tz_stream_open");
	while (tz_stream_next(stream, &got) > 0)
		sum += got;
	tz_stream_close(stream);
	return sum;
}
TZ_TASK(int, use_a_stream, int);

static void works_inside_jobs(struct subject *s)
{
	use_a_stream_future f[6];

	for (int i = 0; i < 6; i++)
		f[i] = tz_submit(s->ex, use_a_stream, 20);
	for (int i = 0; i < 6; i++) {
		int got = 0;

		settle(f[i]);
		assert_int_equal(tz_result(f[i], &got), 0);
		assert_int_equal(got, 380);
	}
}

static const struct conformance_case cases[] = {
	CASE("a stream gives out in the generator's order", gives_out_in_order),
	CASE("a stream gives each out once, as completed", gives_each_out_once_as_completed),
	CASE("a stream goes on after a failure", goes_on_after_a_failure),
	CASE("an endless generator is not taken further than the window",
	     takes_no_more_than_its_window),
	CASE("a window of one", window_of_one),
	CASE("an empty stream", empty_stream),
	BESIDE("a wait that ends early loses nothing", loses_nothing_when_a_wait_ends),
	BESIDE("closing a stream cancels and waits", close_cancels_and_waits),
	CASE("a stream inside jobs", works_inside_jobs),
};

int main(void)
{
	return RUN_CASES("stream", cases);
}
