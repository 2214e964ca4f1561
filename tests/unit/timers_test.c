/* The wheel of a loop's timers, beside a plain list. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "loop/timers.h"

/* SplitMix64: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators" (2014). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* --- single things ----------------------------------------------------------------------------- */

enum { FEW = 16 };

static struct tz_wheel wheel;
static struct tz_wheel_timer few[FEW];
static int fired[FEW * 4], nfired;

static void note(struct tz_wheel_timer *t)
{
	assert_true(nfired < FEW * 4);
	fired[nfired++] = (int)(t - few);
}

static int prepare(void **state)
{
	(void)state;
	tz_wheel_init(&wheel, 1000);
	memset(few, 0, sizeof few);
	nfired = 0;
	return 0;
}

static void set(int n, uint64_t when)
{
	tz_wheel_set(&wheel, &few[n], when, note);
}

static void expect_fired(const char *digits)
{
	assert_int_equal(nfired, strlen(digits));
	for (int i = 0; i < nfired; i++)
		assert_int_equal(fired[i], digits[i] - '0');
	nfired = 0;
}

static void empty_wheel_has_no_next(void **state)
{
	(void)state;
	assert_int_equal(tz_wheel_next(&wheel), 0);
	assert_int_equal(tz_wheel_fire(&wheel, 5000), 0);
	assert_int_equal(tz_wheel_next(&wheel), 0);
	assert_false(tz_wheel_clear(&wheel, &few[0]));
}

static void fires_at_its_nanosecond(void **state)
{
	static const uint64_t whens[] = { 1001,
					  1063,
					  1064,
					  5000,
					  1000000,
					  77777777777,
					  UINT64_C(1) << 40,
					  UINT64_C(1) << 62,
					  UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof whens / sizeof *whens; i++) {
		set(0, whens[i]);
		assert_true(tz_wheel_is_set(&few[0]));
		assert_true(tz_wheel_next(&wheel) == whens[i]);
		assert_int_equal(tz_wheel_fire(&wheel, whens[i] - 1), 0);
		assert_true(tz_wheel_next(&wheel) == whens[i]);
		assert_int_equal(tz_wheel_fire(&wheel, whens[i]), 1);
		expect_fired("0");
		assert_false(tz_wheel_is_set(&few[0]));
	}
}

static void ties_fire_in_the_order_of_setting(void **state)
{
	(void)state;
	set(3, 9000);
	set(1, 9000);
	set(0, 8999);
	set(2, 9000);
	set(3, 9000); /* set again: last now */
	(void)tz_wheel_fire(&wheel, 10000);
	expect_fired("0123");
}

static void ties_keep_their_order_from_different_levels(void **state)
{
	uint64_t when = UINT64_C(1) << 33;

	(void)state;
	for (int i = 0; i < 8; i++) {
		set(i, when);
		set(9, when - (UINT64_C(1) << (32 - 4 * i)));
		(void)tz_wheel_fire(&wheel, when - (UINT64_C(1) << (32 - 4 * i)));
		expect_fired("9");
	}
	(void)tz_wheel_fire(&wheel, when);
	expect_fired("01234567");
}

static void times_that_have_passed_fire_next(void **state)
{
	(void)state;
	(void)tz_wheel_fire(&wheel, 5000);
	set(2, 4000);
	set(1, 10);
	set(3, 5000);
	set(0, 0);
	assert_true(tz_wheel_next(&wheel) != 0 && tz_wheel_next(&wheel) <= 5000);
	(void)tz_wheel_fire(&wheel, 5000);
	expect_fired("0123");
}

static void cleared_ones_do_not_fire(void **state)
{
	(void)state;
	set(0, 2000);
	set(1, 2000);
	set(2, 0);
	assert_true(tz_wheel_clear(&wheel, &few[0]));
	assert_true(tz_wheel_clear(&wheel, &few[2]));
	assert_false(tz_wheel_clear(&wheel, &few[0]));
	(void)tz_wheel_fire(&wheel, 3000);
	expect_fired("1");
	assert_false(tz_wheel_clear(&wheel, &few[1]));
}

static void extended_ones_fire_late_and_shortened_ones_early(void **state)
{
	(void)state;
	set(0, 2000);
	set(0, 1000000);
	set(1, 1000000);
	set(1, 2000);
	set(2, 3000);
	set(2, 900000);
	set(2, 1500);
	(void)tz_wheel_fire(&wheel, 999999);
	expect_fired("21");
	(void)tz_wheel_fire(&wheel, 1000000);
	expect_fired("0");
}

static void again(struct tz_wheel_timer *t)
{
	note(t);
	tz_wheel_set(&wheel, t, t->when, again);
}

static void one_that_sets_itself_does_not_fire_twice(void **state)
{
	(void)state;
	tz_wheel_set(&wheel, &few[0], 2000, again);
	assert_int_equal(tz_wheel_fire(&wheel, 3000), 1);
	assert_true(tz_wheel_next(&wheel) <= 3000);
	assert_int_equal(tz_wheel_fire(&wheel, 3000), 1);
	expect_fired("00");
	assert_true(tz_wheel_clear(&wheel, &few[0]));
	assert_int_equal(tz_wheel_next(&wheel), 0);
}

static void clear_and_move(struct tz_wheel_timer *t)
{
	note(t);
	assert_true(tz_wheel_clear(&wheel, &few[1]));
	set(2, 9000);
	set(4, 10);
}

static void functions_may_change_what_is_due(void **state)
{
	(void)state;
	tz_wheel_set(&wheel, &few[0], 2000, clear_and_move);
	set(1, 2000);
	set(2, 2000);
	set(3, 2500);
	assert_int_equal(tz_wheel_fire(&wheel, 3000), 2);
	expect_fired("03");
	assert_int_equal(tz_wheel_fire(&wheel, 9000), 2);
	expect_fired("42");
}

/* --- beside a list ----------------------------------------------------------------------------- */

enum { MOST = 300 };

static struct model {
	struct tz_wheel wheel;
	struct tz_wheel_timer timers[MOST];
	struct {
		bool set, due; /* due: in the tz_wheel_fire that is under way */
		uint64_t when, order;
	} plain[MOST];
	int n;
	uint64_t now, order, random;
	unsigned spread; /* log2 of the longest time ahead */
	int left; /* how many are to fire yet */
} m;

static uint64_t dice(uint64_t n)
{
	return next_random(&m.random) % n;
}

/* Of all magnitudes, often equal to another's. */
static uint64_t some_time(void)
{
	int other = (int)dice((uint64_t)m.n);

	switch (dice(8)) {
	case 0:
		return m.now;
	case 1:
		return m.now - dice(m.now < 5000 ? m.now : 5000);
	case 2:
		return m.plain[other].when;
	default:
		return m.now + dice(UINT64_C(1) << (1 + dice(m.spread)));
	}
}

static void on_fire(struct tz_wheel_timer *t);

static void set_some(void)
{
	int i = (int)dice((uint64_t)m.n);
	uint64_t when = some_time();

	m.plain[i].set = true;
	m.plain[i].due = false;
	m.plain[i].when = when;
	m.plain[i].order = m.order++;
	tz_wheel_set(&m.wheel, &m.timers[i], when, on_fire);
}

static void clear_some(void)
{
	int i = (int)dice((uint64_t)m.n);

	assert_int_equal(tz_wheel_is_set(&m.timers[i]), m.plain[i].set);
	assert_int_equal(tz_wheel_clear(&m.wheel, &m.timers[i]), m.plain[i].set);
	m.plain[i].set = m.plain[i].due = false;
}

/* The first that is due, or -1; or of all that are set. */
static int first_of(bool due)
{
	int first = -1;

	for (int i = 0; i < m.n; i++)
		if ((due ? m.plain[i].due : m.plain[i].set) &&
		    (first < 0 || m.plain[i].when < m.plain[first].when ||
		     (m.plain[i].when == m.plain[first].when &&
		      m.plain[i].order < m.plain[first].order)))
			first = i;
	return first;
}

static void on_fire(struct tz_wheel_timer *t)
{
	int i = (int)(t - m.timers);

	assert_int_equal(i, first_of(true));
	assert_false(tz_wheel_is_set(t));
	m.plain[i].set = m.plain[i].due = false;
	if (dice(4) == 0)
		set_some();
	if (dice(4) == 0)
		clear_some();
}

static void check_next(void)
{
	uint64_t next = tz_wheel_next(&m.wheel);
	int first = first_of(false);

	if (first < 0)
		assert_true(next == 0);
	else
		assert_true(next != 0 && (next <= m.plain[first].when || next <= m.now));
}

static void go_on(void)
{
	uint64_t next = tz_wheel_next(&m.wheel);

	if (dice(2) && next > m.now)
		m.now = next;
	else
		m.now += dice(UINT64_C(1) << dice(m.spread));
	for (int i = 0; i < m.n; i++)
		m.plain[i].due = m.plain[i].set && m.plain[i].when <= m.now;
	(void)tz_wheel_fire(&m.wheel, m.now);
	assert_int_equal(first_of(true), -1);
}

static void same_as_a_list(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		memset(&m, 0, sizeof m);
		m.random = seed;
		m.n = 1 + (int)dice(seed % 3 ? 20 : MOST);
		m.now = 1 + dice(UINT64_C(1) << dice(60));
		m.spread = 2 + (unsigned)dice(45);
		tz_wheel_init(&m.wheel, m.now);
		for (int step = 0; step < 3000; step++) {
			switch (dice(8)) {
			case 0:
			case 1:
			case 2:
			case 3:
				set_some();
				break;
			case 4:
			case 5:
				clear_some();
				break;
			default:
				go_on();
			}
			check_next();
		}
	}
}

/* Going from tz_wheel_next to tz_wheel_next meets every timer at its time, and ends. */
static void next_leads_through_all(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		uint64_t next;
		int steps = 0;

		memset(&m, 0, sizeof m);
		m.random = seed;
		m.n = MOST;
		m.now = 1 + dice(UINT64_C(1) << dice(60));
		m.spread = 2 + (unsigned)dice(50);
		tz_wheel_init(&m.wheel, m.now);
		for (int i = 0; i < 2000; i++)
			dice(5) ? set_some() : clear_some();
		while ((next = tz_wheel_next(&m.wheel)) && m.wheel.count > 0) {
			uint64_t previous = m.now;

			m.now = next > m.now ? next : m.now;
			for (int i = 0; i < m.n; i++) {
				uint64_t when = m.plain[i].when;

				m.plain[i].due = m.plain[i].set && when <= m.now;
				/* None came in between. */
				assert_true(!m.plain[i].due || when == m.now || when <= previous);
			}
			(void)tz_wheel_fire(&m.wheel, m.now);
			assert_int_equal(first_of(true), -1);
			assert_true(++steps < 100 * MOST);
		}
		assert_int_equal(first_of(false), -1);
		assert_int_equal(m.wheel.count, 0);
	}
}

/* --- many -------------------------------------------------------------------------------------- */

enum { MANY = 1000000 };

static uint64_t last_when, last_order;
static size_t many_fired;

static void in_order(struct tz_wheel_timer *t)
{
	assert_true(t->when > last_when ||
		    (t->when == last_when && (many_fired == 0 || t->order > last_order)));
	last_when = t->when;
	last_order = t->order;
	many_fired++;
}

static void a_million(void **state)
{
	struct tz_wheel_timer *many = calloc(MANY, sizeof *many);
	uint64_t random = 5;
	size_t cleared = 0;

	(void)state;
	assert_non_null(many);
	last_when = last_order = many_fired = 0;
	for (size_t i = 0; i < MANY; i++)
		tz_wheel_set(&wheel, &many[i],
			     2000 + next_random(&random) % 10000000000u / 100 * 100, in_order);
	for (size_t i = 0; i < MANY; i++) {
		size_t which = next_random(&random) % MANY;

		if (i % 4 == 0)
			cleared += tz_wheel_clear(&wheel, &many[which]);
		else
			tz_wheel_set(&wheel, &many[which],
				     2000 + next_random(&random) % 10000000000u / 100 * 100,
				     in_order);
	}
	size_t set = wheel.count;

	for (uint64_t now = 1000; wheel.count > 0; now += 1 + next_random(&random) % 10000000)
		(void)tz_wheel_fire(&wheel, now);
	assert_int_equal(many_fired, set);
	assert_true(cleared > 0 && set + cleared >= MANY);
	assert_int_equal(tz_wheel_next(&wheel), 0);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty_wheel_has_no_next, prepare),
		cmocka_unit_test_setup(fires_at_its_nanosecond, prepare),
		cmocka_unit_test_setup(ties_fire_in_the_order_of_setting, prepare),
		cmocka_unit_test_setup(ties_keep_their_order_from_different_levels, prepare),
		cmocka_unit_test_setup(times_that_have_passed_fire_next, prepare),
		cmocka_unit_test_setup(cleared_ones_do_not_fire, prepare),
		cmocka_unit_test_setup(extended_ones_fire_late_and_shortened_ones_early, prepare),
		cmocka_unit_test_setup(one_that_sets_itself_does_not_fire_twice, prepare),
		cmocka_unit_test_setup(functions_may_change_what_is_due, prepare),
		cmocka_unit_test(same_as_a_list),
		cmocka_unit_test(next_leads_through_all),
		cmocka_unit_test_setup(a_million, prepare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
