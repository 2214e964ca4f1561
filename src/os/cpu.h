/* What the processor offers to a loop that waits. */
#ifndef TZ_OS_CPU_H
#define TZ_OS_CPU_H

/* Tells the processor that this is a spin loop. */
static inline void tz_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory"); /* `yield` is a no-op on most cores; isb waits some tens of cycles */
#else
	__asm__ volatile("" ::: "memory");
#endif
}

#define TZ_CACHE_LINE 64

/* One turn of waiting for another thread that is in the middle of a few instructions: relaxes first, then lets it run, in case it
 * was preempted. `spins` counts the turns, from 0. */
void tz_cpu_backoff(unsigned *spins);

#endif
