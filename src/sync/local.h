/* Strand-local values: what a fork must put in order. */
#ifndef TZ_SYNC_LOCAL_H
#define TZ_SYNC_LOCAL_H

/* In a fork child, where another thread may have held the lock of the keys. */
void tz_local_after_fork(void);

#endif
