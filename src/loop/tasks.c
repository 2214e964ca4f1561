/* What the tasks of all loops are doing. See <trenza/tasks.h>.
 *
 * Design notes
 *
 * All loops are in a list, under a lock. Who asks visits a loop, so that it is not freed, leaves a question with it, and rings; the loop's thread
 * answers at its next turn of main, when nothing of its own changes. A question that was not taken up in time is taken back. A coroutine that asks
 * about its own loop answers itself: it is on that thread.
 *
 * A loop that stops running clears `host`, then refuses the question that is there; who asks leaves the question, then looks at `host`. So a question is
 * never left with a loop that nobody runs; it would be waited for in vain, and the end of the loop waits for who visits it.
 *
 * An answer is copied: names of jobs may be freed when the loop goes on.
 */
#include "loop/tasks.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza/spawn.h>
#include <trenza/tasks.h>

#include "core/job.h"
#include "core/outcome.h"
#include "loop/later.h"
#include "loop/loop.h"
#include "os/cpu.h"
#include "os/futex.h"
#include "os/mutex.h"
#include "os/thread.h"

static const double PATIENCE = 1; /* seconds that a loop has to answer */

static struct {
	struct tz_mutex lock;
	struct tz_loop *first;
	uint32_t numbers; /* given to loops */
} loops;

void tz_loops_add(struct tz_loop *l)
{
	tz_mutex_lock(&loops.lock);
	l->number = loops.numbers++;
	l->next_loop = loops.first;
	loops.first = l;
	tz_mutex_unlock(&loops.lock);
}

void tz_loops_remove(struct tz_loop *l)
{
	tz_mutex_lock(&loops.lock);
	struct tz_loop **at = &loops.first;

	while (*at && *at != l)
		at = &(*at)->next_loop;
	if (*at)
		*at = l->next_loop;
	tz_mutex_unlock(&loops.lock);
}

void tz_loops_fork_prepare(void)
{
	tz_mutex_lock_unless_alone(&loops.lock);
}

void tz_loops_fork_done(void)
{
	tz_mutex_unlock_if_locked(&loops.lock);
}

struct tz_loop *tz_loops_visit(uint32_t at_least)
{
	struct tz_loop *found = NULL;

	tz_mutex_lock(&loops.lock);
	for (struct tz_loop *l = loops.first; l; l = l->next_loop)
		if (!tz_executor_is_lost(&l->executor) && l->number >= at_least && !tz_loop_is_finished(l) &&
		    (!found || l->number < found->number))
			found = l;
	if (found)
		tz_loop_visit(found);
	tz_mutex_unlock(&loops.lock);
	return found;
}

/* --- the loop's side --------------------------------------------------------------------------------------------------------- */

struct row {
	tz_task_info info;
	char name[TZ_NAME_MAX];
};

struct tz_question {
	struct row *rows;
	size_t n, room;
	bool no_memory;
	struct tz_strand *strand; /* who asks */
	bool refused;
	_Atomic bool answered;
};

static struct row *add_row(struct tz_question *q, const struct tz_loop *l, const struct tz_job *job)
{
	if (q->n == q->room) {
		size_t room = q->room ? 2 * q->room : 64;
		struct row *rows = realloc(q->rows, room * sizeof *rows);

		if (!rows) {
			q->no_memory = true;
			return NULL;
		}
		q->rows = rows;
		q->room = room;
	}
	struct row *r = &q->rows[q->n++];
	/* A timer future keeps its timer where the site would be. */
	const struct tz_site *site = job->task == &tz_timer_task ? NULL : job->site;

	*r = (struct row){ .info = { .loop = l->number, .id = job->id, .parent = job->parent } };
	tz_copy_text(r->name, sizeof r->name, tz_job_name(job));
	if (site) {
		r->info.file = site->file;
		r->info.function = site->function;
		r->info.line = site->line;
	}
	return r;
}

static void describe(struct tz_question *q, const struct tz_loop *l, const struct tz_coroutine *c)
{
	struct row *r = add_row(q, l, c->job);

	if (!r)
		return;
	r->info.state = tz_coroutine_strand_ops.state(&c->strand);
	if (r->info.state == TZ_TASK_WAITING) {
		uint64_t now = l->backend->ops->now(l->backend);

		r->info.waits_for = c->strand.waits_for ? c->strand.waits_for : "something";
		r->info.waits_on = c->strand.waits_on;
		r->info.since = now > c->since ? (double)(now - c->since) / 1e9 : 0;
	}
}

static void describe_held(const struct tz_job *job, void *arg)
{
	struct tz_question *q = arg;
	struct row *r = add_row(q, job->task == &tz_timer_task ? (const struct tz_loop *)(void *)job->executor : tz_loop_self, job);

	if (r && job->task == &tz_timer_task) {
		r->info.state = TZ_TASK_WAITING;
		r->info.waits_for = "timer";
	}
}

static void answer(struct tz_loop *l, struct tz_question *q)
{
	for (const struct tz_coroutine *c = l->all; c; c = c->next)
		if (c->job)
			describe(q, l, c);
	for (tz_entry e = l->ready.first; e; e = *tz_entry_link(e))
		if (!tz_entry_coroutine(e))
			(void)add_row(q, l, (const struct tz_job *)e);
	tz_later_walk(l, describe_held, q);
}

static struct tz_question *take_question(struct tz_loop *l)
{
	return atomic_exchange_explicit(&l->question, NULL, memory_order_seq_cst);
}

static void give_back(struct tz_question *q)
{
	struct tz_strand *strand = q->strand;

	atomic_store_explicit(&q->answered, true, memory_order_release); /* the last touch */
	tz_strand_unpark(strand);
}

void tz_loop_answer(struct tz_loop *l)
{
	struct tz_question *q = take_question(l);

	if (!q)
		return;
	answer(l, q);
	give_back(q);
}

void tz_loop_refuse_question(struct tz_loop *l)
{
	struct tz_question *q = take_question(l);

	if (!q)
		return;
	q->refused = true;
	give_back(q);
}

/* --- who asks ------------------------------------------------------------------------------------------------------------------- */

static bool is_answered(const struct tz_question *q)
{
	return atomic_load_explicit(&q->answered, memory_order_acquire);
}

static bool has_host(const struct tz_loop *l)
{
	return __atomic_load_n(&l->host, __ATOMIC_SEQ_CST) != NULL;
}

static bool take_back(struct tz_loop *l, struct tz_question *q)
{
	return atomic_compare_exchange_strong_explicit(&l->question, &q, NULL, memory_order_relaxed, memory_order_relaxed);
}

/* Leaves the question with the loop, unless somebody else's is still there. */
static bool leave_question(struct tz_loop *l, struct tz_question *q, tz_deadline deadline)
{
	for (;;) {
		struct tz_question *none = NULL;

		if (!has_host(l) || tz_expired(deadline))
			return false;
		if (atomic_compare_exchange_strong_explicit(&l->question, &none, q, memory_order_seq_cst, memory_order_relaxed))
			break;
		(void)q->strand->ops->park(q->strand, tz_after(0.001));
	}
	tz_loop_ring(l);
	return has_host(l) || !take_back(l, q);
}

static bool ask_another(struct tz_loop *l, struct tz_question *q)
{
	tz_deadline deadline = tz_after(PATIENCE);

	if (!leave_question(l, q, deadline))
		return false;
	while (!is_answered(q))
		if (q->strand->ops->park(q->strand, deadline) == -ETIMEDOUT && take_back(l, q))
			return false;
	return !q->refused;
}

/* Whether the loop has answered. */
static bool ask(struct tz_loop *l, struct tz_question *q)
{
	struct tz_loop *own = tz_loop_self;

	if (l == own) {
		answer(l, q);
		return true;
	}
	if (own)
		tz_backend_hold(own->backend, 1); /* if its time is virtual: the answer comes in real time */
	bool answered = ask_another(l, q);

	if (own)
		tz_backend_hold(own->backend, -1);
	return answered;
}

/* Calls fn with the answers of one loop. False if it has given none. */
static bool walk_loop(struct tz_loop *l, struct tz_question *q, void (*fn)(const tz_task_info *info, void *arg), void *arg)
{
	if (!ask(l, q))
		return false;
	for (size_t i = 0; i < q->n; i++) {
		q->rows[i].info.name = q->rows[i].name;
		fn(&q->rows[i].info, arg);
	}
	return true;
}

static int walk(void (*fn)(const tz_task_info *info, void *arg), void (*left_out)(struct tz_loop *l, void *arg), void *arg)
{
	int missing = 0;
	struct tz_loop *l;

	for (uint32_t number = 0; (l = tz_loops_visit(number)) != NULL; number++) {
		struct tz_question q = { .strand = tz_strand_self() };
		bool answered = walk_loop(l, &q, fn, arg);

		number = l->number;
		if (!answered) {
			missing++;
			if (left_out)
				left_out(l, arg);
		}
		tz_loop_leave(l);
		free(q.rows);
		if (q.no_memory)
			return -ENOMEM;
	}
	return missing;
}

int tz_walk_tasks(void (*fn)(const tz_task_info *info, void *arg), void *arg)
{
	return walk(fn, NULL, arg);
}

/* --- as text ---------------------------------------------------------------------------------------------------------------------- */

/* All tasks, in the order in which they were described: rows of one loop lie together. */
struct tree {
	struct row *rows;
	size_t n, room;
	int fd, error;
};

static void write_line(struct tree *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void write_line(struct tree *t, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	if (n < 0 || t->error)
		return;
	size_t length = (size_t)n < sizeof line - 2 ? (size_t)n : sizeof line - 2;

	line[length++] = '\n';
	for (size_t done = 0; done < length;) {
		ssize_t w = write(t->fd, line + done, length - done);

		if (w < 0 && errno != EINTR) {
			t->error = -errno;
			return;
		}
		done += w > 0 ? (size_t)w : 0;
	}
}

static void keep_row(const tz_task_info *info, void *arg)
{
	struct tree *t = arg;

	if (t->n == t->room) {
		size_t room = t->room ? 2 * t->room : 64;
		struct row *rows = realloc(t->rows, room * sizeof *rows);

		if (!rows) {
			t->error = -ENOMEM;
			return;
		}
		t->rows = rows;
		t->room = room;
	}
	struct row *r = &t->rows[t->n++];

	r->info = *info;
	tz_copy_text(r->name, sizeof r->name, info->name);
}

static void tell_of_stuck(struct tz_loop *l, void *arg)
{
	struct tz_coroutine *c = __atomic_load_n(&l->current, __ATOMIC_ACQUIRE);
	const tz_task *task = c ? __atomic_load_n(&c->task, __ATOMIC_RELAXED) : NULL;

	write_line(arg, "loop %u: does not answer%s%s%s", l->number, task ? ": it is busy with task '" : ", nobody runs it",
		   task ? task->name : "", task ? "'" : "");
}

static const char *const state_names[] = {
	[TZ_TASK_QUEUED] = "queued",   [TZ_TASK_RUNNABLE] = "runnable", [TZ_TASK_RUNNING] = "running",
	[TZ_TASK_WAITING] = "waiting", [TZ_TASK_DONE] = "done",
};

/* "waiting for a lock 0x7f.., 2.0 s" */
static void say_state(const tz_task_info *info, char *to, size_t size)
{
	const char *article = info->waits_for && strchr("aeiou", info->waits_for[0]) ? "an" : "a";

	if (info->state != TZ_TASK_WAITING)
		(void)snprintf(to, size, "%s", state_names[info->state]);
	else if (strcmp(info->waits_for, "sleep") == 0)
		(void)snprintf(to, size, "sleeping, %.1f s", info->since);
	else if (strcmp(info->waits_for, "timer") == 0 && !info->waits_on)
		(void)snprintf(to, size, "waiting for its time");
	else if (strcmp(info->waits_for, tz_waits_for_future) == 0 && info->waits_on)
		(void)snprintf(to, size, "waiting for task '%s', %.1f s", ((const tz_task *)info->waits_on)->name, info->since);
	else if (strcmp(info->waits_for, tz_waits_for_descriptor) == 0)
		(void)snprintf(to, size, "waiting for descriptor %d, %.1f s", (int)(intptr_t)info->waits_on, info->since);
	else if (info->waits_on)
		(void)snprintf(to, size, "waiting for %s %s %p, %.1f s", article, info->waits_for, info->waits_on, info->since);
	else
		(void)snprintf(to, size, "waiting for %s %s, %.1f s", article, info->waits_for, info->since);
}

enum { MOST_INDENTED = 64 }; /* levels: what lies deeper stands at the same edge, and names its parent */

static void write_row(struct tree *t, const struct row *r, size_t depth)
{
	char state[160], spawned[200] = "", under[32] = "";
	const tz_task_info *info = &r->info;

	say_state(info, state, sizeof state);
	if (info->file)
		(void)snprintf(spawned, sizeof spawned, ", spawned at %s:%u by %s", info->file, info->line, info->function);
	if (depth > MOST_INDENTED)
		(void)snprintf(under, sizeof under, " (under #%u)", info->parent);
	write_line(t, "%*s#%u %s%s: %s%s", 2 + 2 * (int)(depth < MOST_INDENTED ? depth : MOST_INDENTED), "", info->id, r->name, under, state,
		   spawned);
}

static int by_parent(const void *a, const void *b)
{
	const tz_task_info *x = &((const struct row *)a)->info, *y = &((const struct row *)b)->info;

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* The first row with that parent; the rows from `first` to `end` are sorted by it. */
static size_t first_child(const struct tree *t, size_t first, size_t end, uint32_t parent)
{
	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (t->rows[middle].info.parent < parent)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

/* The tasks below one. Tasks may be nested as deep as there are any, and a coroutine's stack is not: `path` says instead, for each level down to
 * the current one, which row is next there. It has room for one level more than the loop has tasks. */
static void write_below(struct tree *t, size_t first, size_t end, uint32_t top, size_t *path)
{
	size_t depth = 1;

	path[1] = top ? first_child(t, first, end, top) : end;
	while (depth > 0) {
		uint32_t parent = depth > 1 ? t->rows[path[depth - 1] - 1].info.id : top;
		size_t i = path[depth];

		if (i == end || t->rows[i].info.parent != parent) {
			depth--;
			continue;
		}
		path[depth]++;
		write_row(t, &t->rows[i], depth);
		if (t->rows[i].info.id)
			path[++depth] = first_child(t, first, end, t->rows[i].info.id);
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The tasks of one loop. One whose parent is not there, since it has ended or is on another loop, stands at the edge. */
static void write_loop(struct tree *t, size_t first, size_t end)
{
	size_t n = end - first;
	uint32_t *ids = malloc(n * sizeof *ids);
	size_t *path = malloc((n + 2) * sizeof *path); /* see write_below; the level of the edge is not in use */

	if (!ids || !path) {
		t->error = -ENOMEM;
		goto out;
	}
	qsort(t->rows + first, n, sizeof *t->rows, by_parent);
	for (size_t i = 0; i < n; i++)
		ids[i] = t->rows[first + i].info.id;
	qsort(ids, n, sizeof *ids, by_number);
	write_line(t, "loop %u: %zu task%s", t->rows[first].info.loop, n, n == 1 ? "" : "s");
	for (size_t i = first; i < end; i++) {
		const tz_task_info *info = &t->rows[i].info;

		if (info->parent && bsearch(&info->parent, ids, n, sizeof *ids, by_number))
			continue;
		write_row(t, &t->rows[i], 0);
		write_below(t, first, end, info->id, path);
	}
out:
	free(path);
	free(ids);
}

int tz_dump_tasks(int fd)
{
	struct tree t = { .fd = fd };
	int r = walk(keep_row, tell_of_stuck, &t);

	for (size_t first = 0, end; first < t.n; first = end) {
		for (end = first + 1; end < t.n && t.rows[end].info.loop == t.rows[first].info.loop;)
			end++;
		write_loop(&t, first, end);
	}
	free(t.rows);
	return r < 0 ? r : t.error < 0 ? t.error : r;
}

/* --- on a signal -------------------------------------------------------------------------------------------------------------------- */

static struct {
	struct tz_mutex lock;
	_Atomic uint32_t asked; /* how often; what the thread sleeps on */
	uint32_t process; /* in which the thread is, + 1 */
	int signal;
	struct sigaction before;
} dumper;

static void note(int signal)
{
	int saved = errno;

	(void)signal;
	(void)atomic_fetch_add_explicit(&dumper.asked, 1, memory_order_relaxed);
	tz_futex_wake(&dumper.asked, 1);
	errno = saved;
}

static void *dump(void *unused)
{
	uint32_t seen = 0;

	(void)unused;
	(void)pthread_setname_np(pthread_self(), "trenza-tasks");
	for (;;) {
		uint32_t now = atomic_load_explicit(&dumper.asked, memory_order_relaxed);

		if (now != seen)
			(void)tz_dump_tasks(STDERR_FILENO);
		else
			(void)tz_futex_wait(&dumper.asked, seen, 0);
		seen = now;
	}
	return NULL;
}

/* The thread that writes; under the lock. */
static int start_dumper(void)
{
	uint32_t process = atomic_load_explicit(&tz_process_number, memory_order_relaxed) + 1;
	pthread_t thread;

	if (dumper.process == process)
		return 0;
	int r = tz_os_thread_start(&thread, 0, dump, NULL);

	if (r < 0)
		return r;
	(void)pthread_detach(thread);
	dumper.process = process;
	return 0;
}

int tz_dump_tasks_on(int signal)
{
	struct sigaction act = { .sa_handler = note, .sa_flags = SA_RESTART | SA_ONSTACK }, before;
	int r = 0;

	tz_mutex_lock(&dumper.lock);
	if (signal)
		r = start_dumper();
	if (r == 0 && signal) {
		(void)sigemptyset(&act.sa_mask);
		if (sigaction(signal, &act, &before) < 0)
			r = -errno;
	}
	if (r == 0) {
		if (dumper.signal && dumper.signal != signal)
			(void)sigaction(dumper.signal, &dumper.before, NULL);
		if (signal && dumper.signal != signal)
			dumper.before = before;
		dumper.signal = signal;
	}
	tz_mutex_unlock(&dumper.lock);
	return r;
}
