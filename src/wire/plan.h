/* The plan of a task: how its arguments and its result travel to another address space; made once, kept for ever.
 *
 *     const struct tz_plan *plan = tz_plan_of(task);
 *
 *     if (!plan)             no memory: nothing can be said
 *     if (plan->error)       it cannot travel: end the job with plan->error and tz_plan_refusal()
 *     if (plan->args.flat)   the arguments are task->args_size bytes, to be copied as they are
 *     else                   codec.h
 *
 * Design notes. The plan hangs on a word of the module that the task is in (tz_task.tz__slot): looking it up is one load, and a module that is unloaded
 * takes the word with it, so a plugin that is loaded again, maybe changed, at the same address gets another plan. A plan, once published, is never
 * changed or freed.
 *
 * A type is reduced to a *shape*: the places in its image that are not plain bytes, in one flat list, with nested structs and arrays expanded. So encoding
 * and decoding are loops over lists, without recursion and without looking at types again.
 */
#ifndef TZ_WIRE_PLAN_H
#define TZ_WIRE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <trenza/descriptor.h>

#include "wire/name.h"

/* What lies at one place of an image. */
enum tz_spot_kind {
	TZ_SPOT_STRING, /* char *: the content; as a result, malloc'd by the task and the caller's after */
	TZ_SPOT_CONST_STRING, /* const char *: the content; as a result, a copy that is kept for ever */
	TZ_SPOT_BYTES, /* tz_bytes: the content; as a result, a tz_buffer (buffer.h) */
	TZ_SPOT_VALUE, /* tz_value: the content */
	TZ_SPOT_BOOL, /* bool: any byte but 0 is 1 */
	TZ_SPOT_POINTER, /* any other pointer: a handle, to shared memory */
	TZ_SPOT_FD, /* tz_fd: a handle, of 4 bytes */
	TZ_SPOT_CONNECTION /* tz_connection *: a handle */
};

struct tz_spot {
	uint32_t offset; /* in the image of the type */
	uint32_t kind; /* an enum tz_spot_kind */
};

/* A part of the image that travels, where not all of it does. */
struct tz_stretch {
	uint32_t offset, size;
};

/* How one type travels. */
struct tz_shape {
	uint32_t size; /* of the image */
	uint32_t nspots;
	uint32_t nstretches; /* 0: all of the image travels; else the rest arrives as zeros */
	bool flat; /* no spots and no stretches: the image is all there is */
	const struct tz_spot *spots; /* in the order of their contents */
	const struct tz_stretch *stretches; /* by offset */
};

struct tz_plan {
	const tz_task *task; /* NULL: of any task that is in no module */
	const struct tz_task_name *name; /* there if error == 0 */
	int error; /* 0: it travels. -ENOEXEC: it has no name. -ENOTSUP: a type does not travel */
	uint32_t align; /* of arguments and result; of what is decoded in place */
	struct tz_shape args; /* of the arguments struct */
	struct tz_shape result; /* size 0: void */
	struct tz_shape arg[TZ_ARGS_MAX]; /* of each argument by itself, for arrays of them */
	char refusal[160]; /* if error: why, in a sentence that names the argument */
	struct tz_plan *next; /* of all plans */
};

/* Says why a call does not travel of which the argument with that number, 1 being the first, is or holds a pointer that does not; 0: the result. */
void tz_plan_explain(const struct tz_plan *plan, int argument, char *text, size_t size);

/* The plan of a task, from any thread; NULL without memory. Fast when called again: one load. */
const struct tz_plan *tz_plan_of(const tz_task *task);

#endif
