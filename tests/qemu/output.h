// What the program says: lines of JSON on the console, and why it stopped.
//
// Contract: none. SDM: none. Counterpart: tests/qemu/run, which reads both.
#pragma once

#include "basics.h"

// Finds the console and makes it ready. Must come first.
void open_output();

void put(char c);
void put(const char* text);
void put_decimal(u32 value);
// As in "0x1f", with the quotation marks.
void put_hex(u64 value);
// At least `digits` digits.
void put_padded(u32 value, unsigned digits);
// Sends what has been put.
void flush();

// Ends the machine: all cases are out.
[[noreturn]] void finish();
// Ends the machine with a message: the run is worth nothing.
[[noreturn]] void give_up(const char* why, u64 detail = 0);
