/* How many workers there are, and when. See failures.h. */
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <trenza.h>

#include "failures.h"
#include "os/cpus.h"

static int workers_of(tz_executor *ex)
{
	tz_executor_stats s;

	tz_executor_stats_of(ex, &s);
	return s.workers;
}

/* Threads of this process that the kernel calls "threads-N". */
static int worker_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = 0;

	must(dir);
	for (const struct dirent *e; (e = readdir(dir));) {
		char path[300], name[32] = "";

		(void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
		FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");

		if (!f)
			continue;
		if (fgets(name, sizeof name, f))
			n += strncmp(name, "threads-", 8) == 0;
		(void)fclose(f);
	}
	(void)closedir(dir);
	return n;
}

/* --- 30: a burst of work ------------------------------------------------------------------------------------------------ */

static tz_event gate;

static int wait_at_the_gate(void)
{
	return tz_event_wait_until(&gate, soon());
}
TZ_TASK(int, wait_at_the_gate, void);

static int one(void)
{
	return 1;
}
TZ_TASK(int, one, void);

static void row_30_workers_end_after_a_burst(void **state)
{
	tz_executor *ex;
	wait_at_the_gate_future f[6];
	int v;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:6,min=1,idle=0.02"), 0);
	for (int burst = 0; burst < 2; burst++) {
		tz_event_clear(&gate);
		for (int i = 0; i < 6; i++)
			f[i] = tz_submit(ex, wait_at_the_gate);
		for (int i = 0; i < 6; i++)
			until(tz_running(f[i]) == 1);
		assert_true(workers_of(ex) >= 6);
		tz_event_set(&gate);
		for (int i = 0; i < 6; i++)
			assert_int_equal(tz_result(f[i], &v), 0);
		until(workers_of(ex) <= 1);
		until(worker_threads() <= 1);
	}
	assert_int_equal(workers_of(ex), 1);
	tz_executor_close(ex);
}

static void row_30_no_more_workers_than_there_is_work(void **state)
{
	tz_executor *ex;
	int v;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:16"), 0);
	assert_int_equal(workers_of(ex), 0);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(tz_result(tz_submit(ex, one), &v), 0);
		(void)tz_sleep(i < 20 ? 0.002 : 0); /* so that the worker is idle again */
	}
	/* One at a time: who runs it, and perhaps one that came while the first was about to sleep, once or twice. */
	assert_true(workers_of(ex) <= 4);
	tz_executor_close(ex);
}

/* --- 53: the size by default --------------------------------------------------------------------------------------------- */

static void put(const char *root, const char *name, const char *text)
{
	char path[PATH_MAX];
	size_t root_length = strlen(root);

	(void)snprintf(path, sizeof path, "%s%s", root, name);
	for (char *slash = path + root_length + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		must(mkdir(path, 0700) == 0 || errno == EEXIST);
	}
	FILE *f = fopen(path, "w");

	must(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static int usable_in(const char *root, int allowed)
{
	return tz_cpus_usable(allowed, tz_cpus_quota(root));
}

static void row_53_a_control_groups_quota_limits_the_size(void **state)
{
	char root[] = "/tmp/trenza-row-53-XXXXXX", command[PATH_MAX];

	(void)state;
	assert_non_null(mkdtemp(root));
	put(root, "/proc/self/cgroup", "0::/pod/box\n");
	put(root, "/proc/self/mountinfo",
	    "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n");
	put(root, "/sys/fs/cgroup/pod/box/cpu.max", "max 100000\n");
	assert_int_equal(usable_in(root, 20), 20);
	put(root, "/sys/fs/cgroup/pod/cpu.max", "200000 100000\n"); /* an ancestor's counts, too */
	assert_int_equal(usable_in(root, 20), 2);
	put(root, "/sys/fs/cgroup/pod/box/cpu.max", "50000 100000\n");
	assert_int_equal(usable_in(root, 20), 1);
	put(root, "/proc/self/cgroup", "4:cpu,cpuacct:/old\n");
	put(root, "/proc/self/mountinfo",
	    "31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
	put(root, "/sys/fs/cgroup/cpu/old/cpu.cfs_quota_us", "300000\n");
	put(root, "/sys/fs/cgroup/cpu/old/cpu.cfs_period_us", "100000\n");
	assert_int_equal(usable_in(root, 20), 3);
	assert_int_equal(usable_in(root, 2), 2);
	(void)snprintf(command, sizeof command, "rm -r '%s'", root);
	assert_int_equal(system(command), 0);
}

static void row_53_the_affinity_mask_limits_the_size(void **state)
{
	cpu_set_t all, first;
	tz_executor *ex;
	int cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&first);
	CPU_SET(cpu, &first);
	assert_int_equal(sched_setaffinity(0, sizeof first, &first), 0);
	assert_int_equal(tz_usable_cpus(), 1);
	assert_int_equal(tz_executor_open(&ex, "threads"), 0);
	assert_int_equal(tz_executor_workers(ex), 1);
	tz_executor_close(ex);
	assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
	assert_int_equal(tz_cpus_affinity(0), CPU_COUNT(&all));
}

/* --- 54: parallel work inside parallel work ------------------------------------------------------------------------------ */

enum { OUTER = 12, INNER = 12, WORKERS = 3, DEPTH = 8 };
static _Atomic int running, most, calls;
static tz_executor *shared;

static void busy(int i)
{
	int now = atomic_fetch_add(&running, 1) + 1, seen = atomic_load(&most);

	(void)i;
	while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
		;
	for (tz_deadline end = tz_after(0.0003); !tz_expired(end);)
		(void)sched_yield();
	atomic_fetch_sub(&running, 1);
	atomic_fetch_add(&calls, 1);
}
TZ_TASK(void, busy, int);

static void map_inside(int i)
{
	int in[INNER] = { i };

	must(tz_map(shared, busy, INNER, in) == 0);
}
TZ_TASK(void, map_inside, int);

static int submit_inside(int n);
TZ_TASK(int, submit_inside, int);
static int submit_inside(int n)
{
	submit_inside_future f[2];
	int v = 0;

	if (n == 0) {
		busy(0);
		return 1;
	}
	for (int i = 0; i < 2; i++)
		f[i] = tz_submit(shared, submit_inside, n - 1);
	for (int i = 0; i < 2; i++)
		must(tz_result(f[i], &v) == 0);
	return 2 * v;
}

static void map_all(void)
{
	int in[OUTER] = { 0 };

	must(tz_map(shared, map_inside, OUTER, in) == 0);
}
TZ_TASK(void, map_all, void);

static void row_54_work_inside_work_shares_the_workers(void **state)
{
	int v = 0;

	(void)state;
	assert_int_equal(tz_executor_open(&shared, "threads:3"), 0);
	atomic_store(&calls, 0);
	atomic_store(&most, 0);
	assert_int_equal(tz_result(tz_submit(shared, map_all), NULL), 0);
	assert_int_equal(atomic_load(&calls), OUTER * INNER);
	/* One who waited and comes back may be one too many, for an element or two. */
	assert_in_range(atomic_load(&most), 1, WORKERS + 2);
	assert_int_equal(tz_result(tz_submit(shared, submit_inside, DEPTH), &v), 0);
	assert_int_equal(v, 1 << DEPTH);
	assert_in_range(atomic_load(&most), 1, 2 * WORKERS);
	/* Each of those that are able to run may have all that wait for it on threads of their own: of 511 jobs no more. */
	assert_in_range(worker_threads(), 1, (1 + DEPTH) * WORKERS);
	tz_executor_close(shared);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_30_workers_end_after_a_burst),
		cmocka_unit_test(row_30_no_more_workers_than_there_is_work),
		cmocka_unit_test(row_53_a_control_groups_quota_limits_the_size),
		cmocka_unit_test(row_53_the_affinity_mask_limits_the_size),
		cmocka_unit_test(row_54_work_inside_work_shares_the_workers),
	};

	choose(argc, argv);
	return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
