/* Givers. See giver.h. */
#include "exec/process/giver.h"

#include "arena/segment.h"

static bool give(const struct tz_carrier *carrier, const void *data, size_t size, uint64_t *ret_key,
		 uint64_t *ret_offset)
{
	struct farm_giver *g = (struct farm_giver *)(uintptr_t)carrier;
	struct tz_segment *s = size >= TZ_SEGMENT_LEAST ? tz_segment_find(data, size) : NULL;
	unsigned i = 0;

	while (s && i < g->n && g->refs[i] != s)
		i++;
	if (!s || s->kind != TZ_SEGMENT_BUFFER || i == TZ_LANE_REFS) {
		tz_segment_unref(s);
		return false;
	}
	if (i < g->n)
		tz_segment_unref(s);
	else
		g->refs[g->n++] = s;
	if (ret_key) {
		*ret_key = i;
		*ret_offset = (uint64_t)((const unsigned char *)data - s->base);
	}
	return true;
}

void farm_giver_init(struct farm_giver *ret)
{
	*ret = (struct farm_giver){ .carrier.give = give };
}

void farm_giver_done(struct farm_giver *giver)
{
	for (unsigned i = 0; i < giver->n; i++)
		tz_segment_unref(giver->refs[i]);
}
