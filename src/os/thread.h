/* Starting a thread of the library's own. */
#ifndef TZ_OS_THREAD_H
#define TZ_OS_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Starts a thread with all signals blocked but those that a faulting instruction raises, so that the application's handlers run on its own
 * threads. stack_size in bytes, 0 for the system's default. 0 or a negative errno code. */
int tz_os_thread_start(pthread_t *ret, size_t stack_size, void *(*fn)(void *), void *arg);

/* The same, for a thread that nobody joins: *ret only tells it from others, as long as it runs. */
int tz_os_thread_start_detached(pthread_t *ret, void *(*fn)(void *), void *arg);

#endif
