/* What the boot library and libtrenza know of each other. The two are of one build. */
#ifndef TZ_PROCESS_HOOK_H
#define TZ_PROCESS_HOOK_H

#define TZ_BOOT_VARIABLE "TRENZA_BOOT" /* in the environment of a program that is to be taken over */
#define TZ_BOOT_HOOK "trenza_boot_hook"

struct tz_boot_hook {
	/* Takes TZ_BOOT_VARIABLE, and the boot library in LD_PRELOAD, out of the environment; the first of the two libraries to be initialised calls it. */
	void (*arrive)(void);
	char *word; /* what the variable said; NULL: the program is not to be taken over */
	/* libtrenza's: what runs instead of main(). */
	int (*main)(int argc, char **argv, char **env);
};

#endif
