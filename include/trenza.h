/* trenza: write one plain C function, and run it on threads, processes, coroutines or a cluster by changing one word.
 *
 * This header includes all of the library's but trenza/executor_impl.h, which is for who writes an executor. Each can be included by
 * itself.
 */
#ifndef TRENZA_H
#define TRENZA_H

#include <trenza/barrier.h>
#include <trenza/base.h>
#include <trenza/buffer.h>
#include <trenza/condition.h>
#include <trenza/connection.h>
#include <trenza/context.h>
#include <trenza/cpu.h>
#include <trenza/descriptor.h>
#include <trenza/event.h>
#include <trenza/executor.h>
#include <trenza/fd.h>
#include <trenza/fork.h>
#include <trenza/future.h>
#include <trenza/group.h>
#include <trenza/lane.h>
#include <trenza/local.h>
#include <trenza/lock.h>
#include <trenza/loop.h>
#include <trenza/map.h>
#include <trenza/once.h>
#include <trenza/options.h>
#include <trenza/outcome.h>
#include <trenza/process.h>
#include <trenza/queue.h>
#include <trenza/rwlock.h>
#include <trenza/scope.h>
#include <trenza/semaphore.h>
#include <trenza/shared_atomic.h>
#include <trenza/shared_barrier.h>
#include <trenza/shared_condition.h>
#include <trenza/shared_event.h>
#include <trenza/shared_list.h>
#include <trenza/shared_lock.h>
#include <trenza/shared_memory.h>
#include <trenza/shared_queue.h>
#include <trenza/shared_rwlock.h>
#include <trenza/shared_semaphore.h>
#include <trenza/spawn.h>
#include <trenza/stream.h>
#include <trenza/task.h>
#include <trenza/tasks.h>
#include <trenza/thread.h>
#include <trenza/time.h>
#include <trenza/timer.h>
#include <trenza/types.h>
#include <trenza/value.h>
#include <trenza/version.h>
#include <trenza/with.h>

#endif
