/* The sink behind the probe points. See probe.h. */
#include "core/probe.h"

const struct tz_probe_sink *_Atomic tz_probe_sink;

void tz_probe_set_sink(const struct tz_probe_sink *sink)
{
	atomic_store_explicit(&tz_probe_sink, sink, memory_order_release);
}

void tz_probe_emit(enum tz_probe what, const void *object, uint64_t value)
{
	const struct tz_probe_sink *sink =
		atomic_load_explicit(&tz_probe_sink, memory_order_acquire);

	if (sink)
		sink->event(sink, what, object, value);
}
