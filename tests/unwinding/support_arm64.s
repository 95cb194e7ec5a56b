// What the compiled code needs and a library would give.
    .text
    .globl stop
stop:
    brk #0
    ret

// Probes the stack for a large frame: x15 holds its size in units of 16 bytes.
    .globl __chkstk
__chkstk:
    sub x17, sp, x15, lsl #4
    ret

// Forms that the compiler seldom emits: pairs after pairs, registers of floating point first, a far frame pointer.
    .globl assembled
    .def assembled; .scl 2; .type 32; .endef
    .seh_proc assembled
assembled:
    stp x19, x20, [sp, #-96]!
    .seh_save_r19r20_x 96
    stp x21, x22, [sp, #16]
    .seh_save_next
    stp x23, x24, [sp, #32]
    .seh_save_next
    stp d8, d9, [sp, #48]
    .seh_save_fregp d8, 48
    str d10, [sp, #64]
    .seh_save_freg d10, 64
    stp x25, lr, [sp, #80]
    .seh_save_lrpair x25, 80
    stp x29, lr, [sp, #-32]!
    .seh_save_fplr_x 32
    add x29, sp, #16
    .seh_add_fp 16
    nop
    .seh_nop
    sub sp, sp, #64
    .seh_stackalloc 64
    .seh_endprologue
    mov x19, x0
    mov x24, x0
    fmov d8, x0
    bl leaf
    mov x25, x0
    bl small_frame
    sub sp, sp, #48
    add x0, x0, x25
    bl second
    add x0, x0, x24
    .seh_startepilogue
    sub sp, x29, #16
    .seh_add_fp 16
    ldp x29, lr, [sp], #32
    .seh_save_fplr_x 32
    ldp x25, lr, [sp, #80]
    .seh_save_lrpair x25, 80
    ldr d10, [sp, #64]
    .seh_save_freg d10, 64
    ldp d8, d9, [sp, #48]
    .seh_save_fregp d8, 48
    ldp x23, x24, [sp, #32]
    .seh_save_regp x23, 32
    ldp x21, x22, [sp, #16]
    .seh_save_regp x21, 16
    ldp x19, x20, [sp], #96
    .seh_save_r19r20_x 96
    .seh_endepilogue
    ret
    .seh_endproc

    .seh_proc second
second:
    stp d8, d9, [sp, #-32]!
    .seh_save_fregp_x d8, 32
    str lr, [sp, #16]
    .seh_save_reg lr, 16
    str d10, [sp, #-16]!
    .seh_save_freg_x d10, 16
    str x19, [sp, #-16]!
    .seh_save_reg_x x19, 16
    .seh_endprologue
    mov x19, x0
    fmov d10, x0
    bl leaf
    add x0, x0, x19
    .seh_startepilogue
    ldr x19, [sp], #16
    .seh_save_reg_x x19, 16
    ldr d10, [sp], #16
    .seh_save_freg_x d10, 16
    ldr lr, [sp, #16]
    .seh_save_reg lr, 16
    ldp d8, d9, [sp], #32
    .seh_save_fregp_x d8, 32
    .seh_endepilogue
    ret
    .seh_endproc

    .globl __C_specific_handler
__C_specific_handler:
    ret

    .data
    .globl _fltused
_fltused:
    .word 1
