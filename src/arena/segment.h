/* A segment: memory that two processes can map, behind a descriptor.
 *
 * Whole pages of a file without a name (os/memfd.h). All of it is allocated when it is made, so a machine without memory gives -ENOSPC or -ENOMEM there and no
 * SIGBUS later; and it is sealed, where the kernel can, against getting smaller, so nobody can take it away from under who has mapped it.
 *
 * Design notes
 *
 * Who holds a reference may use the memory. The last one to go gives the segment to the cache, if this process owns it and it has a descriptor, else it is unmapped.
 * The cache keeps at most TZ_SEGMENT_CACHE_BYTES in TZ_SEGMENT_CACHE_COUNT segments, and forgets the oldest first: memory that was used lately is mapped, and maybe in the
 * processor's caches. Sizes are rounded so that segments fit again. A segment keeps its id in the cache; an id is used once.
 *
 * Who owns a segment gives the memory back to the system when it unmaps it, even if another process, which has no business there any more,
 * has it mapped still (tables.h): the pages are taken out of the file. So nobody has to be asked to unmap. Ownership moves with a result that the
 * worker hands over for good.
 *
 * Registry. tz_segment_find says which segment an address lies in: a sorted array under a lock, asked only for payloads of TZ_SEGMENT_LEAST bytes
 * and more. It has the segments that may be handed on: those that this process owns. System calls are made without the lock, and no other lock is taken under it.
 *
 * After fork() the child has the segments at the same addresses, and shares their contents with the parent. What was in the cache when it was forked
 * is the parent's: the child forgets it, and gives no pages back of segments that it has from its parent.
 *
 * Shared memory is different in this: a process has it once, however often it comes, so it is known by its file (device and inode, which the kernel says and nobody can
 * forge), and is found by its address in a child of fork, too. Its references are dropped with the lock held, since it may be about to come again. It is never cached: it
 * is others' still, and a new one must be all zeros.
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
	TZ_SEGMENT_CACHE_COUNT = 32
};

/* What it is for. Memory of one kind never becomes one of the other, since a worker that a segment was sent to may have it mapped for longer. */
enum tz_segment_kind {
	TZ_SEGMENT_BYTES = 1, /* the bytes of a payload: a worker may write there, and decode in place */
	TZ_SEGMENT_BUFFER = 2, /* a buffer of the program's: the workers that it goes to as an argument can only read it */
	TZ_SEGMENT_SHARED = 3, /* shared memory (trenza/shared_memory.h): everybody writes there, and nobody owns it */
	TZ_SEGMENT_FD = 4 /* no memory: any descriptor, on its way */
};

struct tz_segment {
	unsigned char *base;
	size_t size; /* whole pages */
	enum tz_segment_kind kind;
	uint32_t id; /* in this process; never 0 */
	int fd; /* -1: closed */
	_Atomic uint32_t references;
	_Atomic bool owned; /* by this process */
	uint32_t process; /* that mapped it: the number of forks before it */
	struct tz_segment *older; /* in the cache */
	uint64_t device, inode; /* of shared memory */
	_Atomic size_t backed; /* of shared memory: how much of it there was when somebody looked last; the rest is reserved */
	void (*on_last)(struct tz_segment *s); /* of shared memory: called when the last reference has gone, before it is unmapped; or NULL */
	void *last; /* for on_last */
};

/* A segment of at least `size` bytes with one reference, the caller's. Its contents are whatever the last user left; a new one is all zeros.
 * -ENOMEM, -ENOSPC, -EMFILE, -ENFILE. */
int tz_segment_take(enum tz_segment_kind kind, size_t size, struct tz_segment **ret);

/* The segment behind a descriptor that came from another process, with one reference, of any kind. The descriptor becomes the segment's, also on failure.
 * -EPROTO: it is no file of at least `size` bytes that cannot shrink. */
int tz_segment_adopt(enum tz_segment_kind kind, int fd, size_t size, bool writable, struct tz_segment **ret);

struct tz_segment *tz_segment_ref(struct tz_segment *s);
void tz_segment_unref(struct tz_segment *s); /* NULL: nothing */

/* Makes the process the owner of a segment that it adopted; or says that another process is the owner of one from now on. */
void tz_segment_own(struct tz_segment *s);
void tz_segment_disown(struct tz_segment *s);

/* The segment, owned by this process and in use, that holds all the `size` bytes at p, with a reference for the caller; or NULL. */
struct tz_segment *tz_segment_find(const void *p, size_t size);

/* The segment, in use, that begins at p, without a reference; or NULL. Also one that the process has from its parent since a fork. */
struct tz_segment *tz_segment_at(const void *p);

/* --- shared memory ------------------------------------------------------------------------------------------------------ */

/* How it is to be. */
struct tz_segment_form {
	size_t reserve; /* addresses to grow into; less than the size: none */
	size_t align; /* of the address, a power of two; 0: a page */
	bool huge;
	bool trusted; /* adopted although it could shrink: who sent it is believed */
};

/* New shared memory of at least `size` bytes, all zeros, with one reference, the caller's. -ENOMEM, -ENOSPC, -EMFILE, -ENFILE. */
int tz_segment_share(size_t size, const struct tz_segment_form *form, struct tz_segment **ret);

/* The shared memory behind a file that cannot shrink: as tz_segment_adopt, but the one that this process has already, if it has it. `size`: to be mapped; the file may have less,
 * if it has a page. */
int tz_segment_adopt_shared(int fd, size_t size, const struct tz_segment_form *form, struct tz_segment **ret);

/* The shared memory that the address lies in, with a reference for the caller; or NULL. */
struct tz_segment *tz_segment_find_shared(const void *p);

/* How many bytes of it there are; the rest is reserved. */
size_t tz_segment_backed(struct tz_segment *s);

/* Makes it at least so large, in place: zeros are added to what there is. -ENOMEM: more than was reserved. -ENOSPC: nothing has changed. */
int tz_segment_grow(struct tz_segment *s, size_t size);

/* --- descriptors --------------------------------------------------------------------------------------------------------- */

/* A segment of kind TZ_SEGMENT_FD, whose descriptor is a new one of the same open file. -EBADF, -EMFILE, -ENOMEM. */
int tz_segment_of_fd(int fd, struct tz_segment **ret);

/* Unmaps what is in the cache. */
void tz_segment_trim(void);

/* A file of `size` bytes, allocated and sealed: a descriptor; -ENOMEM, -ENOSPC, -EMFILE, -ENFILE. */
int tz_segment_file(const char *name, size_t size);

/* Gives a file `size` bytes, all of them there: 0; -ENOSPC, -ENOMEM. */
int tz_segment_allocate(int fd, size_t size);

/* Maps a file from tz_segment_file of any process, shared: 0; -EPROTO if it has not at least `size` bytes or can shrink; -ENOMEM. */
int tz_segment_map(int fd, size_t size, bool writable, void **ret);

/* The same, writable, for what may never be touched: pages are mapped one by one as they are. */
int tz_segment_map_loosely(int fd, size_t size, void **ret);

#endif
