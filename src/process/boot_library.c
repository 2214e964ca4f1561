/* The boot library: takes a program over after its constructors have run, before main(). It is preloaded, for one exec each, into the nursery and into processes
 * that are spawned, and into nothing else.
 *
 * Design notes. It defines __libc_start_main, finds the C library's with RTLD_NEXT, and hands it another main(). So everything that comes before main() has
 * been done, in its order. libtrenza tells by its constructor what is to run instead; a program that only loads libtrenza later, with dlopen, gets it loaded here. Where
 * that fails, the program ends with 127: its own main() must not run a second time.
 *
 * A program that is executed on the way to the one that is meant, as valgrind is, does not find itself in the word, and runs as ever. There is no symbol version on what is defined here, so it stands in for any.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/hook.h"

typedef int main_function(int argc, char **argv, char **env);
typedef int start_function(main_function *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

__attribute__((visibility("default"))) start_function __libc_start_main;

static void arrive(void);
__attribute__((visibility("default"))) struct tz_boot_hook trenza_boot_hook = { .arrive = arrive };

/* LD_PRELOAD is what it was: this library is its last element, which may have been named by a descriptor. */
static void restore_preload(void)
{
	char *list = getenv("LD_PRELOAD"), *last = list ? strrchr(list, ':') : NULL, *own = last ? last + 1 : list;
	int fd;

	if (own && sscanf(own, TZ_BOOT_BY_NUMBER "%d", &fd) == 1)
		(void)close(fd);
	if (!last)
		(void)unsetenv("LD_PRELOAD");
	else
		*last = '\0';
}

static void arrive(void)
{
	const char *word = secure_getenv(TZ_BOOT_VARIABLE);

	if (!word || trenza_boot_hook.word || !tz_boot_is_for_us(word))
		return;
	trenza_boot_hook.word = strdup(word);
	if (!trenza_boot_hook.word)
		_exit(127);
	(void)unsetenv(TZ_BOOT_VARIABLE);
	restore_preload();
}

__attribute__((constructor)) static void on_load(void)
{
	arrive();
}

static const char *library(void)
{
	const char *at = trenza_boot_hook.word;

	for (int i = 0; i < TZ_BOOT_FIELDS && at; i++) {
		at = strchr(at, ':');
		at = at ? at + 1 : NULL;
	}
	return at ? at : "";
}

static int take_over(int argc, char **argv, char **env)
{
	if (!trenza_boot_hook.main)
		(void)dlopen(library(), RTLD_NOW);
	if (!trenza_boot_hook.main)
		_exit(127);
	return trenza_boot_hook.main(argc, argv, env);
}

int __libc_start_main(main_function *main, int argc, char **argv, void (*init)(void), void (*fini)(void), void (*loader_fini)(void),
		      void *stack_end)
{
	void *real = dlsym(RTLD_NEXT, "__libc_start_main");
	start_function *start;

	if (!real)
		_exit(127);
	memcpy(&start, &real, sizeof start);
	return start(trenza_boot_hook.word ? take_over : main, argc, argv, init, fini, loader_fini, stack_end);
}
