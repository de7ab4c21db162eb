// What a program without a library needs: integers, ports, random numbers, control registers.
//
// Contract: none. SDM vol. 3A, 2.5 (control registers). Counterpart: none.
#pragma once

#include <stdint.h>

// What is declared here and in files that include this is in one program: so its addresses are relative to the instruction, and
// the program may run in whichever mapping.
#pragma GCC visibility push(hidden)

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
// An address or a register of the mode that this is compiled for.
using word = uintptr_t;

inline void out8(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
inline void out16(u16 port, u16 value) { asm volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
inline void out32(u16 port, u32 value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
inline u8 in8(u16 port) {
    u8 value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
inline u32 in32(u16 port) {
    u32 value;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

#define CONTROL_REGISTER(n)                                                                                            \
    inline word read_cr##n() {                                                                                         \
        word value;                                                                                                    \
        asm volatile("mov %%cr" #n ", %0" : "=r"(value) : : "memory");                                                 \
        return value;                                                                                                  \
    }                                                                                                                  \
    inline void write_cr##n(word value) { asm volatile("mov %0, %%cr" #n : : "r"(value) : "memory"); }
CONTROL_REGISTER(0)
CONTROL_REGISTER(3)
CONTROL_REGISTER(4)
#undef CONTROL_REGISTER

constexpr u32 EFER = 0xC0000080;

inline u64 read_msr(u32 number) {
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return u64{high} << 32 | low;
}
inline void write_msr(u32 number, u64 value) {
    asm volatile("wrmsr" : : "c"(number), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)) : "memory");
}
inline void write_pkru(u32 value) { asm volatile("wrpkru" : : "a"(value), "c"(0), "d"(0)); }
inline u32 read_pkru() {
    u32 value;
    asm volatile("rdpkru" : "=a"(value) : "c"(0) : "edx");
    return value;
}

constexpr u64 bit(unsigned n) { return u64{1} << n; }
constexpr u64 low_bits(unsigned n) { return n >= 64 ? ~u64{0} : bit(n) - 1; }

// splitmix64: a counter, and a mix of it. The whole of a run follows from the seed.
class Random {
public:
    explicit Random(u64 seed) : state_(seed) {}

    u64 next() {
        state_ += 0x9E3779B97F4A7C15;
        u64 z = state_;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return z ^ z >> 31;
    }
    // 0 to limit - 1, for small limits.
    u32 below(u32 limit) { return static_cast<u32>((next() >> 32) * limit >> 32); }
    bool chance(u32 percent) { return below(100) < percent; }
    bool permille(u32 parts) { return below(1000) < parts; }

private:
    u64 state_;
};
