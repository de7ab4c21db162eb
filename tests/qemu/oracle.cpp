// The program: reads what is asked for from its command line, then draws, performs and prints cases.
//
// Contract: none. SDM: none. Counterpart: tests/qemu/run, which builds and starts it.
#include "case.h"
#include "output.h"
#include "ram.h"

namespace {

Settings settings;
Case current;

// The text after `key=`, at the start of a word.
const char* find(const char* line, const char* key) {
    for (const char* at = line; *at; at++) {
        if (at != line && at[-1] != ' ') continue;
        const char *a = at, *b = key;
        while (*b && *a == *b) a++, b++;
        if (!*b && *a == '=') return a + 1;
    }
    give_up("the command line lacks a setting");
}

// A hexadecimal number; `text` moves behind it.
u64 hexadecimal(const char*& text) {
    u64 value = 0;
    for (;; text++) {
        if (*text >= '0' && *text <= '9') {
            value = value << 4 | static_cast<u64>(*text - '0');
        } else if (*text >= 'a' && *text <= 'f') {
            value = value << 4 | static_cast<u64>(*text - 'a' + 10);
        } else {
            return value;
        }
    }
}

u64 setting(const char* line, const char* key) {
    const char* text = find(line, key);
    return hexadecimal(text);
}

void read_settings(const char* line) {
    settings.seed = setting(line, "seed");
    settings.cases = static_cast<u32>(setting(line, "cases"));
    settings.maxphy = static_cast<unsigned>(setting(line, "maxphy"));
    settings.levels = static_cast<int>(setting(line, "levels"));
    const char* text = find(line, "patches");
    do {
        if (settings.patches == PATCHES_MAX) give_up("too many patches of RAM");
        settings.patch[settings.patches++] = hexadecimal(text);
    } while (*text++ == ',');
}

void run(const Settings& settings) {
    fill_ram(settings);
    Random random(settings.seed);
    for (u32 number = 0; number < settings.cases; number++) {
        draw(current, settings, random);
        perform(current, settings);
        print(current, settings, number);
    }
    finish();
}

}  // namespace

// An exception outside of a probe: the program itself is wrong.
extern "C" [[noreturn]] void unexpected_exception() {
    put("exception ");
    put_decimal(outcome.vector);
    put(" cr2 ");
    put_hex(outcome.cr2);
    put(" code ");
    put_hex(outcome.error_code);
    give_up("the program itself faulted", exception_rip);
}

extern "C" [[noreturn]] void oracle_main(const char* line) {
    open_output();
    read_settings(line);
    settle(settings, run);
}
