/* Shared lists. See trenza/shared_list.h.
 *
 * Design notes
 *
 * Each element has two places, and a word that counts how often it was written: its lowest bit says in which place it is. A writer, which holds the list's lock, writes
 * to the other place, and adds one to the word: that is the moment at which the element has changed. A writer that is killed before has changed nothing,
 * and there is nothing to repair for who gets the lock after it.
 *
 * A reader takes no lock. It reads the word, copies the place, and reads the word again: if that is the same, nobody can have written to that place meanwhile. (A
 * writer of the next round writes there, but the word has changed before.) Places are copied word by word with relaxed atomics: what is torn is thrown away.
 * The release of the word comes after what was written; the reader's fence keeps its second look behind its copy, and the writer's first
 * store to a place comes after a fence that follows the word of the round before.
 *
 * In a place: the size in bytes, then the value as MessagePack. So lengths are stored, and nothing is guessed from what is in it.
 */
#include <trenza/shared_list.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/shared_lock.h>

enum { LEAST = 16 /* any number fits */, WORD = sizeof(uint64_t), STRING_HEAD = 8 };

struct element {
	_Atomic uint64_t written;
	uint64_t at; /* from the beginning of the list: of the first place; the second follows */
	uint64_t room; /* of one place, in bytes, a multiple of 8; the size comes before */
};

struct tz_shared_list {
	tz_shared_lock lock;
	uint64_t n;
	struct element element[];
};

static tz_value failed(int error)
{
	return (tz_value){ TZ_VALUE_FAILED, 0, { .tz__int = error } };
}

static size_t up(size_t n)
{
	return (n + WORD - 1) / WORD * WORD;
}

/* --- places ---------------------------------------------------------------------------------------------------------------- */

static uint64_t *place_of(tz_shared_list *l, const struct element *e, uint64_t written)
{
	return (uint64_t *)(void *)((unsigned char *)l + e->at + (written & 1) * (WORD + e->room));
}

static void write_place(uint64_t *place, const unsigned char *bytes, size_t size)
{
	__atomic_store_n(place, size, __ATOMIC_RELAXED);
	for (size_t i = 0; i < size; i += WORD) {
		uint64_t word = 0;

		memcpy(&word, bytes + i, size - i < WORD ? size - i : WORD);
		__atomic_store_n(place + 1 + i / WORD, word, __ATOMIC_RELAXED);
	}
}

/* The size of what was there; it may be torn. */
static size_t read_place(const uint64_t *place, size_t room, unsigned char *to)
{
	size_t size = __atomic_load_n(place, __ATOMIC_RELAXED);

	for (size_t i = 0; i < size && i < room; i += WORD) {
		uint64_t word = __atomic_load_n(place + 1 + i / WORD, __ATOMIC_RELAXED);

		memcpy(to + i, &word, WORD);
	}
	return size;
}

/* Under the lock. */
static void write_element(tz_shared_list *l, struct element *e, const void *bytes, size_t size)
{
	uint64_t written = atomic_load_explicit(&e->written, memory_order_relaxed);

	atomic_thread_fence(memory_order_release);
	write_place(place_of(l, e, written + 1), bytes, size);
	atomic_store_explicit(&e->written, written + 1, memory_order_release);
}

/* To `to`, which has e->room bytes. */
static size_t read_element(tz_shared_list *l, struct element *e, unsigned char *to)
{
	uint64_t written, again = atomic_load_explicit(&e->written, memory_order_acquire);
	size_t size;

	do {
		written = again;
		size = read_place(place_of(l, e, written), e->room, to);
		atomic_thread_fence(memory_order_acquire);
		again = atomic_load_explicit(&e->written, memory_order_acquire);
	} while (again != written);
	return size;
}

/* --- values ----------------------------------------------------------------------------------------------------------------- */

static int pack(const tz_value *v, void **ret_bytes, size_t *ret_size)
{
	tz_value_kind kind = tz_value_kind_of(v);

	if (kind == TZ_VALUE_LIST || kind == TZ_VALUE_DICT)
		return -EINVAL;
	return kind == TZ_VALUE_FAILED ? tz_value_error(v) : tz_value_pack(v, ret_bytes, ret_size);
}

size_t tz_shared_list_size(const tz_shared_list *l)
{
	return l->n;
}

tz_value tz_shared_list_get(tz_shared_list *l, size_t i)
{
	struct element *e = i < l->n ? &l->element[i] : NULL;
	unsigned char *bytes = e ? malloc(e->room) : NULL;
	tz_value v;
	size_t size;
	int r;

	if (!bytes)
		return failed(e ? -ENOMEM : -ERANGE);
	size = read_element(l, e, bytes);
	r = size <= e->room ? tz_value_unpack(bytes, size, NULL, &v) : -EPROTO;
	free(bytes);
	return r < 0 ? failed(r == -ENOMEM ? r : -EPROTO) : v;
}

/* One that died at it has left nothing half done. */
static int lock_list(tz_shared_list *l)
{
	int r = tz_shared_lock_acquire(&l->lock);

	return r == -EOWNERDEAD ? tz_shared_lock_recover(&l->lock) : r;
}

static int set_bytes(tz_shared_list *l, struct element *e, const void *bytes, size_t size)
{
	int r = size <= e->room ? lock_list(l) : -EMSGSIZE;

	if (r < 0)
		return r;
	write_element(l, e, bytes, size);
	(void)tz_shared_lock_release(&l->lock);
	return 0;
}

int tz_shared_list_set(tz_shared_list *l, size_t i, tz_value value)
{
	void *bytes = NULL;
	size_t size = 0;
	int r = i < l->n ? pack(&value, &bytes, &size) : -ERANGE;

	if (r == 0)
		r = set_bytes(l, &l->element[i], bytes, size);
	free(bytes);
	tz_value_free(value);
	return r;
}

tz_value tz_shared_list_values(tz_shared_list *l)
{
	tz_value all = tz_empty_list;

	for (size_t i = 0; i < l->n; i++) {
		tz_value v = tz_shared_list_get(l, i);
		int r = tz_value_error(&v);

		if (r == 0)
			r = tz_value_append(&all, v);
		if (r < 0) {
			tz_value_free(all);
			return failed(r);
		}
	}
	return all;
}

/* How many equal the value, from `i` on; stops at the first one if `first` is to be told. */
static ptrdiff_t look_for(tz_shared_list *l, const tz_value *value, size_t *first)
{
	ptrdiff_t count = 0;

	for (size_t i = 0; i < l->n; i++) {
		tz_value v = tz_shared_list_get(l, i);
		int r = tz_value_error(&v);
		bool same = r == 0 && tz_value_kind_of(&v) == tz_value_kind_of(value) && tz_value_compare(&v, value) == 0;

		tz_value_free(v);
		if (r < 0)
			return r;
		count += same;
		if (same && first) {
			*first = i;
			break;
		}
	}
	return count;
}

ptrdiff_t tz_shared_list_index(tz_shared_list *l, const tz_value *value)
{
	size_t first = 0;
	ptrdiff_t r = look_for(l, value, &first);

	return r < 0 ? r : r == 0 ? -ENOENT : (ptrdiff_t)first;
}

ptrdiff_t tz_shared_list_count(tz_shared_list *l, const tz_value *value)
{
	return look_for(l, value, NULL);
}

/* --- making one ---------------------------------------------------------------------------------------------------------------- */

struct packed {
	void *bytes;
	size_t size;
};

static int pack_all(const tz_value *values, struct packed *ret, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = pack(tz_value_at(values, i), &ret[i].bytes, &ret[i].size);
	return r;
}

static size_t room_for(size_t size, size_t room)
{
	room = room > SIZE_MAX / 8 ? SIZE_MAX / 8 : room + STRING_HEAD;
	size = size > room ? size : room;
	return up(size > LEAST ? size : LEAST);
}

static int make(tz_shared_list **ret, const struct packed *packed, size_t n, size_t room)
{
	size_t at = up(sizeof **ret + n * sizeof (*ret)->element[0]), size = at;
	tz_shared_list *l;
	void *memory;
	int r;

	for (size_t i = 0; i < n; i++)
		if (__builtin_add_overflow(size, 2 * (WORD + room_for(packed[i].size, room)), &size))
			return -ENOMEM;
	r = tz_shared_alloc_with(&memory, size, NULL);
	if (r < 0)
		return r;
	l = memory;
	l->n = n;
	for (size_t i = 0; i < n; i++) {
		l->element[i].at = at;
		l->element[i].room = room_for(packed[i].size, room);
		at += 2 * (WORD + l->element[i].room);
		write_element(l, &l->element[i], packed[i].bytes, packed[i].size);
	}
	*ret = l;
	return 0;
}

int tz_shared_list_open(tz_shared_list **ret_list, tz_value values, size_t room)
{
	size_t n = tz_value_size(&values);
	struct packed *packed = calloc(n + 1, sizeof *packed);
	int r = packed ? tz_value_error(&values) : -ENOMEM;

	if (r == 0)
		r = tz_value_kind_of(&values) == TZ_VALUE_LIST ? pack_all(&values, packed, n) : -EINVAL;
	if (r == 0)
		r = make(ret_list, packed, n, room);
	for (size_t i = 0; packed && i < n; i++)
		free(packed[i].bytes);
	free(packed);
	tz_value_free(values);
	return r;
}
