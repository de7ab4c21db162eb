// Sends what the verilated RTL would print (failed assertions, $display) to the harness instead of standard output.
//
// Forced in (`-include`) before the first line of every file of Verilator's runtime and of the verilated model.
// Verilator's headers print through VL_PRINTF and let it be redefined. The harness sets the pointer (harness.cpp); until
// then, and in a program without the harness, the pointer is printf and nothing changes.
#ifndef TWINWALK_PRINT_HOOK_H
#define TWINWALK_PRINT_HOOK_H

#include <cstdio>

namespace twinwalk {
using PrintFunction = int (*)(const char*, ...);
// C++17 `inline`: one variable for all translation units of an image, whichever archive they come from.
inline PrintFunction print_function = &std::printf;
}  // namespace twinwalk

#define VL_PRINTF twinwalk::print_function

#endif
