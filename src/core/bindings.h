/* Bindings: the context of a strand or job, see trenza/context.h. */
#ifndef TZ_CORE_BINDINGS_H
#define TZ_CORE_BINDINGS_H

#include <stdatomic.h>
#include <stdbool.h>

#include <trenza/context.h>

struct tz_bindings;
struct tz_job;
struct tz_strand;

/* Whether any variable was ever bound in this process. */
extern _Atomic bool tz_bindings_used;

static inline bool tz_bindings_are_used(void)
{
	return __builtin_expect(atomic_load_explicit(&tz_bindings_used, memory_order_relaxed), 0);
}

/* Another reference, and one less. NULL is the empty context. */
struct tz_bindings *tz_bindings_ref(struct tz_bindings *bindings);
void tz_bindings_unref(struct tz_bindings *bindings);

/* Has a new job inherit from the calling strand: false without memory. */
bool tz_bindings_inherit(struct tz_job *job);

#endif
