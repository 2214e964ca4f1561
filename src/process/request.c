/* The request. See request.h. */
#include "process/request.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arena/segment.h"
#include "core/spin.h"
#include "os/clock.h"
#include "os/fds.h"
#include "os/memfd.h"

extern char **environ;

struct limit {
	int32_t resource, asked;
	struct rlimit limit;
};

static const char own_directory[] = "/proc/self/cwd";

enum { LIMITS_MAX = RLIM_NLIMITS + 32, CPUS_MAX = 1024 /* bytes */ };

/* --- making ------------------------------------------------------------------------------------------------------- */

uint64_t tz_request_ignored(void)
{
	uint64_t ignored = 0;

	for (int n = 1; n <= 64; n++) {
		struct sigaction a;

		if (n != SIGCHLD && sigaction(n, NULL, &a) == 0 && !(a.sa_flags & SA_SIGINFO) && a.sa_handler == SIG_IGN)
			ignored |= 1ULL << (n - 1);
	}
	return ignored;
}

static int take_limits(struct limit *to, const struct tz_child_start *start)
{
	int n = 0;

	for (int r = 0; r < RLIM_NLIMITS; r++)
		if (getrlimit((__rlimit_resource_t)r, &to[n].limit) == 0)
			to[n++].resource = r;
	for (int i = 0; i < start->nlimits; i++) {
		int at = 0;

		while (at < n && to[at].resource != start->limits[i].resource)
			at++;
		if (at == n)
			return -EINVAL;
		to[at] = (struct limit){ start->limits[i].resource, 1, start->limits[i].limit };
	}
	return n;
}

static int take_cpus(unsigned char *to, const struct tz_child_start *start)
{
	long n;

	if (start->ncpus == 0) {
		n = syscall(SYS_sched_getaffinity, 0, CPUS_MAX, to);
		return n < 0 ? 0 : (int)n;
	}
	memset(to, 0, CPUS_MAX);
	for (int i = 0; i < start->ncpus; i++) {
		if (start->cpus[i] < 0 || start->cpus[i] >= CPUS_MAX * 8)
			return -EINVAL;
		CPU_SET_S((size_t)start->cpus[i], CPUS_MAX, (cpu_set_t *)(void *)to);
	}
	return CPUS_MAX;
}

/* What of a block is not simply copied from the start. */
struct parts {
	_Alignas(16) unsigned char cpus[CPUS_MAX];
	struct limit limits[LIMITS_MAX];
	int nlimits, cpus_size;
	char *const *env;
	size_t nenv, env_size;
};

static int measure(struct parts *p, const struct tz_child_start *start)
{
	static char *const none[] = { NULL };

	memset(p->limits, 0, sizeof p->limits);
	p->cpus_size = take_cpus(p->cpus, start);
	p->nlimits = take_limits(p->limits, start);
	p->env = start->env ? start->env : environ ? environ : none;
	p->nenv = p->env_size = 0;
	for (; p->env[p->nenv]; p->nenv++)
		p->env_size += strlen(p->env[p->nenv]) + 1;
	return p->cpus_size < 0 ? p->cpus_size : p->nlimits < 0 ? p->nlimits : 0;
}

/* Reserves room in a block: the offset of it. */
static uint64_t reserve(uint64_t *size, uint64_t need, uint64_t align)
{
	uint64_t at = (*size + align - 1) / align * align;

	*size = at + need;
	return at;
}

static void put_env(struct tz_request *r, const struct parts *p)
{
	char *to = (char *)r + r->env, *end = to + p->env_size;

	/* Another thread may be changing it: then some of it is missing, but nothing is overrun. */
	for (r->nenv = 0; r->nenv < p->nenv && p->env[r->nenv]; r->nenv++) {
		size_t n = strlen(p->env[r->nenv]) + 1;

		if (n > (size_t)(end - to))
			break;
		memcpy(to, p->env[r->nenv], n);
		to += n;
	}
}

static struct tz_request *build(const struct tz_child_start *start, const struct parts *p)
{
	const char *name = start->name ? start->name : "";
	struct tz_request head = { .magic = REQUEST_MAGIC }, *r;
	uint64_t size = sizeof head;

	head.name = reserve(&size, strlen(name) + 1, 1);
	head.keep = reserve(&size, (uint64_t)start->nkeep * sizeof(int), 8);
	head.limits = reserve(&size, (uint64_t)p->nlimits * sizeof(struct limit), 8);
	head.cpus = reserve(&size, (uint64_t)p->cpus_size, 8);
	head.env = reserve(&size, p->env_size, 1);
	head.blob = reserve(&size, start->size, 16);
	head.blob_size = start->size;
	head.size = size;
	r = calloc(1, size);
	if (!r)
		return NULL;
	*r = head;
	memcpy((char *)r + r->name, name, strlen(name) + 1);
	memcpy((char *)r + r->limits, p->limits, (size_t)p->nlimits * sizeof(struct limit));
	memcpy((char *)r + r->cpus, p->cpus, (size_t)p->cpus_size);
	if (start->nkeep)
		memcpy((char *)r + r->keep, start->keep, (size_t)start->nkeep * sizeof(int));
	if (start->size)
		memcpy((char *)r + r->blob, start->blob, start->size);
	put_env(r, p);
	r->nlimits = (uint32_t)p->nlimits;
	r->cpus_size = (uint32_t)p->cpus_size;
	r->nkeep = (uint32_t)start->nkeep;
	r->nfds = (uint32_t)start->nfds;
	return r;
}

static int put_in_file(struct tz_request_message *m)
{
	const char *from = (const char *)m->block;
	size_t left = m->block->size;
	int e;

	m->file = tz_fds_above_standard(tz_memfd("trenza-request"));
	if (m->file < 0)
		return m->file;
	m->block->flags |= REQUEST_IN_FILE;
	e = tz_segment_allocate(m->file, left); /* to write beyond a limit raises a signal */
	if (e < 0)
		return e;
	while (left > 0) {
		ssize_t n = write(m->file, from, left);

		if (n <= 0)
			return n < 0 && errno != EINTR ? -errno : -ENOSPC;
		from += n;
		left -= (size_t)n;
	}
	m->fds[m->nfds++] = m->file;
	return 0;
}

/* The own directory, also for who may not enter it once more: by /proc it is there all the same. */
static int open_directory(const char *path)
{
	enum { HOW = O_PATH | O_DIRECTORY | O_CLOEXEC };
	int fd = open(path ? path : ".", HOW);

	return fd < 0 && errno == EACCES && !path ? open(own_directory, HOW) : fd;
}

static int add_cwd(struct tz_request_message *m, const char *path)
{
	int fd = open_directory(path), e = -errno;

	m->cwd = fd < 0 ? e : tz_fds_above_standard(fd);
	if (m->cwd < 0)
		return m->cwd;
	m->block->flags |= REQUEST_CWD;
	m->fds[m->nfds++] = m->cwd;
	return 0;
}

/* A standard descriptor: an explicit one must be open; one that would be inherited need not. */
static int add_standard(struct tz_request_message *m, int wanted, int own, uint32_t flag)
{
	int fd = wanted > 0 ? wanted - 1 : own;

	if (wanted == TZ_CHILD_NULL)
		return 0;
	if (fcntl(fd, F_GETFD) < 0)
		return wanted > 0 ? -EBADF : 0;
	m->block->flags |= flag;
	m->fds[m->nfds++] = fd;
	return 0;
}

static int add_fds(struct tz_request_message *m, const int *fds, int n)
{
	for (int i = 0; i < n; i++) {
		if (fcntl(fds[i], F_GETFD) < 0)
			return -EBADF;
		m->fds[m->nfds++] = fds[i];
	}
	return 0;
}

static int add_descriptors(struct tz_request_message *m, const struct tz_child_start *start)
{
	int e = m->block->size > REQUEST_INLINE ? put_in_file(m) : 0;

	e = e < 0 ? e : add_cwd(m, start->cwd);
	e = e < 0 ? e : add_standard(m, start->in, 0, REQUEST_IN);
	e = e < 0 ? e : add_standard(m, start->out, 1, REQUEST_OUT);
	e = e < 0 ? e : add_standard(m, start->err, 2, REQUEST_ERR);
	e = e < 0 ? e : add_fds(m, start->fds, start->nfds);
	return e < 0 ? e : add_fds(m, start->keep, start->nkeep);
}

static int check(const struct tz_child_start *s)
{
	if (s->nfds < 0 || s->nkeep < 0 || s->nlimits < 0 || s->ncpus < 0 || s->nfds + s->nkeep > TZ_CHILD_FDS_MAX || s->nlimits > 32)
		return -EINVAL;
	if ((unsigned)s->entry >= TZ_CHILD_ENTRIES || (unsigned)s->method > TZ_CHILD_FORK || (s->size && !s->blob))
		return -EINVAL;
	for (int i = 0; i < s->nkeep; i++) {
		if (s->keep[i] < 3)
			return -EINVAL;
		for (int k = 0; k < i; k++)
			if (s->keep[k] == s->keep[i])
				return -EINVAL;
	}
	return 0;
}

/* The C library keeps two signals for itself. */
static uint64_t may_be_ignored(uint64_t signals)
{
	return signals & ~(1ULL << (SIGCHLD - 1) | 3ULL << (32 - 1));
}

static void fill_head(struct tz_request *r, const struct tz_child_start *start, uint64_t id, const struct tz_manners *manners)
{
	int umask = manners ? manners->umask : -1;

	r->id = id;
	r->method = (uint32_t)start->method;
	r->entry = (uint32_t)start->entry;
	r->parent = getpid();
	r->group = getpgrp();
	r->ticks_per_us = tz_clock_known_ticks_per_us();
	r->quota = (uint32_t)tz_spin_known_quota();
	r->umask = start->umask > 0 ? start->umask - 1 : umask;
	if (start->method != TZ_CHILD_FORK) /* which has them */
		r->ignored = manners && manners->known ? may_be_ignored(manners->ignored) : tz_request_ignored();
	r->flags = (start->daemon ? (uint32_t)REQUEST_DAEMON : 0) | (start->may_start ? (uint32_t)REQUEST_MAY_START : 0) |
		   (start->own_group ? (uint32_t)REQUEST_OWN_GROUP : 0);
}

int tz_request_make(struct tz_request_message *ret, const struct tz_child_start *start, uint64_t id, const struct tz_manners *manners)
{
	struct parts parts;
	struct tz_request_message m = { .file = -1, .cwd = -1 };
	int e = check(start);

	e = e < 0 ? e : measure(&parts, start);
	if (e < 0)
		return e;
	m.block = build(start, &parts);
	if (!m.block)
		return -ENOMEM;
	fill_head(m.block, start, id, manners);
	e = add_descriptors(&m, start);
	if (e < 0) {
		tz_request_free(&m);
		return e;
	}
	if (m.file >= 0) /* the flags may have changed since it was written */
		(void)pwrite(m.file, m.block, sizeof *m.block, 0);
	*ret = m;
	return 0;
}

void tz_request_free(struct tz_request_message *m)
{
	if (m->file >= 0)
		(void)close(m->file);
	if (m->cwd >= 0)
		(void)close(m->cwd);
	free(m->block);
	m->block = NULL;
}

int tz_request_send(const struct tz_request_message *m, int socket)
{
	size_t size = m->file >= 0 ? sizeof *m->block : m->block->size;
	ssize_t n = tz_fds_send(socket, m->block, size, m->fds, m->nfds, 0);

	return n < 0 ? (int)n : 0;
}

/* --- becoming what it says, in the child ----------------------------------------------------------------------------- */

static bool lies_in(const struct tz_request *r, uint64_t at, uint64_t size)
{
	return at <= r->size && size <= r->size - at;
}

bool tz_request_is_whole(const struct tz_request *r, size_t size)
{
	return size >= sizeof *r && r->magic == REQUEST_MAGIC && r->size == size && r->entry < TZ_CHILD_ENTRIES &&
	       lies_in(r, r->keep, r->nkeep * sizeof(int)) && lies_in(r, r->limits, r->nlimits * sizeof(struct limit)) &&
	       lies_in(r, r->cpus, r->cpus_size) && lies_in(r, r->env, 0) && lies_in(r, r->blob, r->blob_size) && lies_in(r, r->name, 1);
}

static void *at(struct tz_request *r, uint64_t offset)
{
	return (char *)r + offset;
}

/* Handlers that the program's constructors have set stay. */
static void set_ignored(uint64_t wanted, uint64_t now)
{
	uint64_t differ = now ^ wanted;

	for (int n = 1; differ && n <= 64; n++) {
		struct sigaction a;

		if (!(differ >> (n - 1) & 1) || sigaction(n, NULL, &a) < 0 || a.sa_flags & SA_SIGINFO)
			continue;
		if (a.sa_handler == SIG_DFL && wanted >> (n - 1) & 1)
			a.sa_handler = SIG_IGN;
		else if (a.sa_handler == SIG_IGN && !(wanted >> (n - 1) & 1))
			a.sa_handler = SIG_DFL;
		else
			continue;
		(void)sigaction(n, &a, NULL);
	}
}

int tz_request_limit(struct tz_request *r)
{
	const struct limit *limits = at(r, r->limits);

	for (uint32_t i = 0; i < r->nlimits; i++) {
		__rlimit_resource_t resource = (__rlimit_resource_t)limits[i].resource;
		struct rlimit now;

		if (getrlimit(resource, &now) == 0 && now.rlim_cur == limits[i].limit.rlim_cur &&
		    now.rlim_max == limits[i].limit.rlim_max)
			continue;
		if (setrlimit(resource, &limits[i].limit) < 0 && limits[i].asked)
			return -errno;
	}
	return 0;
}

static int set_cpus(struct tz_request *r)
{
	unsigned char now[CPUS_MAX];
	long n = syscall(SYS_sched_getaffinity, 0, sizeof now, now);

	if (r->cpus_size == 0 || (n == (long)r->cpus_size && memcmp(now, at(r, r->cpus), (size_t)n) == 0))
		return 0;
	return syscall(SYS_sched_setaffinity, 0, r->cpus_size, at(r, r->cpus)) < 0 ? -errno : 0;
}

static bool is_own_directory(int fd)
{
	struct stat it, own;

	return fstat(fd, &it) == 0 && stat(own_directory, &own) == 0 && it.st_dev == own.st_dev && it.st_ino == own.st_ino;
}

/* Where it is already, it need not be allowed to go. */
static int set_directory(int fd)
{
	int e = fchdir(fd) < 0 ? -errno : 0;

	return e == -EACCES && is_own_directory(fd) ? 0 : e;
}

static void set_group(const struct tz_request *r)
{
	if (r->flags & REQUEST_OWN_GROUP)
		(void)setpgid(0, 0);
	else if (getpgrp() != r->group)
		(void)setpgid(0, r->group); /* may have gone meanwhile */
}

/* Numbers to be kept may be higher than any that the nursery could have when it was started. */
static void make_room_for_numbers(struct tz_request *r)
{
	const int *keep = at(r, r->keep);
	struct rlimit now;
	rlim_t need = 0;

	for (uint32_t i = 0; i < r->nkeep; i++)
		need = (rlim_t)keep[i] >= need ? (rlim_t)keep[i] + 1 : need;
	if (need == 0 || getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur >= need)
		return;
	now.rlim_cur = need;
	now.rlim_max = now.rlim_max < need ? need : now.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &now); /* if that is not allowed, what is placed there says so */
}

/* The standard descriptors and those to be kept, under their numbers. fds begins with the first of them. */
static int place(struct tz_request *r, int *fds, int nfds, int *socket)
{
	int from[REQUEST_FDS], to[REQUEST_FDS], n = 0, next = 0, nothers = 0, *others[TZ_CHILD_FDS_MAX + 1];
	const int *keep = at(r, r->keep);

	make_room_for_numbers(r);
	for (int i = 0; i < 3; i++) {
		if (r->flags & (uint32_t)REQUEST_IN << i) {
			from[n] = fds[next++];
		} else {
			from[n] = tz_fds_null();
			if (from[n] < 0)
				return from[n];
		}
		to[n++] = i;
	}
	others[nothers++] = socket;
	for (uint32_t i = 0; i < r->nfds; i++)
		others[nothers++] = &fds[next++];
	for (uint32_t i = 0; i < r->nkeep; i++) {
		from[n] = fds[next++];
		to[n++] = keep[i];
	}
	return next == nfds ? tz_fds_place(from, to, n, others, nothers) : -EPROTO;
}

void tz_request_birth(struct tz_request *r, const int *fds, struct tz_birth *ret)
{
	if (r->ticks_per_us)
		tz_clock_set_ticks_per_us(r->ticks_per_us);
	if (r->quota)
		tz_spin_set_quota((enum tz_spin_quota)r->quota);
	*ret = (struct tz_birth){
		.blob = at(r, r->blob),
		.size = r->blob_size,
		.fds = fds,
		.nfds = (int)r->nfds,
		.parent = r->parent,
		.name = at(r, r->name),
		.method = (enum tz_child_method)r->method,
		.daemon = r->flags & REQUEST_DAEMON,
		.may_start = r->flags & REQUEST_MAY_START,
	};
}

int tz_request_apply(struct tz_request *r, int *fds, int nfds, int *socket, uint64_t ignored, struct tz_birth *ret_birth)
{
	int standard = !!(r->flags & REQUEST_IN) + !!(r->flags & REQUEST_OUT) + !!(r->flags & REQUEST_ERR), e = 0;

	set_ignored(r->ignored, ignored);
	set_group(r);
	if (r->flags & REQUEST_CWD) {
		e = nfds < 1 ? -EPROTO : set_directory(fds[0]);
		if (e < 0)
			return e;
		(void)close(*fds++);
		nfds--;
	}
	e = place(r, fds, nfds, socket);
	if (e == 0)
		e = set_cpus(r);
	if (e < 0)
		return e;
	if (r->umask >= 0)
		(void)umask((mode_t)r->umask);
	if (*(char *)at(r, r->name))
		(void)prctl(PR_SET_NAME, at(r, r->name));
	tz_request_birth(r, fds + standard, ret_birth);
	return 0;
}

bool tz_request_environment_is(const struct tz_request *r, char *const *env)
{
	const char *text = (const char *)r + r->env;

	for (uint32_t i = 0; i < r->nenv; i++) {
		if (!env || !env[i] || strcmp(env[i], text) != 0)
			return false;
		text += strlen(text) + 1;
	}
	return env && !env[r->nenv];
}

char **tz_request_environment(struct tz_request *r, size_t more)
{
	char **list = calloc(r->nenv + more + 1, sizeof *list), *text = at(r, r->env);

	if (!list)
		return NULL;
	for (uint32_t i = 0; i < r->nenv; i++) {
		list[more + i] = text;
		text += strlen(text) + 1;
	}
	return list;
}
