/* What an executor promises, as cases that run on each of them.
 *
 * A program has a table of cases and hands it to run_cases, which runs each case on each spec that it is for, under the name "title [spec]". A
 * case gets a fresh executor, which is closed behind it. What an executor cannot do is a bit in tz_executor_ops.capabilities: a case for it
 * is either not for that executor, or checks what it does instead.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <abilities.h>
#include <check.h>
#include <crew.h>

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <trenza.h>
#include <trenza/executor_impl.h>

/* The executor that a case is about. */
struct subject {
	tz_executor *ex;
	const char *spec;
	unsigned can; /* its kind's capabilities */
};

struct conformance_case {
	const char *title;
	void (*run)(struct subject *s);
	unsigned needs, lacks; /* only for executors that can the one and not the other */
	int workers; /* only for executors with that many, 0: any */
};

#define CASE(title, run) \
	{ \
		title, run, 0, 0, 0 \
	}

/* A case whose jobs see the memory of who submits them: pointers go in, or counters at file scope come back. */
#define SHARING(title, run) \
	{ \
		title, run, TZ_CAN_SHARE_MEMORY, 0, 0 \
	}

/* The same where a job runs beside who submits it. */
#define BESIDE(title, run) \
	{ \
		title, run, TZ_CAN_SHARE_MEMORY, TZ_CAN_RUN_AT_SUBMIT, 0 \
	}

int run_cases(const char *name, const struct conformance_case *cases, size_t n);
#define RUN_CASES(name, cases) run_cases(name, cases, sizeof(cases) / sizeof *(cases))

/* What an executor may not have for a case in which a job calls pthread_exit. */
enum { LACKS_FOR_EXIT = EXIT_ON_COROUTINES ? 0 : TZ_CAN_SUSPEND };

static inline bool can(const struct subject *s, unsigned capabilities)
{
	return (s->can & capabilities) == capabilities;
}

/* Another executor of the same spec with options; the caller closes it. */
tz_executor *open_another(const struct subject *s, const tz_executor_options *options);

/* Waits for a future, but not for ever. */
#define settle(f) assert_int_equal(tz_wait(f, soon()), 0)

/* Evaluates a call that may block, in a scope that ends the wait. No assertion may fail inside: cmocka leaves by longjmp. */
#define bounded(result, call) \
	do { \
		TZ_TIMEOUT(CREW_PATIENCE) \
			(result) = (call); \
	} while (0)

/* Its job ended with that status and code. Keeps the future. */
#define assert_outcome(f, status_, code_) \
	do { \
		tz_outcome outcome_; \
		settle(f); \
		assert_int_equal(tz_outcome_of(f, &outcome_), 0); \
		assert_int_equal(outcome_.status, status_); \
		assert_int_equal(outcome_.code, code_); \
	} while (0)

/* In a job that answers 0: fails it if the condition does not hold. */
#define CHECK(condition) \
	do { \
		if (!(condition)) \
			return tz_fail(-EILSEQ, "line %d: %s", __LINE__, #condition); \
	} while (0)

/* Runs a job that checks by itself. */
#define RUN(s, job) \
	do { \
		job##_future f_ = tz_submit((s)->ex, job); \
		tz_outcome o_; \
		settle(f_); \
		assert_int_equal(tz_outcome_of(f_, &o_), 0); \
		if (o_.status != TZ_OK) \
			print_message("# %s\n", o_.message); \
		assert_int_equal(o_.status, TZ_OK); \
		assert_int_equal(tz_detach(f_), 0); \
	} while (0)

/* Something that jobs wait at, unknown to the executor, so that nobody stands in for them. A job that is asked to end does not wait any longer. */
struct gate {
	atomic_int waiting, open;
};

static inline int pass(struct gate *g)
{
	int r = 0;

	atomic_fetch_add(&g->waiting, 1);
	while (!atomic_load(&g->open) && r == 0)
		(void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL),
			r = tz_interrupted();
	atomic_fetch_sub(&g->waiting, 1);
	return r;
}

#endif
