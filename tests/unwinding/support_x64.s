# What the compiled code needs and a library would give, and forms that the compiler does not emit.
    .text
    .globl stop
stop:
    int3
    ret

# Probes the stack for a large frame: rax holds its size, every register is preserved.
    .globl __chkstk
    .def __chkstk; .scl 2; .type 32; .endef
    .seh_proc __chkstk
__chkstk:
    subq $16, %rsp
    .seh_stackalloc 16
    movq %r10, (%rsp)
    movq %r11, 8(%rsp)
    .seh_endprologue
    leaq 24(%rsp), %r10
    subq %rax, %r10
    movq (%rsp), %r10
    movq 8(%rsp), %r11
    addq $16, %rsp
    ret
    .seh_endproc

    .globl __C_specific_handler
__C_specific_handler:
    ret

    .data
    .globl _fltused
_fltused:
    .long 1
