/* Bindings: which context variables are bound to what, as a list that is shared until somebody changes it.
 *
 * Design notes. A context is an array of pairs, with a count of the strands and jobs that have it. Who is alone changes it in place; else it is copied
 * first. A value that is to be released has a count of its own, of the arrays that it is in. Programs have few variables, so looking one up
 * is a walk along the array. `tz_bindings_used` is set before the first binding is made, and keeps all others from looking any further: what runs on a strand that
 * does not see it yet cannot have anything to inherit.
 */
#include "core/bindings.h"

#include <errno.h>
#include <stdlib.h>

#include "core/job.h"
#include "core/strand.h"

struct value {
	atomic_size_t refs;
	void (*release)(void *value);
	void *value;
};

struct binding {
	const tz_context_var *var;
	void *value;
	struct value *shared; /* NULL: it is not released */
};

struct tz_bindings {
	atomic_size_t refs;
	size_t n;
	struct binding list[];
};

_Atomic bool tz_bindings_used;

static void drop_value(struct value *v)
{
	if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
		return;
	v->release(v->value);
	free(v);
}

struct tz_bindings *tz_bindings_ref(struct tz_bindings *b)
{
	if (b)
		atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void tz_bindings_unref(struct tz_bindings *b)
{
	if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < b->n; i++)
		drop_value(b->list[i].shared);
	free(b);
}

static struct binding *find(struct tz_bindings *b, const tz_context_var *var)
{
	for (size_t i = 0; b && i < b->n; i++)
		if (b->list[i].var == var)
			return &b->list[i];
	return NULL;
}

void *tz_context_get(const tz_context_var *var)
{
	struct tz_strand *self = tz_bindings_are_used() ? tz_strand_peek() : NULL;
	const struct binding *b = self ? find(self->bindings, var) : NULL;

	return b ? b->value : var->tz__initial;
}

/* A copy with room for one more. */
static struct tz_bindings *copy(const struct tz_bindings *b)
{
	size_t n = b ? b->n : 0;
	struct tz_bindings *mine = malloc(sizeof *mine + (n + 1) * sizeof *mine->list);

	if (!mine)
		return NULL;
	atomic_init(&mine->refs, 1);
	mine->n = n;
	for (size_t i = 0; i < n; i++) {
		mine->list[i] = b->list[i];
		if (mine->list[i].shared)
			atomic_fetch_add_explicit(&mine->list[i].shared->refs, 1, memory_order_relaxed);
	}
	return mine;
}

static bool is_alone(struct tz_bindings *b)
{
	return atomic_load_explicit(&b->refs, memory_order_acquire) == 1;
}

static int bind(struct tz_strand *self, const struct binding *new)
{
	struct binding *old = find(self->bindings, new->var);

	if (old && is_alone(self->bindings)) {
		struct value *before = old->shared;

		*old = *new;
		drop_value(before);
		return 0;
	}
	struct tz_bindings *mine = copy(self->bindings), *before = self->bindings;

	if (!mine)
		return -ENOMEM;
	old = find(mine, new->var);
	struct value *replaced = old ? old->shared : NULL;

	if (!old)
		old = &mine->list[mine->n++];
	*old = *new;
	self->bindings = mine;
	drop_value(replaced);
	tz_bindings_unref(before);
	return 0;
}

int tz_context_set(const tz_context_var *var, void *value)
{
	struct binding new = { .var = var, .value = value };

	if (var->tz__release) {
		new.shared = malloc(sizeof *new.shared);
		if (!new.shared)
			return -ENOMEM;
		atomic_init(&new.shared->refs, 1);
		new.shared->release = var->tz__release;
		new.shared->value = value;
	}
	atomic_store_explicit(&tz_bindings_used, true, memory_order_relaxed);
	int r = bind(tz_strand_self(), &new);

	if (r < 0)
		free(new.shared);
	return r;
}

struct tz__context_block tz__context_enter(const tz_context_var *var, void *value)
{
	struct tz_strand *self = tz_strand_self();
	struct tz__context_block block = { .before = tz_bindings_ref(self->bindings) };

	block.bound = tz_context_set(var, value) == 0;
	if (!block.bound)
		tz_bindings_unref(block.before);
	return block;
}

void tz__context_leave(struct tz__context_block *block)
{
	if (!block->bound)
		return;
	struct tz_strand *self = tz_strand_self();
	struct tz_bindings *now = self->bindings;

	self->bindings = block->before;
	tz_bindings_unref(now);
}

bool tz_bindings_inherit(struct tz_job *job)
{
	const struct tz_strand *self = tz_strand_peek();

	if (!self || !self->bindings)
		return true;
	if (!job->options)
		job->options = calloc(1, sizeof *job->options);
	if (job->options)
		job->options->bindings = tz_bindings_ref(self->bindings);
	return job->options != NULL;
}
