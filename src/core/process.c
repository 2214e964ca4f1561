/* What fork(2) does to the library: the child is one thread in a copy of its parent's memory.
 *
 * Design notes. Locks of the library that guard allocators are held across the fork, so that the child finds them consistent; all other state that
 * speaks of threads is reset in the child. Executors and futures of the parent carry its process number and answer in the child that they are
 * lost. Each part of the library registers here instead of calling pthread_atfork itself, so that the order is written down once.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "core/job.h"
#include "core/parking.h"
#include "core/service.h"
#include "core/spin.h"
#include "core/strand.h"
#include "os/fork.h"

_Atomic uint32_t tz_process_number TZ_WRITTEN_BY_CHILD;

static void prepare(void)
{
	tz_strand_fork_prepare();
	tz_job_fork_prepare();
}

static void in_parent(void)
{
	tz_job_fork_done();
	tz_strand_fork_done();
}

static void in_child(void)
{
	tz_job_fork_done();
	tz_strand_fork_done();
	atomic_fetch_add(&tz_process_number, 1);
	tz_parking_after_fork();
	tz_spin_after_fork();
	tz_service_after_fork();
}

__attribute__((constructor)) static void watch_forks(void)
{
	(void)pthread_atfork(prepare, in_parent, in_child);
}
