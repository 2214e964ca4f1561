/*
 * Boost.Interprocess: its queue of messages in shared memory.
 */
#include <boost/interprocess/ipc/message_queue.hpp>

#include <string>

#include "../bench_messages.h"

using namespace boost::interprocess;

static message_queue *queue[2];
static std::string name[2];

static void make(int which, size_t size)
{
	name[which] = "trenza-bench-" + std::to_string(getpid()) + "-" + std::to_string(which);
	queue[which] = new message_queue(create_only, name[which].c_str(), size <= BENCH_SMALL ? BENCH_QUEUE : 8, size);
}

static void put(int which, const void *data, size_t size, size_t n)
{
	for (size_t i = 0; i < n; i++)
		queue[which]->send(static_cast<const char *>(data) + i * size, size, 0);
}

static size_t take(int which, void *data, size_t size, size_t)
{
	message_queue::size_type got;
	unsigned priority;

	queue[which]->receive(data, size, got, priority);
	bench_check(got == size, "not taken");
	return 1;
}

static void unmake(int which)
{
	delete queue[which];
	message_queue::remove(name[which].c_str());
}

static const bench_channel channel = { make, put, take, unmake, nullptr };

int main(int argc, char **argv)
{
	const bench_workload workloads[] = { BENCH_MESSAGE_ROWS, { nullptr, nullptr } };

	bench_through = &channel;
	return bench_main(argc, argv, workloads);
}
