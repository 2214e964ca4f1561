/*
 * Boost.Interprocess: its mutex for several processes.
 */
#include <boost/interprocess/sync/interprocess_mutex.hpp>

#include <new>

#include "../bench_shared.h"

using boost::interprocess::interprocess_mutex;

static bench_locked *locked;
static interprocess_mutex *mutex;

static void lock_loop(long n)
{
	while (n-- > 0) {
		mutex->lock();
		locked->counter++;
		mutex->unlock();
	}
}

static void make()
{
	static_assert(sizeof(interprocess_mutex) <= sizeof locked->lock, "it has its place");
	locked = static_cast<bench_locked *>(bench_shared(sizeof *locked));
	mutex = new (locked->lock) interprocess_mutex;
}

static double lock_alone()
{
	make();
	return bench_each(lock_loop, LONG_MAX);
}

static void lock_by_two(long n)
{
	locked->counter = 0;
	bench_by_two(lock_loop, n / 2);
	bench_check(locked->counter == n / 2 * 2, "lost updates");
}

static double lock_contended()
{
	make();
	return bench_each(lock_by_two, LONG_MAX);
}

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
		{ "shared-lock-alone", lock_alone },
		{ "shared-lock-contended", lock_contended },
		{ nullptr, nullptr },
	};

	return bench_main(argc, argv, table);
}
