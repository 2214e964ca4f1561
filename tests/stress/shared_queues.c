/* A queue between processes that are killed at random and replaced, with small messages, batches and large messages. What arrives is whole, and once; what a process
 * has put is there, but for what was in the hands of those who were killed when they had taken it out; with leases, nothing is missing. */
#define _GNU_SOURCE

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/queue.h"
#include "stress.h"

enum {
	PUTTERS = 3,
	GETTERS = 3,
	LIVES = 1 << 15, /* of putters, one after the other */
	MESSAGES = 1 << 13, /* of each life, at most */
	BATCH = 5,
	LARGE = 40000
};

/* Each message begins so, and its other bytes follow from its number. */
struct head {
	uint32_t life, number, size;
};

static tz_shared_queue *q;
static struct shared {
	_Atomic bool stop;
	_Atomic uint32_t lives;
	_Atomic uint64_t got;
	_Atomic uint32_t begun[LIVES], over[LIVES]; /* how many messages each life has begun to put, and has put */
	_Atomic unsigned char seen[LIVES][MESSAGES]; /* how often each was worked on */
} *shared;
static bool on_lease;

static tz_deadline a_while(void)
{
	return tz_after(0.05);
}

static unsigned char byte_of(const struct head *h, size_t i)
{
	return (unsigned char)(h->life * 7 + h->number * 13 + i);
}

static void write_message(unsigned char *bytes, const struct head *h)
{
	memcpy(bytes, h, sizeof *h);
	for (size_t i = sizeof *h; i < h->size; i++)
		bytes[i] = byte_of(h, i);
}

static void work_on(const unsigned char *bytes, size_t size, bool again)
{
	struct head h;

	must(size >= sizeof h);
	memcpy(&h, bytes, sizeof h);
	must(h.size == size && h.life < LIVES && h.number < MESSAGES);
	for (size_t i = sizeof h; i < size; i++)
		must(bytes[i] == byte_of(&h, i));
	must(atomic_fetch_add(&shared->seen[h.life][h.number], 1) == 0 || again);
	must(h.number < atomic_load(&shared->begun[h.life]));
	atomic_fetch_add(&shared->got, 1);
}

/* --- the processes --------------------------------------------------------------------------------------------------------- */

static void put_on(stress_random *r, uint32_t life)
{
	static unsigned char bytes[LARGE];
	uint32_t number = 0;

	while (!shared->stop && number + BATCH < MESSAGES) {
		uint32_t n = stress_draw(r, 4) ? 1 : 1 + stress_draw(r, BATCH);
		struct head h = { .life = life, .size = 20 + stress_draw(r, 180) };
		ptrdiff_t done;

		if (n == 1 && stress_draw(r, 10) == 0)
			h.size = 1000 + stress_draw(r, LARGE - 1000);
		for (uint32_t i = 0; i < n; i++) {
			h.number = number + i;
			write_message(bytes + (size_t)i * h.size, &h);
		}
		atomic_store(&shared->begun[life], number + n);
		done = tz_shared_queue_put_n_until(q, bytes, h.size, n, a_while());
		must(done > 0 || done == -ETIMEDOUT);
		if (done > 0)
			number += (uint32_t)done;
		atomic_store(&shared->over[life], number);
	}
}

static void be_putter(stress_random *r)
{
	while (!shared->stop) {
		uint32_t life = atomic_fetch_add(&shared->lives, 1);

		if (life >= LIVES) {
			atomic_fetch_sub(&shared->lives, 1);
			return;
		}
		put_on(r, life);
	}
}

static bool take_one(stress_random *r)
{
	static unsigned char bytes[LARGE];
	tz_shared_lease lease;
	ptrdiff_t n;

	if (!on_lease) {
		n = tz_shared_queue_get_bytes_until(q, bytes, sizeof bytes, a_while());
		must(n > 0 || n == -ETIMEDOUT);
		if (n > 0)
			work_on(bytes, (size_t)n, false);
		return n > 0;
	}
	n = tz_shared_queue_lease_until(q, &lease, a_while());
	must(n == 0 || n == -ETIMEDOUT);
	if (n < 0)
		return false;
	work_on(lease.data, lease.size, lease.deliveries > 0);
	if (stress_draw(r, 20) == 0)
		must(tz_shared_lease_return(q, &lease) == 0);
	else
		must(tz_shared_lease_done(q, &lease) == 0);
	return true;
}

static void be_getter(stress_random *r)
{
	while (!shared->stop)
		(void)take_one(r);
}

static pid_t start(int role, uint64_t stream)
{
	pid_t parent = getpid(), child;

	(void)fflush(NULL);
	child = fork();
	must(child >= 0);
	if (child == 0) {
		stress_random r = stress_generator(stream);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			(role < PUTTERS ? be_putter : be_getter)(&r);
		_exit(0);
	}
	return child;
}

/* Its end; anything but what it was asked for is a failure. */
static void reap(pid_t child, bool killed)
{
	int status;

	must(waitpid(child, &status, 0) == child);
	must((WIFEXITED(status) && WEXITSTATUS(status) == 0) || (killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
}

/* --- the storm ------------------------------------------------------------------------------------------------------------- */

static void open_all(void)
{
	must(tz_shared_queue_open(&q, TZ_OPTIONS(tz_shared_queue_options, .capacity = 50, .message = 200, .large = 2 << 20, .leases = 16)) == 0);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(shared != MAP_FAILED);
}

/* How many of the messages that were put nobody has seen. */
static uint64_t missing(void)
{
	uint64_t n = 0;

	for (uint32_t life = 0; life < shared->lives; life++)
		for (uint32_t i = 0; i < shared->over[life]; i++)
			n += shared->seen[life][i] == 0;
	return n;
}

static void settle(uint64_t killed_getters)
{
	stress_random r = stress_generator(1);
	uint64_t chunk, lost;

	while (take_one(&r))
		progress();
	lost = missing();
	must(lost <= (on_lease ? 0 : killed_getters));
	must(tz_shared_queue_empty(q));
	if (on_lease)
		must(tz_shared_queue_join_until(q, tz_after(30)) == 0);
	/* Nothing is left in the heap. */
	must(tz_shared_chunk_alloc(q, q->heap_most - TZ_SHARED_CHUNK_UNIT, true, tz_after(30), &chunk) == 0);
	printf("# %llu messages of %u lives, %llu getters killed, %llu messages lost with them\n", (unsigned long long)shared->got, shared->lives,
	       (unsigned long long)killed_getters, (unsigned long long)lost);
	tz_shared_queue_close(q);
	must(munmap(shared, sizeof *shared) == 0);
}

static void storm(void)
{
	enum { ALL = PUTTERS + GETTERS };
	stress_random r = stress_generator(0);
	uint64_t stream = 100, killed_getters = 0, before = 0;
	pid_t child[ALL];

	open_all();
	for (int i = 0; i < ALL; i++)
		child[i] = start(i, stream++);
	while (!stress_over() && shared->lives < LIVES - ALL) {
		int i = (int)stress_draw(&r, ALL);

		(void)tz_sleep(stress_draw(&r, 3000) * 1e-6);
		must(kill(child[i], SIGKILL) == 0);
		reap(child[i], true);
		killed_getters += i >= PUTTERS;
		child[i] = start(i, stream++);
		if (shared->got != before)
			progress(); /* else the watchdog says that they are stuck */
		before = shared->got;
	}
	shared->stop = true;
	for (int i = 0; i < ALL; i++)
		reap(child[i], false);
	settle(killed_getters);
}

static void processes_are_killed(void)
{
	on_lease = false;
	storm();
}

static void processes_are_killed_that_have_leases(void)
{
	on_lease = true;
	storm();
}

int main(int argc, char **argv)
{
	static const struct stress_case cases[] = {
		{ "processes are killed", processes_are_killed },
		{ "processes are killed that have leases", processes_are_killed_that_have_leases },
	};

	return stress_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
