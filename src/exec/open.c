/* Executors by name: the kinds there are, spec strings, the default executor, and the public calls that go through the table.
 *
 * Design notes
 *
 * Kinds. A fixed array of pointers to tables, filled from the front and never emptied. A new kind is put into the first empty place by
 * compare-and-swap; who loses that race looks at the winner's name before going on, so no name is there twice and no lock is needed.
 *
 * The default executor is made by whoever needs it first. Two strands may make one at the same time: the one that comes second closes its own
 * again. So there is no lock that a fork could find held. A fork child finds that the one there belongs to another process and makes its own;
 * the parent's is left alone, since the child may still have pointers to it.
 *
 * Closing from a job of the executor itself cannot wait: a thread of its own does that, and frees the executor.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/executor_impl.h>

#include "core/decimal.h"
#include "core/frame.h"
#include "core/job.h"
#include "core/outcome.h"
#include "core/strand.h"
#include "exec/chaos/chaos.h"
#include "exec/coroutine/coroutine.h"
#include "exec/inline/inline.h"
#include "exec/process/process.h"
#include "exec/thread/thread.h"
#include "os/thread.h"
#include "sched/deadline.h"

enum { MOST_KINDS = 32, MOST_WORKERS = 32767 };

/* --- the kinds ------------------------------------------------------------------------------------------------------- */

static _Atomic(const tz_executor_ops *) kinds[MOST_KINDS] = { &tz_inline_executor_ops,
							      &tz_chaos_executor_ops,
							      &tz_thread_executor_ops, &tz_process_executor_ops, &tz_coroutine_executor_ops,
							      &tz_sim_executor_ops };

const tz_executor_ops *tz_executor_kinds(size_t n)
{
	return n < MOST_KINDS ? atomic_load_explicit(&kinds[n], memory_order_acquire) : NULL;
}

static bool is_complete(const tz_executor_ops *ops)
{
	return ops && ops->kind && ops->kind[0] && !strpbrk(ops->kind, ":,=") && ops->summary &&
	       ops->open && ops->submit && ops->shutdown && ops->request_shutdown && ops->stats &&
	       ops->destroy;
}

int tz_executor_register(const tz_executor_ops *ops)
{
	if (!is_complete(ops))
		return -EINVAL;
	for (size_t i = 0; i < MOST_KINDS; i++) {
		const tz_executor_ops *there = NULL;

		if (atomic_compare_exchange_strong_explicit(
			    &kinds[i], &there, ops, memory_order_acq_rel, memory_order_acquire))
			return 0;
		if (strcmp(there->kind, ops->kind) == 0)
			return -EEXIST;
	}
	return -ENOSPC;
}

static const tz_executor_ops *find_kind(const char *name)
{
	const tz_executor_ops *ops;

	for (size_t i = 0; (ops = tz_executor_kinds(i)); i++)
		if (strcmp(ops->kind, name) == 0)
			return ops;
	return NULL;
}

/* --- spec strings ------------------------------------------------------------------------------------------------------- */

static bool parse_count(const char *text, uint64_t most, uint64_t *ret)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(n, 10u, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
			return false;
	}
	if (n > most)
		return false;
	*ret = n;
	return true;
}

/* A number of bytes, with k, m or g behind it. */
static bool parse_bytes(char *text, size_t *ret)
{
	size_t len = strlen(text);
	const char *units = "kmg", *unit = len ? strchr(units, text[len - 1]) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	uint64_t n;

	if (unit)
		text[len - 1] = '\0';
	bool is_count = parse_count(text, SIZE_MAX >> shift, &n);

	if (unit)
		text[len - 1] = *unit; /* for who tells of it */
	if (is_count)
		*ret = (size_t)n << shift;
	return is_count;
}

static bool parse_full(const char *text, tz_full_policy *ret)
{
	static const char *const names[] = {
		[TZ_FULL_BLOCK] = "block",
		[TZ_FULL_FAIL] = "fail",
		[TZ_FULL_CALLER_RUNS] = "caller",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (tz_full_policy)i;
			return true;
		}
	}
	return false;
}

static bool parse_start(const char *text, int *ret)
{
	static const char *const names[] = { NULL, "fork", "spawn", "forkserver" }; /* tz_start_method */

	for (int i = 1; i < 4; i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

/* What may stand in a spec, and what the kind must be capable of for it to make sense. */
struct key {
	const char *name;
	enum { COUNT, SPARES, SEED, DECIMAL, BYTES, TEXT, FULL, START } type;
	size_t offset;
	uint32_t needs;
};

static const struct key keys[] = {
	{ "workers", COUNT, offsetof(tz_executor_options, workers), TZ_CAN_RUN_IN_PARALLEL },
	{ "min", COUNT, offsetof(tz_executor_options, min_workers), TZ_CAN_SHRINK },
	{ "idle", DECIMAL, offsetof(tz_executor_options, idle_seconds), TZ_CAN_SHRINK },
	{ "name", TEXT, offsetof(tz_executor_options, name), 0 },
	{ "stack", BYTES, offsetof(tz_executor_options, stack_size), TZ_CAN_RUN_IN_PARALLEL },
	{ "spares", SPARES, offsetof(tz_executor_options, spares), TZ_CAN_STAND_IN },
	{ "queue", BYTES, offsetof(tz_executor_options, queue_limit), TZ_CAN_LIMIT_QUEUE },
	{ "full", FULL, offsetof(tz_executor_options, full), TZ_CAN_LIMIT_QUEUE },
	{ "seed", SEED, offsetof(tz_executor_options, seed), TZ_CAN_INJECT },
	{ "delay", DECIMAL, offsetof(tz_executor_options, delay), TZ_CAN_INJECT },
	{ "fail", DECIMAL, offsetof(tz_executor_options, fail), TZ_CAN_INJECT },
	{ "grace", DECIMAL, offsetof(tz_executor_options, grace), TZ_CAN_SIMULATE },
	{ "start", START, offsetof(tz_executor_options, start), TZ_CAN_KILL },
	{ "max_tasks", COUNT, offsetof(tz_executor_options, max_tasks), TZ_CAN_KILL },
	{ "memory", BYTES, offsetof(tz_executor_options, memory), TZ_CAN_KILL },
	{ "kill_grace", DECIMAL, offsetof(tz_executor_options, kill_grace), TZ_CAN_KILL },
};

static bool parse_value(const struct key *key, char *text, tz_executor_options *options)
{
	void *to = (char *)options + key->offset;
	uint64_t n;

	switch (key->type) {
	case COUNT:
		if (!parse_count(text, INT_MAX, &n))
			return false;
		*(int *)to = (int)n;
		return true;
	case SPARES:
		if (!parse_count(text, INT_MAX, &n))
			return false;
		*(int *)to = n ? (int)n : -1; /* in the options, 0 is the default */
		return true;
	case SEED:
		return parse_count(text, UINT64_MAX, to);
	case DECIMAL:
		return tz_decimal(text, to);
	case BYTES:
		return parse_bytes(text, to);
	case TEXT:
		*(const char **)to = text;
		return *text != '\0';
	case FULL:
		return parse_full(text, to);
	case START:
		return parse_start(text, to);
	}
	return false;
}

/* "key=value", or a bare number of workers. */
static int parse_item(const tz_executor_ops *ops, char *item, tz_executor_options *options)
{
	char *value = strchr(item, '=');

	if (value)
		*value++ = '\0';
	else
		value = item;
	const char *name = value == item ? "workers" : item;

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		if (strcmp(keys[i].name, name) != 0)
			continue;
		if ((ops->capabilities & keys[i].needs) != keys[i].needs)
			return tz_remember_refusal(-EINVAL, NULL, "an executor of the kind %s has no use for the option '%s'",
				      ops->kind, name);
		if (!parse_value(&keys[i], value, options))
			return tz_remember_refusal(-EINVAL, NULL, "'%.60s' is no value for the option '%s'", value,
				      name);
		return 0;
	}
	return tz_remember_refusal(-EINVAL, NULL, "executors have no option '%.60s'", name);
}

/* The items behind the colon, which it cuts apart. */
static int parse_items(const tz_executor_ops *ops, char *items, tz_executor_options *options)
{
	int r = 0;

	for (char *next; r == 0 && items; items = next) {
		next = strchr(items, ',');
		if (next)
			*next++ = '\0';
		r = parse_item(ops, items, options);
	}
	return r;
}

/* The caller's options may be of an older header (smaller), or of a newer one, as long as what we do not know is zero. */
static bool copy_options(tz_executor_options *to, const tz_executor_options *from)
{
	size_t size = from->size ? from->size : sizeof *from;
	const unsigned char *bytes = (const unsigned char *)from;

	for (size_t i = sizeof *to; i < size; i++)
		if (bytes[i])
			return false;
	memcpy(to, from, size < sizeof *to ? size : sizeof *to);
	to->size = sizeof *to;
	return true;
}

static bool is_share(double x)
{
	return x >= 0 && x <= 1;
}

static bool are_sane(const tz_executor_options *o)
{
	return o->max_tasks >= 0 && o->workers >= 0 && o->workers <= MOST_WORKERS &&
	       o->min_workers >= 0 &&
	       o->min_workers <= MOST_WORKERS && o->spares <= MOST_WORKERS &&
	       (o->workers == 0 || o->min_workers <= o->workers) && o->idle_seconds >= 0 &&
	       o->delay >= 0 && o->delay < 1e9 && o->grace >= 0 && o->grace < 1e9 && is_share(o->fail) &&
	       o->full >= TZ_FULL_BLOCK && o->full <= TZ_FULL_CALLER_RUNS;
}

static int open_kind(tz_executor **ret, char *spec, tz_executor_options *options)
{
	char *items = strchr(spec, ':');

	if (items)
		*items++ = '\0';
	const tz_executor_ops *ops = find_kind(spec);

	if (!ops)
		return tz_remember_refusal(-ENOENT, NULL, "there is no kind of executor '%.60s'", spec);
	int r = parse_items(ops, items, options);

	if (r < 0)
		return r;
	if (!are_sane(options))
		return tz_remember_refusal(-EINVAL, NULL, "an option is out of range");
	return ops->open(ret, options);
}

int tz_executor_open_with(tz_executor **ret, const char *spec, const tz_executor_options *options)
{
	tz_executor_options complete = { .size = sizeof complete };

	if (!ret || !spec || (options && !copy_options(&complete, options)))
		return -EINVAL;
	char *mine = strdup(spec);

	if (!mine)
		return -ENOMEM;
	tz_deadlines_connect();
	int r = open_kind(ret, mine, &complete);

	free(mine);
	return r;
}

int tz_executor_open(tz_executor **ret, const char *spec)
{
	return tz_executor_open_with(ret, spec, NULL);
}

void tz_executor_init(tz_executor *executor, const tz_executor_ops *ops,
		      const tz_executor_options *options, int workers)
{
	executor->ops = ops;
	executor->workers = workers;
	executor->process = atomic_load_explicit(&tz_process_number, memory_order_relaxed);
	executor->closing = 0;
	executor->permanent = 0;
	executor->guests = 0;
	executor->options = *options;
	tz_copy_text(executor->name, sizeof executor->name,
		     options->name ? options->name : ops->kind);
	executor->options.name = executor->name; /* the caller's may be gone soon */
}

/* --- the default one ------------------------------------------------------------------------------------------------------ */

static _Atomic(tz_executor *) shared;

static tz_executor *make_default(tz_executor *there)
{
	tz_executor *made;

	if (tz_executor_open(&made, "threads") < 0)
		return NULL;
	made->permanent = 1;
	if (atomic_compare_exchange_strong_explicit(&shared, &there, made, memory_order_acq_rel,
						    memory_order_acquire))
		return made;
	made->permanent = 0;
	tz_executor_close(made); /* somebody else was faster */
	return there;
}

tz_executor *tz_executor_default(void)
{
	tz_executor *ex = atomic_load_explicit(&shared, memory_order_acquire);

	return __builtin_expect(ex && !tz_executor_is_lost(ex), 1) ? ex : make_default(ex);
}

/* --- where we are ----------------------------------------------------------------------------------------------------------- */

tz_executor *tz_executor_current(void)
{
	const struct tz_frame *frame = tz_strand_self()->frame;

	return frame && frame->job ? frame->job->executor : NULL;
}

int tz_worker_index(void)
{
	const struct tz_frame *frame = tz_strand_self()->frame;

	return frame ? frame->worker : -1;
}

/* Whether a job of the executor runs on the calling strand, at any depth. */
static bool runs_here(const tz_executor *ex)
{
	for (const struct tz_frame *f = tz_strand_self()->frame; f; f = f->outer)
		if (f->job && f->job->executor == ex)
			return true;
	return false;
}

void tz_blocking_begin(void)
{
	tz_strand_block_begin(tz_strand_self());
}

void tz_blocking_end(void)
{
	tz_strand_block_end(tz_strand_self());
}

/* --- through the table --------------------------------------------------------------------------------------------------------- */

static void note_closing(tz_executor *ex)
{
	__atomic_store_n(&ex->closing, 1, __ATOMIC_RELAXED);
}

int tz_executor_shutdown(tz_executor *executor, tz_shutdown how, tz_deadline deadline)
{
	if (!executor || (unsigned)how > TZ_STOP_NOW)
		return -EINVAL;
	if (executor->permanent)
		return -EPERM;
	if (tz_executor_is_lost(executor))
		return 0;
	if (runs_here(executor))
		return -EDEADLK;
	note_closing(executor);
	return executor->ops->shutdown(executor, how, deadline);
}

void tz_executor_request_shutdown(tz_executor *executor, tz_shutdown how)
{
	if (!executor || (unsigned)how > TZ_STOP_NOW || executor->permanent ||
	    tz_executor_is_lost(executor))
		return;
	note_closing(executor);
	executor->ops->request_shutdown(executor, how);
}

int tz_executor_kill_workers(tz_executor *executor)
{
	if (!executor)
		return -EINVAL;
	if (!executor->ops->kill_workers)
		return -ENOTSUP;
	return tz_executor_is_lost(executor) ? 0 : executor->ops->kill_workers(executor);
}

/* Drains and frees; deaf to the scope, since what is closed must be gone afterwards. */
static int drain_and_destroy(tz_executor *ex)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_scope *scope = self->scope;

	note_closing(ex);
	self->scope = NULL;
	int r = ex->ops->shutdown(ex, TZ_DRAIN, tz_never());

	self->scope = scope;
	if (r == 0)
		ex->ops->destroy(ex);
	return r;
}

static void *close_there(void *executor)
{
	(void)pthread_setname_np(pthread_self(), "trenza-closer");
	(void)drain_and_destroy(executor);
	return NULL;
}

/* From a job of the executor: a thread waits for the others in our place. Should there be no thread to have, the executor is drained all
 * the same, by the request, and its memory is lost. */
static void close_elsewhere(tz_executor *ex)
{
	pthread_t thread;

	note_closing(ex);
	ex->ops->request_shutdown(ex, TZ_DRAIN);
	(void)tz_os_thread_start_detached(&thread, close_there, ex);
}

void tz_executor_close(tz_executor *executor)
{
	if (!executor || executor->permanent)
		return;
	if (tz_executor_is_lost(executor))
		executor->ops->destroy(executor);
	else if (runs_here(executor) || drain_and_destroy(executor) < 0)
		close_elsewhere(executor);
}

void tz_executor_stats_of(tz_executor *executor, tz_executor_stats *ret)
{
	memset(ret, 0, sizeof *ret);
	if (executor && !tz_executor_is_lost(executor))
		executor->ops->stats(executor, ret);
}

const char *tz_executor_kind(const tz_executor *executor)
{
	return executor->ops->kind;
}

const char *tz_executor_name(const tz_executor *executor)
{
	return executor->name;
}

int tz_executor_workers(const tz_executor *executor)
{
	return executor->workers;
}
