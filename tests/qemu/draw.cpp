// Draws cases: registers, one or two mapped addresses, what is wrong with their entries, and the accesses.
//
// Contract: none. SDM vol. 3A, 4.3, 4.5 and 4.6. Counterpart: none.
//
// Percentages are chosen so that about half of the steps succeed and every kind of fault is common.
#include "case.h"
#include "output.h"
#include "ram.h"

namespace {

constexpr u32 PERCENT_NOT_PRESENT = 3, PERCENT_READ_ONLY = 17, PERCENT_SUPERVISOR = 17, PERCENT_XD = 9, PERCENT_RESERVED_HIGH = 3,
              PERCENT_RESERVED_LOW = 6, PERCENT_PS_ABOVE = 2, PERCENT_NOT_CANONICAL = 5, PERCENT_SECOND_PATH = 45;

// Draws one case; what it has drawn so far is in `c`.
class Drawing {
public:
    Drawing(Case& c, const Settings& settings, Random& random) : c_(c), settings_(settings), random_(random) {}

    void all() {
        c_.levels = settings_.levels;
        c_.entries = c_.steps = c_.quirks = 0;
        registers();
        first_path();
        c_.paths = 1;
        u32 wanted = random_.below(100);
        u32 steps = wanted < 60 ? 1 : wanted < 82 ? 2 : 3;
        if (steps > 1 && random_.chance(PERCENT_SECOND_PATH)) second_path();
        for (int level = c_.levels; level >= 1; level--) entries(level);
        misplace();
        while (c_.steps < steps) step();
    }

private:
    Case& c_;
    const Settings& settings_;
    Random& random_;

    bool has(u64 value, u64 mask) const { return (value & mask) != 0; }
    u64 some(u64 mask, u32 percent) { return random_.chance(percent) ? mask : 0; }
    bool nxe() const { return has(c_.regs.efer, EFER_NXE); }
    bool pse() const { return has(c_.regs.cr4, CR4_PSE); }

    void registers() {
        Registers& r = c_.regs;
        r.cr0 = CR0_PE | CR0_ET | CR0_PG | some(CR0_WP, 60);
        r.cr4 = some(CR4_PGE, 50) | some(CR4_SMEP, 42) | some(CR4_SMAP, 42) | some(CR4_PKE, 45);
        r.efer = some(EFER_NXE, 75);
        if (IS_LONG) {
            r.cr4 |= CR4_PAE | (c_.levels == 5 ? CR4_LA57 : 0);
            r.efer |= EFER_LME | EFER_LMA;
        } else {
            r.cr4 |= some(CR4_PSE, 70);
        }
        r.pkru = static_cast<u32>(random_.next());
        if (random_.chance(50)) r.pkru &= static_cast<u32>(random_.next());
    }

    // Frames of RAM that nothing else of this case uses. Tables of 32-bit paging are below 4 GiB.
    u64 frame() {
        for (;;) {
            u64 at = draw_cell(settings_, random_) & ~low_bits(FRAME_BITS);
            if ((IS_LONG || at >> 32 == 0) && is_free(at)) return at;
        }
    }

    bool is_free(u64 frame) const {
        for (u32 i = 0; i < c_.paths; i++) {
            const Path& path = c_.path[i];
            if (path.target >> FRAME_BITS == frame >> FRAME_BITS) return false;
            for (int level = path.leaf; level <= c_.levels; level++) {
                if (path.table[level] == frame) return false;
            }
        }
        return true;
    }

    // The level of a leaf at or below `top`.
    int leaf(int top) {
        u32 wanted = random_.below(100);
        int level;
        if (IS_LONG) {
            level = wanted < 39 ? 1 : wanted < 75 ? 2 : 3;
        } else {
            level = pse() && wanted < 60 ? 2 : 1;
        }
        return level < top ? level : top;
    }

    // A target that a leaf of this level can hold: with 4 KiB pages of 32-bit paging no more than 32 bits.
    void choose_target(Path& path) {
        do {
            path.target = draw_cell(settings_, random_);
        } while ((!IS_LONG && path.leaf == 1 && path.target >> 32 != 0) || !is_free(path.target & ~low_bits(FRAME_BITS)));
    }

    unsigned va_bits() const { return level_shift(c_.levels) + INDEX_BITS; }
    u32 index(u64 va, int level) const { return static_cast<u32>(va >> level_shift(level)) & (TABLE_ENTRIES - 1); }

    // `va` with the offset of the target in its page, and the bits above the index of the highest level like the highest bit of that.
    u64 completed(u64 va, const Path& path) const {
        u64 offset = low_bits(level_shift(path.leaf));
        va = (va & ~offset) | (path.target & offset);
        if (!IS_LONG) return va & low_bits(32);
        unsigned unused = 64 - va_bits();
        return static_cast<u64>(static_cast<int64_t>(va << unused) >> unused);
    }

    void first_path() {
        c_.paths = 0;
        Path& path = c_.path[0];
        path.leaf = leaf(3);
        choose_target(path);
        do {
            path.va = completed(random_.next(), path);
        } while (is_own_slot(index(path.va, c_.levels)));
        // From here on its target counts as used, and so does each table once it is there.
        for (int level = path.leaf; level <= c_.levels; level++) path.table[level] = 0;
        c_.paths = 1;
        for (int level = c_.levels; level >= path.leaf; level--) path.table[level] = frame();
        u64 cr3_bits = random_.next() & (PWT | PCD);
        c_.regs.cr3 = path.table[c_.levels] | (random_.chance(60) ? 0 : cr3_bits);
    }

    // A second address, whose walk parts from the first one's at a random level.
    void second_path() {
        const Path& first = c_.path[0];
        Path& path = c_.path[1];
        int parts = first.leaf + static_cast<int>(random_.below(static_cast<u32>(c_.levels - first.leaf + 1)));
        path = first;
        path.leaf = leaf(parts < 3 ? parts : 3);
        choose_target(path);
        u32 index_there;
        do {
            u64 upper = ~low_bits(level_shift(parts) + INDEX_BITS);
            path.va = completed((first.va & upper) | (random_.next() & ~upper), path);
            index_there = index(path.va, parts);
        } while (index_there == index(first.va, parts) || (parts == c_.levels && is_own_slot(index_there)));
        for (int level = path.leaf; level < parts; level++) path.table[level] = 0;
        c_.paths = 2;
        for (int level = parts - 1; level >= path.leaf; level--) path.table[level] = frame();
    }

    // The entries of one level: the first path's, and the second's where they have parted.
    void entries(int level) {
        for (u32 i = 0; i < c_.paths; i++) {
            const Path& path = c_.path[i];
            if (level < path.leaf) continue;
            u64 at = path.table[level] + ENTRY_BYTES * index(path.va, level);
            if (i == 1 && level >= c_.path[0].leaf && at == c_.path[0].table[level] + ENTRY_BYTES * index(c_.path[0].va, level)) continue;
            Entry& entry = c_.entry[c_.entries++];
            entry.level = level;
            entry.address = at;
            entry.value = level == path.leaf ? leaf_value(path) : table_value(path.table[level - 1], level);
            entry.at = window(at);
        }
    }

    u64 rights() {
        return some(P, 100 - PERCENT_NOT_PRESENT) | some(RW, 100 - PERCENT_READ_ONLY) | some(US, 100 - PERCENT_SUPERVISOR);
    }

    // Bits that mean nothing here, or not to a walk: PWT, PCD, A, D and G, and those for software.
    u64 indifferent() { return random_.next() & (PWT | PCD | A | D | G | bit(9) | bit(10) | bit(11)); }

    // Bits 63:52, and reserved ones below them.
    u64 upper_bits() {
        if (!IS_LONG) return 0;
        u64 value = random_.chance(60) ? random_.next() & ~XD & ~low_bits(52) : 0;
        value |= some(XD, nxe() ? PERCENT_XD : 2);
        if (settings_.maxphy < 52 && random_.chance(PERCENT_RESERVED_HIGH)) value |= reserved_high();
        return value;
    }

    u64 reserved_high() {
        u64 all = low_bits(52) & ~low_bits(settings_.maxphy);
        u64 few = random_.next() & all;
        u64 one = bit(settings_.maxphy + random_.below(52 - settings_.maxphy));
        return random_.chance(50) ? one : few;
    }

    u64 table_value(u64 next, int level) {
        u64 value = next | rights() | indifferent() | upper_bits();
        if (IS_LONG && level >= 4) value |= some(PS, PERCENT_PS_ABOVE);
        // Without CR4.PSE, bit 7 of a directory entry means nothing.
        if (!IS_LONG && !pse()) value |= some(PS, 50);
        return value;
    }

    u64 leaf_value(const Path& path) {
        u64 value = rights() | indifferent() | upper_bits();
        // Of what is not present, nothing counts.
        if (!has(value, P) && random_.chance(50)) return random_.next() & ~P & low_bits(8 * ENTRY_BYTES);
        if (path.leaf == 1) return value | (path.target & ~low_bits(FRAME_BITS)) | some(PS, 50);
        value |= PS | some(bit(12), 50);
        unsigned offset = level_shift(path.leaf);
        if (!IS_LONG) {
            value |= (path.target & low_bits(32) & ~low_bits(offset)) | (path.target >> 32 & 0xFF) << 13;
            return value | some(bit(21), PERCENT_RESERVED_LOW);
        }
        value |= path.target & ~low_bits(offset);
        if (random_.chance(PERCENT_RESERVED_LOW)) {
            u64 one = bit(13 + random_.below(offset - 13));
            u64 few = random_.next() & low_bits(offset) & ~low_bits(13);
            value |= random_.chance(50) ? one : few;
        }
        return value;
    }

    // Some addresses are not canonical: the bits above the index of the highest level differ from its highest bit, one or many.
    void misplace() {
        if (!IS_LONG || !random_.chance(PERCENT_NOT_CANONICAL)) return;
        u64& va = c_.path[0].va;
        unsigned first = va_bits(), count = 64 - first;
        u64 one = bit(first + random_.below(count));
        u64 few = random_.next() & ~low_bits(first);
        u64 all = ~low_bits(first);
        switch (random_.below(3)) {
        case 0: va ^= one; break;
        case 1: va ^= few ? few : one; break;
        default: va ^= all;
        }
    }

    void step() {
        Step& step = c_.step[c_.steps++];
        step.path = &c_.path[c_.paths == 2 ? random_.below(2) : 0];
        u32 wanted = random_.below(100);
        Probe& probe = step.probe;
        probe.kind = wanted < 40 ? Kind::Read : wanted < 76 ? Kind::Write : Kind::Fetch;
        // Levels 1 and 2 are supervisors like 0.
        u32 level = random_.below(100);
        probe.cpl = static_cast<u8>(level < 50 ? 3 : level < 90 ? 0 : level < 95 ? 1 : 2);
        probe.ac = random_.chance(42);
        probe.va = step.path->va;
        if (c_.steps == 1) return;
        const Probe& before = c_.step[c_.steps - 2].probe;
        // Often the one before once more, now as a write: D.
        if (random_.chance(35)) {
            probe.cpl = before.cpl;
            probe.ac = before.ac;
            if (random_.chance(60)) probe.kind = Kind::Write;
        }
        // Elsewhere in the same 4 KiB.
        if (random_.chance(25)) probe.va ^= 8 * random_.below(512);
    }
};

}  // namespace

void draw(Case& c, const Settings& settings, Random& random) { Drawing(c, settings, random).all(); }
