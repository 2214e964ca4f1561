/* Processes that are killed at random and replaced while they use locks, semaphores, conditions, barriers, read-write locks and events that they share. Nobody gets stuck, what
 * is under a lock is whole or was said not to be, and what the dead had comes back. */
#define _GNU_SOURCE

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

enum { USERS = 4, PERMITS = 2 };

static struct shared {
	tz_shared_lock lock;
	tz_shared_rlock rlock;
	tz_shared_semaphore semaphore;
	tz_shared_condition filled;
	tz_shared_barrier barrier;
	tz_shared_rwlock rwlock;
	tz_shared_event event;
	long first, second; /* equal, under a lock */
	long tokens; /* under the lock */
	atomic_ulong done; /* by anybody */
	atomic_uint failures;
} * shared;

/* Never reached, but by a failure. */
static tz_deadline late(void)
{
	return tz_after(60);
}

/* In a user: it has no cmocka, and the parent hears of it. */
static void expect(bool condition)
{
	if (!condition) {
		atomic_fetch_add(&shared->failures, 1);
		_exit(1);
	}
}

static void change(void)
{
	expect(shared->first == shared->second);
	shared->first++;
	shared->second++;
	atomic_fetch_add(&shared->done, 1);
}

static void repair(void)
{
	shared->second = shared->first;
}

/* --- what users do, again and again ------------------------------------------------------------------------------------------- */

static void use_lock(stress_random *r)
{
	int e = stress_draw(r, 4) ? tz_shared_lock_acquire(&shared->lock)
				  : tz_shared_lock_acquire_until(&shared->lock, late());

	expect(e == 0 || e == -EOWNERDEAD);
	if (e == -EOWNERDEAD) {
		repair();
		expect(tz_shared_lock_recover(&shared->lock) == 0);
	}
	change();
	expect(tz_shared_lock_release(&shared->lock) == 0);
}

static void use_rlock(stress_random *r)
{
	int e = tz_shared_rlock_acquire(&shared->rlock), again = (int)stress_draw(r, 3);

	expect(e == 0 || e == -EOWNERDEAD);
	if (e == -EOWNERDEAD) {
		repair();
		expect(tz_shared_rlock_recover(&shared->rlock) == 0);
	}
	for (int i = 0; i < again; i++)
		expect(tz_shared_rlock_acquire(&shared->rlock) == 0);
	change();
	for (int i = 0; i <= again; i++)
		expect(tz_shared_rlock_release(&shared->rlock) == 0);
}

static void use_semaphore(stress_random *r)
{
	int n = 1 + (int)stress_draw(r, 3) / 2;

	if (n == 1) {
		expect(tz_shared_semaphore_acquire_until(&shared->semaphore, late()) == 0);
	} else if (tz_shared_semaphore_try(&shared->semaphore) < 0) {
		return;
	}
	if (stress_draw(r, 8) == 0)
		(void)tz_yield();
	expect(tz_shared_semaphore_release(&shared->semaphore) == 0);
	atomic_fetch_add(&shared->done, 1);
}

static bool has_tokens(void *unused)
{
	(void)unused;
	return shared->tokens > 0;
}

static void use_condition(stress_random *r)
{
	int e = tz_shared_lock_acquire(&shared->lock);

	(void)r;
	do {
		expect(e == 0 || e == -EOWNERDEAD);
		if (e == -EOWNERDEAD)
			expect(tz_shared_lock_recover(&shared->lock) == 0);
		e = tz_shared_condition_wait_for_until(&shared->filled, &shared->lock, has_tokens,
						       NULL, late());
	} while (e == -EOWNERDEAD);
	expect(e == 0);
	shared->tokens--;
	expect(tz_shared_lock_release(&shared->lock) == 0);
	atomic_fetch_add(&shared->done, 1);
}

static void use_barrier(stress_random *r)
{
	int e = tz_shared_barrier_wait_until(&shared->barrier, late());

	(void)r;
	expect(e == -EPIPE || (e >= 0 && e < USERS));
	if (e >= 0)
		atomic_fetch_add(&shared->done, 1);
	else
		(void)tz_sleep(0.0002); /* until it was reset */
}

static void use_rwlock(stress_random *r)
{
	tz_shared_rwlock *l = &shared->rwlock;
	bool write = stress_draw(r, 3) == 0;
	int e = write ? tz_shared_rwlock_acquire_write_until(l, late())
		      : tz_shared_rwlock_acquire_read_until(l, late());

	expect(e == 0 || e == -EOWNERDEAD);
	if (!write && e == 0) {
		expect(shared->first == shared->second);
		expect(tz_shared_rwlock_release_read(l) == 0);
		return;
	}
	if (!write) { /* somebody has to repair it */
		e = tz_shared_rwlock_acquire_write(l);
		expect(e == 0 || e == -EOWNERDEAD);
	}
	if (e == -EOWNERDEAD) {
		repair();
		expect(tz_shared_rwlock_recover(l) == 0);
	}
	change();
	expect(tz_shared_rwlock_release_write(l) == 0);
}

static void use_event(stress_random *r)
{
	expect(tz_shared_event_wait_until(&shared->event, late()) == 0);
	atomic_fetch_add(&shared->done, 1);
	if (stress_draw(r, 2))
		tz_shared_event_clear(&shared->event);
}

/* --- the parent ------------------------------------------------------------------------------------------------------------------- */

static pid_t users[USERS];
static uint64_t lives;

static pid_t start(void (*use)(stress_random *r))
{
	pid_t parent = getpid(), child;
	uint64_t life = lives++;

	child = fork();
	must(child >= 0);
	if (child == 0) {
		stress_random r = stress_generator(1000 + life);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			use(&r);
		_exit(0);
	}
	return child;
}

static void stop(pid_t child)
{
	int status;

	must(kill(child, SIGKILL) == 0);
	must(waitpid(child, &status, 0) == child);
	must(WIFSIGNALED(status));
}

/* Kills one after the other, at any time, now and then one that was stopped for a while. `meanwhile` is what the parent does. */
static void storm(void (*use)(stress_random *r), void (*meanwhile)(stress_random *r),
		  void (*killed)(void))
{
	stress_random r = stress_generator(7);
	unsigned long before = 0;

	for (int i = 0; i < USERS; i++)
		users[i] = start(use);
	while (!stress_over()) {
		uint32_t i = stress_draw(&r, USERS);

		if (meanwhile)
			meanwhile(&r);
		(void)tz_sleep(stress_draw(&r, 1000) * 2e-6);
		if (stress_draw(&r, 4) == 0) {
			must(kill(users[i], SIGSTOP) == 0);
			(void)tz_sleep(stress_draw(&r, 1000) * 2e-6);
		}
		stop(users[i]);
		if (killed)
			killed();
		users[i] = start(use);
		must(shared->failures == 0);
		if (shared->done != before)
			progress();
		before = shared->done;
	}
	for (int i = 0; i < USERS; i++)
		stop(users[i]);
	must(shared->failures == 0);
}

/* After all of them were killed: the test itself can use it. */
static void calm(void (*use)(stress_random *r))
{
	stress_random r = stress_generator(8);
	unsigned long before = shared->done;

	for (int i = 0; i < 100; i++)
		use(&r);
	must(shared->failures == 0 && shared->done >= before);
	progress();
}

static void begin(void)
{
	if (!shared) {
		shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		must(shared != MAP_FAILED);
	}
	memset((void *)shared, 0, sizeof *shared);
}

static void locks(void)
{
	begin();
	storm(use_lock, NULL, NULL);
	calm(use_lock);
	must(shared->first == shared->second);
}

static void rlocks(void)
{
	begin();
	storm(use_rlock, NULL, NULL);
	calm(use_rlock);
}

static void semaphores(void)
{
	begin();
	must(tz_shared_semaphore_init_bounded(&shared->semaphore, PERMITS) == 0);
	storm(use_semaphore, NULL, NULL);
	for (int i = 0; i < PERMITS; i++)
		must(tz_shared_semaphore_acquire_until(&shared->semaphore, late()) == 0);
	must(tz_shared_semaphore_try(&shared->semaphore) == -EBUSY);
	must(tz_shared_semaphore_release_n(&shared->semaphore, PERMITS) == 0);
	must(tz_shared_semaphore_permits(&shared->semaphore) == PERMITS);
}

static void take_lock(void)
{
	int e = tz_shared_lock_acquire_until(&shared->lock, late());

	must(e == 0 || e == -EOWNERDEAD);
	if (e == -EOWNERDEAD)
		must(tz_shared_lock_recover(&shared->lock) == 0);
}

static long tokens_left(void)
{
	long n;

	take_lock();
	n = shared->tokens;
	must(tz_shared_lock_release(&shared->lock) == 0);
	return n;
}

static void put_tokens(stress_random *r)
{
	long n = 1 + (long)stress_draw(r, 3);

	take_lock();
	shared->tokens += n;
	tz_shared_condition_notify_n(&shared->filled, (size_t)n);
	must(tz_shared_lock_release(&shared->lock) == 0);
}

/* Those that are left take them all, although some notifications have gone to the dead. */
static void conditions(void)
{
	begin();
	storm(use_condition, put_tokens, NULL);
	for (int i = 0; i < USERS; i++)
		users[i] = start(use_condition);
	for (int i = 0; i < 20; i++) {
		stress_random r = stress_generator(100 + (uint64_t)i);

		put_tokens(&r);
		if (i % 4 == 0) {
			stop(users[i / 4 % USERS]);
			users[i / 4 % USERS] = start(use_condition);
		}
		for (tz_deadline end = late(); tokens_left() > 0;) {
			must(!tz_expired(end));
			(void)tz_sleep(0.0002);
		}
		progress();
	}
	for (int i = 0; i < USERS; i++)
		stop(users[i]);
	must(shared->failures == 0);
}

static void make_whole(void)
{
	tz_shared_barrier_reset(&shared->barrier);
}

static void barriers(void)
{
	begin();
	must(tz_shared_barrier_init(&shared->barrier, USERS) == 0);
	storm(use_barrier, NULL, make_whole);
	make_whole();
	for (int i = 0; i < USERS; i++)
		users[i] = start(use_barrier);
	shared->done = 0;
	for (tz_deadline end = late(); shared->done < 20 * USERS;) {
		must(!tz_expired(end));
		(void)tz_sleep(0.001);
	}
	progress();
	for (int i = 0; i < USERS; i++)
		stop(users[i]);
}

static void rwlocks(void)
{
	begin();
	storm(use_rwlock, NULL, NULL);
	calm(use_rwlock);
	must(shared->first == shared->second);
}

static void set_event(stress_random *r)
{
	tz_shared_event_set(&shared->event);
	if (stress_draw(r, 2))
		tz_shared_event_clear(&shared->event);
}

static void events(void)
{
	stress_random r = stress_generator(9);
	pid_t user;

	begin();
	storm(use_event, set_event, NULL);
	user = start(use_event);
	shared->done = 0;
	for (tz_deadline end = late(); shared->done < 20;) {
		must(!tz_expired(end));
		set_event(&r);
		(void)tz_sleep(0.0002);
	}
	progress();
	stop(user);
}

int main(int argc, char **argv)
{
	static const struct stress_case cases[] = {
		{ "locks", locks },           { "rlocks", rlocks },
		{ "semaphores", semaphores }, { "conditions", conditions },
		{ "barriers", barriers },     { "rwlocks", rwlocks },
		{ "events", events },
	};

	return stress_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
