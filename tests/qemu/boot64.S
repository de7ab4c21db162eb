# Start and probes of the 64-bit program: from multiboot to long mode with 4 or 5 levels, and every exception's entry.
#
# Contract: none. SDM vol. 3A, 9.8.5 (entering IA-32e mode), 6.14 (stacks of handlers). Counterpart: boot32.S.

.set STACK_BYTES, 0x8000
.set CR0_PG, 1 << 31
.set CR4_PAE, 1 << 5
.set CR4_LA57, 1 << 12
.set EFER_LME, 1 << 8

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
.code32
start:
    cld
    mov %ebx, %esi                       # multiboot's information
    xor %eax, %eax                       # nobody promised that .bss is zero
    mov $bss_start, %edi
    mov $bss_end, %ecx
    sub %edi, %ecx
    rep stosb
    mov $stack_end, %esp
    mov 16(%esi), %esi                   # the command line; it ends with the number of levels
    mov %esi, command_line
    mov %esi, %edi
    or $-1, %ecx
    repne scasb
    mov -2(%edi), %bl

    # The first GiB mapped one to one, by pages of 2 MiB.
    mov $boot_pd, %edi
    mov $0x83, %eax
1:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    cmp $boot_pd + 4096, %edi
    jne 1b
    movl $boot_pd + 3, boot_pdpt
    movl $boot_pdpt + 3, boot_pml4
    movl $boot_pml4 + 3, boot_pml5

    mov $CR4_PAE, %eax
    mov $boot_pml4, %edx
    cmp $'5', %bl
    jne 2f
    or $CR4_LA57, %eax
    mov $boot_pml5, %edx
2:  mov %eax, %cr4
    mov %edx, %cr3
    mov $0xC0000080, %ecx
    rdmsr
    or $EFER_LME, %eax
    wrmsr
    mov %cr0, %eax
    or $CR0_PG, %eax
    mov %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $8, $long_mode

.code64
long_mode:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov command_line(%rip), %edi
    call oracle_main
    hlt

# void settle_on(word base, void (*then)(const Settings&), const Settings*): goes on in the mapping at `base`.
.global settle_on
settle_on:
    lea stack_end(%rip), %rsp
    add %rdi, %rsp
    add %rdi, %rsi
    add %rdi, %rdx
    mov %rdx, %rdi
    call *%rsi
    hlt

# void probe_from(word rip, word cs, word ss, word flags, word address, word value). Comes back through an exception's entry.
.global probe_from
probe_from:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, probe_stack(%rip)
    push %rdx
    push $0
    push %rcx
    push %rsi
    push %rdi
    mov %r8, %rsi
    mov %r9, %rax
    iretq

# What a probe runs, at CPL 0 in the program's own page, at CPL 3 in another mapping of it.
.global probe_read, probe_write
probe_read:
    mov (%rsi), %rax
    int $0x81
probe_write:
    mov %rax, (%rsi)
    int $0x81

# Exception entries 0 to 31, 16 bytes apart, then that of the interrupt 0x81. They run on a stack of their own.
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
    mov %rax, outcome + 16(%rip)
    pop %rax
    mov %eax, outcome(%rip)
    pop %rax
    mov %eax, outcome + 4(%rip)
    mov %cr2, %rax
    mov %rax, outcome + 8(%rip)
    mov (%rsp), %rax
    mov %rax, exception_rip(%rip)
    mov probe_stack(%rip), %rsp
    test %rsp, %rsp
    jz 1f
    movq $0, probe_stack(%rip)
    push $2
    popf
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
1:  lea exception_stack_end(%rip), %rsp  # not in a probe: the program itself is wrong
    call unexpected_exception

.section .rodata
.balign 8
boot_gdt:
    .quad 0, 0x00AF9A000000FFFF, 0x00CF92000000FFFF
boot_gdt_pointer:
    .short 23
    .long boot_gdt

.bss
.balign 4096
boot_pml5: .skip 4096
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd: .skip 4096
.skip STACK_BYTES
stack_end:
.skip STACK_BYTES
.global exception_stack_end
exception_stack_end:
command_line: .skip 8
probe_stack: .skip 8
.global outcome, exception_rip
outcome: .skip 24
exception_rip: .skip 8

.section .note.GNU-stack, "", @progbits
