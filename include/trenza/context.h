/* Context variables: values that a call inherits from who spawned it.
 *
 *     static tz_context_var request = TZ_CONTEXT_VAR("-", NULL);
 *
 *     tz_context_set(&request, "GET /index");
 *     tz_spawn(handle, connection);            // in handle, and in what that spawns: tz_context_get(&request)
 *
 * Each job has a context: the bindings of variables to values that its submitter had at the moment of submitting (tz_submit, tz_spawn, tz_map, ...). What a
 * job binds is seen by what it calls and by what it submits from then on; not by its submitter, nor by jobs that were submitted before. Outside of jobs each
 * strand has a context of its own, empty at first.
 *
 * Contexts are shared until somebody binds, so to inherit one costs a job a counter, and nothing in a program that binds none. A call that
 * another worker took by tz_fork sees what its job has inherited, not what that has bound since.
 *
 * Contexts do not travel to other processes: a value is a pointer, which means nothing there. A job of "processes", and a tz_process, begins with every variable
 * at its initial value, and what it needs of them is an argument; but a tz_process by TZ_START_FORK has a copy of all that its starter had, bindings too.
 */
#ifndef TRENZA_CONTEXT_H
#define TRENZA_CONTEXT_H

#include <trenza/base.h>
#include <trenza/with.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* A variable: known by its address, so it is static, or outlives all who use it. All-zero is one that is NULL where nobody has bound it. */
typedef struct tz_context_var {
	void *tz__initial;
	void (*tz__release)(void *value);
} tz_context_var;

/* TZ_CONTEXT_VAR - the initializer of a variable: its value where nobody has bound it, and release(value), which is called for a bound value when no context has it any
 * more; or NULL.
 *
 * Form: tz_context_var v = TZ_CONTEXT_VAR(void *initial, void (*release)(void *value));
 * Ownership: the initial value stays the caller's, and must stay.
 * Threads: release runs on any strand, and must not block.
 * Errors: none. */
#define TZ_CONTEXT_VAR(initial, release) \
	{ \
		initial, release \
	}

/* tz_context_get - the value of a variable here: what was bound in this context, or the initial one.
 *
 * Ownership: the value is the context's; it stays at least until this strand binds the variable again, or its job ends.
 * Threads: any.
 * Errors: none. */
TZ_API void *tz_context_get(const tz_context_var *var);

/* tz_context_set - binds a variable to a value, from here to the end of the job (or the strand).
 *
 * Ownership: the value is shared by all contexts that come to have it; the last one releases it, if the variable has a way to.
 * Threads: any.
 * Errors: -ENOMEM: nothing has changed, and the value is still the caller's. */
TZ_API int tz_context_set(const tz_context_var *var, void *value);

/* Underneath tz_with_context. */
struct tz__context_block {
	struct tz_bindings *before;
	int bound;
};
TZ_API struct tz__context_block tz__context_enter(const tz_context_var *var, void *value);
TZ_API void tz__context_leave(struct tz__context_block *block);

TZ_END_DECLS

/* tz_with_context - a block in which a variable is bound to a value; then the context is again what it was before.
 *
 * Form: tz_with_context(const tz_context_var *var, void *value) { ... }
 * Ownership: as tz_context_set.
 * Threads: any.
 * Errors: the block is not run, and the value is still the caller's, where there is no memory. */
#define tz_with_context(var, value) TZ__CONTEXT_BLOCK(var, value, __COUNTER__)
#define TZ__CONTEXT_BLOCK(var, value, n) TZ__CONTEXT_BLOCK_(var, value, n)
#define TZ__CONTEXT_BLOCK_(var, value, n) \
	for (struct tz__context_block tz__context_##n __attribute__((__cleanup__(tz__context_leave))) = tz__context_enter(var, value), \
				      *tz__once_##n = &tz__context_##n; \
	     tz__once_##n && tz__once_##n->bound; tz__once_##n = NULL)

#endif
