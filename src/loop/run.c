/* Loops, for who uses them: opening one, running it, and what is submitted to it with a time or a
 * descriptor. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/loop.h>

#include "core/frame.h"
#include "core/outcome.h"
#include "loop/later.h"
#include "loop/loop.h"
#include "os/cpu.h"

/* --- a loop as an executor -------------------------------------------------------------------- */

static struct tz_loop *loop_of(tz_executor *executor)
{
	return (struct tz_loop *)executor;
}

static size_t submit(tz_executor *executor, tz_job *const *jobs, size_t n, tz_priority priority, int *ret_error)
{
	(void)priority;
	return tz_loop_submit(loop_of(executor), jobs, n, ret_error);
}

static int open_nothing(tz_executor **ret, const tz_executor_options *options)
{
	(void)ret, (void)options;
	return -ENOTSUP; /* tz_loop_open does that */
}

static int refuse_shutdown(tz_executor *executor, tz_shutdown how, tz_deadline deadline)
{
	(void)executor, (void)how, (void)deadline;
	return -EPERM; /* tz_loop_close does that */
}

static void ignore_shutdown(tz_executor *executor, tz_shutdown how)
{
	(void)executor, (void)how;
}

void tz_loop_stats(const struct tz_loop *l, tz_executor_stats *add)
{
	/* In this order, so that no job that ends meanwhile counts twice. */
	uint64_t dropped = atomic_load_explicit(&l->dropped_outside, memory_order_acquire);
	uint64_t ended = atomic_load_explicit(&l->ended, memory_order_acquire) + dropped;
	uint64_t begun = atomic_load_explicit(&l->begun, memory_order_acquire) + dropped;
	uint64_t submitted = atomic_load_explicit(&l->submitted, memory_order_acquire) +
			     atomic_load_explicit(&l->submitted_outside, memory_order_acquire);

	add->submitted += submitted;
	add->completed += ended;
	add->pending += submitted > begun ? submitted - begun : 0;
	add->running += begun > ended ? begun - ended : 0;
	add->workers += 1;
	add->idle += tz_loop_is_asleep(l);
}

static void stats(tz_executor *executor, tz_executor_stats *ret)
{
	tz_loop_stats(loop_of(executor), ret);
}

static void keep(tz_executor *executor)
{
	(void)executor;
}

#define LOOP_OPS(more) \
	{ \
		.kind = "loop", .summary = "the coroutines of one loop that the program runs", \
		.capabilities = TZ_CAN_SHARE_MEMORY | TZ_CAN_CANCEL_PENDING | TZ_CAN_START_LATER | TZ_CAN_SUSPEND | (more), \
		.open = open_nothing, .submit = submit, .help = tz_loop_help, .shutdown = refuse_shutdown, \
		.request_shutdown = ignore_shutdown, .stats = stats, .destroy = keep, \
	}

const tz_executor_ops tz_loop_ops = LOOP_OPS(0);
static const tz_executor_ops simulated_loop_ops = LOOP_OPS(TZ_CAN_SIMULATE);

/* Refuses jobs that belong to a loop, where there is none. */
static size_t refuse(tz_executor *executor, tz_job *const *jobs, size_t n, tz_priority priority, int *ret_error)
{
	(void)executor, (void)jobs, (void)n, (void)priority;
	*ret_error = -EINVAL;
	return 0;
}

static const tz_executor_ops nowhere_ops = { .kind = "loop", .submit = refuse };
static tz_executor nowhere = { .ops = &nowhere_ops };

tz_executor *tz_loop_executor(tz_loop *loop)
{
	return &loop->executor;
}

/* --- opening and closing ----------------------------------------------------------------------- */

static uint64_t nanoseconds(double seconds)
{
	return (uint64_t)(seconds * 1e9);
}

static bool is_span(double seconds)
{
	return seconds >= 0 && seconds < 1e9;
}

static int read_options(const tz_loop_options *o, struct tz_loop_setup *setup)
{
	if (o->backend && strcmp(o->backend, "sim") == 0)
		setup->backend = &tz_backend_sim;
	else if (o->backend && strcmp(o->backend, "epoll") != 0)
		return -EINVAL;
	if (!is_span(o->grace) || !is_span(o->delay) || !is_span(o->slow_seconds) || !(o->fail >= 0 && o->fail <= 1))
		return -EINVAL;
	setup->stack_size = o->stack_size;
	setup->slow_seconds = o->slow_seconds;
	setup->backend_options.seed = o->seed;
	setup->backend_options.grace_ns = nanoseconds(o->grace);
	setup->backend_options.delay_ns = nanoseconds(o->delay);
	setup->backend_options.fail = o->fail;
	return 0;
}

int tz_loop_open(tz_loop **ret, const tz_loop_options *options)
{
	tz_loop_options o = { 0 };
	struct tz_loop_setup setup = { 0 };

	if (!ret || (options && options->size > sizeof o))
		return -EINVAL;
	if (options) /* those of an older header are shorter */
		memcpy(&o, options, options->size ? options->size : sizeof o);
	int r = read_options(&o, &setup);

	if (r < 0)
		return r;
	struct tz_loop *l = aligned_alloc(64, (sizeof *l + 63) / 64 * 64);

	if (!l)
		return -ENOMEM;
	const tz_executor_ops *ops = setup.backend == &tz_backend_sim ? &simulated_loop_ops : &tz_loop_ops;

	r = tz_loop_init(l, ops, &(tz_executor_options){ .name = o.name }, &setup);
	if (r < 0) {
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void tz_loop_close(tz_loop *loop)
{
	if (!loop)
		return;
	if (!tz_executor_is_lost(&loop->executor)) {
		struct tz_strand *self = tz_strand_self();
		struct tz_scope *scope = self->scope;

		self->scope = NULL; /* what runs is to end first, whatever the scopes around say */
		tz_loop_request_shutdown(loop, TZ_STOP_NOW);
		while (tz_loop_drive(loop, tz_loop_has_ended, NULL) == -EBUSY)
			(void)tz_sleep(0.001);
		self->scope = scope;
	}
	tz_loop_done(loop);
	free(loop);
}

tz_loop *tz_loop_current(void)
{
	return tz_loop_self;
}

/* --- running ----------------------------------------------------------------------------------- */

/* A loop that runs until a job has ended. */
struct until {
	struct tz_waiter waiter;
	struct tz_loop *loop;
	int why; /* the scope of the strand that runs it has ended */
	_Atomic bool ended;
};

static void job_has_ended(struct tz_waiter *waiter, struct tz_job *job, int status)
{
	struct until *u = (struct until *)waiter;
	struct tz_loop *l = u->loop;

	(void)job, (void)status;
	tz_loop_visit(l);
	atomic_store_explicit(&u->ended, true, memory_order_release); /* the last touch of *u */
	tz_loop_ring(l);
	tz_loop_leave(l);
}

static bool is_over(struct tz_loop *l, void *arg)
{
	struct until *u = arg;

	if (atomic_load_explicit(&u->ended, memory_order_acquire))
		return true;
	u->why = tz_strand_interrupted(l->host);
	return u->why < 0;
}

int tz_loop_run_until_raw(tz_loop *l, tz_handle future)
{
	struct until u = { .waiter.fire = job_has_ended, .loop = l };
	struct tz_job *job = future.tz__cell;

	if (tz_loop_self)
		return tz_loop_self == l ? tz_wait_raw(future, tz_never()) : -EBUSY;
	int r = tz_done_raw(future);

	if (r)
		return r == 1 ? 0 : r;
	r = tz_job_add_waiter(job, (uint32_t)future.tz__generation, &u.waiter);
	if (r)
		return r == 1 ? 0 : r;
	r = tz_loop_drive(l, is_over, &u);
	if (r == 0 && atomic_load_explicit(&u.ended, memory_order_acquire))
		return 0;
	if (!tz_job_remove_waiter(job, (uint32_t)future.tz__generation, &u.waiter))
		for (unsigned spins = 0; !atomic_load_explicit(&u.ended, memory_order_acquire);)
			tz_cpu_backoff(&spins);
	return r < 0 || u.why == 0 ? r : tz_strand_refuse(tz_strand_self(), u.why);
}

static bool is_stopped(struct tz_loop *l, void *arg)
{
	int *why = arg; /* the scope of the strand that runs the loop has ended */

	if (atomic_exchange_explicit(&l->stop, false, memory_order_acquire))
		return true;
	*why = tz_strand_interrupted(l->host);
	return *why < 0;
}

int tz_loop_run(tz_loop *l)
{
	int why = 0, r = tz_loop_drive(l, is_stopped, &why);

	return r < 0 || why == 0 ? r : tz_strand_refuse(tz_strand_self(), why);
}

void tz_loop_stop(tz_loop *l)
{
	tz_loop_visit(l);
	atomic_store_explicit(&l->stop, true, memory_order_release);
	tz_loop_ring(l);
	tz_loop_leave(l);
}

/* Waits, whatever the scope says: it has been told to the task. */
static void run_to_the_end(struct tz_loop *l, tz_handle future)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_scope *scope = self->scope;

	self->scope = NULL;
	(void)tz_loop_run_until_raw(l, future);
	self->scope = scope;
}

int tz_run_raw(const tz_loop_options *options, const tz_task *task, const void *args, void *out, size_t size)
{
	tz_loop *loop;

	if (tz_loop_self)
		return options ? -EBUSY : tz_result_raw(tz_submit_raw(tz_executor_current(), NULL, task, args), out, size);
	int r = tz_loop_open(&loop, options);

	if (r < 0)
		return r;
	tz_handle future = tz_submit_raw(&loop->executor, NULL, task, args);

	r = tz_loop_run_until_raw(loop, future);
	if (r < 0) {
		(void)tz_cancel_raw(future);
		run_to_the_end(loop, future);
	}
	tz_loop_close(loop);
	int result = tz_result_raw(future, out, size);

	if (result == -EINVAL)
		(void)tz_detach_raw(future);
	return result;
}

/* --- with a time ------------------------------------------------------------------------------- */

static uint64_t loop_now(struct tz_loop *l)
{
	return l->backend->ops->now(l->backend);
}

tz_deadline tz_loop_after(tz_loop *l, double seconds)
{
	tz_deadline d = tz_after(seconds);
	uint64_t here = tz_now(), there = loop_now(l);

	if (d.ns)
		d.ns = d.ns - here + there;
	return d;
}

tz_handle tz_call_at_raw(tz_loop *loop, tz_deadline when, const tz_task *task, const void *args)
{
	return tz_submit_raw(&loop->executor, &(tz_submit_options){ .start = when }, task, args);
}

tz_future tz_timer_future(tz_deadline when)
{
	tz_future f;

	if (tz_loop_self && !atomic_load_explicit(&tz_loop_self->closing, memory_order_relaxed))
		f.handle = tz_later_timer(tz_loop_self, when);
	else
		f.handle = tz_submit_raw(tz_loop_self ? &tz_loop_self->executor : &nowhere, NULL, &tz_timer_task, &when);
	return f;
}

int tz_timer_future_reschedule(tz_future timer, tz_deadline when)
{
	return tz_loop_self ? tz_later_move(tz_loop_self, timer.handle, when) : -EINVAL;
}

/* --- with a descriptor -------------------------------------------------------------------------------------------------------------- */

struct watcher {
	void (*fn)(int fd, void *arg);
	void *arg;
	int fd;
	int events;
};

static void watch(void *result, const void *args)
{
	struct watcher w = *(const struct watcher *)args;

	(void)result;
	for (;;) {
		int r = tz_wait_fd(w.fd, w.events, tz_never());

		if (r < 0) {
			(void)tz_fail(r, "waiting for descriptor %d", w.fd);
			return;
		}
		w.fn(w.fd, w.arg);
	}
}

static const tz_task reader_task = { .name = "reader", .run = watch, .args_size = sizeof(struct watcher), .align = 8 };
static const tz_task writer_task = { .name = "writer", .run = watch, .args_size = sizeof(struct watcher), .align = 8 };

static tz_future add(tz_loop *loop, const tz_task *task, const struct watcher *w)
{
	tz_future f;

	f.handle = tz_submit_raw(&loop->executor, NULL, task, w);
	return f;
}

tz_future tz_add_reader(tz_loop *loop, int fd, void (*fn)(int fd, void *arg), void *arg)
{
	return add(loop, &reader_task, &(struct watcher){ fn, arg, fd, POLLIN });
}

tz_future tz_add_writer(tz_loop *loop, int fd, void (*fn)(int fd, void *arg), void *arg)
{
	return add(loop, &writer_task, &(struct watcher){ fn, arg, fd, POLLOUT });
}
