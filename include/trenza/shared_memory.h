/* Shared memory: memory that several processes have, to which a pointer can be handed over.
 *
 *     struct account {
 *             _Atomic long balance;
 *     };
 *
 *     static void deposit(struct account *a) { a->balance += 1; }
 *     TZ_TASK(void, deposit, struct account *);
 *
 *     struct account *a = TZ_SHARED_NEW(struct account);
 *     deposit_future f = tz_submit(ex, deposit, a);
 *     ...
 *     tz_shared_free(a);
 *
 * A pointer to anywhere in such memory travels: as an argument or a result of a task, in an array of a map, as a field of a TZ_STRUCT, to a process that is
 * started by any method. What arrives is the address at which the receiver has the same memory, which may be another one than the sender's. So a shared object holds
 * no pointers, not even to itself: where it has to refer to another part of it, that is by an index. A pointer to any other memory is refused where it
 * was to be sent. Two kinds of pointers travel by content wherever they point: `char *` and `const char *`, which are strings; for bytes in shared memory
 * use `unsigned char *`, or a struct.
 *
 * Who has it. Each tz_shared_alloc, tz_shared_ref, and each pointer that was taken as a result, is one reference of the process, to be given back by
 * tz_shared_free. A task has the memory of its arguments as long as it runs, a process that was started with a pointer as long as it lives; who wants to keep
 * it for longer takes a reference. A pointer that is a task's result takes one along: so a task may return what it has allocated, and to return an
 * argument it takes a reference first. When nobody has the memory any more it is given back to the system; that it is also if all of them were killed. After
 * fork() the child has what its parent had, with the same references.
 *
 * All of it is there from the beginning: if the machine has not enough, that is said when it is allocated or grows, and no later use of it ends the program.
 *
 * Each block is whole pages and a descriptor of its own: put what belongs together into one struct.
 *
 * Changing it. What several processes change at once is no different from what several threads do: use _Atomic members, or a lock beside the
 * data. `a->balance = a->balance + 1`, on plain memory, loses updates.
 */
#ifndef TRENZA_SHARED_MEMORY_H
#define TRENZA_SHARED_MEMORY_H

#include <trenza/base.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* How memory is to be. All-zero is ordinary. */
typedef struct tz_shared_options {
	size_t reserve; /* bytes up to which tz_shared_resize can grow it in place: addresses only, no memory */
	size_t align; /* a power of two up to 1 GiB: of its address in this process; 0: a page. In other processes it is a page at least */
	bool huge_pages; /* ask for them; where there are none, ordinary ones serve */
	bool python; /* of named memory: the name is as Python's multiprocessing.shared_memory has it */
	int mode; /* of named memory that is created: who may open it, as for open(2); 0: 0600 */
	void *reserved[4];
} tz_shared_options;

/* tz_shared_alloc - memory that is shared with whom a pointer into it is handed to; all zeros.
 *
 * Ownership: the caller has a reference, and gives it back by tz_shared_free.
 * Threads: any.
 * Errors: NULL, and errno says why: ENOSPC or ENOMEM: there is not so much memory; EMFILE, ENFILE. */
TZ_API TZ_NODISCARD void *tz_shared_alloc(size_t size);

/* tz_shared_alloc_with - the same, with options.
 *
 * Ownership: as tz_shared_alloc.
 * Threads: any.
 * Errors: -EINVAL: `align` is no power of two, or too large; -ENOSPC, -ENOMEM, -EMFILE, -ENFILE. */
TZ_API int tz_shared_alloc_with(void **ret_memory, size_t size, const tz_shared_options *options);

/* tz_shared_free - gives a reference back. `memory` is any address in it; NULL is legal.
 *
 * With the last one of this process the memory goes from its address space; others keep it.
 *
 * Ownership: the caller's reference goes.
 * Threads: any.
 * Errors: none; what is no shared memory of this process is left alone. */
TZ_API void tz_shared_free(const void *memory);

/* tz_shared_ref - takes one more reference to the memory that the address is in.
 *
 * Ownership: the caller has one reference more, to be given back by tz_shared_free.
 * Threads: any.
 * Errors: -EFAULT: it is no shared memory. */
TZ_API int tz_shared_ref(const void *memory);

/* tz_shared_size - how many bytes there are from this address to the end of the memory that it is in, as it is now: at least what was asked for, up to whole pages.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: 0: it is no shared memory. */
TZ_API size_t tz_shared_size(const void *memory);

/* tz_shared_resize - lets the memory that the address is in grow, in place, so that there are `size` bytes from this address on, up to what was reserved; what is new is
 * all zeros. Every process that has the memory can use it from then on.
 *
 * Memory does not get smaller.
 *
 * Ownership: as it was.
 * Threads: any; of several that resize it at once, the largest size wins.
 * Errors: -EFAULT: it is no shared memory; -EINVAL: it is smaller than what there is; -ENOMEM: more than was reserved; -ENOSPC: there is not so much memory;
 * nothing has changed then. */
TZ_API int tz_shared_resize(const void *memory, size_t size);

/* --- named memory -------------------------------------------------------------------------------------------------------- */

/* tz_shared_memory_create - memory that other programs of the same user can open by its name.
 *
 * The name is letters, digits, '-', '_' and '.', up to 100 bytes. Only its creator takes it away, never who opens it: when it has given its last reference back, or
 * exits; those who have opened it keep the memory. Of a creator that was killed the name stays as long as anybody has the memory; then it cannot be opened any more, and
 * the next tz_shared_memory_create of any program of the user takes it away.
 *
 * With the option `python`, the name is the one that Python's SharedMemory gives it; that has no creator for us: its name stays until tz_shared_memory_unlink.
 *
 * Ownership: as tz_shared_alloc.
 * Threads: any.
 * Errors: -EEXIST: the name is in use; -EINVAL: it is no name, or as tz_shared_alloc_with; -EACCES, -ENOSPC, -ENOMEM, -EMFILE, -ENFILE. */
TZ_API int tz_shared_memory_create(void **ret_memory, const char *name, size_t size, const tz_shared_options *options);

/* tz_shared_memory_open - the memory of that name. Its size: tz_shared_size.
 *
 * Ownership: as tz_shared_alloc.
 * Threads: any.
 * Errors: -ENOENT: there is none; -EXDEV: its creator lives in another PID namespace, so locks in it would mistake one process for another; -EPROTO: it is not memory of
 * that kind, or was cut meanwhile; -EINVAL, -EACCES, -ENOMEM, -EMFILE, -ENFILE. */
TZ_API int tz_shared_memory_open(void **ret_memory, const char *name, const tz_shared_options *options);

/* tz_shared_memory_unlink - takes a name away. Who has the memory keeps it.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -ENOENT: there is none; -EINVAL, -EACCES. */
TZ_API int tz_shared_memory_unlink(const char *name, const tz_shared_options *options);

/* --- for the macros ------------------------------------------------------------------------------------------------------ */

TZ_API TZ_NODISCARD void *tz__shared_array(size_t size, size_t n);

TZ_END_DECLS

/* TZ_SHARED_NEW - shared memory for one object of a type, all zeros.
 *
 * Form: struct account *TZ_SHARED_NEW(struct account)
 * Ownership: as tz_shared_alloc.
 * Threads: any.
 * Errors: NULL, as tz_shared_alloc. */
#define TZ_SHARED_NEW(...) ((__VA_ARGS__ *)tz_shared_alloc(sizeof(__VA_ARGS__)))

/* TZ_SHARED_ARRAY - shared memory for n objects of a type, all zeros.
 *
 * Form: int *TZ_SHARED_ARRAY(int, size_t n)
 * Ownership: as tz_shared_alloc.
 * Threads: any.
 * Errors: NULL, as tz_shared_alloc; ENOMEM also where the size overflows. */
#define TZ_SHARED_ARRAY(T, n) ((T *)tz__shared_array(sizeof(T), n))

#endif
