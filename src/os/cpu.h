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

/* Asks for a cache line that will be written: no other processor keeps a copy. The compiler's own hint is one to read unless told that
 * the processor knows better; those that do not know this one do nothing. */
static inline void tz_cpu_fetch_to_write(const void *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

#define TZ_CACHE_LINE 64

/* One turn of waiting for another thread that is in the middle of a few instructions: relaxes first, then lets it run, in case it
 * was preempted. `spins` counts the turns, from 0. */
void tz_cpu_backoff(unsigned *spins);

#endif
