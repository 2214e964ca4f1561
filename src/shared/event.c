/* The event for several processes.
 *
 * Design notes. The word: SET; PARKED, if somebody may sleep on it; and a count of how often it has been set, by which those who waited know it when it was
 * cleared again since. Each call that changes something does so in one swap, and has no lock: so it may be in a signal handler, and it does not matter to anybody whether
 * who waits is alive. Who sets it and is killed before the wake-up has set it; those who wait see that at the end of their slices (nap.h).
 */
#include <trenza/shared_event.h>

#include <errno.h>

#include "core/strand.h"
#include "shared/nap.h"

enum { SET = 1, PARKED = 2, ONE = 4 };

static uint32_t load(const tz_shared_event *event)
{
	return __atomic_load_n(&event->tz__word, __ATOMIC_ACQUIRE);
}

static bool swap(tz_shared_event *event, uint32_t *expected, uint32_t desired)
{
	return __atomic_compare_exchange_n(&event->tz__word, expected, desired, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void tz_shared_event_set(tz_shared_event *event)
{
	uint32_t w = load(event);

	while (!(w & SET)) {
		if (!swap(event, &w, ((w | SET) & ~(uint32_t)PARKED) + ONE))
			continue;
		if (w & PARKED)
			(void)tz_nap_wake(&event->tz__word, TZ_NAP_ALL);
		return;
	}
}

void tz_shared_event_clear(tz_shared_event *event)
{
	uint32_t w = load(event);

	while (w & SET && !swap(event, &w, w & ~(uint32_t)SET))
		;
}

bool tz_shared_event_is_set(const tz_shared_event *event)
{
	return (load(event) & SET) != 0;
}

int tz_shared_event_wait_until(tz_shared_event *event, tz_deadline deadline)
{
	uint32_t w = load(event), count = w / ONE;
	int r = 0;

	tz_strand_count_call();
	if (w & SET)
		return 0;
	struct tz_nap nap = tz_nap_begin("event", event, deadline);

	tz_nap_spin(&nap, &event->tz__word, w);
	for (w = load(event); !(w & SET) && w / ONE == count; w = load(event)) {
		if (r < 0)
			return r;
		if (w & PARKED || swap(event, &w, w | PARKED))
			r = tz_nap_take(&nap, &event->tz__word, w | PARKED);
	}
	return 0;
}

int tz_shared_event_wait(tz_shared_event *event)
{
	return tz_shared_event_wait_until(event, tz_never());
}
