/* Strand-local values: the keys, and each strand's table of values.
 *
 * Design notes. A key is an index into the strands' tables and a generation, in one 64-bit number
 * that is 0 until the key is used for the first time. An index is used again after tz_local_done,
 * but for one that has no generation left; a value of an earlier generation counts as none. Each
 * strand has its table to itself: two words for each index, the value and its generation. The lock
 * guards the list of keys, which is looked at when a key is made or ended and when a strand ends;
 * never by a mere get or set.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/local.h>

#include "core/strand.h"
#include "os/mutex.h"

enum { ROUNDS = 4, FIRST_ROOM = 8 };

struct key {
	uint32_t generation;
	bool used;
	void (*destroy)(void *value);
};

static struct {
	struct tz_mutex lock;
	struct key *list; /* never freed: strands end until the very last */
	uint32_t length, room;
} keys;

/* Keys */

static uint32_t index_of(uint64_t key)
{
	return (uint32_t)key - 1;
}

static void *generation_of(uint64_t key)
{
	return (void *)(uintptr_t)(key >> 32);
}

static struct key *find_unused(void)
{
	for (uint32_t i = 0; i < keys.length; i++)
		if (!keys.list[i].used && keys.list[i].generation < UINT32_MAX)
			return &keys.list[i];
	if (keys.length == keys.room) {
		uint32_t room = keys.room ? keys.room * 2 : FIRST_ROOM;
		struct key *grown = realloc(keys.list, room * sizeof *grown);

		if (!grown)
			return NULL;
		keys.list = grown;
		keys.room = room;
	}
	struct key *k = &keys.list[keys.length++];

	k->generation = 0;
	return k;
}

static uint64_t make_key(tz_local *l)
{
	uint64_t key = 0;

	tz_mutex_lock(&keys.lock);
	if (l->tz__key) {
		key = l->tz__key; /* another strand was here first */
	} else {
		struct key *k = find_unused();

		if (k) {
			k->used = true;
			k->generation++;
			k->destroy = l->tz__destroy;
			key = (uint64_t)k->generation << 32 | (uint64_t)(k - keys.list + 1);
			__atomic_store_n(&l->tz__key, key, __ATOMIC_RELEASE);
		}
	}
	tz_mutex_unlock(&keys.lock);
	return key;
}

/* 0: out of memory. */
static uint64_t key_of(tz_local *l)
{
	uint64_t key = __atomic_load_n(&l->tz__key, __ATOMIC_ACQUIRE);

	return key ? key : make_key(l);
}

void tz_local_init(tz_local *l, void *(*make)(void *arg), void (*destroy)(void *value), void *arg)
{
	tz_local fresh = { make, destroy, arg, 0 };

	*l = fresh;
}

void tz_local_done(tz_local *l)
{
	if (l->tz__key) {
		tz_mutex_lock(&keys.lock);
		keys.list[index_of(l->tz__key)].used = false;
		tz_mutex_unlock(&keys.lock);
	}
	memset(l, 0, sizeof *l);
}

/* Values */

/* The two words of a key in self's table: value and generation; NULL if the table does not reach so
 * far. */
static void **slot_of(struct tz_strand *self, uint64_t key)
{
	uint32_t i = index_of(key);

	return i < self->nlocals ? &self->locals[2 * (size_t)i] : NULL;
}

static void **make_slot(struct tz_strand *self, uint64_t key)
{
	uint32_t i = index_of(key), n = self->nlocals ? self->nlocals : FIRST_ROOM;

	if (i < self->nlocals)
		return slot_of(self, key);
	while (n <= i)
		n *= 2;
	void **grown = realloc(self->locals, 2 * (size_t)n * sizeof *grown);

	if (!grown)
		return NULL;
	memset(grown + 2 * (size_t)self->nlocals, 0,
	       2 * (size_t)(n - self->nlocals) * sizeof *grown);
	self->locals = grown;
	self->nlocals = n;
	return slot_of(self, key);
}

static int set(struct tz_strand *self, uint64_t key, void *value)
{
	void **slot = key ? make_slot(self, key) : NULL;

	if (!slot)
		return -ENOMEM;
	slot[0] = value;
	slot[1] = generation_of(key);
	return 0;
}

int tz_local_set(tz_local *l, void *value)
{
	return set(tz_strand_self(), key_of(l), value);
}

static void *make_value(struct tz_strand *self, tz_local *l, uint64_t key)
{
	void *value = l->tz__make ? l->tz__make(l->tz__arg) : NULL;

	if (value && set(self, key, value) < 0) {
		if (l->tz__destroy)
			l->tz__destroy(value);
		return NULL;
	}
	return value;
}

void *tz_local_get(tz_local *l)
{
	struct tz_strand *self = tz_strand_self();
	uint64_t key = key_of(l);

	if (!key)
		return NULL;
	void **slot = slot_of(self, key);

	if (slot && slot[0] && slot[1] == generation_of(key))
		return slot[0];
	return make_value(self, l, key);
}

/* The end of a strand */

static void (*destructor(uint32_t i, void *generation))(void *value)
{
	void (*destroy)(void *value) = NULL;

	tz_mutex_lock(&keys.lock);
	if (keys.list[i].used && (void *)(uintptr_t)keys.list[i].generation == generation)
		destroy = keys.list[i].destroy;
	tz_mutex_unlock(&keys.lock);
	return destroy;
}

/* Whether there was anything to destroy, and so may be again. */
static bool destroy_values(struct tz_strand *strand)
{
	bool any = false;

	for (uint32_t i = 0; i < strand->nlocals; i++) {
		void **slot = &strand->locals[2 * (size_t)i], *value = slot[0];
		void (*destroy)(void *) = value ? destructor(i, slot[1]) : NULL;

		slot[0] = NULL;
		if (destroy) {
			destroy(value); /* may move the table */
			any = true;
		}
	}
	return any;
}

static void at_exit(struct tz_strand *strand)
{
	for (int round = 0; round < ROUNDS && destroy_values(strand); round++)
		;
	free(strand->locals);
	strand->locals = NULL;
	strand->nlocals = 0;
}

/* A fork must not happen while the list moves: the child would have neither the old nor the new. */
TZ_KEEP_OVER_FORKS(keys.lock);

__attribute__((constructor)) static void set_up(void)
{
	tz_strand_at_exit(at_exit);
}
