/* The ledger: jobs submitted in every way by several threads, with cancels, detaches, deadlines and waits that end early racing. Each
 * job that may run runs once; each that must not does not; each future ends as what happened to its job. */
#define _GNU_SOURCE

#include <errno.h>
#include <string.h>

#include "stress.h"

enum { JOBS = 1 << 16, SUBMITTERS = 4, HELD = 32 };

static tz_executor *ex;
static _Atomic unsigned char ran[JOBS];
static unsigned char want[JOBS]; /* 0: must not have run, 1: must, 2: may */
static _Atomic uint32_t handed_out;
static const char *spec;

static uint32_t enter(uint32_t id)
{
	must(atomic_fetch_add_explicit(&ran[id], 1, memory_order_relaxed) == 0);
	if (id % 64 == 0)
		progress();
	return id ^ 0x5a5a5a5a;
}
TZ_TASK(uint32_t, enter, uint32_t);

/* Fails each third. */
static uint32_t enter_badly(uint32_t id)
{
	if (id % 3 == 0)
		(void)tz_fail(-ENOENT, "no %u", id);
	return enter(id);
}
TZ_TASK(uint32_t, enter_badly, uint32_t);

/* Waits a while for a cancel. */
static uint32_t enter_slowly(uint32_t id)
{
	(void)tz_sleep(0.0002);
	return enter(id);
}
TZ_TASK(uint32_t, enter_slowly, uint32_t);

/* Submits another one and waits for it. */
static uint32_t enter_through(uint32_t id)
{
	uint32_t v = 0;
	int r = tz_result(tz_submit(tz_executor_current(), enter, id), &v);

	must(r == 0 || r == -ECANCELED || r == -ETIMEDOUT || tz_last()->code == -ESHUTDOWN);
	return v;
}
TZ_TASK(uint32_t, enter_through, uint32_t);

static bool next_id(uint32_t *ret)
{
	*ret = atomic_fetch_add(&handed_out, 1);
	return *ret < JOBS;
}

/* The future of a job that was to run and was left alone. */
static void settle(uint32_t id, enter_future f, int kind)
{
	uint32_t v = 0;
	int r = tz_result(f, &v);

	if (kind == 1 && id % 3 == 0) {
		must(r == -EREMOTEIO && tz_last()->status == TZ_FAILED &&
		     tz_last()->code == -ENOENT);
	} else {
		must(r == 0 && v == (id ^ 0x5a5a5a5a));
	}
	must(atomic_load(&ran[id]) == 1);
	want[id] = 1;
	must(tz_done(f) == -ESTALE);
}

static enter_future submit(stress_random *rnd, uint32_t id, int *kind, const tz_submit_options *o)
{
	enter_future f;

	*kind = (int)stress_draw(rnd, 8);
	if (*kind == 1)
		f.handle = tz_submit_with(ex, o, enter_badly, id).handle;
	else if (*kind == 2)
		f.handle = tz_submit_with(ex, o, enter_slowly, id).handle;
	else
		f = tz_submit_with(ex, o, enter, id);
	return f;
}

static void cancelled(stress_random *rnd, uint32_t id)
{
	int kind;
	enter_future f = submit(rnd, id, &kind, NULL);

	if (stress_draw(rnd, 2))
		(void)tz_sleep(0);
	int c = tz_cancel(f);
	uint32_t v;

	must(c == 0 || c == 1 || c == -EALREADY);
	want[id] = c != 0;
	if (stress_draw(rnd, 4) == 0) {
		must(tz_detach(f) == 0);
		return;
	}
	int r = tz_result(f, &v);

	if (c == 0)
		must(r == -EREMOTEIO && tz_last()->status == TZ_CANCELLED);
	else
		must(r == 0 || (r == -EREMOTEIO && tz_last()->status == TZ_FAILED && kind == 1));
}

static void detached(stress_random *rnd, uint32_t id)
{
	int kind;
	enter_future f = submit(rnd, id, &kind, NULL);

	want[id] = 1;
	must(tz_detach(f) == 0);
	must(tz_detach(f) == -ESTALE);
}

static void with_deadline(stress_random *rnd, uint32_t id)
{
	tz_submit_options o = { .deadline = tz_after(stress_draw(rnd, 300) * 1e-6) };
	int kind;
	enter_future f = submit(rnd, id, &kind, &o);
	uint32_t v;
	int r = tz_result(f, &v);

	want[id] = 1;
	if (r == -EREMOTEIO && tz_last()->status == TZ_TIMED_OUT)
		want[id] = 0;
	else
		must(r == 0 || (r == -EREMOTEIO && tz_last()->code == -ENOENT));
}

static void impatient(stress_random *rnd, uint32_t id)
{
	int kind, r = -ETIMEDOUT;
	enter_future f = submit(rnd, id, &kind, NULL);

	for (int i = 0; i < 3 && r == -ETIMEDOUT; i++) {
		r = tz_wait(f, tz_after(stress_draw(rnd, 50) * 1e-6));
		must(r == 0 || r == -ETIMEDOUT);
	}
	TZ_TIMEOUT(0) {
		uint32_t v;
		int e = tz_wait(f, tz_never());

		(void)v;
		must(e == 0 || e == -ETIMEDOUT);
	}
	settle(id, f, kind);
}

static void in_bulk(stress_random *rnd, uint32_t first)
{
	enum { MOST = 100 };
	enter_args args[MOST];
	enter_future f[MOST];
	uint32_t n = 0, ids[MOST], id = first;
	bool more = true, drop = stress_draw(rnd, 3) == 0;
	uint32_t wanted = 1 + stress_draw(rnd, MOST);

	for (; more && n < wanted; more = n < wanted && next_id(&id)) {
		ids[n] = id;
		want[id] = 1;
		args[n++] = tz_bind(enter, id);
	}
	must(tz_submit_bulk(ex, NULL, enter, n, args, drop ? NULL : f) == 0);
	for (uint32_t i = 0; i < n && !drop; i++)
		settle(ids[i], f[i], 0);
}

static void in_a_scope(stress_random *rnd, uint32_t id)
{
	tz_scope s = { 0 };

	want[id] = 2;
	tz_scope_enter(&s,
		       stress_draw(rnd, 2) ? tz_after(stress_draw(rnd, 200) * 1e-6) : tz_never());
	if (stress_draw(rnd, 2))
		(void)tz_scope_submit(&s, ex, enter_slowly, id);
	else
		(void)tz_scope_submit(&s, ex, enter_through, id);
	if (stress_draw(rnd, 2))
		tz_scope_cancel(&s);
	int r = tz_scope_leave(&s);

	must(r == 0 || r == -ETIMEDOUT || r == -ECANCELED || r == -EREMOTEIO);
}

static _Atomic uint32_t called, callbacks;

static void on_done(void *arg, const tz_outcome *outcome, const void *result)
{
	must((outcome->status == TZ_OK) == (result != NULL));
	must(!result || *(const uint32_t *)result == ((uint32_t)(uintptr_t)arg ^ 0x5a5a5a5a));
	atomic_fetch_add(&called, 1);
}

static void called_back(stress_random *rnd, uint32_t id)
{
	int kind, n = 1 + (int)stress_draw(rnd, 3);
	enter_future f = submit(rnd, id, &kind, NULL);

	for (int i = 0; i < n; i++) {
		must(tz_on_done(f, on_done, (void *)(uintptr_t)id) == 0);
		atomic_fetch_add(&callbacks, 1);
	}
	want[id] = 1;
	if (stress_draw(rnd, 2))
		settle(id, f, kind);
	else
		must(tz_detach(f) == 0);
}

static void nested(stress_random *rnd, uint32_t id)
{
	uint32_t v = 0;

	(void)rnd;
	want[id] = 1;
	must(tz_result(tz_submit(ex, enter_through, id), &v) == 0 && v == (id ^ 0x5a5a5a5a));
}

/* Some futures at once, taken as they end. */
static void held(stress_random *rnd, uint32_t first)
{
	enter_future f[HELD];
	int kinds[HELD];
	uint32_t ids[HELD], id = first;
	int n = 0;
	tz_completed *it;

	do {
		ids[n] = id;
		f[n] = submit(rnd, id, &kinds[n], NULL);
		n++;
	} while (n < HELD && next_id(&id));
	if (stress_draw(rnd, 2)) {
		int r = tz_wait_any(f, n, tz_after(stress_draw(rnd, 100) * 1e-6));

		must(r == -ETIMEDOUT || (r >= 0 && r < n && tz_done(f[r]) == 1));
	}
	must(tz_as_completed(&it, f, (size_t)n) == 0);
	for (int left = n; left > 0;) {
		int i = tz_completed_next(it, tz_after(stress_draw(rnd, 200) * 1e-6));

		if (i == -ETIMEDOUT) {
			if (stress_draw(rnd, 20) == 0)
				break; /* closed before its end */
			continue;
		}
		must(i >= 0 && i < n && tz_done(f[i]) == 1);
		settle(ids[i], f[i], kinds[i]);
		f[i] = (enter_future){ .handle = { NULL, 0 } };
		left--;
	}
	tz_completed_close(it);
	for (int i = 0; i < n; i++)
		if (f[i].handle.tz__cell)
			settle(ids[i], f[i], kinds[i]);
}

static _Atomic uint64_t rounds;

static void submitter(int index)
{
	static void (*const ways[])(stress_random *,
				    uint32_t) = { cancelled,  detached,    with_deadline,
						  impatient,  in_bulk,     held,
						  in_a_scope, called_back, nested };
	stress_random rnd = stress_generator(atomic_load(&rounds) * 100 + (uint64_t)index);
	uint32_t id;

	while (next_id(&id)) {
		uint32_t way = stress_draw(&rnd, 2 * sizeof ways / sizeof *ways);

		if (way < sizeof ways / sizeof *ways) {
			ways[way](&rnd, id);
		} else {
			int kind;
			enter_future f = submit(&rnd, id, &kind, NULL);

			settle(id, f, kind);
		}
		progress();
	}
}

static void one_round(void)
{
	memset((void *)ran, 0, sizeof ran);
	memset(want, 3, sizeof want);
	atomic_store(&handed_out, 0);
	atomic_store(&called, 0);
	atomic_store(&callbacks, 0);
	must(tz_executor_open(&ex, spec) == 0);
	stress_threads(SUBMITTERS, submitter);
	tz_executor_close(ex);
	for (int i = 0; i < JOBS; i++)
		must(want[i] == 2 || atomic_load(&ran[i]) == want[i]);
	while (atomic_load(&called) != atomic_load(&callbacks)) /* those on the service thread */
		(void)tz_sleep(0.001);
	atomic_fetch_add(&rounds, 1);
}

static void on_spec(const char *s)
{
	spec = s;
	do
		one_round();
	while (!stress_over());
}

static void one_worker(void)
{
	on_spec("threads:1");
}

static void two_workers(void)
{
	on_spec("threads:2");
}

static void eight_workers(void)
{
	on_spec("threads:8");
}

static void coming_and_going(void)
{
	on_spec("threads:4,idle=0.0003");
}

static void one_cpu(void)
{
	stress_one_cpu(true);
	on_spec("threads:8");
	stress_one_cpu(false);
}

static void chaos(void)
{
	on_spec("chaos:delay=0.00001");
}

int main(int argc, char **argv)
{
	static const struct stress_case cases[] = {
		{ "ledger on one worker", one_worker },
		{ "ledger on two workers", two_workers },
		{ "ledger on eight workers", eight_workers },
		{ "ledger on workers that come and go", coming_and_going },
		{ "ledger on one processor", one_cpu },
		{ "ledger on chaos", chaos },
	};

	return stress_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
