/* Lanes between two threads: what is put is claimed, what is answered is collected; and what a worker that has gone mad can do. */
#define _GNU_SOURCE

#include "arena/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../abilities.h"
#include "check.h"
#include "os/clock.h"

enum { PATIENCE_S = 30 };

static uint64_t far_off(void)
{
	return tz_clock_now() + PATIENCE_S * (uint64_t)1000000000;
}

/* --- one lane ----------------------------------------------------------------------------------------------------------- */

static struct lane {
	struct tz_lane_parent p;
	struct tz_lane_worker w;
	struct tz_bell *bell;
	int bell_fd;
	uint32_t first;
} l;

static int open_lane(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(tz_bell_open(&l.bell, &l.bell_fd), 0);
	assert_int_equal(tz_lane_open(&l.p), 0);
	tz_lane_fds(&l.p, fds);
	fds[0] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	fds[1] = fcntl(fds[1], F_DUPFD_CLOEXEC, 0);
	assert_int_equal(tz_lane_join(&l.w, fds, l.bell), 0);
	tz_lane_close_fds(&l.p);
	l.first = l.p.put;
	return 0;
}

static int close_lane(void **state)
{
	(void)state;
	tz_lane_leave(&l.w);
	tz_lane_close(&l.p);
	tz_bell_close(l.bell);
	(void)close(l.bell_fd);
	tz_segment_trim();
	return 0;
}

static void fill(void *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)bytes)[i] = (unsigned char)(seed + i * 7 + i / 256);
}

static bool is_filled(const void *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		if (((const unsigned char *)bytes)[i] != (unsigned char)(seed + i * 7 + i / 256))
			return false;
	return true;
}

static int put(size_t size, unsigned seed)
{
	struct tz_lane_what what = { .code = seed, .kind = 7, .flags = 9, .time = 11 };
	unsigned char *bytes = malloc(size + 1);
	struct tz_lane_load load = { .bytes = bytes, .size = size };
	int r;

	assert_non_null(bytes);
	fill(bytes, size, seed);
	r = tz_lane_put(&l.p, &what, &load);
	free(bytes);
	return r;
}

static void publish(size_t size, unsigned seed)
{
	assert_int_equal(put(size, seed), 0);
	tz_lane_publish(&l.p);
}

static int answer(size_t size, unsigned seed)
{
	struct tz_lane_what what = { .code = seed };
	unsigned char *bytes = malloc(size + 1);
	struct tz_lane_load load = { .bytes = bytes, .size = size };
	int r;

	assert_non_null(bytes);
	fill(bytes, size, seed);
	r = tz_lane_reply(&l.w, &what, &load);
	free(bytes);
	return r;
}

static void claim(uint32_t number, size_t size, unsigned seed)
{
	struct tz_lane_mail mail;

	assert_int_equal(tz_lane_claim(&l.w, far_off(), &mail), 0);
	assert_int_equal(mail.number, l.first + number);
	assert_int_equal(mail.what.code, seed);
	assert_int_equal(mail.what.kind, 7);
	assert_int_equal(mail.what.flags, 9);
	assert_int_equal(mail.what.time, 11);
	assert_int_equal(mail.size, size);
	assert_true(is_filled(mail.bytes, size, seed));
}

static void collect(uint32_t number, size_t size, unsigned seed)
{
	struct tz_lane_mail mail;

	assert_true(tz_lane_has_result(&l.p));
	assert_int_equal(tz_lane_collect(&l.p, &mail), 1);
	assert_int_equal(mail.number, l.first + number);
	assert_int_equal(mail.what.code, seed);
	assert_int_equal(mail.size, size);
	assert_true(is_filled(mail.bytes, size, seed));
	tz_lane_collected(&l.p);
}

static void nothing_to_collect(void)
{
	struct tz_lane_mail mail;

	assert_false(tz_lane_has_result(&l.p));
	assert_int_equal(tz_lane_collect(&l.p, &mail), 0);
}

static void nothing_to_claim(void)
{
	struct tz_lane_mail mail;

	assert_int_equal(tz_lane_claim(&l.w, tz_clock_now(), &mail), -ETIMEDOUT);
}

/* --- tasks and results --------------------------------------------------------------------------------------------------- */

static void sizes(void **state)
{
	static const size_t each[] = { 0, 1, 8, 39, 40, 41, 959, 960, 961, 4096, 4097, 65535, 65536, 300000, 2000000 };
	enum { N = sizeof each / sizeof *each };

	(void)state;
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < N; i++) {
			unsigned at = round * N + i, j = (i * 7 + round) % N;

			nothing_to_claim();
			publish(each[i], at);
			claim(at, each[i], at);
			nothing_to_collect();
			assert_int_equal(answer(each[j], at + 1), 0);
			collect(at, each[j], at + 1);
		}
}

static void alignment(void **state)
{
	struct tz_lane_what what = { 0 };
	struct tz_lane_mail mail;
	double bytes[4] = { 1, 2, 3, 4 };

	(void)state;
	for (size_t size = 8; size <= 32; size += 8) {
		struct tz_lane_load load = { .bytes = bytes, .size = size, .align = 64 };

		assert_int_equal(tz_lane_put(&l.p, &what, &load), 0);
		tz_lane_publish(&l.p);
		assert_int_equal(tz_lane_claim(&l.w, far_off(), &mail), 0);
		assert_int_equal((uintptr_t)mail.bytes % 64, 0);
		assert_int_equal(tz_lane_reply(&l.w, &what, &load), 0);
		assert_int_equal(tz_lane_collect(&l.p, &mail), 1);
		assert_int_equal((uintptr_t)mail.bytes % 64, 0);
		tz_lane_collected(&l.p);
	}
}

static void full(void **state)
{
	(void)state;
	for (unsigned i = 0; i < TZ_LANE_SLOTS; i++) {
		assert_int_equal(tz_lane_room(&l.p), TZ_LANE_SLOTS - i);
		assert_int_equal(put(8, i), 0);
	}
	assert_int_equal(put(8, 0), -EAGAIN);
	nothing_to_claim(); /* it was not published */
	tz_lane_publish(&l.p);
	assert_int_equal(tz_lane_waiting(&l.p), TZ_LANE_SLOTS);
	for (unsigned i = 0; i < TZ_LANE_SLOTS; i++) {
		claim(i, 8, i);
		assert_int_equal(answer(900, i), 0);
	}
	assert_int_equal(put(8, 0), -EAGAIN);
	for (unsigned i = 0; i < TZ_LANE_SLOTS; i++) {
		collect(i, 900, i);
		assert_int_equal(tz_lane_room(&l.p), i + 1);
	}
}

static void taking_back(void **state)
{
	(void)state;
	assert_int_equal(tz_lane_retract(&l.p, 5), 0);
	for (unsigned i = 0; i < 5; i++)
		publish(i == 3 ? 5000 : 8, i);
	claim(0, 8, 0);
	assert_int_equal(tz_lane_retract(&l.p, 1), 1);
	assert_int_equal(l.p.put, l.first + 4);
	publish(2000, 77);
	assert_int_equal(tz_lane_retract(&l.p, 2), 2);
	publish(2000, 78);
	assert_int_equal(answer(8, 0), 0);
	claim(1, 8, 1);
	assert_int_equal(tz_lane_retract(&l.p, 100), 2);
	assert_int_equal(tz_lane_retract(&l.p, 100), 0);
	assert_int_equal(answer(8, 1), 0);
	nothing_to_claim();
	collect(0, 8, 0);
	collect(1, 8, 1);
	nothing_to_collect();
	publish(8, 3);
	claim(2, 8, 3);
}

static void the_end(void **state)
{
	struct tz_lane_mail mail;

	(void)state;
	publish(8, 1);
	tz_lane_end(&l.p);
	claim(0, 8, 1);
	assert_int_equal(answer(8, 1), 0);
	assert_int_equal(tz_lane_claim(&l.w, 0, &mail), -EPIPE);
	assert_int_equal(tz_lane_claim(&l.w, 0, &mail), -EPIPE);
	collect(0, 8, 1);
}

/* --- segments -------------------------------------------------------------------------------------------------------------- */

/* A payload that lies in a segment by itself. */
static void whole(void **state)
{
	struct tz_lane_what what = { 0 };
	struct tz_segment *s;
	struct tz_lane_mail mail;

	(void)state;
	assert_int_equal(tz_segment_take(TZ_SEGMENT_BYTES, 100000, &s), 0);
	for (unsigned i = 0; i < 200; i++) {
		struct tz_lane_load load = { .whole = s, .size = 100000 };

		fill(s->base, 100000, i);
		assert_int_equal(tz_lane_put(&l.p, &what, &load), 0);
		tz_lane_publish(&l.p);
		assert_int_equal(tz_lane_claim(&l.w, far_off(), &mail), 0);
		assert_int_equal(mail.size, 100000);
		assert_true(is_filled(mail.bytes, 100000, i));
		assert_int_equal(answer(8, i), 0);
		collect(i, 8, i);
	}
	assert_int_equal(l.p.out.edition, 1); /* it was sent once */
	tz_segment_unref(s);
}

/* Buffers go to and fro, and each end sees what the other one wrote; the memory that came back is used again. */
static void references(void **state)
{
	struct tz_lane_what what = { 0 };
	struct tz_segment *kept[100] = { 0 };
	struct tz_lane_mail mail;
	unsigned char byte = 3;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		struct tz_segment *a[2], *b;
		struct tz_lane_load task = { .bytes = &byte, .size = 1, .refs = a, .nrefs = 2 };
		struct tz_lane_load result = { .bytes = &byte, .size = 1, .refs = &b, .nrefs = 1 };

		assert_int_equal(tz_segment_take(TZ_SEGMENT_BUFFER, 70000, &a[0]), 0);
		assert_int_equal(tz_segment_take(TZ_SEGMENT_BUFFER, 80000, &a[1]), 0);
		fill(a[0]->base, 70000, i);
		fill(a[1]->base, 80000, i + 1);
		assert_int_equal(tz_lane_put(&l.p, &what, &task), 0);
		tz_lane_publish(&l.p);
		assert_int_equal(tz_lane_claim(&l.w, far_off(), &mail), 0);
		assert_int_equal(mail.nrefs, 2);
		assert_int_equal(mail.size, 1);
		assert_true(is_filled(mail.refs[0]->base, 70000, i));
		assert_true(is_filled(mail.refs[1]->base, 80000, i + 1));
		assert_int_equal(tz_segment_take(TZ_SEGMENT_BUFFER, 90000, &b), 0);
		fill(b->base, 90000, i + 2);
		assert_int_equal(tz_lane_reply(&l.w, &what, &result), 0);
		tz_segment_unref(b);
		assert_int_equal(tz_lane_collect(&l.p, &mail), 1);
		assert_int_equal(mail.nrefs, 1);
		assert_true(is_filled(mail.refs[0]->base, 90000, i + 2));
		tz_segment_unref(kept[i % 100]);
		kept[i % 100] = NULL;
		if (i >= 100) { /* the first ones are given back at once */
			kept[i % 100] = tz_segment_ref(mail.refs[0]);
			tz_segment_own(mail.refs[0]);
		}
		tz_lane_collected(&l.p);
		tz_segment_unref(a[0]);
		tz_segment_unref(a[1]);
		if (i == 99)
			assert_true(l.p.out.edition <= 4 && l.w.out.edition <= 4);
	}
	for (unsigned i = 0; i < 100; i++) {
		assert_true(is_filled(kept[i]->base, 90000, i + 2 + (i < 100 ? 200 : 0)));
		tz_segment_unref(kept[i]);
	}
}

/* More payloads under way than there are entries. */
static void too_many_segments(void **state)
{
	unsigned n = 0;

	(void)state;
	while (n <= TZ_TABLE_ENTRIES && put(2000, n) == 0)
		n++;
	assert_int_equal(n, TZ_TABLE_ENTRIES);
	assert_int_equal(put(2000, n), -EAGAIN);
	assert_int_equal(put(8, n), 0);
	tz_lane_publish(&l.p);
	for (unsigned i = 0; i < n; i++) {
		claim(i, 2000, i);
		assert_int_equal(answer(3000, i + 1), 0);
	}
	claim(n, 8, n);
	assert_int_equal(answer(3000, n + 1), 0); /* the worker never waits for the parent */
	for (unsigned i = 0; i <= n; i++)
		collect(i, 3000, i + 1);
	for (unsigned i = 0; i < 10; i++)
		publish(2000, i);
	assert_int_equal(tz_lane_retract(&l.p, 10), 10);
	for (unsigned i = 0; i < TZ_TABLE_ENTRIES; i++)
		assert_int_equal(put(2000, n), 0);
}

static void without_refs_too_many(void **state)
{
	struct tz_lane_what what = { 0 };
	struct tz_segment *none[TZ_LANE_REFS + 1] = { 0 };
	struct tz_lane_load load = { .refs = none, .nrefs = TZ_LANE_REFS + 1 };

	(void)state;
	assert_int_equal(tz_lane_put(&l.p, &what, &load), -EMSGSIZE);
}

/* --- death ----------------------------------------------------------------------------------------------------------------- */

static void classify(bool blamed, uint32_t first, uint32_t left, bool broken)
{
	struct tz_lane_end end;

	tz_lane_classify(&l.p, &end);
	assert_int_equal(end.blamed, blamed);
	assert_int_equal(end.first, l.first + first);
	assert_int_equal(end.left, left);
	assert_int_equal(end.broken, broken);
}

static void who_is_blamed(void **state)
{
	(void)state;
	classify(false, 0, 0, false);
	publish(8, 0);
	publish(8, 1);
	publish(8, 2);
	classify(false, 0, 3, false);
	claim(0, 8, 0);
	classify(true, 1, 2, false);
	assert_int_equal(answer(8, 0), 0);
	collect(0, 8, 0);
	classify(false, 1, 2, false);
	claim(1, 8, 1);
	assert_true(tz_lane_ran(&l.p, l.first + 1) > 0);
	assert_int_equal(tz_lane_ran(&l.p, l.first + 2), 0);
	classify(true, 2, 1, false);
	assert_int_equal(answer(8, 1), 0);
	collect(1, 8, 1);
	claim(2, 8, 2);
	classify(true, 3, 0, false);
	assert_int_equal(answer(8, 2), 0);
	collect(2, 8, 2);
	classify(false, 3, 0, false);
}

/* A worker writes anything anywhere into its lane, or says anything: whatever the parent does then comes to an end, and adds up. */
static void a_mad_worker(void **state)
{
	uint64_t seed = 0x9e3779b97f4a7c15;
	size_t size;

	(void)state;
	for (unsigned round = 0; round < 600; round++) {
		struct tz_lane_mail mail;
		struct tz_lane_end end;
		unsigned collected = 0, taken;
		int r;

		if (round > 0)
			assert_int_equal(open_lane(NULL), 0);
		size = 64 * 20 + TZ_LANE_SLOTS * (64 + 1024);
		for (unsigned i = 0; i < 8; i++)
			publish(i % 3 ? 8 : 3000, i);
		for (unsigned i = 0; i < 4; i++) {
			claim(i, i % 3 ? 8 : 3000, i);
			assert_int_equal(answer(i % 2 ? 500 : 5000, i), 0);
		}
		for (unsigned i = 0; i < 1 + round % 5; i++) {
			size_t at;

			seed = seed * 6364136223846793005u + 1442695040888963407u;
			at = round % 2 ? (seed >> 33) % (64 * 30) : (seed >> 33) % size; /* the words are at the beginning */
			((volatile unsigned char *)l.w.lane)[at & ~(size_t)3] = (unsigned char)(seed >> 20);
		}
		while ((r = tz_lane_collect(&l.p, &mail)) != 0 && r != -EPROTO && collected <= 8) {
			assert_true(r == 1 || r == -EMFILE);
			for (size_t i = 0; r == 1 && i < mail.size; i += 64)
				(void)((volatile unsigned char *)mail.bytes)[i];
			tz_lane_collected(&l.p);
			collected++;
		}
		assert_true(collected <= 8);
		taken = tz_lane_retract(&l.p, 2);
		assert_true(taken <= 2);
		tz_lane_classify(&l.p, &end);
		assert_int_equal(collected + end.blamed + end.left + taken, 8);
		if (round < 599)
			close_lane(NULL);
	}
}

static void nonsense_on_the_socket(void **state)
{
	struct tz_lane_mail mail;

	(void)state;
	publish(8, 0);
	claim(0, 8, 0);
	assert_int_equal(send(l.w.out.socket, "nonsense", 8, 0), 8);
	assert_int_equal(answer(5000, 0), 0);
	assert_int_equal(tz_lane_collect(&l.p, &mail), -EPROTO);
	assert_int_equal(tz_lane_collect(&l.p, &mail), -EPROTO);
	classify(true, 1, 0, true);
}

/* --- waiting ----------------------------------------------------------------------------------------------------------------- */

enum { STREAM = BUILT_FOR_SANITIZER || EMULATED ? 20000 : 200000 };

static void *work(void *arg)
{
	struct tz_lane_mail mail;
	long n = 0;
	int r;

	(void)arg;
	while ((r = tz_lane_claim(&l.w, far_off(), &mail)) == 0) {
		struct tz_lane_what what = { .code = mail.what.code + 1 };
		struct tz_lane_load load = { .bytes = &mail.what.code, .size = sizeof mail.what.code };

		if (tz_lane_reply(&l.w, &what, &load) < 0)
			return NULL;
		n++;
	}
	return (void *)(intptr_t)(r == -EPIPE ? n : -1);
}

static void wait_for_result(bool spin)
{
	uint64_t until = far_off();

	while (!tz_lane_has_result(&l.p)) {
		assert_true(tz_clock_now() < until);
		if (spin)
			continue;
		tz_bell_lie_down(l.bell);
		if (!tz_lane_has_result(&l.p))
			tz_bell_sleep(l.bell, tz_clock_now() + TZ_BELL_LOOK_NS);
		tz_bell_get_up(l.bell);
	}
}

/* Every task is answered once, in order, however both ends wait; some are taken back and put again. */
static void stream(unsigned window, bool spin, bool worker_spins)
{
	struct tz_lane_mail mail;
	pthread_t thread;
	long put_so_far = 0, got = 0, n = window == 1 ? STREAM / 20 : STREAM;
	void *worked;

	tz_lane_allow_spinning(&l.p, worker_spins);
	assert_int_equal(pthread_create(&thread, NULL, work, NULL), 0);
	while (got < n) {
		while (put_so_far < n && put_so_far - got < window) {
			assert_int_equal(put(8, (unsigned)put_so_far), 0);
			put_so_far++;
		}
		tz_lane_publish(&l.p);
		if (window > 1 && got % 3 == 0)
			put_so_far -= tz_lane_retract(&l.p, 2);
		if (got < put_so_far)
			wait_for_result(spin);
		while (tz_lane_collect(&l.p, &mail) == 1) {
			uint32_t code;

			memcpy(&code, mail.bytes, sizeof code);
			assert_int_equal(code, got);
			assert_int_equal(mail.what.code, got + 1);
			got++;
			tz_lane_collected(&l.p);
		}
	}
	tz_lane_end(&l.p);
	assert_int_equal(pthread_join(thread, &worked), 0);
	assert_int_equal((intptr_t)worked, n);
}

static void stream_of_one(void **state)
{
	(void)state;
	stream(1, false, true);
}

static void stream_of_one_asleep(void **state)
{
	(void)state;
	stream(1, false, false);
}

static void stream_of_two(void **state)
{
	(void)state;
	stream(2, true, false);
}

static void stream_of_many(void **state)
{
	(void)state;
	stream(64, false, true);
}

static void stream_of_all(void **state)
{
	(void)state;
	stream(TZ_LANE_SLOTS, true, true);
}

/* The attendant hears of wishes, each time that there is a new one. */
static void *attend(void *arg)
{
	_Atomic uint64_t *heard = arg;
	uint64_t last = 0;

	for (unsigned i = 0; i < 2; i++) {
		last = tz_lane_attend(&l.w, last);
		heard[i] = last;
	}
	heard[2] = tz_lane_attend(&l.w, last); /* is called away */
	return NULL;
}

static void wishes(void **state)
{
	static _Atomic uint64_t heard[3];
	pthread_t thread;

	(void)state;
	publish(8, 0);
	publish(8, 1);
	assert_false(tz_lane_cancel(&l.p, l.first, 5)); /* it has not begun */
	claim(0, 8, 0);
	assert_int_equal(pthread_create(&thread, NULL, attend, heard), 0);
	assert_true(tz_lane_cancel(&l.p, l.first, 5));
	assert_false(tz_lane_cancel(&l.p, l.first + 1, 5));
	for (uint64_t until = far_off(); !heard[0];)
		assert_true(tz_clock_now() < until);
	assert_int_equal(answer(8, 0), 0);
	assert_false(tz_lane_cancel(&l.p, l.first, 6)); /* it is over */
	claim(1, 8, 1);
	assert_true(tz_lane_cancel(&l.p, l.first + 1, 7));
	for (uint64_t until = far_off(); !heard[1];)
		assert_true(tz_clock_now() < until);
	tz_lane_wake_attendant(&l.w);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(heard[0], (uint64_t)5 << 32 | l.first);
	assert_int_equal(heard[1], (uint64_t)7 << 32 | (l.first + 1));
	assert_int_equal(heard[2], heard[1]);
}

/* Who wakes the parent leaves when that was; who finds it awake does not. */
static void when_it_rang(void **state)
{
	(void)state;
	publish(8, 0);
	publish(8, 1);
	claim(0, 8, 0);
	uint64_t before = tz_clock_ticks();

	tz_bell_lie_down(l.bell);
	assert_int_equal(answer(8, 0), 0);
	struct tz_moment rung = tz_lane_rung(&l.p);

	assert_true((int64_t)(rung.ticks - before) >= 0);
	assert_true((int64_t)(tz_clock_ticks() - rung.ticks) >= 0);
	assert_true(rung.cpu >= 0);
	claim(1, 8, 1);
	assert_int_equal(answer(8, 1), 0);
	assert_int_equal(tz_lane_rung(&l.p).ticks, rung.ticks);
	collect(0, 8, 0);
	collect(1, 8, 1);
}

int main(void)
{
#define lane_test(f) cmocka_unit_test_setup_teardown(f, open_lane, close_lane)
	const struct CMUnitTest tests[] = {
		lane_test(sizes),
		lane_test(alignment),
		lane_test(full),
		lane_test(taking_back),
		lane_test(the_end),
		lane_test(whole),
		lane_test(references),
		lane_test(too_many_segments),
		lane_test(without_refs_too_many),
		lane_test(who_is_blamed),
		lane_test(a_mad_worker),
		lane_test(nonsense_on_the_socket),
		lane_test(stream_of_one),
		lane_test(stream_of_one_asleep),
		lane_test(stream_of_two),
		lane_test(stream_of_many),
		lane_test(stream_of_all),
		lane_test(wishes),
		lane_test(when_it_rang),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
