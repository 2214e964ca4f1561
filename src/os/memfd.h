/* Files without a name. */
#ifndef TZ_OS_MEMFD_H
#define TZ_OS_MEMFD_H

/* An empty file that lies in memory and has no name, close-on-exec, that can be sealed if the kernel can do that; where there are no memfds (a filter
 * forbids them), an unlinked file in /dev/shm, $TMPDIR or /tmp. A descriptor or a negative errno code. */
int tz_memfd(const char *name);

#endif
