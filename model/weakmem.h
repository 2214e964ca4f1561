/* Weak memory for Spin models: the memory of RC11 (C11 without load buffering) as a machine of views.
 *
 * Spin explores interleavings of sequentially consistent processes. A model that includes weakmem.pml reads and
 * writes its shared words through this machine instead, and then also explores what C11 lets threads see.
 *
 * Design notes
 *
 * Atomics. Each location keeps its writes, called messages, in modification order. A view says for each location
 * which is the oldest message that may still be read. A process has three views: `cur`, what it has seen; `acq`,
 * what an acquire fence would add; `rel`, what a relaxed write hands over (its `cur` at the last release fence).
 *   load    reads any message at or after cur (of several with the same value the oldest will do); acquire adds the message's view to
 *           cur, relaxed to acq.
 *   store   puts a message anywhere after cur, not only at the end, yet never between a read-modify-write and what
 *           that read; release attaches cur to it, relaxed attaches rel.
 *   rmw     reads as a load and writes right behind, inheriting the view of what it read: so a release sequence goes
 *           on through the read-modify-writes of every thread, relaxed ones too.
 *   fences  acquire: cur gains acq. release: rel becomes cur. seq_cst: both, and cur is exchanged with a view common
 *           to all such fences, which makes them one order.
 *   seq_cst loads, stores and rmws: besides, one reads, or puts a message behind, nothing older than what the common view says of its location, and
 *           tells the common view of it. That view then says nothing of other locations: a seq_cst access is no fence.
 * Not covered: load buffering (a load that sees a later store of its own thread's future), which no shipping compiler
 * and C11 pair does to us, as no value computed from a relaxed load is stored where that load could depend on it.
 *
 * Plain data (fields that only one thread at a time may touch) have no messages. One bit of each view says "every
 * access so far is known". Touching data without that bit is a data race: wm_data returns 0 and the model asserts.
 *
 * Mutexes are abstract: taking one adds the view of its last holder.
 *
 * Equal futures make equal states: messages that nobody can read any more are dropped and the views renumbered.
 *
 * Whoever includes this file has said ATOMICS, DATA, MUTEXES, PROCESSES (pids are below it) and MESSAGES (the most at one
 * time, of all locations), and users: for each atomic, the set of the pids that use it.
 */
#ifndef WEAKMEM_H
#define WEAKMEM_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* POSITION_BITS for each atomic, from bit 0, which hold a position up to LAST; one bit for each datum, from bit DATA_SHIFT.
 * MOST_CHOICES is what weakmem.pml is ready for. Whatever does not fit ends the exploration by abort. */
typedef uint64_t wm_view;

enum {
	POSITION_BITS = 5 * ATOMICS + DATA <= 64 ? 5 : 4,
	LAST = (1 << POSITION_BITS) - 1,
	DATA_SHIFT = POSITION_BITS * ATOMICS,
	MOST_CHOICES = 12
};
_Static_assert(DATA_SHIFT + DATA <= 64, "a view has 64 bits");

enum { RELAXED = 0, ACQUIRE = 1, RELEASE = 2, ACQ_REL = 3, SEQ_CST = 7 };

enum { WM_LOAD, WM_STORE, WM_CAS, WM_SWAP, WM_ADD, WM_SUB, WM_OR, WM_AND, WM_NEWEST };

struct wm_message {
	wm_view view;
	uint16_t value;
	uint8_t glued; /* a read-modify-write: nothing may come between it and the message before */
} __attribute__((packed));

struct wm {
	struct wm_message message[MESSAGES]; /* by location, and in modification order within a location */
	uint8_t count[ATOMICS];
	wm_view cur[PROCESSES], acq[PROCESSES], rel[PROCESSES], sc;
	wm_view mutex_view[MUTEXES + 1];
} __attribute__((packed));

static inline unsigned view_get(wm_view v, int loc)
{
	return (v >> (POSITION_BITS * loc)) & LAST;
}

static inline wm_view view_set(wm_view v, int loc, unsigned at)
{
	return (v & ~((wm_view)LAST << (POSITION_BITS * loc))) | (wm_view)at << (POSITION_BITS * loc);
}

static inline wm_view view_join(wm_view a, wm_view b)
{
	wm_view r = (a | b) >> (DATA_SHIFT % 64) << (DATA_SHIFT % 64);

	for (int l = 0; l < ATOMICS; l++) {
		unsigned x = view_get(a, l), y = view_get(b, l);

		r |= (wm_view)(x > y ? x : y) << (POSITION_BITS * l);
	}
	return r;
}

static inline void each_view(struct wm *m, wm_view (*fn)(wm_view v, int loc, unsigned at), int loc, unsigned at)
{
	int n = 0;

	for (int l = 0; l < ATOMICS; l++)
		n += m->count[l];
	for (int i = 0; i < n; i++)
		m->message[i].view = fn(m->message[i].view, loc, at);
	for (int p = 0; p < PROCESSES; p++) {
		m->cur[p] = fn(m->cur[p], loc, at);
		m->acq[p] = fn(m->acq[p], loc, at);
		m->rel[p] = fn(m->rel[p], loc, at);
	}
	for (int l = 0; l < MUTEXES; l++)
		m->mutex_view[l] = fn(m->mutex_view[l], loc, at);
	m->sc = fn(m->sc, loc, at);
}

static inline wm_view view_make_room(wm_view v, int loc, unsigned at)
{
	unsigned x = view_get(v, loc);

	return x >= at ? view_set(v, loc, x + 1) : v;
}

static inline wm_view view_drop(wm_view v, int loc, unsigned n)
{
	unsigned x = view_get(v, loc);

	return view_set(v, loc, x > n ? x - n : 0);
}

static inline wm_view view_forget(wm_view v, int datum, unsigned unused)
{
	(void)unused;
	return v & ~((wm_view)1 << (DATA_SHIFT + datum));
}

static inline int first_of(const struct wm *m, int loc)
{
	int i = 0;

	for (int l = 0; l < loc; l++)
		i += m->count[l];
	return i;
}

static inline struct wm_message *message_at(struct wm *m, int loc, unsigned at)
{
	return &m->message[first_of(m, loc) + at];
}

/* Drops the messages of loc that no user of it can read any more. */
static inline void collect(struct wm *m, int loc)
{
	unsigned least = m->count[loc] - 1;

	for (int p = 0; p < PROCESSES; p++)
		if (users[loc] >> p & 1 && view_get(m->cur[p], loc) < least)
			least = view_get(m->cur[p], loc);
	if (least == 0)
		return;

	int first = first_of(m, loc), n = first_of(m, ATOMICS);

	memmove(&m->message[first], &m->message[first + least], (n - first - least) * sizeof(m->message[0]));
	memset(&m->message[n - least], 0, least * sizeof(m->message[0]));
	m->count[loc] -= least;
	m->message[first].glued = 0;
	each_view(m, view_drop, loc, least);
}

/* After p's cur grew: what acq holds beyond cur is all that matters of it. */
static inline void settle(struct wm *m, int p)
{
	wm_view acq = m->acq[p] & ~m->cur[p] & ~(((wm_view)1 << (DATA_SHIFT % 64)) - 1);

	for (int l = 0; l < ATOMICS; l++)
		if (view_get(m->acq[p], l) > view_get(m->cur[p], l))
			acq = view_set(acq, l, view_get(m->acq[p], l));
	m->acq[p] = acq;
	for (int l = 0; l < ATOMICS; l++)
		collect(m, l);
}

static inline void insert(struct wm *m, int loc, unsigned at, unsigned value, int glued)
{
	int i = first_of(m, loc) + at, n = first_of(m, ATOMICS);

	assert(n < MESSAGES && m->count[loc] < LAST);
	if (at < m->count[loc])
		each_view(m, view_make_room, loc, at);
	memmove(&m->message[i + 1], &m->message[i], (n - i) * sizeof(m->message[0]));
	m->message[i] = (struct wm_message){
		.view = view_set(0, loc, at), .value = value, .glued = glued,
	};
	m->count[loc]++;
}

/* All locations hold the given values; everybody knows everything. */
static inline void wm_init(struct wm *m, const uint16_t *values)
{
	wm_view all = DATA ? (((wm_view)1 << DATA) - 1) << (DATA_SHIFT % 64) : 0;

	memset(m, 0, sizeof(*m));
	for (int l = 0; l < ATOMICS; l++) {
		m->message[l] = (struct wm_message){ .view = all, .value = values[l] };
		m->count[l] = 1;
	}
	for (int p = 0; p < PROCESSES; p++)
		m->cur[p] = m->rel[p] = all;
}

/* Whether p may read the same value in an older message. Then there is no need to try the newer one: whoever knows less may do all that
 * whoever knows more may do. */
static inline int is_older(struct wm *m, int p, int loc, unsigned choice)
{
	unsigned from = view_get(m->cur[p], loc);

	for (unsigned c = 0; c < choice; c++)
		if (message_at(m, loc, from + c)->value == message_at(m, loc, from + choice)->value)
			return 1;
	return 0;
}

/* May p read its choice-th message, the oldest that it may read being the 0th, and act on it like this? */
static inline int may_choose(struct wm *m, int p, int loc, unsigned choice, int action, unsigned want)
{
	unsigned at = view_get(m->cur[p], loc) + choice;
	int free_behind = at + 1 >= m->count[loc] || !message_at(m, loc, at + 1)->glued;

	switch (action) {
	case WM_LOAD:
		return !is_older(m, p, loc, choice);
	case WM_NEWEST:
		return at + 1 == m->count[loc];
	case WM_CAS: /* one that fails is a load */
		return message_at(m, loc, at)->value != want ? !is_older(m, p, loc, choice) : free_behind;
	default:
		return free_behind;
	}
}

/* How many messages p may choose among. */
static inline unsigned wm_choices(struct wm *m, int p, int loc, int action, unsigned want, int order)
{
	unsigned n = 0;

	if (order & SEQ_CST & ~ACQ_REL && view_get(m->sc, loc) > view_get(m->cur[p], loc))
		m->cur[p] = view_set(m->cur[p], loc, view_get(m->sc, loc));

	for (unsigned c = 0; view_get(m->cur[p], loc) + c < m->count[loc]; c++)
		n += may_choose(m, p, loc, c, action, want);
	assert(n > 0 && n <= MOST_CHOICES);
	return n;
}

/* The position of the nth of them. */
static inline unsigned chosen(struct wm *m, int p, int loc, unsigned nth, int action, unsigned want)
{
	unsigned c = 0;

	while (!may_choose(m, p, loc, c, action, want) || nth-- > 0)
		c++;
	return view_get(m->cur[p], loc) + c;
}

static inline unsigned read_at(struct wm *m, int p, int loc, unsigned at, int order)
{
	struct wm_message msg = *message_at(m, loc, at);

	m->cur[p] = view_set(m->cur[p], loc, at);
	if (order & ACQUIRE)
		m->cur[p] = view_join(m->cur[p], msg.view);
	else
		m->acq[p] = view_join(m->acq[p], msg.view);
	return msg.value;
}

static inline void write_behind(struct wm *m, int p, int loc, unsigned at, unsigned value, wm_view inherited, int order,
				int glued)
{
	insert(m, loc, at + 1, value, glued);
	m->cur[p] = view_set(m->cur[p], loc, at + 1);
	message_at(m, loc, at + 1)->view =
		view_set(view_join(inherited, order & RELEASE ? m->cur[p] : m->rel[p]), loc, at + 1);
}

/* A load, a store, a read-modify-write or a compare-and-swap; returns what it read. `nth` is one of wm_choices. */
static inline unsigned wm_do(struct wm *m, int p, int loc, unsigned nth, int action, unsigned want, unsigned value,
			     int order, int failure_order)
{
	unsigned at = chosen(m, p, loc, nth, action, want), old = message_at(m, loc, at)->value;

	switch (action) {
	case WM_LOAD:
	case WM_NEWEST:
		read_at(m, p, loc, at, order);
		break;
	case WM_STORE:
		write_behind(m, p, loc, at, value, 0, order, 0);
		break;
	case WM_CAS:
		if (old != want) {
			read_at(m, p, loc, at, failure_order);
			break;
		}
		/* fall through */
	default:
		read_at(m, p, loc, at, order);
		value = action == WM_ADD   ? old + value
			: action == WM_SUB ? old - value
			: action == WM_OR  ? old | value
			: action == WM_AND ? old & value
					   : value;
		write_behind(m, p, loc, at, value & 0xffff, message_at(m, loc, at)->view, order, 1);
	}
	if (order & SEQ_CST & ~ACQ_REL && view_get(m->cur[p], loc) > view_get(m->sc, loc))
		m->sc = view_set(m->sc, loc, view_get(m->cur[p], loc));
	settle(m, p);
	return old;
}

/* The newest value, as the kernel sees it in a futex call. */
static inline unsigned wm_newest(struct wm *m, int loc)
{
	return message_at(m, loc, m->count[loc] - 1u)->value;
}

static inline void wm_acquire_fence(struct wm *m, int p)
{
	m->cur[p] = view_join(m->cur[p], m->acq[p]);
	settle(m, p);
}

static inline void wm_release_fence(struct wm *m, int p)
{
	m->rel[p] = m->cur[p];
}

static inline void wm_seq_cst_fence(struct wm *m, int p)
{
	m->cur[p] = view_join(view_join(m->cur[p], m->acq[p]), m->sc);
	m->sc = m->rel[p] = m->cur[p];
	settle(m, p);
}

/* p touches plain data: 0 if some earlier access does not happen before this one. */
static inline int wm_data(struct wm *m, int p, int datum)
{
	wm_view bit = (wm_view)1 << ((DATA_SHIFT + datum) % 64);
	int known = (m->cur[p] & bit) != 0;

	each_view(m, view_forget, datum, 0);
	m->cur[p] |= bit;
	return known;
}

static inline void wm_lock(struct wm *m, int p, int mutex)
{
	m->cur[p] = view_join(m->cur[p], m->mutex_view[mutex]);
	settle(m, p);
}

static inline void wm_unlock(struct wm *m, int p, int mutex)
{
	m->mutex_view[mutex] = m->cur[p];
}

/* p reads and writes nothing more. */
static inline void wm_exit(struct wm *m, int p)
{
	for (int l = 0; l < ATOMICS; l++)
		m->cur[p] = view_set(m->cur[p], l, m->count[l] - 1u);
	m->acq[p] = m->rel[p] = 0;
	settle(m, p);
}

#endif
