/* What the boot library and libtrenza know of each other. The two are of one build. */
#ifndef TZ_PROCESS_HOOK_H
#define TZ_PROCESS_HOOK_H

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TZ_BOOT_VARIABLE "TRENZA_BOOT" /* in the environment of a program that is to be taken over */
#define TZ_BOOT_HOOK "trenza_boot_hook"
/* How LD_PRELOAD names the boot library by a descriptor. Whoever opens that number by dlopen later must not meet this name, since the loader compares names. */
#define TZ_BOOT_BY_NUMBER "/proc/./self/fd/"

/* The word is WHAT:FD:PID:DEVICE:INODE:PATH: an enum tz_boot_what, what the process begins with, the application, the executable's identity, and libtrenza's path, which is
 * empty where that is part of the executable. */
enum { TZ_BOOT_FIELDS = 5 }; /* before the path */

struct tz_boot_hook {
	/* Takes TZ_BOOT_VARIABLE, and the boot library in LD_PRELOAD, out of the environment; the first of the two libraries to be initialised calls it. */
	void (*arrive)(void);
	char *word; /* what the variable said; NULL: the program is not to be taken over */
	/* libtrenza's: what runs instead of main(). */
	int (*main)(int argc, char **argv, char **env);
};

/* Which file the running program is. The text of the link is what valgrind makes true; the link itself also leads to a file that was deleted. 0, 0: there is no /proc. */
static inline void tz_boot_identify(unsigned long long *ret_device, unsigned long long *ret_inode)
{
	static const char own[] = "/proc/self/exe";
	char path[4096];
	struct stat st;
	ssize_t n = readlink(own, path, sizeof path - 1);

	path[n > 0 ? n : 0] = '\0';
	if (stat(path, &st) < 0 && stat(own, &st) < 0)
		st.st_dev = st.st_ino = 0;
	*ret_device = st.st_dev;
	*ret_inode = st.st_ino;
}

/* Whether a word is meant for the running program: not for one that executes it, as valgrind does. */
static inline int tz_boot_is_for_us(const char *word)
{
	unsigned long long device, inode, wanted_device, wanted_inode;

	tz_boot_identify(&device, &inode);
	return sscanf(word, "%*c:%*d:%*d:%llu:%llu:", &wanted_device, &wanted_inode) == 2 && device == wanted_device &&
	       inode == wanted_inode;
}

#endif
