/* Lanes. See lane.h. */
#include "arena/lane.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/atomic.h"
#include "os/clock.h"
#include "os/cpu.h"

#define MAGIC 0x656e616c7a6e7274u /* "trnzlane" */

/* The number of the first task: numbers wrap in the life of every lane that is used at all. */
#define FIRST ((uint32_t)-300)

enum place { PLACE_SLOT, PLACE_SIDE, PLACE_SEGMENT };

enum { SLOT_LOST = 1 }; /* a reply's mark: the worker has lost a segment */

struct slot {
	struct tz_lane_what what;
	uint32_t size; /* of a payload that is not in a segment */
	uint8_t place; /* an enum place */
	uint8_t nrefs;
	uint8_t marks;
	uint8_t reserved;
	union {
		unsigned char bytes[TZ_LANE_INLINE];
		struct {
			struct tz_table_name name;
			uint64_t size;
		} segment;
	};
};
_Static_assert(sizeof(struct slot) == 64, "a slot is one cache line");

struct side {
	unsigned char bytes[TZ_LANE_SIDE];
	struct tz_table_name refs[TZ_LANE_REFS];
};
_Static_assert(sizeof(struct side) == 1024, "they are in step with the pages");

struct tz_lane {
	uint64_t magic;
	uint32_t size;
	/* Both ends'. */
	_Alignas(64) _Atomic uint64_t work; /* {published:32, claimed:32} */
	/* The parent's. */
	_Alignas(64) struct tz_bell bell; /* the worker sleeps on it */
	_Atomic uint32_t ended, no_spinning;
	_Atomic uint64_t woken_ticks; /* when and where it was last woken */
	_Atomic int woken_cpu;
	_Alignas(64) struct tz_bell attendant;
	_Atomic uint64_t cancel; /* {why:32, number:32} */
	_Alignas(64) _Atomic uint32_t returned[TZ_TABLE_ENTRIES];
	/* The worker's. */
	_Alignas(64) _Atomic uint32_t done;
	_Alignas(64) _Atomic uint64_t begun; /* ticks, of task number `running` */
	_Atomic uint32_t running;
	_Atomic uint64_t rung_ticks; /* when and where it last woke the parent */
	_Atomic int rung_cpu;
	/* Whose turn it is. */
	_Alignas(64) struct slot slots[TZ_LANE_SLOTS];
	struct side sides[TZ_LANE_SLOTS];
};

static uint32_t claimed_of(uint64_t work)
{
	return (uint32_t)work;
}

static uint32_t published_of(uint64_t work)
{
	return (uint32_t)(work >> 32);
}

static uint64_t work_of(uint32_t published, uint32_t claimed)
{
	return (uint64_t)published << 32 | claimed;
}

static struct slot *slot_of(struct tz_lane *lane, uint32_t number)
{
	return &lane->slots[number % TZ_LANE_SLOTS];
}

static struct side *side_of(struct tz_lane *lane, uint32_t number)
{
	return &lane->sides[number % TZ_LANE_SLOTS];
}

/* --- payloads ---------------------------------------------------------------------------------------------------------- */

static int write_refs(struct tz_table *out, struct side *side, const struct tz_lane_load *load, uint32_t number)
{
	int r = 0;

	for (unsigned i = 0; i < load->nrefs && r == 0; i++)
		r = tz_table_name(out, load->refs[i], number + 1, &side->refs[i]);
	return r;
}

static int write_whole(struct tz_table *out, struct slot *slot, const struct tz_lane_load *load, uint32_t number)
{
	struct tz_table_name name;
	int r = tz_table_name(out, load->whole, number + 1, &name);

	if (r < 0)
		return r;
	slot->place = PLACE_SEGMENT;
	slot->segment.name = name;
	slot->segment.size = load->size;
	return 0;
}

static void write_placed(struct slot *slot, const struct tz_lane_load *load)
{
	slot->place = PLACE_SEGMENT;
	slot->segment.name = *load->placed;
	slot->segment.size = load->size;
}

static int write_copy(struct tz_table *out, struct slot *slot, const struct tz_lane_load *load, uint32_t number)
{
	struct tz_table_name name;
	void *bytes;
	int r = tz_table_copy(out, load->size, number + 1, &bytes, &name);

	if (r < 0)
		return r;
	memcpy(bytes, load->bytes, load->size);
	slot->place = PLACE_SEGMENT;
	slot->segment.name = name;
	slot->segment.size = load->size;
	return 0;
}

static void write_small(struct slot *slot, struct side *side, const struct tz_lane_load *load)
{
	bool fits = load->size <= TZ_LANE_INLINE && load->align <= 8;

	slot->place = fits ? PLACE_SLOT : PLACE_SIDE;
	slot->size = (uint32_t)load->size;
	if (load->size > 0)
		memcpy(fits ? slot->bytes : side->bytes, load->bytes, load->size);
}

/* Writes what and load into a slot. If it fails, nobody looks at what is in the slot by then. */
static int write_slot(struct tz_lane *lane, uint32_t number, struct tz_table *out, const struct tz_lane_what *what,
		      const struct tz_lane_load *load)
{
	struct slot *slot = slot_of(lane, number);
	struct side *side = side_of(lane, number);
	int r = 0;

	if (load->nrefs > TZ_LANE_REFS)
		return -EMSGSIZE;
	if (load->nrefs > 0)
		r = write_refs(out, side, load, number);
	if (r < 0)
		return r;
	if (load->placed)
		write_placed(slot, load);
	else if (load->whole)
		r = write_whole(out, slot, load, number);
	else if (load->size > TZ_LANE_SIDE)
		r = write_copy(out, slot, load, number);
	else
		write_small(slot, side, load);
	if (r < 0)
		return r;
	slot->what = *what;
	slot->nrefs = (uint8_t)load->nrefs;
	slot->marks = 0;
	return 0;
}

static bool uses_segments(const struct tz_lane_load *load)
{
	return load->whole || load->nrefs > 0 || load->size > TZ_LANE_SIDE;
}

/* What is in a slot: `head` is the slot itself, or a copy of it. */
static int read_segments(const struct slot *head, const struct tz_table_name *refs, struct tz_table *in, struct tz_lane_mail *ret)
{
	int r = 0, e;

	if (head->nrefs > TZ_LANE_REFS)
		return -EPROTO;
	for (unsigned i = 0; i < head->nrefs; i++) {
		e = tz_table_look_up(in, refs[i], false, 0, &ret->refs[i]);
		if (e < 0 && r != -EPROTO)
			r = e;
	}
	ret->nrefs = head->nrefs;
	if (head->place != PLACE_SEGMENT || r < 0)
		return r;
	r = tz_table_look_up(in, head->segment.name, true, head->segment.size, &ret->whole);
	if (r < 0)
		return r;
	ret->bytes = ret->whole->base;
	ret->size = head->segment.size;
	return 0;
}

/* --- the parent's end --------------------------------------------------------------------------------------------------- */

static int make_lane(struct tz_lane_parent *p)
{
	void *lane = NULL;
	int fd = tz_segment_file("trenza-lane", sizeof(struct tz_lane)), r;

	if (fd < 0)
		return fd;
	r = tz_segment_map(fd, sizeof(struct tz_lane), true, &lane);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	p->fd = fd;
	p->lane = lane;
	p->lane->magic = MAGIC;
	p->lane->size = sizeof(struct tz_lane);
	p->put = p->done = FIRST;
	atomic_store_explicit(&p->published, FIRST, memory_order_relaxed);
	atomic_store_explicit(&p->collected, FIRST, memory_order_relaxed);
	atomic_store_explicit(&p->lane->work, work_of(FIRST, FIRST), memory_order_relaxed);
	atomic_store_explicit(&p->lane->done, FIRST, memory_order_relaxed);
	(void)madvise(lane, sizeof(struct tz_lane), MADV_DONTFORK); /* children have no business here */
	return 0;
}

int tz_lane_open(struct tz_lane_parent *ret)
{
	int sockets[2], r;

	memset(ret, 0, sizeof *ret);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	r = make_lane(ret);
	if (r < 0) {
		(void)close(sockets[0]);
		(void)close(sockets[1]);
		return r;
	}
	ret->in.parent = ret->out.parent = true;
	ret->in.socket = ret->out.socket = sockets[0];
	ret->in.returned = ret->lane->returned;
	ret->far_socket = sockets[1];
	return 0;
}

void tz_lane_fds(const struct tz_lane_parent *p, int ret_fds[2])
{
	ret_fds[0] = p->fd;
	ret_fds[1] = p->far_socket;
}

void tz_lane_close_fds(struct tz_lane_parent *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	if (p->far_socket >= 0)
		(void)close(p->far_socket);
	p->fd = p->far_socket = -1;
}

void tz_lane_close(struct tz_lane_parent *p)
{
	if (!p->lane)
		return;
	tz_lane_close_fds(p);
	(void)close(p->out.socket);
	tz_table_done(&p->out);
	tz_table_done(&p->in);
	(void)munmap(p->lane, sizeof *p->lane);
	p->lane = NULL;
}

uint32_t tz_lane_room(const struct tz_lane_parent *p)
{
	return TZ_LANE_SLOTS - (p->put - atomic_load_explicit(&p->collected, memory_order_acquire));
}

static void settle(struct tz_lane_parent *p)
{
	if (atomic_load_explicit(&p->worker_lost, memory_order_relaxed) &&
	    atomic_exchange_explicit(&p->worker_lost, false, memory_order_relaxed))
		tz_table_forget(&p->out);
	tz_table_settle(&p->out, atomic_load_explicit(&p->collected, memory_order_acquire));
}

int tz_lane_put(struct tz_lane_parent *p, const struct tz_lane_what *what, const struct tz_lane_load *load)
{
	int r;

	if (tz_lane_room(p) == 0)
		return -EAGAIN;
	if (uses_segments(load))
		settle(p);
	r = write_slot(p->lane, p->put, &p->out, what, load);
	if (r == 0)
		p->put++;
	return r;
}

/* Wakes who sleeps, and leaves when and where that was. */
static void ring(struct tz_bell *bell, _Atomic uint64_t *ret_ticks, _Atomic int *ret_cpu)
{
	struct tz_moment now;

	if (!atomic_load_explicit(&bell->asleep, memory_order_seq_cst))
		return;
	now = tz_moment_now();
	atomic_store_explicit(ret_ticks, now.ticks, memory_order_relaxed);
	atomic_store_explicit(ret_cpu, now.cpu, memory_order_relaxed);
	(void)tz_bell_ring(bell);
}

static void ring_worker(struct tz_lane *lane)
{
	ring(&lane->bell, &lane->woken_ticks, &lane->woken_cpu);
}

void tz_lane_publish(struct tz_lane_parent *p)
{
	uint32_t published = atomic_load_explicit(&p->published, memory_order_relaxed), n = p->put - published;
	uint64_t before;

	if (n == 0)
		return;
	/* First: who collects must know of it when the result is there. */
	atomic_store_explicit(&p->published, p->put, memory_order_relaxed);
	before = atomic_fetch_add_explicit(&p->lane->work, (uint64_t)n << 32, memory_order_seq_cst);
	if (published_of(before) != published)
		atomic_store_explicit(&p->broken, true, memory_order_relaxed);
	ring_worker(p->lane);
}

/* How many tasks a word says that the worker has not begun; 0 if that cannot be. */
static uint32_t unclaimed(const struct tz_lane_parent *p, uint64_t work)
{
	uint32_t n = published_of(work) - claimed_of(work);

	return n <= TZ_LANE_SLOTS && published_of(work) == atomic_load_explicit(&p->published, memory_order_relaxed) ? n : 0;
}

uint32_t tz_lane_retract(struct tz_lane_parent *p, uint32_t n)
{
	uint64_t work = atomic_load_explicit(&p->lane->work, memory_order_relaxed), less;
	uint32_t can;

	do {
		can = unclaimed(p, work);
		can = n < can ? n : can;
		if (can == 0)
			return 0;
		less = work_of(published_of(work) - can, claimed_of(work));
	} while (!atomic_compare_exchange_weak_explicit(&p->lane->work, &work, less, memory_order_relaxed, memory_order_relaxed));
	p->put = published_of(less);
	atomic_store_explicit(&p->published, p->put, memory_order_relaxed);
	tz_table_retract(&p->out, p->put);
	return can;
}

uint32_t tz_lane_waiting(const struct tz_lane_parent *p)
{
	return unclaimed(p, atomic_load_explicit(&p->lane->work, memory_order_relaxed));
}

bool tz_lane_has_result(const struct tz_lane_parent *p)
{
	return atomic_load_explicit(&p->lane->done, memory_order_seq_cst) != atomic_load_explicit(&p->collected, memory_order_relaxed);
}

static int broken(struct tz_lane_parent *p)
{
	atomic_store_explicit(&p->broken, true, memory_order_relaxed);
	return -EPROTO;
}

/* Looks how many results there are: whether there is one. */
static int look(struct tz_lane_parent *p, uint32_t collected)
{
	uint32_t done = atomic_load_explicit(&p->lane->done, memory_order_acquire);

	if (done - collected > atomic_load_explicit(&p->published, memory_order_relaxed) - collected)
		return broken(p);
	p->done = done;
	return done != collected;
}

/* The small payload of a result, copied: it does not change any more while it is looked at. */
static int copy_small(struct tz_lane_parent *p, uint32_t number, const struct slot *head, struct tz_lane_mail *ret)
{
	bool in_slot = head->place == PLACE_SLOT;

	if (head->place > PLACE_SIDE || head->size > (in_slot ? TZ_LANE_INLINE : TZ_LANE_SIDE))
		return -EPROTO;
	memcpy(p->copy, in_slot ? head->bytes : side_of(p->lane, number)->bytes, head->size);
	ret->bytes = p->copy;
	ret->size = head->size;
	return 0;
}

/* What the result names, which is to be returned when it has been collected. */
static int copy_names(struct tz_lane_parent *p, uint32_t number, const struct slot *head)
{
	if (head->nrefs > TZ_LANE_REFS)
		return -EPROTO;
	memcpy(p->name, side_of(p->lane, number)->refs, head->nrefs * sizeof *p->name);
	p->named = head->nrefs;
	if (head->place == PLACE_SEGMENT)
		p->name[p->named++] = head->segment.name;
	return 0;
}

static int read_result(struct tz_lane_parent *p, uint32_t number, const struct slot *head, struct tz_lane_mail *ret)
{
	int r;

	if (head->marks & SLOT_LOST)
		atomic_store_explicit(&p->worker_lost, true, memory_order_relaxed);
	p->named = 0;
	if (head->place != PLACE_SEGMENT) {
		r = copy_small(p, number, head, ret);
		if (r < 0 || head->nrefs == 0)
			return r;
	}
	r = copy_names(p, number, head);
	return r < 0 ? r : read_segments(head, p->name, &p->in, ret);
}

int tz_lane_collect(struct tz_lane_parent *p, struct tz_lane_mail *ret)
{
	uint32_t collected = atomic_load_explicit(&p->collected, memory_order_relaxed);
	struct slot head;
	int r;

	if (atomic_load_explicit(&p->broken, memory_order_relaxed))
		return -EPROTO;
	if (p->done == collected) {
		r = look(p, collected);
		if (r <= 0)
			return r;
	}
	head = *slot_of(p->lane, collected);
	ret->number = collected;
	ret->what = head.what;
	ret->bytes = ret->whole = NULL;
	ret->size = ret->nrefs = 0;
	r = read_result(p, collected, &head, ret);
	return r == 0 ? 1 : r == -EPROTO ? broken(p) : r;
}

void tz_lane_collected(struct tz_lane_parent *p)
{
	uint32_t collected = atomic_load_explicit(&p->collected, memory_order_relaxed);

	if (p->named > 0) {
		tz_table_return_rest(&p->in);
		for (unsigned i = 0; i < p->named; i++)
			tz_table_return(&p->in, p->name[i]);
		p->named = 0;
	}
	/* What was read of the slot was read before who puts writes there. */
	atomic_store_explicit(&p->collected, collected + 1, memory_order_release);
}

struct tz_moment tz_lane_rung(const struct tz_lane_parent *p)
{
	struct tz_moment m = {
		.ticks = atomic_load_explicit(&p->lane->rung_ticks, memory_order_relaxed),
		.cpu = atomic_load_explicit(&p->lane->rung_cpu, memory_order_relaxed),
	};

	return m;
}

uint64_t tz_lane_ran(const struct tz_lane_parent *p, uint32_t number)
{
	uint64_t begun = atomic_load_explicit(&p->lane->begun, memory_order_relaxed);
	uint32_t running = atomic_load_explicit(&p->lane->running, memory_order_acquire);
	int64_t ticks = (int64_t)(tz_clock_ticks() - begun);

	return begun == 0 || running != number + 1 || ticks <= 0 ? 0 : (uint64_t)ticks / tz_clock_ticks_per_us() * 1000 + 1;
}

void tz_lane_classify(struct tz_lane_parent *p, struct tz_lane_end *ret)
{
	uint64_t work = atomic_load_explicit(&p->lane->work, memory_order_acquire);
	uint32_t published = atomic_load_explicit(&p->published, memory_order_relaxed), claimed = claimed_of(work);
	uint32_t collected = atomic_load_explicit(&p->collected, memory_order_relaxed);
	bool sane = !atomic_load_explicit(&p->broken, memory_order_relaxed) && published_of(work) == published &&
		    atomic_load_explicit(&p->lane->done, memory_order_relaxed) == collected && claimed - collected <= 1 &&
		    claimed - collected <= published - collected;

	ret->broken = !sane;
	ret->blamed = sane ? claimed != collected : published != collected;
	ret->first = collected + ret->blamed;
	ret->left = published - ret->first;
}

bool tz_lane_cancel(struct tz_lane_parent *p, uint32_t number, uint32_t why)
{
	uint32_t claimed = claimed_of(atomic_load_explicit(&p->lane->work, memory_order_relaxed));
	uint32_t done = atomic_load_explicit(&p->lane->done, memory_order_relaxed);

	if ((int32_t)(claimed - number) <= 0 || (int32_t)(done - number) > 0)
		return false;
	tz_store_seq_cst(&p->lane->cancel, (uint64_t)why << 32 | number);
	(void)tz_bell_ring(&p->lane->attendant);
	return true;
}

void tz_lane_end(struct tz_lane_parent *p)
{
	tz_store_seq_cst(&p->lane->ended, 1);
	ring_worker(p->lane);
}

void tz_lane_allow_spinning(struct tz_lane_parent *p, bool may)
{
	atomic_store_explicit(&p->lane->no_spinning, !may, memory_order_relaxed);
}

/* --- the worker's end --------------------------------------------------------------------------------------------------- */

int tz_lane_join(struct tz_lane_worker *ret, const int fds[2], struct tz_bell *parent)
{
	void *lane = NULL;
	int r;

	memset(ret, 0, sizeof *ret);
	r = tz_segment_map(fds[0], sizeof(struct tz_lane), true, &lane);
	(void)close(fds[0]);
	ret->lane = lane;
	if (r == 0 && (ret->lane->magic != MAGIC || ret->lane->size != sizeof(struct tz_lane))) {
		(void)munmap(lane, sizeof(struct tz_lane));
		ret->lane = NULL;
		r = -EPROTO;
	}
	if (r < 0) {
		(void)close(fds[1]);
		return r;
	}
	ret->parent = parent;
	ret->done = atomic_load_explicit(&ret->lane->done, memory_order_relaxed);
	ret->in.socket = ret->out.socket = fds[1];
	ret->out.returned = ret->lane->returned;
	return 0;
}

void tz_lane_leave(struct tz_lane_worker *w)
{
	if (!w->lane)
		return;
	tz_table_done(&w->in);
	tz_table_done(&w->out);
	(void)close(w->in.socket);
	(void)munmap(w->lane, sizeof *w->lane);
	w->lane = NULL;
}

/* Claims the oldest task, if there is one. */
static bool claim(struct tz_lane *lane)
{
	uint64_t work = atomic_load_explicit(&lane->work, memory_order_relaxed);

	while (claimed_of(work) != published_of(work))
		if (atomic_compare_exchange_weak_explicit(&lane->work, &work, work_of(published_of(work), claimed_of(work) + 1),
							  memory_order_acquire, memory_order_relaxed))
			return true;
	return false;
}

static bool has_work(struct tz_lane *lane)
{
	uint64_t work = atomic_load_explicit(&lane->work, memory_order_seq_cst);

	return claimed_of(work) != published_of(work);
}

static bool is_ended(struct tz_lane *lane)
{
	return atomic_load_explicit(&lane->ended, memory_order_seq_cst) != 0;
}

/* How many ticks to spin for the next task. */
static uint32_t spin_ticks(struct tz_lane_worker *w)
{
	if (atomic_load_explicit(&w->lane->no_spinning, memory_order_relaxed) || !tz_spin_allowed())
		return 0;
	return tz_patience_ask(&w->patience);
}

static bool spin(struct tz_lane *lane, uint32_t ticks)
{
	struct tz_spin s = tz_spin_begin(ticks);

	do {
		if (has_work(lane) || is_ended(lane))
			return true;
	} while (tz_spin_turn(&s, 8));
	return false;
}

static void sleep_once(struct tz_lane *lane, uint64_t deadline_ns)
{
	tz_bell_lie_down(&lane->bell);
	if (!has_work(lane) && !is_ended(lane))
		tz_bell_sleep(&lane->bell, deadline_ns);
	tz_bell_get_up(&lane->bell);
}

/* When and where the sleeper was woken. */
static struct tz_moment woken(struct tz_lane *lane)
{
	struct tz_moment m = {
		.ticks = atomic_load_explicit(&lane->woken_ticks, memory_order_relaxed),
		.cpu = atomic_load_explicit(&lane->woken_cpu, memory_order_relaxed),
	};

	return m;
}

/* It has slept, and there is work. */
static void learn(struct tz_lane_worker *w, struct tz_moment begun, struct tz_moment woken)
{
	if ((int64_t)(woken.ticks - begun.ticks) > 0)
		tz_patience_pay(&w->patience, (int64_t)(tz_clock_ticks() - woken.ticks));
	tz_patience_learn(&w->patience, begun, woken, true);
}

/* Waits until there is work, or was a moment ago: 0, -ETIMEDOUT, or -EPIPE. */
static int wait_for_work(struct tz_lane_worker *w, uint64_t deadline_ns)
{
	struct tz_moment begun = tz_moment_now();
	uint32_t ticks = spin_ticks(w);
	bool slept = !ticks || !spin(w->lane, ticks);

	if (!slept) {
		tz_patience_learn(&w->patience, begun, tz_moment_now(), false);
	} else {
		while (!has_work(w->lane) && !is_ended(w->lane)) {
			if (deadline_ns && tz_clock_now() >= deadline_ns)
				return -ETIMEDOUT;
			sleep_once(w->lane, deadline_ns);
		}
		learn(w, begun, woken(w->lane));
	}
	/* The parent publishes first and ends then. Work that was there may have been taken back: then it is to be waited for again. */
	return is_ended(w->lane) && !has_work(w->lane) ? -EPIPE : 0;
}

static int read_task(struct tz_lane_worker *w, struct tz_lane_mail *ret)
{
	struct slot *slot = slot_of(w->lane, w->done);
	struct side *side = side_of(w->lane, w->done);

	ret->number = w->done;
	ret->what = slot->what;
	ret->whole = NULL;
	ret->nrefs = 0;
	ret->bytes = slot->place == PLACE_SLOT ? slot->bytes : side->bytes;
	ret->size = slot->size;
	if (slot->place != PLACE_SEGMENT && slot->nrefs == 0)
		return 0;
	return read_segments(slot, side->refs, &w->in, ret);
}

int tz_lane_claim(struct tz_lane_worker *w, uint64_t deadline_ns, struct tz_lane_mail *ret)
{
	int r;

	while (!claim(w->lane)) {
		r = wait_for_work(w, deadline_ns);
		if (r < 0)
			return r;
	}
	w->begun = tz_clock_ticks();
	atomic_store_explicit(&w->lane->begun, w->begun, memory_order_relaxed);
	atomic_store_explicit(&w->lane->running, w->done + 1, memory_order_release);
	tz_table_settle(&w->out, 0);
	return read_task(w, ret);
}

int tz_lane_reply_room(struct tz_lane_worker *w, size_t size, void **ret_bytes, struct tz_table_name *ret_placed)
{
	return tz_table_copy(&w->out, size, w->done + 1, ret_bytes, ret_placed);
}

int tz_lane_reply(struct tz_lane_worker *w, const struct tz_lane_what *what, const struct tz_lane_load *load)
{
	int r = write_slot(w->lane, w->done, &w->out, what, load);

	if (r < 0)
		return r;
	if (w->in.lost) {
		slot_of(w->lane, w->done)->marks = SLOT_LOST;
		w->in.lost = false;
	}
	w->done++;
	tz_store_seq_cst(&w->lane->done, w->done);
	ring(w->parent, &w->lane->rung_ticks, &w->lane->rung_cpu);
	return 0;
}

void tz_lane_drop_fds(struct tz_lane_worker *w, uint32_t sent)
{
	tz_table_drop_fds(&w->in, sent);
}

/* A new wish, or a call. */
static bool is_attendant_wanted(struct tz_lane_worker *w, uint64_t last)
{
	return atomic_load_explicit(&w->lane->cancel, memory_order_seq_cst) != last ||
	       atomic_load_explicit(&w->attendant_called, memory_order_seq_cst);
}

uint64_t tz_lane_attend(struct tz_lane_worker *w, uint64_t last)
{
	while (!is_attendant_wanted(w, last)) {
		tz_bell_lie_down(&w->lane->attendant);
		if (!is_attendant_wanted(w, last))
			tz_bell_sleep(&w->lane->attendant, 0);
		tz_bell_get_up(&w->lane->attendant);
	}
	atomic_store_explicit(&w->attendant_called, false, memory_order_relaxed);
	return atomic_load_explicit(&w->lane->cancel, memory_order_acquire);
}

void tz_lane_wake_attendant(struct tz_lane_worker *w)
{
	tz_store_seq_cst(&w->attendant_called, true);
	(void)tz_bell_ring(&w->lane->attendant);
}
