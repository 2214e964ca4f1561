/* Plans and the codec: what arguments and results become as bytes, and back; and what bytes that are wrong become. */
#include <complex.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <trenza.h>

#include "check.h"
#include "wire/codec.h"
#include "wire/intern.h"
#include "wire/plan.h"

/* --- tasks ----------------------------------------------------------------------------------------------------------------- */

static double area(double w, double h)
{
	return w * h;
}
TZ_TASK(double, area, double, double);

static void nop(void)
{
}
TZ_TASK(void, nop, void);

enum colour { RED, GREEN };

static long double numbers(char a, unsigned short b, enum colour c, float d, double complex e, long double f)
{
	return a + b + c + d + creal(e) + cimag(e) + f;
}
TZ_TASK(long double, numbers, char, unsigned short, enum colour, float, double complex, long double);

static bool both(bool a, bool b)
{
	return a && b;
}
TZ_TASK(bool, both, bool, bool);

static char *join(const char *a, char *b, int n)
{
	size_t size = strlen(a) + strlen(b) + 2;
	char *s = malloc(size);

	if (s)
		(void)snprintf(s, size, "%s%s%c", a, b, '0' + n);
	return s;
}
TZ_TASK(char *, join, const char *, char *, int);

static const char *word(int n)
{
	return n < 0 ? NULL : n ? "one" : "";
}
TZ_TASK(const char *, word, int);

static tz_bytes tail(tz_bytes b, size_t n)
{
	unsigned char *copy = tz_buffer_alloc(n);

	if (copy)
		memcpy(copy, (const unsigned char *)b.data + b.size - n, n);
	return (tz_bytes){ copy, copy ? n : 0 };
}
TZ_TASK(tz_bytes, tail, tz_bytes, size_t);

struct point {
	double x, y;
};
TZ_FLAT(struct point);

static struct point middle(struct point a, struct point b)
{
	return (struct point){ (a.x + b.x) / 2, (a.y + b.y) / 2 };
}
TZ_TASK(struct point, middle, struct point, struct point);

struct place {
	char *name;
	struct point at;
	int heights[2][3];
	struct place *next; /* does not travel */
	const char *tags[2];
	tz_bytes photo;
	bool open;
};
TZ_STRUCT(struct place, photo, name, (struct point, at), heights, tags, open); /* in any order */

struct trip {
	struct place stops[2];
	short days;
};
TZ_STRUCT(struct trip, (struct place, stops), days);

static struct trip turn(struct trip t, const char *unused)
{
	struct place first = t.stops[0];

	(void)unused;
	t.stops[0] = t.stops[1];
	t.stops[1] = first;
	return t;
}
TZ_TASK(struct trip, turn, struct trip, const char *);

/* The other file has another one, which is flat. */
struct node {
	struct node *next;
};
const tz_task *other_task(void);
static int depth(int unused, struct node n)
{
	(void)unused;
	return n.next != NULL;
}
TZ_TASK(int, depth, int, struct node);

static double sum(const double *values, size_t n)
{
	(void)n;
	return values[0];
}
TZ_TASK(double, sum, const double *, size_t);

static void *where(void)
{
	return NULL;
}
TZ_TASK(void *, where, void);

struct outer {
	struct node inner[1];
};
TZ_STRUCT(struct outer, (struct node, inner));
static void hold(struct outer o)
{
	(void)o;
}
TZ_TASK(void, hold, struct outer);

struct either {
	union {
		char *text;
		long number;
	};
};
TZ_STRUCT(struct either, text, number);
static void pick(struct either e)
{
	(void)e;
}
TZ_TASK(void, pick, struct either);

/* Declared after the task, and with other spaces. */
typedef struct {
	int a;
} later;
struct spaced {
	int a;
};
static int after(later l, struct spaced s)
{
	return l.a + s.a;
}
/* clang-format off */
TZ_TASK(int, after, later, struct spaced);
TZ_FLAT( later );
TZ_FLAT(struct	  spaced);
/* clang-format on */

/* Not the type of TZ_FLAT, though the letters are the same. */
typedef struct {
	int a;
} structspaced;
static int unlike(structspaced s)
{
	return s.a;
}
TZ_TASK(int, unlike, structspaced);

/* --- there and back ---------------------------------------------------------------------------------------------------------- */

/* Bytes of arguments or results, at an address that is right for any plan. */
struct bytes {
	unsigned char *at;
	size_t size;
};

static struct bytes room(size_t size)
{
	struct bytes b = { aligned_alloc(64, (size + 127) / 64 * 64), size };

	assert_non_null(b.at);
	memset(b.at, 0xa5, (size + 127) / 64 * 64);
	return b;
}

static const struct tz_plan *plan_of(const tz_task *task)
{
	const struct tz_plan *plan = tz_plan_of(task);

	assert_non_null(plan);
	if (plan->error)
		fail_msg("%s: %s", task->name, plan->refusal);
	return plan;
}

static struct bytes args_of(const tz_task *task, const void *args)
{
	const struct tz_plan *plan = plan_of(task);
	struct bytes b = room(tz_args_size(plan, args, NULL));

	assert_int_equal(tz_args_encode(plan, args, b.at, b.size, NULL), 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(b.at[b.size + (size_t)i], 0xa5);
	return b;
}

static struct bytes result_of(const tz_task *task, const void *result)
{
	const struct tz_plan *plan = plan_of(task);
	struct bytes b = room(tz_result_size(plan, result, NULL));

	assert_int_equal(tz_result_encode(plan, result, b.at, b.size, NULL), 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(b.at[b.size + (size_t)i], 0xa5);
	return b;
}

/* Calls a task as a worker does, and as its caller takes the result. */
static int call(const tz_task *task, const void *args, void *ret_result)
{
	const struct tz_plan *plan = plan_of(task);
	struct bytes in = args_of(task, args), out;
	_Alignas(64) unsigned char result[512];
	const void *decoded;

	assert_true(task->result_size <= sizeof result);
	assert_int_equal(tz_args_decode(plan, in.at, in.size, &decoded, NULL), 0);
	task->run(result, decoded);
	out = result_of(task, result);
	if (task != &turn_task) /* its result is made of its arguments, which it does not own */
		tz_result_free(plan, result);
	free(in.at);
	int r = tz_result_decode(plan, out.at, out.size, ret_result, NULL);

	free(out.at);
	return r;
}

static void numbers_are_copied(void **state)
{
	area_args a = tz_bind(area, 3.0, 4.0);
	numbers_args b = tz_bind(numbers, 1, 2, GREEN, 3, 4 + 5 * I, 6);
	const struct tz_plan *plan = plan_of(&area_task);
	long double l = 0;
	double d = 0;

	(void)state;
	assert_true(plan->args.flat && plan->result.flat);
	assert_int_equal(tz_args_size(plan, &a, NULL), sizeof a);
	assert_int_equal(call(&area_task, &a, &d), 0);
	assert_true(d == 12.0);
	assert_true(plan_of(&numbers_task)->args.flat);
	assert_int_equal(call(&numbers_task, &b, &l), 0);
	assert_true(l == 1 + 2 + 1 + 3 + 4 + 5 + 6);
}

static void nothing_is_nothing(void **state)
{
	const struct tz_plan *plan = plan_of(&nop_task);

	(void)state;
	assert_int_equal(tz_args_size(plan, NULL, NULL), 0);
	assert_int_equal(tz_result_size(plan, NULL, NULL), 0);
	assert_int_equal(call(&nop_task, NULL, NULL), 0);
}

static void a_plan_is_made_once(void **state)
{
	(void)state;
	assert_ptr_equal(tz_plan_of(&area_task), tz_plan_of(&area_task));
	assert_ptr_not_equal(tz_plan_of(&area_task), tz_plan_of(&nop_task));
}

/* Of tasks that have no plan yet. */
static int fresh1(struct trip t)
{
	return t.days;
}
TZ_TASK(int, fresh1, struct trip);
static int fresh2(struct point p, const char *s)
{
	return (int)p.x + s[0];
}
TZ_TASK(int, fresh2, struct point, const char *);

static void *ask_for_plans(void *arg)
{
	const struct tz_plan **plans = arg;

	plans[0] = tz_plan_of(&fresh1_task);
	plans[1] = tz_plan_of(&fresh2_task);
	plans[2] = (const void *)tz_intern("from many threads", 17);
	return NULL;
}

static void a_plan_is_made_once_by_many(void **state)
{
	const struct tz_plan *plans[8][3] = { { NULL } };
	pthread_t threads[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_for_plans, (void *)plans[i]), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < 8; i++)
		for (int k = 0; k < 3; k++) {
			assert_non_null(plans[i][k]);
			assert_ptr_equal(plans[i][k], plans[0][k]);
		}
	assert_int_equal(plans[0][0]->error, 0);
	assert_int_equal(plans[0][1]->error, 0);
}

static void bools_are_true_or_false(void **state)
{
	const struct tz_plan *plan = plan_of(&both_task);
	unsigned char hostile[2] = { 7, 1 }, result = 0;
	const unsigned char *args;

	(void)state;
	assert_int_equal(tz_args_decode(plan, hostile, 2, (const void **)&args, NULL), 0);
	assert_int_equal(args[0], 1);
	assert_int_equal(tz_result_decode(plan, "\x80", 1, &result, NULL), 0);
	assert_int_equal(result, 1);
}

static void strings_travel_by_content(void **state)
{
	char b[] = "two";
	join_args a = tz_bind(join, "one", b, 3);
	char *s = NULL;

	(void)state;
	assert_int_equal(call(&join_task, &a, &s), 0);
	assert_string_equal(s, "onetwo3");
	free(s);
}

static void decoded_strings_are_the_receivers(void **state)
{
	char b[] = "b";
	join_args a = tz_bind(join, "a", b, 1);
	struct bytes in = args_of(&join_task, &a);
	const void *decoded;

	(void)state;
	assert_int_equal(tz_args_decode(plan_of(&join_task), in.at, in.size, &decoded, NULL), 0);
	const join_args *d = decoded;

	assert_true((const unsigned char *)d->a1 > in.at && (const unsigned char *)d->a1 < in.at + in.size);
	d->a2[0] = 'c';
	assert_string_equal(b, "b");
	free(in.at);
}

static void null_strings_stay_null(void **state)
{
	join_args a = tz_bind(join, NULL, NULL, 1);
	struct bytes in = args_of(&join_task, &a);
	const void *decoded;
	char *s = NULL, *back = (char *)&a;

	(void)state;
	assert_int_equal(in.size, sizeof a);
	assert_int_equal(tz_args_decode(plan_of(&join_task), in.at, in.size, &decoded, NULL), 0);
	assert_null(((const join_args *)decoded)->a1);
	assert_null(((const join_args *)decoded)->a2);
	free(in.at);
	in = result_of(&join_task, &s);
	assert_int_equal(tz_result_decode(plan_of(&join_task), in.at, in.size, &back, NULL), 0);
	assert_null(back);
	free(in.at);
}

static void const_strings_are_kept(void **state)
{
	word_args none = tz_bind(word, -1), one = tz_bind(word, 1), empty = tz_bind(word, 0);
	const char *a = "x", *b = NULL, *c = NULL;

	(void)state;
	assert_int_equal(call(&word_task, &none, &a), 0);
	assert_null(a);
	assert_int_equal(call(&word_task, &one, &a), 0);
	assert_int_equal(call(&word_task, &one, &b), 0);
	assert_string_equal(a, "one");
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, word(1));
	assert_int_equal(call(&word_task, &empty, &c), 0);
	assert_string_equal(c, "");
}

static void many_strings_are_kept(void **state)
{
	char text[32];
	const char *kept[1000];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		int length = snprintf(text, sizeof text, "string %d", i);

		kept[i] = tz_intern(text, (size_t)length);
		assert_string_equal(kept[i], text);
	}
	for (int i = 0; i < 1000; i++)
		assert_ptr_equal(kept[i], tz_intern(kept[i], strlen(kept[i])));
}

static void bytes_travel_by_content(void **state)
{
	tail_args a = tz_bind(tail, ((tz_bytes){ "ab\0cd", 5 }), 3);
	tz_bytes b = { NULL, 0 };

	(void)state;
	assert_int_equal(call(&tail_task, &a, &b), 0);
	assert_int_equal(b.size, 3);
	assert_memory_equal(b.data, "\0cd", 3);
	tz_buffer_free((void *)b.data);
}

static void bytes_without_data(void **state)
{
	tail_args a = tz_bind(tail, ((tz_bytes){ NULL, 7 }), 0);
	struct bytes in = args_of(&tail_task, &a);
	const void *decoded;

	(void)state;
	assert_int_equal(tz_args_decode(plan_of(&tail_task), in.at, in.size, &decoded, NULL), 0);
	assert_null(((const tail_args *)decoded)->a1.data);
	assert_int_equal(((const tail_args *)decoded)->a1.size, 0);
	free(in.at);
	a.a1 = (tz_bytes){ "", 0 };
	in = args_of(&tail_task, &a);
	assert_int_equal(tz_args_decode(plan_of(&tail_task), in.at, in.size, &decoded, NULL), 0);
	assert_non_null(((const tail_args *)decoded)->a1.data);
	free(in.at);
}

static void flat_structs_are_copied(void **state)
{
	middle_args a = tz_bind(middle, ((struct point){ 0, 2 }), ((struct point){ 4, 6 }));
	struct point p = { 0, 0 };

	(void)state;
	assert_true(plan_of(&middle_task)->args.flat);
	assert_int_equal(call(&middle_task, &a, &p), 0);
	assert_true(p.x == 2 && p.y == 4);
}

static void a_description_may_come_later(void **state)
{
	after_args a = tz_bind(after, ((later){ 40 }), ((struct spaced){ 2 }));
	int n = 0;

	(void)state;
	assert_int_equal(call(&after_task, &a, &n), 0);
	assert_int_equal(n, 42);
}

static struct place a_place(char *name, struct place *next)
{
	return (struct place){
		.name = name,
		.at = { 1, 2 },
		.heights = { { 1, 2, 3 }, { 4, 5, 6 } },
		.next = next,
		.tags = { "old", NULL },
		.photo = { name, strlen(name) },
		.open = true,
	};
}

static void check_place(const struct place *p, const char *name)
{
	assert_string_equal(p->name, name);
	assert_true(p->at.x == 1 && p->at.y == 2);
	for (int i = 0; i < 6; i++)
		assert_int_equal(p->heights[i / 3][i % 3], i + 1);
	assert_null(p->next);
	assert_string_equal(p->tags[0], "old");
	assert_null(p->tags[1]);
	assert_int_equal(p->photo.size, strlen(name));
	assert_memory_equal(p->photo.data, name, strlen(name));
	assert_true(p->open);
}

static void described_structs_travel_by_their_fields(void **state)
{
	char here[] = "here", there[] = "there";
	struct place elsewhere = { .name = NULL };
	turn_args a = { .a1 = { { a_place(here, &elsewhere), a_place(there, &elsewhere) }, 3 }, .a2 = NULL };
	struct trip t;

	(void)state;
	assert_false(plan_of(&turn_task)->args.flat);
	assert_int_equal(call(&turn_task, &a, &t), 0);
	check_place(&t.stops[0], "there");
	check_place(&t.stops[1], "here");
	assert_int_equal(t.days, 3);
	tz_result_free(plan_of(&turn_task), &t);
}

/* What is not named in the description is zero, whoever sends what. */
static void fields_that_do_not_travel_are_zero(void **state)
{
	char here[] = "here";
	turn_args a = { .a1 = { { a_place(here, NULL), a_place(here, NULL) }, 3 }, .a2 = NULL };
	struct bytes in = args_of(&turn_task, &a), out = result_of(&turn_task, &a.a1);
	size_t next = offsetof(struct place, next), days = offsetof(struct trip, days) + sizeof(short);
	const void *decoded;
	struct trip t;

	(void)state;
	for (size_t i = 0; i < sizeof(void *); i++)
		assert_int_equal(in.at[next + i], 0);
	memset(in.at + next, 0x77, sizeof(void *));
	memset(in.at + days, 0x77, sizeof(struct trip) - days);
	memset(out.at + next, 0x77, sizeof(void *));
	assert_int_equal(tz_args_decode(plan_of(&turn_task), in.at, in.size, &decoded, NULL), 0);
	check_place(&((const turn_args *)decoded)->a1.stops[0], "here");
	assert_int_equal(in.at[days], 0);
	assert_int_equal(tz_result_decode(plan_of(&turn_task), out.at, out.size, &t, NULL), 0);
	check_place(&t.stops[0], "here");
	tz_result_free(plan_of(&turn_task), &t);
	free(in.at);
	free(out.at);
}

/* --- blocks ------------------------------------------------------------------------------------------------------------------ */

static void blocks_of_numbers(void **state)
{
	const struct tz_plan *plan = plan_of(&area_task);
	double w[10], h[10], out[4];
	const void *in[2] = { w, h }, *got[TZ_ARGS_MAX];
	struct tz_cursor cursor;

	(void)state;
	for (int i = 0; i < 10; i++) {
		w[i] = i;
		h[i] = 10 * i;
	}
	struct bytes b = room(tz_block_size(plan, in, 3, 7, NULL));

	assert_int_equal(b.size, 64 + 4 * sizeof(double));
	assert_int_equal(tz_block_encode(plan, in, 3, 7, b.at, b.size, NULL), 0);
	assert_int_equal(tz_block_decode(plan, b.at, b.size, 4, got, NULL), 0);
	area_task.range(out, got, 0, 4, &cursor);
	for (int i = 0; i < 4; i++)
		assert_true(out[i] == 10.0 * (i + 3) * (i + 3));
	assert_int_equal(tz_block_decode(plan, b.at, b.size, 5, got, NULL), -EBADMSG);
	assert_int_equal(tz_block_decode(plan, b.at, b.size, SIZE_MAX / 4, got, NULL), -EBADMSG);
	free(b.at);
}

static void blocks_of_strings(void **state)
{
	const struct tz_plan *plan = plan_of(&join_task);
	char texts[4][8] = { "a", "bb", "", "dddddd" }, *second[4] = { texts[0], texts[1], texts[2], texts[3] };
	const char *first[4] = { "x", NULL, "y", "zzzzzzzzz" };
	int n[4] = { 1, 2, 3, 4 };
	const void *in[3] = { first, second, n }, *got[TZ_ARGS_MAX];
	char *out[3], *back[4];
	struct tz_cursor cursor;

	(void)state;
	first[1] = "";
	struct bytes b = room(tz_block_size(plan, in, 1, 4, NULL));

	assert_int_equal(tz_block_encode(plan, in, 1, 4, b.at, b.size, NULL), 0);
	assert_int_equal(tz_block_decode(plan, b.at, b.size, 3, got, NULL), 0);
	join_task.range(out, got, 0, 3, &cursor);
	struct bytes r = room(tz_results_size(plan, out, 3, NULL));

	assert_int_equal(tz_results_encode(plan, out, 3, r.at, r.size, NULL), 0);
	tz_results_free(plan, out, 3);
	assert_int_equal(tz_results_decode(plan, r.at, r.size, 3, back, NULL), 0);
	assert_string_equal(back[0], "bb2");
	assert_string_equal(back[1], "y3");
	assert_string_equal(back[2], "zzzzzzzzzdddddd4");
	tz_results_free(plan, back, 3);
	assert_int_equal(tz_results_decode(plan, r.at, r.size, 4, back, NULL), -EBADMSG);
	free(b.at);
	free(r.at);
}

/* --- what is carried beside the bytes ------------------------------------------------------------------------------------------ */

static char carried[100];
static int given;

static bool give(const struct tz_carrier *carrier, const void *data, size_t size, uint64_t *ret_key, uint64_t *ret_offset)
{
	(void)carrier;
	if (size < 50)
		return false;
	if (ret_key) {
		given++;
		memcpy(carried, data, size);
		*ret_key = 42;
		*ret_offset = 7;
	}
	return true;
}

static const void *take(const struct tz_carrier *carrier, uint64_t key, uint64_t offset, size_t size)
{
	(void)carrier;
	return key == 42 && offset == 7 && size <= sizeof carried ? carried : NULL;
}

static void large_contents_are_carried(void **state)
{
	static const char big[100] = "big";
	const struct tz_carrier carrier = { .give = give, .take = take };
	const struct tz_plan *plan = plan_of(&tail_task);
	tail_args a = tz_bind(tail, ((tz_bytes){ big, sizeof big }), 1);
	struct bytes in = room(tz_args_size(plan, &a, &carrier));
	const void *decoded;

	(void)state;
	given = 0;
	assert_int_equal(in.size, sizeof a + 16);
	assert_int_equal(tz_args_encode(plan, &a, in.at, in.size, &carrier), 0);
	assert_int_equal(given, 1);
	struct bytes again = room(in.size);

	memcpy(again.at, in.at, in.size);
	assert_int_equal(tz_args_decode(plan, in.at, in.size, &decoded, &carrier), 0);
	assert_ptr_equal(((const tail_args *)decoded)->a1.data, carried);
	/* It was not given, or nobody takes it. */
	memcpy(in.at, again.at, in.size);
	in.at[sizeof a]++;
	assert_int_equal(tz_args_decode(plan, in.at, in.size, &decoded, &carrier), -EBADMSG);
	assert_int_equal(tz_args_decode(plan, again.at, again.size, &decoded, NULL), -EBADMSG);
	free(in.at);
	free(again.at);
	/* Small ones are not. */
	a.a1.size = 10;
	assert_int_equal(tz_args_size(plan, &a, &carrier), sizeof a + 16);
	in = args_of(&tail_task, &a);
	assert_int_equal(tz_args_decode(plan, in.at, in.size, &decoded, &carrier), 0);
	assert_memory_equal(((const tail_args *)decoded)->a1.data, big, 10);
	free(in.at);
}

/* --- what is wrong --------------------------------------------------------------------------------------------------------------- */

static void check_refusal(const tz_task *task, int error, const char *words)
{
	const struct tz_plan *plan = tz_plan_of(task);

	assert_non_null(plan);
	assert_int_equal(plan->error, error);
	if (!strstr(plan->refusal, words))
		fail_msg("\"%s\" does not tell \"%s\"", plan->refusal, words);
	assert_true(strlen(plan->refusal) < TZ_MESSAGE_MAX);
}

static void what_does_not_travel_is_named(void **state)
{
	(void)state;
	check_refusal(&depth_task, -ENOTSUP, "argument 2 of depth is a struct node: say TZ_FLAT(struct node) if");
	check_refusal(&hold_task, -ENOTSUP, "argument 1 of hold holds a struct node: say TZ_FLAT(struct node) if");
	check_refusal(&unlike_task, -ENOTSUP, "argument 1 of unlike is a structspaced");
	check_refusal(&pick_task, -ENOTSUP, "argument 1 of pick has fields that overlap");
}

/* Of pointers that depends on where they point: the carrier says so. */
static void pointers_that_do_not_travel_are_named(void **state)
{
	const struct tz_plan *sum = plan_of(&sum_task), *where = plan_of(&where_task);
	const double d = 1;
	sum_args a = tz_bind(sum, NULL, 1);
	struct bytes in = room(tz_args_size(sum, &a, NULL));
	char text[TZ_MESSAGE_MAX];
	const void *decoded, *const pointers[] = { &d };
	const int ones[] = { 1 };
	const void *const columns[] = { pointers, ones };

	(void)state;
	assert_int_equal(tz_args_encode(sum, &a, in.at, in.size, NULL), -ENOTSUP);
	a.a1 = &d;
	assert_int_equal(tz_args_encode(sum, &a, in.at, in.size, NULL), -ENOTSUP);
	assert_int_equal(tz_args_culprit(sum, &a, NULL), 1);
	assert_int_equal(tz_block_culprit(sum, columns, 0, 1, NULL), 1);
	tz_plan_explain(sum, 1, text, sizeof text);
	assert_string_equal(text, "argument 1 of sum is a const double * that is not to shared memory (tz_shared_alloc); pass that, a string, tz_bytes or a struct");
	tz_plan_explain(where, 0, text, sizeof text);
	assert_non_null(strstr(text, "the result of where is a void * that is not"));
	memset(in.at, 0, in.size);
	assert_int_equal(tz_args_decode(sum, in.at, in.size, &decoded, NULL), 0); /* NULL needs nobody */
	assert_null(((const sum_args *)decoded)->a1);
	in.at[0] = 1;
	assert_int_equal(tz_args_decode(sum, in.at, in.size, &decoded, NULL), -EBADMSG);
	free(in.at);
}

static void a_description_is_good_for_its_source_file(void **state)
{
	(void)state;
	assert_true(plan_of(other_task())->args.flat);
	check_refusal(&depth_task, -ENOTSUP, "struct node");
}

static void descriptors_that_were_not_made_by_tz_task(void **state)
{
	tz_task copy = area_task, bare = { .name = "bare", .run = area_task.run };

	(void)state;
	plan_of(&area_task);
	check_refusal(&copy, -ENOEXEC, "not made by TZ_TASK");
	check_refusal(&bare, -ENOEXEC, "not made by TZ_TASK");
}

static void wrong_sizes_are_noticed(void **state)
{
	char b[] = "two";
	join_args a = tz_bind(join, "one", b, 3);
	const struct tz_plan *plan = plan_of(&join_task);
	struct bytes in = args_of(&join_task, &a);
	const void *decoded;

	(void)state;
	for (size_t size = 0; size < in.size; size++)
		assert_int_equal(tz_args_encode(plan, &a, in.at, size, NULL), -EMSGSIZE);
	free(in.at);
	in = args_of(&join_task, &a);
	for (size_t size = 0; size <= in.size; size++) {
		struct bytes cut = room(size);

		memcpy(cut.at, in.at, size);
		/* What aligns a content that is not there may be missing. */
		assert_int_equal(tz_args_decode(plan, cut.at, size, &decoded, NULL), size > in.size - 5 ? 0 : -EBADMSG);
		free(cut.at);
	}
	free(in.at);
}

/* Contents lie where they must, not only where they can. */
static void contents_are_in_their_places(void **state)
{
	char b[] = "two";
	join_args a = tz_bind(join, "one", b, 3);
	const struct tz_plan *plan = plan_of(&join_task);
	struct bytes in = args_of(&join_task, &a), copy = room(in.size);
	uint64_t first = sizeof a, second = sizeof a + 8;
	const void *decoded;

	(void)state;
	for (int i = 0; i < 3; i++) {
		memcpy(copy.at, in.at, in.size);
		/* As it was; the second one where the first one is; both exchanged. */
		memcpy(copy.at, i == 2 ? &second : &first, 8);
		memcpy(copy.at + 8, i == 0 ? &second : &first, 8);
		assert_int_equal(tz_args_decode(plan, copy.at, copy.size, &decoded, NULL), i == 0 ? 0 : -EBADMSG);
	}
	free(in.at);
	free(copy.at);
}

/* No byte of what is sent is left to chance, but padding within what the caller gave. */
static void encodings_are_the_same_each_time(void **state)
{
	char here[] = "here";
	turn_args a = { .a1 = { { a_place(here, NULL), a_place(here, NULL) }, 3 }, .a2 = "unused" };
	const struct tz_plan *plan = plan_of(&turn_task);
	size_t size = tz_args_size(plan, &a, NULL);
	struct bytes one = room(size), two = room(size);

	(void)state;
	memset(two.at, 0x5a, size);
	assert_int_equal(tz_args_encode(plan, &a, one.at, size, NULL), 0);
	assert_int_equal(tz_args_encode(plan, &a, two.at, size, NULL), 0);
	assert_memory_equal(one.at, two.at, size);
	free(one.at);
	free(two.at);
}

/* Each byte of an encoding is changed in some ways; what is decoded is valid or is refused. With the address sanitizer this
 * says more. */
static void mutations_do_no_harm(void **state)
{
	char here[] = "here", there[] = "there, far away";
	turn_args a = { .a1 = { { a_place(here, NULL), a_place(there, NULL) }, 3 }, .a2 = "unused" };
	static const unsigned char changes[] = { 0x01, 0x08, 0x10, 0x80, 0xff };
	const struct tz_plan *plan = plan_of(&turn_task);
	struct bytes in = args_of(&turn_task, &a), out = result_of(&turn_task, &a.a1);
	size_t good = 0, bad = 0, n;

	(void)state;
	for (size_t i = 0; i < in.size; i++)
		for (size_t c = 0; c < sizeof changes; c++) {
			unsigned char *copy = aligned_alloc(64, (in.size + 63) / 64 * 64);
			const void *decoded;

			assert_non_null(copy);
			memcpy(copy, in.at, in.size);
			copy[i] ^= changes[c];
			if (tz_args_decode(plan, copy, in.size, &decoded, NULL) == 0) {
				const turn_args *d = decoded;

				n = d->a1.stops[0].name ? strlen(d->a1.stops[0].name) : 0;
				n += d->a1.stops[1].photo.size ? ((const unsigned char *)d->a1.stops[1].photo.data)[d->a1.stops[1].photo.size - 1] : 0;
				assert_true(n < 10000);
				assert_null(d->a1.stops[0].next);
				good++;
			} else {
				bad++;
			}
			free(copy);
		}
	for (size_t i = 0; i < out.size; i++)
		for (size_t c = 0; c < sizeof changes; c++) {
			struct trip t;

			out.at[i] ^= changes[c];
			if (tz_result_decode(plan, out.at, out.size, &t, NULL) == 0) {
				tz_result_free(plan, &t);
				good++;
			} else {
				bad++;
			}
			out.at[i] ^= changes[c];
		}
	assert_true(good > 100 && bad > 100);
	free(in.at);
	free(out.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_copied),
		cmocka_unit_test(nothing_is_nothing),
		cmocka_unit_test(a_plan_is_made_once),
		cmocka_unit_test(a_plan_is_made_once_by_many),
		cmocka_unit_test(bools_are_true_or_false),
		cmocka_unit_test(strings_travel_by_content),
		cmocka_unit_test(decoded_strings_are_the_receivers),
		cmocka_unit_test(null_strings_stay_null),
		cmocka_unit_test(const_strings_are_kept),
		cmocka_unit_test(many_strings_are_kept),
		cmocka_unit_test(bytes_travel_by_content),
		cmocka_unit_test(bytes_without_data),
		cmocka_unit_test(flat_structs_are_copied),
		cmocka_unit_test(a_description_may_come_later),
		cmocka_unit_test(described_structs_travel_by_their_fields),
		cmocka_unit_test(fields_that_do_not_travel_are_zero),
		cmocka_unit_test(blocks_of_numbers),
		cmocka_unit_test(blocks_of_strings),
		cmocka_unit_test(large_contents_are_carried),
		cmocka_unit_test(what_does_not_travel_is_named),
		cmocka_unit_test(pointers_that_do_not_travel_are_named),
		cmocka_unit_test(a_description_is_good_for_its_source_file),
		cmocka_unit_test(descriptors_that_were_not_made_by_tz_task),
		cmocka_unit_test(wrong_sizes_are_noticed),
		cmocka_unit_test(contents_are_in_their_places),
		cmocka_unit_test(encodings_are_the_same_each_time),
		cmocka_unit_test(mutations_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
