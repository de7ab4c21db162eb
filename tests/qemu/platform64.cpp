// The program of 64 bits: 4-level and 5-level paging, one place in the top-level table for its own mappings.
//
// Contract: none. SDM vol. 3A, 4.5; 5.3 and 6.14 (descriptors, interrupt stacks). Counterpart: platform32.cpp.
//
// The place is drawn from the seed. Below it: GiB 0 maps physical memory from 0 (supervisor), GiB 1 does so once more for user code
// (read-only), GiB 2 maps the patches of RAM one after the other (supervisor).
#include "case.h"
#include "output.h"
#include "ram.h"

extern "C" [[noreturn]] void settle_on(word base, void (*then)(const Settings&), const Settings* settings);

namespace {

constexpr u64 GIB = bit(30);
constexpr u64 FLAGS = 2, FLAG_AC = bit(18);

// A table of the program's own. None of it is touched by a case.
struct alignas(4096) Table {
    u64 entry[TABLE_ENTRIES];
};
Table home_table, own_pml4, own_pdpt, supervisor_pd, user_pd, patch_pd;

struct __attribute__((packed)) TaskState {
    u32 reserved0;
    u64 stack[3];
    u64 reserved1;
    u64 interrupt_stack[7];
    u64 reserved2;
    u16 reserved3, io_map;
};
struct __attribute__((packed)) Pointer {
    u16 limit;
    u64 base;
};
struct Gate {
    u64 low, high;
};

TaskState task;
u64 gdt[TASK_SEGMENT / 8 + 2];
Gate idt[256];

word base;  // where the program's own mappings begin
u32 own_slot;
u64 home_cr4;
u32 patches;
u64 patch[PATCHES_MAX];

// A symbol's address here, in the program's own mapping, is its physical address above `base`.
u64 physical(const void* symbol) { return reinterpret_cast<word>(symbol) & (GIB - 1); }

Gate gate(const char* entry, unsigned privilege) {
    u64 at = reinterpret_cast<word>(entry);
    u64 type = 0x8E | privilege << 5;  // present, interrupt gate
    return {(at & 0xFFFF) | u64{code_segment(0)} << 16 | u64{1} << 32 | type << 40 | (at >> 16 & 0xFFFF) << 48, at >> 32};
}

void load_descriptors() {
    u64 at = reinterpret_cast<word>(&task);
    task.interrupt_stack[0] = reinterpret_cast<word>(exception_stack_end);
    task.io_map = sizeof task;
    for (u16 level = 0; level < 4; level++) {
        gdt[code_segment(level) / 8] = 0x00AF9A000000FFFF | u64{level} << 45;
        gdt[data_segment(level) / 8] = 0x00CF92000000FFFF | u64{level} << 45;
    }
    gdt[TASK_SEGMENT / 8] = (sizeof task - 1) | (at & 0xFFFFFF) << 16 | u64{0x89} << 40 | (at >> 24 & 0xFF) << 56;
    gdt[TASK_SEGMENT / 8 + 1] = at >> 32;
    for (u32 vector = 0; vector < 32; vector++) idt[vector] = gate(exception_entries + 16 * vector, 0);
    idt[SUCCESS] = gate(exception_entries + 16 * 32, 3);
    Pointer to_gdt{sizeof gdt - 1, reinterpret_cast<word>(gdt)};
    Pointer to_idt{sizeof idt - 1, reinterpret_cast<word>(idt)};
    asm volatile("lgdt %0" : : "m"(to_gdt));
    asm volatile("lidt %0" : : "m"(to_idt));
    asm volatile("ltr %0" : : "r"(TASK_SEGMENT));
}

u64 own_entry(int levels) { return physical(levels == 5 ? &own_pml4 : &own_pdpt) | P | RW | US | A; }

// A is set throughout, so that walks of the program's own mappings write nothing.
void fill_own_tables() {
    own_pml4.entry[0] = physical(&own_pdpt) | P | RW | US | A;
    own_pdpt.entry[0] = physical(&supervisor_pd) | P | RW | A;
    own_pdpt.entry[1] = physical(&user_pd) | P | US | A;
    own_pdpt.entry[2] = physical(&patch_pd) | P | RW | A;
    for (u32 i = 0; i < TABLE_ENTRIES; i++) supervisor_pd.entry[i] = u64{i} << PATCH_BITS | P | RW | PS | A | D;
    user_pd.entry[0] = P | US | PS | A | D;
    for (u32 i = 0; i < patches; i++) patch_pd.entry[i] = patch[i] | P | RW | PS | A | D;
}

word canonical(u64 address, int levels) {
    unsigned unused = 64 - level_shift(levels) - INDEX_BITS;
    return static_cast<word>(static_cast<int64_t>(address << unused) >> unused);
}

void (*go_on)(const Settings&);

void settled(const Settings& settings) {
    load_descriptors();
    write_cr3(physical(&home_table));
    // As physical addresses stay what they are, so does this pointer to a function, up to the base.
    auto at = reinterpret_cast<word>(go_on);
    reinterpret_cast<void (*)(const Settings&)>((at & (GIB - 1)) + base)(settings);
    give_up("the program returned");
}

}  // namespace

void settle(const Settings& settings, void (*then)(const Settings&)) {
    Random random(settings.seed ^ 0x70CA7E);
    own_slot = random.below(TABLE_ENTRIES);
    patches = settings.patches;
    for (u32 i = 0; i < patches; i++) patch[i] = settings.patch[i];
    base = canonical(u64{own_slot} << level_shift(settings.levels), settings.levels);
    go_on = then;
    fill_own_tables();
    home_cr4 = read_cr4();
    home_table.entry[own_slot] = own_entry(settings.levels);
    // The tables that the start used get the new place too: the jump there needs both.
    auto* boot = reinterpret_cast<u64*>(read_cr3());
    boot[own_slot] = own_entry(settings.levels);
    settle_on(base, settled, &settings);
}

bool is_own_slot(u32 index) { return index == own_slot; }

void add_own_entries(u64 table, bool) {
    auto* entry = static_cast<volatile u64*>(window(table + 8 * own_slot));
    *entry = home_table.entry[own_slot];
}

void remove_own_entries(u64 table) { restore(table + 8 * own_slot); }

volatile void* window(u64 address) {
    for (u32 i = 0; i < patches; i++) {
        if (address >> PATCH_BITS == patch[i] >> PATCH_BITS) {
            return reinterpret_cast<volatile void*>(base + 2 * GIB + (u64{i} << PATCH_BITS) + (address & low_bits(PATCH_BITS)));
        }
    }
    give_up("no patch of RAM holds this address", address);
}

void enter(Registers& regs) {
    write_cr4(home_cr4 | CR4_PGE | CR4_PKE);
    write_pkru(regs.pkru);
    write_cr4(home_cr4);  // PGE changes: every TLB is empty, and global entries are gone too
    write_msr(EFER, regs.efer);
    write_cr0(regs.cr0);
    write_cr4(regs.cr4 | home_cr4);
    write_cr3(regs.cr3);
    regs.cr0 = read_cr0();
    regs.cr3 = read_cr3();
    regs.cr4 = read_cr4();
    regs.efer = read_msr(EFER);
}

void leave() {
    write_cr3(physical(&home_table));
    write_cr4(home_cr4);
}

Outcome probe(const Probe& probe) {
    bool user = probe.cpl == 3;
    word rip = probe.va;
    if (probe.kind != Kind::Fetch) {
        rip = reinterpret_cast<word>(probe.kind == Kind::Read ? probe_read : probe_write) + (user ? GIB : 0);
    }
    probe_from(rip, code_segment(probe.cpl), data_segment(probe.cpl), FLAGS | (probe.ac ? FLAG_AC : 0), probe.va, probe.value);
    return {outcome.vector, outcome.error_code, outcome.cr2, outcome.value};
}
