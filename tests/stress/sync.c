/* Synchronisation: each kind of object under many strands that wait, give up, are cancelled and interrupted by signals. What is counted on
 * one side must come out on the other. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "stress.h"

enum { THREADS = 6 };

/* A deadline within a fraction of a millisecond; sometimes it has passed. */
static tz_deadline hasty(stress_random *r)
{
	return tz_after(1e-6 * stress_draw(r, 200) - 1e-5);
}

/* Locks: what they guard is plain memory. */

static struct {
	tz_lock lock;
	tz_rlock rlock;
	long inside, entered, rentered;
	_Atomic long granted, rgranted;
} locks;

static void with_lock(int r)
{
	if (r < 0)
		return;
	must(locks.inside++ == 0);
	locks.entered++;
	locks.inside--;
	atomic_fetch_add(&locks.granted, 1);
	must(tz_lock_release(&locks.lock) == 0);
}

static void lock_strand(int index)
{
	stress_random r = stress_generator((uint64_t)index);
	tz_scope scope = { 0 };

	while (!stress_over()) {
		switch (stress_draw(&r, 6)) {
		case 0:
			tz_lock_acquire(&locks.lock);
			with_lock(0);
			break;
		case 1:
			with_lock(tz_lock_try(&locks.lock));
			break;
		case 2:
			with_lock(tz_lock_acquire_until(&locks.lock, hasty(&r)));
			break;
		case 3:
			TZ_TIMEOUT(1e-6 * stress_draw(&r, 100)) {
				with_lock(tz_lock_acquire_until(&locks.lock, tz_never()));
			}
			break;
		case 4:
			tz_scope_enter(&scope, tz_never());
			tz_scope_cancel(&scope);
			with_lock(tz_lock_acquire_until(&locks.lock, tz_never()));
			(void)tz_scope_leave(&scope);
			break;
		default:
			tz_with_rlock(&locks.rlock)
				tz_with_rlock(&locks.rlock)
					locks.rentered++;
			atomic_fetch_add(&locks.rgranted, 1);
		}
		progress();
	}
}

static void run_locks(void)
{
	memset(&locks, 0, sizeof locks);
	stress_threads(THREADS, lock_strand);
	must(locks.entered == locks.granted);
	must(locks.rentered == locks.rgranted);
	must(!tz_lock_is_held(&locks.lock) && !tz_rlock_is_held(&locks.rlock));
}

static void run_locks_on_one_cpu(void)
{
	stress_one_cpu(true);
	run_locks();
	stress_one_cpu(false);
}

/* Read-write locks */

static struct {
	tz_rwlock lock;
	long a, b; /* equal while nobody writes */
	_Atomic long writes;
} table;

static void write_table(int r)
{
	if (r < 0)
		return;
	must(table.a == table.b);
	table.a++;
	table.b++;
	atomic_fetch_add(&table.writes, 1);
	must(tz_rwlock_release_write(&table.lock) == 0);
}

static void read_table(int r)
{
	if (r < 0)
		return;
	must(table.a == table.b);
	must(tz_rwlock_release_read(&table.lock) == 0);
}

static void table_strand(int index)
{
	stress_random r = stress_generator((uint64_t)index);

	while (!stress_over()) {
		switch (stress_draw(&r, 6)) {
		case 0:
			tz_rwlock_acquire_write(&table.lock);
			write_table(0);
			break;
		case 1:
			write_table(tz_rwlock_acquire_write_until(&table.lock, hasty(&r)));
			break;
		case 2:
			read_table(tz_rwlock_acquire_read_until(&table.lock, hasty(&r)));
			break;
		default:
			tz_rwlock_acquire_read(&table.lock);
			read_table(0);
		}
		progress();
	}
}

static void run_rwlock(void)
{
	memset(&table, 0, sizeof table);
	stress_threads(THREADS, table_strand);
	must(table.a == table.writes && table.b == table.writes);
	must(tz_rwlock_readers(&table.lock) == 0 && !tz_rwlock_is_written(&table.lock));
}

/* A bounded buffer from a lock and two conditions; some strands give up all the time. */

enum { ROOM = 2 };

static struct {
	tz_lock lock;
	tz_condition not_full, not_empty;
	long in, out;
	bool over;
	_Atomic long put, got;
} buffer;

static bool has_room(void *arg)
{
	(void)arg;
	return buffer.over || buffer.in - buffer.out < ROOM;
}

static bool has_item(void *arg)
{
	(void)arg;
	return buffer.over || buffer.in > buffer.out;
}

static void buffer_strand(int index)
{
	stress_random r = stress_generator((uint64_t)index);
	bool produces = index % 2, patient = index < 4;

	while (!stress_over()) {
		tz_deadline end = patient ? tz_never() : hasty(&r);

		tz_with_lock(&buffer.lock) {
			int n = produces ? tz_condition_wait_for_until(&buffer.not_full,
								       &buffer.lock, has_room, NULL,
								       end)
					 : tz_condition_wait_for_until(&buffer.not_empty,
								       &buffer.lock, has_item, NULL,
								       end);

			must(n == 0 || (!patient && n == -ETIMEDOUT));
			if (n < 0 || buffer.over)
				break;
			++*(produces ? &buffer.in : &buffer.out);
			atomic_fetch_add(produces ? &buffer.put : &buffer.got, 1);
			tz_condition_notify(produces ? &buffer.not_empty : &buffer.not_full);
		}
		progress();
	}
	tz_with_lock(&buffer.lock) {
		buffer.over = true;
		tz_condition_notify_all(&buffer.not_full);
		tz_condition_notify_all(&buffer.not_empty);
	}
}

static void run_buffer(void)
{
	memset(&buffer, 0, sizeof buffer);
	stress_threads(8, buffer_strand);
	must(buffer.in == buffer.put && buffer.out == buffer.got);
	must(buffer.in >= buffer.out && buffer.in - buffer.out <= ROOM);
}

/* Semaphores: as many permits in the end as in the beginning, and never more strands inside. */

enum { PERMITS = 3 };

static struct {
	tz_semaphore semaphore;
	_Atomic int inside;
} gate;

static void gate_strand(int index)
{
	stress_random r = stress_generator((uint64_t)index);

	while (!stress_over()) {
		int n = 0;

		if (stress_draw(&r, 2))
			n = tz_semaphore_acquire(&gate.semaphore);
		else
			n = tz_semaphore_acquire_until(&gate.semaphore, hasty(&r));
		progress();
		if (n < 0)
			continue;
		must(atomic_fetch_add(&gate.inside, 1) < PERMITS);
		atomic_fetch_sub(&gate.inside, 1);
		must(tz_semaphore_release(&gate.semaphore) == 0);
	}
}

static void run_semaphore(void)
{
	must(tz_semaphore_init_bounded(&gate.semaphore, PERMITS) == 0);
	stress_threads(THREADS, gate_strand);
	must(tz_semaphore_permits(&gate.semaphore) == PERMITS);
	must(tz_semaphore_release(&gate.semaphore) == -EOVERFLOW);
}

/* Tokens go round a ring of semaphores: a permit lost stops it, which the watchdog sees, and an extra one is counted. */

static tz_semaphore ring[THREADS];
static _Atomic int tokens;

static void ring_strand(int index)
{
	stress_random r = stress_generator((uint64_t)index);

	while (!stress_over()) {
		int n = tz_semaphore_acquire_until(&ring[index], hasty(&r));

		if (n < 0)
			continue;
		must(atomic_fetch_sub(&tokens, 1) > 0);
		atomic_fetch_add(&tokens, 1);
		must(tz_semaphore_release(&ring[(index + 1) % THREADS]) == 0);
		progress();
	}
}

static void run_ring(void)
{
	int left = 0;

	for (int i = 0; i < THREADS; i++)
		must(tz_semaphore_init(&ring[i], i % 2) == 0);
	atomic_store(&tokens, THREADS / 2);
	stress_threads(THREADS, ring_strand);
	for (int i = 0; i < THREADS; i++)
		left += tz_semaphore_permits(&ring[i]);
	must(left == THREADS / 2);
}

/* Events, set by signal handlers that interrupt whatever uses the same buckets. */

enum { EVENTS = 300 }; /* so that each bucket has some */

static tz_event events[EVENTS];
static _Atomic unsigned handled;

static void set_some(int number)
{
	unsigned n = atomic_fetch_add(&handled, 1);

	(void)number;
	for (unsigned i = 0; i < 16; i++)
		tz_event_set(&events[(n * 16 + i) % EVENTS]);
}

static void event_strand(int index)
{
	stress_random r = stress_generator((uint64_t)index);

	while (!stress_over()) {
		tz_event *e = &events[stress_draw(&r, EVENTS)];

		if (stress_draw(&r, 4) == 0)
			tz_event_clear(e);
		/* Every other one has no deadline: the handler will come. */
		int n = stress_draw(&r, 2) ? tz_event_wait(e) : tz_event_wait_until(e, hasty(&r));

		must(n == 0 || n == -ETIMEDOUT);
		progress();
	}
}

static void run_events(void)
{
	struct sigaction a = { .sa_handler = set_some, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 300 }, { 0, 300 } }, never = { { 0, 0 }, { 0, 0 } };

	must(sigaction(SIGALRM, &a, NULL) == 0);
	must(setitimer(ITIMER_REAL, &often, NULL) == 0);
	stress_threads(THREADS, event_strand);
	must(setitimer(ITIMER_REAL, &never, NULL) == 0);
	must(signal(SIGALRM, SIG_IGN) != SIG_ERR);
}

/* Barriers: rounds, time-outs and resets. Each completed round has told each of its parties so. */

enum { PARTIES = 4 };

static struct {
	tz_barrier barrier;
	_Atomic long rounds, indices;
} meeting;

static void party(int index)
{
	stress_random r = stress_generator((uint64_t)index);

	while (!stress_over()) {
		int n = stress_draw(&r, 8) ? tz_barrier_wait_until(&meeting.barrier, tz_after(0.01))
					   : tz_barrier_wait_until(&meeting.barrier, hasty(&r));

		must(n == -EPIPE || n == -ETIMEDOUT || (n >= 0 && n < PARTIES));
		if (n >= 0)
			atomic_fetch_add(&meeting.indices, 1);
		if (n == PARTIES - 1)
			atomic_fetch_add(&meeting.rounds, 1);
		if (n < 0)
			tz_barrier_reset(&meeting.barrier);
		progress();
	}
	tz_barrier_abort(&meeting.barrier);
}

static void run_barrier(void)
{
	must(tz_barrier_init(&meeting.barrier, PARTIES, NULL, NULL) == 0);
	atomic_store(&meeting.rounds, 0);
	atomic_store(&meeting.indices, 0);
	stress_threads(PARTIES, party);
	must(meeting.indices == PARTIES * meeting.rounds);
}

/* The last user of an object makes its memory inaccessible at once; another one may be on its way out of the call that let the last one in. */

struct page {
	tz_lock lock;
	tz_semaphore done;
	int users;
	tz_event event;
};

static size_t page_size;
static struct page *_Atomic page;
static _Atomic int generation, finished;

static void use_page(struct page *p)
{
	bool last;

	tz_lock_acquire(&p->lock);
	last = --p->users == 0;
	(void)tz_lock_release(&p->lock);
	if (last)
		must(mprotect(p, page_size, PROT_NONE) == 0);
	atomic_fetch_add(&finished, 1);
}

static void page_strand(int index)
{
	int seen = 0;

	while (!stress_over()) {
		if (index > 0) {
			if (atomic_load(&generation) == seen) {
				(void)tz_sleep(0);
				continue;
			}
			seen++;
			use_page(atomic_load(&page));
			continue;
		}
		struct page *p = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		must(p != MAP_FAILED);
		p->users = 3;
		atomic_store(&finished, 0);
		atomic_store(&page, p);
		atomic_fetch_add(&generation, 1);
		use_page(p);
		while (atomic_load(&finished) < 3 && !stress_over())
			(void)tz_sleep(0);
		if (atomic_load(&finished) == 3)
			must(munmap(p, page_size) == 0);
		progress();
	}
}

static void run_pages(void)
{
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	atomic_store(&generation, 0);
	stress_threads(3, page_strand);
}

int main(int argc, char **argv)
{
	const struct stress_case cases[] = {
		{ "locks", run_locks },
		{ "locks on one processor", run_locks_on_one_cpu },
		{ "read-write locks", run_rwlock },
		{ "a buffer with two conditions", run_buffer },
		{ "semaphores", run_semaphore },
		{ "a ring of semaphores", run_ring },
		{ "events set by signal handlers", run_events },
		{ "barriers that break", run_barrier },
		{ "the last user frees", run_pages },
	};

	return stress_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
