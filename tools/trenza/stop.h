/* stop.h: the user's wish to stop (Ctrl-C), seen by everything that waits. */
#ifndef TRENZA_TOOL_STOP_H
#define TRENZA_TOOL_STOP_H

/*
 * From now on SIGINT, SIGTERM and SIGHUP ask the program to stop instead of ending it; a second one
 * ends it. To be called once, before other threads start. Errors: -errno.
 */
int stop_watch(void);

/* Why to stop: a signal, or the -errno of an output that cannot be written; 0: go on. */
int stop_asked(void);

/* A descriptor that becomes readable, and stays so, when stop_asked() does; -1 before
   stop_watch(). */
int stop_descriptor(void);

/* Asks to stop: `why` is what stop_asked() is to answer from now on. */
void stop_now(int why);

/* Ends the program as the signal would have, so that a shell that waits for it sees what
   happened. */
_Noreturn void stop_die(int signal);

#endif
