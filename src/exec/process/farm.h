/* The farm: an executor whose workers are processes, as its parent sees it.
 *
 * Design notes
 *
 * Who does what. Submitting strands put jobs into the queue and, if a worker can take some, into its lane at once. One thread of the farm, the
 * collector, fetches results, watches deadlines, starts workers and sees to those that have died; a strand that waits for a job of the farm
 * fetches results, too, while it has nothing better to do (attend). All of them hold the farm's lock while they touch the queue, a lane or a worker's
 * record; jobs are ended when it has been let go, since that may wake strands.
 *
 * Where a job is. In the queue it is QUEUED as in every executor. Who takes it from there claims it; then it is RUNNING for the rest of the library,
 * and belongs to the farm: it is in the record of the one lane that it was put into (`jobs`, by the number that it has there), or in `again`,
 * from where it is given out before all others. So the parent alone knows which job each worker runs, and nothing that a worker does to its memory
 * changes that. A job that was put into a lane and not begun can be taken back. If nothing is known about how long a task takes, or it is known to
 * take long, its jobs are given only to workers that have nothing else: so all others are in the queue, where they can be cancelled, overtaken and
 * timed out as in every executor.
 *
 * `recall` is called with the job's LOCKED bit held, and takes the farm's lock: who holds the farm's lock never waits for a LOCKED bit of a
 * job that has been claimed, and claims only jobs from the queue.
 *
 * Deaths. A worker that has died is told by on_exit on the thread that watches children. That thread buries it at once, so that whoever waits for the job is
 * woken without a detour; unless somebody reads a result of that worker just then, who tells the collector to. To bury is to fetch what the lane still holds, and to see to its jobs: if the
 * worker was at one, that is blamed: it alone ends, as CRASHED; what the worker had not begun goes to `again`. What is left of the worker is memory and descriptors,
 * which nobody waits for: the collector clears them away, without the lock. A new worker is started when there is work for it. How many there are is counted
 * from their records, never kept.
 *
 * The bell. The collector sleeps on it; workers ring when they have answered, on_exit when one has died, and others when they have left it something
 * to do. A strand that attends takes the bell away from the collector (it says that nobody sleeps), so that workers make no system call, and gives it
 * back before it goes, and looks once more after. It spins for as long as it would cost to sleep (core/spin.h), which the collector finds out when it fetches the result
 * that the strand sleeps for: the worker left the time when it rang.
 *
 * Order of locks: a job's LOCKED bit, the farm's lock, locks of the rooms below.
 */
#ifndef TZ_EXEC_PROCESS_FARM_H
#define TZ_EXEC_PROCESS_FARM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <trenza/executor_impl.h>

#include "arena/lane.h"
#include "core/chunk.h"
#include "core/job.h"
#include "core/spin.h"
#include "os/mutex.h"
#include "process/child.h"
#include "shared/giver.h"
#include "wire/codec.h"
#include "wire/plan.h"

#include "exec/process/terms.h"

enum {
	FARM_SHORT_NS = 20000, /* tasks below that are put into a lane in numbers */
	FARM_WINDOW = 64, /* that many */
	FARM_MIDDLE_NS = 1000000, /* two of those below that */
	FARM_CHUNK_NS = 200000, /* what a piece of a map is taken for */
	FARM_ASLEEP_NS = 10000, /* what it is taken to cost to wake a worker */
	FARM_START_NS = 300000, /* and to start one */
	FARM_STUCK_NS = 1000000, /* for which nothing waits behind a task */
	FARM_TURN = 61, /* each so many turns begin with the lowest priority */
	FARM_MOST_STARTS = 3 /* failed starts in a row that break the farm */
};

/* What is known about a task that was submitted here. */
struct farm_task {
	const struct tz_plan *plan;
	uint32_t number; /* what workers are told that it is called */
	uint64_t ns; /* that it took of late; 0: not known */
	unsigned deaths; /* workers in a row that died of being taught it */
};

/* A piece of a map, or calls that travel together. */
struct farm_chunk {
	const void *const *in;
	char *out;
	size_t lo, hi;
	size_t called_to; /* the first element that was not called */
	size_t failed_at; /* or SIZE_MAX */
	size_t kept_to; /* results before that are there, where the worker has died */
	uint64_t ns; /* that the worker took */
	bool kill; /* atomic: a cancel that it ignores ends its worker */
};

/* What the farm keeps of a job whose arguments do not travel as they are. */
struct farm_parcel {
	const struct tz_plan *plan;
	struct farm_task *task;
	struct farm_chunk *chunk; /* of a map, or several calls; or NULL */
	struct tz_chunk *calls; /* the latter, or NULL */
	struct farm_chunk own; /* then, `chunk` is that */
	size_t size; /* of the bytes */
	struct tz_segment *whole; /* in which they lie; NULL: behind this struct */
	bool has_fds; /* among its references */
	unsigned nrefs;
	struct tz_segment *refs[TZ_LANE_REFS];
	_Alignas(64) unsigned char bytes[];
};

enum farm_hand_state {
	HAND_ABSENT = 0,
	HAND_WANTED, /* has a lane; the collector is to start the process */
	HAND_PRESENT,
	HAND_LEAVING, /* was told to end */
	HAND_BURIED /* has died, and its jobs have been seen to; the collector clears it away */
};

/* A worker. */
struct farm_hand {
	struct farm *farm;
	int index;
	enum farm_hand_state state;
	struct tz_lane_parent lane;
	/* Tasks in the lane have the numbers [first, first + in_flight). */
	uint32_t first;
	uint32_t in_flight;
	struct tz_job *jobs[TZ_LANE_SLOTS]; /* by number; NULL: it is taught a task */
	struct farm_task *tasks[TZ_LANE_SLOTS];
	bool slow; /* one of them may take long, or may be killed: nothing goes behind it */
	uint64_t backlog_ns; /* that they take, by what is known */
	uint64_t used; /* when it was given something or answered last */
	uint64_t head_since; /* since when the oldest one is the oldest */
	bool drops; /* it is told, by task drop_number, to close descriptors (dispatch.c) */
	uint32_t drop_number;
	unsigned char *taught; /* by number of task */
	size_t ntaught;
	bool collecting; /* somebody reads a large result without the lock */
	bool unwell; /* wrote nonsense */
	/* the process */
	struct tz_child *child;
	struct farm_slate *slate;
	_Atomic bool dead; /* `how` is there */
	struct tz_child_exit how;
	/* its end by us */
	uint64_t kill_at; /* the task kill_number is to have ended by then; 0: no such time */
	uint32_t kill_number;
	tz_status kill_status; /* what its job becomes then */
	bool told; /* it was asked to end */
	bool killed;
	bool shot; /* by farm_kill_workers */
	/* its standard error (tail.c) */
	struct farm_tail *tail;
};

/* Whether we have sent it a SIGKILL, or it has died by itself: what it is given may be begun all the same, and be blamed. */
static inline bool farm_is_doomed(const struct farm_hand *h)
{
	return h->killed || h->shot || atomic_load_explicit(&h->dead, memory_order_relaxed);
}

/* Whether it may run once more than this time. */
static inline bool farm_has_tries_left(const struct tz_job *job)
{
	return job->options && job->options->retries > 0;
}

struct farm_queue {
	struct tz_job *first, *last;
};

struct farm {
	tz_executor executor; /* first */
	int stay;
	uint64_t idle_ns; /* 0: for ever */
	uint64_t grace_ns;
	enum tz_child_method method;
	struct tz_bell *bell;
	int bell_fd;
	pthread_t collector;
	struct farm_setup *setup; /* what each worker is born with */
	size_t setup_size;
	struct tz_giver giver; /* what the setup task's arguments refer to */

	_Alignas(64) struct tz_mutex lock;
	struct farm_queue queues[3]; /* by priority + 1 */
	size_t pending;
	unsigned turn;
	struct tz_job **again; /* a ring of again_room */
	size_t again_head, again_count, again_room;
	struct farm_hand **hands; /* executor.workers of them */
	int failed_starts; /* in a row */
	int start_error; /* of the last that failed */
	int bad_births; /* workers in a row that died before they were ready */
	uint64_t start_after; /* no start before: the last one failed */
	int broken; /* why nothing runs any more, or 0 */
	char broken_why[TZ_MESSAGE_MAX];
	int closing; /* 1 + the tz_shutdown; 0: open */
	bool ended; /* nothing is left, and the collector goes */
	uint64_t submitted, completed;
	uint64_t finished; /* jobs that were ended by farm_end */
	const struct tz_job *awaited; /* the last strand that attended sleeps for it; */
	struct tz_moment awaited_since; /* a hint: it may be gone */
	uint64_t nap_until; /* when the collector looks again by itself; 0: never */
	/* tasks by plan */
	struct farm_task **tasks; /* a hash table of task_room */
	size_t task_count, task_room;
	struct farm_task *last_task;

	_Atomic int asked; /* as `closing`, of a request from a signal handler */
	_Atomic uint64_t told; /* of those that finished, jobs whose futures say so */
	_Atomic bool attention; /* the collector is to look */
	_Atomic uint32_t
		attended; /* 1: a strand fetches results; 2: and the collector sleeps on this word */
	struct tz_patience patience; /* of those who attend */
	uint32_t changes, room; /* addresses to wait for: the end; room in the queue */
	_Atomic int room_waiters;
};

static inline struct farm *farm_of(tz_executor *executor)
{
	return (struct farm *)executor;
}

/* Jobs that have ended, and are told so when the lock has been let go. Linked by `parcel`. */
struct farm_ends {
	struct tz_job *first, **last;
};
#define FARM_ENDS(name) struct farm_ends name = { NULL, &name.first }

/* Under the lock: the job, which is the farm's, has ended like that. Takes the failure. */
void farm_end(struct farm *farm, struct farm_ends *ends, struct tz_job *job, tz_status status,
	      struct tz_failure *failure);
/* Without it. */
void farm_tell(struct farm *farm, struct farm_ends *ends);

/* queue.c: all under the lock. */
void farm_push(struct farm *farm, struct tz_job *job);
struct tz_job *farm_pop(struct farm *farm); /* claimed; NULL: none */
struct tz_job *farm_peek(struct farm *farm); /* what pop would look at first */
void farm_push_again(struct farm *farm, struct tz_job *job);
bool farm_take_again(struct farm *farm, struct tz_job *job); /* takes a certain one out */
static inline bool farm_has_work(const struct farm *farm)
{
	return farm->pending || farm->again_count;
}

/* parcel.c */
struct farm_task *
farm_task_of(struct farm *farm,
	     const struct tz_plan *plan); /* under the lock; NULL without memory */
int farm_pack(struct tz_job *job, const struct tz_plan *plan); /* 0 or a negative errno code */
/* A parcel with room for so many bytes, and where they are to be written. */
int farm_parcel_new(size_t size, struct farm_parcel **ret, void **ret_bytes);
void farm_parcel_free(struct farm_parcel *parcel); /* NULL: nothing */
void farm_parcel_hand_over(struct farm_parcel *parcel, struct tz_giver *giver); /* its references */
/* Why farm_pack failed, in words; may be written to `text`. */
const char *farm_explain(const struct tz_job *job, const struct tz_plan *plan, int error,
			 char *text, size_t size);
int farm_pack_chunk(const struct tz_plan *plan, struct farm_chunk *chunk,
		    const struct term_block *how, struct farm_parcel **ret); /* NULL: of a map */
int farm_method_of(int start, enum tz_child_method *ret);
void farm_drop_parcel(struct tz_job *job);
int farm_unpack(struct tz_job *job, const struct tz_plan *plan, const struct tz_lane_mail *mail);
int farm_unpack_many(const struct tz_plan *plan, const struct tz_lane_mail *mail, size_t skip,
		     size_t n, void *to); /* behind `skip` bytes */
void farm_load_of(const struct tz_job *job, struct tz_lane_load *ret);

/* dispatch.c: under the lock */
void farm_dispatch(struct farm *farm, struct farm_ends *ends);
void farm_take_back(struct farm *farm, struct farm_hand *hand,
		    uint32_t n); /* up to n of the newest */
void farm_balance(struct farm *farm,
		  uint64_t now); /* nothing waits behind a long task while it could run elsewhere */
void farm_forget_oldest(struct farm_hand *hand); /* it has ended */

/* collect.c */
bool farm_collect(
	struct farm *farm,
	struct farm_ends *
		ends); /* under the lock, which it may let go meanwhile; whether there was something */
bool farm_try_again(
	struct farm *farm,
	struct tz_job
		*job); /* under the lock: whether it has another try left, and is given out again */
bool farm_collect_hand(struct farm *farm, struct farm_hand *hand, struct farm_ends *ends);
void *farm_collector(void *farm);
void farm_attend(tz_executor *executor, tz_job *job);
bool farm_recall(tz_executor *executor, tz_job *job, bool cancel);
void farm_alert(struct farm *farm); /* the collector is to look; any thread, async-signal-safe */

/* staff.c */
struct farm_hand *farm_want_hand(struct farm *farm); /* under the lock: one more worker, or NULL */
void farm_start_wanted(
	struct farm *farm,
	uint64_t *until); /* the collector, under the lock, which it lets go meanwhile */
void farm_bury(struct farm *farm, struct farm_ends *ends); /* under the lock: sees to the dead */
void farm_clear_buried(
	struct farm *farm); /* the collector, under the lock, which it lets go meanwhile */
void farm_kill(struct farm_hand *hand);
void farm_break(struct farm *farm, struct farm_ends *ends, int code, const char *why);
int farm_kill_workers(tz_executor *executor);

/* worker.c: named, so that a program that is linked with the archive has the worker in it, too */
extern const char farm_worker_is_here;

/* map.c */
int farm_map(tz_executor *executor, tz_range *range);
int farm_unpack_chunk(struct farm_chunk *chunk, const struct tz_plan *plan,
		      const struct tz_lane_mail *mail);
/* One of its elements failed: with all results, or, where the worker's thread is gone, with what is on the slate. */
void farm_unpack_failed(struct farm_chunk *chunk, const struct tz_plan *plan,
			const struct tz_lane_mail *mail, const struct farm_slate *slate);
void farm_salvage_chunk(struct farm_chunk *chunk, const struct tz_plan *plan,
			const struct farm_slate *slate, uint32_t number); /* in the lane */

/* calls.c: a job of several calls */
size_t farm_chunk(tz_executor *executor, const tz_task *task, size_t wanted, size_t left,
		  bool stay);
int farm_pack_calls(struct tz_job *job, const struct tz_plan *plan, struct tz_chunk *calls);
/* The report of it, believed as far as it makes sense. */
int farm_unpack_calls(struct farm_parcel *parcel, const struct tz_lane_mail *mail, int worker);
/* Its worker has died: what it had called before. */
void farm_salvage_calls(struct farm_parcel *parcel, const struct farm_slate *slate, uint32_t number,
			int worker);
/* That it has died of the next call: whether this is to be made once more; else that was its end. Takes the failure. */
bool farm_may_repeat_call(const struct farm_parcel *parcel);
void farm_blame_call(struct farm_parcel *parcel, struct tz_failure *failure, int worker);
/* Under the lock: gives it out again, if calls are left. Else it ends. */
void farm_go_on(struct farm *farm, struct tz_job *job, struct farm_ends *ends);

/* setup.c */
int farm_setup_make(
	struct farm *farm); /* from the executor's options; 0 or a negative errno code */

/* A pipe that is a worker's standard error: what comes out goes to ours, and the end of it is kept. tail.c */
struct farm_tail;
int farm_tail_open(struct farm_tail **ret,
		   int *ret_fd); /* the descriptor is the worker's, and the caller's to close */
void farm_tail_read(struct farm_tail *tail, char *text,
		    size_t size); /* of a worker that is dead: the last bytes; ended by 0 */
void farm_tail_close(struct farm_tail *tail);

#endif
