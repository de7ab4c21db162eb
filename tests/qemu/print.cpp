// A case as one line of JSON.
//
// Contract: none. SDM: none. Counterpart: src/conform/vector.rs, which reads it; docs/conform.md has the form.
#include "case.h"
#include "output.h"

namespace {

void key(const char* name) {
    put(",\"");
    put(name);
    put("\":");
}

void number(const char* name, u32 value) {
    key(name);
    put_decimal(value);
}

void wide(const char* name, u64 value) {
    key(name);
    put_hex(value);
}

void flag(const char* name, u64 reg, u64 mask) { number(name, (reg & mask) != 0); }

void nothing(const char* name) {
    key(name);
    put("null");
}

void identity(const Settings& settings, u32 id) {
    // The lower half of the program's seed tells machines of one run apart.
    put("{\"id\":\"oracle-");
    put_decimal(static_cast<u32>(settings.seed >> 16));
    put("-m");
    put_decimal(settings.maxphy);
    put("-l");
    put_decimal(static_cast<u32>(settings.levels));
    put('-');
    put_padded(id, 6);
    put('"');
    key("src");
    put("\"qemu\"");
    number("maxphy", settings.maxphy);
    number("levels", static_cast<u32>(settings.levels));
}

void registers(const Registers& regs) {
    wide("cr0", regs.cr0);
    wide("cr3", regs.cr3);
    wide("cr4", regs.cr4);
    wide("efer", regs.efer);
    wide("pkru", regs.pkru);
    flag("wp", regs.cr0, CR0_WP);
    flag("nxe", regs.efer, EFER_NXE);
    flag("smep", regs.cr4, CR4_SMEP);
    flag("smap", regs.cr4, CR4_SMAP);
    flag("pke", regs.cr4, CR4_PKE);
    flag("pge", regs.cr4, CR4_PGE);
    if (!IS_LONG) flag("pse", regs.cr4, CR4_PSE);
    flag("la57", regs.cr4, CR4_LA57);
    number("pcide", 0);
}

void step(const Case& c, const Step& step) {
    static const char kinds[] = "rwx";
    put("{\"k\":\"");
    put(kinds[static_cast<u32>(step.probe.kind)]);
    put('"');
    number("cpl", step.probe.cpl);
    number("ac", step.probe.ac);
    wide("va", step.probe.va);
    if (step.vector) {
        number("vec", step.vector);
        number("ec", step.error_code);
        number("ec_sdm", step.error_code_manual);
    } else {
        nothing("vec");
        nothing("ec");
        nothing("ec_sdm");
    }
    if (step.vector == 14) {
        wide("cr2", step.cr2);
    } else {
        nothing("cr2");
    }
    if (step.vector) {
        nothing("pa");
    } else {
        wide("pa", step.pa);
    }
    key("after");
    for (u32 i = 0; i < c.entries; i++) {
        put(i ? ',' : '[');
        put_hex(step.after[i]);
    }
    put("]}");
}

void quirks(u32 found) {
    static const char names[][12] = {"rsvd_p", "a_1g_fault"};
    key("quirk");
    put('[');
    bool first = true;
    for (u32 i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!(found >> i & 1)) continue;
        put(first ? "\"" : ",\"");
        put(names[i]);
        put('"');
        first = false;
    }
    put(']');
}

}  // namespace

void print(const Case& c, const Settings& settings, u32 id) {
    identity(settings, id);
    registers(c.regs);
    key("ent");
    for (u32 i = 0; i < c.entries; i++) {
        put(i ? ",[" : "[[");
        put_decimal(static_cast<u32>(c.entry[i].level));
        put(',');
        put_hex(c.entry[i].address);
        put(',');
        put_hex(c.entry[i].value);
        put(']');
    }
    put(']');
    key("steps");
    for (u32 i = 0; i < c.steps; i++) {
        put(i ? ',' : '[');
        step(c, c.step[i]);
    }
    put(']');
    quirks(c.quirks);
    put("}\n");
}
