//! The binary `twinwalk`: everything is in the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    twinwalk::cli::main()
}
