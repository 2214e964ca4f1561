/* What travels, on the executor on processes: arguments and results of every kind, there and back. */
#define _GNU_SOURCE

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza.h>

#include "abilities.h"
#include "travel.h"

struct point {
	double x, y;
};
TZ_FLAT(struct point);

struct place {
	char *name;
	struct point at;
	struct place *next; /* does not travel */
	tz_bytes photo;
	const char *tags[2];
	bool open;
};
TZ_STRUCT(struct place, name, (struct point, at), photo, tags, open);

static void it_is_another_process(void **state)
{
	int pid = 0;

	(void)state;
	check_done(tz_result(tz_submit(ex, process), &pid), "process");
	assert_true(pid > 0 && pid != (int)getpid());
}

static char *join(const char *a, char *b, int n)
{
	size_t size = (a ? strlen(a) : 0) + strlen(b) + 2;
	char *s = n < 0 ? NULL : malloc(size);

	if (s)
		(void)snprintf(s, size, "%s%s%c", a ? a : "", b, '0' + n);
	return s;
}
TZ_TASK(char *, join, const char *, char *, int);

static void strings(void **state)
{
	char b[] = "two", *large = malloc(1 << 20), *s = NULL;

	(void)state;
	assert_non_null(large);
	check_done(tz_result(tz_submit(ex, join, "one", b, 3), &s), "join");
	assert_string_equal(s, "onetwo3");
	free(s);
	check_done(tz_result(tz_submit(ex, join, NULL, b, 3), &s), "join");
	assert_string_equal(s, "two3");
	free(s);
	check_done(tz_result(tz_submit(ex, join, "", b, -1), &s), "join");
	assert_null(s);
	memset(large, 'x', 1 << 20);
	large[(1 << 20) - 1] = 0;
	check_done(tz_result(tz_submit(ex, join, large, b, 3), &s), "join");
	assert_int_equal(strlen(s), (1 << 20) - 1 + 4);
	assert_string_equal(s + (1 << 20) - 1, "two3");
	free(s);
	free(large);
}

static const char *name_of(int n)
{
	return n ? "odd" : "even";
}
TZ_TASK(const char *, name_of, int);

static void kept_strings(void **state)
{
	const char *a = NULL, *b = NULL;

	(void)state;
	check_done(tz_result(tz_submit(ex, name_of, 1), &a), "name_of");
	check_done(tz_result(tz_submit(ex, name_of, 1), &b), "name_of");
	assert_string_equal(a, "odd");
	assert_ptr_equal(a, b);
}

/* Adds 1 to each byte. */
static tz_bytes next(tz_bytes in)
{
	unsigned char *out = tz_buffer_alloc(in.size);

	for (size_t i = 0; out && i < in.size; i++)
		out[i] = (unsigned char)(((const unsigned char *)in.data)[i] + 1);
	return (tz_bytes){ out, out ? in.size : 0 };
}
TZ_TASK(tz_bytes, next, tz_bytes);

static void check_bytes(size_t size, bool buffer)
{
	unsigned char *in = buffer ? tz_buffer_alloc(size) : malloc(size + 1);
	tz_bytes out = { NULL, 0 };

	assert_non_null(in);
	for (size_t i = 0; i < size; i++)
		in[i] = (unsigned char)(i * 7);
	for (int round = 0; round < 3; round++) {
		check_done(tz_result(tz_submit(ex, next, ((tz_bytes){ in, size })), &out), "next");
		assert_int_equal(out.size, size);
		for (size_t i = 0; i < size; i++)
			if (((const unsigned char *)out.data)[i] != (unsigned char)(i * 7 + 1))
				fail_msg("byte %zu of %zu", i, size);
		tz_buffer_free((void *)out.data);
	}
	if (buffer)
		tz_buffer_free(in);
	else
		free(in);
}

static void bytes(void **state)
{
	static const size_t sizes[] = { 0, 1, 7, 8, 9, 40, 41, 1000, 1024, 65535, 65536, 65537, 3 << 20 };

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		check_bytes(sizes[i], false);
		check_bytes(sizes[i], true);
	}
}

static struct place move(struct place p, struct point to)
{
	p.at = to;
	p.open = p.next == NULL;
	p.name = strdup(p.name);
	unsigned char *photo = tz_buffer_alloc(p.photo.size);

	if (photo)
		memcpy(photo, p.photo.data, p.photo.size);
	p.photo.data = photo;
	return p;
}
TZ_TASK(struct place, move, struct place, struct point);

static void structs(void **state)
{
	char name[] = "the place", photo[100000] = "seen from above";
	struct place out, p = { .name = name, .photo = { photo, sizeof photo }, .tags = { NULL, "old" } };

	(void)state;
	p.next = &p;
	check_done(tz_result(tz_submit(ex, move, p, ((struct point){ 3, 4 })), &out), "move");
	assert_string_equal(out.name, name);
	assert_true(out.at.x == 3 && out.at.y == 4);
	assert_null(out.next);
	assert_null(out.tags[0]);
	assert_string_equal(out.tags[1], "old");
	assert_true(out.open);
	assert_int_equal(out.photo.size, sizeof photo);
	assert_memory_equal(out.photo.data, photo, sizeof photo);
	free(out.name);
	tz_buffer_free((void *)out.photo.data);
}

static long double wide(long double a, int b)
{
	return a * b;
}
TZ_TASK(long double, wide, long double, int);

static void wide_numbers(void **state)
{
	long double w = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		check_done(tz_result(tz_submit(ex, wide, 0.5L, i), &w), "wide");
		assert_true(w == 0.5L * i);
	}
}

static void maps_of_strings(void **state)
{
	enum { N = 1000 };
	static const char *first[N];
	static char texts[N][8], *second[N], *out[N];
	static int n[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		(void)snprintf(texts[i], sizeof texts[i], "%d", i);
		first[i] = i % 3 ? "number " : NULL;
		second[i] = texts[i];
		n[i] = i % 10;
	}
	check_done(tz_map(ex, join, N, out, first, second, n), "map");
	for (int i = 0; i < N; i++) {
		char wanted[32];

		(void)snprintf(wanted, sizeof wanted, "%s%d%d", i % 3 ? "number " : "", i, i % 10);
		assert_string_equal(out[i], wanted);
		free(out[i]);
	}
}

static double sum(const double *values, int n)
{
	(void)n;
	return values[0];
}
TZ_TASK(double, sum, const double *, int);

struct node {
	struct node *next;
};
static int depth(struct node n)
{
	return n.next != NULL;
}
TZ_TASK(int, depth, struct node);

static bool one_sum(void *arg, sum_args *ret)
{
	static const double one = 1;

	(void)arg;
	*ret = (sum_args){ &one, 1 };
	return true;
}

static void touch(size_t lo, size_t hi, void *arg)
{
	(void)lo, (void)hi;
	*(double *)arg = 0;
}

static int begin(void *arg)
{
	(void)arg;
	return 0;
}

static void options_that_do_not_travel(void **state)
{
	int here = 1;
	double number = 1;
	const sum_args args = { &number, 1 };
	tz_executor_options pointer = { .initializer = begin, .arg = &here };
	tz_executor_options task = { .setup = &sum_task, .setup_args = &args };
	tz_executor *other = NULL;

	(void)state;
	assert_int_equal(tz_executor_open_with(&other, "processes:1", &pointer), -ENOTSUP);
	assert_int_equal(tz_last()->code, -ENOTSUP);
	assert_non_null(strstr(tz_last()->message, "setup_args"));
	assert_int_equal(tz_executor_open_with(&other, "processes:1", &task), -ENOTSUP);
	assert_non_null(strstr(tz_last()->message, "argument 1 of sum"));
	assert_null(other);
}

static void what_does_not_travel(void **state)
{
	double d = 1, *values = &d, out;
	int n = 0;

	(void)state;
	assert_int_equal(tz_result(tz_submit(ex, sum, &d, 1), &d), -EREMOTEIO);
	assert_int_equal(tz_last()->code, -ENOTSUP);
	assert_non_null(strstr(tz_last()->message, "argument 1 of sum is a const double * that is not to shared memory"));
	assert_int_equal(tz_result(tz_submit(ex, depth, ((struct node){ NULL })), &n), -EREMOTEIO);
	assert_non_null(strstr(tz_last()->message, "say TZ_FLAT(struct node)"));
	const double *const in[1] = { values };

	n = 1;
	assert_int_equal(tz_map(ex, sum, 1, &out, in, &n), -ENOTSUP);
	assert_non_null(strstr(tz_last()->message, "argument 1 of sum"));
	assert_int_equal(tz_result(tz_submit_map(ex, sum, 1, &out, in, &n), NULL), -EREMOTEIO);
	assert_non_null(strstr(tz_last()->message, "argument 1 of sum"));
	sum_stream s;

	assert_int_equal(tz_stream_open(&s, ex, sum, NULL, one_sum, NULL), 0);
	assert_int_equal(tz_stream_next(s, &out), -EREMOTEIO);
	assert_non_null(strstr(tz_last()->message, "argument 1 of sum"));
	tz_stream_close(s);
	assert_int_equal(tz_for_range(ex, NULL, 0, 1, touch, &d), -ENOTSUP);
	assert_non_null(strstr(tz_last()->message, "shares no memory"));
	it_is_another_process(NULL);
}

/* A list of words and how often each is there. */
static tz_value count(tz_value words, tz_value *unused)
{
	tz_value counts = tz_empty_dict;

	(void)unused;
	for (size_t i = 0; i < tz_value_size(&words); i++) {
		const tz_value *word = tz_value_at(&words, i);
		int64_t n = 0;

		tz_value_to_int(tz_value_find(&counts, word), &n);
		if (tz_value_set(&counts, tz_value_copy(word), tz_int(n + 1)) < 0)
			tz_fail(-ENOMEM, NULL);
	}
	return counts;
}
TZ_TASK(tz_value, count, tz_value, tz_value *);

struct note {
	tz_value tags;
	const char *text;
	tz_value more[2];
};
TZ_STRUCT(struct note, tags, text, more);

static struct note turned(struct note n)
{
	return (struct note){ tz_value_copy(&n.more[1]), n.text, { tz_value_copy(&n.tags), tz_value_copy(&n.more[0]) } };
}
TZ_TASK(struct note, turned, struct note);

static void assert_value(tz_value v, const char *expected)
{
	char *text = tz_value_repr(&v);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
	tz_value_free(v);
}

static void values(void **state)
{
	tz_value words = tz_list("to", "be", "or", "not", "to", "be"), counts = tz_none;
	struct note n = { tz_list(1, 2), "text", { tz_none, tz_dict("a", 1.5) } }, back;

	(void)state;
	check_done(tz_result(tz_submit(ex, count, words, NULL), &counts), "count");
	assert_value(counts, "{'to': 2, 'be': 2, 'or': 1, 'not': 1}");
	check_done(tz_result(tz_submit(ex, count, tz_empty_list, NULL), &counts), "count");
	assert_value(counts, "{}");
	tz_value_free(words);

	check_done(tz_result(tz_submit(ex, turned, n), &back), "turned");
	assert_value(back.tags, "{'a': 1.5}");
	assert_string_equal(back.text, "text");
	assert_value(back.more[0], "[1, 2]");
	assert_value(back.more[1], "None");
	tz_value_free(n.tags);
	tz_value_free(n.more[1]);
}

static void maps_of_values(void **state)
{
	enum { N = 500 };
	static tz_value words[N], counts[N];
	static tz_value *nothing[N];
	char expected[40];

	(void)state;
	for (int i = 0; i < N; i++)
		words[i] = tz_list(i, i, i % 10);
	check_done(tz_map(ex, count, N, counts, words, nothing), "count");
	for (int i = 0; i < N; i++) {
		if (i < 10)
			(void)snprintf(expected, sizeof expected, "{%d: 3}", i);
		else
			(void)snprintf(expected, sizeof expected, "{%d: 2, %d: 1}", i, i % 10);
		assert_value(counts[i], expected);
		tz_value_free(words[i]);
	}
}

/* --- again ------------------------------------------------------------------------------------------------------------------ */

static bool is_run(const char *text, char c, size_t n)
{
	size_t i = 0;

	while (i < n && text[i] == c)
		i++;
	return i == n;
}

/* What its arguments come to, if they are what `arguments_of` makes, else -1. It writes over what it can. */
static int weigh(char *text, tz_bytes data, const tz_value *list)
{
	size_t n = strlen(text);
	int64_t last = -1;

	tz_value_to_int(tz_value_at(list, tz_value_size(list) - 1), &last);
	if (!is_run(text, 't', n) || data.size != n || !is_run(data.data, 'd', n) || tz_value_size(list) != n / 64 + 1 || last != (int64_t)n)
		return -1;
	memset(text, 'z', n);
	return (int)(2 * n);
}

/* Each try does what its letter says: fails, or kills its worker. Then it ends well. */
static int try_hard(const char *letters, int *tries, char *text, tz_bytes data, tz_value list)
{
	int weight = weigh(text, data, &list), n = (*tries)++;

	if (weight < 0)
		return tz_fail(-EBADMSG, "arguments of another kind"), 0;
	if (n < (int)strlen(letters) && letters[n] == 'k')
		(void)raise(SIGKILL);
	return n < (int)strlen(letters) ? tz_fail(-EIO, "again"), 0 : weight;
}
TZ_TASK(int, try_hard, const char *, int *, char *, tz_bytes, tz_value);

struct arguments {
	char *text;
	tz_bytes data;
	tz_value list;
};

static struct arguments arguments_of(size_t n, bool buffer)
{
	struct arguments a = { malloc(n + 1), { buffer ? tz_buffer_alloc(n) : malloc(n), n }, tz_empty_list };

	assert_non_null(a.text);
	assert_non_null(a.data.data);
	memset(a.text, 't', n);
	a.text[n] = '\0';
	memset((void *)(uintptr_t)a.data.data, 'd', n);
	for (size_t i = 0; i < n / 64; i++)
		assert_int_equal(tz_value_append(&a.list, tz_int((int64_t)i)), 0);
	assert_int_equal(tz_value_append(&a.list, tz_int((int64_t)n)), 0);
	return a;
}

static void free_arguments(const struct arguments *a)
{
	free(a->text);
	tz_buffer_free((void *)(uintptr_t)a->data.data);
	tz_value_free(a->list);
}

/* Arguments that lie in a segment are decoded there, and the task may write to them. */
static void another_try_has_the_same_arguments(void **state)
{
	static const size_t sizes[] = { 10, 2000, 40000, 100000, 1000000 };
	static const char *const ways[] = { "f", "k", "fff", "kff", "ffk", "fkf" };
	int *tries = TZ_SHARED_NEW(int), weight = 0;

	(void)state;
	assert_non_null(tries);
	for (size_t k = 0; k < 2 * sizeof sizes / sizeof *sizes; k++) {
		size_t size = sizes[k / 2];
		struct arguments a = arguments_of(size, k % 2);

		for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
			try_hard_future f;

			*tries = 0;
			f = tz_submit_with(ex, TZ_OPTIONS(tz_submit_options, .retries = 4), try_hard, ways[i], tries, a.text, a.data, a.list);
			check_done(tz_result(f, &weight), ways[i]);
			assert_int_equal(weight, 2 * size);
			assert_int_equal(*tries, strlen(ways[i]) + 1);
		}
		assert_true(is_run(a.text, 't', size)); /* ours are ours */
		free_arguments(&a);
	}
	tz_shared_free(tries);
}

static int linger(char *text, tz_bytes data, tz_value list, double seconds)
{
	int weight = weigh(text, data, &list);

	tz_sleep(seconds);
	return weight;
}
TZ_TASK(int, linger, char *, tz_bytes, tz_value, double);

/* While it reads them, runs or answers. */
static void its_worker_is_killed_at_any_time(void **state)
{
	struct arguments a = arguments_of(300000, false);
	tz_executor *alone = open_alone();
	int pid = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		int killed = pid, weight = 0;
		linger_future f;

		do /* it may have answered with its last breath */
			check_done(tz_result(tz_submit_with(alone, TZ_OPTIONS(tz_submit_options, .retries = 1), process), &pid), "process");
		while (pid == killed);
		f = tz_submit_with(alone, TZ_OPTIONS(tz_submit_options, .retries = 1), linger, a.text, a.data, a.list, 0.0005);
		tz_sleep(i % 20 * 0.0001);
		assert_int_equal(kill(pid, SIGKILL), 0);
		check_done(tz_result(f, &weight), "linger");
		assert_int_equal(weight, 600000);
	}
	tz_executor_close(alone);
	free_arguments(&a);
}

static void failed_values_are_refused(void **state)
{
	tz_value twice = tz_dict(1, 1, 1, 1), counts;

	(void)state;
	assert_int_equal(tz_result(tz_submit(ex, count, twice, NULL), &counts), -EREMOTEIO);
	assert_int_equal(tz_last()->code, -EEXIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_another_process),
		cmocka_unit_test(strings),
		cmocka_unit_test(kept_strings),
		cmocka_unit_test(bytes),
		cmocka_unit_test(structs),
		cmocka_unit_test(wide_numbers),
		cmocka_unit_test(maps_of_strings),
		cmocka_unit_test(values),
		cmocka_unit_test(maps_of_values),
		cmocka_unit_test(failed_values_are_refused),
		cmocka_unit_test(another_try_has_the_same_arguments),
		cmocka_unit_test(its_worker_is_killed_at_any_time),
		cmocka_unit_test(options_that_do_not_travel),
		cmocka_unit_test(what_does_not_travel),
	};

	if (!PROCESSES) {
		puts(NO_PROCESSES);
		return 0;
	}
	return cmocka_run_group_tests(tests, open_executor, close_executor);
}
