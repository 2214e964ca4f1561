/* Names of tasks: from a descriptor to its name, and back. And of functions, which have such names too.
 *
 * Design notes. The dynamic loader knows which modules are loaded, where, and of which segments (dl_iterate_phdr, in static programs too). All looks at a
 * module happen under its lock, so that the module cannot be unloaded meanwhile.
 *
 * That an address is that of a descriptor is proved from what a stranger cannot have written. It must lie in memory of the module that is not writable
 * (a segment without PF_W, or what the loader protects after relocation), hold the magic word, and point at its entry: an address within the module's
 * section tz_tasks, whose bounds are in memory of the same sort, that holds a pointer back to it. The entries themselves are in writable memory of some modules.
 * A module that was linked without such protection is believed as it is.
 *
 * Before a module is loaded for a name, its file is looked at: loading runs the constructors of the file, so it must be the one that was meant.
 */
#include "wire/name.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/mutex.h"

enum { NOTES_MAX = 1 << 16, HEADERS_MAX = 256 };

/* What a module is known by. */
struct id {
	uint32_t kind;
	uint16_t size;
	unsigned char bytes[TZ_TASK_ID_MAX];
};

static bool same_id(const struct id *a, const struct id *b)
{
	return a->kind == b->kind && a->size == b->size && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* --- the file of a module ---------------------------------------------------------------------------------------------- */

static void id_of_stat(const struct stat *st, struct id *ret)
{
	uint64_t words[4] = { st->st_dev, st->st_ino, (uint64_t)st->st_size,
			      (uint64_t)st->st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)st->st_mtim.tv_nsec };

	_Static_assert(sizeof words == TZ_TASK_ID_MAX, "an identity fits");
	*ret = (struct id){ .kind = TZ_TASK_ID_FILE, .size = sizeof words };
	memcpy(ret->bytes, words, sizeof words);
}

static bool id_of_file(const char *path, struct id *ret)
{
	struct stat st;

	if (stat(*path ? path : "/proc/self/exe", &st) < 0)
		return false;
	id_of_stat(&st, ret);
	return true;
}

/* The build-id among notes, if there is one. */
static bool id_of_notes(const unsigned char *notes, size_t size, size_t align, struct id *ret)
{
	ElfW(Nhdr) n;

	align = align == 8 ? 8 : 4;
	while (size >= sizeof n) {
		memcpy(&n, notes, sizeof n);
		size_t desc = (sizeof n + (size_t)n.n_namesz + align - 1) / align * align;
		size_t next = (desc + n.n_descsz + align - 1) / align * align;

		if (desc > size || n.n_descsz > size - desc)
			return false;
		if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && memcmp(notes + sizeof n, "GNU", 4) == 0 && n.n_descsz) {
			*ret = (struct id){ .kind = TZ_TASK_ID_BUILD };
			ret->size = (uint16_t)(n.n_descsz < TZ_TASK_ID_MAX ? n.n_descsz : TZ_TASK_ID_MAX);
			memcpy(ret->bytes, notes + desc, ret->size);
			return true;
		}
		if (next >= size)
			return false;
		notes += next;
		size -= next;
	}
	return false;
}

/* Reads the identity of the kind that is asked for from a file that is not loaded. */
static int id_of_unloaded(const char *path, uint32_t kind, struct id *ret)
{
	int r = -ESTALE, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	unsigned char *notes = NULL;
	ElfW(Phdr) headers[HEADERS_MAX];
	ElfW(Ehdr) e;
	struct stat st;

	if (fd < 0)
		return errno == ENOMEM ? -ENOMEM : -ENOENT;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		goto done;
	if (kind == TZ_TASK_ID_FILE) {
		id_of_stat(&st, ret);
		r = 0;
		goto done;
	}
	if (pread(fd, &e, sizeof e, 0) != sizeof e || memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 ||
	    e.e_phentsize != sizeof *headers || e.e_phnum > HEADERS_MAX)
		goto done;
	size_t size = e.e_phnum * sizeof *headers;

	if (pread(fd, headers, size, (off_t)e.e_phoff) != (ssize_t)size)
		goto done;
	for (int i = 0; i < e.e_phnum && r < 0; i++) {
		if (headers[i].p_type != PT_NOTE || headers[i].p_filesz > NOTES_MAX)
			continue;
		size = headers[i].p_filesz;
		free(notes);
		notes = malloc(size ? size : 1);
		if (!notes)
			r = -ENOMEM;
		else if (pread(fd, notes, size, (off_t)headers[i].p_offset) == (ssize_t)size &&
			 id_of_notes(notes, size, headers[i].p_align, ret))
			r = 0;
		if (r == -ENOMEM)
			break;
	}
done:
	free(notes);
	(void)close(fd);
	return r;
}

/* --- a loaded module ---------------------------------------------------------------------------------------------------- */

struct module {
	const struct dl_phdr_info *info;
	bool program; /* not a shared library */
};

/* Whether [p, p + size) is in a segment of the module; `constant`: and nobody can have changed it since it was loaded. */
static bool lies_in(const struct module *m, const void *p, size_t size, bool constant)
{
	uintptr_t at = (uintptr_t)p - m->info->dlpi_addr;
	bool loaded = false, writable = false, protected = false, can_protect = false;

	for (int i = 0; i < m->info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &m->info->dlpi_phdr[i];
		bool in = at >= h->p_vaddr && size <= h->p_memsz && at - h->p_vaddr <= h->p_memsz - size;

		if (h->p_type == PT_LOAD && in && (h->p_flags & PF_R)) {
			loaded = true;
			writable = (h->p_flags & PF_W) != 0;
		} else if (h->p_type == PT_GNU_RELRO) {
			can_protect = true;
			protected |= in;
		}
	}
	return loaded && (!constant || !writable || protected || !can_protect);
}

/* Copies memory whatever a sanitizer knows of it: the address is anybody's. */
__attribute__((no_sanitize("address"))) static void peek(void *to, const void *from, size_t size)
{
	const volatile unsigned char *in = from;
	unsigned char *out = to;

	for (size_t i = 0; i < size; i++)
		out[i] = in[i];
}

static bool is_aligned(const void *p)
{
	return (uintptr_t)p % _Alignof(void *) == 0;
}

/* Whether TZ_TASK made what is there. */
static bool is_descriptor(const struct module *m, const void *p)
{
	tz_task task;
	tz_module here;
	const tz_task *back;

	if (!is_aligned(p) || !lies_in(m, p, sizeof task, true))
		return false;
	peek(&task, p, sizeof task);
	if (task.tz__magic != TZ__MAGIC || !is_aligned(task.tz__module) || !is_aligned(task.tz__entry) || !is_aligned(task.tz__slot) ||
	    !lies_in(m, task.tz__module, sizeof here, true) || !lies_in(m, task.tz__entry, sizeof back, false) ||
	    !lies_in(m, task.tz__slot, sizeof(void *), false))
		return false;
	peek(&here, task.tz__module, sizeof here);
	if ((uintptr_t)task.tz__entry < (uintptr_t)here.tasks || (uintptr_t)task.tz__entry >= (uintptr_t)here.tasks_end)
		return false;
	peek(&back, task.tz__entry, sizeof back);
	return back == p;
}

/* Whether there is code. That is all that can be said of a function. */
static bool is_code(const struct module *m, const void *p)
{
	uintptr_t at = (uintptr_t)p - m->info->dlpi_addr;

	for (int i = 0; i < m->info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &m->info->dlpi_phdr[i];

		if (h->p_type == PT_LOAD && (h->p_flags & PF_X) && at >= h->p_vaddr && at - h->p_vaddr < h->p_memsz)
			return true;
	}
	return false;
}

/* The build-id of a loaded module. */
static bool id_of_loaded(const struct module *m, struct id *ret)
{
	for (int i = 0; i < m->info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &m->info->dlpi_phdr[i];
		const unsigned char *notes = (const unsigned char *)m->info->dlpi_addr + h->p_vaddr; /* NOLINT */

		if (h->p_type == PT_NOTE && lies_in(m, notes, h->p_memsz, false) && id_of_notes(notes, h->p_memsz, h->p_align, ret))
			return true;
	}
	return false;
}

/* The program itself is the first of all modules, and has no name. */
struct walk {
	int (*look)(const struct module *m, void *arg);
	void *arg;
	bool begun;
};

static int visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct walk *w = arg;
	struct module m = { info, !w->begun };

	(void)size;
	w->begun = true;
	return w->look(&m, w->arg);
}

/* Calls look for the modules until it returns another thing than 0, and returns that. */
static int for_modules(int (*look)(const struct module *m, void *arg), void *arg)
{
	struct walk w = { look, arg, false };

	return dl_iterate_phdr(visit, &w);
}

/* --- from a descriptor to its name ------------------------------------------------------------------------------------------ */

struct naming {
	const void *thing;
	bool (*is)(const struct module *m, const void *thing); /* one of those that have names: is_descriptor or is_code */
	struct tz_task_name *name;
	uintptr_t base;
	bool has_id;
	bool relative; /* the loader knows the module by a path that depends on the working directory then */
	int error;
};

static void put_id(struct tz_task_name *name, const struct id *id)
{
	name->kind = id->kind;
	name->id_size = id->size;
	memcpy(name->id, id->bytes, sizeof name->id);
}

static int put_path(struct tz_task_name *name, const char *path)
{
	size_t size = strlen(path) + 1;

	if (size > sizeof name->path)
		return -ENAMETOOLONG;
	memcpy(name->path, path, size);
	name->path_size = (uint16_t)size;
	return 0;
}

static int name_it(const struct module *m, void *arg)
{
	struct naming *n = arg;
	struct id id;

	if (!lies_in(m, n->thing, 1, false))
		return 0;
	if (!n->is(m, n->thing)) {
		n->error = -ENOEXEC;
		return 1;
	}
	n->base = m->info->dlpi_addr;
	n->name->offset = (uintptr_t)n->thing - n->base;
	n->has_id = id_of_loaded(m, &id);
	if (n->has_id)
		put_id(n->name, &id);
	n->relative = !m->program && m->info->dlpi_name[0] != '/';
	n->error = n->relative ? 0 : put_path(n->name, m->program ? "" : m->info->dlpi_name);
	return 1;
}

/* The path of what is mapped at an address. */
static int put_mapped_path(struct tz_task_name *name, const void *address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t length;
	int r = -ENOENT;

	if (!maps)
		return -errno;
	while (r == -ENOENT && (length = getline(&line, &room, maps)) > 0) {
		char *end, *path = strchr(line, '/');
		uintptr_t low = strtoull(line, &end, 16), high = *end == '-' ? strtoull(end + 1, NULL, 16) : 0;

		if (!path || (uintptr_t)address < low || (uintptr_t)address >= high)
			continue;
		if (line[length - 1] == '\n')
			line[length - 1] = 0;
		r = put_path(name, path);
	}
	free(line);
	(void)fclose(maps);
	return r;
}

static int name_of(const void *thing, bool (*is)(const struct module *m, const void *thing), struct tz_task_name *ret)
{
	struct tz_task_name *name = calloc(1, sizeof *name);
	struct naming n = { .thing = thing, .is = is, .name = name, .error = -ENOEXEC };
	struct id id;

	if (!name)
		return -ENOMEM;
	(void)for_modules(name_it, &n);
	int r = n.error;

	if (r == 0 && n.relative)
		r = put_mapped_path(name, thing);
	if (r == 0 && !n.has_id) {
		if (id_of_file(name->path, &id))
			put_id(name, &id);
		else
			r = -errno;
	}
	if (r == 0)
		*ret = *name;
	free(name);
	return r;
}

int tz_task_name_of(const tz_task *task, struct tz_task_name *ret)
{
	return name_of(task, is_descriptor, ret);
}

int tz_function_name_of(void (*function)(void), struct tz_task_name *ret)
{
	return name_of((const void *)(uintptr_t)function, is_code, ret); /* NOLINT */
}

/* --- from a name to its descriptor ------------------------------------------------------------------------------------------- */

/* What was resolved before. */
struct known {
	struct known *next;
	const tz_task *task;
	size_t size;
	unsigned char bytes[];
};

enum { BUCKETS = 64 };

static struct {
	struct tz_mutex lock;
	struct known *buckets[BUCKETS];
} cache;

TZ_KEEP_OVER_FORKS(cache.lock);

static struct known **bucket_of(const unsigned char *bytes, size_t size)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return &cache.buckets[(hash ^ hash >> 16) % BUCKETS];
}

static const tz_task *recall(const void *bytes, size_t size)
{
	const tz_task *task = NULL;

	tz_mutex_lock_unless_alone(&cache.lock);
	for (const struct known *k = *bucket_of(bytes, size); k && !task; k = k->next)
		if (k->size == size && memcmp(k->bytes, bytes, size) == 0)
			task = k->task;
	tz_mutex_unlock_if_locked(&cache.lock);
	return task;
}

/* Without memory it is looked for again next time. */
static void remember(const void *bytes, size_t size, const tz_task *task)
{
	struct known **bucket = bucket_of(bytes, size), *k = malloc(sizeof *k + size);

	if (!k)
		return;
	k->task = task;
	k->size = size;
	memcpy(k->bytes, bytes, size);
	tz_mutex_lock(&cache.lock);
	k->next = *bucket;
	*bucket = k;
	tz_mutex_unlock(&cache.lock);
}

/* A name, read. */
struct wanted {
	struct id id;
	uint64_t offset;
	const char *path;
	bool (*is)(const struct module *m, const void *thing); /* what is to be there */
	/* what was found */
	bool found, exact; /* the module; under that path, too */
	const void *thing;
	char *loaded_as; /* what the loader calls it, to keep it loaded; NULL: the program itself */
	bool no_memory;
	bool only_loaded; /* nothing is to be loaded for it */
};

static bool read_name(const void *bytes, size_t size, bool (*is)(const struct module *m, const void *thing), struct wanted *ret)
{
	struct tz_task_name head;
	size_t fixed = offsetof(struct tz_task_name, path);

	if (size <= fixed || size > sizeof head)
		return false;
	memcpy(&head, bytes, fixed);
	const char *path = (const char *)bytes + fixed;

	if (head.path_size != size - fixed || memchr(path, 0, head.path_size) != path + head.path_size - 1 ||
	    (*path && *path != '/') || head.id_size == 0 || head.id_size > TZ_TASK_ID_MAX ||
	    (head.kind != TZ_TASK_ID_BUILD && head.kind != TZ_TASK_ID_FILE))
		return false;
	for (size_t i = head.id_size; i < TZ_TASK_ID_MAX; i++)
		if (head.id[i])
			return false;
	*ret = (struct wanted){ .id = { head.kind, head.id_size, { 0 } }, .offset = head.offset, .path = path, .is = is };
	memcpy(ret->id.bytes, head.id, sizeof head.id);
	return true;
}

/* A module's identity, of the kind that is wanted. */
static bool is_module(const struct module *m, const struct id *wanted)
{
	struct id id;
	bool has = id_of_loaded(m, &id);

	if (wanted->kind == TZ_TASK_ID_FILE)
		has = !has && id_of_file(m->program ? "" : m->info->dlpi_name, &id);
	return has && same_id(&id, wanted);
}

static int find_it(const struct module *m, void *arg)
{
	struct wanted *w = arg;
	bool exact = strcmp(w->path, m->program ? "" : m->info->dlpi_name) == 0;

	/* A library may be loaded twice, from two files: the one of that path, else the first. */
	if ((w->found && !exact) || !is_module(m, &w->id))
		return 0;
	const void *thing = (const void *)(m->info->dlpi_addr + (uintptr_t)w->offset); /* NOLINT */

	w->found = true;
	w->exact = exact;
	w->thing = w->is(m, thing) ? thing : NULL;
	free(w->loaded_as);
	w->loaded_as = m->program ? NULL : strdup(m->info->dlpi_name);
	w->no_memory = !m->program && !w->loaded_as;
	return exact;
}

static void find(struct wanted *w)
{
	w->found = w->exact = false;
	w->thing = NULL;
	(void)for_modules(find_it, w);
}

/* dlopen(3), where the program is not static; NULL where it is: the linker warns of each program that has the name dlopen in it. */
static void *open_module(const char *path, int mode)
{
	void *found = dlsym(RTLD_DEFAULT, "dlopen");
	void *(*open_it)(const char *path, int mode);

	if (!found)
		return NULL;
	memcpy(&open_it, &found, sizeof open_it);
	return open_it(path, mode);
}

/* Makes that the module stays loaded, even if its owner closes it: then it was found where it still is. */
static bool keep_loaded(const struct wanted *w)
{
	return !w->loaded_as || open_module(w->loaded_as, RTLD_LAZY | RTLD_NOLOAD);
}

static int load(const struct wanted *w)
{
	struct id id;

	if (!*w->path)
		return -ENOENT;
	int r = id_of_unloaded(w->path, w->id.kind, &id);

	if (r < 0)
		return r;
	if (!same_id(&id, &w->id))
		return -ESTALE;
	return open_module(w->path, RTLD_LAZY | RTLD_LOCAL) ? 0 : -ENOENT;
}

static int resolve(struct wanted *w)
{
	find(w);
	if (!w->found) {
		int r = w->only_loaded ? -ENOENT : load(w);

		if (r < 0)
			return r;
		find(w);
	} else if (w->thing && keep_loaded(w)) {
		find(w); /* it may have gone, and another come, before it was kept */
	}
	if (w->no_memory)
		return -ENOMEM;
	if (!w->found)
		return -ENOENT;
	return w->thing ? 0 : -ENOEXEC;
}

static int resolve_and_free(struct wanted *w)
{
	int r = resolve(w);

	free(w->loaded_as);
	return r;
}

int tz_function_resolve(const struct tz_task_name *name, void (**ret)(void))
{
	struct wanted w;
	int r = read_name(name, tz_task_name_size(name), is_code, &w) ? resolve_and_free(&w) : -EBADMSG;

	if (r == 0)
		*ret = (void (*)(void))(uintptr_t)w.thing;
	return r;
}

/* The rare way, kept out of the common one. */
__attribute__((noinline)) static int resolve_task(const void *bytes, size_t size, bool only_loaded, const tz_task **ret)
{
	struct wanted w;

	if (!read_name(bytes, size, is_descriptor, &w))
		return -EBADMSG;
	w.only_loaded = only_loaded;
	int r = resolve_and_free(&w);

	if (r < 0)
		return r;
	remember(bytes, size, w.thing);
	*ret = w.thing;
	return 0;
}

/* What is known was read before. */
static int find_task(const void *bytes, size_t size, bool only_loaded, const tz_task **ret)
{
	const tz_task *task = recall(bytes, size);

	if (!task)
		return resolve_task(bytes, size, only_loaded, ret);
	*ret = task;
	return 0;
}

int tz_task_resolve(const void *bytes, size_t size, const tz_task **ret)
{
	return find_task(bytes, size, false, ret);
}

int tz_task_resolve_loaded(const void *bytes, size_t size, const tz_task **ret)
{
	return find_task(bytes, size, true, ret);
}
