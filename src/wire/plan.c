/* Plans: from the types of a task to shapes, and who may travel. */
#include "wire/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/value.h>

enum {
	SPOTS_MAX = 1 << 16,
	DEPTH_MAX = 16 /* of structs in structs */
};

/* --- the names of types ------------------------------------------------------------------------------------------------ */

static bool is_word(char c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static const char *skip_space(const char *s)
{
	while (*s == ' ' || *s == '\t' || *s == '\n')
		s++;
	return s;
}

/* Whether two names are one but for spaces that separate nothing. */
static bool same_name(const char *a, const char *b)
{
	bool in_word = false;

	for (;;) {
		const char *x = skip_space(a), *y = skip_space(b);

		if (*x != *y)
			return false;
		if (in_word && is_word(*x) && (x == a) != (y == b))
			return false;
		if (*x == 0)
			return true;
		in_word = is_word(*x);
		a = x + 1;
		b = y + 1;
	}
}

static bool same_type(const tz_type *a, const tz_type *b)
{
	if (a->size != b->size)
		return false;
	return a->identity && b->identity ? a->identity == b->identity : a->name && b->name && same_name(a->name, b->name);
}

/* What the source file of a task says about a struct. */
static const tz_description *description_of(const tz_module *module, const tz_type *type)
{
	for (const tz_description *const *d = module->types; d < module->types_end; d++)
		if (*d && (*d)->module == module && same_type(&(*d)->type, type))
			return *d;
	return NULL;
}

/* --- making a shape -------------------------------------------------------------------------------------------------------- */

/* A shape that is being made. Its stretches are all parts that travel, until it is finished. */
struct making {
	struct tz_spot *spots;
	struct tz_stretch *stretches;
	size_t nspots, spots_room, nstretches, stretches_room;
	const tz_module *module;
	const tz_type *culprit; /* the type that does not travel */
	int depth;
};

static void drop(struct making *m)
{
	free(m->spots);
	free(m->stretches);
}

/* Room for one more element of an array. */
static bool has_room(void *array, size_t *room, size_t count, size_t size)
{
	if (count < *room)
		return true;
	size_t more = *room ? *room * 2 : 8;
	void *old, *grown;

	memcpy(&old, array, sizeof old);
	grown = realloc(old, more * size);
	if (!grown)
		return false;
	memcpy(array, &grown, sizeof grown);
	*room = more;
	return true;
}

static int add_stretch(struct making *m, uint32_t offset, uint32_t size)
{
	struct tz_stretch *last = m->nstretches ? &m->stretches[m->nstretches - 1] : NULL;

	if (last && last->offset + last->size == offset) {
		last->size += size;
		return 0;
	}
	if (m->nstretches == SPOTS_MAX)
		return -ENOTSUP;
	if (!has_room(&m->stretches, &m->stretches_room, m->nstretches, sizeof *m->stretches))
		return -ENOMEM;
	m->stretches[m->nstretches++] = (struct tz_stretch){ offset, size };
	return 0;
}

static int add_spot(struct making *m, uint32_t offset, enum tz_spot_kind kind)
{
	if (m->nspots == SPOTS_MAX)
		return -ENOTSUP;
	if (!has_room(&m->spots, &m->spots_room, m->nspots, sizeof *m->spots))
		return -ENOMEM;
	m->spots[m->nspots++] = (struct tz_spot){ offset, kind };
	return 0;
}

static int add_type(struct making *m, const tz_type *type, uint32_t offset);

static int add_field(struct making *m, const tz_field *f, uint32_t offset)
{
	int r = 0;

	for (uint32_t i = 0; i < f->count && r == 0; i++)
		r = add_type(m, &f->type, offset + f->offset + i * f->type.size);
	return r;
}

static int add_struct(struct making *m, const tz_type *type, uint32_t offset)
{
	const tz_description *d = description_of(m->module, type);
	int r = 0;

	if (!d || m->depth == DEPTH_MAX)
		return -ENOTSUP;
	if (d->nfields == 0)
		return add_stretch(m, offset, type->size);
	m->depth++;
	for (uint32_t i = 0; i < d->nfields && r == 0; i++)
		r = add_field(m, &d->fields[i], offset);
	m->depth--;
	return r;
}

/* -ENOTSUP, with the culprit; -ENOMEM. */
static int add_type(struct making *m, const tz_type *type, uint32_t offset)
{
	int r = -ENOTSUP;

	switch (type->kind) {
	case TZ_KIND_VOID:
		return 0;
	case TZ_KIND_INT:
	case TZ_KIND_UINT:
	case TZ_KIND_FLOAT:
	case TZ_KIND_COMPLEX:
		return add_stretch(m, offset, type->size);
	case TZ_KIND_VALUE:
		r = add_struct(m, type, offset);
		break;
	case TZ_KIND_BOOL:
		r = type->size == sizeof(bool) ? add_spot(m, offset, TZ_SPOT_BOOL) : -ENOTSUP;
		break;
	case TZ_KIND_STRING:
		r = type->size == sizeof(char *) ? add_spot(m, offset, TZ_SPOT_STRING) : -ENOTSUP;
		break;
	case TZ_KIND_CONST_STRING:
		r = type->size == sizeof(char *) ? add_spot(m, offset, TZ_SPOT_CONST_STRING) : -ENOTSUP;
		break;
	case TZ_KIND_BYTES:
		r = type->size == sizeof(tz_bytes) ? add_spot(m, offset, TZ_SPOT_BYTES) : -ENOTSUP;
		break;
	case TZ_KIND_DYNAMIC:
		r = type->size == sizeof(tz_value) ? add_spot(m, offset, TZ_SPOT_VALUE) : -ENOTSUP;
		break;
	case TZ_KIND_POINTER:
		r = type->size == sizeof(void *) ? add_spot(m, offset, TZ_SPOT_POINTER) : -ENOTSUP;
		break;
	case TZ_KIND_FD:
		r = type->size == sizeof(tz_fd) ? add_spot(m, offset, TZ_SPOT_FD) : -ENOTSUP;
		break;
	case TZ_KIND_CONNECTION:
		r = type->size == sizeof(void *) ? add_spot(m, offset, TZ_SPOT_CONNECTION) : -ENOTSUP;
		break;
	}
	if (r == 0 && type->kind != TZ_KIND_VALUE)
		r = add_stretch(m, offset, type->size);
	if (r == -ENOTSUP && !m->culprit)
		m->culprit = type;
	return r;
}

static int by_offset(const void *a, const void *b)
{
	const struct tz_stretch *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Sorts the stretches, and joins neighbours. -ENOTSUP if some overlap: a union was described as a struct. */
static int put_in_order(struct making *m)
{
	size_t n = 0;

	if (m->nstretches)
		qsort(m->stretches, m->nstretches, sizeof *m->stretches, by_offset);
	for (size_t i = 0; i < m->nstretches; i++) {
		struct tz_stretch s = m->stretches[i], *last = n ? &m->stretches[n - 1] : NULL;

		if (last && s.offset < last->offset + last->size)
			return -ENOTSUP;
		if (last && s.offset == last->offset + last->size)
			last->size += s.size;
		else
			m->stretches[n++] = s;
	}
	m->nstretches = n;
	return 0;
}

/* Makes the shape of an image of that size; takes what was made, leaves nothing to drop. `whole`: all of the image travels. */
static void finish(struct making *m, uint32_t size, bool whole, struct tz_shape *ret)
{
	if (whole) {
		free(m->stretches);
		m->stretches = NULL;
		m->nstretches = 0;
	}
	*ret = (struct tz_shape){
		.size = size,
		.nspots = (uint32_t)m->nspots,
		.nstretches = (uint32_t)m->nstretches,
		.flat = m->nspots == 0 && m->nstretches == 0,
		.spots = m->spots,
		.stretches = m->stretches,
	};
	m->spots = NULL;
	m->stretches = NULL;
}

static bool covers(const struct making *m, uint32_t size)
{
	return size == 0 || (m->nstretches == 1 && m->stretches[0].offset == 0 && m->stretches[0].size == size);
}

/* --- a task's ---------------------------------------------------------------------------------------------------------------- */

/* Says why the plan's task does not travel. What is too long is cut. */
__attribute__((format(printf, 3, 4))) static void say(struct tz_plan *plan, int error, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(plan->refusal, sizeof plan->refusal, format, list);
	va_end(list);
	plan->error = error;
}

/* Why a type does not travel. */
static void refuse(struct tz_plan *plan, int argument, const tz_type *type, const tz_type *culprit)
{
	char where[32];
	const char *name = culprit && culprit->name ? culprit->name : "field";
	const char *is = culprit == type ? "is" : "holds";

	if (argument)
		(void)snprintf(where, sizeof where, "argument %d of", argument);
	else
		(void)snprintf(where, sizeof where, "the result of");
	if (!culprit)
		say(plan, -ENOTSUP, "%s %.40s has fields that overlap: say TZ_FLAT(%.32s) if that is right", where, plan->task->name,
		    type->name ? type->name : "it");
	else if (culprit->kind == TZ_KIND_VALUE)
		say(plan, -ENOTSUP, "%s %.32s %s a %.32s: say TZ_FLAT(%.32s) if it has no pointers, else describe it by TZ_STRUCT", where,
		    plan->task->name, is, name, name);
	else
		say(plan, -ENOTSUP, "%s %.32s %s a %.32s, which has an unusual size", where, plan->task->name, is, name);
}

void tz_plan_explain(const struct tz_plan *plan, int argument, char *text, size_t size)
{
	const tz_task *task = plan->task;
	const tz_type *type = argument ? &task->args[argument - 1] : &task->result;
	char where[32] = "the result of";

	if (argument)
		(void)snprintf(where, sizeof where, "argument %d of", argument);
	(void)snprintf(text, size, "%s %.24s %s a %.24s that is not to shared memory (tz_shared_alloc); pass that, a string, tz_bytes or a struct", where,
		       task->name, type->kind == TZ_KIND_POINTER ? "is" : "holds",
		       type->kind == TZ_KIND_POINTER && type->name ? type->name : "pointer");
}

/* The shape of one type. Refuses the plan if it does not travel: 0 all the same; -ENOMEM. */
static int shape_of(struct tz_plan *plan, int argument, const tz_type *type, struct tz_shape *ret)
{
	struct making m = { .module = plan->task->tz__module };
	int r = add_type(&m, type, 0);

	if (r == 0)
		r = put_in_order(&m);
	if (r == -ENOTSUP)
		refuse(plan, argument, type, m.culprit);
	if (r == 0)
		finish(&m, type->size, covers(&m, type->size), ret);
	drop(&m);
	return r == -ENOTSUP ? 0 : r;
}

static int add_all_of(struct making *m, const struct tz_shape *s, uint32_t offset)
{
	int r = s->nstretches == 0 ? add_stretch(m, offset, s->size) : 0;

	for (uint32_t i = 0; i < s->nstretches && r == 0; i++)
		r = add_stretch(m, offset + s->stretches[i].offset, s->stretches[i].size);
	for (uint32_t i = 0; i < s->nspots && r == 0; i++)
		r = add_spot(m, offset + s->spots[i].offset, (enum tz_spot_kind)s->spots[i].kind);
	return r;
}

/* The shape of the arguments struct, from those of the arguments. */
static int shape_of_args(struct tz_plan *plan)
{
	const tz_task *task = plan->task;
	struct making m = { .module = task->tz__module };
	bool whole = true;
	int r = 0;

	for (uint32_t k = 0; k < task->nargs && r == 0; k++) {
		whole = whole && plan->arg[k].nstretches == 0;
		r = add_all_of(&m, &plan->arg[k], task->arg_offset[k]);
	}
	if (r == 0)
		finish(&m, task->args_size, whole, &plan->args);
	drop(&m);
	return r;
}

/* 0; -ENOMEM and the like: nothing can be said. */
static int make_shapes(struct tz_plan *plan)
{
	const tz_task *task = plan->task;
	int r = shape_of(plan, 0, &task->result, &plan->result);

	for (uint32_t k = 0; k < task->nargs && r == 0 && plan->error == 0; k++)
		r = shape_of(plan, (int)k + 1, &task->args[k], &plan->arg[k]);
	if (r == 0 && plan->error == 0)
		r = shape_of_args(plan);
	if (r == -ENOTSUP) {
		say(plan, -ENOTSUP, "the arguments of %.64s have too many parts", task->name);
		r = 0;
	}
	return r;
}

/* The name; or why it has none, if that stays so. */
static int make_name(struct tz_plan *plan)
{
	struct tz_task_name *name = calloc(1, sizeof *name), *cut;
	int r = name ? tz_task_name_of(plan->task, name) : -ENOMEM;

	if (r < 0) {
		free(name);
		if (r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EINTR)
			return r;
		say(plan, r, "%.64s is in no file that another process could load: %s", plan->task->name,
		    r == -ENAMETOOLONG ? "its path is too long" : "its file cannot be found");
		return 0;
	}
	cut = realloc(name, tz_task_name_size(name));
	plan->name = cut ? cut : name;
	return 0;
}

static void free_shape(const struct tz_shape *s)
{
	free((void *)s->spots); /* NOLINT */
	free((void *)s->stretches); /* NOLINT */
}

static void free_plan(struct tz_plan *plan)
{
	free_shape(&plan->args);
	free_shape(&plan->result);
	for (int k = 0; k < TZ_ARGS_MAX; k++)
		free_shape(&plan->arg[k]);
	free((void *)plan->name); /* NOLINT */
	free(plan);
}

/* All plans that hang on a task: what a plugin that is unloaded leaves behind stays reachable. */
static struct tz_plan *all;

/* Of what TZ_TASK did not make: there is nothing to hang a plan on. */
static const struct tz_plan nowhere = {
	.error = -ENOEXEC,
	.refusal = "its descriptor was not made by TZ_TASK in a program or library, so no other process can find it",
};

static const struct tz_plan *publish(struct tz_plan *plan)
{
	void *none = NULL;

	/* Release: who loads the word with acquire sees the plan. */
	if (!__atomic_compare_exchange_n(plan->task->tz__slot, &none, plan, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE)) {
		free_plan(plan);
		return none;
	}
	plan->next = __atomic_load_n(&all, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&all, &plan->next, plan, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	return plan;
}

__attribute__((noinline, cold)) static const struct tz_plan *make(const tz_task *task)
{
	struct tz_plan *plan = calloc(1, sizeof *plan);

	if (!plan)
		return NULL;
	plan->task = task;
	plan->align = task->align ? task->align : 16;
	int r = make_name(plan);

	if (plan->error == -ENOEXEC) {
		free_plan(plan);
		return &nowhere;
	}
	if (r == 0 && plan->error == 0)
		r = make_shapes(plan);
	if (r < 0) {
		free_plan(plan);
		return NULL;
	}
	return publish(plan);
}

const struct tz_plan *tz_plan_of(const tz_task *task)
{
	if (task->tz__magic != TZ__MAGIC || !task->tz__slot)
		return &nowhere;
	const struct tz_plan *plan = __atomic_load_n(task->tz__slot, __ATOMIC_ACQUIRE);

	if (__builtin_expect(!plan, 0))
		return make(task);
	return plan->task == task ? plan : &nowhere; /* a copy of a descriptor has the word of the original */
}
