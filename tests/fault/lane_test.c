/* Lanes, when one end is killed after any instruction, or is held up there while the other end goes on.
 *
 * The end that is run step by step is a process of its own; the test is the other end. Before each thing that it does, and after it, the process leaves a note
 * in memory that both see; what the lane says of it must agree. Every state that there is must have been seen.
 *
 * FAULT_ALL in the environment: every instruction of the long ways too, where memory is allocated and sent; else these are sampled, without chance. */
#define _GNU_SOURCE

#include "arena/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../abilities.h"
#include "check.h"
#include "core/spin.h"
#include "os/clock.h"
#include "os/fds.h"
#include "steps.h"

enum { MOST = 8 };

/* A way up to so many steps is tried at each of them; of a longer one about so many are sampled, unless all are wanted. */
enum { SHORT = 1000, SAMPLES = 200 };

/* What the stepped process notes. */
static volatile struct notes {
	int begun, over; /* things that it has begun and ended to do */
	int taken_back;
} *notes;

static void fill(unsigned char *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(seed + i);
}

/* Payloads are made beforehand: it is the lane that is run step by step. */
static unsigned char payload[2 * MOST][8192];

static void expect_or_die(bool condition)
{
	if (!condition)
		_exit(1);
}

/* --- both ends ------------------------------------------------------------------------------------------------------------ */

static struct tz_lane_parent parent;
static struct tz_lane_worker worker;
static struct tz_bell *bell;
static int bell_fd, lane_fds[2];

/* What goes through the lane in this case. */
static const size_t *sizes;
static int tasks;

static int put(int i)
{
	struct tz_lane_what what = { .code = (uint32_t)i };
	struct tz_lane_load load = { .bytes = payload[i], .size = sizes[i] };

	return tz_lane_put(&parent, &what, &load);
}

static bool is_task(const struct tz_lane_mail *mail, int i)
{
	return mail->what.code == (uint32_t)i && mail->size == sizes[i] && memcmp(mail->bytes, payload[i], mail->size) == 0;
}

/* As far as a process looks that is run step by step. */
static bool looks_like(const struct tz_lane_mail *mail, int i)
{
	const unsigned char *bytes = mail->bytes;

	return mail->what.code == (uint32_t)i && mail->size == sizes[i] && bytes[0] == payload[i][0] &&
	       bytes[mail->size - 1] == payload[i][mail->size - 1];
}

static int answer(int i)
{
	struct tz_lane_what what = { .code = (uint32_t)i + MOST };
	struct tz_lane_load load = { .bytes = payload[MOST + i], .size = sizes[i] };

	return tz_lane_reply(&worker, &what, &load);
}

static bool is_answer(const struct tz_lane_mail *mail, int i)
{
	return mail->what.code == (uint32_t)i + MOST && mail->size == sizes[i] &&
	       memcmp(mail->bytes, payload[MOST + i], mail->size) == 0;
}

static int collect(int i)
{
	struct tz_lane_mail mail;
	int r = tz_lane_collect(&parent, &mail);

	if (r != 1)
		return r;
	if (!is_answer(&mail, i))
		return -EBADMSG;
	tz_lane_collected(&parent);
	return 1;
}

static void open_here(void)
{
	memset((void *)(uintptr_t)notes, 0, sizeof *notes);
	assert_int_equal(tz_bell_open(&bell, &bell_fd), 0);
	assert_int_equal(tz_lane_open(&parent), 0);
	tz_lane_allow_spinning(&parent, false);
	tz_lane_fds(&parent, lane_fds);
}

static void close_here(void)
{
	tz_lane_close(&parent);
	tz_bell_close(bell);
	(void)close(bell_fd);
}

/* How far from one process to the next, when a case has so many instructions. */
static int stride(const struct steps *s)
{
	int step = getenv("FAULT_ALL") || s->n <= SHORT ? 1 : s->n / SAMPLES;

	if (step > 1)
		printf("# each %dth\n", step);
	return step;
}

/* --- a worker that is killed ------------------------------------------------------------------------------------------------ */

static void join_as_worker(void)
{
	expect_or_die(tz_lane_join(&worker, lane_fds, bell) == 0);
}

/* Answers all tasks. */
static void work(void)
{
	for (int i = 0; i < tasks; i++) {
		struct tz_lane_mail mail;

		notes->begun = 2 * i + 1;
		expect_or_die(tz_lane_claim(&worker, 0, &mail) == 0);
		notes->over = 2 * i + 1;
		expect_or_die(looks_like(&mail, i));
		notes->begun = 2 * i + 2;
		expect_or_die(answer(i) == 0);
		notes->over = 2 * i + 2;
	}
}

/* The worker is dead: how many things it had done, by what the lane says. Each task is one of: answered, blamed, left. */
static int judge_worker(void)
{
	struct tz_lane_end end;
	int answered = 0, r;

	while ((r = collect(answered)) == 1)
		answered++;
	assert_int_equal(r, 0);
	tz_lane_classify(&parent, &end);
	assert_false(end.broken);
	assert_int_equal(answered + end.blamed + end.left, tasks);
	assert_in_range(2 * answered + end.blamed, notes->over, notes->begun);
	return 2 * answered + end.blamed;
}

static void begin_worker(struct steps *s, bool parent_sleeps)
{
	open_here();
	for (int i = 0; i < tasks; i++)
		assert_int_equal(put(i), 0);
	tz_lane_publish(&parent);
	if (parent_sleeps)
		tz_bell_lie_down(bell);
	steps_begin(s);
	tz_lane_close_fds(&parent);
}

static void kill_workers(size_t size, int n, bool parent_sleeps)
{
	struct steps s = { .prepare = join_as_worker, .run = work };
	size_t same[MOST];
	int state = 0, seen = 0, step;

	for (int i = 0; i < MOST; i++)
		same[i] = size;
	sizes = same;
	tasks = n;
	begin_worker(&s, parent_sleeps);
	steps_record(&s);
	assert_int_equal(judge_worker(), 2 * tasks);
	close_here();
	step = stride(&s);
	for (int k = 0; k <= s.n; k += step) {
		begin_worker(&s, parent_sleeps);
		if (steps_go(&s, k)) {
			int next;

			steps_kill(&s);
			next = judge_worker();
			assert_true(next >= state);
			seen += next != state;
			state = next;
		}
		close_here();
	}
	assert_true(seen == 2 * tasks || step > 1); /* each of the states */
	steps_forget(&s);
}

static void killed_with_small_tasks(void **state)
{
	(void)state;
	kill_workers(8, 2, false);
	kill_workers(8, 1, true);
}

static void killed_with_tasks_beside(void **state)
{
	(void)state;
	kill_workers(700, 2, false);
}

static void killed_with_large_tasks(void **state)
{
	(void)state;
	kill_workers(1100, 2, true);
}

/* --- a worker that is held up ----------------------------------------------------------------------------------------------- */

/* Answers what comes, until the end. */
static void work_to_the_end(void)
{
	struct tz_lane_mail mail;
	int r;

	while ((r = tz_lane_claim(&worker, 0, &mail)) == 0) {
		int i = (int)mail.what.code;

		expect_or_die(i < MOST && looks_like(&mail, i) && answer(i) == 0);
	}
	expect_or_die(r == -EPIPE);
}

static int collected;

/* Records the way of a process that begins with `begin`, which does `meanwhile` if it falls asleep. */
static void record(struct steps *s, void (*begin)(struct steps *s), void (*meanwhile)(void))
{
	begin(s);
	steps_record(s);
	if (s->sleeps) {
		meanwhile();
		steps_finish(s);
	}
}

static void begin_held_worker(struct steps *s)
{
	open_here();
	for (int i = 0; i < tasks; i++)
		assert_int_equal(put(i), 0);
	tz_lane_publish(&parent);
	collected = 0;
	steps_begin(s);
	tz_lane_close_fds(&parent);
}

/* Holds the worker after each step that it does until it falls asleep, does `meanwhile`, lets it go on, and calls `judge`. */
static void hold_workers(void (*run)(void), void (*meanwhile)(void), void (*judge)(void))
{
	struct steps s = { .prepare = join_as_worker, .run = run };
	int step;

	record(&s, begin_held_worker, meanwhile);
	judge();
	close_here();
	assert_true(s.sleeps);
	step = stride(&s);
	for (int k = 0; k <= s.n; k += step) {
		begin_held_worker(&s);
		if (steps_go(&s, k)) {
			meanwhile();
			steps_finish(&s);
			judge();
		}
		close_here();
	}
	steps_forget(&s);
}

static void take_one_back(void)
{
	int r;

	while ((r = collect(collected)) == 1)
		collected++;
	assert_int_equal(r, 0);
	notes->taken_back = (int)tz_lane_retract(&parent, 1);
	assert_int_equal(put(2), 0);
	tz_lane_publish(&parent);
	tz_lane_end(&parent);
}

static bool was_taken_back[2];

static void judge_taken_back(void)
{
	was_taken_back[notes->taken_back] = true;
	while (collected < 2 - notes->taken_back)
		assert_int_equal(collect(collected++), 1);
	assert_int_equal(collect(2), 1);
	assert_int_equal(collect(3), 0);
}

/* Two tasks are published; at any point one is taken back, if it can be, and a third one published. */
static void taken_back_at_any_time(void **state)
{
	static const size_t each[] = { 8, 1100, 300 };

	(void)state;
	sizes = each;
	tasks = 2;
	memset(was_taken_back, 0, sizeof was_taken_back);
	hold_workers(work_to_the_end, take_one_back, judge_taken_back);
	assert_true(was_taken_back[0] && was_taken_back[1]);
}

static void work_once(void)
{
	struct tz_lane_mail mail;

	expect_or_die(tz_lane_claim(&worker, 0, &mail) == 0 && looks_like(&mail, 0) && answer(0) == 0);
}

static void only_publish(void)
{
	assert_int_equal(put(0), 0);
	tz_lane_publish(&parent);
}

static void only_end(void)
{
	tz_lane_end(&parent);
}

static void one_was_done(void)
{
	assert_int_equal(collect(0), 1);
}

static void none_was_done(void)
{
	assert_int_equal(collect(0), 0);
}

/* There is nothing to do at first; the task, or the end, comes at any point of the worker's way to sleep. */
static void woken_at_any_time(void **state)
{
	static const size_t each[] = { 8 };

	(void)state;
	sizes = each;
	tasks = 0;
	hold_workers(work_once, only_publish, one_was_done);
	hold_workers(work_to_the_end, only_end, none_was_done);
}

/* --- a parent that is killed, or held up -------------------------------------------------------------------------------------- */

static int handover[2]; /* the parent that is stepped sends its descriptors here */

static void open_there(void)
{
	int fds[3];

	expect_or_die(tz_bell_open(&bell, &bell_fd) == 0 && tz_lane_open(&parent) == 0);
	tz_lane_fds(&parent, fds);
	fds[2] = bell_fd;
	expect_or_die(tz_fds_send(handover[1], "x", 1, fds, 3, 0) == 1);
}

static void receive_lane(void)
{
	char byte;
	int fds[3], n = 3;

	assert_int_equal(tz_fds_receive(handover[0], &byte, 1, fds, &n, 0), 1);
	assert_int_equal(n, 3);
	assert_int_equal(tz_bell_join(fds[2], &bell), 0);
	(void)close(fds[2]);
	assert_int_equal(tz_lane_join(&worker, fds, bell), 0);
}

static void begin_parent(struct steps *s)
{
	memset((void *)(uintptr_t)notes, 0, sizeof *notes);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, handover), 0);
	steps_begin(s);
	receive_lane();
}

static void end_parent(void)
{
	tz_lane_leave(&worker);
	tz_bell_close(bell);
	(void)close(handover[0]);
	(void)close(handover[1]);
}

/* Publishes tasks 0 and 1, then 2, takes one back, and publishes 3. */
static void publish_and_retract(void)
{
	notes->begun = 1;
	expect_or_die(put(0) == 0 && put(1) == 0);
	tz_lane_publish(&parent);
	notes->over = 1;
	expect_or_die(put(2) == 0);
	notes->begun = 2;
	tz_lane_publish(&parent);
	notes->over = 2;
	notes->begun = 3;
	notes->taken_back = (int)tz_lane_retract(&parent, 1);
	notes->over = 3;
	expect_or_die(put(3) == 0);
	notes->begun = 4;
	tz_lane_publish(&parent);
	notes->over = 4;
}

/* Where the parent is dead, nothing large can be sent. */
static void answer_somehow(int i)
{
	struct tz_lane_what what = { 0 };
	struct tz_lane_load load = { .size = 0 };
	int r = answer(i);

	assert_true(r == 0 || r == -EPIPE);
	if (r < 0)
		assert_int_equal(tz_lane_reply(&worker, &what, &load), 0);
}

/* Claims and answers everything; appends the tasks to `got`. */
static void work_here(int *got, int *n)
{
	struct tz_lane_mail mail;
	int r;

	while ((r = tz_lane_claim(&worker, tz_clock_now(), &mail)) == 0) {
		int i = (int)mail.what.code;

		assert_in_range(i, 0, MOST - 1);
		assert_true(is_task(&mail, i));
		answer_somehow(i);
		assert_true(*n < MOST);
		got[(*n)++] = i;
	}
	assert_int_equal(r, -ETIMEDOUT);
}

static const size_t mixed[] = { 8, 1100, 500, 1200 };

/* What there is to claim after each of the things that publish_and_retract does. */
static const struct {
	int n, task[3];
} after[] = { { 0, { 0 } }, { 2, { 0, 1 } }, { 3, { 0, 1, 2 } }, { 2, { 0, 1 } }, { 3, { 0, 1, 3 } } };

static bool is_after(int thing, const int *got, int n)
{
	return n == after[thing].n && memcmp(got, after[thing].task, (size_t)n * sizeof *got) == 0;
}

/* What a parent that was killed had published is whole, and is what it had published. */
static void killed_parent(void **state)
{
	struct steps s = { .prepare = open_there, .run = publish_and_retract };
	bool seen[5] = { false };
	int step;

	(void)state;
	sizes = mixed;
	begin_parent(&s);
	steps_record(&s);
	end_parent();
	step = stride(&s);
	for (int k = 0; k <= s.n; k += step) {
		int got[MOST], n = 0, thing;

		begin_parent(&s);
		if (steps_go(&s, k)) {
			steps_kill(&s);
			work_here(got, &n);
			for (thing = notes->over; thing < notes->begun && !is_after(thing, got, n); thing++)
				;
			assert_true(is_after(thing, got, n));
			seen[thing] = true;
		}
		end_parent();
	}
	for (int i = 0; i < 5; i++)
		assert_true(seen[i] || step > 1);
	steps_forget(&s);
}

/* The worker takes all there is at any point of the parent's way, and the rest at the end. */
static void held_parent(void **state)
{
	struct steps s = { .prepare = open_there, .run = publish_and_retract };
	bool was[2] = { false, false };
	int step;

	(void)state;
	sizes = mixed;
	begin_parent(&s);
	steps_record(&s);
	end_parent();
	step = stride(&s);
	for (int k = 0; k <= s.n; k += step) {
		int got[MOST], n = 0, expected = 0;

		begin_parent(&s);
		if (steps_go(&s, k)) {
			work_here(got, &n);
			steps_finish(&s);
			work_here(got, &n);
			for (int i = 0; i < 4; i++)
				if (i != 2 || !notes->taken_back)
					assert_int_equal(got[expected++], i);
			assert_int_equal(n, expected);
			was[notes->taken_back] = true;
		}
		end_parent();
	}
	assert_true((was[0] && was[1]) || step > 1);
	steps_forget(&s);
}

/* Publishes three tasks, and collects their results asleep. */
static void publish_and_wait(void)
{
	for (int i = 0; i < 3; i++)
		expect_or_die(put(i) == 0);
	tz_lane_publish(&parent);
	for (int i = 0; i < 3;) {
		int r;

		tz_bell_lie_down(bell);
		if (!tz_lane_has_result(&parent))
			tz_bell_sleep(bell, 0);
		tz_bell_get_up(bell);
		while ((r = collect(i)) == 1)
			i++;
		expect_or_die(r == 0);
	}
}

/* Answers `n` of the tasks that there are, at most: how many. */
static int answer_some(int n)
{
	struct tz_lane_mail mail;
	int i = 0;

	while (i < n && tz_lane_claim(&worker, tz_clock_now(), &mail) == 0) {
		assert_int_equal(answer((int)mail.what.code), 0);
		i++;
	}
	return i;
}

/* The worker answers `first` tasks at any point of the parent's way to sleep, and the rest when it sleeps again. */
static void wake_parents(int first)
{
	struct steps s = { .prepare = open_there, .run = publish_and_wait };
	int step;

	begin_parent(&s);
	steps_record(&s);
	assert_true(s.sleeps);
	assert_int_equal(answer_some(3), 3);
	steps_finish(&s);
	end_parent();
	step = stride(&s) * (first < 3 ? 5 : 1); /* it takes long until one is seen asleep */
	for (int k = 0; k <= s.n; k += step) {
		begin_parent(&s);
		if (steps_go(&s, k)) {
			enum step last = STEP_DONE;
			int answered = answer_some(first);

			while (answered < 3 && last == STEP_DONE)
				last = steps_next(&s);
			assert_int_equal(last, answered < 3 ? STEP_ASLEEP : STEP_DONE);
			assert_int_equal(answered + answer_some(3), 3);
			steps_finish(&s);
		}
		end_parent();
	}
	steps_forget(&s);
}

static void parent_woken_at_any_time(void **state)
{
	static const size_t small[] = { 8, 8, 8 };

	(void)state;
	sizes = small;
	wake_parents(1);
	wake_parents(3);
}

/* --------------------------------------------------------------------------------------------------------------------------- */

static int prepare(void **state)
{
	(void)state;
	notes = mmap(NULL, sizeof *notes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(notes != MAP_FAILED);
	for (unsigned i = 0; i < 2 * MOST; i++)
		fill(payload[i], sizeof payload[i], i);
	/* What is measured once would be measured step by step. */
	(void)tz_clock_ticks_per_us();
	(void)tz_spin_allowed();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_with_small_tasks),  cmocka_unit_test(killed_with_tasks_beside),
		cmocka_unit_test(killed_with_large_tasks),  cmocka_unit_test(taken_back_at_any_time),
		cmocka_unit_test(woken_at_any_time),	    cmocka_unit_test(killed_parent),
		cmocka_unit_test(held_parent),		    cmocka_unit_test(parent_woken_at_any_time),
	};

	if (!steps_are_possible()) {
		puts("1..0 # SKIP processes cannot be traced here");
		return 0;
	}
	return cmocka_run_group_tests(tests, prepare, NULL);
}
