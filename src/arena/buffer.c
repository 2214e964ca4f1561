/* Buffers: a segment each, if they are large, else ordinary memory. See buffer.h, segment.h. */
#include <trenza/buffer.h>

#include <errno.h>
#include <stdlib.h>

#include "arena/segment.h"

enum { PAGE = 4096 };

void *tz_buffer_alloc(size_t size)
{
	struct tz_segment *s;
	int r;

	if (size < TZ_SEGMENT_LEAST)
		return malloc(size ? size : 1);
	r = tz_segment_take(TZ_SEGMENT_BUFFER, size, &s);
	if (r == 0)
		return s->base;
	return r == -EMFILE || r == -ENFILE ? malloc(size) : NULL;
}

void tz_buffer_free(void *buffer)
{
	/* Segments are pages; malloc's memory hardly ever begins with one. */
	struct tz_segment *s = buffer && (uintptr_t)buffer % PAGE == 0 ? tz_segment_at(buffer) : NULL;

	if (s)
		tz_segment_unref(s);
	else
		free(buffer);
}
