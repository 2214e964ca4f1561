/* The wheel of a loop's timers. See timers.h. */
#include "loop/timers.h"

#include <string.h>

_Static_assert(sizeof(struct tz_wheel_timer) <= 48, "it lies in every wait of a coroutine");

enum { BITS = 6, FIRST_SLOT = 1 };

/* --- rings ------------------------------------------------------------------------------------- */

static void append(struct tz_wheel_timer **list, struct tz_wheel_timer *t)
{
	struct tz_wheel_timer *first = *list;

	if (first) {
		t->next = first;
		t->prev = first->prev;
		t->prev->next = t;
		first->prev = t;
	} else {
		t->next = t->prev = t;
		*list = t;
	}
}

static void unlink_from(struct tz_wheel_timer **list, struct tz_wheel_timer *t)
{
	if (t->next == t) {
		*list = NULL;
		return;
	}
	t->prev->next = t->next;
	t->next->prev = t->prev;
	if (*list == t)
		*list = t->next;
}

/* The ring `more` goes after `list`. */
static void join(struct tz_wheel_timer **list, struct tz_wheel_timer *more)
{
	struct tz_wheel_timer *first = *list, *last;

	if (!first) {
		*list = more;
		return;
	}
	last = more->prev;
	first->prev->next = more;
	more->prev = first->prev;
	last->next = first;
	first->prev = last;
}

/* A ring as a chain that ends with NULL; `prev` is not kept. */
static struct tz_wheel_timer *open_ring(struct tz_wheel_timer **list)
{
	struct tz_wheel_timer *first = *list;

	if (first)
		first->prev->next = NULL;
	*list = NULL;
	return first;
}

static struct tz_wheel_timer *close_ring(struct tz_wheel_timer *chain)
{
	struct tz_wheel_timer *t = chain;

	for (; t->next; t = t->next)
		t->next->prev = t;
	t->next = chain;
	chain->prev = t;
	return chain;
}

/* --- order ------------------------------------------------------------------------------------- */

static bool earlier(const struct tz_wheel_timer *a, const struct tz_wheel_timer *b)
{
	return a->when != b->when ? a->when < b->when : a->order < b->order;
}

static bool is_sorted(const struct tz_wheel_timer *ring)
{
	for (const struct tz_wheel_timer *t = ring; t->next != ring; t = t->next)
		if (earlier(t->next, t))
			return false;
	return true;
}

static struct tz_wheel_timer *merge(struct tz_wheel_timer *a, struct tz_wheel_timer *b)
{
	struct tz_wheel_timer *merged, **end = &merged;

	while (a && b) {
		struct tz_wheel_timer **first = earlier(b, a) ? &b : &a;

		*end = *first;
		end = &(*first)->next;
		*first = *end;
	}
	*end = a ? a : b;
	return merged;
}

/* Merge sort; piles[n] has 2^n timers or none, as a chain. */
static struct tz_wheel_timer *sort(struct tz_wheel_timer *ring)
{
	struct tz_wheel_timer *piles[64] = { NULL }, *chain, *all = NULL;
	size_t n;

	if (is_sorted(ring))
		return ring;
	chain = open_ring(&ring);
	while (chain) {
		struct tz_wheel_timer *pile = chain;

		chain = chain->next;
		pile->next = NULL;
		for (n = 0; piles[n]; n++) {
			pile = merge(piles[n], pile);
			piles[n] = NULL;
		}
		piles[n] = pile;
	}
	for (n = 0; n < 64; n++)
		if (piles[n])
			all = all ? merge(piles[n], all) : piles[n];
	return close_ring(all);
}

/* --- slots ------------------------------------------------------------------------------------- */

/* The list for a time. */
static uint32_t place_of(const struct tz_wheel *w, uint64_t when)
{
	unsigned level;

	if (when <= w->base)
		return TZ_WHEEL_LATE;
	level = (63u - (unsigned)__builtin_clzll(when ^ w->base)) / BITS;
	return FIRST_SLOT + level * TZ_WHEEL_SLOTS +
	       ((uint32_t)(when >> (level * BITS)) & (TZ_WHEEL_SLOTS - 1));
}

static void put(struct tz_wheel *w, struct tz_wheel_timer *t, uint32_t place)
{
	if (place < TZ_WHEEL_LATE) {
		if (!w->lists[place]) {
			uint32_t slot = place - FIRST_SLOT;

			w->slots[slot / TZ_WHEEL_SLOTS] |= UINT64_C(1) << slot % TZ_WHEEL_SLOTS;
			w->levels |= UINT32_C(1) << slot / TZ_WHEEL_SLOTS;
			w->bounds[place] = t->when;
		} else if (t->when < w->bounds[place]) {
			w->bounds[place] = t->when;
		}
	}
	append(&w->lists[place], t);
	t->list = place;
}

static void note_empty(struct tz_wheel *w, uint32_t place)
{
	uint32_t slot = place - FIRST_SLOT, level = slot / TZ_WHEEL_SLOTS;

	w->slots[level] &= ~(UINT64_C(1) << slot % TZ_WHEEL_SLOTS);
	if (w->slots[level] == 0)
		w->levels &= ~(UINT32_C(1) << level);
}

static void take_out(struct tz_wheel *w, struct tz_wheel_timer *t)
{
	unlink_from(&w->lists[t->list], t);
	if (t->list < TZ_WHEEL_LATE && !w->lists[t->list])
		note_empty(w, t->list);
}

/* The slot whose timers come first; there is one. */
static uint32_t first_slot(const struct tz_wheel *w)
{
	unsigned level = (unsigned)__builtin_ctz(w->levels);

	return FIRST_SLOT + level * TZ_WHEEL_SLOTS + (unsigned)__builtin_ctzll(w->slots[level]);
}

/* --- for the loop ------------------------------------------------------------------------------ */

void tz_wheel_init(struct tz_wheel *w, uint64_t now)
{
	memset(w, 0, sizeof *w);
	w->base = now;
}

void tz_wheel_set(struct tz_wheel *w, struct tz_wheel_timer *t, uint64_t when,
		  void (*fire)(struct tz_wheel_timer *timer))
{
	bool stays = t->list && t->list != TZ_WHEEL_DUE && (t->list == TZ_WHEEL_LATE ? when >= t->when : when >= w->bounds[t->list]);

	t->when = when;
	t->order = w->set++;
	t->fire = fire;
	if (stays)
		return; /* it is moved when the slot's time comes */
	if (t->list) {
		take_out(w, t);
		w->count--;
	}
	put(w, t, place_of(w, when));
	w->count++;
}

bool tz_wheel_clear(struct tz_wheel *w, struct tz_wheel_timer *t)
{
	if (!t->list)
		return false;
	take_out(w, t);
	t->list = 0;
	w->count--;
	return true;
}

uint64_t tz_wheel_next(const struct tz_wheel *w)
{
	if (w->lists[TZ_WHEEL_LATE])
		return w->base;
	return w->levels ? w->bounds[first_slot(w)] : 0;
}

/* What of a chain is due goes to the end of DUE, in order; the rest to its place. */
static void sort_out(struct tz_wheel *w, struct tz_wheel_timer *chain)
{
	struct tz_wheel_timer *due = NULL, *next;

	for (; chain; chain = next) {
		next = chain->next;
		if (chain->when <= w->base) {
			append(&due, chain);
			chain->list = TZ_WHEEL_DUE;
		} else {
			put(w, chain, place_of(w, chain->when));
		}
	}
	if (due)
		join(&w->lists[TZ_WHEEL_DUE], sort(due));
}

/* Moves `base` on to `now`, if no slot lies across it. */
static void catch_up(struct tz_wheel *w, uint64_t now)
{
	uint32_t slot;
	uint64_t start;

	if (now <= w->base)
		return;
	if (w->levels) {
		slot = first_slot(w);
		start = w->bounds[slot] >> (slot - FIRST_SLOT) / TZ_WHEEL_SLOTS * BITS
						   << (slot - FIRST_SLOT) / TZ_WHEEL_SLOTS * BITS;
		if (start <= now)
			return;
	}
	w->base = now;
}

static void collect(struct tz_wheel *w, uint64_t now)
{
	sort_out(w, open_ring(&w->lists[TZ_WHEEL_LATE]));
	while (w->levels) {
		uint32_t slot = first_slot(w);

		if (w->bounds[slot] > now)
			break;
		w->base = w->bounds[slot];
		note_empty(w, slot);
		sort_out(w, open_ring(&w->lists[slot]));
	}
	catch_up(w, now);
}

size_t tz_wheel_fire(struct tz_wheel *w, uint64_t now)
{
	size_t fired = 0;
	struct tz_wheel_timer *t;

	collect(w, now);
	while ((t = w->lists[TZ_WHEEL_DUE])) {
		unlink_from(&w->lists[TZ_WHEEL_DUE], t);
		t->list = 0;
		w->count--;
		fired++;
		t->fire(t);
	}
	return fired;
}
