# Start and probes of the 32-bit program: from multiboot to protected mode of its own, and every exception's entry.
#
# Contract: none. SDM vol. 3A, 9.8 (protected mode), 6.12.1 (stacks of handlers). Counterpart: boot64.S.

.set STACK_BYTES, 0x8000
# Data segments: of CPL 0, and of CPL 3, which every level may use.
.set KERNEL_DATA, 0x10
.set ANY_DATA, 0x43

.section .header, "a"
.balign 4
header:
    .long 0x1BADB002                     # the multiboot magic
    .long 1 << 16                        # the addresses are in this header
    .long -(0x1BADB002 + (1 << 16))
    .long header
    .long image_start
    .long image_end
    .long bss_end
    .long start

.text
start:
    cld
    mov %ebx, %esi                       # multiboot's information
    xor %eax, %eax                       # nobody promised that .bss is zero
    mov $bss_start, %edi
    mov $bss_end, %ecx
    sub %edi, %ecx
    rep stosb
    mov $stack_end, %esp
    pushl 16(%esi)                       # the command line
    call oracle_main
    hlt

# void reload_segments(): takes the descriptors of the table that is loaded.
.global reload_segments
reload_segments:
    mov $KERNEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    ljmp $8, $1f
1:  ret

# void probe_from(word eip, word cs, word ss, word flags, word address, word value). Comes back through an exception's entry.
.global probe_from
probe_from:
    push %ebx
    push %ebp
    push %esi
    push %edi
    mov %esp, probe_stack
    mov %esp, %ebp
    mov 36(%ebp), %esi
    mov 40(%ebp), %eax
    mov 24(%ebp), %ecx
    test $3, %ecx
    jz 1f
    pushl 28(%ebp)                       # to another level: its stack too, which nothing uses
    push $0
1:  pushl 32(%ebp)
    push %ecx
    pushl 20(%ebp)
    mov $ANY_DATA, %ecx
    mov %ecx, %ds
    mov %ecx, %es
    iret

# What a probe runs, at CPL 0 in the program's own page, at the other levels in another mapping of it.
.global probe_read, probe_write
probe_read:
    mov (%esi), %eax
    int $0x81
probe_write:
    mov %eax, (%esi)
    int $0x81

# Exception entries 0 to 31, 16 bytes apart, then that of the interrupt 0x81.
.balign 16
.global exception_entries
exception_entries:
.set number, 0
.rept 32
    .balign 16
    .if (number == 8) || (number == 10) || (number == 11) || (number == 12) || (number == 13) || (number == 14) || (number == 17) || (number == 21)
    .else
    push $0
    .endif
    push $number
    jmp exception
    .set number, number + 1
.endr
    .balign 16
    push $0
    push $0x81
    jmp exception

exception:
    mov $KERNEL_DATA, %ecx
    mov %ecx, %ds
    mov %ecx, %es
    mov %eax, outcome + 16
    pop %eax
    mov %eax, outcome
    pop %eax
    mov %eax, outcome + 4
    mov %cr2, %eax
    mov %eax, outcome + 8
    mov (%esp), %eax
    mov %eax, exception_rip
    mov probe_stack, %esp
    test %esp, %esp
    jz 1f
    movl $0, probe_stack
    push $2
    popf
    pop %edi
    pop %esi
    pop %ebp
    pop %ebx
    ret
1:  mov $exception_stack_end, %esp       # not in a probe: the program itself is wrong
    call unexpected_exception

.bss
.balign 4096
.skip STACK_BYTES
stack_end:
.skip STACK_BYTES
.global exception_stack_end
exception_stack_end:
probe_stack: .skip 4
.balign 8
.global outcome, exception_rip
outcome: .skip 24
exception_rip: .skip 4

.section .note.GNU-stack, "", @progbits
