// The machine's ports as plain C data: the bytes that cross the border between Rust and the verilated RTL.
//
// Contract sections 3 (ports) and 10 (monitor, performance counters). Counterpart: src/model/mmu_pkg.rs, field for field; a test of
// src/cosim/rtl.rs reads both texts and compares names, types and order, and the sizes are compared again when a library
// is loaded. There is no padding: what looks like a gap is a `reserved` field.
#ifndef TWINWALK_PORTS_H
#define TWINWALK_PORTS_H

#include <cstdint>

namespace twinwalk {

constexpr int MAX_PORTS = 3;
constexpr int MAX_WALKERS = 4;
constexpr int MAX_MISS_QUEUE_ENTRIES = 16;
constexpr int TLB_ARRAYS = 12;
constexpr int PSC_LEVELS = 4;
constexpr int PERF_COUNTERS = 32;

struct PortIn {
    uint8_t req_valid;
    uint8_t req_id;
    uint8_t req_kind;
    uint8_t req_size_bytes;
    uint8_t req_cpl;
    uint8_t req_ac;
    uint8_t req_implicit_supervisor;
    uint8_t resp_ready;
    uint32_t req_pkru;
    uint32_t reserved;
    uint64_t req_va;
};

struct ControlIn {
    uint8_t valid;
    uint8_t op;
    uint8_t resp_ready;
    uint8_t reserved[5];
    uint64_t data;
    uint64_t addr;
    uint64_t kind;
};

struct MemoryIn {
    uint8_t req_ready;
    uint8_t resp_valid;
    uint8_t resp_id;
    uint8_t resp_error;
    uint8_t resp_last;
    uint8_t reserved[3];
    uint64_t resp_data;
};

struct Inputs {
    uint8_t rst_n;
    uint8_t reserved[7];
    PortIn ports[MAX_PORTS];
    ControlIn control;
    MemoryIn memory;
};

struct PortOut {
    uint8_t req_ready;
    uint8_t resp_valid;
    uint8_t resp_id;
    uint8_t resp_status;
    uint8_t resp_page_size;
    uint8_t resp_pwt;
    uint8_t resp_pcd;
    uint8_t resp_pat;
    uint16_t resp_error_code;
    uint8_t reserved[6];
    uint64_t resp_pa;
    uint64_t resp_va;
};

struct ControlOut {
    uint8_t ready;
    uint8_t resp_valid;
    uint8_t resp_gp;
    uint8_t reserved[5];
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
};

struct MemoryOut {
    uint8_t req_valid;
    uint8_t req_op;
    uint8_t req_id;
    uint8_t req_beats;
    uint8_t req_be;
    uint8_t resp_ready;
    uint8_t reserved[2];
    uint64_t req_addr;
    uint64_t req_wdata;
    uint64_t req_expected;
};

struct WalkEvent {
    uint8_t op;
    uint8_t port;
    uint8_t entry;
    uint8_t psc_level;
    uint8_t filled;
};

struct ArrayEvent {
    uint8_t op;
    uint8_t way;
    uint16_t set;
    uint32_t reserved;
    uint64_t removed;
    uint64_t tag;
    uint64_t data;
    uint64_t victim_tag;
    uint64_t victim_data;
};

struct Monitor {
    uint8_t lookup[MAX_PORTS];
    uint8_t lookup_entry[MAX_PORTS];
    uint8_t lookup_retry[MAX_PORTS];
    uint8_t stlb_lookup;
    uint8_t stlb_port;
    uint8_t stlb_entry;
    WalkEvent walk[MAX_WALKERS];
    ArrayEvent tlb[TLB_ARRAYS];
    ArrayEvent psc[PSC_LEVELS];
};

struct Queues {
    uint32_t miss[MAX_MISS_QUEUE_ENTRIES];
    uint32_t walker[MAX_WALKERS];
    uint64_t prefetch;
};

struct Outputs {
    PortOut ports[MAX_PORTS];
    ControlOut control;
    MemoryOut memory;
    Monitor monitor;
    Queues queues;
    uint64_t perf[PERF_COUNTERS];
};

static_assert(sizeof(PortIn) == 24 && sizeof(ControlIn) == 32 && sizeof(MemoryIn) == 16, "input blocks have no padding");
static_assert(sizeof(Inputs) == 8 + MAX_PORTS * 24 + 32 + 16, "Inputs has no padding");
static_assert(sizeof(PortOut) == 32 && sizeof(ControlOut) == 40 && sizeof(MemoryOut) == 32, "output blocks have no padding");
static_assert(sizeof(WalkEvent) == 5 && sizeof(ArrayEvent) == 48, "monitor events have no padding");
static_assert(sizeof(Outputs) == MAX_PORTS * 32 + 40 + 32 + MAX_PORTS * 3 + 3 + MAX_WALKERS * 5 + (TLB_ARRAYS + PSC_LEVELS) * 48 + 88 + PERF_COUNTERS * 8,
              "Outputs has no padding");

}  // namespace twinwalk

#endif
