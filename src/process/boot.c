/* Executing the program anew, and taking it over. See boot.h.
 *
 * Design notes
 *
 * Where this code is in a shared library, the boot library is preloaded, calls tz_boot_main instead of main(), and is told of it by the constructor below. Where it
 * is in the executable itself (which may be static), that constructor takes over by itself: it calls the constructors that would have come after it, and then
 * does not return. The word in the environment says which of the two was meant, since a program may hold this library twice.
 *
 * A program that was to be taken over and was not would run its main() once more, which would start processes again, without end. So where the word is there, but not the
 * boot library, the constructor ends the process.
 */
#include "process/boot.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fds.h"
#include "process/hook.h"
#include "process/nursery.h"

static const char boot_library[] = "libtrenza-boot.so";

static bool pending, taken_over;
static enum tz_boot_what what_to_be;
static int given_fd;
static pid_t given_parent;

bool tz_boot_is_pending(void)
{
	return pending;
}

bool tz_boot_was_taken_over(void)
{
	return taken_over;
}

/* --- where things are -------------------------------------------------------------------------------------------------- */

/* The executable is the first that is listed. */
static int look_at_first(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t here = (uintptr_t)look_at_first;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && here - (info->dlpi_addr + p->p_vaddr) < p->p_memsz)
			*(bool *)arg = true;
	}
	return 1;
}

static bool in_executable(void)
{
	bool yes = false;

	(void)dl_iterate_phdr(look_at_first, &yes);
	return yes;
}

/* The path that this code was loaded from. */
static const char *own_path(void)
{
	Dl_info info;

	return dladdr((void *)(uintptr_t)own_path, &info) && info.dli_fname ? info.dli_fname : "";
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat one, other;

	return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

/* What the link /proc/self/exe says, if that is the program still; else the link itself, by which a file is executed that was deleted or replaced. Under
 * valgrind the text is the program's, but the link, executed, is valgrind. */
static char *find_program(void)
{
	static const char own[] = "/proc/self/exe", gone[] = " (deleted)";
	char path[4096];
	ssize_t n = readlink(own, path, sizeof path - 1);

	if (n <= 0) /* there is no /proc: as it was called */
		return getauxval(AT_EXECFN) ? strdup((const char *)getauxval(AT_EXECFN)) : NULL;
	path[n] = '\0';
	if ((size_t)n >= sizeof gone && strcmp(path + n - (sizeof gone - 1), gone) == 0 && !is_same_file(path, own))
		return strdup(own);
	return strdup(access(path, F_OK) == 0 ? path : own);
}

/* The runtime of a sanitizer wants to be the first that is loaded. */
static bool is_sanitizer(const char *path)
{
	static const char *const names[] = { "libasan.", "libtsan.", "liblsan.", "libhwasan.", "libclang_rt.asan", "libclang_rt.tsan" };
	const char *base = strrchr(path, '/');

	for (size_t i = 0; base && i < sizeof names / sizeof *names; i++)
		if (strncmp(base + 1, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static int find_sanitizer(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	if (!info->dlpi_name || !is_sanitizer(info->dlpi_name))
		return 0;
	*(const char **)arg = info->dlpi_name;
	return 1;
}

/* A list of libraries ends a path at spaces and colons, with musl at all that is space, and something else is put in where a path says $ORIGIN, $LIB or $PLATFORM. */
static bool can_be_listed(const char *path)
{
	return !strpbrk(path, ": ;$\t\n\v\f\r");
}

/* Opens what cannot be named, to be named by its number. */
static int name_by_number(char **path, int *ret_fd)
{
	int fd = open(*path, O_RDONLY | O_CLOEXEC);
	char *name = NULL;

	fd = fd < 0 ? -errno : tz_fds_above_standard(fd);
	if (fd < 0)
		return fd == -EMFILE || fd == -ENFILE ? fd : -ENOEXEC;
	if (asprintf(&name, TZ_BOOT_BY_NUMBER "%d", fd) < 0) {
		(void)close(fd);
		return -ENOMEM;
	}
	free(*path);
	*path = name;
	*ret_fd = fd;
	return 0;
}

static int prepare_preload(struct tz_boot *b, const char *own, const char *before)
{
	const char *slash = strrchr(own, '/'), *sanitizer = NULL;
	char *boot = NULL;
	int e = 0;

	if (asprintf(&boot, "%.*s%s", slash ? (int)(slash - own + 1) : 0, own, boot_library) < 0)
		return -ENOMEM;
	(void)dl_iterate_phdr(find_sanitizer, &sanitizer);
	if (sanitizer && before && strstr(before, sanitizer))
		sanitizer = NULL;
	if (!can_be_listed(boot))
		e = name_by_number(&boot, &b->library);
	if (e == 0 && access(boot, R_OK) < 0)
		e = -ENOEXEC;
	if (e == 0 && asprintf(&b->preload, "LD_PRELOAD=%s%s%s%s%s", sanitizer ? sanitizer : "", sanitizer ? ":" : "", before ? before : "",
			       before ? ":" : "", boot) < 0) {
		b->preload = NULL;
		e = -ENOMEM;
	}
	free(boot);
	return e;
}

/* --- preparing --------------------------------------------------------------------------------------------------------- */

int tz_boot_prepare(struct tz_boot *ret, enum tz_boot_what what, int fd, pid_t parent, const char *preload)
{
	bool alone = in_executable();
	const char *path = alone ? "" : own_path();
	struct tz_boot b = { .library = -1 };
	unsigned long long device, inode;
	int e = 0;

	if (pending || getauxval(AT_SECURE))
		return -EPERM;
	if (preload && !*preload)
		preload = NULL;
	b.program = find_program();
	if (!b.program)
		e = -ENOEXEC;
	tz_boot_identify(&device, &inode);
	if (e == 0 && asprintf(&b.word, TZ_BOOT_VARIABLE "=%c:%d:%d:%llu:%llu:%s", (int)what, fd, (int)parent, device, inode, path) < 0) {
		b.word = NULL;
		e = -ENOMEM;
	}
	if (e == 0 && !alone)
		e = prepare_preload(&b, path, preload);
	if (e < 0)
		tz_boot_free(&b);
	else
		*ret = b;
	return e;
}

void tz_boot_free(struct tz_boot *b)
{
	free(b->program);
	free(b->word);
	free(b->preload);
	if (b->library >= 0)
		(void)close(b->library);
}

static bool is_variable(const char *entry, const char *name)
{
	size_t n = strlen(name);

	return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

void tz_boot_put(const struct tz_boot *b, char **env)
{
	char **to = env, **from = env + 2;

	*to++ = b->word;
	if (b->preload)
		*to++ = b->preload;
	for (; *from; from++)
		if (!is_variable(*from, TZ_BOOT_VARIABLE) && !(b->preload && is_variable(*from, "LD_PRELOAD")))
			*to++ = *from;
	*to = NULL;
}

/* --- taking over -------------------------------------------------------------------------------------------------------- */

static int boot_main(int argc, char **argv, char **env)
{
	(void)argc;
	(void)argv;
	(void)env;
	pending = false;
	taken_over = true;
	return what_to_be == TZ_BOOT_NURSERY ? tz_nursery_main(given_fd, given_parent) : tz_nursery_spawned_main(given_fd);
}

/* Reads the word: whether it is for this copy of the library. */
static bool understand(const char *word, bool alone)
{
	int what = word[0], fd, parent, n = 0;

	if ((what != TZ_BOOT_NURSERY && what != TZ_BOOT_SPAWN) || sscanf(word + 1, ":%d:%d:%*u:%*u:%n", &fd, &parent, &n) != 2 || n == 0)
		return false;
	if (!tz_boot_is_for_us(word) || alone != (word[1 + n] == '\0') || fcntl(fd, F_GETFD) < 0)
		return false;
	what_to_be = (enum tz_boot_what)what;
	given_fd = fd;
	given_parent = parent;
	(void)tz_fds_set_cloexec(fd, 1);
	return true;
}

typedef void constructor_function(int argc, char **argv, char **env);
extern constructor_function *__init_array_start[] __attribute__((weak, visibility("hidden")));
extern constructor_function *__init_array_end[] __attribute__((weak, visibility("hidden")));

static constructor_function on_load;

static void run_later_constructors(int argc, char **argv, char **env)
{
	constructor_function **at = __init_array_start, **end = __init_array_end;

	while (at != end && *at != on_load)
		at++;
	while (at != end && ++at != end)
		(*at)(argc, argv, env);
}

#ifdef __GLIBC__
/* As declared by <pthread.h> for files that know no exceptions. */
extern void __pthread_register_cancel(__pthread_unwind_buf_t *end);
extern int set_jump(struct __cancel_jmp_buf_tag *to, int mask) __asm__("__sigsetjmp") __attribute__((returns_twice));
#endif

/* In the place of main(), before glibc has prepared the thread for it: without a place to go when all frames have been left, pthread_exit crashes at the first one. */
static _Noreturn void run_in_place_of_main(int argc, char **argv, char **env)
{
#ifdef __GLIBC__
	__pthread_unwind_buf_t end;

	if (set_jump(end.__cancel_jmp_buf, 0))
		exit(1); /* allowed: in the place of main; a child of ours sees to its end on the way, so this was no function of one */
	__pthread_register_cancel(&end);
#endif
	exit(boot_main(argc, argv, env)); /* allowed: in the place of main, which has returned */
}

static void load_in_executable(const char *word, int argc, char **argv, char **env)
{
	if (!understand(word, true))
		return;
	(void)unsetenv(TZ_BOOT_VARIABLE);
	pending = true;
	run_later_constructors(argc, argv, env);
	run_in_place_of_main(argc, argv, env);
}

static void load_in_library(const char *word)
{
	struct tz_boot_hook *hook = dlsym(RTLD_DEFAULT, TZ_BOOT_HOOK);

	if (hook)
		hook->arrive();
	if (hook && hook->word && !hook->main && understand(hook->word, false)) {
		pending = true;
		hook->main = boot_main;
		return;
	}
	if (word && !hook && understand(word, false))
		_exit(127); /* main() must not run */
}

/* Without a priority, so after all constructors of the library that have one. */
__attribute__((constructor)) static void on_load(int argc, char **argv, char **env)
{
	const char *word = secure_getenv(TZ_BOOT_VARIABLE);

	if (!in_executable())
		load_in_library(word);
	else if (word)
		load_in_executable(word, argc, argv, env);
}
