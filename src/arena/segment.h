/* A segment: memory that two processes can map, behind a descriptor.
 *
 * Whole pages of an anonymous file: memfd_create, or where there is none, an unlinked file in /dev/shm, then in $TMPDIR or /tmp.
 * All of it is allocated when it is made, so a machine without memory gives -ENOSPC or -ENOMEM there and no SIGBUS later; and it is sealed, where
 * the kernel can, against getting smaller, so nobody can take it away from under who has mapped it.
 *
 * Design notes
 *
 * References. Who holds one may use the memory. The last one gives the segment to the cache, if it is writable and of our own making, else it is
 * unmapped. The cache keeps at most TZ_SEGMENT_CACHE_BYTES in TZ_SEGMENT_CACHE_COUNT segments, newest first: memory that was
 * used lately is mapped, and in the processor's caches. A segment keeps its id over that; the id of one that was unmapped is never used again
 * in this process. tz_segment_deaths() counts those, so that who has told others of segments by id knows when to look which are gone.
 *
 * Registry. tz_segment_find says which segment an address lies in: a sorted array of those that are in use, under a lock,
 * asked only for payloads of TZ_SEGMENT_LEAST bytes and more. Order of locks: none is taken under this one; the memory functions are called outside.
 *
 * After fork() the child has the segments at the same addresses, and shares their contents with the parent. Its cache is its own, but what is in it
 * is not: the child forgets it.
 */
#ifndef TZ_ARENA_SEGMENT_H
#define TZ_ARENA_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TZ_SEGMENT_LEAST = 64 << 10, /* a payload of this size is worth a segment of its own */
	TZ_SEGMENT_CACHE_BYTES = 256 << 20,
	TZ_SEGMENT_CACHE_COUNT = 64
};

struct tz_segment {
	unsigned char *base;
	size_t size; /* whole pages */
	uint32_t id; /* in this process; never 0 */
	int fd;
	bool foreign; /* made by another process */
	_Atomic uint32_t references;
	/* segment.c's */
	struct tz_segment *newer, *older; /* in the cache */
	uint64_t serial;
};

/* A segment of at least `size` bytes with one reference, the caller's. Its contents are whatever the last user left.
 * -ENOMEM, -ENOSPC, -EMFILE, -ENFILE. */
int tz_segment_take(size_t size, struct tz_segment **ret);

/* How the receiver of a descriptor maps it. */
enum tz_segment_use {
	TZ_SEGMENT_WRITE, /* shared with the sender, for reading and writing */
	TZ_SEGMENT_COPY /* writable, but the sender does not see what is written */
};

/* The segment behind a descriptor that came from another process, with one reference. The descriptor becomes the segment's, also on failure.
 * -EPROTO: it is no file of at least `size` bytes that cannot shrink. */
int tz_segment_adopt(int fd, size_t size, enum tz_segment_use use, struct tz_segment **ret);

void tz_segment_ref(struct tz_segment *s);
void tz_segment_unref(struct tz_segment *s); /* NULL: nothing */

/* The segment that holds all the `size` bytes at p, with a reference for the caller; or NULL. */
struct tz_segment *tz_segment_find(const void *p, size_t size);

/* How many segments of this process have been unmapped so far. */
uint64_t tz_segment_deaths(void);

/* Unmaps what is in the cache. */
void tz_segment_trim(void);

/* A descriptor of `size` bytes, allocated and sealed, that is not inherited over exec; what segments and lanes are made of. */
int tz_segment_file(size_t size, int *ret_fd);

/* 0 if the file has at least `size` bytes and cannot shrink, else -EPROTO. */
int tz_segment_check_file(int fd, size_t size);

#endif
