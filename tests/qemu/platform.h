// What differs between the program of 64 bits (4 and 5 levels) and that of 32 bits (2 levels): its own mappings, and probes.
//
// Contract: none. SDM vol. 3A, 4.3 and 4.5; 6.14 (handlers). Counterpart: none.
//
// *Home* is the state between two cases: all of RAM that is used can be reached, and CR3 holds tables that no case touches. A case has
// tables of its own, in which the program maps itself at places of the top-level table that the case leaves free. It maps RAM
// there as well, so that between two steps it can look at memory without touching CR3, which would empty the TLBs.
#pragma once

#include "basics.h"

#ifdef __x86_64__
constexpr bool IS_LONG = true;
#else
constexpr bool IS_LONG = false;
#endif

constexpr unsigned ENTRY_BYTES = IS_LONG ? 8 : 4;
constexpr unsigned INDEX_BITS = IS_LONG ? 9 : 10;
constexpr unsigned FRAME_BITS = 12;
constexpr u32 TABLE_ENTRIES = 1u << INDEX_BITS;

// The bits that the index of `level` stands above.
constexpr unsigned level_shift(int level) { return FRAME_BITS + INDEX_BITS * static_cast<unsigned>(level - 1); }

// Segments: code and data for each privilege level, then the task state.
constexpr u16 code_segment(u16 level) { return static_cast<u16>(0x08 + 0x10 * level) | level; }
constexpr u16 data_segment(u16 level) { return static_cast<u16>(0x10 + 0x10 * level) | level; }
constexpr u16 TASK_SEGMENT = 0x48;

// Patches of RAM, 2 MiB each, spread over the physical addresses.
constexpr u32 PATCHES_MAX = 64;
constexpr unsigned PATCH_BITS = 21;

struct Settings {
    u64 seed;
    u32 cases;
    unsigned maxphy;
    int levels;
    u32 patches;
    u64 patch[PATCHES_MAX];
};

// The registers of a case. MOV to CR3 comes last.
struct Registers {
    u64 cr0, cr3, cr4, efer;
    u32 pkru;
};

// What a probe may be.
enum class Kind : u8 { Read, Write, Fetch };

struct Probe {
    Kind kind;
    u8 cpl;
    bool ac;
    u64 va;
    u64 value;  // for a write
};

// Vector of the interrupt by which a probe says that it succeeded.
constexpr u32 SUCCESS = 0x81;

struct Outcome {
    u32 vector;
    u32 error_code;
    u64 cr2;
    u64 value;  // read, or loaded by the code that was fetched
};

// Settles at the place that `settings` gives for the program's own mappings; then everything below may be used, and `then` goes on.
[[noreturn]] void settle(const Settings& settings, void (*then)(const Settings&));

// Whether this place of a top-level table is the program's own.
bool is_own_slot(u32 index);
// Writes the program's own entries into a case's top-level table, or restores what was there.
void add_own_entries(u64 table, bool pse);
void remove_own_entries(u64 table);

// RAM at a physical address: valid at home, and under a case's tables. `address` must be in a patch.
volatile void* window(u64 address);

// From home to a case with all TLBs empty, and back. `regs` gets what the registers read as.
void enter(Registers& regs);
void leave();

// Makes an access. All registers but those of `probe_from` survive, whatever comes of it.
Outcome probe(const Probe& probe);

// Defined in assembler: entries of the exceptions 0 to 31 and of the interrupt, 16 bytes apart; the end of the stack that they run on;
// what the last one left; the code of probes.
extern "C" {
extern const char exception_entries[], probe_read[], probe_write[];
extern char exception_stack_end[];
extern volatile Outcome outcome;
extern volatile word exception_rip;
void probe_from(word rip, word cs, word ss, word flags, word address, word value);
}
