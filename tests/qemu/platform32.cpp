// The program of 32 bits: two-level paging. Its own mappings take 66 places in a case's page directory.
//
// Contract: none. SDM vol. 3A, 4.3 (32-bit paging), 4.4 (PAE paging, at home); 5.3 and 6.12 (descriptors, handlers).
// Counterpart: platform64.cpp.
//
// Place 0 maps the first 4 MiB, in which the program lies (supervisor). From a place on that the seed decides: one for each patch of RAM,
// mapping the 4 MiB that hold it (supervisor); then one that maps the first 4 MiB for probes of other levels (user, read-only).
// At home these stand in PAE paging, whose entries have 64 bits: that high patches are reached there without PSE-36 is what proves
// the addresses that cases reach with it.
#include "case.h"
#include "output.h"
#include "ram.h"

extern "C" void reload_segments();

namespace {

constexpr word FLAGS = 2, FLAG_AC = bit(18);

constexpr unsigned PLACE_BITS = 22;  // what an entry of a page directory spans
constexpr u64 HOME_CR0 = CR0_PE | CR0_ET | CR0_PG;

struct alignas(4096) Table {
    u32 entry[TABLE_ENTRIES];
};
struct alignas(4096) PaeTable {
    u64 entry[512];
};
struct __attribute__((packed)) TaskState {
    u32 link, stack, stack_segment, others[22];
    u16 trap, io_map;
};
struct __attribute__((packed)) Pointer {
    u16 limit;
    u32 base;
};

// At home.
alignas(32) u64 home_pdpt[4];
PaeTable home_pd[4];
// In a case: the tables that its directory refers to. None of them is touched by a case.
Table first_pt, user_pt, patch_pt[PATCHES_MAX];

TaskState task;
u64 gdt[TASK_SEGMENT / 8 + 1];
u64 idt[256];

u32 own_place;  // of the first patch
u32 patches;
u64 patch[PATCHES_MAX];

u32 user_place() { return own_place + PATCHES_MAX; }

u32 physical(const void* symbol) { return reinterpret_cast<word>(symbol); }

u64 gate(const char* entry, unsigned privilege) {
    u64 at = reinterpret_cast<word>(entry);
    u64 type = 0x8E | privilege << 5;  // present, interrupt gate
    return (at & 0xFFFF) | u64{code_segment(0)} << 16 | type << 40 | at >> 16 << 48;
}

void load_descriptors() {
    u64 at = reinterpret_cast<word>(&task);
    task.stack = reinterpret_cast<word>(exception_stack_end);
    task.stack_segment = data_segment(0);
    task.io_map = sizeof task;
    for (u16 level = 0; level < 4; level++) {
        gdt[code_segment(level) / 8] = 0x00CF9A000000FFFF | u64{level} << 45;
        gdt[data_segment(level) / 8] = 0x00CF92000000FFFF | u64{level} << 45;
    }
    gdt[TASK_SEGMENT / 8] = (sizeof task - 1) | (at & 0xFFFFFF) << 16 | u64{0x89} << 40 | (at >> 24) << 56;
    for (u32 vector = 0; vector < 32; vector++) idt[vector] = gate(exception_entries + 16 * vector, 0);
    idt[SUCCESS] = gate(exception_entries + 16 * 32, 3);
    Pointer to_gdt{sizeof gdt - 1, physical(gdt)};
    Pointer to_idt{sizeof idt - 1, physical(idt)};
    asm volatile("lgdt %0" : : "m"(to_gdt));
    asm volatile("lidt %0" : : "m"(to_idt));
    reload_segments();
    asm volatile("ltr %0" : : "r"(TASK_SEGMENT));
}

// A is set throughout, so that walks of the program's own mappings write nothing.
void fill_home_tables() {
    for (u32 i = 0; i < 4; i++) home_pdpt[i] = physical(&home_pd[i]) | P;
    auto map = [](u64 va, u64 pa) { home_pd[va >> 30].entry[va >> PATCH_BITS & 511] = pa | P | RW | PS | A | D; };
    map(0, 0);
    map(bit(PATCH_BITS), bit(PATCH_BITS));
    for (u32 i = 0; i < patches; i++) map(u64{own_place + i} << PLACE_BITS | (patch[i] & bit(PATCH_BITS)), patch[i]);
}

bool is_low(u64 address) { return address >> 32 == 0; }

void fill_case_tables() {
    for (u32 i = 0; i < TABLE_ENTRIES; i++) {
        u32 frame = i << FRAME_BITS;
        first_pt.entry[i] = static_cast<u32>(frame | P | RW | A | D);
        user_pt.entry[i] = static_cast<u32>(frame | P | US | A | D);
        for (u32 n = 0; n < patches; n++) {
            u32 start = static_cast<u32>(patch[n]) & ~static_cast<u32>(low_bits(PLACE_BITS));
            bool is_inside = (start + frame) >> PATCH_BITS == patch[n] >> PATCH_BITS;
            if (is_low(patch[n]) && is_inside) patch_pt[n].entry[i] = static_cast<u32>((start + frame) | P | RW | A | D);
        }
    }
}

// What a case's directory holds at a place of the program's own.
u32 own_entry(u32 place, bool pse) {
    if (place == 0) return static_cast<u32>(physical(&first_pt) | P | RW | A);
    if (place == user_place()) return static_cast<u32>(physical(&user_pt) | P | US | A);
    u32 n = place - own_place;
    if (n >= patches) return 0;
    if (is_low(patch[n])) return static_cast<u32>(physical(&patch_pt[n]) | P | RW | A);
    if (!pse) return 0;  // no case can reach it either
    u64 start = patch[n] & ~low_bits(PLACE_BITS);
    return static_cast<u32>((start & low_bits(32)) | (start >> 32) << 13 | P | RW | PS | A | D);
}

// Does something with every place of the program's own.
template <typename Action> void each_own_place(Action action) {
    action(0u);
    for (u32 place = own_place; place <= user_place(); place++) action(place);
}

}  // namespace

void settle(const Settings& settings, void (*then)(const Settings&)) {
    Random random(settings.seed ^ 0x70CA7E);
    own_place = 1 + random.below(TABLE_ENTRIES - PATCHES_MAX - 1);
    patches = settings.patches;
    for (u32 i = 0; i < patches; i++) patch[i] = settings.patch[i];
    load_descriptors();
    fill_home_tables();
    fill_case_tables();
    write_msr(EFER, 0);
    leave();
    then(settings);
    give_up("the program returned");
}

bool is_own_slot(u32 index) { return index == 0 || (index >= own_place && index <= user_place()); }

void add_own_entries(u64 table, bool pse) {
    auto* entry = static_cast<volatile u32*>(window(table));
    each_own_place([&](u32 place) { entry[place] = own_entry(place, pse); });
}

void remove_own_entries(u64 table) {
    each_own_place([&](u32 place) { restore(table + ENTRY_BYTES * place); });
}

volatile void* window(u64 address) {
    for (u32 i = 0; i < patches; i++) {
        if (address >> PATCH_BITS == patch[i] >> PATCH_BITS) {
            return reinterpret_cast<volatile void*>((own_place + i) << PLACE_BITS | static_cast<u32>(address & low_bits(PLACE_BITS)));
        }
    }
    give_up("no patch of RAM holds this address", address);
}

void enter(Registers& regs) {
    write_cr4(CR4_PAE | CR4_PKE);
    write_pkru(regs.pkru);
    write_cr0(CR0_PE | CR0_ET);  // no paging: every TLB is empty, and global entries are gone too
    write_msr(EFER, regs.efer);
    write_cr4(static_cast<word>(regs.cr4));
    write_cr3(static_cast<word>(regs.cr3));
    write_cr0(static_cast<word>(regs.cr0));
    regs.cr0 = read_cr0();
    regs.cr3 = read_cr3();
    regs.cr4 = read_cr4();
    regs.efer = read_msr(EFER);
}

void leave() {
    write_cr0(CR0_PE | CR0_ET);
    write_cr4(CR4_PAE);
    write_cr3(physical(home_pdpt));
    write_cr0(HOME_CR0);
}

Outcome probe(const Probe& probe) {
    word rip = static_cast<word>(probe.va);
    if (probe.kind != Kind::Fetch) {
        rip = reinterpret_cast<word>(probe.kind == Kind::Read ? probe_read : probe_write);
        // User code has a mapping of its own: SMEP forbids the supervisor's levels to use it.
        if (probe.cpl == 3) rip += user_place() << PLACE_BITS;
    }
    probe_from(rip, code_segment(probe.cpl), data_segment(probe.cpl), FLAGS | (probe.ac ? FLAG_AC : 0), static_cast<word>(probe.va),
               static_cast<word>(probe.value));
    return {outcome.vector, outcome.error_code, outcome.cr2, outcome.value};
}
