// Drives one verilated machine: the order of a cycle, sampling, waves, failed assertions, the echo of the parameters.
//
// The machine is the project's own, or a user's behind an adapter (docs/byo.md): then groups of the monitor may be absent, which is
// found out here, when the harness is compiled, and told by the table (twinwalk.h, `groups`).
//
// Contract sections 1 (cycles), 3 (ports), 10 (monitor) and 13 (the harness). Counterpart: src/cosim/rtl.rs.
// Compiled as part of one translation unit (src/cosim/verilate.rs) behind the verilated model, of which it uses the
// class Vmmu. Defined on the command line: TWINWALK_BUILD_KEY, TWINWALK_FEATURES, TWINWALK_PARAMETER_COUNT and
// TWINWALK_PARAMETER_NAMES.
#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "Vmmu.h"
#include "twinwalk.h"
#include "verilated.h"
#if TWINWALK_FEATURES & 2
#include "verilated_vcd_c.h"
using Wave = VerilatedVcdC;
#elif TWINWALK_FEATURES & 4
#include "verilated_fst_c.h"
using Wave = VerilatedFstC;
#endif
#if TWINWALK_FEATURES & 8
#include "verilated_cov.h"
#endif

namespace {

using namespace twinwalk;

// Waves: a cycle is ten time units, so the cycle number is the time without its last digit; the edge is in its middle.
constexpr uint64_t CYCLE_UNITS = 10;
constexpr uint64_t EDGE_UNITS = 5;
// What the machine prints beyond this, before anybody fetches it, is dropped: a broken machine may fail in each cycle.
constexpr size_t MESSAGES_MAX_BYTES = 1 << 16;

#if TWINWALK_FEATURES & 4
// A signal that no process of the machine drives: its value is copied from a word of what `wave_beside` is given.
struct Place {
    size_t word;
    void* place;
    size_t bytes;
};
#endif

struct Machine {
    VerilatedContext context;
    std::unique_ptr<Vmmu> model;
    uint64_t ticks = 0;
    uint64_t parameters[TWINWALK_PARAMETER_COUNT + 1] = {};
    std::string messages;
#if TWINWALK_FEATURES & 6
    Wave* wave = nullptr;
#endif
#if TWINWALK_FEATURES & 4
    std::unique_ptr<Wave> own_wave;
    std::vector<Place> places;
#endif
};

// The machine that this thread is evaluating, for the two callbacks that the runtime calls without an argument.
thread_local Machine* current = nullptr;

// The seed of unset registers is one of the runtime's process-wide variables: creations happen one at a time, or the
// values of one machine would depend on what another thread creates meanwhile.
std::mutex creation_mutex;

// Makes the machine current for the runtime (its context) and for our callbacks.
struct Current {
    explicit Current(Machine* machine) {
        Verilated::threadContextp(&machine->context);
        current = machine;
    }
    ~Current() { current = nullptr; }
    Current(const Current&) = delete;
    Current& operator=(const Current&) = delete;
};

// Stands in for printf in the runtime (print_hook.h).
int capture(const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    const int length = std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (current != nullptr && length > 0 && current->messages.size() < MESSAGES_MAX_BYTES) {
        current->messages.append(text, std::min(static_cast<size_t>(length), sizeof text - 1));
    }
    return length;
}

// ---- ports ----------------------------------------------------------------------------------------------------------

// Elements of an unpacked-array port.
template <typename Array>
constexpr int elements(const Array& array) {
    return static_cast<int>(sizeof(array) / sizeof(array[0]));
}

// The verilated model takes the bits above a port's width for 0 and indexes arrays with what it is given: they are cut off here.
void drive(Vmmu& m, const Inputs& in) {
    m.rst_ni = in.rst_n & 1;
    static_assert(sizeof(m.req_va_i) / sizeof(m.req_va_i[0]) <= MAX_PORTS, "more ports than the structures have room for");
    for (int p = 0; p < elements(m.req_va_i); ++p) {
        const PortIn& port = in.ports[p];
        m.req_valid_i[p] = port.req_valid & 1;
        m.req_id_i[p] = port.req_id;
        m.req_va_i[p] = port.req_va;
        m.req_kind_i[p] = port.req_kind & 3;
        m.req_size_bytes_i[p] = port.req_size_bytes & 0x7f;
        m.req_cpl_i[p] = port.req_cpl & 3;
        m.req_ac_i[p] = port.req_ac & 1;
        m.req_implicit_supervisor_i[p] = port.req_implicit_supervisor & 1;
        m.req_pkru_i[p] = port.req_pkru;
        m.resp_ready_i[p] = port.resp_ready & 1;
    }
    m.ctrl_valid_i = in.control.valid & 1;
    m.ctrl_op_i = in.control.op & 7;
    m.ctrl_data_i = in.control.data;
    m.ctrl_addr_i = in.control.addr;
    m.ctrl_type_i = in.control.kind;
    m.ctrl_resp_ready_i = in.control.resp_ready & 1;
    m.mem_req_ready_i = in.memory.req_ready & 1;
    m.mem_resp_valid_i = in.memory.resp_valid & 1;
    m.mem_resp_id_i = in.memory.resp_id;
    m.mem_resp_data_i = in.memory.resp_data;
    m.mem_resp_error_i = in.memory.resp_error & 1;
    m.mem_resp_last_i = in.memory.resp_last & 1;
}

void sample_ports(const Vmmu& m, Outputs& out) {
    for (int p = 0; p < elements(m.req_ready_o); ++p) {
        PortOut& port = out.ports[p];
        port.req_ready = m.req_ready_o[p];
        port.resp_valid = m.resp_valid_o[p];
        if (!port.resp_valid) continue;
        port.resp_id = m.resp_id_o[p];
        port.resp_status = m.resp_status_o[p];
        port.resp_page_size = m.resp_page_size_o[p];
        port.resp_pwt = m.resp_pwt_o[p];
        port.resp_pcd = m.resp_pcd_o[p];
        port.resp_pat = m.resp_pat_o[p];
        port.resp_error_code = m.resp_error_code_o[p];
        port.resp_pa = m.resp_pa_o[p];
        port.resp_va = m.resp_va_o[p];
    }
    ControlOut& control = out.control;
    control.ready = m.ctrl_ready_o;
    control.resp_valid = m.ctrl_resp_valid_o;
    if (control.resp_valid) control.resp_gp = m.ctrl_resp_gp_o;
    control.cr0 = m.cr0_o;
    control.cr3 = m.cr3_o;
    control.cr4 = m.cr4_o;
    control.efer = m.efer_o;
    MemoryOut& memory = out.memory;
    memory.resp_ready = m.mem_resp_ready_o;
    memory.req_valid = m.mem_req_valid_o;
    if (!memory.req_valid) return;
    memory.req_op = m.mem_req_op_o;
    memory.req_id = m.mem_req_id_o;
    memory.req_beats = m.mem_req_beats_o;
    memory.req_be = m.mem_req_be_o;
    memory.req_addr = m.mem_req_addr_o;
    memory.req_wdata = m.mem_req_wdata_o;
    memory.req_expected = m.mem_req_expected_o;
}

// ---- the groups of outputs that a machine may lack ------------------------------------------------------------------

// Whether the machine has what the expression in `Uses` uses. Where it has not, the function that uses it is never instantiated.
template <template <typename> class Uses, typename Machine, typename = void>
struct Has : std::false_type {};
template <template <typename> class Uses, typename Machine>
struct Has<Uses, Machine, std::void_t<Uses<Machine>>> : std::true_type {};

#define TWINWALK_PORT(name) decltype(std::declval<const M&>().name)
template <typename M>
using UsesLookup = std::void_t<TWINWALK_PORT(mon_lookup_o), TWINWALK_PORT(mon_lookup_entry_o), TWINWALK_PORT(mon_lookup_retry_o)>;
template <typename M>
using UsesStlb = std::void_t<TWINWALK_PORT(mon_stlb_lookup_o), TWINWALK_PORT(mon_stlb_port_o), TWINWALK_PORT(mon_stlb_entry_o)>;
template <typename M>
using UsesWalk = std::void_t<TWINWALK_PORT(mon_walk_op_o), TWINWALK_PORT(mon_walk_port_o), TWINWALK_PORT(mon_walk_entry_o),
                             TWINWALK_PORT(mon_walk_psc_level_o), TWINWALK_PORT(mon_walk_filled_o)>;
template <typename M>
using UsesTlb = std::void_t<TWINWALK_PORT(mon_tlb_op_o), TWINWALK_PORT(mon_tlb_set_o), TWINWALK_PORT(mon_tlb_way_o),
                            TWINWALK_PORT(mon_tlb_removed_o), TWINWALK_PORT(mon_tlb_tag_o), TWINWALK_PORT(mon_tlb_data_o),
                            TWINWALK_PORT(mon_tlb_victim_tag_o), TWINWALK_PORT(mon_tlb_victim_data_o)>;
template <typename M>
using UsesPsc = std::void_t<TWINWALK_PORT(mon_psc_op_o), TWINWALK_PORT(mon_psc_set_o), TWINWALK_PORT(mon_psc_way_o),
                            TWINWALK_PORT(mon_psc_removed_o), TWINWALK_PORT(mon_psc_tag_o), TWINWALK_PORT(mon_psc_data_o),
                            TWINWALK_PORT(mon_psc_victim_tag_o), TWINWALK_PORT(mon_psc_victim_data_o)>;
template <typename M>
using UsesQueues = std::void_t<TWINWALK_PORT(mon_miss_o), TWINWALK_PORT(mon_walker_o), TWINWALK_PORT(mon_prefetch_o)>;
template <typename M>
using UsesPerf = std::void_t<TWINWALK_PORT(perf_o)>;
#undef TWINWALK_PORT

constexpr uint32_t GROUPS = (Has<UsesLookup, Vmmu>::value ? GROUP_LOOKUP : 0) | (Has<UsesStlb, Vmmu>::value ? GROUP_STLB : 0) |
                            (Has<UsesWalk, Vmmu>::value ? GROUP_WALK : 0) | (Has<UsesTlb, Vmmu>::value ? GROUP_TLB : 0) |
                            (Has<UsesPsc, Vmmu>::value ? GROUP_PSC : 0) | (Has<UsesQueues, Vmmu>::value ? GROUP_QUEUES : 0) |
                            (Has<UsesPerf, Vmmu>::value ? GROUP_PERF : 0);

template <typename M>
void sample_lookup(const M& m, Monitor& monitor) {
    for (int p = 0; p < elements(m.mon_lookup_o); ++p) {
        monitor.lookup[p] = m.mon_lookup_o[p];
        if (!monitor.lookup[p]) continue;
        monitor.lookup_entry[p] = m.mon_lookup_entry_o[p];
        monitor.lookup_retry[p] = m.mon_lookup_retry_o[p];
    }
}

template <typename M>
void sample_stlb(const M& m, Monitor& monitor) {
    monitor.stlb_lookup = m.mon_stlb_lookup_o;
    if (!monitor.stlb_lookup) return;
    monitor.stlb_port = m.mon_stlb_port_o;
    monitor.stlb_entry = m.mon_stlb_entry_o;
}

template <typename M>
void sample_walk(const M& m, Monitor& monitor) {
    static_assert(sizeof(m.mon_walk_op_o) / sizeof(m.mon_walk_op_o[0]) <= MAX_WALKERS,
                  "more walkers than the structures have room for");
    for (int w = 0; w < elements(m.mon_walk_op_o); ++w) {
        WalkEvent& walk = monitor.walk[w];
        walk.op = m.mon_walk_op_o[w];
        if (!walk.op) continue;
        walk.port = m.mon_walk_port_o[w];
        walk.entry = m.mon_walk_entry_o[w];
        walk.psc_level = m.mon_walk_psc_level_o[w];
        walk.filled = m.mon_walk_filled_o[w];
    }
}

template <typename M>
void sample_tlb(const M& m, Monitor& monitor) {
    static_assert(sizeof(m.mon_tlb_op_o) / sizeof(m.mon_tlb_op_o[0]) == TLB_ARRAYS, "the monitor shows every TLB array");
    for (int a = 0; a < TLB_ARRAYS; ++a) {
        ArrayEvent& event = monitor.tlb[a];
        event.op = m.mon_tlb_op_o[a];
        if (!event.op) continue;
        event.set = m.mon_tlb_set_o[a];
        event.way = m.mon_tlb_way_o[a];
        event.removed = m.mon_tlb_removed_o[a];
        event.tag = m.mon_tlb_tag_o[a];
        event.data = m.mon_tlb_data_o[a];
        event.victim_tag = m.mon_tlb_victim_tag_o[a];
        event.victim_data = m.mon_tlb_victim_data_o[a];
    }
}

template <typename M>
void sample_psc(const M& m, Monitor& monitor) {
    static_assert(sizeof(m.mon_psc_op_o) / sizeof(m.mon_psc_op_o[0]) == PSC_LEVELS, "the monitor shows every PSC");
    for (int c = 0; c < PSC_LEVELS; ++c) {
        ArrayEvent& event = monitor.psc[c];
        event.op = m.mon_psc_op_o[c];
        if (!event.op) continue;
        event.set = m.mon_psc_set_o[c];
        event.way = m.mon_psc_way_o[c];
        event.removed = m.mon_psc_removed_o[c];
        event.tag = m.mon_psc_tag_o[c];
        event.data = m.mon_psc_data_o[c];
        event.victim_tag = m.mon_psc_victim_tag_o[c];
        event.victim_data = m.mon_psc_victim_data_o[c];
    }
}

template <typename M>
void sample_queues(const M& m, Queues& queues) {
    static_assert(sizeof(m.mon_miss_o) / sizeof(m.mon_miss_o[0]) <= MAX_MISS_QUEUE_ENTRIES,
                  "more entries of the miss queue than the structures have room for");
    for (int e = 0; e < elements(m.mon_miss_o); ++e) queues.miss[e] = m.mon_miss_o[e];
    for (int w = 0; w < elements(m.mon_walker_o); ++w) queues.walker[w] = m.mon_walker_o[w];
    queues.prefetch = m.mon_prefetch_o;
}

template <typename M>
void sample_perf(const M& m, uint64_t (&perf)[PERF_COUNTERS]) {
    static_assert(sizeof(m.perf_o) == sizeof perf && sizeof(m.perf_o[0]) == sizeof perf[0], "the structures show every performance counter");
    std::memcpy(perf, &m.perf_o[0], sizeof perf);
}

// Of a group that the machine lacks everything stays 0.
template <typename M>
void sample_groups(const M& m, Outputs& out) {
    if constexpr ((GROUPS & GROUP_LOOKUP) != 0) sample_lookup(m, out.monitor);
    if constexpr ((GROUPS & GROUP_STLB) != 0) sample_stlb(m, out.monitor);
    if constexpr ((GROUPS & GROUP_WALK) != 0) sample_walk(m, out.monitor);
    if constexpr ((GROUPS & GROUP_TLB) != 0) sample_tlb(m, out.monitor);
    if constexpr ((GROUPS & GROUP_PSC) != 0) sample_psc(m, out.monitor);
    if constexpr ((GROUPS & GROUP_QUEUES) != 0) sample_queues(m, out.queues);
    if constexpr ((GROUPS & GROUP_PERF) != 0) sample_perf(m, out.perf);
}

// Payloads stay 0 where their `valid` or `op` is 0: outside a transfer they mean nothing, and a comparison of whole
// structures must not see them.
void sample(const Vmmu& m, Outputs& out) {
    std::memset(&out, 0, sizeof out);
    sample_ports(m, out);
    sample_groups(m, out);
}

// ---- the functions of the table ---------------------------------------------------------------------------------------

void dump(Machine& machine, uint64_t time) {
#if TWINWALK_FEATURES & 6
    if (machine.wave != nullptr) machine.wave->dump(time);
#else
    (void)machine;
    (void)time;
#endif
}

void settle(Machine& machine, const Inputs& inputs) {
    drive(*machine.model, inputs);
    machine.model->clk_i = 0;
    machine.context.time(machine.ticks * CYCLE_UNITS);
    machine.model->eval();
}

// The runtime takes an int, and 0 would mean "from the time of day"; neighbouring seeds shall give unrelated registers.
int runtime_seed(uint64_t seed) {
    uint64_t x = seed + 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    const int value = static_cast<int>((x ^ (x >> 31)) & 0x7fffffff);
    return value != 0 ? value : 1;
}

void* create(int32_t initial, uint64_t seed, void (*govern)(int32_t), const Inputs* inputs, char* error, size_t error_bytes) {
    try {
        const std::lock_guard<std::mutex> lock(creation_mutex);
        print_function = &capture;
        auto machine = std::make_unique<Machine>();
        const Current scope(machine.get());
        VerilatedContext& context = machine->context;
        // A failed assertion is counted and reported, and never ends the process.
        context.fatalOnError(false);
        context.errorLimit(0x7fffffff);
        context.randSeed(runtime_seed(seed));
#if TWINWALK_FEATURES & 6
        context.traceEverOn(true);
#endif
        if (govern != nullptr) {
            govern(initial);
        } else {
            context.randReset(initial);
        }
        machine->model = std::make_unique<Vmmu>(&context);
        settle(*machine, *inputs);
        return machine.release();
    } catch (const std::exception& e) {
        if (error_bytes > 0) {
            std::strncpy(error, e.what(), error_bytes - 1);
            error[error_bytes - 1] = '\0';
        }
        return nullptr;
    }
}

void wave_close(void* handle) {
#if TWINWALK_FEATURES & 6
    auto* machine = static_cast<Machine*>(handle);
    machine->wave = nullptr;
#if TWINWALK_FEATURES & 4
    if (machine->own_wave) machine->own_wave->close();
    machine->own_wave.reset();
#endif
#else
    (void)handle;
#endif
}

void destroy(void* handle) {
    auto* machine = static_cast<Machine*>(handle);
    {
        const Current scope(machine);
        wave_close(machine);
        machine->model->final();
        machine->model.reset();
    }
    // The context is about to go: nothing may find it as this thread's, or as the last one made.
    Verilated::threadContextp(Verilated::defaultContextp());
    delete machine;
}

uint32_t tick(void* handle, const Inputs* inputs, Outputs* outputs) {
    auto* machine = static_cast<Machine*>(handle);
    const Current scope(machine);
    settle(*machine, *inputs);
    sample(*machine->model, *outputs);
    dump(*machine, machine->ticks * CYCLE_UNITS);
    machine->model->clk_i = 1;
    machine->context.time(machine->ticks * CYCLE_UNITS + EDGE_UNITS);
    machine->model->eval();
    dump(*machine, machine->ticks * CYCLE_UNITS + EDGE_UNITS);
    ++machine->ticks;
    return static_cast<uint32_t>(machine->context.errorCount());
}

void probe(void* handle, const Inputs* inputs, Outputs* outputs) {
    auto* machine = static_cast<Machine*>(handle);
    const Current scope(machine);
    settle(*machine, *inputs);
    sample(*machine->model, *outputs);
}

int32_t parameter(void* handle, uint32_t index, uint64_t* value) {
    if (index >= TWINWALK_PARAMETER_COUNT) return 0;
    *value = static_cast<Machine*>(handle)->parameters[index];
    return 1;
}

size_t messages(void* handle, char* buffer, size_t bytes) {
    std::string& text = static_cast<Machine*>(handle)->messages;
    const size_t moved = std::min(bytes, text.size());
    std::memcpy(buffer, text.data(), moved);
    text.erase(0, moved);
    return moved;
}

int32_t wave_open(void* handle, const char* path, void* vcd) {
#if TWINWALK_FEATURES & 6
    auto* machine = static_cast<Machine*>(handle);
    const Current scope(machine);
    wave_close(handle);
#if TWINWALK_FEATURES & 2
    (void)path;
    machine->wave = static_cast<Wave*>(vcd);
    machine->model->trace(machine->wave, 99);
#else
    (void)vcd;
    machine->own_wave = std::make_unique<Wave>();
    machine->model->trace(machine->own_wave.get(), 99);
    machine->own_wave->open(path);
    machine->wave = machine->own_wave.get();
#endif
    return 1;
#else
    (void)handle;
    (void)path;
    (void)vcd;
    return 0;
#endif
}

// The signals are public to the runtime, so that each dump looks at them although no evaluation sets them.
int32_t wave_beside(void* handle, const uint64_t* words, size_t count) {
#if TWINWALK_FEATURES & 4
    const std::vector<Place>& places = static_cast<Machine*>(handle)->places;
    for (const Place& place : places) {
        if (place.word * sizeof *words + place.bytes <= count * sizeof *words) {
            std::memcpy(place.place, &words[place.word], place.bytes);
        }
    }
    return places.empty() ? 0 : 1;
#else
    (void)handle;
    (void)words;
    (void)count;
    return 0;
#endif
}

int32_t coverage_write(void* handle, const char* path) {
#if TWINWALK_FEATURES & 8
    auto* machine = static_cast<Machine*>(handle);
    const Current scope(machine);
    machine->context.coveragep()->write(path);
    return 1;
#else
    (void)handle;
    (void)path;
    return 0;
#endif
}

}  // namespace

// Called by the module that is bound into the top (verilate.rs, `probe_module`), once a parameter, from its initial block.
void twinwalk_parameter(uint32_t index, uint64_t value) {
    if (current != nullptr && index < TWINWALK_PARAMETER_COUNT) current->parameters[index] = value;
}

#if TWINWALK_FEATURES & 4
// Called by the modules of src/cosim/wave/beside.rs, once a signal, from their initial blocks.
void twinwalk_place_bytes(uint32_t word, void* place, size_t bytes) {
    if (current != nullptr) current->places.push_back({word, place, bytes});
}
#endif

extern "C" const twinwalk::Api* twinwalk_api() {
    static const twinwalk::Api api = {
        twinwalk::ABI_VERSION, TWINWALK_FEATURES, sizeof(twinwalk::Inputs), sizeof(twinwalk::Outputs), GROUPS, 0,
        TWINWALK_BUILD_KEY, Verilated::productVersion(), TWINWALK_PARAMETER_NAMES,
        create, destroy, tick, probe, parameter, messages, wave_open, wave_close, wave_beside, coverage_write,
    };
    return &api;
}
