/* What a call becomes on its way to a process, and what the process makes of it.
 *
 * Design notes. The blob is a head, the task's name, and the arguments as bytes (codec.h); for a fork, where addresses mean the same, the descriptor's address and
 * the arguments as they are. The process runs the function in a frame, as a thread does, so that scopes and tz_fail work. A failure is written to
 * the pipe that is the first descriptor of its birth, in one piece; of an end without a failure the exit code says enough. The other descriptors of its birth are
 * those of shared memory, and whatever else goes beside the arguments; they are the process's for its life.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/frame.h"
#include "core/outcome.h"
#include "core/strand.h"
#include "process/process.h"
#include "wire/codec.h"

enum { BLOB_MAGIC = 0x545a4231 };

struct head {
	uint32_t magic;
	int32_t method_fixed;
	uint64_t by_address; /* the task, or 0 */
	uint64_t name, name_size, args, args_size;
	uint32_t authkey_size, nrefs;
	unsigned char authkey[TZ_AUTHKEY_MAX];
	struct tz_ref refs[TZ_GIVER_MAX];
};

/* What comes back. */
struct report {
	int32_t status, code;
	char message[TZ_MESSAGE_MAX];
};

/* --- packing ---------------------------------------------------------------------------------------------------------------- */

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static struct head *new_blob(const tz_process *p, size_t name_size, size_t args_size, size_t align, size_t *ret_size)
{
	uint64_t name = sizeof(struct head), args = round_up(name + name_size, align > 64 ? align : 64);
	struct head *h = args_size > SIZE_MAX / 2 ? NULL : calloc(1, args + args_size);

	if (!h)
		return NULL;
	h->magic = BLOB_MAGIC;
	h->method_fixed = atomic_load(&tz_start_method_fixed);
	h->name = name;
	h->name_size = name_size;
	h->args = args;
	h->args_size = args_size;
	h->authkey_size = (uint32_t)p->authkey_size;
	memcpy(h->authkey, p->authkey, p->authkey_size);
	*ret_size = args + args_size;
	return h;
}

static int pack_by_address(const tz_process *p, const tz_task *task, const void *args, void **ret_blob, size_t *ret_size)
{
	struct head *h = new_blob(p, 0, task->args_size, task->align, ret_size);

	if (!h)
		return -ENOMEM;
	h->by_address = (uint64_t)(uintptr_t)task;
	if (task->args_size)
		memcpy((char *)h + h->args, args, task->args_size);
	*ret_blob = h;
	return 0;
}

/* Why the arguments could not be encoded. */
static int refuse_arguments(const struct tz_plan *plan, const void *args, const struct tz_carrier *carrier, int error)
{
	char why[TZ_MESSAGE_MAX];
	int culprit;

	if (error != -ENOTSUP)
		return error;
	culprit = tz_args_culprit(plan, args, carrier);
	tz_plan_explain(plan, culprit ? culprit : 1, why, sizeof why);
	return tz_remember_refusal(error, plan->task->name, "%s", why);
}

static int pack_by_name(const tz_process *p, const struct tz_plan *plan, const void *args, struct tz_giver *giver, void **ret_blob,
			size_t *ret_size)
{
	size_t size = tz_args_size(plan, args, &giver->carrier);
	struct head *h = new_blob(p, tz_task_name_size(plan->name), size, plan->align, ret_size);
	int e;

	if (!h)
		return -ENOMEM;
	memcpy((char *)h + h->name, plan->name, h->name_size);
	e = tz_args_encode(plan, args, (char *)h + h->args, size, &giver->carrier);
	if (e < 0) {
		free(h);
		return refuse_arguments(plan, args, &giver->carrier, e);
	}
	h->nrefs = giver->n;
	tz_refs_note(giver, h->refs);
	*ret_blob = h;
	return 0;
}

int tz_process_pack(const tz_process *p, const tz_task *task, const void *args, bool by_address, struct tz_giver *giver, void **ret_blob,
		    size_t *ret_size)
{
	const struct tz_plan *plan;

	if (by_address)
		return pack_by_address(p, task, args, ret_blob, ret_size);
	plan = tz_plan_of(task);
	if (!plan)
		return -ENOMEM;
	if (plan->error)
		return tz_remember_refusal(plan->error, task->name, "%s", plan->refusal);
	return pack_by_name(p, plan, args, giver, ret_blob, ret_size);
}

bool tz_process_read_report(int fd, tz_outcome *ret)
{
	struct report r;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, 0) != 1 || read(fd, &r, sizeof r) != (ssize_t)sizeof r)
		return false;
	r.message[sizeof r.message - 1] = '\0';
	ret->status = r.status == TZ_CRASHED || r.status == TZ_CANCELLED || r.status == TZ_TIMED_OUT ? (tz_status)r.status : TZ_FAILED;
	ret->code = r.code;
	tz_copy_text(ret->message, sizeof ret->message, r.message);
	return true;
}

/* --- in the process ------------------------------------------------------------------------------------------------------------- */

static void report(const struct tz_birth *birth, const tz_outcome *o)
{
	struct report r = { .status = (int32_t)o->status, .code = o->code };

	tz_copy_text(r.message, sizeof r.message, o->message);
	if (birth->nfds > 0)
		(void)!write(birth->fds[0], &r, sizeof r);
}

static int fail(const struct tz_birth *birth, int code, const char *why)
{
	tz_outcome o = { .status = TZ_FAILED, .code = code };

	tz_copy_text(o.message, sizeof o.message, why);
	report(birth, &o);
	return 1;
}

struct run {
	const struct tz_birth *birth;
	struct tz_frame frame;
	bool returned;
	int code;
};

struct small_result {
	_Alignas(64) unsigned char bytes[256];
};

static void end_process(const struct run *r)
{
	if (r->birth->method != TZ_CHILD_FORK)
		exit(r->code); /* allowed: the child's main function has returned */
	(void)fflush(NULL); /* the handlers at exit are the parent's */
	_exit(r->code);
}

/* Also where the function has left by pthread_exit: that was all there was to do, and nobody is left to say so. */
static void on_leave(struct run **run)
{
	struct run *r = *run;
	struct tz_strand *strand = tz_strand_self();
	tz_outcome o = { .worker = -1 };

	while (strand->scope && strand->scope != &r->frame.scope)
		(void)tz_scope_leave(strand->scope);
	tz_frame_settle(&r->frame, strand, !r->returned);
	tz_frame_outcome(&r->frame, r->returned, &o);
	(void)tz_scope_leave(&r->frame.scope);
	tz_frame_leave(&r->frame, strand);
	r->code = o.status != TZ_OK;
	if (o.status != TZ_OK)
		report(r->birth, &o);
	if (!r->returned)
		end_process(r);
}

static void run_guarded(struct run *arg, const tz_task *task, const void *args, void *result)
{
	struct run *r __attribute__((cleanup(on_leave))) = arg;

	tz_frame_enter(&r->frame, tz_strand_self(), NULL, tz_never(), -1);
	task->run(result, args);
	r->returned = true;
}

/* In `small` if it fits: a process that only returns a number need not begin to allocate. */
static void *new_result(const tz_task *task, struct small_result *small)
{
	size_t align = task->align > 16 ? task->align : 16;

	if (align <= _Alignof(struct small_result) && task->result_size <= sizeof *small)
		return small;
	return aligned_alloc(align, round_up(task->result_size + 1, align));
}

static int run_task(const struct tz_birth *birth, const tz_task *task, const void *args)
{
	struct run r = { .birth = birth };
	struct small_result small;
	void *result = new_result(task, &small);

	if (!result)
		return fail(birth, -ENOMEM, "no memory for its result");
	run_guarded(&r, task, args, result);
	if (result != &small)
		free(result);
	return r.code;
}

/* The arguments at an address that suits them. */
static void *place_args(char *at, const struct head *h, size_t align)
{
	void *p;

	if ((uintptr_t)at % align == 0)
		return at;
	p = aligned_alloc(align, round_up(h->args_size + 1, align));
	return p ? memcpy(p, at, h->args_size) : NULL;
}

static int run_by_name(const struct tz_birth *birth, char *blob, const struct head *h)
{
	static struct tz_segment *refs[TZ_GIVER_MAX]; /* for the life of the process */
	struct tz_taker taker;
	char why[TZ_MESSAGE_MAX];
	const tz_task *task;
	const struct tz_plan *plan;
	const void *args;
	void *bytes;
	int e = tz_task_resolve(blob + h->name, h->name_size, &task);

	if (e < 0) {
		(void)snprintf(why, sizeof why, "its task cannot be found in the new process: %s", strerrordesc_np(-e));
		return fail(birth, e, why);
	}
	plan = tz_plan_of(task);
	bytes = plan ? place_args(blob + h->args, h, plan->align > 16 ? plan->align : 16) : NULL;
	if (!bytes)
		return fail(birth, -ENOMEM, "no memory for its arguments");
	tz_taker_init(&taker, refs, h->nrefs, TZ_TAKE_FOR_LIFE);
	e = plan->error ? plan->error : (unsigned)birth->nfds == h->nrefs + 1 ? tz_refs_adopt(h->refs, h->nrefs, birth->fds + 1, refs) : -EPROTO;
	e = e < 0 ? e : tz_args_decode(plan, bytes, h->args_size, &args, &taker.carrier);
	if (e < 0)
		return fail(birth, e, "its arguments did not arrive whole");
	e = run_task(birth, task, args);
	tz_args_free(plan, args);
	return e;
}

static bool is_whole(const struct head *h, size_t size)
{
	return size >= sizeof *h && h->magic == BLOB_MAGIC && h->authkey_size <= TZ_AUTHKEY_MAX && h->nrefs <= TZ_GIVER_MAX &&
	       h->args <= size && h->args_size <= size - h->args && h->name <= size && h->name_size <= size - h->name;
}

/* In the nursery: the task is found, its plan made, and the thread known to the library, once for all children that are to come. */
static void learn(const void *blob, size_t size)
{
	const struct head *h = blob;
	const tz_task *task;

	(void)tz_strand_self();
	if (is_whole(h, size) && !h->by_address && tz_task_resolve_loaded((const char *)blob + h->name, h->name_size, &task) == 0)
		(void)tz_plan_of(task);
}

static int process_main(const struct tz_birth *birth)
{
	char *blob = (char *)(uintptr_t)birth->blob;
	const struct head *h = birth->blob;
	void *args;
	const tz_task *task;

	if (!is_whole(h, birth->size))
		return 127;
	tz_own_authkey_set(h->authkey, h->authkey_size);
	atomic_store(&tz_start_method_fixed, h->method_fixed);
	if (!h->by_address)
		return run_by_name(birth, blob, h);
	task = (const tz_task *)(uintptr_t)h->by_address;
	args = place_args(blob + h->args, h, task->align > 16 ? task->align : 16);
	return args ? run_task(birth, task, args) : fail(birth, -ENOMEM, "no memory for its arguments");
}

__attribute__((constructor(1000))) static void set_entry(void)
{
	atomic_store(&tz_child_entries[TZ_CHILD_PROCESS], process_main);
	atomic_store(&tz_child_learners[TZ_CHILD_PROCESS], learn);
}
