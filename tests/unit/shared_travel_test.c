/* Pointers into shared memory travel: to workers, to processes by every start method, and back. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <trenza.h>

#include "../abilities.h"
#include "../descriptors.h"
#include "travel.h"

struct account {
	_Atomic long balance;
	long note;
};

/* --- arguments ------------------------------------------------------------------------------------------------------------ */

static int deposit(struct account *a, long amount)
{
	a->balance += amount;
	return (int)getpid();
}
TZ_TASK(int, deposit, struct account *, long);

static void a_task_changes_it(void **state)
{
	struct account *a = TZ_SHARED_NEW(struct account);
	deposit_future f[200];
	int pid;

	(void)state;
	assert_non_null(a);
	for (int i = 0; i < 200; i++)
		f[i] = tz_submit(ex, deposit, a, i);
	for (int i = 0; i < 200; i++) {
		check_done(tz_result(f[i], &pid), "deposit");
		assert_int_not_equal(pid, (int)getpid());
	}
	assert_int_equal(a->balance, 199 * 200 / 2);
	tz_shared_free(a);
	assert_false(is_mapped(a));
}

static uintptr_t peek(const int *p, int *ret)
{
	if (p && ret)
		*ret = *p;
	return (uintptr_t)p;
}
TZ_TASK(uintptr_t, peek, const int *, int *);

static void into_the_middle(void **state)
{
	enum { N = 10000 };
	int *array = TZ_SHARED_ARRAY(int, N), *seen = TZ_SHARED_NEW(int);
	uintptr_t first = 0, at = 0;

	(void)state;
	assert_true(array && seen);
	for (int i = 0; i < N; i++)
		array[i] = i;
	check_done(tz_result(tz_submit(ex, peek, array + N - 1, seen), &at), "peek");
	assert_int_equal(*seen, N - 1);
	check_done(tz_result(tz_submit(ex, peek, &array[5], &array[6]), &at), "peek");
	assert_int_equal(array[6], 5);
	check_done(tz_result(tz_submit(ex, peek, NULL, seen), &at), "peek");
	assert_true(at == 0);
	/* A worker has it at one place. */
	tz_executor *alone = open_alone();

	check_done(tz_result(tz_submit(alone, peek, array, seen), &first), "peek");
	check_done(tz_result(tz_submit(alone, peek, array + 7, seen), &at), "peek");
	assert_true(at == first + 7 * sizeof *array);
	tz_executor_close(alone);
	tz_shared_free(array);
	tz_shared_free(seen);
}

static void it_may_go_when_it_was_submitted(void **state)
{
	struct account *a = TZ_SHARED_NEW(struct account), *b = TZ_SHARED_NEW(struct account);
	int pid;

	(void)state;
	assert_true(a && b);
	deposit_future f = tz_submit(ex, deposit, a, 1);

	tz_shared_free(a);
	check_done(tz_result(f, &pid), "deposit");
	f = tz_submit(ex, deposit, b, 1);
	assert_int_equal(tz_shared_ref(b), 0);
	tz_shared_free(b);
	check_done(tz_result(f, &pid), "deposit");
	assert_int_equal(b->balance, 1);
	tz_shared_free(b);
}

/* What is a pointer to memory of ours is refused, and so is what was shared memory once. */
static void any_other_is_refused(void **state)
{
	struct account here = { 0 }, *gone = TZ_SHARED_NEW(struct account);
	int pid = 0;

	(void)state;
	assert_int_equal(tz_result(tz_submit(ex, deposit, &here, 1), &pid), -EREMOTEIO);
	assert_int_equal(tz_last()->code, -ENOTSUP);
	assert_non_null(strstr(tz_last()->message, "argument 1 of deposit is a struct account * that is not to shared memory (tz_shared_alloc)"));
	assert_non_null(gone);
	tz_shared_free(gone);
	assert_int_equal(tz_result(tz_submit(ex, deposit, gone, 1), &pid), -EREMOTEIO);
	check_done(tz_result(tz_submit(ex, peek, NULL, NULL), &(uintptr_t){ 0 }), "peek");
	int *seen = TZ_SHARED_NEW(int), other = 0;

	assert_int_equal(tz_result(tz_submit(ex, peek, seen, &other), &(uintptr_t){ 0 }), -EREMOTEIO);
	assert_non_null(strstr(tz_last()->message, "argument 2 of peek"));
	tz_shared_free(seen);
}

static int count_mine(void)
{
	return open_descriptors();
}
TZ_TASK(int, count_mine, void);

/* However much is sent, a worker keeps a bounded part of it. */
static void workers_forget(void **state)
{
	int before = open_descriptors(), first = 0, last = 0, pid;
	tz_executor *alone = open_alone();

	(void)state;
	check_done(tz_result(tz_submit(alone, count_mine), &first), "count_mine");
	for (int i = 0; i < 300; i++) {
		struct account *a = TZ_SHARED_NEW(struct account);

		assert_non_null(a);
		check_done(tz_result(tz_submit(alone, deposit, a, i), &pid), "deposit");
		assert_int_equal(a->balance, i);
		tz_shared_free(a);
	}
	check_done(tz_result(tz_submit(alone, count_mine), &last), "count_mine");
	assert_in_range(last, first, first + 70);
	tz_executor_close(alone);
	check_descriptors(before);
}

static int die_with(struct account *a)
{
	a->balance = 5;
	(void)kill(getpid(), SIGKILL);
	return 0;
}
TZ_TASK(int, die_with, struct account *);

static void a_crash_leaves_it(void **state)
{
	struct account *a = TZ_SHARED_NEW(struct account);
	int r;

	(void)state;
	assert_non_null(a);
	assert_int_equal(tz_result(tz_submit(ex, die_with, a), &r), -EREMOTEIO);
	assert_int_equal(tz_last()->status, TZ_CRASHED);
	assert_int_equal(a->balance, 5);
	check_done(tz_result(tz_submit(ex, deposit, a, 2), &r), "deposit");
	assert_int_equal(a->balance, 7);
	tz_shared_free(a);
}

/* --- maps ------------------------------------------------------------------------------------------------------------------ */

static void maps_take_it(void **state)
{
	enum { N = 1000 };
	struct account *a = TZ_SHARED_NEW(struct account), *in[N];
	long amounts[N];
	int out[N];

	(void)state;
	assert_non_null(a);
	for (int i = 0; i < N; i++) {
		in[i] = a;
		amounts[i] = i;
	}
	check_done(tz_map(ex, deposit, N, out, in, amounts), "map");
	assert_int_equal(a->balance, N * (N - 1) / 2);
	tz_shared_free(a);
}

static void maps_over_many(void **state)
{
	enum { N = 100 };
	struct account *in[N];
	long amounts[N];
	int out[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		in[i] = i % 10 == 9 ? in[i - 1] : TZ_SHARED_NEW(struct account);
		assert_non_null(in[i]);
		amounts[i] = i;
	}
	check_done(tz_map(ex, deposit, N, out, in, amounts), "map");
	for (int i = 0; i < N; i++)
		assert_int_equal(in[i]->balance, i % 10 == 9 ? 2 * i - 1 : i % 10 == 8 ? 2 * i + 1 : i);
	long here = 0;
	struct account *wrong = (struct account *)&here;

	in[50] = wrong;
	assert_int_equal(tz_map(ex, deposit, N, out, in, amounts), -ENOTSUP);
	assert_non_null(strstr(tz_last()->message, "argument 1 of deposit is a struct account *"));
	assert_int_equal(here, 0);
	for (int i = 0; i < N; i++)
		if (i % 10 != 9 && i != 50)
			tz_shared_free(in[i]);
}

/* --- results ---------------------------------------------------------------------------------------------------------------- */

static int *squares(int n)
{
	int *a = TZ_SHARED_ARRAY(int, (size_t)n);

	for (int i = 0; a && i < n; i++)
		a[i] = i * i;
	return a;
}
TZ_TASK(int *, squares, int);

static void a_result_is_ours(void **state)
{
	tz_executor *alone = open_alone();
	int before = open_descriptors(), *a = NULL;

	(void)state;
	for (int round = 0; round < 200; round++) {
		check_done(tz_result(tz_submit(alone, squares, 1000), &a), "squares");
		assert_non_null(a);
		for (int i = 0; i < 1000; i++)
			assert_int_equal(a[i], i * i);
		tz_shared_free(a);
		assert_false(is_mapped(a));
	}
	check_descriptors(before);
	squares_future many[100];

	for (int i = 0; i < 100; i++)
		many[i] = tz_submit(alone, squares, 10);
	for (int i = 0; i < 100; i++) {
		check_done(tz_result(many[i], &a), "squares");
		assert_int_equal(a[9], 81);
		tz_shared_free(a);
	}
	check_descriptors(before);
	tz_executor_close(alone);
}

static struct account *same(struct account *a)
{
	return tz_shared_ref(a) == 0 ? a : NULL;
}
TZ_TASK(struct account *, same, struct account *);

static struct account *stolen(struct account *a)
{
	static struct account *kept;
	struct account *before = kept;

	if (a)
		(void)tz_shared_ref(a);
	kept = a;
	return before;
}
TZ_TASK(struct account *, stolen, struct account *);

static void what_was_ours_comes_back_as_it_is(void **state)
{
	struct account *a = TZ_SHARED_NEW(struct account), *b = NULL;

	(void)state;
	assert_non_null(a);
	check_done(tz_result(tz_submit(ex, same, a), &b), "same");
	assert_ptr_equal(b, a);
	tz_shared_free(b);
	check_done(tz_result(tz_submit(ex, same, (struct account *)&a->note), &b), "same");
	assert_ptr_equal(b, &a->note);
	tz_shared_free(b);
	a->balance = 1;
	/* What the task keeps it has in the next one. */
	tz_executor *alone = open_alone();

	check_done(tz_result(tz_submit(alone, stolen, a), &b), "stolen");
	assert_null(b);
	tz_shared_free(a);
	assert_false(is_mapped(a));
	check_done(tz_result(tz_submit(alone, stolen, NULL), &b), "stolen");
	assert_non_null(b);
	assert_int_equal(b->balance, 1);
	tz_shared_free(b);
	tz_executor_close(alone);
}

static int *bad_result(void)
{
	static int here;

	return &here;
}
TZ_TASK(int *, bad_result, void);

static void results_that_do_not_travel(void **state)
{
	int *p;

	(void)state;
	assert_int_equal(tz_result(tz_submit(ex, bad_result), &p), -EREMOTEIO);
	assert_int_equal(tz_last()->code, -ENOTSUP);
	assert_non_null(strstr(tz_last()->message, "the result of bad_result is a int * that is not to shared memory"));
	check_done(tz_result(tz_submit(ex, squares, 2), &p), "squares");
	tz_shared_free(p);
}

static void maps_bring_it(void **state)
{
	enum { N = 40 };
	tz_executor *alone = open_alone();
	int n[N], *out[N], before = open_descriptors();

	(void)state;
	for (int i = 0; i < N; i++)
		n[i] = i + 1;
	check_done(tz_map(alone, squares, N, out, n), "map");
	for (int i = 0; i < N; i++) {
		assert_int_equal(out[i][i], i * i);
		tz_shared_free(out[i]);
	}
	check_descriptors(before);
	tz_executor_close(alone);
}

/* --- in structs ------------------------------------------------------------------------------------------------------------ */

struct order {
	struct account *from, *to[2];
	const char *why;
	long amount;
	struct order *next; /* does not travel */
};
TZ_STRUCT(struct order, from, to, why, amount);

static struct order transfer(struct order o)
{
	o.from->balance -= 2 * o.amount;
	for (int i = 0; i < 2; i++)
		o.to[i]->balance += o.amount;
	(void)tz_shared_ref(o.from);
	(void)tz_shared_ref(o.to[1]);
	return (struct order){ .from = o.from, .to = { NULL, o.to[1] }, .amount = (long)strlen(o.why), .next = o.next };
}
TZ_TASK(struct order, transfer, struct order);

static void fields_of_structs(void **state)
{
	struct account *a = TZ_SHARED_ARRAY(struct account, 3), here;
	struct order o = { .from = a, .to = { a + 1, a + 2 }, .why = "why", .amount = 4, .next = &o }, back;

	(void)state;
	assert_non_null(a);
	check_done(tz_result(tz_submit(ex, transfer, o), &back), "transfer");
	assert_int_equal(a[0].balance, -8);
	assert_int_equal(a[1].balance, 4);
	assert_int_equal(a[2].balance, 4);
	assert_ptr_equal(back.from, a);
	assert_null(back.to[0]);
	assert_ptr_equal(back.to[1], a + 2);
	assert_int_equal(back.amount, 3);
	assert_null(back.next);
	tz_shared_free(back.from);
	tz_shared_free(back.to[1]);
	o.to[1] = &here;
	assert_int_equal(tz_result(tz_submit(ex, transfer, o), &back), -EREMOTEIO);
	assert_non_null(strstr(tz_last()->message, "argument 1 of transfer holds a pointer that is not to shared memory"));
	tz_shared_free(a);
	assert_false(is_mapped(a));
}

/* --- descriptors ----------------------------------------------------------------------------------------------------------- */

static int greet(tz_fd to, const char *name)
{
	return dprintf(to.fd, "hello, %s\n", name) < 0 ? -errno : fcntl(to.fd, F_GETFD);
}
TZ_TASK(int, greet, tz_fd, const char *);

/* Reads until the end: there is one only when nobody has the other end any more. */
static void read_all(int fd, char *text, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;
	ssize_t r;

	do {
		assert_int_equal(poll(&p, 1, 20000), 1);
		r = read(fd, text + n, size - 1 - n);
		assert_true(r >= 0);
		n += (size_t)r;
	} while (r > 0);
	text[n] = '\0';
}

static void a_descriptor_is_the_receivers_own(void **state)
{
	int ends[2], r = -1;
	char text[100];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	for (int i = 0; i < 3; i++) {
		check_done(tz_result(tz_submit(ex, greet, ((tz_fd){ ends[1] }), "worker"), &r), "greet");
		assert_int_equal(r, FD_CLOEXEC);
	}
	(void)close(ends[1]);
	read_all(ends[0], text, sizeof text); /* the workers have it no more */
	assert_string_equal(text, "hello, worker\nhello, worker\nhello, worker\n");
	(void)close(ends[0]);
	assert_int_equal(tz_result(tz_submit(ex, greet, ((tz_fd){ -5 }), ""), &r), 0);
	assert_int_equal(r, -EBADF);
	assert_int_equal(tz_result(tz_submit(ex, greet, ((tz_fd){ 9999 }), ""), &r), -EREMOTEIO);
	assert_int_equal(tz_last()->code, -EBADF);
}

static tz_fd open_pipe(tz_fd other, bool keep)
{
	static int kept = -1;
	int ends[2];

	if (kept >= 0)
		(void)close(kept);
	kept = keep ? tz_fd_take(other) : -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return (tz_fd){ -1 };
	(void)!write(ends[1], "x", 1);
	(void)close(ends[1]);
	return (tz_fd){ ends[0] };
}
TZ_TASK(tz_fd, open_pipe, tz_fd, bool);

static void descriptors_come_back(void **state)
{
	tz_executor *alone = open_alone();
	int ends[2], before, first = 0, last = 0;
	struct pollfd p = { .events = POLLIN };
	char text[10];
	tz_fd f;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	before = open_descriptors();
	check_done(tz_result(tz_submit(alone, count_mine), &first), "count_mine");
	for (int i = 0; i < 100; i++) {
		check_done(tz_result(tz_submit(alone, open_pipe, ((tz_fd){ ends[1] }), i == 99), &f), "open_pipe");
		assert_int_equal(fcntl(f.fd, F_GETFD), FD_CLOEXEC);
		read_all(f.fd, text, sizeof text);
		assert_string_equal(text, "x");
		(void)close(f.fd);
	}
	check_descriptors(before);
	check_done(tz_result(tz_submit(alone, count_mine), &last), "count_mine");
	assert_in_range(last, first, first + 1);
	/* One was kept, until the next call. */
	(void)close(ends[1]);
	p.fd = ends[0];
	assert_int_equal(poll(&p, 1, 0), 0);
	check_done(tz_result(tz_submit(alone, open_pipe, ((tz_fd){ -1 }), false), &f), "open_pipe");
	read_all(ends[0], text, sizeof text);
	(void)close(f.fd);
	(void)close(ends[0]);
	tz_executor_close(alone);
}

static int fails_first(tz_fd to, int *tries)
{
	if (++*tries < 3)
		return tz_fail(-EIO, "again"), 0;
	return (int)write(to.fd, "3", 1);
}
TZ_TASK(int, fails_first, tz_fd, int *);

static void another_try_gets_it_again(void **state)
{
	int ends[2], *tries = TZ_SHARED_NEW(int), r = 0;
	char text[10];

	(void)state;
	assert_non_null(tries);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	check_done(tz_result(tz_submit_with(ex, TZ_OPTIONS(tz_submit_options, .retries = 5), fails_first, ((tz_fd){ ends[1] }), tries), &r), "fails_first");
	(void)close(ends[1]);
	read_all(ends[0], text, sizeof text);
	assert_string_equal(text, "3");
	(void)close(ends[0]);
	tz_shared_free(tries);
}

/* A worker that got it for a call that it never began has it no more. */
static void a_cancelled_call_leaves_none(void **state)
{
	char text[100];

	(void)state;
	for (int i = 0; i < 20; i++) {
		tz_executor *fresh;
		int ends[2];

		assert_int_equal(tz_executor_open(&fresh, "processes:1"), 0);
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		greet_future f = tz_submit(fresh, greet, ((tz_fd){ ends[1] }), "nobody");

		(void)close(ends[1]);
		if (i % 2)
			(void)tz_sleep(0.0001 * i);
		(void)tz_cancel(f);
		read_all(ends[0], text, sizeof text);
		assert_true(text[0] == '\0' || strcmp(text, "hello, nobody\n") == 0);
		tz_detach(f);
		(void)close(ends[0]);
		tz_executor_close(fresh);
	}
}

static void say(tz_fd to)
{
	(void)!write(to.fd, "said", 4);
}
TZ_TASK(void, say, tz_fd);

static void processes_get_descriptors(void **state)
{
	static const int methods[] = { TZ_START_FORKSERVER, TZ_START_SPAWN, TZ_START_FORK };
	char text[10];

	(void)state;
	for (int i = 0; i < 3; i++) {
		tz_process_options o = { .method = (tz_start_method)methods[i], .insist = true };
		tz_process *p;
		int ends[2];

		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		assert_int_equal(tz_process_open_with(&p, &o, say, ((tz_fd){ ends[1] })), 0);
		(void)close(ends[1]);
		read_all(ends[0], text, sizeof text);
		assert_string_equal(text, "said");
		(void)close(ends[0]);
		assert_int_equal(tz_process_join_until(p, tz_after(30)), 0);
		assert_int_equal(tz_process_close(p), 0);
	}
}

/* --- connections ------------------------------------------------------------------------------------------------------------ */

static int answer(tz_connection *c, bool close_it)
{
	char text[16];

	if (!c)
		return 1;
	ptrdiff_t n = tz_recv_bytes_into(c, text, sizeof text);
	int r = n < 0 ? (int)n : tz_send_bytes(c, text, (size_t)n);

	if (close_it)
		tz_connection_close(c);
	return r;
}
TZ_TASK(int, answer, tz_connection *, bool);

static void check_message(tz_connection *c, const char *text)
{
	char got[16] = "";

	TZ_TIMEOUT(20)
		assert_int_equal(tz_recv_bytes_into(c, got, sizeof got), strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

/* Nobody has the other end. */
static void check_end(tz_connection *c)
{
	char got[16];

	TZ_TIMEOUT(20)
		assert_int_equal(tz_recv_bytes_into(c, got, sizeof got), -ENODATA);
}

static void connections_go_to_tasks(void **state)
{
	tz_connection *ours, *theirs;
	int r = -1, before;

	(void)state;
	assert_int_equal(tz_pipe(&ours, &theirs, TZ_DUPLEX), 0);
	before = open_descriptors();
	for (int i = 0; i < 20; i++) {
		answer_future f = tz_submit(ex, answer, theirs, i % 2);

		assert_int_equal(tz_send_bytes(ours, "ping", 4), 0);
		check_message(ours, "ping");
		check_done(tz_result(f, &r), "answer");
		assert_int_equal(r, 0);
	}
	check_descriptors(before);
	tz_connection_close(theirs);
	check_end(ours);
	tz_connection_close(ours);
	check_done(tz_result(tz_submit(ex, answer, NULL, false), &r), "answer");
	assert_int_equal(r, 1);
}

static tz_connection *spare;

static tz_connection *make_one(bool keep)
{
	tz_connection *a, *b;

	if (tz_pipe(&a, &b, TZ_DUPLEX) < 0)
		return NULL;
	(void)tz_send_bytes(b, "from there", 10);
	tz_connection_close(spare);
	spare = keep ? b : NULL;
	if (!keep)
		tz_connection_close(b);
	return a;
}
TZ_TASK(tz_connection *, make_one, bool);

static void connections_come_back(void **state)
{
	tz_executor *alone = open_alone();
	tz_connection *c = NULL;
	int before = open_descriptors();

	(void)state;
	for (int i = 0; i < 20; i++) {
		check_done(tz_result(tz_submit(alone, make_one, false), &c), "make_one");
		assert_non_null(c);
		check_message(c, "from there");
		check_end(c);
		tz_connection_close(c);
	}
	check_descriptors(before);
	tz_executor_close(alone);
}

static void serve(tz_connection *c)
{
	char text[16];
	ptrdiff_t n;

	while ((n = tz_recv_bytes_into(c, text, sizeof text)) >= 0)
		(void)tz_send_bytes(c, text, (size_t)n);
}
TZ_TASK(void, serve, tz_connection *);

static void connections_go_to_processes(void **state)
{
	static const int methods[] = { TZ_START_FORKSERVER, TZ_START_SPAWN };

	(void)state;
	for (int i = 0; i < 2; i++) {
		tz_process_options o = { .method = (tz_start_method)methods[i] };
		tz_connection *ours, *theirs;
		tz_process *p;

		assert_int_equal(tz_pipe(&ours, &theirs, TZ_DUPLEX), 0);
		assert_int_equal(tz_process_open_with(&p, &o, serve, theirs), 0);
		tz_connection_close(theirs);
		assert_int_equal(tz_send_bytes(ours, "one", 3), 0);
		check_message(ours, "one");
		tz_connection_close(ours);
		assert_int_equal(tz_process_join_until(p, tz_after(30)), 0);
		assert_int_equal(tz_process_close(p), 0);
	}
}

/* --- the setup of workers ------------------------------------------------------------------------------------------------------ */

static struct account *own;

static void set_up(struct account *a, tz_fd to)
{
	own = a;
	a->balance += 100;
	(void)!write(to.fd, "s", 1);
}
TZ_TASK(void, set_up, struct account *, tz_fd);

static long use_own(long amount)
{
	own->balance += amount;
	return own->balance;
}
TZ_TASK(long, use_own, long);

static void a_setup_has_it_for_life(void **state)
{
	static const char *const specs[] = { "processes:1", "processes:1,start=spawn", "processes:1,start=fork" };
	char text[10];
	int ends[2];

	(void)state;
	for (int i = 0; i < (THREADS_AFTER_FORK ? 3 : 2); i++) { /* a worker has two */
		struct account *a = TZ_SHARED_NEW(struct account);
		tz_executor *with;
		long seen = 0;

		assert_non_null(a);
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		set_up_args args = tz_bind(set_up, a, ((tz_fd){ ends[1] }));
		tz_executor_options o = { .setup = &set_up_task, .setup_args = &args };

		assert_int_equal(tz_executor_open_with(&with, specs[i], &o), 0);
		(void)close(ends[1]);
		check_done(tz_result(tz_submit(with, use_own, 1), &seen), "use_own");
		check_done(tz_result(tz_submit(with, use_own, 1), &seen), "use_own");
		assert_int_equal(seen, 102);
		assert_int_equal(a->balance, 102);
		tz_executor_close(with);
		read_all(ends[0], text, sizeof text);
		assert_string_equal(text, "s");
		(void)close(ends[0]);
		tz_shared_free(a);
		assert_false(is_mapped(a));
	}
}

/* --- processes ----------------------------------------------------------------------------------------------------------- */

static void fill(int *array, int n, double *value)
{
	for (int i = 0; i < n; i++)
		array[i] = i * i;
	*value = 5.35;
}
TZ_TASK(void, fill, int *, int, double *);

static void start_and_check(int method, bool deferred)
{
	int *array = TZ_SHARED_ARRAY(int, 10), code = -1;
	double *value = TZ_SHARED_NEW(double);
	tz_process *p;
	tz_process_options o = { .method = (tz_start_method)method, .deferred = deferred, .insist = true };

	assert_true(array && value);
	assert_int_equal(tz_process_open_with(&p, &o, fill, array, 10, value), 0);
	if (deferred) {
		assert_int_equal(tz_shared_ref(array), 0);
		assert_int_equal(tz_shared_ref(value), 0);
		tz_shared_free(array);
		tz_shared_free(value);
		assert_int_equal(tz_process_start(p), 0);
	}
	assert_int_equal(tz_process_join_until(p, tz_after(30)), 0);
	assert_int_equal(tz_process_exitcode(p, &code), 0);
	assert_int_equal(code, 0);
	assert_int_equal(tz_process_close(p), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(array[i], i * i);
	assert_true(*value == 5.35);
	tz_shared_free(array);
	tz_shared_free(value);
}

static void processes_of_every_method(void **state)
{
	static const int methods[] = { TZ_START_FORKSERVER, TZ_START_SPAWN, TZ_START_FORK };
	int before = 0;

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++) {
			start_and_check(methods[i], false);
			start_and_check(methods[i], true);
		}
		if (round == 0)
			before = open_descriptors();
	}
	check_descriptors(before);
}

static void processes_refuse_others(void **state)
{
	int array[10];
	double *value = TZ_SHARED_NEW(double);
	tz_process *p;
	tz_process_options o = { .method = TZ_START_SPAWN };

	(void)state;
	assert_non_null(value);
	assert_int_equal(tz_process_open_with(&p, &o, fill, array, 10, value), -ENOTSUP);
	assert_non_null(strstr(tz_last()->message, "argument 1 of fill is a int * that is not to shared memory"));
	tz_shared_free(value);
}

/* The memory lives as long as somebody has it. */
static void linger(struct account *a)
{
	while (a->note == 0)
		(void)tz_sleep(0.001);
	a->balance = 9;
}
TZ_TASK(void, linger, struct account *);

static void the_last_one_has_it(void **state)
{
	struct account *a = TZ_SHARED_NEW(struct account);
	tz_process *p;
	tz_process_options o = { .method = TZ_START_SPAWN };
	int code = -1;

	(void)state;
	assert_non_null(a);
	assert_int_equal(tz_process_open_with(&p, &o, linger, a), 0);
	a->note = 1;
	tz_shared_free(a);
	assert_int_equal(tz_process_join_until(p, tz_after(30)), 0);
	assert_int_equal(tz_process_exitcode(p, &code), 0);
	assert_int_equal(code, 0);
	assert_int_equal(tz_process_close(p), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_changes_it),
		cmocka_unit_test(into_the_middle),
		cmocka_unit_test(it_may_go_when_it_was_submitted),
		cmocka_unit_test(any_other_is_refused),
		cmocka_unit_test(workers_forget),
		cmocka_unit_test(a_crash_leaves_it),
		cmocka_unit_test(maps_take_it),
		cmocka_unit_test(maps_over_many),
		cmocka_unit_test(a_result_is_ours),
		cmocka_unit_test(what_was_ours_comes_back_as_it_is),
		cmocka_unit_test(results_that_do_not_travel),
		cmocka_unit_test(maps_bring_it),
		cmocka_unit_test(fields_of_structs),
		cmocka_unit_test(a_descriptor_is_the_receivers_own),
		cmocka_unit_test(descriptors_come_back),
		cmocka_unit_test(another_try_gets_it_again),
		cmocka_unit_test(a_cancelled_call_leaves_none),
		cmocka_unit_test(connections_go_to_tasks),
		cmocka_unit_test(connections_come_back),
		cmocka_unit_test(connections_go_to_processes),
		cmocka_unit_test(a_setup_has_it_for_life),
		cmocka_unit_test(processes_of_every_method),
		cmocka_unit_test(processes_get_descriptors),
		cmocka_unit_test(processes_refuse_others),
		cmocka_unit_test(the_last_one_has_it),
	};

	if (!PROCESSES) {
		puts(NO_PROCESSES);
		return 0;
	}
	return cmocka_run_group_tests(tests, open_executor, close_executor);
}
