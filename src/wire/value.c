/* The value: a tagged number, string, list or dictionary.
 *
 * Design notes
 *
 * Strings, lists and dictionaries lie in a block of their own each, which one value owns; an empty list or dictionary needs none. How deep a value is
 * nested is kept with it and bounded when it is put together, so that all that walks through values may recurse.
 *
 * A dictionary has its pairs in the order in which they were put in, and beside them their numbers in the order of the keys: a key is found by halving. Nobody
 * can choose keys that make this slow, as with hashing. Putting in one more moves numbers, 4 bytes each; a dictionary that is made at once is sorted once.
 */
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza/fd.h>
#include <trenza/shared_memory.h>
#include <trenza/value.h>

#include "wire/value.h"

struct text {
	size_t size;
	char bytes[]; /* and a 0 */
};

struct list {
	size_t n, room;
	tz_value item[];
};

struct pair {
	tz_value key, value;
};

struct dict {
	uint32_t n, room;
	uint32_t *order; /* the numbers of the pairs, by key */
	struct pair pair[];
};

/* What the copies of a descriptor's value share. */
struct descriptor {
	_Atomic uint32_t values;
	int fd;
};

static const struct list no_items;
static const struct dict no_pairs;

static bool is(const tz_value *v, tz_value_kind kind)
{
	return tz_value_kind_of(v) == kind;
}

static struct text *text_of(const tz_value *v)
{
	return v->tz__is.tz__block;
}

/* Also of an empty one; then it is not to be written. */
static struct list *list_of(const tz_value *v)
{
	return v->tz__is.tz__block ? v->tz__is.tz__block : (struct list *)&no_items;
}

static struct dict *dict_of(const tz_value *v)
{
	return v->tz__is.tz__block ? v->tz__is.tz__block : (struct dict *)&no_pairs;
}

uint32_t tz_value_depth(const tz_value *v)
{
	return is(v, TZ_VALUE_LIST) || is(v, TZ_VALUE_DICT) ? v->tz__big : 0;
}

static tz_value made_of(tz_value_kind kind, uint32_t depth, void *block)
{
	tz_value v = { .tz__kind = kind, .tz__big = depth };

	v.tz__is.tz__block = block;
	return v;
}

tz_value tz_value_failed(int error)
{
	tz_value v = { .tz__kind = TZ_VALUE_FAILED };

	v.tz__is.tz__int = error;
	return v;
}

/* --- strings and bytes -------------------------------------------------------------------------------------- */

static tz_value make_text(tz_value_kind kind, const void *bytes, size_t size)
{
	struct text *t = size < PTRDIFF_MAX ? malloc(sizeof *t + size + 1) : NULL;

	if (!t)
		return tz_value_failed(-ENOMEM);
	t->size = size;
	if (size)
		memcpy(t->bytes, bytes, size);
	t->bytes[size] = '\0';
	return made_of(kind, 0, t);
}

tz_value tz_string_of(const char *text, size_t size)
{
	return make_text(TZ_VALUE_STRING, text, size);
}

tz_value tz_string(const char *text)
{
	return text ? tz_string_of(text, strlen(text)) : (tz_value){ 0 };
}

tz_value tz_binary(const void *data, size_t size)
{
	return make_text(TZ_VALUE_BYTES, data, size);
}

/* --- handles ----------------------------------------------------------------------------------------------------- */

tz_value tz_value_own_pointer(void *memory)
{
	return made_of(TZ_VALUE_POINTER, 0, memory);
}

tz_value tz_pointer(const void *memory)
{
	int r = memory ? tz_shared_ref(memory) : 0;

	if (r < 0)
		return tz_value_failed(r);
	return memory ? tz_value_own_pointer((void *)(uintptr_t)memory) : (tz_value){ 0 };
}

void *tz_value_pointer(const tz_value *v)
{
	return is(v, TZ_VALUE_POINTER) ? v->tz__is.tz__block : NULL;
}

static struct descriptor *descriptor_of(const tz_value *v)
{
	return v->tz__is.tz__block;
}

tz_value tz_value_own_fd(int fd)
{
	struct descriptor *d = malloc(sizeof *d);

	if (!d) {
		(void)close(fd);
		return tz_value_failed(-ENOMEM);
	}
	atomic_init(&d->values, 1);
	d->fd = fd;
	return made_of(TZ_VALUE_FD, 0, d);
}

tz_value tz_descriptor(int fd)
{
	int copy = tz_fd_take((tz_fd){ fd });

	return copy < 0 ? tz_value_failed(copy) : tz_value_own_fd(copy);
}

int tz_value_fd(const tz_value *v)
{
	return is(v, TZ_VALUE_FD) ? descriptor_of(v)->fd : -EINVAL;
}

static void free_descriptor(struct descriptor *d)
{
	if (atomic_fetch_sub_explicit(&d->values, 1, memory_order_acq_rel) > 1)
		return;
	(void)close(d->fd);
	free(d);
}

static tz_value copy_handle(const tz_value *v)
{
	if (is(v, TZ_VALUE_POINTER))
		return tz_pointer(v->tz__is.tz__block);
	(void)atomic_fetch_add_explicit(&descriptor_of(v)->values, 1, memory_order_relaxed);
	return *v;
}

/* --- freeing ----------------------------------------------------------------------------------------------------- */

static void free_all(tz_value *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tz_value_free(values[i]);
}

static void free_dict(struct dict *d)
{
	for (size_t i = 0; i < d->n; i++) {
		tz_value_free(d->pair[i].key);
		tz_value_free(d->pair[i].value);
	}
	free(d->order);
	free(d);
}

void tz_value_free(tz_value v)
{
	void *block = v.tz__is.tz__block;

	switch ((tz_value_kind)v.tz__kind) {
	case TZ_VALUE_STRING:
	case TZ_VALUE_BYTES:
		free(block);
		break;
	case TZ_VALUE_LIST:
		if (block)
			free_all(((struct list *)block)->item, ((struct list *)block)->n);
		free(block);
		break;
	case TZ_VALUE_DICT:
		if (block)
			free_dict(block);
		break;
	case TZ_VALUE_POINTER:
		tz_shared_free(block);
		break;
	case TZ_VALUE_FD:
		free_descriptor(block);
		break;
	case TZ_VALUE_NONE:
	case TZ_VALUE_BOOL:
	case TZ_VALUE_INT:
	case TZ_VALUE_DOUBLE:
	case TZ_VALUE_FAILED:
		break;
	}
}

/* --- numbers ------------------------------------------------------------------------------------------------------ */

int tz_value_to_bool(const tz_value *v, bool *ret)
{
	if (!is(v, TZ_VALUE_BOOL))
		return -EINVAL;
	*ret = v->tz__is.tz__int != 0;
	return 0;
}

static const double two_63 = 9223372036854775808.0, two_64 = 18446744073709551616.0;

int tz_value_to_int(const tz_value *v, int64_t *ret)
{
	if (is(v, TZ_VALUE_INT)) {
		if (v->tz__big)
			return -ERANGE;
		*ret = v->tz__is.tz__int;
		return 0;
	}
	if (!is(v, TZ_VALUE_DOUBLE))
		return -EINVAL;
	double d = v->tz__is.tz__double;

	if (!(d >= -two_63 && d < two_63) || d != (double)(int64_t)d)
		return -ERANGE;
	*ret = (int64_t)d;
	return 0;
}

int tz_value_to_uint(const tz_value *v, uint64_t *ret)
{
	if (is(v, TZ_VALUE_INT)) {
		if (!v->tz__big && v->tz__is.tz__int < 0)
			return -ERANGE;
		*ret = v->tz__is.tz__uint;
		return 0;
	}
	if (!is(v, TZ_VALUE_DOUBLE))
		return -EINVAL;
	double d = v->tz__is.tz__double;

	if (!(d >= 0 && d < two_64) || d != (double)(uint64_t)d)
		return -ERANGE;
	*ret = (uint64_t)d;
	return 0;
}

int tz_value_to_double(const tz_value *v, double *ret)
{
	if (is(v, TZ_VALUE_DOUBLE)) {
		*ret = v->tz__is.tz__double;
		return 0;
	}
	if (!is(v, TZ_VALUE_INT))
		return -EINVAL;
	double d = v->tz__big ? (double)v->tz__is.tz__uint : (double)v->tz__is.tz__int;
	bool same = v->tz__big ? d < two_64 && (uint64_t)d == v->tz__is.tz__uint : d < two_63 && (int64_t)d == v->tz__is.tz__int;

	if (!same)
		return -ERANGE;
	*ret = d;
	return 0;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

const char *tz_value_text(const tz_value *v)
{
	return is(v, TZ_VALUE_STRING) || is(v, TZ_VALUE_BYTES) ? text_of(v)->bytes : NULL;
}

size_t tz_value_size(const tz_value *v)
{
	switch (tz_value_kind_of(v)) {
	case TZ_VALUE_STRING:
	case TZ_VALUE_BYTES:
		return text_of(v)->size;
	case TZ_VALUE_LIST:
		return list_of(v)->n;
	case TZ_VALUE_DICT:
		return dict_of(v)->n;
	case TZ_VALUE_NONE:
	case TZ_VALUE_BOOL:
	case TZ_VALUE_INT:
	case TZ_VALUE_DOUBLE:
	case TZ_VALUE_FAILED:
	case TZ_VALUE_POINTER:
	case TZ_VALUE_FD:
		break;
	}
	return 0;
}

const tz_value *tz_value_at(const tz_value *v, size_t i)
{
	if (is(v, TZ_VALUE_LIST))
		return i < list_of(v)->n ? &list_of(v)->item[i] : NULL;
	return is(v, TZ_VALUE_DICT) && i < dict_of(v)->n ? &dict_of(v)->pair[i].value : NULL;
}

const tz_value *tz_value_key_at(const tz_value *v, size_t i)
{
	return is(v, TZ_VALUE_DICT) && i < dict_of(v)->n ? &dict_of(v)->pair[i].key : NULL;
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

static int compare_bytes(const char *a, size_t a_size, const char *b, size_t b_size)
{
	size_t both = a_size < b_size ? a_size : b_size;
	int c = both ? memcmp(a, b, both) : 0;

	return c ? c : (a_size > b_size) - (a_size < b_size);
}

static int compare_ints(const tz_value *a, const tz_value *b)
{
	if (a->tz__big != b->tz__big)
		return a->tz__big ? 1 : -1;
	if (a->tz__big)
		return (a->tz__is.tz__uint > b->tz__is.tz__uint) - (a->tz__is.tz__uint < b->tz__is.tz__uint);
	return (a->tz__is.tz__int > b->tz__is.tz__int) - (a->tz__is.tz__int < b->tz__is.tz__int);
}

/* floor(3) is in a library of its own. For what lies in the range of integers; from 2^63 on there are no fractions. */
static double floor_of(double d)
{
	double whole = d < two_63 ? (double)(int64_t)d : d;

	return whole > d ? whole - 1 : whole;
}

/* Exactly: a double that is as large as an integer can be has no fraction, so its whole part is an integer. */
static int compare_int_to_double(const tz_value *i, double d)
{
	if (isnan(d) || d < -two_63)
		return 1;
	if (d >= two_64)
		return -1;
	double whole = floor_of(d);
	tz_value w = whole < two_63 ? tz_int((int64_t)whole) : tz_uint((uint64_t)whole);
	int c = compare_ints(i, &w);

	return c ? c : -(d > whole);
}

static int compare_doubles(double a, double b)
{
	if (isnan(a) || isnan(b))
		return !!isnan(b) - !!isnan(a);
	return (a > b) - (a < b);
}

static int compare_numbers(const tz_value *a, const tz_value *b)
{
	if (is(a, TZ_VALUE_INT))
		return is(b, TZ_VALUE_INT) ? compare_ints(a, b) : compare_int_to_double(a, b->tz__is.tz__double);
	if (is(b, TZ_VALUE_INT))
		return -compare_int_to_double(b, a->tz__is.tz__double);
	return compare_doubles(a->tz__is.tz__double, b->tz__is.tz__double);
}

static int compare_lists(const struct list *a, const struct list *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		int c = tz_value_compare(&a->item[i], &b->item[i]);

		if (c)
			return c;
	}
	return (a->n > b->n) - (a->n < b->n);
}

static int compare_dicts(const struct dict *a, const struct dict *b)
{
	if (a->n != b->n)
		return a->n > b->n ? 1 : -1;
	for (uint32_t i = 0; i < a->n; i++) {
		const struct pair *p = &a->pair[a->order[i]], *q = &b->pair[b->order[i]];
		int c = tz_value_compare(&p->key, &q->key);

		if (!c)
			c = tz_value_compare(&p->value, &q->value);
		if (c)
			return c;
	}
	return 0;
}

/* Kinds that compare with each other have the same rank. */
static int rank_of(tz_value_kind kind)
{
	return kind == TZ_VALUE_DOUBLE ? TZ_VALUE_INT : (int)kind;
}

int tz_value_compare(const tz_value *a, const tz_value *b)
{
	tz_value_kind kind = tz_value_kind_of(a);
	int rank = rank_of(kind) - rank_of(tz_value_kind_of(b));

	if (rank)
		return rank;
	switch (kind) {
	case TZ_VALUE_BOOL:
	case TZ_VALUE_FAILED:
		return (a->tz__is.tz__int > b->tz__is.tz__int) - (a->tz__is.tz__int < b->tz__is.tz__int);
	case TZ_VALUE_INT:
	case TZ_VALUE_DOUBLE:
		return compare_numbers(a, b);
	case TZ_VALUE_STRING:
	case TZ_VALUE_BYTES:
		return compare_bytes(text_of(a)->bytes, text_of(a)->size, text_of(b)->bytes, text_of(b)->size);
	case TZ_VALUE_LIST:
		return compare_lists(list_of(a), list_of(b));
	case TZ_VALUE_DICT:
		return compare_dicts(dict_of(a), dict_of(b));
	case TZ_VALUE_POINTER:
		return ((uintptr_t)a->tz__is.tz__block > (uintptr_t)b->tz__is.tz__block) -
		       ((uintptr_t)a->tz__is.tz__block < (uintptr_t)b->tz__is.tz__block);
	case TZ_VALUE_FD:
		return tz_value_fd(a) - tz_value_fd(b);
	case TZ_VALUE_NONE:
		break;
	}
	return 0;
}

/* --- dictionaries: looking up ---------------------------------------------------------------------------------------- */

/* What is looked for: a key, or a string that is no value. */
struct wanted {
	const tz_value *key;
	const char *text;
	size_t size;
};

static int compare_wanted(const struct wanted *w, const tz_value *key)
{
	if (!w->text)
		return tz_value_compare(w->key, key);
	int rank = rank_of(TZ_VALUE_STRING) - rank_of(tz_value_kind_of(key));

	return rank ? rank : compare_bytes(w->text, w->size, text_of(key)->bytes, text_of(key)->size);
}

/* Where in the order it is, or belongs. */
static bool locate(const struct dict *d, const struct wanted *w, uint32_t *ret_place)
{
	uint32_t lo = 0, hi = d->n;

	while (lo < hi) {
		uint32_t middle = lo + (hi - lo) / 2;
		int c = compare_wanted(w, &d->pair[d->order[middle]].key);

		if (c == 0) {
			*ret_place = middle;
			return true;
		}
		if (c < 0)
			hi = middle;
		else
			lo = middle + 1;
	}
	*ret_place = lo;
	return false;
}

static const tz_value *find(const tz_value *v, const struct wanted *w)
{
	uint32_t place;

	if (!is(v, TZ_VALUE_DICT) || !locate(dict_of(v), w, &place))
		return NULL;
	return &dict_of(v)->pair[dict_of(v)->order[place]].value;
}

const tz_value *tz_value_find(const tz_value *v, const tz_value *key)
{
	return find(v, &(struct wanted){ .key = key });
}

const tz_value *tz_value_get(const tz_value *v, const char *key)
{
	return find(v, &(struct wanted){ .text = key, .size = strlen(key) });
}

/* --- making lists and dictionaries ------------------------------------------------------------------------------------ */

/* A list with room for n elements; NULL: no memory, or too many. */
static struct list *new_list(size_t n)
{
	struct list *l;

	if (n > (PTRDIFF_MAX - sizeof *l) / sizeof l->item[0])
		return NULL;
	l = malloc(sizeof *l + n * sizeof l->item[0]);
	if (l)
		*l = (struct list){ .room = n };
	return l;
}

/* The order has the same room. */
static struct dict *new_dict(size_t n)
{
	struct dict *d;

	if (n > UINT32_MAX || n > (PTRDIFF_MAX - sizeof *d) / sizeof d->pair[0])
		return NULL;
	d = malloc(sizeof *d + n * sizeof d->pair[0]);
	if (!d)
		return NULL;
	*d = (struct dict){ .room = (uint32_t)n };
	d->order = malloc((n ? n : 1) * sizeof *d->order);
	if (!d->order) {
		free(d);
		return NULL;
	}
	return d;
}

/* Why the values cannot be put into something: an error of theirs, or one more would be nested too deep. Also says how deep that is then. */
static int look_at(const tz_value *values, size_t n, uint32_t *ret_depth)
{
	uint32_t depth = 0;

	for (size_t i = 0; i < n; i++) {
		if (tz_value_error(&values[i]) < 0)
			return tz_value_error(&values[i]);
		depth = tz_value_depth(&values[i]) > depth ? tz_value_depth(&values[i]) : depth;
	}
	if (depth >= TZ_VALUE_DEPTH)
		return -EMSGSIZE;
	*ret_depth = depth + 1;
	return 0;
}

static tz_value refuse_all(const tz_value *values, size_t n, int error)
{
	for (size_t i = 0; i < n; i++)
		tz_value_free(values[i]);
	return tz_value_failed(error);
}

/* The value; or, for an error, a failed one in its place. */
static tz_value unless(int error, tz_value v)
{
	if (error == 0)
		return v;
	tz_value_free(v);
	return tz_value_failed(error);
}

tz_value tz_list_of(const tz_value *values, size_t n)
{
	uint32_t depth = 0;
	int r = look_at(values, n, &depth);

	if (r < 0)
		return refuse_all(values, n, r);
	if (n == 0)
		return tz_empty_list;
	struct list *l = new_list(n);

	if (!l)
		return refuse_all(values, n, -ENOMEM);
	memcpy(l->item, values, n * sizeof *values);
	l->n = n;
	return made_of(TZ_VALUE_LIST, depth, l);
}

/* What a handle is worth another process says differently. */
static bool is_key(const tz_value *key)
{
	return tz_value_depth(key) == 0 && !is(key, TZ_VALUE_POINTER) && !is(key, TZ_VALUE_FD);
}

static int by_key(const void *a, const void *b, void *arg)
{
	const struct dict *d = arg;

	return tz_value_compare(&d->pair[*(const uint32_t *)a].key, &d->pair[*(const uint32_t *)b].key);
}

/* Orders pairs that were put in as they came. -EEXIST: a key is there twice. */
static int sort(struct dict *d)
{
	for (uint32_t i = 0; i < d->n; i++)
		d->order[i] = i;
	qsort_r(d->order, d->n, sizeof *d->order, by_key, d);
	for (uint32_t i = 1; i < d->n; i++)
		if (by_key(&d->order[i - 1], &d->order[i], d) == 0)
			return -EEXIST;
	return 0;
}

static int check_keys(const tz_value *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_key(&values[2 * i]))
			return -EINVAL;
	return 0;
}

tz_value tz_dict_of(const tz_value *values, size_t n)
{
	uint32_t depth = 0;
	int r = look_at(values, 2 * n, &depth);

	if (r == 0)
		r = check_keys(values, n);
	if (r < 0)
		return refuse_all(values, 2 * n, r);
	if (n == 0)
		return tz_empty_dict;
	struct dict *d = new_dict(n);

	if (!d)
		return refuse_all(values, 2 * n, -ENOMEM);
	memcpy(d->pair, values, n * sizeof d->pair[0]);
	d->n = (uint32_t)n;
	tz_value v = made_of(TZ_VALUE_DICT, depth, d);

	return unless(sort(d), v);
}

/* --- copying --------------------------------------------------------------------------------------------------------- */

static tz_value copy_list(const tz_value *v)
{
	const struct list *from = list_of(v);
	struct list *l = new_list(from->n);

	if (!l)
		return tz_value_failed(-ENOMEM);
	tz_value copy = made_of(TZ_VALUE_LIST, v->tz__big, l);

	while (l->n < from->n) {
		tz_value item = tz_value_copy(&from->item[l->n]);
		int error = tz_value_error(&item);

		if (error < 0)
			return unless(error, copy);
		l->item[l->n++] = item;
	}
	return copy;
}

static tz_value copy_dict(const tz_value *v)
{
	const struct dict *from = dict_of(v);
	struct dict *d = new_dict(from->n);

	if (!d)
		return tz_value_failed(-ENOMEM);
	tz_value copy = made_of(TZ_VALUE_DICT, v->tz__big, d);

	memcpy(d->order, from->order, from->n * sizeof *d->order);
	while (d->n < from->n) {
		struct pair *p = &d->pair[d->n++];

		*p = (struct pair){ tz_value_copy(&from->pair[d->n - 1].key), tz_value_copy(&from->pair[d->n - 1].value) };
		int error = tz_value_error(&p->key) < 0 ? tz_value_error(&p->key) : tz_value_error(&p->value);

		if (error < 0)
			return unless(error, copy);
	}
	return copy;
}

tz_value tz_value_copy(const tz_value *v)
{
	switch (tz_value_kind_of(v)) {
	case TZ_VALUE_STRING:
	case TZ_VALUE_BYTES:
		return make_text(tz_value_kind_of(v), text_of(v)->bytes, text_of(v)->size);
	case TZ_VALUE_LIST:
		return tz_value_size(v) ? copy_list(v) : tz_empty_list;
	case TZ_VALUE_DICT:
		return tz_value_size(v) ? copy_dict(v) : tz_empty_dict;
	case TZ_VALUE_POINTER:
	case TZ_VALUE_FD:
		return copy_handle(v);
	case TZ_VALUE_NONE:
		return tz_none;
	case TZ_VALUE_BOOL:
	case TZ_VALUE_INT:
	case TZ_VALUE_DOUBLE:
	case TZ_VALUE_FAILED:
		break;
	}
	return *v;
}

/* --- changing -------------------------------------------------------------------------------------------------------- */

static size_t more_room(size_t room)
{
	return room < 4 ? 4 : room + room / 2;
}

/* Makes room for one more. */
static int widen_list(tz_value *v)
{
	struct list *old = v->tz__is.tz__block;

	if (old && old->n < old->room)
		return 0;
	struct list *l = new_list(more_room(old ? old->room : 0));

	if (!l)
		return -ENOMEM;
	if (old) {
		l->n = old->n;
		memcpy(l->item, old->item, old->n * sizeof old->item[0]);
		free(old);
	}
	v->tz__is.tz__block = l;
	return 0;
}

static int widen_dict(tz_value *v)
{
	struct dict *old = v->tz__is.tz__block;

	if (old && old->n < old->room)
		return 0;
	struct dict *d = new_dict(more_room(old ? old->room : 0));

	if (!d)
		return -ENOMEM;
	if (old) {
		d->n = old->n;
		memcpy(d->pair, old->pair, old->n * sizeof old->pair[0]);
		memcpy(d->order, old->order, old->n * sizeof *old->order);
		free(old->order);
		free(old);
	}
	v->tz__is.tz__block = d;
	return 0;
}

static void deepen(tz_value *v, uint32_t depth)
{
	if (depth > v->tz__big)
		v->tz__big = depth;
}

int tz_value_append(tz_value *list, tz_value element)
{
	uint32_t depth = 0;
	int r = look_at(&element, 1, &depth);

	if (!is(list, TZ_VALUE_LIST))
		r = -EINVAL;
	if (r == 0)
		r = widen_list(list);
	if (r < 0) {
		tz_value_free(element);
		return r;
	}
	struct list *l = list_of(list);

	l->item[l->n++] = element;
	deepen(list, depth);
	return 0;
}

static int put_pair(tz_value *dict, tz_value key, tz_value value)
{
	uint32_t place;

	if (locate(dict_of(dict), &(struct wanted){ .key = &key }, &place)) {
		tz_value *old = &dict_of(dict)->pair[dict_of(dict)->order[place]].value;

		tz_value_free(*old);
		*old = value;
		tz_value_free(key);
		return 0;
	}
	int r = widen_dict(dict);

	if (r < 0)
		return r;
	struct dict *d = dict_of(dict);

	memmove(&d->order[place + 1], &d->order[place], (d->n - place) * sizeof *d->order);
	d->order[place] = d->n;
	d->pair[d->n++] = (struct pair){ key, value };
	return 0;
}

int tz_value_set(tz_value *dict, tz_value key, tz_value value)
{
	uint32_t depth = 0;
	int r = look_at((tz_value[]){ key, value }, 2, &depth);

	if (!is(dict, TZ_VALUE_DICT) || !is_key(&key))
		r = -EINVAL;
	if (r == 0)
		r = put_pair(dict, key, value);
	if (r < 0) {
		tz_value_free(key);
		tz_value_free(value);
		return r;
	}
	deepen(dict, depth);
	return 0;
}

static tz_value take_pair(struct dict *d, uint32_t i)
{
	tz_value value = d->pair[i].value;
	uint32_t kept = 0;

	tz_value_free(d->pair[i].key);
	for (uint32_t at = 0; at < d->n; at++)
		if (d->order[at] != i)
			d->order[kept++] = d->order[at] - (d->order[at] > i);
	memmove(&d->pair[i], &d->pair[i + 1], (d->n - i - 1) * sizeof d->pair[0]);
	d->n--;
	return value;
}

int tz_value_remove(tz_value *v, size_t i, tz_value *ret)
{
	tz_value taken;

	if (!is(v, TZ_VALUE_LIST) && !is(v, TZ_VALUE_DICT))
		return -EINVAL;
	if (i >= tz_value_size(v))
		return -ENOENT;
	if (is(v, TZ_VALUE_DICT)) {
		taken = take_pair(dict_of(v), (uint32_t)i);
	} else {
		struct list *l = list_of(v);

		taken = l->item[i];
		memmove(&l->item[i], &l->item[i + 1], (l->n - i - 1) * sizeof l->item[0]);
		l->n--;
	}
	if (ret)
		*ret = taken;
	else
		tz_value_free(taken);
	return 0;
}

/* --- putting together what comes in pieces --------------------------------------------------------------------------------- */

int tz_value_add_pair(tz_value *dict, tz_value key, tz_value value)
{
	int r = is_key(&key) ? widen_dict(dict) : -EINVAL;

	if (r < 0) {
		tz_value_free(key);
		tz_value_free(value);
		return r;
	}
	struct dict *d = dict_of(dict);

	d->pair[d->n++] = (struct pair){ key, value };
	deepen(dict, tz_value_depth(&value) + 1);
	return 0;
}

int tz_value_sort(tz_value *dict)
{
	return dict->tz__is.tz__block ? sort(dict->tz__is.tz__block) : 0;
}
