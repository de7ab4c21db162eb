// Lets the crate `verilated` 0.1.2, which knows Verilator up to 4.38, build against Verilator 5.
//
// Forced into the C++ files of that crate's build script by `.cargo/config.toml` (HOST_CXXFLAGS). The crate defines
// VERILATOR_VERSION_MAJOR and VERILATOR_VERSION_MINOR on the command line, and nothing else does, so other C++ code that
// sees this header is left alone. Counterpart: build.rs, which compiles our own side of the static link.
#if defined(VERILATOR_VERSION_MAJOR) && !defined(TWINWALK_VERILATED_COMPAT_H)
#define TWINWALK_VERILATED_COMPAT_H

#if VERILATOR_VERSION_MAJOR >= 5
// The crate chooses its flush callbacks by "4 and at least 38"; Verilator 5 has the same functions as 4.38.
#undef VERILATOR_VERSION_MAJOR
#undef VERILATOR_VERSION_MINOR
#define VERILATOR_VERSION_MAJOR 4
#define VERILATOR_VERSION_MINOR 38
// Renamed in Verilator 5, with the unit changed from megabytes to bytes.
#define rolloverMB(megabytes) rolloverSize((megabytes) * 1000000ull)
#endif

#include "print_hook.h"

#endif
