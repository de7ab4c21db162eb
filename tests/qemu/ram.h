// RAM in which every cell says where it is, to whoever reads it and to whoever executes it.
//
// Contract: none. SDM: none. Counterpart: none.
//
// A cell is 8 bytes: `mov eax, NAME; int 0x81; nop`. Bits 31:8 of it are the cell's name, a scrambled number of its patch and its
// place there, so that a read of 4 or 8 bytes proves which cell it came from, and a fetch loads the name before it stops.
#pragma once

#include "platform.h"

// Fills all patches, then reads all of it back: patches that were no RAM, or one RAM twice, show here.
void fill_ram(const Settings& settings);

// The address of a random cell in a patch, often at the edge of a page.
u64 draw_cell(const Settings& settings, Random& random);

// What the cell at this address holds when nobody has written there; `low`: its first four bytes.
u64 pattern(u64 address);
// Makes the cell at this address hold that again.
void restore(u64 address);

// The address of the cell of which the first four bytes, or the name that its code loads, are given. Gives up if there is no such cell.
u64 cell_of_data(u32 low);
u64 cell_of_code(u32 loaded);
