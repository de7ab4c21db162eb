// A TLB simulator without time, to compare with: two levels, true LRU, hit or miss and nothing else; no walks, no tables, no cycles.
// Contract: none. Counterpart: none; `presets/textbook.toml` is the machine whose misses it counts.
//
// timeless TRACE: TRACE has one 64-bit word for each translation: page number times two, plus one for data. For each line of standard input it
// makes a pass of each kind, from empty TLBs, and prints a line each: seconds of processor time, look-ups of fetches and data, their misses,
// and misses of the second level. The kinds: fed the words one by one; fed runs, a list drawn up beforehand of (page, stream, translations of
// either stream from there to the next change of a page within its stream). Each first with time stamps, as the textbook has it; then
// with ways kept in order of use, which is faster.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

namespace {

struct Reference {
    uint64_t page;
    bool data;
};

struct Run {
    uint64_t page;
    uint32_t translations[2];  // of fetches and of data, the first included
    bool data;
};

struct Counts {
    uint64_t lookups[2] = {}, misses[2] = {}, second_misses = 0;
};

// Every way has the time of its last use; a miss takes the one with the earliest. Of any size, which is known when the program runs.
struct Stamped {
    const size_t sets, ways;
    std::vector<uint64_t> pages, used;
    uint64_t now = 0;
    Stamped(size_t sets, size_t ways) : sets(sets), ways(ways), pages(sets * ways, ~0ull), used(sets * ways) {}
    bool lookup(uint64_t page) {
        const size_t first = (page & (sets - 1)) * ways, end = first + ways;
        size_t oldest = first;
        ++now;
        for (size_t way = first; way < end; ++way) {
            if (pages[way] == page) {
                used[way] = now;
                return true;
            }
            if (used[way] < used[oldest]) oldest = way;
        }
        pages[oldest] = page;
        used[oldest] = now;
        return false;
    }
};

// Ways in order of use: a hit moves to the front, a miss pushes the last one out.
template <int Sets, int Ways> struct Ordered {
    uint64_t pages[Sets][Ways];
    Ordered() { memset(pages, 0xff, sizeof pages); }
    bool lookup(uint64_t page) {
        uint64_t* set = pages[page % Sets];
        if (set[0] == page) return true;
        int at = 1;
        while (at < Ways - 1 && set[at] != page) ++at;
        const bool hit = set[at] == page;
        for (; at > 0; --at) set[at] = set[at - 1];
        set[0] = page;
        return hit;
    }
};

struct StampedTlbs {
    Stamped first[2] = {{16, 4}, {16, 4}}, second{128, 12};
};

struct OrderedTlbs {
    Ordered<16, 4> first[2];
    Ordered<128, 12> second;
};

template <class Tlbs> void lookup(Tlbs& tlbs, uint64_t page, bool data, Counts& counts) {
    if (tlbs.first[data].lookup(page)) return;
    counts.misses[data]++;
    counts.second_misses += !tlbs.second.lookup(page);
}

double seconds() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

template <class Tlbs> Counts by_references(Tlbs& tlbs, const std::vector<Reference>& references) {
    Counts counts;
    for (const Reference& r : references) {
        counts.lookups[r.data]++;
        lookup(tlbs, r.page, r.data, counts);
    }
    return counts;
}

template <class Tlbs> Counts by_runs(Tlbs& tlbs, const std::vector<Run>& runs) {
    Counts counts;
    for (const Run& r : runs) {
        counts.lookups[0] += r.translations[0];
        counts.lookups[1] += r.translations[1];
        lookup(tlbs, r.page, r.data, counts);
    }
    return counts;
}

template <class Pass> void report(Pass pass) {
    const double start = seconds();
    const Counts c = pass();
    printf("%.9f %lu %lu %lu %lu %lu\n", seconds() - start, c.lookups[0], c.lookups[1], c.misses[0], c.misses[1], c.second_misses);
}

template <class Tlbs> void passes(const std::vector<Reference>& references, const std::vector<Run>& runs) {
    auto one = std::make_unique<Tlbs>(), other = std::make_unique<Tlbs>();
    report([&] { return by_references(*one, references); });
    report([&] { return by_runs(*other, runs); });
}

}  // namespace

int main(int argc, char** argv) {
    FILE* file = argc > 1 ? fopen(argv[1], "rb") : nullptr;
    if (!file) {
        fprintf(stderr, "timeless TRACE: the file cannot be read\n");
        return 2;
    }
    std::vector<Reference> references;
    std::vector<Run> runs;
    uint64_t word, at[2] = {~0ull, ~0ull};
    while (fread(&word, sizeof word, 1, file) == 1) {
        const bool data = word & 1;
        const uint64_t page = word >> 1;
        references.push_back({page, data});
        if (page != at[data]) runs.push_back({page, {0, 0}, data});
        runs.back().translations[data]++;
        at[data] = page;
    }
    fclose(file);
    char line[16];
    while (fgets(line, sizeof line, stdin)) {
        passes<StampedTlbs>(references, runs);
        passes<OrderedTlbs>(references, runs);
        fflush(stdout);
    }
    return 0;
}
