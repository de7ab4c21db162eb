// Drives benches/cam.sv for as many cycles as the argument says: one look-up a cycle, one write in 64; prints hits and seconds.
// Contract: none. Counterpart: benches/cam.sv.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "Vcam.h"
#include "verilated.h"

int main(int argc, char** argv) {
    const uint64_t cycles = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
    VerilatedContext context;
    Vcam cam(&context);
    uint64_t x = 0x9e3779b97f4a7c15ull;
    uint64_t hits = 0;
    auto cycle = [&](bool reset) {
        cam.rst_ni = !reset;
        cam.clk_i = 0;
        cam.eval();
        hits += cam.hit_o;
        cam.clk_i = 1;
        cam.eval();
    };
    for (int i = 0; i < 4; ++i) cycle(true);
    const std::clock_t begin = std::clock();  // processor time
    for (uint64_t i = 0; i < cycles; ++i) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        cam.write_i = x % 64 == 0;
        cam.index_i = (x >> 6) & 63;
        cam.page_i = (x >> 12) & 127;
        cam.frame_i = x >> 24;
        cycle(false);
    }
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::printf("%llu %.9f\n", static_cast<unsigned long long>(hits), seconds);
    return 0;
}
