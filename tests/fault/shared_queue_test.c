/* Queues between processes, when a process is killed after any instruction of anything that one can do with them.
 *
 * For each operation, a process that does it is run step by step, and killed. Then the queue must hold what it held before or what it holds after, nothing else, whole,
 * in order; what is left of the work must agree; and all of the queue must be usable: each slot, each entry for leases, all of the heap. Each state that
 * there is must have been seen.
 *
 * FAULT_ALL in the environment: after each instruction; else after each seventh, and the last ones. */
#define _GNU_SOURCE

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>

#include "../abilities.h"
#include "check.h"
#include "shared/call.h"
#include "shared/queue.h"
#include "steps.h"

enum { CAPACITY = 4, LEASES = 3, SMALL = 16, LARGE = 300, HEAP = 16384, IDS = 8 };

static tz_shared_queue *q;
static volatile struct notes {
	int over; /* the operation has returned, with `answer` */
	ptrdiff_t answer;
} *notes;

static tz_deadline soon(void)
{
	return tz_after(30);
}

/* --- messages: each begins with its number, and the rest follows from that -------------------------------------------------- */

static size_t size_of_message = SMALL;

static void write_message(unsigned char *bytes, int id)
{
	for (size_t i = 0; i < size_of_message; i++)
		bytes[i] = (unsigned char)(id * 31 + (int)i);
}

static int id_of(const unsigned char *bytes, size_t size)
{
	unsigned char whole[LARGE];

	assert_int_equal(size, size_of_message);
	for (int id = 0; id < IDS; id++) {
		write_message(whole, id);
		if (memcmp(bytes, whole, size) == 0)
			return id;
	}
	return -1;
}

static unsigned char made[IDS][LARGE]; /* beforehand: it is the queue that is run step by step */
static unsigned char in_a_row[IDS * SMALL], got[IDS * LARGE];
static tz_shared_lease lease;

/* --- the operations ------------------------------------------------------------------------------------------------------- */

static void note(ptrdiff_t answer)
{
	notes->answer = answer;
	notes->over = 1;
}

static void put_one(void)
{
	note(tz_shared_queue_put_bytes(q, made[2], size_of_message));
}

static void put_two(void)
{
	note(tz_shared_queue_put_n(q, in_a_row + 2 * SMALL, SMALL, 2));
}

static void get_one(void)
{
	note(tz_shared_queue_get_bytes(q, got, sizeof got));
}

static void get_two(void)
{
	note(tz_shared_queue_get_n(q, got, SMALL, 2));
}

static void take_lease(void)
{
	note(tz_shared_queue_lease(q, &lease));
}

/* What a process does once in its life is not what is to be looked at. */
static void warm_up(void)
{
	ptrdiff_t size = tz_shared_queue_next_size(q);

	if (size < 0 && size != -EAGAIN)
		_exit(1);
}

static void have_lease(void)
{
	warm_up();
	if (tz_shared_queue_lease(q, &lease) != 0)
		_exit(1);
}

static void end_lease(void)
{
	note(tz_shared_lease_done(q, &lease));
}

static void return_lease(void)
{
	note(tz_shared_lease_return(q, &lease));
}

static void task_done(void)
{
	note(tz_shared_queue_task_done(q));
}

static void drain(void)
{
	note(tz_shared_queue_shutdown(q, TZ_QUEUE_DRAIN));
}

static void drop(void)
{
	note(tz_shared_queue_shutdown(q, TZ_QUEUE_DROP));
}

static void reclaim(void)
{
	tz_shared_leases_reclaim(q);
	note(0);
}

/* What the operation is done to: messages 0 and 1 are in the queue; */
enum {
	LISTENED = 1, /* somebody waits for all there is to wait for */
	COME_BACK = 2, /* message 0 is on a lease that was given back */
	DEAD = 4, /* message 0 is on a lease of a process that has died */
	ON_LEASE = 8, /* message 0 is on a lease of the process that is run */
	TAKEN = 16, /* message 0 was taken out for good */
	EMPTY = 32 /* there is no message, and the heap was never used */
};

struct operation {
	const char *name;
	void (*run)(void);
	void (*prepare)(void);
	int how;
	/* Which messages are there before it, and after it, by a bit for each; */
	unsigned before, after;
	int done; /* how many count as done after it */
	ptrdiff_t answer;
	bool shut; /* after it */
};

static const struct operation operations[] = {
	{ "put", put_one, warm_up, 0, 3, 7, 0, 0, false },
	{ "put, and wake", put_one, warm_up, LISTENED, 3, 7, 0, 0, false },
	{ "put the first", put_one, warm_up, EMPTY, 0, 4, 0, 0, false },
	{ "put two", put_two, warm_up, 0, 3, 15, 0, 2, false },
	{ "get", get_one, warm_up, 0, 3, 2, 0, SMALL, false },
	{ "get, and wake", get_one, warm_up, LISTENED, 3, 2, 0, SMALL, false },
	{ "get two", get_two, warm_up, 0, 3, 0, 0, 2, false },
	{ "get what has come back", get_one, warm_up, COME_BACK, 3, 2, 0, SMALL, false },
	{ "take a lease", take_lease, warm_up, 0, 3, 3, 0, 0, false },
	{ "take a lease that has come back", take_lease, warm_up, COME_BACK, 3, 3, 0, 0, false },
	{ "take back a lease", reclaim, warm_up, DEAD, 3, 3, 0, 0, false },
	{ "end a lease", end_lease, have_lease, ON_LEASE | LISTENED, 3, 2, 1, 0, false },
	{ "return a lease", return_lease, have_lease, ON_LEASE | LISTENED, 3, 3, 0, 0, false },
	{ "task done", task_done, warm_up, LISTENED | TAKEN, 2, 2, 1, 0, false },
	{ "shut down", drain, warm_up, LISTENED, 3, 3, 0, 0, true },
};

/* A drop leaves nothing to look at: it is judged by itself. */
static const struct operation dropping = { "drop", drop, warm_up, LISTENED | COME_BACK, 3, 0, 0, 0, true };

static const struct operation *op;

/* --- before and after -------------------------------------------------------------------------------------------------------- */

static void listen(void)
{
	uint32_t *const words[] = { &q->arrived, &q->room, &q->memory, &q->vacant, &q->finished };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		(void)tz_call_listen(words[i]);
}

static void die_with_lease(void)
{
	int status;
	pid_t child, r;

	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		have_lease();
		_exit(0);
	}
	do
		r = waitpid(child, &status, 0);
	while (r < 0 && errno == EINTR); /* steps.c has a clock that ticks */
	assert_int_equal(r, child);
	assert_int_equal(status, 0);
}

static int messages_before(void)
{
	return op->how & EMPTY ? 0 : 2;
}

static void open_here(void)
{
	assert_int_equal(tz_shared_queue_open(&q, TZ_OPTIONS(tz_shared_queue_options, .capacity = CAPACITY, .message = SMALL,
							     
							     .large = HEAP, .leases = LEASES)),
			 0);
	memset((void *)(uintptr_t)notes, 0, sizeof *notes);
	for (int i = 0; i < messages_before(); i++)
		assert_int_equal(tz_shared_queue_put_bytes(q, made[i], size_of_message), 0);
	if (op->how & DEAD)
		die_with_lease();
	if (op->how & COME_BACK) {
		tz_shared_lease l;

		assert_int_equal(tz_shared_queue_lease(q, &l), 0);
		assert_int_equal(tz_shared_lease_return(q, &l), 0);
	}
	if (op->how & TAKEN)
		assert_int_equal(tz_shared_queue_get_bytes(q, got, sizeof got), size_of_message);
	if (op->how & LISTENED)
		listen();
}

/* Everything that is there, on lease or not; each lease is ended as done. */
static unsigned take_all(int *ret_count)
{
	unsigned seen = 0;
	tz_shared_lease l;
	int last = -1, r;

	*ret_count = 0;
	tz_shared_leases_reclaim(q);
	while ((r = tz_shared_queue_try_lease(q, &l)) == 0) {
		int id = id_of(l.data, l.size);

		assert_true(id > last); /* in order, none twice; what comes back comes first */
		last = id;
		seen |= 1u << id;
		(*ret_count)++;
		assert_int_equal(tz_shared_lease_done(q, &l), 0);
	}
	assert_int_equal(r, tz_shared_queue_is_shutdown(q) ? -ESHUTDOWN : -EAGAIN);
	return seen;
}

/* All slots, all entries, all of the heap. */
static void use_all(void)
{
	tz_shared_lease l[LEASES], more;
	uint64_t chunk;

	for (int i = 0; i < CAPACITY; i++)
		assert_int_equal(tz_shared_queue_try_put_bytes(q, made[i], SMALL), 0);
	assert_int_equal(tz_shared_queue_try_put_bytes(q, made[0], SMALL), -EAGAIN);
	for (int i = 0; i < LEASES; i++)
		assert_int_equal(tz_shared_queue_try_lease(q, &l[i]), 0);
	assert_int_equal(tz_shared_queue_try_lease(q, &more), -EAGAIN);
	for (int i = 0; i < LEASES; i++)
		assert_int_equal(tz_shared_lease_done(q, &l[i]), 0);
	assert_int_equal(tz_shared_queue_try_get_bytes(q, got, sizeof got), SMALL);
	assert_int_equal(tz_shared_queue_task_done(q), 0);
	assert_int_equal(tz_shared_chunk_alloc(q, q->heap_most - TZ_SHARED_CHUNK_UNIT, true, soon(), &chunk), 0);
	tz_shared_chunk_free(q, chunk);
}

/* Whether the operation was done. */
static bool judge(void)
{
	size_t size = tz_shared_queue_size(q), unfinished = tz_shared_queue_unfinished(q);
	bool was_shut = tz_shared_queue_is_shutdown(q);
	int count, left;
	bool after;
	unsigned seen;

	seen = take_all(&count);
	after = op->before != op->after ? seen == op->after : op->done ? (int)unfinished == 1 : op->shut ? was_shut : notes->over;
	assert_true(after || !notes->over);
	assert_int_equal(seen, after ? op->after : op->before);
	assert_true(!notes->over || notes->answer == op->answer);
	assert_int_equal(was_shut, op->shut && after);
	/* What was taken out and not on lease is not finished. */
	left = messages_before() + (after ? __builtin_popcount(op->after & ~3u) : 0) - count - (after ? op->done : 0);
	assert_int_equal(tz_shared_queue_unfinished(q), left);
	assert_true(size <= (size_t)count);
	while (left-- > 0)
		assert_int_equal(tz_shared_queue_task_done(q), 0);
	assert_int_equal(tz_shared_queue_join_until(q, soon()), 0);
	if (!was_shut)
		use_all();
	return after;
}

static bool judge_drop(void)
{
	bool after = tz_shared_queue_is_shutdown(q);
	int count;

	assert_true(after || !notes->over);
	assert_int_equal(take_all(&count), after ? 0 : 3);
	assert_int_equal(tz_shared_queue_size(q), 0);
	assert_int_equal(tz_shared_queue_join_until(q, soon()), 0);
	if (!after)
		use_all();
	return after;
}

/* --- each step ------------------------------------------------------------------------------------------------------------ */

static void begin(struct steps *s)
{
	open_here();
	steps_begin(s);
}

static void kill_at_each_step(const struct operation *which, bool (*is_done)(void))
{
	struct steps s = { .prepare = which->prepare, .run = which->run };
	bool done = false;
	int seen = 0, step = getenv("FAULT_ALL") ? 1 : 7;

	op = which;
	printf("# %s\n", op->name);
	begin(&s);
	steps_record(&s);
	assert_false(s.sleeps);
	assert_true(is_done());
	tz_shared_queue_close(q);
	for (int k = 0; k <= s.n; k += k < s.n - 10 ? step : 1) {
		begin(&s);
		if (steps_go(&s, k)) {
			bool next;

			steps_kill(&s);
			next = is_done();
			assert_true(next || !done);
			seen |= next ? 2 : 1;
			done = next;
		}
		tz_shared_queue_close(q);
	}
	assert_int_equal(seen, 3);
	steps_forget(&s);
}

static void killed(void **state)
{
	size_of_message = SMALL;
	for (int i = 0; i < IDS; i++) {
		write_message(made[i], i);
		write_message(in_a_row + i * SMALL, i);
	}
	kill_at_each_step(*state, *state == &dropping ? judge_drop : judge);
}

static struct operation large;

static void killed_with_large_messages(void **state)
{
	large = *(const struct operation *)*state;
	if (large.answer == SMALL)
		large.answer = LARGE;
	size_of_message = LARGE;
	for (int i = 0; i < IDS; i++)
		write_message(made[i], i);
	kill_at_each_step(&large, *state == &dropping ? judge_drop : judge);
}

int main(void)
{
	static struct CMUnitTest tests[2 * (sizeof operations / sizeof *operations + 1)];
	static char names[sizeof tests / sizeof *tests][100];
	size_t n = 0;

	notes = mmap(NULL, sizeof *notes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (notes == MAP_FAILED || !steps_are_possible()) {
		puts("1..0 # SKIP processes cannot be run step by step here");
		return 0;
	}
	for (size_t i = 0; i <= sizeof operations / sizeof *operations; i++) {
		const struct operation *o = i < sizeof operations / sizeof *operations ? &operations[i] : &dropping;

		for (int big = 0; big < 2; big++) {
			if (big && (o->run == put_two || o->run == get_two || o->run == task_done || o->run == drain))
				continue;
			(void)snprintf(names[n], sizeof names[n], "killed: %s%s", o->name, big ? ", of a large message" : "");
			tests[n] = (struct CMUnitTest){ names[n], big ? killed_with_large_messages : killed, NULL, NULL,
							(void *)(uintptr_t)o };
			n++;
		}
	}
	return _cmocka_run_group_tests("tests", tests, n, NULL, NULL);
}
