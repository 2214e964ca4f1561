/* Buffers: memory that goes to another process and back without being copied.
 *
 *     double *samples = tz_buffer_alloc(n * sizeof *samples);
 *     ...
 *     image_future f = tz_submit(ex, render, (tz_bytes){ samples, n * sizeof *samples });
 *     ...
 *     tz_bytes picture;
 *     if (tz_result(f, &picture) == 0)
 *             tz_buffer_free((void *)picture.data);
 *
 * A tz_bytes whose data lies in a large buffer is not copied when it is an argument or a result of a task in another process: the memory itself is handed
 * over, for an argument readable and for the time of the call, for a result for good. Data in any other memory is copied, and so is that of small
 * buffers, which are ordinary memory. To be a result, the data must be a buffer from its beginning on: it becomes who takes the result's.
 *
 * So, from tz_submit until the job is done, do not change a buffer that is an argument: the task may see it. Freeing it is allowed.
 */
#ifndef TRENZA_BUFFER_H
#define TRENZA_BUFFER_H

#include <trenza/base.h>

TZ_BEGIN_DECLS

/* tz_buffer_alloc - memory for `size` bytes, aligned as malloc's; whatever was in it.
 *
 * From 64 KiB on it is memory of its own, which is there from the beginning: if there is not enough, that is said now, and using it later does not end the
 * program. Freed buffers are kept, up to a bound, for the next ones. Where the process cannot open more files, a buffer is ordinary memory, whatever its size.
 * After fork() parent and child see each other's changes in the buffers that they had before.
 *
 * Ownership: the caller frees it with tz_buffer_free, and with nothing else.
 * Threads: any.
 * Errors: NULL without memory. */
TZ_API TZ_NODISCARD void *tz_buffer_alloc(size_t size);

/* tz_buffer_free - frees a buffer; NULL is legal.
 *
 * Ownership: the caller's buffer goes.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_buffer_free(void *buffer);

TZ_END_DECLS

#endif
