/*
 * Locks for several processes, of the C library and without any: shared_lock plain|robust|atomic WORKLOAD.
 *
 * plain and robust are pthread mutexes in shared memory; atomic is the bound: one exchange and one releasing store.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>

#include "../bench_shared.h"

static bench_locked *locked;
static void (*loop)(long n);

static void mutex_loop(long n)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)(void *)locked->lock;

	while (n-- > 0) {
		bench_check(pthread_mutex_lock(mutex) == 0, "no lock");
		locked->counter++;
		pthread_mutex_unlock(mutex);
	}
}

static void atomic_loop(long n)
{
	int *word = (int *)(void *)locked->lock;

	while (n-- > 0) {
		while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE))
			bench_pause();
		locked->counter++;
		__atomic_store_n(word, 0, __ATOMIC_RELEASE);
	}
}

static void make(const char *kind)
{
	pthread_mutexattr_t attributes;

	_Static_assert(sizeof(pthread_mutex_t) <= sizeof locked->lock, "it has its place");
	locked = (bench_locked *)bench_shared(sizeof *locked);
	loop = strcmp(kind, "atomic") == 0 ? atomic_loop : mutex_loop;
	if (loop == atomic_loop)
		return;
	pthread_mutexattr_init(&attributes);
	bench_check(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0,
		    "not shared");
	if (strcmp(kind, "robust") == 0)
		bench_check(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0,
			    "not robust");
	bench_check(pthread_mutex_init((pthread_mutex_t *)(void *)locked->lock, &attributes) == 0,
		    "no mutex");
}

static double lock_alone(void)
{
	return bench_each(loop, LONG_MAX);
}

static void lock_by_two(long n)
{
	locked->counter = 0;
	bench_by_two(loop, n / 2);
	bench_check(locked->counter == n / 2 * 2, "lost updates");
}

static double lock_contended(void)
{
	return bench_each(lock_by_two, LONG_MAX);
}

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
		{ "shared-lock-alone", lock_alone },
		{ "shared-lock-contended", lock_contended },
		{ NULL, NULL },
	};

	bench_check(argc > 1, "plain, robust or atomic?");
	make(argv[1]);
	return bench_main(argc - 1, argv + 1, table);
}
