//! Machines of the RTL for tests: one cache for all of them, beside the build's other output, and the tools looked for once.
//!
//! Contract: none. SDM: none. Counterpart: none.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

/// What `XDG_CACHE_HOME` is for programs that are run: they find their machines among those of the tests.
pub const CACHE_HOME: &str = env!("CARGO_TARGET_TMPDIR");

#[cfg(feature = "rtl")]
pub use built::{BUSY, QUICK, provider};

#[cfg(feature = "rtl")]
mod built {
    use std::path::Path;
    use std::sync::OnceLock;

    use twinwalk::cosim::cache::Cache;
    use twinwalk::cosim::library::Provider;
    use twinwalk::cosim::verilate::{Flags, Optimisation};

    /// For machines that run few cycles: the shortest build.
    pub const QUICK: Flags = Flags {
        optimisation: Optimisation::None,
        ..Flags::DEFAULT
    };

    /// For machines that would run for seconds if they were built as [`QUICK`] ones are.
    pub const BUSY: Flags = Flags {
        optimisation: Optimisation::Basic,
        ..Flags::DEFAULT
    };

    /// Where all machines come from.
    pub fn provider() -> &'static Provider {
        static PROVIDER: OnceLock<Provider> = OnceLock::new();
        PROVIDER.get_or_init(|| {
            let directory = Path::new(super::CACHE_HOME).join("twinwalk");
            Provider::open(&directory, Cache::DEFAULT_LIMIT_BYTES)
                .expect("the cache directory can be used")
        })
    }
}
