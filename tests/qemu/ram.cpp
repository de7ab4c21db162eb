// RAM in which every cell says where it is: the names of cells, and back.
//
// Contract: none. SDM: none. Counterpart: none.
#include "ram.h"
#include "output.h"

namespace {

constexpr u32 NAME_BITS = 24;
constexpr u32 NAME_MASK = (1u << NAME_BITS) - 1;
constexpr unsigned CELLS_BITS = PATCH_BITS - 3;
static_assert(PATCHES_MAX << CELLS_BITS <= 1u << NAME_BITS, "every cell needs a name");
// An odd factor permutes the names; near numbers get names far apart.
constexpr u32 SCRAMBLE = 0x9E3779, OFFSET = 0x5A17C3;

constexpr u32 inverse(u32 odd) {
    u32 x = 1;
    for (int i = 0; i < 5; i++) x *= 2 - odd * x;
    return x & NAME_MASK;
}
constexpr u32 UNSCRAMBLE = inverse(SCRAMBLE);
static_assert((SCRAMBLE * UNSCRAMBLE & NAME_MASK) == 1, "the inverse");

constexpr u64 CODE = 0x9081CD00000000B8;

u32 patches;
u64 patch[PATCHES_MAX];

u64 content(u32 cell) { return CODE | u64{(cell * SCRAMBLE + OFFSET) & NAME_MASK} << 8; }

u64 cell_of_name(u32 name) {
    u32 cell = (name - OFFSET) * UNSCRAMBLE & NAME_MASK;
    if (name > NAME_MASK || cell >> CELLS_BITS >= patches) give_up("an access reached what is no cell of RAM", name);
    return patch[cell >> CELLS_BITS] + 8 * (cell & low_bits(CELLS_BITS));
}

volatile u32* halves(u64 address) { return static_cast<volatile u32*>(window(address)); }

}  // namespace

void fill_ram(const Settings& settings) {
    patches = settings.patches;
    for (u32 i = 0; i < patches; i++) {
        patch[i] = settings.patch[i];
        auto* cell = static_cast<volatile u64*>(window(patch[i]));
        for (u32 n = 0; n < 1u << CELLS_BITS; n++) cell[n] = content(i << CELLS_BITS | n);
    }
    for (u32 i = 0; i < patches; i++) {
        auto* cell = static_cast<volatile u64*>(window(patch[i]));
        for (u32 n = 0; n < 1u << CELLS_BITS; n++) {
            if (cell[n] != content(i << CELLS_BITS | n)) give_up("this patch is no RAM of its own", patch[i] + 8 * n);
        }
    }
}

u64 draw_cell(const Settings& settings, Random& random) {
    u64 at = settings.patch[random.below(settings.patches)] + 8 * random.below(1u << CELLS_BITS);
    switch (random.below(16)) {
    case 0: return at & ~low_bits(FRAME_BITS);
    case 1: return at | (low_bits(FRAME_BITS) & ~u64{7});
    default: return at;
    }
}

u64 pattern(u64 address) {
    for (u32 i = 0; i < patches; i++) {
        if (address >> PATCH_BITS == patch[i] >> PATCH_BITS) {
            return content(i << CELLS_BITS | static_cast<u32>((address & low_bits(PATCH_BITS)) >> 3));
        }
    }
    give_up("no patch of RAM holds this address", address);
}

void restore(u64 address) {
    address &= ~u64{7};
    u64 value = pattern(address);
    auto* half = halves(address);
    half[0] = static_cast<u32>(value);
    half[1] = static_cast<u32>(value >> 32);
}

u64 cell_of_data(u32 low) {
    if ((low & 0xFF) != (CODE & 0xFF)) give_up("a read returned what is no cell of RAM", low);
    return cell_of_name(low >> 8);
}

u64 cell_of_code(u32 loaded) { return cell_of_name(loaded); }
