/* Shared memory, as the program sees it: segments that are known by any address in them. See trenza/shared_memory.h, arena/segment.h. */
#include <trenza/shared_memory.h>

#include <errno.h>

#include "shared/memory.h"

enum { ALIGN_MAX = 1 << 30, PAGE = 4096 };

int tz_shared_form(const tz_shared_options *o, struct tz_segment_form *ret)
{
	static const tz_shared_options plain;

	if (!o)
		o = &plain;
	if ((o->align & (o->align - 1)) || o->align > ALIGN_MAX || o->reserved[0] || o->reserved[1] || o->reserved[2] || o->reserved[3])
		return -EINVAL;
	*ret = (struct tz_segment_form){ .reserve = o->reserve, .align = o->align, .huge = o->huge_pages };
	return 0;
}

int tz_shared_alloc_with(void **ret_memory, size_t size, const tz_shared_options *options)
{
	struct tz_segment_form form;
	struct tz_segment *s;
	int r = tz_shared_form(options, &form);

	if (r == 0)
		r = tz_segment_share(size, &form, &s);
	if (r < 0)
		return r;
	*ret_memory = s->base;
	return 0;
}

void *tz_shared_alloc(size_t size)
{
	void *memory = NULL;
	int r = tz_shared_alloc_with(&memory, size, NULL);

	if (r < 0)
		errno = -r;
	return memory;
}

void *tz__shared_array(size_t size, size_t n)
{
	size_t all;

	if (!__builtin_mul_overflow(size, n, &all))
		return tz_shared_alloc(all);
	errno = ENOMEM;
	return NULL;
}

void tz_shared_free(const void *memory)
{
	struct tz_segment *s = tz_segment_find_shared(memory);

	if (!s)
		return;
	tz_segment_unref(s); /* what was found, */
	tz_segment_unref(s); /* and what the caller had */
}

int tz_shared_ref(const void *memory)
{
	return tz_segment_find_shared(memory) ? 0 : -EFAULT;
}

size_t tz_shared_size(const void *memory)
{
	struct tz_segment *s = tz_segment_find_shared(memory);
	size_t before, size;

	if (!s)
		return 0;
	before = (size_t)((const unsigned char *)memory - s->base);
	size = tz_segment_backed(s);
	tz_segment_unref(s);
	return size > before ? size - before : 0;
}

int tz_shared_resize(const void *memory, size_t size)
{
	struct tz_segment *s = tz_segment_find_shared(memory);
	size_t before;
	int r;

	if (!s)
		return -EFAULT;
	before = (size_t)((const unsigned char *)memory - s->base);
	if (size > s->size - before)
		r = -ENOMEM;
	else if (size + before + PAGE <= tz_segment_backed(s))
		r = -EINVAL;
	else
		r = tz_segment_grow(s, size + before);
	tz_segment_unref(s);
	return r;
}
