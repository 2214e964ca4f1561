/* Probe points: where the recorder, or a test, can see what the library does.
 *
 * A probe that nobody listens to costs one load and a branch that is always predicted. There is one
 * listener at a time, the sink; it is called on the strand that reaches the probe, so it must be
 * quick, must not block, and must not call what has probes itself.
 *
 * Design notes. The pointer to the sink is the flag. The probe reads it with relaxed order; only
 * when it is set is it read again with acquire order, which pairs with the release of
 * tz_probe_set_sink. A probe that is passed while the sink changes may call the old one once more:
 * a sink lies in static memory, or is freed when nothing that has probes can run any more.
 */
#ifndef TZ_CORE_PROBE_H
#define TZ_CORE_PROBE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* What happened. Each says what `object` and `value` are. The numbers are recorded: append only. */
enum tz_probe {
	TZ_PROBE_WAIT_BEGIN = 1, /* a strand begins to wait; object: what for; value: 0 */
	TZ_PROBE_WAIT_END = 2, /* that wait has ended; value: 0, or the positive errno code */
	TZ_PROBE_JOB_SUBMIT =
		3, /* a job was submitted; object: its frame; value: the executor's own */
	TZ_PROBE_JOB_BEGIN = 4, /* a job begins to run; value: the index of the worker */
	TZ_PROBE_JOB_END = 5, /* it has ended; value: its tz_status */
	TZ_PROBE_JOB_CANCEL = 6 /* somebody asked to cancel it; value: 0 */
};

struct tz_probe_sink {
	void (*event)(const struct tz_probe_sink *sink, enum tz_probe what, const void *object,
		      uint64_t value);
};

extern const struct tz_probe_sink *_Atomic tz_probe_sink;

/* Sets the sink, or takes it away with NULL. */
void tz_probe_set_sink(const struct tz_probe_sink *sink);

void tz_probe_emit(enum tz_probe what, const void *object, uint64_t value);

#define TZ_PROBE(what, object, value) \
	do { \
		if (__builtin_expect(atomic_load_explicit(&tz_probe_sink, memory_order_relaxed) != \
					     NULL, \
				     0)) \
			tz_probe_emit((what), (object), (value)); \
	} while (0)

#endif
