/*
 * Messages between processes by what the system has: messages pipe|socketpair|mq|ring|futex WORKLOAD. The last two are bounds: `ring`, memory that two processes
 * spin on, without a lock, and for one who puts and one who takes; `futex`, room for one message that the other has always taken by the time of the next, and a word to
 * sleep on.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "../bench_messages.h"

static int ends[2][2]; /* to take from, to put into */

static void write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t r = write(fd, data, size);
		bench_check(r > 0, "not put");
		data += r;
		size -= (size_t)r;
	}
}

static void put_stream(int which, const void *data, size_t size, size_t n)
{
	write_all(ends[which][1], data, size * n); /* small ones go in whole */
}

/* Several processes take from one stream: of small messages each gets whole ones, since only whole ones are in it. */
static size_t take_stream(int which, void *data, size_t size, size_t most)
{
	size_t got = 0;

	do {
		ssize_t r = read(ends[which][0], (char *)data + got, size * most - got);
		bench_check(r > 0, "not taken");
		got += (size_t)r;
	} while (got % size);
	return got / size;
}

static void close_both(int which)
{
	close(ends[which][0]);
	close(ends[which][1]);
}

static void make_pipe(int which, size_t size)
{
	(void)size;
	bench_check(pipe(ends[which]) == 0, "no pipe");
}

static void make_socketpair(int which, size_t size)
{
	(void)size;
	bench_check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[which]) == 0, "no socket pair");
}

static mqd_t mq[2];

static void make_mq(int which, size_t size)
{
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = (long)size };
	char name[64];

	bench_check(size <= 8192, "messages of this size are not allowed");
	snprintf(name, sizeof name, "/trenza-bench-%d-%d", (int)getpid(), which);
	mq[which] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	bench_check(mq[which] != (mqd_t)-1, "no message queue");
	mq_unlink(name);
}

static void put_mq(int which, const void *data, size_t size, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bench_check(mq_send(mq[which], (const char *)data + i * size, size, 0) == 0, "not put");
}

static size_t take_mq(int which, void *data, size_t size, size_t most)
{
	(void)most;
	bench_check(mq_receive(mq[which], data, size, NULL) == (ssize_t)size, "not taken");
	return 1;
}

static void unmake_mq(int which)
{
	mq_close(mq[which]);
}

typedef struct ring {
	_Alignas(64) size_t head;
	_Alignas(64) size_t tail;
	_Alignas(64) char data[];
} ring;

enum { RING_BYTES = 8 << 20 };
static ring *rings[2];

static size_t slots(size_t size)
{
	return size <= BENCH_SMALL ? BENCH_QUEUE : RING_BYTES / size;
}

static void make_ring(int which, size_t size)
{
	(void)size;
	rings[which] = mmap(NULL, sizeof(ring) + RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	bench_check(rings[which] != MAP_FAILED, "no memory");
}

static void put_ring(int which, const void *data, size_t size, size_t n)
{
	ring *r = rings[which];
	size_t all = slots(size), tail = r->tail;

	for (size_t done = 0; done < n;) {
		size_t room = all - (tail - __atomic_load_n(&r->head, __ATOMIC_ACQUIRE));
		if (!room)
			bench_pause();
		for (; room && done < n; room--, done++, tail++)
			memcpy(r->data + tail % all * size, (const char *)data + done * size, size);
		__atomic_store_n(&r->tail, tail, __ATOMIC_RELEASE);
	}
}

static size_t take_ring(int which, void *data, size_t size, size_t most)
{
	ring *r = rings[which];
	size_t all = slots(size), head = r->head, there, n;

	while ((there = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) - head) == 0)
		bench_pause();
	n = there < most ? there : most;
	for (size_t i = 0; i < n; i++)
		memcpy((char *)data + i * size, r->data + (head + i) % all * size, size);
	__atomic_store_n(&r->head, head + n, __ATOMIC_RELEASE);
	return n;
}

static void unmake_ring(int which)
{
	munmap(rings[which], sizeof(ring) + RING_BYTES);
}

typedef struct letter {
	uint32_t there;
	char data[BENCH_SMALL];
} letter;

static letter *letters[2]; /* each on a page of its own */

static void make_letter(int which, size_t size)
{
	bench_check(size <= BENCH_SMALL, "no room");
	letters[which] = mmap(NULL, sizeof(letter), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	bench_check(letters[which] != MAP_FAILED, "no memory");
}

static void put_letter(int which, const void *data, size_t size, size_t n)
{
	letter *l = letters[which];

	bench_check(n == 1 && !__atomic_load_n(&l->there, __ATOMIC_ACQUIRE), "one at a time");
	memcpy(l->data, data, size);
	__atomic_store_n(&l->there, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &l->there, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static size_t take_letter(int which, void *data, size_t size, size_t most)
{
	letter *l = letters[which];

	(void)most;
	while (!__atomic_load_n(&l->there, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &l->there, FUTEX_WAIT, 0, NULL, NULL, 0);
	memcpy(data, l->data, size);
	__atomic_store_n(&l->there, 0, __ATOMIC_RELEASE);
	return 1;
}

static void unmake_letter(int which)
{
	munmap(letters[which], sizeof(letter));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		bench_channel channel;
	} all[] = {
		{ "pipe", { make_pipe, put_stream, take_stream, close_both, NULL } },
		{ "socketpair", { make_socketpair, put_stream, take_stream, close_both, NULL } },
		{ "mq", { make_mq, put_mq, take_mq, unmake_mq, NULL } },
		{ "ring", { make_ring, put_ring, take_ring, unmake_ring, NULL } },
		{ "futex", { make_letter, put_letter, take_letter, unmake_letter, NULL } },
	};
	const bench_workload workloads[] = { BENCH_MESSAGE_ROWS, { NULL, NULL } };

	for (size_t i = 0; argc > 2 && i < sizeof all / sizeof *all; i++)
		if (strcmp(argv[1], all[i].name) == 0)
			bench_through = &all[i].channel;
	bench_check(bench_through != NULL, "messages pipe|socketpair|mq|ring|futex WORKLOAD");
	return bench_main(argc - 1, argv + 1, workloads);
}
