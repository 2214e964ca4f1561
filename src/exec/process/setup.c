/* The setup: what each worker of a farm is born with. See terms.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/process.h>

#include "core/outcome.h"
#include "core/strand.h"
#include "exec/process/farm.h"

static size_t up(size_t n)
{
	return (n + 63) / 64 * 64;
}

static int set_functions(struct farm_setup *s, const tz_executor_options *o)
{
	int r = 0;

	if (o->arg)
		return tz_remember_refusal(
			-ENOTSUP, NULL, "arg is a pointer, which means nothing in a worker process: give data as setup_args to a task, setup");
	if (o->initializer)
		r = tz_function_name_of((void (*)(void))o->initializer, &s->initializer);
	if (r == 0 && o->finalizer)
		r = tz_function_name_of((void (*)(void))o->finalizer, &s->finalizer);
	s->has_initializer = o->initializer != NULL;
	s->has_finalizer = o->finalizer != NULL;
	return r;
}

/* The name of the setup task and its arguments, behind the struct. */
static int add_task(struct farm *farm, const struct tz_plan *plan, const void *args)
{
	size_t name_size = tz_task_name_size(plan->name), args_size;
	int r;

	tz_giver_init(&farm->giver, TZ_GIVER_MAX, false);
	args_size = tz_args_size(plan, args, &farm->giver.carrier);
	if (args_size > SIZE_MAX / 2)
		return -ENOMEM;
	size_t total = up(sizeof *farm->setup) + up(name_size) + up(args_size);
	struct farm_setup *s = realloc(farm->setup, total);

	if (!s)
		return -ENOMEM;
	farm->setup = s;
	farm->setup_size = total;
	memset((char *)s + sizeof *s, 0, total - sizeof *s);
	s->name_size = (uint32_t)name_size;
	s->args_size = (uint32_t)args_size;
	memcpy((char *)s + up(sizeof *s), plan->name, name_size);
	r = tz_args_encode(plan, args, (char *)s + up(sizeof *s) + up(name_size), args_size,
			   &farm->giver.carrier);
	s->nrefs = farm->giver.n;
	tz_refs_note(&farm->giver, s->refs);
	return r;
}

int farm_setup_make(struct farm *farm)
{
	const tz_executor_options *o = &farm->executor.options;
	struct farm_setup *s = farm->setup = calloc(1, sizeof *s);
	int r;

	if (!s)
		return -ENOMEM;
	farm->setup_size = sizeof *s;
	s->magic = SETUP_MAGIC;
	s->max_tasks = (uint32_t)o->max_tasks;
	s->memory = o->memory;
	tz_copy_text(s->executor, sizeof s->executor, farm->executor.name);
	r = set_functions(s, o);
	if (r < 0 || !o->setup)
		return r;
	const struct tz_plan *plan = tz_plan_of(o->setup);

	if (!plan)
		return -ENOMEM;
	if (plan->error)
		return plan->error == -ENOTSUP ? tz_remember_refusal(-ENOTSUP, NULL, "%s", plan->refusal) : plan->error;
	if (o->setup->args_size && !o->setup_args)
		return -EINVAL;
	r = add_task(farm, plan, o->setup_args);
	if (r == -ENOTSUP) {
		char why[TZ_MESSAGE_MAX];
		int culprit = tz_args_culprit(plan, o->setup_args, NULL);

		tz_plan_explain(plan, culprit ? culprit : 1, why, sizeof why);
		return tz_remember_refusal(-ENOTSUP, NULL, "%s", why);
	}
	return r;
}

int farm_method_of(int start, enum tz_child_method *ret)
{
	switch (start == TZ_START_DEFAULT ? tz_start_method_default() : (tz_start_method)start) {
	case TZ_START_FORK:
		*ret = TZ_CHILD_FORK;
		return 0;
	case TZ_START_SPAWN:
		*ret = TZ_CHILD_SPAWN;
		return 0;
	case TZ_START_FORKSERVER:
		*ret = TZ_CHILD_FORKSERVER;
		return 0;
	default:
		return -EINVAL;
	}
}
