// Performs a case: tables into memory, registers, accesses; finds out where each access went; and puts everything back.
//
// Contract: none. SDM vol. 3A, 4.7 and 4.8. Counterpart: none.
#include "case.h"
#include "output.h"
#include "ram.h"

namespace {

constexpr u32 PAGE_FAULT = 14, GENERAL_PROTECTION = 13;
constexpr u32 EC_P = 1, EC_RSVD = 8;

u64 read_entry(const volatile void* at) {
    return IS_LONG ? *static_cast<const volatile u64*>(at) : *static_cast<const volatile u32*>(at);
}

void write_entry(volatile void* at, u64 value) {
    if (IS_LONG) {
        *static_cast<volatile u64*>(at) = value;
    } else {
        *static_cast<volatile u32*>(at) = static_cast<u32>(value);
    }
}

u64 read_cell(u64 address) {
    auto* half = static_cast<volatile u32*>(window(address));
    return u64{half[1]} << 32 | half[0];
}

// What a write of `step` writes. Its first byte is that of no cell.
u64 mark(u32 step) { return IS_LONG ? 0x1D0FCE5A00C0DE57 + (u64{step} << 8) : 0x00C0DE57 + (step << 8); }

// The content of a cell after a write of `value` there.
u64 written(u64 address, u64 value) {
    return IS_LONG ? value : (pattern(address) & ~low_bits(32)) | (value & low_bits(32));
}

// The cell that one write changed. One store changes one cell: if the cell at `likely` holds the value now, that is where it went.
u64 find_written(u64 likely, u64 value) {
    if (read_cell(likely) == written(likely, value)) {
        restore(likely);
        return likely;
    }
    give_up("a write did not go where the entries say, or it went nowhere", likely);
}

// Where in RAM the step goes if nothing forbids it.
u64 planned(const Step& step) { return step.path->target ^ (step.path->va ^ step.probe.va); }

u64 proven_address(const Step& step, const Outcome& outcome) {
    switch (step.probe.kind) {
    case Kind::Read: {
        u64 cell = cell_of_data(static_cast<u32>(outcome.value));
        if (IS_LONG && outcome.value != pattern(cell)) give_up("a read returned half a cell", outcome.value);
        return cell;
    }
    case Kind::Write: return find_written(planned(step), step.probe.value);
    default: return cell_of_code(static_cast<u32>(outcome.value));
    }
}

// The error code as the manual has it.
u32 manual_code(Case& c, u32 code) {
    if ((code & EC_RSVD) && !(code & EC_P)) {
        c.quirks |= RSVD_P;
        code |= EC_P;
    }
    return code;
}

// The observer sets A in a 1 GiB leaf before it has checked that the leaf may be used.
void note_accessed_leaf(Case& c, const Step& step, const Step* before) {
    for (u32 i = 0; i < c.entries; i++) {
        const Entry& entry = c.entry[i];
        u64 old = before ? before->after[i] : entry.value;
        bool is_1g = entry.level == 3 && (entry.value & PS);
        if (is_1g && !(old & A) && (step.after[i] & A)) c.quirks |= A_1G_FAULT;
    }
}

void observe(Case& c, u32 number) {
    Step& step = c.step[number];
    step.probe.value = mark(number);
    Outcome outcome = probe(step.probe);
    for (u32 i = 0; i < c.entries; i++) step.after[i] = read_entry(c.entry[i].at);
    step.vector = outcome.vector == SUCCESS ? 0 : outcome.vector;
    step.error_code = outcome.error_code;
    switch (outcome.vector) {
    case SUCCESS: step.pa = proven_address(step, outcome); return;
    case PAGE_FAULT:
        step.cr2 = outcome.cr2;
        step.error_code_manual = manual_code(c, outcome.error_code);
        note_accessed_leaf(c, step, number ? &c.step[number - 1] : nullptr);
        break;
    case GENERAL_PROTECTION: step.error_code_manual = outcome.error_code; break;
    default: give_up("a probe ended with an exception that is no page fault", outcome.vector);
    }
    u64 at = planned(step);
    if (read_cell(at) != pattern(at)) give_up("an access that faulted changed memory", at);
}

}  // namespace

void perform(Case& c, const Settings&) {
    for (u32 i = 0; i < c.entries; i++) write_entry(c.entry[i].at, c.entry[i].value);
    u64 root = c.path[0].table[c.levels];
    add_own_entries(root, (c.regs.cr4 & CR4_PSE) != 0);
    enter(c.regs);
    for (u32 i = 0; i < c.steps; i++) observe(c, i);
    leave();
    remove_own_entries(root);
    for (u32 i = 0; i < c.entries; i++) restore(c.entry[i].address);
    for (u32 i = 0; i < c.steps; i++) {
        u64 at = planned(c.step[i]);
        if (read_cell(at) != pattern(at)) give_up("memory was left changed", at);
    }
}
