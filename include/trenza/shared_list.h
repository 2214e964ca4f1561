/* Shared lists: a list of a fixed length in shared memory, whose elements are none, bool, integers, doubles, strings and bytes.
 *
 *     tz_shared_list *l;
 *     if (tz_shared_list_open(&l, tz_list(42, tz_none, "hello"), 16) < 0) ...
 *     tz_process_open(&p, child, l);                    // a pointer to it travels
 *     ...
 *     tz_value v = tz_shared_list_get(l, 2);
 *     tz_shared_free(l);
 *
 * An element may become one of any kind that fits into its place. Strings and bytes are what they were, with all zeros that they end in or hold.
 *
 * Any number of strands of any process may read and write at once. An element is read as it was written, never half of it; a process that is killed while it
 * writes leaves the old one, and nobody waits for it.
 */
#ifndef TRENZA_SHARED_LIST_H
#define TRENZA_SHARED_LIST_H

#include <trenza/shared_memory.h>
#include <trenza/value.h>

TZ_BEGIN_DECLS

typedef struct tz_shared_list tz_shared_list;

/* tz_shared_list_open - a shared list with the elements of a list. Every place has room for its first element, for any number, and for `room` bytes
 * of a string.
 *
 * Ownership: the values are taken over. *ret_list is shared memory: who has it gives it back by tz_shared_free.
 * Threads: any.
 * Errors: -EINVAL: it is no list, or one of its elements is a list or a dictionary; what made a value a failed one; -ENOSPC, -ENOMEM, -EMFILE, -ENFILE. */
TZ_API TZ_NODISCARD int tz_shared_list_open(tz_shared_list **ret_list, tz_value values, size_t room);

/* tz_shared_list_size - how many elements it has.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API size_t tz_shared_list_size(const tz_shared_list *list);

/* tz_shared_list_get - a copy of element i.
 *
 * Ownership: the value is the caller's, to be freed with tz_value_free.
 * Threads: any.
 * Errors: a failed value (tz_value_error): -ERANGE: there is no such element; -ENOMEM; -EPROTO: somebody has written elsewhere than by these functions. */
TZ_API TZ_NODISCARD tz_value tz_shared_list_get(tz_shared_list *list, size_t i);

/* tz_shared_list_set - makes element i another one.
 *
 * Ownership: the value is taken over.
 * Threads: any; waits for others that write.
 * Errors: -ERANGE: there is no such element; -EMSGSIZE: it is too long for its place; -EINVAL, -ENOMEM as tz_shared_list_open. The old one stays then. */
TZ_API int tz_shared_list_set(tz_shared_list *list, size_t i, tz_value value);

/* tz_shared_list_values - a copy of all elements, as a list. Each is as it was at some moment; the moments may differ.
 *
 * Ownership: the value is the caller's, to be freed with tz_value_free.
 * Threads: any.
 * Errors: a failed value, as tz_shared_list_get. */
TZ_API TZ_NODISCARD tz_value tz_shared_list_values(tz_shared_list *list);

/* tz_shared_list_index, tz_shared_list_count - the index of the first element that equals a value; how many do.
 *
 * Ownership: the value stays the caller's.
 * Threads: any.
 * Errors: -ENOENT: none does (tz_shared_list_index); -ENOMEM, -EPROTO. */
TZ_API ptrdiff_t tz_shared_list_index(tz_shared_list *list, const tz_value *value);
TZ_API ptrdiff_t tz_shared_list_count(tz_shared_list *list, const tz_value *value);

TZ_END_DECLS

#endif
