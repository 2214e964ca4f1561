/* The service thread. See service.h.
 *
 * Design notes. A queue under a lock and a word to sleep on. The thread sleeps without end when the queue is empty, and is never joined: it
 * holds nothing that process exit would miss.
 */
#include "core/service.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "os/futex.h"
#include "os/mutex.h"
#include "os/thread.h"

static struct {
	struct tz_mutex lock;
	struct tz_service_item *first, **last;
	_Atomic bool started;
	_Atomic uint32_t pushed; /* counts pushes: what the thread sleeps on */
} service;

static struct tz_service_item *take_all(void)
{
	tz_mutex_lock(&service.lock);
	struct tz_service_item *items = service.first;
	service.first = NULL;
	service.last = &service.first;
	tz_mutex_unlock(&service.lock);
	return items;
}

static void *serve(void *unused);

/* Under the lock. */
static int start_thread(void)
{
	pthread_t thread;
	int r = tz_os_thread_start_detached(&thread, serve, NULL);

	atomic_store_explicit(&service.started, r == 0, memory_order_release);
	return r;
}

/* A callback has left by pthread_exit: the rest is for another thread. Should there be none to have, the next tz_service_start tries again. */
static void hand_over(struct tz_service_item **rest)
{
	struct tz_service_item **end = rest;

	tz_mutex_lock(&service.lock);
	while (*end)
		end = &(*end)->next;
	if (end != rest) {
		if (!service.first)
			service.last = end;
		*end = service.first;
		service.first = *rest;
	}
	(void)start_thread();
	tz_mutex_unlock(&service.lock);
}

static void *serve(void *unused)
{
	struct tz_service_item *rest __attribute__((cleanup(hand_over))) = NULL;

	(void)unused;
	(void)pthread_setname_np(pthread_self(), "trenza-service");
	for (;;) {
		uint32_t seen = atomic_load_explicit(&service.pushed, memory_order_acquire);

		rest = take_all();
		if (!rest)
			(void)tz_futex_wait(&service.pushed, seen, 0);
		while (rest) {
			struct tz_service_item *item = rest;

			rest = item->next;
			item->run(item);
		}
	}
	return NULL;
}

int tz_service_start(void)
{
	int r = 0;

	if (atomic_load_explicit(&service.started, memory_order_acquire))
		return 0;
	tz_mutex_lock(&service.lock);
	if (!atomic_load_explicit(&service.started, memory_order_relaxed)) {
		if (!service.first)
			service.last = &service.first;
		r = start_thread();
	}
	tz_mutex_unlock(&service.lock);
	return r;
}

void tz_service_run(struct tz_service_item *item)
{
	item->next = NULL;
	tz_mutex_lock(&service.lock);
	*service.last = item;
	service.last = &item->next;
	tz_mutex_unlock(&service.lock);
	atomic_fetch_add_explicit(&service.pushed, 1, memory_order_release);
	tz_futex_wake(&service.pushed, 1);
}

void tz_service_after_fork(void)
{
	if (!atomic_load(&service.lock.word) && !service.first && !atomic_load(&service.started))
		return;
	atomic_store(&service.lock.word, 0);
	service.first = NULL;
	service.last = &service.first;
	atomic_store(&service.started, false);
}
