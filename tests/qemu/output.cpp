// The console: a serial port that takes 64 KiB at a time (virtio), and the port by which the machine is ended.
//
// Contract: none. SDM: none. Counterpart: tests/qemu/run, which plugs both in and reads what is said here.
//
// QEMU's ordinary serial port takes a byte at a time, half a megabyte a second; a run of 200,000 cases would take it five minutes.
#include "output.h"

namespace {

// QEMU's isa-debug-exit: a write of n ends QEMU with exit code 2n + 1.
constexpr u16 EXIT = 0xF4;
constexpr u32 EXIT_DONE = 0x10, EXIT_GAVE_UP = 0x11, EXIT_NO_CONSOLE = 0x12;

// PCI configuration: where the console is plugged in, and what it calls itself.
constexpr u16 PCI_ADDRESS = 0xCF8, PCI_DATA = 0xCFC;
constexpr u32 CONSOLE = bit(31) | 4u << 11, CONSOLE_IDENTITY = 0x10031AF4;
constexpr u32 PCI_COMMAND = 4, PCI_BAR_0 = 16;

// Registers of a legacy virtio device, from its first BAR.
constexpr u16 QUEUE_FRAME = 8, QUEUE_SIZE = 12, QUEUE_SELECT = 14, QUEUE_NOTIFY = 16, STATUS = 18;
constexpr u8 ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4;
constexpr u16 TRANSMIT = 1;
constexpr u32 SLOTS = 128;

struct alignas(4096) Queue {
    struct {
        u64 address;
        u32 bytes;
        u16 flags, next;
    } descriptor[SLOTS];
    u16 available_flags, available_index, available[SLOTS + 1];
    alignas(4096) u16 used_flags;
    u16 used_index;
    struct {
        u32 id, bytes;
    } used[SLOTS];
};

volatile Queue queue;
char buffer[1 << 16];
u32 used;
u16 device;

// The program is below 2 MiB, in whichever mapping it runs.
u64 physical(const volatile void* at) { return reinterpret_cast<word>(at) & low_bits(21); }

u32 configuration(u32 offset) {
    out32(PCI_ADDRESS, CONSOLE | offset);
    return in32(PCI_DATA);
}

[[noreturn]] void end(u32 code) {
    out32(EXIT, code);
    for (;;) asm volatile("hlt");
}

}  // namespace

void open_output() {
    if (configuration(0) != CONSOLE_IDENTITY) end(EXIT_NO_CONSOLE);
    u32 command = configuration(PCI_COMMAND);
    out32(PCI_DATA, command | 5);  // ports, and access to memory
    device = static_cast<u16>(configuration(PCI_BAR_0) & ~3u);
    out8(device + STATUS, ACKNOWLEDGE | DRIVER);
    out32(device + 4, 0);
    out16(device + QUEUE_SELECT, TRANSMIT);
    if (in32(device + QUEUE_SIZE) << 16 >> 16 != SLOTS) end(EXIT_NO_CONSOLE);
    out32(device + QUEUE_FRAME, static_cast<u32>(physical(&queue) >> 12));
    out8(device + STATUS, ACKNOWLEDGE | DRIVER | DRIVER_OK);
}

void put(char c) {
    if (used == sizeof buffer) flush();
    buffer[used++] = c;
}

void put(const char* text) {
    while (*text) put(*text++);
}

void put_padded(u32 value, unsigned digits) {
    char text[20];
    unsigned count = 0;
    do {
        text[count++] = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value);
    for (unsigned i = count; i < digits; i++) put('0');
    while (count) put(text[--count]);
}

void put_decimal(u32 value) { put_padded(value, 1); }

void put_hex(u64 value) {
    put("\"0x");
    unsigned shift = 60;
    while (shift && !(value >> shift)) shift -= 4;
    for (;; shift -= 4) {
        u32 digit = value >> shift & 15;
        put(static_cast<char>(digit < 10 ? '0' + digit : 'a' + digit - 10));
        if (!shift) break;
    }
    put('"');
}

void flush() {
    if (!used) return;
    queue.descriptor[0].address = physical(buffer);
    queue.descriptor[0].bytes = used;
    u16 sent = queue.available_index;
    queue.available[sent % SLOTS] = 0;
    asm volatile("" : : : "memory");
    queue.available_index = ++sent;
    asm volatile("mfence" : : : "memory");
    out16(device + QUEUE_NOTIFY, TRANSMIT);
    while (queue.used_index != sent) asm volatile("pause");
    used = 0;
}

void finish() {
    flush();
    end(EXIT_DONE);
}

void give_up(const char* why, u64 detail) {
    put("\noracle gave up: ");
    put(why);
    put(", ");
    put_hex(detail);
    put('\n');
    flush();
    end(EXIT_GAVE_UP);
}
