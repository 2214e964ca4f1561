/* Owners. See owner.h. */
#include "shared/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "os/pidfd.h"

_Static_assert(TZ_OWNER_MASK == ((uint32_t)1 << TZ_OWNER_BITS) - 1, "two bits are left");

_Atomic uint32_t tz_owner_word;
static _Atomic bool no_pidfds, no_proc;

/* --- what /proc says ------------------------------------------------------------------------------------------------------ */

struct stat_line {
	long pid;
	char state;
	unsigned long threads;
	unsigned long long start; /* ticks after the machine's */
};

/* The third field and those after it; the second one is a name that may hold anything. */
static bool parse(const char *text, struct stat_line *ret)
{
	const char *p = strrchr(text, ')');

	if (!p || p[1] != ' ' || p[2] == '\0')
		return false;
	*ret = (struct stat_line){ .pid = strtol(text, NULL, 10), .state = p[2] };
	p += 2;
	for (int field = 4; field <= 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return false;
		p++;
		if (field == 20)
			ret->threads = strtoul(p, NULL, 10);
	}
	ret->start = strtoull(p, NULL, 10);
	return true;
}

/* 0 or a negative errno code. */
static int read_stat(const char *path, struct stat_line *ret)
{
	char text[1024];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC), saved;

	if (fd < 0)
		return -errno;
	do
		n = read(fd, text, sizeof text - 1);
	while (n < 0 && errno == EINTR);
	saved = errno;
	(void)close(fd);
	if (n < 0)
		return -saved;
	text[n] = '\0';
	return parse(text, ret) ? 0 : -EINVAL;
}

static int stat_of(uint32_t pid, struct stat_line *ret)
{
	char path[32];

	if (atomic_load_explicit(&no_proc, memory_order_relaxed))
		return -ENOSYS;
	(void)snprintf(path, sizeof path, "/proc/%u/stat", (unsigned)pid);
	return read_stat(path, ret);
}

static uint32_t epoch_of(const struct stat_line *s)
{
	return 1 + (uint32_t)((uint64_t)s->start * 0x9e3779b97f4a7c15u >> 32) % 255;
}

/* --- the calling process ---------------------------------------------------------------------------------------------------- */

uint32_t tz_owner_learn(void)
{
	int saved = errno;
	uint32_t word = (uint32_t)getpid(), known = 0;
	char path[48];
	struct stat_line own;
	int r = -ENOSYS;

	/* "self" is told apart from the own number in a /proc of another pid namespace, whose numbers say nothing here. Of the first thread: that was started when
	 * the process was, and an emulator makes up "/proc/self/stat", which others then read otherwise. */
	(void)snprintf(path, sizeof path, "/proc/self/task/%u/stat", (unsigned)word);
	if (!atomic_load_explicit(&no_proc, memory_order_relaxed))
		r = read_stat(path, &own);
	if (r == 0)
		word |= epoch_of(&own) << TZ_OWNER_PID_BITS;
	else if (r == -ENOENT)
		atomic_store_explicit(&no_proc, true, memory_order_relaxed);
	errno = saved;
	/* Another thread may have learnt another word, if one of them could open no file. */
	return atomic_compare_exchange_strong_explicit(&tz_owner_word, &known, word,
						       memory_order_relaxed, memory_order_relaxed)
		       ? word
		       : known;
}

static void forget(void)
{
	/* Written only if it has to be: the page is copied for it. */
	if (atomic_load_explicit(&tz_owner_word, memory_order_relaxed))
		atomic_store_explicit(&tz_owner_word, 0, memory_order_relaxed);
}

__attribute__((constructor)) static void watch_forks(void)
{
	(void)pthread_atfork(NULL, NULL, forget);
}

/* --- another process ------------------------------------------------------------------------------------------------------- */

/* Whether there is no process of that number with a thread that runs; false also if it cannot be told. */
static bool has_ended(pid_t pid)
{
	int fd = atomic_load_explicit(&no_pidfds, memory_order_relaxed) ? -ENOSYS
									: tz_pidfd_open(pid);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool ended;

	/* The latter two, by the age of the kernel: it is the number of a thread of some other process now. */
	if (fd == -ESRCH || fd == -EINVAL || fd == -ENOENT)
		return true;
	if (fd < 0)
		return kill(pid, 0) < 0 && errno == ESRCH;
	ended = poll(&p, 1, 0) == 1 && p.revents & POLLIN;
	(void)close(fd);
	return ended;
}

/* Whether it is another process, or one that nobody has reaped yet. */
static bool is_other_or_zombie(uint32_t word, const struct stat_line *s)
{
	uint32_t epoch = (word & TZ_OWNER_MASK) >> TZ_OWNER_PID_BITS;

	return (epoch && epoch != epoch_of(s)) ||
	       ((s->state == 'Z' || s->state == 'X') && s->threads <= 1);
}

bool tz_owner_is_alive(uint32_t word)
{
	uint32_t pid = word & (((uint32_t)1 << TZ_OWNER_PID_BITS) - 1);
	int saved = errno;
	struct stat_line s;
	bool alive;

	if ((word & TZ_OWNER_MASK) == tz_owner_self())
		return true;
	alive = pid != 0 && !has_ended((pid_t)pid);
	if (alive && stat_of(pid, &s) == 0 && is_other_or_zombie(word, &s))
		alive = false;
	errno = saved;
	return alive;
}

void tz_owner_without(bool pidfds, bool proc)
{
	atomic_store(&no_pidfds, pidfds);
	atomic_store(&no_proc, proc);
	forget();
}
