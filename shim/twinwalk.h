// The border between Rust and one verilated machine: a table of C functions, reached through one exported symbol.
//
// Counterpart: src/cosim/rtl.rs (`Api`), field for field. The table is the same whether the machine is linked in
// (feature `rtl-static`) or loaded from a shared library; a shared library exports only `twinwalk_api`.
#ifndef TWINWALK_H
#define TWINWALK_H

#include <cstddef>
#include <cstdint>

#include "ports.h"

namespace twinwalk {

// Changes whenever this table or its meaning does; compared when a library is loaded.
constexpr uint32_t ABI_VERSION = 4;

// Bits of Api::features.
constexpr uint32_t FEATURE_ASSERTIONS = 1;
constexpr uint32_t FEATURE_VCD = 2;
constexpr uint32_t FEATURE_FST = 4;
constexpr uint32_t FEATURE_COVERAGE = 8;

// Bits of Api::groups: outputs that a machine may lack, each group whole or not at all (src/cosim/groups.rs).
constexpr uint32_t GROUP_LOOKUP = 1;
constexpr uint32_t GROUP_STLB = 2;
constexpr uint32_t GROUP_WALK = 4;
constexpr uint32_t GROUP_TLB = 8;
constexpr uint32_t GROUP_PSC = 16;
constexpr uint32_t GROUP_QUEUES = 32;
constexpr uint32_t GROUP_PERF = 64;

// What registers hold before reset.
enum InitialRegisters : int32_t { INITIAL_ZEROS = 0, INITIAL_ONES = 1, INITIAL_RANDOM = 2 };

struct Api {
    uint32_t abi_version;
    uint32_t features;
    uint32_t inputs_bytes;
    uint32_t outputs_bytes;
    // The groups of outputs that the machine has.
    uint32_t groups;
    uint32_t reserved;
    // Key of the build (src/cosim/library.rs), "linked" for the linked one; and the runtime's version text.
    const char* build_key;
    const char* verilator_version;
    // Names of the parameters, one a line, in the order of `parameter`'s index.
    const char* parameter_names;
    // A machine with every input driven and its initial blocks run. `govern` (may be null) is called with the machine's
    // context current and sets how unset registers begin; without it the harness does. Null on failure, with the reason in `error`.
    void* (*create)(int32_t initial, uint64_t seed, void (*govern)(int32_t), const Inputs* inputs, char* error, size_t error_bytes);
    void (*destroy)(void* machine);
    // One cycle: drive, settle with the clock low, sample, rising edge. Returns the number of failed assertions so far.
    uint32_t (*tick)(void* machine, const Inputs* inputs, Outputs* outputs);
    // Drive, settle with the clock low, sample; no edge.
    void (*probe)(void* machine, const Inputs* inputs, Outputs* outputs);
    // The value of a parameter as the machine was elaborated. 0 if there is no such index.
    int32_t (*parameter)(void* machine, uint32_t index, uint64_t* value);
    // Moves what the machine has printed since the last call into `buffer`, without a terminator; returns the bytes moved.
    size_t (*messages)(void* machine, char* buffer, size_t bytes);
    // Waves. `vcd` is a VerilatedVcdC of the caller's for a machine with FEATURE_VCD, to be opened by the caller after this
    // call; null for FEATURE_FST, which writes `path`. 1 when done, 0 when the machine was built without waves.
    int32_t (*wave_open)(void* machine, const char* path, void* vcd);
    void (*wave_close)(void* machine);
    // What the wave shows beside the machine's own signals (src/cosim/wave/beside.rs), from the next dump on: `count` words, of
    // which each signal takes its own. 1 when done, 0 when the machine has no such signals.
    int32_t (*wave_beside)(void* machine, const uint64_t* words, size_t count);
    // Writes the coverage counts. 1 when done, 0 when the machine was built without coverage.
    int32_t (*coverage_write)(void* machine, const char* path);
};

}  // namespace twinwalk

extern "C" __attribute__((visibility("default"))) const twinwalk::Api* twinwalk_api();

#endif
