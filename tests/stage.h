/* One of each thing by which processes synchronise, and what those that use it note, in memory that they share. */
#ifndef TRENZA_TESTS_STAGE_H
#define TRENZA_TESTS_STAGE_H

#include <stdatomic.h>

#include <trenza/shared_barrier.h>
#include <trenza/shared_condition.h>
#include <trenza/shared_event.h>
#include <trenza/shared_lock.h>
#include <trenza/shared_rwlock.h>
#include <trenza/shared_semaphore.h>

struct stage {
	tz_shared_lock lock;
	tz_shared_rlock rlock;
	tz_shared_event event;
	tz_shared_semaphore semaphore;
	tz_shared_condition condition;
	tz_shared_barrier barrier;
	tz_shared_rwlock rwlock;
	atomic_int phase, inside, most, arrived, done;
	atomic_int has, over; /* one certainly has what it wants; all is done */
	atomic_int answers[8]; /* of those that wait */
	long count, copy; /* changed under a lock */
};

#endif
