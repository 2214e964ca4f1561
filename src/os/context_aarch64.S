/* The switch on aarch64, and where a context begins there. See context.h. */
#if defined(__aarch64__) && defined(__LP64__) && !defined(TZ_UCONTEXT)

	.text
	.globl tz_context_swap
	.hidden tz_context_swap
	.type tz_context_swap, %function
	.p2align 4
/* void tz_context_swap(struct tz_context *from, struct tz_context *to): the registers that a call preserves go to
 * the stack, but the frame pointer, the address to go on at and the stack pointer to `from`. */
tz_context_swap:
	.cfi_startproc
#ifdef __ARM_FEATURE_BTI_DEFAULT
	hint #34		/* bti c */
#endif
	sub sp, sp, #144
	.cfi_def_cfa_offset 144
	stp x19, x20, [sp, #0]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp d8, d9, [sp, #80]
	stp d10, d11, [sp, #96]
	stp d12, d13, [sp, #112]
	stp d14, d15, [sp, #128]
	mov x2, sp
	stp x2, x29, [x0, #0]
	str x30, [x0, #16]
	ldp x2, x29, [x1, #0]
	ldr x30, [x1, #16]
	mov sp, x2
	ldp x19, x20, [sp, #0]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp d8, d9, [sp, #80]
	ldp d10, d11, [sp, #96]
	ldp d12, d13, [sp, #112]
	ldp d14, d15, [sp, #128]
	add sp, sp, #144
	.cfi_def_cfa_offset 0
#ifdef __ARM_FEATURE_BTI_DEFAULT
	ret			/* a branch could not land behind the caller's call */
#else
	br x30
#endif
	.cfi_endproc
	.size tz_context_swap, . - tz_context_swap

	.globl tz_context_start
	.hidden tz_context_start
	.type tz_context_start, %function
	.p2align 4
/* Comes from tz_context_swap, with a stack that holds the function to call and its argument. */
tz_context_start:
	.cfi_startproc
	.cfi_undefined x30	/* there is no caller: unwinding ends here */
	hint #36		/* bti j */
	ldp x1, x0, [sp]
	mov x29, #0
	mov x30, #0
	blr x1
	brk #0			/* it must not return */
	.cfi_endproc
	.size tz_context_start, . - tz_context_start

/* Fit for branch target identification. */
#ifdef __ARM_FEATURE_BTI_DEFAULT
	.section .note.gnu.property, "a"
	.p2align 3
	.long 4
	.long 16
	.long 5
	.asciz "GNU"
	.long 0xc0000000
	.long 4
	.long 1
	.long 0
#endif

#endif
	.section .note.GNU-stack, "", %progbits
