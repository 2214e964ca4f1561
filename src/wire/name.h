/* The name of a task: what stands for its descriptor where addresses mean nothing, in another process of the program or on another machine.
 *
 * A name is {which module, how far into it}. The module is known by its build-id; one without a build-id, by its file (device, inode, size, time of
 * its last change), which is good on one machine. A path is there for a receiver that has to load the module first.
 *
 * Whoever resolves a name may have got it from a stranger. It answers with a descriptor that TZ_TASK made or with an error, whatever the bytes are.
 * How that is proved: name.c.
 */
#ifndef TZ_WIRE_NAME_H
#define TZ_WIRE_NAME_H

#include <stddef.h>
#include <stdint.h>

#include <trenza/descriptor.h>

enum { TZ_TASK_ID_MAX = 32 };

enum tz_task_id {
	TZ_TASK_ID_BUILD = 1, /* id is the module's build-id; only the first TZ_TASK_ID_MAX bytes of a longer one */
	TZ_TASK_ID_FILE = 2 /* id is made of what identifies the module's file on this machine */
};

/* Of a fixed size in memory. What travels is its beginning, tz_task_name_size() bytes: the path is cut off where it ends. */
struct tz_task_name {
	uint64_t offset; /* of the descriptor, from where the module is loaded */
	uint32_t kind; /* an enum tz_task_id */
	uint16_t id_size;
	uint16_t path_size; /* with the 0 that ends it */
	unsigned char id[TZ_TASK_ID_MAX]; /* 0 behind id_size */
	char path[4096 - 48]; /* absolute; "": the program's own executable */
};
_Static_assert(sizeof(struct tz_task_name) == 4096, "no padding");

/* How many bytes of a name travel: 49 for a task of the program itself. */
static inline size_t tz_task_name_size(const struct tz_task_name *name)
{
	return offsetof(struct tz_task_name, path) + name->path_size;
}

/* Writes a task's name. 0; -ENOEXEC: not a descriptor that TZ_TASK made, as far as its module can prove (one filled by hand, or made on the heap);
 * -ENAMETOOLONG: its module's path; another negative errno code: the module's file cannot be looked at. Not cached: tz_plan_of (plan.h) keeps the
 * name of each task. Any thread. */
int tz_task_name_of(const tz_task *task, struct tz_task_name *ret);

/* The task of a name that came as bytes. Loads its module by its path if need be and possible, after a look at the file: one that is not the
 * module that is meant is not loaded. Answers are cached, and a module in which a task was found stays loaded.
 *
 * 0; -EBADMSG: not a name; -ENOENT: no such module here, and it could not be loaded; -ESTALE: the file at its path is another build of it;
 * -ENOEXEC: there is no descriptor there; -ENOMEM. Any thread; may block, as dlopen(3) does, and runs the constructors of what it loads. */
int tz_task_resolve(const void *bytes, size_t size, const tz_task **ret);

/* The same, but nothing is loaded, and nobody's code runs: -ENOENT where that would be needed. */
int tz_task_resolve_loaded(const void *bytes, size_t size, const tz_task **ret);

/* The same for a plain function of the program, a library or a plugin. That there is code is all that is proved: only for names that come from where one's
 * own program sent them. -ENOEXEC: there is no code in a module. Not cached. */
int tz_function_name_of(void (*function)(void), struct tz_task_name *ret);
int tz_function_resolve(const struct tz_task_name *name, void (**ret)(void));

#endif
