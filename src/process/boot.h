/* Executing the program anew, to be taken over before main(). */
#ifndef TZ_PROCESS_BOOT_H
#define TZ_PROCESS_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What a program that was taken over becomes. */
enum tz_boot_what { TZ_BOOT_NURSERY = 'n', TZ_BOOT_SPAWN = 's' };

/* How to execute the program anew. */
struct tz_boot {
	char *program; /* what to give to execve */
	char *word; /* "TRENZA_BOOT=..." */
	char *preload; /* "LD_PRELOAD=...", or NULL: the environment's stays */
	int library; /* the boot library, which that names by this number, and which is to stay open over the exec; or -1 */
};

/* Prepares it: `preload` is what the environment's LD_PRELOAD says, or NULL. fd stays open over the exec, and is what the taken over program begins with. 0; -EPERM: the program is
 * set-user-ID, or is being taken over just now; -ENOEXEC: it, or the boot library, cannot be found; -ENOMEM; -EMFILE. */
int tz_boot_prepare(struct tz_boot *ret, enum tz_boot_what what, int fd, pid_t parent, const char *preload);
void tz_boot_free(struct tz_boot *boot);

/* Puts the two variables in front of a list that has two free places there, and removes what they replace. */
void tz_boot_put(const struct tz_boot *boot, char **env);

/* Whether the program's constructors run before it is taken over: nothing can be started. */
bool tz_boot_is_pending(void);

/* Whether this process was taken over. */
bool tz_boot_was_taken_over(void);

#endif
