/* The one atomic access that <stdatomic.h> says in two ways of which one is safer. */
#ifndef TZ_OS_ATOMIC_H
#define TZ_OS_ATOMIC_H

#include <stdatomic.h>

/* A seq_cst store: no seq_cst load behind it goes ahead of it. It is half of each "I change this, then look whether you sleep; you say
 * that you sleep, then look whether it has changed".
 *
 * An exchange, whose result nobody wants. On x86-64 both are one and the same instruction. On aarch64 a store would be `stlr`, which a later `ldar`
 * does not pass on a processor, but does under QEMU's user emulation on x86-64 (7.2: up to 4 in a million times with two threads that do nothing
 * else; an exchange: never), where containers for the other architecture run: there a wake-up was lost now and then. */
#define tz_store_seq_cst(object, value) ((void)atomic_exchange_explicit((object), (value), memory_order_seq_cst))

#endif
