/* A function's name: how a function of this program is called where its address is another one. For initializers and finalizers of workers, which are
 * plain functions and no tasks. The worker is of the same program and the same parent, so what it is told is not checked as what comes from strangers. */
#ifndef TZ_EXEC_PROCESS_FUNCTION_H
#define TZ_EXEC_PROCESS_FUNCTION_H

#include "exec/process/terms.h"

/* 0; -ENOEXEC: it is in no module; -ENAMETOOLONG. */
int term_function_name(void (*fn)(void), struct term_function *ret);

/* Loads its module if need be. NULL: it is not there. */
void (*term_function_find(const struct term_function *name))(void);

#endif
