/* Named memory: shared memory that is found by a name in /dev/shm. See trenza/shared_memory.h.
 *
 * Design notes
 *
 * The file is trenza-UID-NAME. Its first page is a head; what the program gets begins behind it.
 *
 * Whether anybody has it is said by a lock on the open file (flock), shared, which everybody holds who created or opened it, and which the kernel lets go when the
 * last of its descriptors is closed: by any kind of end, and not before a process to which the memory was handed over has ended, too. So who gets the lock exclusively
 * knows that it was left behind, and takes the name away: when a name is created (all names of the user are looked at), and when it is opened.
 *
 * A name appears at once and whole: the file is made without one, locked, allocated and written, and then linked. So nobody finds one that has no lock because it is not yet
 * finished.
 *
 * Files with names cannot be sealed. Who may open one may cut it, and those who have it are hurt; they are programs of the same user.
 *
 * Python's SharedMemory has no head and no lock: nobody can say whether a name of it was left behind, so it is left alone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/job.h"
#include "os/fork.h"
#include "os/mutex.h"
#include "shared/memory.h"

#define DIRECTORY "/dev/shm"

enum { PAGE = 4096, NAME_LONGEST = 100 };

/* The first page. */
struct head {
	uint64_t magic;
	uint64_t namespace; /* the creator's, of PIDs; 0: not known */
};
#define HEAD_MAGIC UINT64_C(0x747a6e616d656401)

/* What the creator keeps of a name. */
struct name {
	uint64_t device, inode;
	uint32_t process; /* the number of forks before */
	struct name *next;
	char path[sizeof DIRECTORY + NAME_LONGEST + 32];
};

static struct tz_mutex lock TZ_WRITTEN_BY_CHILD; /* guards: */
static struct name *names; /* of this process, to be taken away at its end */

/* --- paths ---------------------------------------------------------------------------------------------------------------- */

static bool is_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return n > 0 && n <= NAME_LONGEST && name[n] == '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int path_of(const char *name, bool python, char *to, size_t size)
{
	if (python && *name == '/')
		name++;
	if (!is_name(name))
		return -EINVAL;
	if (python)
		(void)snprintf(to, size, DIRECTORY "/%s", name);
	else
		(void)snprintf(to, size, DIRECTORY "/trenza-%lu-%s", (unsigned long)geteuid(), name);
	return 0;
}

static uint64_t namespace_now(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

/* --- what was left behind --------------------------------------------------------------------------------------------------- */

/* Takes the name away if nobody has the file. Whether it did, or it has none any more. */
static bool sweep(int fd, const char *path)
{
	struct stat st, there;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	if (fstat(fd, &st) == 0 && st.st_nlink > 0 && lstat(path, &there) == 0 && there.st_ino == st.st_ino && there.st_dev == st.st_dev)
		(void)unlink(path);
	return true;
}

static void sweep_path(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return;
	(void)sweep(fd, path);
	(void)close(fd);
}

static void sweep_all(void)
{
	char prefix[32], path[sizeof DIRECTORY + 256];
	DIR *dir = opendir(DIRECTORY);

	if (!dir)
		return;
	(void)snprintf(prefix, sizeof prefix, "trenza-%lu-", (unsigned long)geteuid());
	for (struct dirent *e; (e = readdir(dir));) {
		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		(void)snprintf(path, sizeof path, DIRECTORY "/%s", e->d_name);
		sweep_path(path);
	}
	(void)closedir(dir);
}

/* Locks a file that was opened by its name; -ENOENT if it was left behind. */
static int join(int fd, const char *path)
{
	struct stat st;

	if (sweep(fd, path))
		return -ENOENT;
	while (flock(fd, LOCK_SH) < 0)
		if (errno != EINTR)
			return -errno;
	/* Who held it exclusively may have taken the name away. */
	return fstat(fd, &st) < 0 ? -errno : st.st_nlink > 0 ? 0 : -ENOENT;
}

/* --- the creator's names ----------------------------------------------------------------------------------------------------- */

/* By the creator alone, and only if it is still the name of that file. */
static void take_away(const struct name *n)
{
	struct stat st;

	if (n->process == atomic_load_explicit(&tz_process_number, memory_order_relaxed) && lstat(n->path, &st) == 0 && st.st_ino == n->inode &&
	    st.st_dev == n->device)
		(void)unlink(n->path);
}

static void on_last(struct tz_segment *s)
{
	struct name *n = s->last, **at = &names;

	tz_mutex_lock(&lock);
	while (*at && *at != n)
		at = &(*at)->next;
	if (*at)
		*at = n->next;
	tz_mutex_unlock(&lock);
	take_away(n);
	free(n);
}

__attribute__((destructor)) static void take_all_away(void)
{
	tz_mutex_lock(&lock);
	for (const struct name *n = names; n; n = n->next)
		take_away(n);
	tz_mutex_unlock(&lock);
}

TZ_KEEP_OVER_FORKS(lock);

static void keep(struct tz_segment *s, struct name *n)
{
	n->device = s->device;
	n->inode = s->inode;
	n->process = s->process;
	s->last = n;
	tz_mutex_lock(&lock);
	n->next = names;
	names = n;
	tz_mutex_unlock(&lock);
	s->on_last = on_last;
}

/* --- creating ------------------------------------------------------------------------------------------------------------------ */

static size_t whole_pages(size_t size)
{
	return size > PTRDIFF_MAX - PAGE ? SIZE_MAX / PAGE * PAGE : (size + PAGE - 1) / PAGE * PAGE;
}

/* A locked file without a name: a descriptor, or a negative errno code. */
static int make_file(size_t size, int mode)
{
	const struct head h = { .magic = HEAD_MAGIC, .namespace = namespace_now() };
	int fd = open(DIRECTORY, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), r;

	if (fd < 0)
		return -errno;
	r = flock(fd, LOCK_SH) < 0 ? -errno : tz_segment_allocate(fd, size);
	if (r == 0 && mode && fchmod(fd, (mode_t)mode) < 0)
		r = -errno;
	if (r == 0 && pwrite(fd, &h, sizeof h, 0) != (ssize_t)sizeof h)
		r = -ENOSPC;
	if (r == 0)
		return fd;
	(void)close(fd);
	return r;
}

static int give_name(int fd, const char *path)
{
	char self[64];

	(void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* Whether somebody has the file of that name: not if another process is about to take it away. */
static bool is_in_use(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), r;

	if (fd < 0)
		return errno != ENOENT;
	r = join(fd, path);
	(void)close(fd);
	return r != -ENOENT;
}

/* Creates it under its name; the name of a dead one is free. */
static int create_file(const char *path, size_t size, int mode)
{
	enum { TRIES = 100 }; /* another user's file stays, whoever has it */
	int fd, r = -EEXIST;

	sweep_all();
	fd = make_file(size, mode);
	if (fd < 0)
		return fd;
	for (int i = 0; r == -EEXIST && i < TRIES; i++) {
		r = give_name(fd, path);
		if (r == -EEXIST && is_in_use(path))
			break;
	}
	if (r < 0)
		(void)close(fd);
	return r < 0 ? r : fd;
}

static int create_python(const char *path, size_t size, int mode)
{
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, mode ? mode : 0600), r;

	if (fd < 0)
		return -errno;
	r = tz_segment_allocate(fd, size);
	if (r == 0)
		return fd;
	(void)close(fd);
	(void)unlink(path);
	return r;
}

int tz_shared_memory_create(void **ret_memory, const char *name, size_t size, const tz_shared_options *options)
{
	bool python = options && options->python;
	struct tz_segment_form form;
	struct name *n = calloc(1, sizeof *n);
	struct tz_segment *s;
	int mode = options ? options->mode : 0, r = n ? tz_shared_form(options, &form) : -ENOMEM, fd = -1;

	if (r == 0)
		r = path_of(name, python, n->path, sizeof n->path);
	size_t head = python ? 0 : PAGE, all = whole_pages((size ? size : 1) > SIZE_MAX - head ? SIZE_MAX : (size ? size : 1) + head);

	if (r == 0)
		r = fd = python ? create_python(n->path, all, mode) : create_file(n->path, all, mode);
	form.trusted = true;
	if (r >= 0)
		r = tz_segment_adopt_shared(fd, form.reserve > all ? whole_pages(form.reserve) + head : all, &form, &s);
	if (r < 0 && fd >= 0)
		(void)unlink(n->path);
	if (r == 0 && !python)
		keep(s, n);
	else
		free(n);
	if (r == 0)
		*ret_memory = s->base + head;
	return r;
}

/* --- opening -------------------------------------------------------------------------------------------------------------------- */

static int check_head(int fd)
{
	struct head h;
	uint64_t own = namespace_now();

	if (pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h || h.magic != HEAD_MAGIC)
		return -EPROTO;
	return h.namespace && own && h.namespace != own ? -EXDEV : 0;
}

static int open_file(const char *path, bool python, struct stat *ret_st)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), r;

	if (fd < 0)
		return errno == ELOOP ? -EPROTO : -errno;
	r = python ? 0 : join(fd, path);
	if (r == 0 && !python)
		r = check_head(fd);
	if (r == 0 && fstat(fd, ret_st) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	(void)close(fd);
	return r;
}

int tz_shared_memory_open(void **ret_memory, const char *name, const tz_shared_options *options)
{
	bool python = options && options->python;
	char path[sizeof DIRECTORY + NAME_LONGEST + 32];
	struct tz_segment_form form;
	struct tz_segment *s;
	struct stat st;
	int r = tz_shared_form(options, &form), fd = -1;

	if (r == 0)
		r = path_of(name, python, path, sizeof path);
	if (r == 0)
		r = fd = open_file(path, python, &st);
	if (r < 0)
		return r;
	/* Python's is as long as it was asked to be. */
	size_t size = python ? whole_pages((size_t)st.st_size) : (size_t)st.st_size / PAGE * PAGE;

	form.trusted = true;
	r = tz_segment_adopt_shared(fd, form.reserve > size ? whole_pages(form.reserve) + PAGE : size, &form, &s);
	if (r == 0)
		*ret_memory = s->base + (python ? 0 : PAGE);
	return r;
}

int tz_shared_memory_unlink(const char *name, const tz_shared_options *options)
{
	char path[sizeof DIRECTORY + NAME_LONGEST + 32];
	int r = path_of(name, options && options->python, path, sizeof path);

	if (r < 0)
		return r;
	return unlink(path) < 0 ? -errno : 0;
}
