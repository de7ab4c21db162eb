// One case: registers, page tables, accesses; and what came of them.
//
// Contract: none. SDM vol. 3A, 4.3, 4.5 and 4.7. Counterpart: src/conform/vector.rs, which reads what `print` writes.
#pragma once

#include "platform.h"

constexpr u32 ENTRIES_MAX = 10, STEPS_MAX = 3;

constexpr u64 P = bit(0), RW = bit(1), US = bit(2), PWT = bit(3), PCD = bit(4), A = bit(5), D = bit(6), PS = bit(7), G = bit(8),
              XD = bit(63);

constexpr u64 CR0_PE = bit(0), CR0_ET = bit(4), CR0_WP = bit(16), CR0_PG = bit(31);
constexpr u64 CR4_PSE = bit(4), CR4_PAE = bit(5), CR4_PGE = bit(7), CR4_LA57 = bit(12), CR4_SMEP = bit(20), CR4_SMAP = bit(21),
              CR4_PKE = bit(22);
constexpr u64 EFER_LME = bit(8), EFER_LMA = bit(10), EFER_NXE = bit(11);

struct Entry {
    int level;
    u64 address, value;
    volatile void* at;  // where it is in the program's own mapping
};

// An address, and how it is mapped if no entry on the way forbids it.
struct Path {
    u64 va;
    u64 target;     // the physical address; in RAM
    int leaf;       // the level of the leaf
    u64 table[6];   // by level: the table's address
};

enum Quirk : u32 { RSVD_P = 1, A_1G_FAULT = 2 };

struct Step {
    Probe probe;
    const Path* path;
    // What came of it.
    u32 vector;  // 0: success
    u32 error_code, error_code_manual;
    u64 cr2, pa;
    u64 after[ENTRIES_MAX];
};

struct Case {
    Registers regs;
    int levels;
    u32 paths;
    Path path[2];
    u32 entries;
    Entry entry[ENTRIES_MAX];
    u32 steps;
    Step step[STEPS_MAX];
    u32 quirks;
};

// Draws a case for the machine of `settings`. Nothing is written to memory.
void draw(Case& c, const Settings& settings, Random& random);
// Performs it: fills in what came of it.
void perform(Case& c, const Settings& settings);
// Prints it as one line of JSON.
void print(const Case& c, const Settings& settings, u32 number);
