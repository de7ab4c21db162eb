//! The reference of Twinwalk for benches that are not written in Rust: a C library, and the same as DPI-C functions.
//!
//! Contract: none; SDM vol. 3A, 4.5 to 4.8 and 4.10. Counterpart: `include/twinwalk_reference.h`, which is kept by hand and held against
//! [`abi`] by the tests; `sv/twinwalk_reference_pkg.sv`.
//!
//! [`Judge`] is the same without the border. It stands on `twinwalk::reference`, which also judges `twinwalk check --rtl`: the timeless walk, and
//! the architectural check of what may be stale. Nothing about paging is decided in this crate.
//!
//! | module | is |
//! | --- | --- |
//! | [`abi`] | structures and numbers that cross the border |
//! | [`judge`] | the walk and the check, an event at a time |
//! | [`border`] | the functions of the header: the only unsafe code |
//! | [`dpi`] | the same functions with arguments that DPI-C passes |

pub mod abi;
pub mod border;
pub mod dpi;
pub mod judge;

pub use judge::Judge;
