/* A lane: what a parent and one worker process have between them: tasks go to the worker, their results come back.
 *
 * One memfd for each worker, mapped by it and by the parent alone: a worker that goes wrong damages its own lane and nothing else. Beside it goes a
 * socket, for descriptors of segments only (large payloads), used the first time that the other side hears of a segment.
 *
 *     parent                                              worker
 *     tz_lane_put(&p, what, &load)   into the next slot
 *     tz_lane_publish(&p)            all that were put    tz_lane_claim(&w, deadline, &mail)   the oldest
 *     tz_lane_retract(&p, n)         the newest           ... runs it ...
 *     tz_lane_collect(&p, &mail)     the oldest result    tz_lane_reply(&w, what, &load)
 *     tz_lane_collected(&p)
 *
 * Design notes
 *
 * Numbers. Tasks of a lane are numbered as they are published, modulo 2^32, from where p->put is at first; task n uses slot n % TZ_LANE_SLOTS, and its result lies in the same
 * slot. There are four counters, collected <= done <= claimed <= published, and all else is derived from them:
 *
 *     [collected, done)       have a result that the parent has not looked at
 *     [done, claimed)         at most one task: it runs. If the worker is dead, this is what it died of
 *     [claimed, published)    the worker has not begun; may be taken back, or given to others when it is dead
 *
 * Who writes what. `work` is {claimed, published} in one 64-bit word, so that a task is either claimed or taken back: the worker claims by
 * compare-and-swap, the parent publishes by adding and retracts by compare-and-swap. `done` is a store of the worker's. `collected` is the parent's
 * alone, and private. Each is one store, and it comes last: a process that is killed before it has done nothing, one that is killed after it has done all. So
 * a task is never both finished and blamed, and never lost.
 *
 * The slot belongs to the parent from `collected` to `published`, to the worker from `claimed` to `done`, and in between to nobody. A reply overwrites the
 * arguments. Who wants to run a task again keeps them (the parent's own record).
 *
 * Memory order. publish is a release (what was put into the slots is there for who claims them; ahead of that, messages with descriptors have been sent), claim an acquire.
 * A claim that succeeds has read the newest value of the word, and looks at the slot only then: that the word went away and came back
 * (retract, then put something else) does no harm. The store of `done` is a release, collect reads it with acquire. `collected` is
 * released by the collector and acquired by who puts. publish and the store of `done` are seq_cst besides, for the bells (bell.h):
 * plain release would let the look at the bell go ahead of them. Retract needs no order of its own to the worker: what it takes back the worker has not seen.
 *
 * Sleep. The worker spins for a while if it may, then sleeps on the bell of the lane; the parent sleeps on a bell of its own that all its workers ring. Whoever wakes
 * the other end leaves the time and the processor, from which that learns what a sleep costs, and for how long spinning is worth while (core/spin.h). The parent may forbid
 * the worker to spin at any time: it knows how many workers there are for how many processors.
 *
 * Payloads. Up to TZ_LANE_INLINE bytes lie in the slot, up to TZ_LANE_SIDE beside it, larger ones in a segment (table.h). Those that are copied lie in segments that the
 * lane keeps for its next ones: no message is sent, and no page is touched for the first time, once it is warm.
 *
 * The worker's memory may be full of rubbish. The parent reads each word once, checks it against counters of its own, and copies heads and small payloads
 * before it looks at them. What does not fit is -EPROTO: the worker is to be killed. A large payload in a segment is read in place.
 *
 * Threads. Each end has one thread at a time; but the parent may put, publish and retract in one thread while it collects in another.
 * tz_lane_cancel, tz_lane_allow_spinning and tz_lane_end are for any thread.
 */
#ifndef TZ_ARENA_LANE_H
#define TZ_ARENA_LANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena/bell.h"
#include "arena/segment.h"
#include "arena/table.h"
#include "core/spin.h"

enum {
	TZ_LANE_SLOTS = 128, /* a power of 2. Each takes a kilobyte beside it, which is cleared and mapped twice before a worker can begin */
	TZ_LANE_INLINE = 40, /* bytes of a payload in the slot itself */
	TZ_LANE_SIDE = 960, /* bytes beside it */
	TZ_LANE_REFS = 8 /* segments that a payload can refer to */
};

/* What a task or a result is; the lane hands it over without looking at it. */
struct tz_lane_what {
	uint32_t code; /* which task; how it ended */
	uint16_t kind;
	uint16_t flags;
	uint64_t time; /* ns: a limit, or how long it took */
};

/* A payload to send. */
struct tz_lane_load {
	const void *bytes; /* is copied; not in the lane itself */
	size_t size;
	size_t align; /* of the bytes where they arrive, at most 64; 0: 8 */
	struct tz_segment *whole; /* if not NULL, of kind TZ_SEGMENT_BYTES: the payload is its first `size` bytes, which are not copied; `bytes` is not read */
	const struct tz_table_name *placed; /* if not NULL, of tz_lane_reply_room: the payload is there already; `bytes` is not read */
	struct tz_segment *const *refs; /* of any other kind: those that the payload refers to, by their index here */
	unsigned nrefs; /* at most TZ_LANE_REFS */
};

/* A payload that has come. */
struct tz_lane_mail {
	uint32_t number; /* of the task */
	struct tz_lane_what what;
	void *bytes; /* writable */
	size_t size;
	struct tz_segment *whole; /* the segment that `bytes` lies in, or NULL */
	struct tz_segment *refs[TZ_LANE_REFS];
	unsigned nrefs;
};

struct tz_lane; /* what is shared: lane.c */

/* The parent's end. */
struct tz_lane_parent {
	struct tz_lane *lane;
	int fd, far_socket; /* for the worker; -1 when given away */
	_Atomic bool broken; /* the worker has written nonsense */
	/* who puts, publishes and retracts */
	_Alignas(64) _Atomic uint32_t published;
	uint32_t put;
	_Atomic bool worker_lost; /* something that it was sent */
	struct tz_table out;
	/* who collects */
	_Alignas(64) _Atomic uint32_t collected;
	uint32_t done; /* as it was last read */
	unsigned named; /* by the result at hand */
	struct tz_table_name name[1 + TZ_LANE_REFS];
	struct tz_table in;
	_Alignas(64) unsigned char copy[TZ_LANE_SIDE]; /* of a small payload */
};

/* Makes a lane. -ENOMEM, -ENOSPC, -EMFILE, -ENFILE. */
int tz_lane_open(struct tz_lane_parent *ret);

/* The two descriptors that the worker gets: the lane's, and its end of the socket. They stay the parent's, who closes them by this when the worker has them. */
void tz_lane_fds(const struct tz_lane_parent *p, int ret_fds[2]);
void tz_lane_close_fds(struct tz_lane_parent *p);

/* When the worker is dead, or never was. All-zero: nothing. */
void tz_lane_close(struct tz_lane_parent *p);

/* How many tasks can be put. */
uint32_t tz_lane_room(const struct tz_lane_parent *p);

/* Writes a task into the next slot; the worker does not see it yet. The number that it will have is p->put before the call. What `load` names is the caller's and
 * may go when this returns, but for `whole` and `refs`: the caller keeps references until the task was collected or retracted, or the lane is closed.
 * -EAGAIN: no room, or too many segments under way: collect first. -EMSGSIZE: too many refs. -ENOMEM, -ENOSPC, -EMFILE, -ENFILE, -EPIPE. */
int tz_lane_put(struct tz_lane_parent *p, const struct tz_lane_what *what, const struct tz_lane_load *load);

/* Shows the worker what was put, and wakes it if it sleeps. */
void tz_lane_publish(struct tz_lane_parent *p);

/* Takes back up to n of the newest tasks that the worker has not begun, and says how many: their numbers are [p->put, p->put + that) after the call,
 * and will be used again. Nothing may have been put that was not published. */
uint32_t tz_lane_retract(struct tz_lane_parent *p, uint32_t n);

/* The oldest result that was not collected: 1 and the mail, whose bytes are good until tz_lane_collected. Who keeps a segment of `refs` takes a reference and owns it (segment.h)
 * before that. 0: there is none. -EMFILE: there is, and the mail has its head, but a segment could not be mapped. -EPROTO: kill the worker. */
int tz_lane_collect(struct tz_lane_parent *p, struct tz_lane_mail *ret);
void tz_lane_collected(struct tz_lane_parent *p);

/* Whether tz_lane_collect would give something. A look at one word; any thread. */
bool tz_lane_has_result(const struct tz_lane_parent *p);

/* How many tasks the worker has not begun: what could be taken back. Any thread. */
uint32_t tz_lane_waiting(const struct tz_lane_parent *p);

/* How long the worker has been at task `number`, in ns; 0 if it is not at it (or says so). Any thread. */
uint64_t tz_lane_ran(const struct tz_lane_parent *p, uint32_t number);

/* When and where the worker last woke the parent (or says so). Any thread. */
struct tz_moment tz_lane_rung(const struct tz_lane_parent *p);

/* What is to become of the tasks of a dead worker, when all results have been collected (tz_lane_collect until 0, or -EPROTO). */
struct tz_lane_end {
	bool blamed; /* the first task of those left had begun: its number is the lane's `collected` */
	bool broken; /* the worker had written nonsense; the first task that is left is blamed */
	uint32_t first; /* number of the first task that had not begun; */
	uint32_t left; /* so many had not */
};
void tz_lane_classify(struct tz_lane_parent *p, struct tz_lane_end *ret);

/* Asks for the end of a task that the worker has claimed. `why` (not 0) is handed on. False if it has not been claimed, or is over: retract it, or collect it. */
bool tz_lane_cancel(struct tz_lane_parent *p, uint32_t number, uint32_t why);

/* No more will come: the worker's tz_lane_claim answers -EPIPE when it has done what was published. */
void tz_lane_end(struct tz_lane_parent *p);

/* Whether the worker may spin before it sleeps; true at first. */
void tz_lane_allow_spinning(struct tz_lane_parent *p, bool may);

/* The last segment that was sent: for tz_lane_drop_fds. Of who puts. */
static inline uint32_t tz_lane_sent(const struct tz_lane_parent *p)
{
	return p->out.edition;
}

/* The worker's end. */
struct tz_lane_worker {
	struct tz_lane *lane;
	struct tz_bell *parent; /* its bell */
	uint32_t done;
	uint64_t begun; /* ticks */
	struct tz_patience patience;
	_Atomic bool attendant_called;
	struct tz_table in, out;
};

/* The descriptors become the lane's, also on failure; the bell stays the caller's. -EPROTO if it is no lane of this library. */
int tz_lane_join(struct tz_lane_worker *ret, const int fds[2], struct tz_bell *parent);
void tz_lane_leave(struct tz_lane_worker *w);

/* The next task; waits for one until deadline_ns on CLOCK_MONOTONIC (0: for ever). What the mail points to is good until the reply. 0; -ETIMEDOUT; -EPIPE: no more will come;
 * -EMFILE: a segment of it could not be mapped: the task is claimed, and to be answered (the mail has its head). -EPROTO: the lane makes no sense. */
int tz_lane_claim(struct tz_lane_worker *w, uint64_t deadline_ns, struct tz_lane_mail *ret);

/* Room for a payload of the answer to the task that was claimed, of more than TZ_LANE_SIDE bytes, to be written to by the caller: then it is not copied. *ret_placed goes into
 * the load; or nowhere, if the answer is another one. As tz_lane_reply on failure. */
int tz_lane_reply_room(struct tz_lane_worker *w, size_t size, void **ret_bytes, struct tz_table_name *ret_placed);

/* Answers the task that was claimed. On failure nothing has been answered, and the caller answers with something smaller: a load of up to TZ_LANE_SIDE bytes
 * without segments never fails. -ENOMEM, -ENOSPC, -EMFILE, -ENFILE, -EPIPE, -EMSGSIZE. */
int tz_lane_reply(struct tz_lane_worker *w, const struct tz_lane_what *what, const struct tz_lane_load *load);

/* Closes descriptors that came up to then (tz_lane_sent) and were not taken, for tasks that were taken back. Not while a task that has some is waiting. */
void tz_lane_drop_fds(struct tz_lane_worker *w, uint32_t sent);

/* Ticks (os/clock.h) when the running task was claimed. */
static inline uint64_t tz_lane_begun(const struct tz_lane_worker *w)
{
	return w->begun;
}

/* For a second thread of the worker: waits until somebody asks for the end of a task, another one than `last` (0 at first), or tz_lane_wake_attendant.
 * The answer is for `last` of the next call; its lower half is the number of the task, the upper half why (0: nothing was asked for yet). */
uint64_t tz_lane_attend(struct tz_lane_worker *w, uint64_t last);
void tz_lane_wake_attendant(struct tz_lane_worker *w);

#endif
