/* The tz_with_ blocks in C++: they release when an exception leaves them, too. */
#include <cstdio>

#include <trenza/condition.h>
#include <trenza/lock.h>
#include <trenza/once.h>
#include <trenza/rwlock.h>
#include <trenza/semaphore.h>

static int cases, failures;

static void check(bool ok, const char *title)
{
	std::printf("%sok %d - %s\n", ok ? "" : "not ", ++cases, title);
	failures += !ok;
}

static void throw_holding(tz_lock *lock, tz_rlock *rlock, tz_rwlock *rwlock,
			  tz_semaphore *semaphore)
{
	tz_with_lock(lock)
		tz_with_rlock(rlock)
			tz_with_read(rwlock)
				tz_with_semaphore(semaphore, nullptr) {
					throw 1;
				}
}

static int return_holding(tz_rwlock *rwlock)
{
	tz_with_write(rwlock) {
		if (tz_rwlock_is_written(rwlock))
			return 1;
	}
	return 0;
}

static int throwing(void *)
{
	throw 2;
}

int main()
{
	tz_lock lock = {};
	tz_rlock rlock = {};
	tz_rwlock rwlock = {};
	tz_semaphore semaphore = {};
	int thrown = 0;

	(void)tz_semaphore_init_bounded(&semaphore, 1);
	try {
		throw_holding(&lock, &rlock, &rwlock, &semaphore);
	} catch (int n) {
		thrown = n;
	}
	check(thrown == 1, "the exception comes through");
	check(!tz_lock_is_held(&lock), "the lock is released");
	check(!tz_rlock_is_held(&rlock), "the recursive lock is released");
	check(tz_rwlock_readers(&rwlock) == 0, "the reader is gone");
	check(tz_semaphore_permits(&semaphore) == 1, "the permit is back");
	check(return_holding(&rwlock) == 1 && !tz_rwlock_is_written(&rwlock), "return releases");

	tz_once once = {};

	try {
		(void)tz_once_call(&once, throwing, nullptr);
	} catch (int n) {
		thrown = n;
	}
	check(thrown == 2, "an exception leaves tz_once_call");
	check(tz_once_is_done(&once) && tz_once_call(&once, throwing, nullptr) == -ECANCELED,
	      "and counts as its one run");
	std::printf("1..%d\n", cases);
	return failures != 0;
}
