/* The reduction: blocks of fixed size, folded anywhere, combined in a fixed tree.
 *
 * Design notes. How floating-point numbers are grouped decides the last bits of their sum. Here the grouping depends on the number of elements
 * and the block size alone: block b is folded from the identity, in order; then neighbours are combined, pairs first, then pairs of
 * pairs, always left with right. Who folded which block, and when, leaves no trace. The partial results are one allocation.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/map.h>

enum {
	MOST_BLOCKS = 4096, /* unless the caller chooses the size */
	LEAST_BLOCK = 1024, /* elements: folding them outweighs handing out the block */
	ALIGN = 64
};

struct partials {
	const tz_reduction *what;
	size_t n, block, stride;
	unsigned char *first;
};

static void *partial(const struct partials *p, size_t b)
{
	return p->first + b * p->stride;
}

static void fold_blocks(size_t lo, size_t hi, void *arg)
{
	const struct partials *p = arg;

	for (size_t b = lo; b < hi; b++) {
		size_t begin = b * p->block, left = p->n - begin;

		memcpy(partial(p, b), p->what->identity, p->what->size);
		p->what->fold(partial(p, b), begin, begin + (left < p->block ? left : p->block),
			      p->what->arg);
	}
}

/* Partial 0 becomes the result. */
static void combine_all(const struct partials *p, size_t blocks)
{
	for (size_t step = 1; step < blocks; step *= 2)
		for (size_t b = 0; b + step < blocks; b += 2 * step)
			p->what->combine(partial(p, b), partial(p, b + step), p->what->arg);
}

static size_t choose_block(const tz_reduction *reduction, size_t n)
{
	size_t block = n / MOST_BLOCKS + (n % MOST_BLOCKS != 0);

	if (reduction->block)
		return reduction->block;
	return block > LEAST_BLOCK ? block : LEAST_BLOCK;
}

/* The caller's options count elements; ours count blocks. */
static tz_map_options in_blocks(const tz_map_options *options, size_t block)
{
	tz_map_options o = { .workers = options ? options->workers : 0 };

	if (options && options->chunk)
		o.chunk = options->chunk / block ? options->chunk / block : 1;
	return o;
}

int tz_reduce(tz_executor *executor, const tz_map_options *options, const tz_reduction *reduction,
	      size_t n, void *ret)
{
	if (!reduction || !reduction->size || !reduction->identity || !reduction->fold ||
	    !reduction->combine || !ret)
		return -EINVAL;
	if (n == 0) {
		memcpy(ret, reduction->identity, reduction->size);
		return 0;
	}
	struct partials p = { .what = reduction, .n = n, .block = choose_block(reduction, n) };
	size_t blocks = n / p.block + (n % p.block != 0), bytes;

	/* A line of its own for each, so that neighbours do not slow each other down, unless the user wants very many. */
	p.stride = (reduction->size + 15) / 16 * 16;
	if (blocks <= MOST_BLOCKS)
		p.stride = (p.stride + ALIGN - 1) / ALIGN * ALIGN;
	if (p.stride < reduction->size || __builtin_mul_overflow(blocks, p.stride, &bytes) ||
	    bytes > SIZE_MAX - ALIGN)
		return -ENOMEM;
	p.first = aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);
	if (!p.first)
		return -ENOMEM;
	tz_map_options mine = in_blocks(options, p.block);
	int r = tz_for_range(executor, &mine, 0, blocks, fold_blocks, &p);

	if (r == 0) {
		combine_all(&p, blocks);
		memcpy(ret, partial(&p, 0), reduction->size);
	}
	free(p.first);
	return r;
}
