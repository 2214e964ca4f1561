/* Segments. See segment.h. */
#include "arena/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/job.h"
#include "os/memfd.h"
#include "os/memory.h"
#include "os/mutex.h"

enum { PAGE = 4096, HUGE = 2 << 20, MUCH = 16 << 20, SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static struct {
	struct tz_mutex lock; /* guards all of it */
	struct tz_segment **sorted; /* by address: owned and in use, and all shared memory */
	size_t count, room;
	struct tz_segment *newest; /* of the cache */
	size_t cached_bytes, cached_count;
	uint32_t process; /* that the cache is of */
} all;

static _Atomic uint32_t ids;

static uint32_t process_now(void)
{
	return atomic_load_explicit(&tz_process_number, memory_order_relaxed);
}

TZ_KEEP_OVER_FORKS(all.lock);

/* --- files ------------------------------------------------------------------------------------------------------------- */

/* The limit on the size of files counts here, too, and to touch it raises a signal. */
static bool is_beyond_limit(size_t size)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && size > limit.rlim_cur;
}

int tz_segment_allocate(int fd, size_t size)
{
	int r;

	if (size > PTRDIFF_MAX || is_beyond_limit(size))
		return -ENOSPC;
	/* The kernel takes page after page until there is none, and then somebody is killed. */
	if (size >= MUCH && size > tz_memory_available(""))
		return -ENOSPC;
	do
		r = fallocate(fd, 0, 0, (off_t)size) < 0 ? errno : 0;
	while (r == EINTR);
	return r == EFBIG ? -ENOSPC : -r;
}

/* Whether a file of this process could not be sealed: there are no memfds. Then those of other processes need not be either. */
enum { UNKNOWN, SEALED, UNSEALED };
static _Atomic int sealing;

static void note_sealing(bool sealed)
{
	int unknown = UNKNOWN;

	if (!sealed)
		atomic_store_explicit(&sealing, UNSEALED, memory_order_relaxed);
	else
		(void)atomic_compare_exchange_strong_explicit(&sealing, &unknown, SEALED, memory_order_relaxed, memory_order_relaxed);
}

static int make_file(const char *name, size_t size, int seals)
{
	int fd = tz_memfd(name), r = fd < 0 ? fd : tz_segment_allocate(fd, size);

	if (r < 0) {
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	note_sealing(fcntl(fd, F_ADD_SEALS, seals) == 0); /* what is no memfd has no name instead */
	return fd;
}

int tz_segment_file(const char *name, size_t size)
{
	return make_file(name, size, SEALS);
}

static bool is_sealing_possible(void)
{
	if (atomic_load_explicit(&sealing, memory_order_relaxed) == UNKNOWN) {
		int fd = tz_segment_file("trenza-probe", PAGE);

		if (fd >= 0)
			(void)close(fd);
	}
	return atomic_load_explicit(&sealing, memory_order_relaxed) != UNSEALED;
}

/* Nobody can make it smaller: it is sealed; or, where there are no seals, nobody else can open it. */
static bool cannot_shrink(int fd, const struct stat *st)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals >= 0 && (seals & F_SEAL_SHRINK))
		return true;
	return st->st_nlink == 0 && !is_sealing_possible();
}

/* Whether it is a file of at least `size` bytes. */
static bool has_bytes(int fd, size_t size, struct stat *ret_st)
{
	return fstat(fd, ret_st) == 0 && S_ISREG(ret_st->st_mode) && size > 0 && size <= PTRDIFF_MAX && ret_st->st_size >= (off_t)size;
}

static int map(int fd, size_t size, int protection, int flags, void **ret)
{
	struct stat st;
	void *p;

	if (!has_bytes(fd, size, &st) || !cannot_shrink(fd, &st))
		return -EPROTO;
	p = mmap(NULL, size, protection, MAP_SHARED | flags, fd, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	*ret = p;
	return 0;
}

int tz_segment_map(int fd, size_t size, bool writable, void **ret)
{
	return map(fd, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_POPULATE, ret);
}

int tz_segment_map_loosely(int fd, size_t size, void **ret)
{
	return map(fd, size, PROT_READ | PROT_WRITE, 0, ret);
}

/* --- the registry ------------------------------------------------------------------------------------------------------ */

/* The index of the first segment whose base is above p. */
static size_t upper(const void *p)
{
	size_t lo = 0, hi = all.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if ((uintptr_t)all.sorted[mid]->base > (uintptr_t)p)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static int enter(struct tz_segment *s)
{
	size_t at;

	if (all.count == all.room) {
		size_t room = all.room ? all.room * 2 : 16;
		struct tz_segment **more = realloc(all.sorted, room * sizeof *more);

		if (!more)
			return -ENOMEM;
		all.sorted = more;
		all.room = room;
	}
	at = upper(s->base);
	memmove(&all.sorted[at + 1], &all.sorted[at], (all.count - at) * sizeof *all.sorted);
	all.sorted[at] = s;
	all.count++;
	return 0;
}

static void take_out(struct tz_segment *s)
{
	size_t at = upper(s->base);

	if (at == 0 || all.sorted[at - 1] != s)
		return;
	all.count--;
	memmove(&all.sorted[at - 1], &all.sorted[at], (all.count - (at - 1)) * sizeof *all.sorted);
}

struct tz_segment *tz_segment_find(const void *p, size_t size)
{
	struct tz_segment *s = NULL;
	size_t at;

	tz_mutex_lock(&all.lock);
	at = upper(p);
	if (at > 0) {
		struct tz_segment *below = all.sorted[at - 1];
		size_t offset = (uintptr_t)p - (uintptr_t)below->base;

		if (offset < below->size && size <= below->size - offset && below->kind != TZ_SEGMENT_SHARED &&
		    below->process == process_now())
			s = tz_segment_ref(below);
	}
	tz_mutex_unlock(&all.lock);
	return s;
}

struct tz_segment *tz_segment_at(const void *p)
{
	struct tz_segment *s = NULL;
	size_t at;

	tz_mutex_lock(&all.lock);
	at = upper(p);
	if (at > 0 && all.sorted[at - 1]->base == p && all.sorted[at - 1]->kind != TZ_SEGMENT_SHARED)
		s = all.sorted[at - 1];
	tz_mutex_unlock(&all.lock);
	return s;
}

void tz_segment_own(struct tz_segment *s)
{
	tz_mutex_lock(&all.lock);
	if (!atomic_load_explicit(&s->owned, memory_order_relaxed) && enter(s) == 0)
		atomic_store_explicit(&s->owned, true, memory_order_relaxed);
	tz_mutex_unlock(&all.lock);
}

void tz_segment_disown(struct tz_segment *s)
{
	if (s->kind == TZ_SEGMENT_SHARED)
		return;
	tz_mutex_lock(&all.lock);
	if (atomic_exchange_explicit(&s->owned, false, memory_order_relaxed))
		take_out(s);
	tz_mutex_unlock(&all.lock);
}

/* --- the life of one ---------------------------------------------------------------------------------------------------- */

/* Whole pages up to 1 MiB a power of two of them, above in steps of an eighth: at most that much is wasted, and sizes come again. */
static size_t rounded(size_t size)
{
	size_t step = PAGE;

	if (size <= 1 << 20)
		while (step < size)
			step *= 2;
	else
		while (step <= size / 16)
			step *= 2;
	return size > PTRDIFF_MAX ? size : (size + step - 1) / step * step;
}

/* Takes a segment out of the cache that has at least `size` bytes and not much more. */
static struct tz_segment *take_cached(enum tz_segment_kind kind, size_t size)
{
	struct tz_segment **at, *s;

	for (at = &all.newest; (s = *at); at = &s->older)
		if (s->kind == kind && s->size >= size && s->size / 2 <= size)
			break;
	if (!s || enter(s) < 0)
		return NULL;
	*at = s->older;
	all.cached_bytes -= s->size;
	all.cached_count--;
	return s;
}

/* By the lock. In the child of a fork: its cache is empty, whatever the parent's held; the segments in it stay mapped. */
static void notice_fork(void)
{
	uint32_t process = process_now();

	if (all.process == process)
		return;
	all.process = process;
	all.newest = NULL;
	all.cached_bytes = all.cached_count = 0;
}

static void destroy(struct tz_segment *s)
{
	/* What other processes have mapped would be kept by them. */
	if (atomic_load_explicit(&s->owned, memory_order_relaxed) && s->kind != TZ_SEGMENT_SHARED && s->process == process_now())
		(void)madvise(s->base, s->size, MADV_REMOVE);
	if (s->base)
		(void)munmap(s->base, s->size);
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s);
}

/* With nothing mapped. NULL without memory. */
static struct tz_segment *new_segment(enum tz_segment_kind kind, int fd)
{
	struct tz_segment *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->fd = fd;
	s->kind = kind;
	s->process = process_now();
	s->id = atomic_fetch_add_explicit(&ids, 1, memory_order_relaxed) + 1;
	atomic_init(&s->references, 1);
	return s;
}

static int make(enum tz_segment_kind kind, int fd, size_t size, bool writable, struct tz_segment **ret)
{
	struct tz_segment *s = new_segment(kind, fd);
	void *base = NULL;
	int r = s ? 0 : -ENOMEM;

	if (r == 0 && kind != TZ_SEGMENT_FD)
		r = tz_segment_map(fd, size, writable, &base);
	if (r < 0) {
		free(s);
		(void)close(fd);
		return r;
	}
	s->base = base;
	s->size = size;
	*ret = s;
	return 0;
}

int tz_segment_adopt(enum tz_segment_kind kind, int fd, size_t size, bool writable, struct tz_segment **ret)
{
	if (kind == TZ_SEGMENT_SHARED)
		return tz_segment_adopt_shared(fd, size, NULL, ret);
	return make(kind, fd, size, writable, ret);
}

static int make_new(enum tz_segment_kind kind, size_t size, struct tz_segment **ret)
{
	int fd = tz_segment_file("trenza-segment", size);

	return fd < 0 ? fd : make(kind, fd, size, true, ret);
}

int tz_segment_take(enum tz_segment_kind kind, size_t size, struct tz_segment **ret)
{
	struct tz_segment *s;
	int r = 0;

	size = rounded(size ? size : 1);
	tz_mutex_lock(&all.lock);
	notice_fork();
	s = take_cached(kind, size);
	tz_mutex_unlock(&all.lock);
	if (s) {
		atomic_store_explicit(&s->references, 1, memory_order_relaxed);
		*ret = s;
		return 0;
	}
	r = make_new(kind, size, &s);
	if (r < 0)
		return r;
	tz_segment_own(s);
	if (!atomic_load_explicit(&s->owned, memory_order_relaxed)) {
		destroy(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

struct tz_segment *tz_segment_ref(struct tz_segment *s)
{
	atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
	return s;
}

/* By the lock: the oldest of a cache that is too full, or NULL. */
static struct tz_segment *take_surplus(void)
{
	struct tz_segment **at = &all.newest, *s;

	if (all.cached_bytes <= TZ_SEGMENT_CACHE_BYTES && all.cached_count <= TZ_SEGMENT_CACHE_COUNT)
		return NULL;
	while ((*at)->older)
		at = &(*at)->older;
	s = *at;
	*at = NULL;
	all.cached_bytes -= s->size;
	all.cached_count--;
	return s;
}

/* Whether it went into the cache. */
static bool put_cached(struct tz_segment *s)
{
	if (s->fd < 0 || s->process != process_now() || s->size > TZ_SEGMENT_CACHE_BYTES)
		return false;
	s->older = all.newest;
	all.newest = s;
	all.cached_bytes += s->size;
	all.cached_count++;
	return true;
}

static void destroy_surplus(void)
{
	struct tz_segment *s;

	do {
		tz_mutex_lock(&all.lock);
		s = take_surplus();
		tz_mutex_unlock(&all.lock);
		if (s)
			destroy(s);
	} while (s);
}

/* It may be about to come again, and to be found by its file: so the count does not become 0 outside of the lock. */
static void unref_shared(struct tz_segment *s)
{
	bool last;

	tz_mutex_lock(&all.lock);
	last = atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) == 1;
	if (last)
		take_out(s);
	tz_mutex_unlock(&all.lock);
	if (last && s->on_last)
		s->on_last(s);
	if (last)
		destroy(s);
}

void tz_segment_unref(struct tz_segment *s)
{
	bool cached = false;

	if (s && s->kind == TZ_SEGMENT_SHARED) {
		unref_shared(s);
		return;
	}
	if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) > 1)
		return;
	tz_mutex_lock(&all.lock);
	notice_fork();
	if (atomic_load_explicit(&s->owned, memory_order_relaxed)) {
		take_out(s);
		cached = put_cached(s);
	}
	tz_mutex_unlock(&all.lock);
	if (cached)
		destroy_surplus();
	else
		destroy(s);
}

void tz_segment_trim(void)
{
	struct tz_segment *s, *next;

	tz_mutex_lock(&all.lock);
	notice_fork();
	s = all.newest;
	all.newest = NULL;
	all.cached_bytes = all.cached_count = 0;
	tz_mutex_unlock(&all.lock);
	for (; s; s = next) {
		next = s->older;
		destroy(s);
	}
}

/* --- shared memory ------------------------------------------------------------------------------------------------------ */

/* Maps a file at an address of that alignment. `size` may go beyond its end. */
static int map_aligned(int fd, size_t size, size_t align, void **ret)
{
	size_t more = align > PAGE ? align : 0;
	unsigned char *room, *at;

	if (more == 0) {
		room = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
		*ret = room;
		return room == MAP_FAILED ? -ENOMEM : 0;
	}
	if (size > PTRDIFF_MAX - more)
		return -ENOMEM;
	room = mmap(NULL, size + more, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return -ENOMEM;
	at = room + ((more - (uintptr_t)room % more) % more);
	if (at > room)
		(void)munmap(room, (size_t)(at - room));
	if (at < room + more)
		(void)munmap(at + size, (size_t)(room + more - at));
	if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
		(void)munmap(at, size);
		return -ENOMEM;
	}
	*ret = at;
	return 0;
}

/* By the lock: the one of that file, or NULL. */
static struct tz_segment *find_file(const struct stat *st)
{
	for (size_t i = 0; i < all.count; i++) {
		struct tz_segment *s = all.sorted[i];

		if (s->kind == TZ_SEGMENT_SHARED && s->inode == st->st_ino && s->device == st->st_dev)
			return s;
	}
	return NULL;
}

static struct tz_segment *known(const struct stat *st)
{
	struct tz_segment *s;

	tz_mutex_lock(&all.lock);
	s = find_file(st);
	if (s)
		(void)tz_segment_ref(s);
	tz_mutex_unlock(&all.lock);
	return s;
}

/* Enters it, unless another thread has been faster: then it is destroyed, and that thread's is the answer. */
static int enter_shared(struct tz_segment *s, const struct stat *st, struct tz_segment **ret)
{
	struct tz_segment *first;
	int r = 0;

	tz_mutex_lock(&all.lock);
	first = find_file(st);
	if (first)
		(void)tz_segment_ref(first);
	else
		r = enter(s);
	if (!first && r == 0)
		atomic_store_explicit(&s->owned, true, memory_order_relaxed);
	tz_mutex_unlock(&all.lock);
	if (first || r < 0)
		destroy(s);
	if (r == 0)
		*ret = first ? first : s;
	return r;
}

static int map_shared(int fd, size_t size, const struct tz_segment_form *form, const struct stat *st, struct tz_segment **ret)
{
	struct tz_segment *s = new_segment(TZ_SEGMENT_SHARED, fd);
	void *base;
	int r = s ? map_aligned(fd, size, form ? form->align : 0, &base) : -ENOMEM;

	if (r < 0) {
		free(s);
		(void)close(fd);
		return r;
	}
	s->base = base;
	s->size = size;
	s->device = st->st_dev;
	s->inode = st->st_ino;
	atomic_init(&s->backed, (size_t)st->st_size < size ? (size_t)st->st_size : size);
	if (form && form->huge)
		(void)madvise(base, size, MADV_HUGEPAGE);
	return enter_shared(s, st, ret);
}

int tz_segment_adopt_shared(int fd, size_t size, const struct tz_segment_form *form, struct tz_segment **ret)
{
	struct tz_segment *s;
	bool trusted = form && form->trusted;
	struct stat st;

	if (size == 0 || size % PAGE || size > PTRDIFF_MAX || !has_bytes(fd, trusted ? 1 : PAGE, &st)) {
		(void)close(fd);
		return -EPROTO;
	}
	s = known(&st);
	if (!s && !trusted && !cannot_shrink(fd, &st)) {
		(void)close(fd);
		return -EPROTO;
	}
	if (!s)
		return map_shared(fd, size, form, &st, ret);
	(void)close(fd);
	*ret = s;
	return 0;
}

static size_t up(size_t size, size_t to)
{
	return size > PTRDIFF_MAX - to ? SIZE_MAX / to * to : (size + to - 1) / to * to;
}

int tz_segment_share(size_t size, const struct tz_segment_form *form, struct tz_segment **ret)
{
	struct tz_segment_form f = form ? *form : (struct tz_segment_form){ 0 };
	size_t unit = f.huge ? HUGE : PAGE, reserve;
	bool grows = f.reserve > size;
	struct stat st;
	int fd;

	if (f.align < unit)
		f.align = unit;
	size = up(size ? size : 1, unit);
	reserve = up(f.reserve, unit);
	fd = make_file("trenza-shared", size, grows ? SEALS & ~F_SEAL_GROW : SEALS);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0) {
		(void)close(fd);
		return -ENOMEM;
	}
	return map_shared(fd, grows && reserve > size ? reserve : size, &f, &st, ret);
}

struct tz_segment *tz_segment_find_shared(const void *p)
{
	struct tz_segment *s = NULL;
	size_t at;

	tz_mutex_lock(&all.lock);
	at = upper(p);
	if (at > 0 && all.sorted[at - 1]->kind == TZ_SEGMENT_SHARED && (uintptr_t)p - (uintptr_t)all.sorted[at - 1]->base < all.sorted[at - 1]->size)
		s = tz_segment_ref(all.sorted[at - 1]);
	tz_mutex_unlock(&all.lock);
	return s;
}

size_t tz_segment_backed(struct tz_segment *s)
{
	size_t backed = atomic_load_explicit(&s->backed, memory_order_relaxed);
	struct stat st;

	if (backed == s->size || fstat(s->fd, &st) < 0)
		return backed;
	backed = (size_t)st.st_size < s->size ? (size_t)st.st_size : s->size;
	atomic_store_explicit(&s->backed, backed, memory_order_relaxed);
	return backed;
}

/* What is there already may be asked for again: then nothing changes. The file becomes longer when all of its pages are there. */
int tz_segment_grow(struct tz_segment *s, size_t size)
{
	size_t there = tz_segment_backed(s), whole;
	int r;

	if (size > s->size)
		return -ENOMEM;
	whole = up(size, PAGE);
	if (whole <= there)
		return 0;
	if (is_beyond_limit(whole) || (whole - there >= MUCH && whole - there > tz_memory_available("")))
		return -ENOSPC;
	do
		r = fallocate(s->fd, 0, (off_t)there, (off_t)(whole - there)) < 0 ? errno : 0;
	while (r == EINTR);
	return r == EFBIG ? -ENOSPC : -r;
}

/* --- descriptors --------------------------------------------------------------------------------------------------------- */

int tz_segment_of_fd(int fd, struct tz_segment **ret)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : make(TZ_SEGMENT_FD, copy, 0, false, ret);
}
