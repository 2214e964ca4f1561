/* Threads: starting them, their end, and who waits for it.
 *
 * Design notes
 *
 * `state` is the one word that says how far a thread is: NEW, RUNNING, ENDED. Joining waits for that word and for nothing
 * else; the thread sets it when its function has ended and its outcome is written (release), and then wakes whoever is
 * in line. Taking the thread back from the system (pthread_join) has no part in it: that is done when
 * the last reference to the handle goes, by pthread_join if the thread has dropped its own reference, which is the
 * last thing it does, or by the thread itself, which detaches itself if it is the last.
 *
 * `registry.lock` guards the list of threads that run, all names, and the scope by which a thread can be cancelled. Nothing else is locked
 * under it, but a scope's own lock when it is cancelled.
 *
 * A thread's code may leave by pthread_exit, by cancellation of the thread, or by an exception that its TZ_TASK turns into a
 * failure: `guard` has a cleanup, which ends the thread properly in every case (the library is compiled with -fexceptions for it).
 *
 * Fork. The registry's lock is held over the fork. The child keeps the forking thread only, see in_child.
 */
#include "sched/thread.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/frame.h"
#include "core/outcome.h"
#include "core/scope.h"
#include "core/strand.h"
#include "os/atomic.h"
#include "os/mutex.h"
#include "sync/waiters.h"

enum { NEW, RUNNING, ENDED };

struct tz_thread {
	_Atomic uint32_t state;
	_Atomic uint32_t refs; /* handles, and the thread itself while it runs */
	struct tz_waiters joiners;
	tz_outcome outcome; /* once ENDED */

	/* What it runs: a task, or an object. */
	const tz_task *task;
	tz_runnable *object;
	void *args, *result; /* in `payload` */
	void *payload;

	uint64_t ident;
	_Atomic int tid; /* 0: not known yet */
	pthread_t handle;
	bool has_handle; /* `handle` is a thread that exists and is to be joined or detached */
	bool ours; /* started here */
	bool daemon;
	size_t stack_size;
	cpu_set_t *cpus;
	size_t cpus_size;
	struct tz_strand *strand; /* made by who starts it */

	/* Under registry.lock. */
	char name[TZ_NAME_MAX];
	bool cancelled;
	struct tz_scope *scope; /* while its function runs */
	struct tz_thread *next, *prev;
};

static struct {
	struct tz_mutex lock;
	struct tz_thread *first, *last;
	size_t count;
	tz_thread *main;
	bool exit_watched; /* wait_at_exit is registered */
} registry;

static tz_thread main_thread = { .refs = 1, .state = RUNNING, .ident = 1, .name = "MainThread" };
static _Atomic uint64_t last_ident = 1;
static _Atomic uint64_t last_number; /* of the default names */
static _Atomic size_t default_stack;
static _Atomic double exit_grace = (double)INFINITY;
static _Atomic(tz_uncaught_hook) uncaught_hook;
static _Thread_local tz_thread *current __attribute__((tls_model("initial-exec")));
static pthread_key_t foreign_key;
static bool have_foreign_key;

static int own_tid(void)
{
	return (int)syscall(SYS_gettid);
}

/* --- the list of threads that run ------------------------------------------------------------------------- */

/* Under the lock, like the next one. */
static void enlist(tz_thread *t)
{
	t->next = NULL;
	t->prev = registry.last;
	*(registry.last ? &registry.last->next : &registry.first) = t;
	registry.last = t;
	registry.count++;
}

static void delist(tz_thread *t)
{
	*(t->prev ? &t->prev->next : &registry.first) = t->next;
	*(t->next ? &t->next->prev : &registry.last) = t->prev;
	t->next = t->prev = NULL;
	registry.count--;
}

/* The kernel takes 15 bytes; no character is cut in two. Under the lock, of a thread that runs. */
static void tell_kernel_the_name(tz_thread *t)
{
	char cut[16];
	size_t n = strnlen(t->name, sizeof cut - 1);

	while (t->name[n] && n > 0 && ((unsigned char)t->name[n] & 0xc0) == 0x80)
		n--;
	memcpy(cut, t->name, n);
	cut[n] = '\0';
	(void)pthread_setname_np(t == current ? pthread_self() : t->handle, cut);
}

/* --- memory ------------------------------------------------------------------------------------------------ */

static void destroy(tz_thread *t)
{
	if (t == &main_thread)
		return;
	tz_strand_free(t->strand); /* of one that was never started */
	free(t->payload);
	if (t->cpus)
		CPU_FREE(t->cpus);
	free(t);
}

static bool drop(tz_thread *t)
{
	return atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1;
}

tz_thread *tz_thread_ref(tz_thread *t)
{
	(void)atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void tz_thread_close(tz_thread *t)
{
	if (!t || !drop(t))
		return;
	if (t->has_handle &&
	    t->ours) /* it has dropped its own reference, and is on its last few instructions */
		(void)pthread_join(t->handle, NULL);
	destroy(t);
}

static int take_cpus(tz_thread *t, const int *cpus, size_t n)
{
	int most = 0;

	for (size_t i = 0; i < n; i++) {
		if (cpus[i] < 0 || cpus[i] > 1 << 20)
			return -EINVAL;
		if (cpus[i] > most)
			most = cpus[i];
	}
	t->cpus = CPU_ALLOC((size_t)most + 1);
	if (!t->cpus)
		return -ENOMEM;
	t->cpus_size = CPU_ALLOC_SIZE((size_t)most + 1);
	CPU_ZERO_S(t->cpus_size, t->cpus);
	for (size_t i = 0; i < n; i++)
		CPU_SET_S((size_t)cpus[i], t->cpus_size, t->cpus);
	return 0;
}

static int take_args(tz_thread *t, const tz_task *task, const void *args)
{
	size_t align = task->align > 16 ? task->align : 16;
	size_t result_at = (task->args_size + align - 1) / align * align;
	size_t size = (result_at + task->result_size + align) / align * align;

	t->payload = aligned_alloc(align, size);
	if (!t->payload)
		return -ENOMEM;
	t->task = task;
	t->args = t->payload;
	t->result = (unsigned char *)t->payload + result_at;
	if (task->args_size)
		memcpy(t->args, args, task->args_size);
	return 0;
}

static int check_options(const tz_thread_options *o)
{
	if (o->stack_size && o->stack_size < (size_t)PTHREAD_STACK_MIN)
		return -EINVAL;
	if ((o->cpus != NULL) != (o->ncpus != 0))
		return -EINVAL;
	return o->reserved[0] || o->reserved[1] || o->reserved[2] || o->reserved[3] ? -EINVAL : 0;
}

static void name_it(tz_thread *t, const char *name)
{
	unsigned long n;

	if (name) {
		tz_copy_text(t->name, sizeof t->name, name);
		return;
	}
	n = (unsigned long)atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
	if (t->task)
		(void)snprintf(t->name, sizeof t->name, "Thread-%lu (%s)", n, t->task->name);
	else
		(void)snprintf(t->name, sizeof t->name, "Thread-%lu", n);
}

static int open_thread(tz_thread **ret_thread, const tz_thread_options *options,
		       const tz_task *task, const void *args, tz_runnable *object)
{
	tz_thread_options o = options ? *options : (tz_thread_options){ .name = NULL };
	int e = check_options(&o);
	tz_thread *t;

	if (e < 0)
		return e;
	t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	atomic_init(&t->refs, 1);
	t->ident = atomic_fetch_add_explicit(&last_ident, 1, memory_order_relaxed) + 1;
	t->ours = true;
	t->object = object;
	t->daemon = o.daemon;
	t->stack_size = o.stack_size;
	if (task)
		e = take_args(t, task, args);
	if (e == 0 && o.cpus)
		e = take_cpus(t, o.cpus, o.ncpus);
	name_it(t, o.name);
	if (e == 0 && !o.deferred)
		e = tz_thread_start(t);
	if (e < 0) {
		destroy(t);
		return e;
	}
	*ret_thread = t;
	return 0;
}

int tz_thread_open_raw(tz_thread **ret_thread, const tz_thread_options *options,
		       const tz_task *task, const void *args)
{
	return open_thread(ret_thread, options, task, args, NULL);
}

int tz_thread_open_object(tz_thread **ret_thread, const tz_thread_options *options,
			  tz_runnable *object)
{
	return open_thread(ret_thread, options, NULL, NULL, object);
}

/* --- the end of a thread ------------------------------------------------------------------------------------ */

tz_uncaught_hook tz_on_uncaught(tz_uncaught_hook hook)
{
	return atomic_exchange(&uncaught_hook, hook);
}

void tz_report_uncaught(tz_thread *t, const tz_outcome *outcome)
{
	tz_uncaught_hook hook = atomic_load(&uncaught_hook);

	if (hook && outcome->status != TZ_OK && outcome->status != TZ_CANCELLED)
		hook(t, outcome);
}

/* The thread has ended: says so, and wakes those who wait for it. */
static void end(tz_thread *t)
{
	tz_mutex_lock(&registry.lock);
	delist(t);
	tz_store_seq_cst(&t->state, ENDED);
	tz_mutex_unlock(&registry.lock);
	tz_waiters_wake_all(&t->joiners);
}

/* Its name may be changed by others. */
static void name_outcome(tz_thread *t)
{
	tz_mutex_lock(&registry.lock);
	tz_copy_text(t->outcome.task, sizeof t->outcome.task, t->name);
	tz_mutex_unlock(&registry.lock);
}

/* Leaves the scopes that are open, the thread's own last: by then nobody can cancel it any more. */
static void leave_scopes(tz_thread *t, struct tz_strand *strand, struct tz_scope *own)
{
	while (strand->scope && strand->scope != own)
		(void)tz_scope_leave(strand->scope);
	tz_mutex_lock(&registry.lock);
	t->scope = NULL;
	tz_mutex_unlock(&registry.lock);
	(void)tz_scope_leave(own);
}

struct guard {
	tz_thread *thread;
	struct tz_frame frame;
	bool returned;
};

static void write_outcome(struct guard *g)
{
	tz_outcome *o = &g->thread->outcome;

	o->worker = -1;
	tz_frame_outcome(&g->frame, g->returned, o);
	name_outcome(g->thread);
}

/* Every thread of ours goes through here, whichever way its code ended. */
static void on_leave(struct guard *g)
{
	tz_thread *t = g->thread;
	struct tz_strand *strand = tz_strand_self();

	tz_frame_settle(&g->frame, strand, !g->returned);
	write_outcome(g); /* before its scope is gone, which says whether it was cancelled */
	leave_scopes(t, strand, &g->frame.scope);
	tz_report_uncaught(t, &t->outcome);
	tz_frame_leave(&g->frame, strand);
	tz_strand_free(strand); /* with its strand-local values */
	end(t);
	current = NULL;
	if (drop(t)) {
		(void)pthread_detach(pthread_self());
		destroy(t);
	}
}

static void *thread_main(void *arg)
{
	tz_thread *t = arg;
	struct tz_strand *strand = t->strand;
	struct guard g __attribute__((cleanup(on_leave))) = { .thread = t };

	t->strand = NULL;
	current = t;
	tz_strand_adopt(strand);
	atomic_store_explicit(&t->tid, own_tid(), memory_order_release);
	tz_frame_enter(&g.frame, strand, NULL, tz_never(), -1);
	tz_mutex_lock(&registry.lock);
	t->scope = &g.frame.scope;
	if (t->cancelled)
		tz_scope_cancel(t->scope);
	tell_kernel_the_name(t);
	tz_mutex_unlock(&registry.lock);
	if (t->task)
		t->task->run(t->result, t->args);
	else
		t->object->run(t->object);
	g.returned = true;
	return NULL;
}

/* --- start -------------------------------------------------------------------------------------------------- */

static void wait_at_exit(void);

static int make_attr(pthread_attr_t *attr, const tz_thread *t)
{
	size_t stack = t->stack_size ? t->stack_size
				     : atomic_load_explicit(&default_stack, memory_order_relaxed);
	int e = pthread_attr_init(attr);

	if (e)
		return -e;
	if (stack)
		e = pthread_attr_setstacksize(attr, (stack + 4095) / 4096 * 4096);
	if (e == 0 && t->cpus)
		e = pthread_attr_setaffinity_np(attr, t->cpus_size, t->cpus);
	if (e)
		(void)pthread_attr_destroy(attr);
	return -e;
}

/* It counts as running from now on, so that whoever starts it finds it in the list. */
static int begin(tz_thread *t)
{
	uint32_t state = NEW;

	tz_mutex_lock(&registry.lock);
	if (!atomic_compare_exchange_strong(&t->state, &state, RUNNING)) {
		tz_mutex_unlock(&registry.lock);
		return -EALREADY;
	}
	if (!t->daemon && !registry.exit_watched)
		registry.exit_watched = atexit(wait_at_exit) == 0;
	enlist(t);
	tz_mutex_unlock(&registry.lock);
	(void)tz_thread_ref(t);
	return 0;
}

static void begin_failed(tz_thread *t)
{
	tz_mutex_lock(&registry.lock);
	delist(t);
	t->cancelled = false;
	atomic_store(&t->state, NEW);
	tz_mutex_unlock(&registry.lock);
	tz_waiters_wake_all(&t->joiners);
	(void)drop(t);
}

int tz_thread_start(tz_thread *t)
{
	pthread_attr_t attr;
	int e;

	if (!t->ours)
		return -EALREADY;
	e = begin(t);
	if (e < 0)
		return e;
	if (!t->strand)
		t->strand = tz_strand_new_thread();
	e = t->strand ? make_attr(&attr, t) : -ENOMEM;
	if (e == 0) {
		t->has_handle = true;
		e = -pthread_create(&t->handle, &attr, thread_main, t);
		(void)pthread_attr_destroy(&attr);
	}
	if (e < 0) {
		t->has_handle = false;
		begin_failed(t);
	}
	return e;
}

/* --- waiting for it ----------------------------------------------------------------------------------------- */

static bool has_ended(const tz_thread *t)
{
	return atomic_load_explicit(&t->state, memory_order_seq_cst) == ENDED;
}

/* A start that somebody was quick to take for one may have failed. */
static bool is_new(const tz_thread *t)
{
	return atomic_load_explicit(&t->state, memory_order_seq_cst) == NEW;
}

static int wait_for_end(tz_thread *t, tz_deadline deadline)
{
	struct tz_strand *self;
	struct tz_waiting w;

	tz_strand_count_call();
	if (has_ended(t))
		return 0;
	self = tz_strand_self();
	for (;;) {
		int e;

		tz_waiters_enter(&t->joiners, &w, self);
		if (has_ended(t) || is_new(t)) {
			tz_waiters_leave(&t->joiners, &w);
			return has_ended(t) ? 0 : -EINVAL;
		}
		e = tz_waiters_wait(&t->joiners, &w, "thread", t, deadline);
		if (has_ended(t))
			return 0;
		if (e < 0)
			return e;
	}
}

int tz_thread_join_until(tz_thread *t, tz_deadline deadline)
{
	if (t == current)
		return -EDEADLK;
	if (!t->ours || atomic_load_explicit(&t->state, memory_order_relaxed) == NEW)
		return -EINVAL;
	return wait_for_end(t, deadline);
}

int tz_thread_join(tz_thread *t)
{
	return tz_thread_join_until(t, tz_never());
}

int tz_thread_result_raw(tz_thread *t, const tz_task *task, void *ret_result)
{
	int e = t->task == task ? tz_thread_join(t) : -EINVAL;

	if (e < 0)
		return e;
	tz_remember(tz_strand_self(), &t->outcome);
	if (t->outcome.status != TZ_OK)
		return -EREMOTEIO;
	if (task->result_size && ret_result)
		memcpy(ret_result, t->result, task->result_size);
	return 0;
}

void tz_thread_outcome(tz_thread *t, tz_outcome *ret_outcome)
{
	if (has_ended(t)) {
		*ret_outcome = t->outcome;
		return;
	}
	*ret_outcome = (tz_outcome){ .worker = -1 };
	tz_mutex_lock(&registry.lock);
	tz_copy_text(ret_outcome->task, sizeof ret_outcome->task, t->name);
	tz_mutex_unlock(&registry.lock);
}

int tz_thread_cancel(tz_thread *t)
{
	uint32_t state;

	if (!t->ours)
		return -EINVAL;
	tz_mutex_lock(&registry.lock);
	state = atomic_load_explicit(&t->state, memory_order_relaxed);
	if (state == RUNNING) {
		t->cancelled = true; /* in case it has no scope yet */
		if (t->scope)
			tz_scope_cancel(t->scope);
	}
	tz_mutex_unlock(&registry.lock);
	return state == NEW ? -EINVAL : state == ENDED ? -EALREADY : 0;
}

/* A non-daemon that still runs, as a new reference. */
static tz_thread *somebody_to_wait_for(void)
{
	tz_thread *t;

	tz_mutex_lock(&registry.lock);
	for (t = registry.first; t && (!t->ours || t->daemon || t == current); t = t->next)
		;
	if (t)
		(void)tz_thread_ref(t);
	tz_mutex_unlock(&registry.lock);
	return t;
}

static void wait_at_exit(void)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_scope *scope = self->scope;
	double grace = atomic_load(&exit_grace);
	tz_deadline end = tz_after(grace);
	tz_thread *t;
	int e = 0;

	self->scope = NULL; /* a scope that exit() was called in must not end this wait */
	while (e == 0 && (t = somebody_to_wait_for())) {
		e = wait_for_end(t, end);
		if (e == -EINVAL)
			e = 0; /* it has not begun after all */
		tz_thread_close(t);
	}
	self->scope = scope;
}

double tz_thread_exit_grace(double seconds)
{
	if (!(seconds >= 0))
		return atomic_load(&exit_grace);
	return atomic_exchange(&exit_grace, seconds);
}

/* --- who is who ---------------------------------------------------------------------------------------------- */

static void foreign_thread_ends(void *arg)
{
	tz_thread *t = arg;

	current = NULL;
	t->outcome.status = TZ_OK;
	t->outcome.worker = -1;
	name_outcome(t);
	end(t);
	if (drop(t))
		destroy(t);
}

static tz_thread *adopt_foreign_thread(void)
{
	tz_thread *t = have_foreign_key ? calloc(1, sizeof *t) : NULL;

	if (!t)
		return NULL;
	atomic_init(&t->refs, 1);
	atomic_init(&t->state, RUNNING);
	atomic_init(&t->tid, own_tid());
	t->daemon = true;
	t->handle = pthread_self();
	t->ident = atomic_fetch_add_explicit(&last_ident, 1, memory_order_relaxed) + 1;
	if (pthread_getname_np(t->handle, t->name, sizeof t->name) != 0 || !t->name[0])
		tz_copy_text(t->name, sizeof t->name, "foreign");
	if (pthread_setspecific(foreign_key, t) != 0) {
		free(t);
		return NULL;
	}
	tz_mutex_lock(&registry.lock);
	enlist(t);
	tz_mutex_unlock(&registry.lock);
	current = t;
	return t;
}

tz_thread *tz_thread_current(void)
{
	return current ? current : adopt_foreign_thread();
}

tz_thread *tz_thread_main(void)
{
	return registry.main;
}

size_t tz_thread_list(tz_thread **ret_threads, size_t max)
{
	size_t n = 0;

	tz_mutex_lock(&registry.lock);
	for (tz_thread *t = registry.first; t && n < max; t = t->next)
		ret_threads[n++] = tz_thread_ref(t);
	n = registry.count;
	tz_mutex_unlock(&registry.lock);
	return n;
}

size_t tz_thread_count(void)
{
	return tz_thread_list(NULL, 0);
}

bool tz_thread_alive(const tz_thread *t)
{
	return atomic_load_explicit(&t->state, memory_order_acquire) == RUNNING;
}

bool tz_thread_daemon(const tz_thread *t)
{
	return t->daemon;
}

uint64_t tz_thread_ident(const tz_thread *t)
{
	return t->ident;
}

int tz_thread_native_id(tz_thread *t)
{
	int tid;

	/* A thread that was just started says its number as the first thing it does. */
	while ((tid = atomic_load_explicit(&t->tid, memory_order_acquire)) == 0 &&
	       tz_thread_alive(t))
		(void)sched_yield();
	return tid;
}

int tz_thread_name(tz_thread *t, char *buf, size_t n)
{
	int length;

	tz_mutex_lock(&registry.lock);
	length = snprintf(buf, n, "%s", t->name);
	tz_mutex_unlock(&registry.lock);
	return length;
}

int tz_thread_set_name(tz_thread *t, const char *name)
{
	if (!name)
		return -EINVAL;
	tz_mutex_lock(&registry.lock);
	tz_copy_text(t->name, sizeof t->name, name);
	/* One of ours that has not said its number yet tells the kernel itself. */
	if (tz_thread_alive(t) &&
	    (t == current || atomic_load_explicit(&t->tid, memory_order_acquire)))
		tell_kernel_the_name(t);
	tz_mutex_unlock(&registry.lock);
	return 0;
}

size_t tz_thread_stack_size(size_t bytes)
{
	if (bytes && bytes < (size_t)PTHREAD_STACK_MIN)
		return atomic_load(&default_stack);
	return atomic_exchange(&default_stack, bytes);
}

/* --- the process ---------------------------------------------------------------------------------------------- */

static void before_fork(void)
{
	tz_mutex_lock_unless_alone(&registry.lock);
}

static void in_parent(void)
{
	tz_mutex_unlock_if_locked(&registry.lock);
}

/* A thread that does not exist in this process. */
static void lose(tz_thread *t)
{
	delist(t);
	t->has_handle = false;
	t->strand = NULL; /* lost with the thread */
	t->scope = NULL;
	memset(&t->joiners, 0, sizeof t->joiners);
	t->outcome = (tz_outcome){ .status = TZ_LOST, .code = -ESRCH, .worker = -1 };
	tz_copy_text(t->outcome.task, sizeof t->outcome.task, t->name);
	tz_copy_text(t->outcome.message, sizeof t->outcome.message, "it ran in the parent process");
	atomic_store(&t->state, ENDED);
	if (drop(t))
		destroy(t);
}

static void in_child(void)
{
	for (tz_thread *t = registry.first, *next; t; t = next) {
		next = t->next;
		if (t != current)
			lose(t);
	}
	if (registry.main != (current ? current : &main_thread)) /* most often it is, and its page stays the parent's */
		registry.main = current ? current : &main_thread;
	if (!current) {
		main_thread.handle = pthread_self();
		atomic_store(&main_thread.refs, 1);
		atomic_store(&main_thread.state, RUNNING);
		enlist(&main_thread);
		current = &main_thread;
	}
	atomic_store(&current->tid, own_tid());
	memset(&current->joiners, 0, sizeof current->joiners);
	tz_mutex_unlock_if_locked(&registry.lock);
}

__attribute__((constructor)) static void set_up(void)
{
	have_foreign_key = pthread_key_create(&foreign_key, foreign_thread_ends) == 0;
	(void)pthread_atfork(before_fork, in_parent, in_child);
	main_thread.daemon = false;
	atomic_store(&main_thread.tid, (int)getpid());
	main_thread.handle =
		pthread_self(); /* wrong if a thread loads the library: only its name could not be set */
	if (own_tid() == getpid())
		current = &main_thread;
	registry.main = &main_thread;
	enlist(&main_thread);
}
