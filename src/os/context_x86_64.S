/* Where a context begins on x86-64. See context.h. */
#if defined(__x86_64__) && !defined(__ILP32__) && !defined(TZ_UCONTEXT)

	.text
	.globl tz_context_start
	.hidden tz_context_start
	.type tz_context_start, @function
	.p2align 4
/* Comes by a jump, with a stack that holds the function to call and its argument. */
tz_context_start:
	.cfi_startproc
	.cfi_undefined %rip	/* there is no caller: unwinding ends here */
#if defined(__CET__) && (__CET__ & 1)
	endbr64
#endif
	movq 0(%rsp), %rax
	movq 8(%rsp), %rdi
	xorl %ebp, %ebp
	call *%rax		/* the stack pointer is a multiple of 16 */
	ud2			/* it must not return */
	.cfi_endproc
	.size tz_context_start, . - tz_context_start

/* Fit for indirect-branch tracking; not for shadow stacks. */
#if defined(__CET__) && (__CET__ & 1)
	.section .note.gnu.property, "a"
	.p2align 3
	.long 4
	.long 16
	.long 5
	.asciz "GNU"
	.long 0xc0000002
	.long 4
	.long 1
	.long 0
#endif

#endif
	.section .note.GNU-stack, "", %progbits
