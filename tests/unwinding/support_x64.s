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

# A function in two parts: the second saves a register more, and its unwind data are chained to those of the first.
    .globl assembled
    .def assembled; .scl 2; .type 32; .endef
    .seh_proc assembled
assembled:
    pushq %rbx
    .seh_pushreg %rbx
    subq $0x60, %rsp
    .seh_stackalloc 0x60
    .seh_endprologue
    movq %rcx, %rbx
    callq leaf
    addq %rax, %rbx
    jmp assembled_rest
assembled_end:
    movq %rbx, %rax
    addq $0x60, %rsp
    popq %rbx
    ret
    .seh_startchained
assembled_rest:
    movq %rsi, 0x30(%rsp)
    .seh_savereg %rsi, 0x30
    movaps %xmm6, 0x40(%rsp)
    .seh_savexmm %xmm6, 0x40
    .seh_endprologue
    movq %rbx, %rsi
    movq %rbx, %rcx
    xorps %xmm6, %xmm6
    callq small_frame
    leaq (%rax,%rsi), %rbx
    movq %rsi, %rcx
    callq leaf
    addq %rax, %rbx
    movaps 0x40(%rsp), %xmm6
    movq 0x30(%rsp), %rsi
    jmp assembled_end
    .seh_endchained
    .seh_endproc

    .globl __C_specific_handler
__C_specific_handler:
    ret

    .data
    .globl _fltused
_fltused:
    .long 1
