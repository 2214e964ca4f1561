/* Deadlines and sleep, on the strand's clock. */
#include <errno.h>
#include <math.h>

#include <trenza/time.h>

#include "core/strand.h"
#include "os/clock.h"

uint64_t tz_now(void)
{
	struct tz_strand *s = tz_strand_peek();

	return s ? s->ops->now(s) : tz_clock_now();
}

tz_deadline tz_after(double seconds)
{
	uint64_t now = tz_now();
	tz_deadline d;

	if (!(seconds > 0)) /* NaN too */
		d.ns = now;
	else if (seconds * 1e9 >= (double)(UINT64_MAX / 2))
		d.ns = 0;
	else
		d.ns = now + (uint64_t)(seconds * 1e9);
	return d;
}

double tz_remaining(tz_deadline deadline)
{
	uint64_t now;

	if (deadline.ns == 0)
		return (double)INFINITY;
	now = tz_now();
	return deadline.ns > now ? (double)(deadline.ns - now) / 1e9 : 0;
}

bool tz_expired(tz_deadline deadline)
{
	return deadline.ns != 0 && tz_now() >= deadline.ns;
}

int tz_sleep_until(tz_deadline deadline)
{
	struct tz_strand *s = tz_strand_self();

	for (;;) {
		if (tz_expired(deadline)) {
			int r = tz_strand_interrupted(s);

			if (r < 0)
				return tz_strand_refuse(s, r);
			s->ops->yield(s);
			return 0;
		}
		tz_strand_waits(s, "sleep", NULL);
		int r = tz_strand_park(s, deadline);

		if (r < 0 && !tz_expired(deadline))
			return r; /* the scope's deadline, or a cancel */
	}
}

int tz_sleep(double seconds)
{
	return tz_sleep_until(tz_after(seconds));
}
