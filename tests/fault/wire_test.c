/* Names, plans and results that come from another process, when memory runs out at any point. */
#include "fault.h"

#include <errno.h>
#include <string.h>

#include <trenza.h>

#include "check.h"
#include "wire/codec.h"
#include "wire/intern.h"

struct place {
	char *name;
	const char *kind;
	tz_bytes photo;
	struct place *next;
};
TZ_STRUCT(struct place, name, kind, photo);

struct street {
	struct place places[3];
	bool open;
};
TZ_STRUCT(struct street, (struct place, places), open);

static struct street build(const char *name, struct street s)
{
	s.places[1].kind = name;
	return s;
}
TZ_TASK(struct street, build, const char *, struct street);

struct secret {
	int *p;
};
static void hide(struct secret s)
{
	(void)s;
}
TZ_TASK(void, hide, struct secret);

static char bytes[4096];

/* The way of a result home. What failed leaves nothing behind. */
static int come_home(const void *arg)
{
	char house[] = "house", shed[] = "shed";
	struct street got, s = {
		.places = { { house, "stone", { "abc", 3 }, NULL }, { shed, NULL, { NULL, 0 }, NULL }, { NULL, "wood", { "", 0 }, NULL } },
		.open = true,
	};
	const struct tz_plan *plan = tz_plan_of(&build_task);

	(void)arg;
	if (!plan)
		return -ENOMEM;
	expect(plan->error == 0 && plan == tz_plan_of(&build_task));
	size_t size = tz_result_size(plan, &s, NULL);

	expect(size <= sizeof bytes && tz_result_encode(plan, &s, bytes, size, NULL) == 0);
	int r = tz_result_decode(plan, bytes, size, &got, NULL);

	if (r < 0)
		return r;
	expect(strcmp(got.places[1].name, "shed") == 0 && strcmp(got.places[2].kind, "wood") == 0 && got.places[0].photo.size == 3);
	tz_result_free(plan, &got);
	return 0;
}

static int say_no(const void *arg)
{
	const struct tz_plan *plan = tz_plan_of(&hide_task);

	(void)arg;
	if (!plan)
		return -ENOMEM;
	expect(plan->error == -ENOTSUP && plan->refusal[0]);
	return 0;
}

static int resolve(const void *arg)
{
	static struct tz_task_name name;
	const tz_task *task;
	int r = tz_task_name_of(&build_task, &name);

	(void)arg;
	if (r == 0)
		r = tz_task_resolve(&name, tz_task_name_size(&name), &task);
	expect(r < 0 || task == &build_task);
	return r;
}

static int keep(const void *arg)
{
	char text[4] = "aaa";
	const char *kept, *again;

	(void)arg;
	for (int i = 0; i < 300; i++) {
		text[0] = (char)('a' + i % 26);
		text[1] = (char)('a' + i / 26);
		kept = tz_intern(text, 3);
		again = kept ? tz_intern(kept, 3) : NULL;
		if (!again)
			return -ENOMEM;
		expect(strcmp(kept, text) == 0 && again == kept);
	}
	return 0;
}

static void results(void **state)
{
	(void)state;
	fault_sweep(come_home, NULL);
}

static void refusals(void **state)
{
	(void)state;
	fault_sweep(say_no, NULL);
}

static void names(void **state)
{
	(void)state;
	fault_sweep(resolve, NULL);
}

static void kept_strings(void **state)
{
	(void)state;
	fault_sweep(keep, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results),
		cmocka_unit_test(refusals),
		cmocka_unit_test(names),
		cmocka_unit_test(kept_strings),
	};
	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
