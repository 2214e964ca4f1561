/* Running cases on executors. See conformance.h. */
#include "conformance.h"

#include <stdio.h>

static const char *const specs[] = {
	"inline",    "chaos:seed=1,delay=0.00002", "chaos:1,seed=2,delay=0.00002",     "threads:1",
	"threads:2", "threads:4,min=1,idle=0.02", "threads:3,queue=200,full=caller",
	"coroutines", "coroutines:3", "sim:seed=3,grace=0.25",
#if PROCESSES
	"processes:2",
#endif
};

enum { SPECS = sizeof specs / sizeof *specs };

struct run {
	const struct conformance_case *what;
	struct subject subject;
	char title[160];
};

static unsigned capabilities_of(const char *spec)
{
	size_t len = strcspn(spec, ":");
	const tz_executor_ops *ops;

	for (size_t i = 0; (ops = tz_executor_kinds(i)); i++)
		if (strlen(ops->kind) == len && strncmp(ops->kind, spec, len) == 0)
			return ops->capabilities;
	return 0;
}

static int workers_of(const char *spec)
{
	tz_executor *ex;

	if (tz_executor_open(&ex, spec) < 0)
		return -1;
	int n = tz_executor_workers(ex);

	tz_executor_close(ex);
	return n;
}

static bool is_for(const struct conformance_case *c, const char *spec)
{
	unsigned caps = capabilities_of(spec);

	return (caps & c->needs) == c->needs && (caps & c->lacks) == 0 &&
	       (c->workers == 0 || c->workers == workers_of(spec));
}

static void run_one(void **state)
{
	struct run *r = *state;

	assert_int_equal(tz_executor_open(&r->subject.ex, r->subject.spec), 0);
	r->what->run(&r->subject);
	tz_executor_close(r->subject.ex);
}

tz_executor *open_another(const struct subject *s, const tz_executor_options *options)
{
	tz_executor *ex = NULL;

	assert_int_equal(tz_executor_open_with(&ex, s->spec, options), 0);
	return ex;
}

int run_cases(const char *name, const struct conformance_case *cases, size_t n)
{
	struct run *runs = calloc(n * SPECS, sizeof *runs);
	struct CMUnitTest *tests = calloc(n * SPECS, sizeof *tests);
	size_t count = 0;

	if (!runs || !tests)
		return 1;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < SPECS; k++) {
			struct run *r = &runs[count];

			if (!is_for(&cases[i], specs[k]))
				continue;
			r->what = &cases[i];
			r->subject = (struct subject){ NULL, specs[k], capabilities_of(specs[k]) };
			(void)snprintf(r->title, sizeof r->title, "%s [%s]", cases[i].title,
				       specs[k]);
			tests[count++] = (struct CMUnitTest){ r->title, run_one, NULL, NULL, r };
		}
	}
	int failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);

	free(runs);
	free(tests);
	return failed != 0;
}
