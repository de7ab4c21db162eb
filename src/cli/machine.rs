//! Where commands get their RTL machines from: the linked one, or one that is verilated now and kept in a cache of the user's.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! The cache is `$XDG_CACHE_HOME/twinwalk`, else `~/.cache/twinwalk`.

use super::Context;
use super::error::CliError;
use crate::config::{Config, Replacement};

/// How long a machine will run, which decides how long its build may optimise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// Some thousands of cycles: the build is all that a user waits for.
    Moments,
    /// Some millions: `-O1` costs a twentieth of the speed, and saves more than half of the build.
    Minutes,
}

/// Why a build without RTL refuses, and what to do.
#[cfg(not(feature = "rtl"))]
const NO_RTL: (&str, &str) = (
    "this build has no RTL",
    "install it with its default features: cargo install twinwalk",
);

/// Refuses a machine that the model alone has.
///
/// # Errors
/// A value of `config` is none that the RTL has.
pub fn require_rtl(config: &Config) -> Result<(), CliError> {
    let Some((key, replacement)) = config.without_rtl().into_iter().next() else {
        return Ok(());
    };
    let have = Replacement::WITH_RTL.map(|policy| format!("\"{}\"", policy.name()));
    Err(CliError::new(
        format_args!(
            "{key} = \"{}\" is refused where the RTL runs: rtl: none, the model alone has that policy",
            replacement.name()
        ),
        format_args!(
            "give {key} one of {}, which the RTL has too; or run the model alone (`run`, `explain`; elsewhere --on model)",
            have.join(", ")
        ),
    ))
}

/// What outputs say of a machine that the model alone has, and why.
pub fn rtl_none(config: &Config) -> Option<String> {
    let found = config.without_rtl();
    let name =
        |(key, replacement): &(String, Replacement)| format!("{key} = \"{}\"", replacement.name());
    let names: Vec<String> = found.iter().map(name).collect();
    (!names.is_empty()).then(|| format!("rtl: none ({}: in the model alone)", names.join(", ")))
}

#[cfg(feature = "rtl")]
pub use with_rtl::Machines;
#[cfg(not(feature = "rtl"))]
pub use without_rtl::Machines;

#[cfg(feature = "rtl")]
mod with_rtl {
    use std::ffi::OsString;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::{CliError, Config, Context, Stretch};
    use crate::cosim::cache::Cache;
    use crate::cosim::design::Design;
    use crate::cosim::library::{LibraryError, Provider, Recipe, Step};
    use crate::cosim::rtl::{InitialRegisters, Library, Rtl, RtlError};
    use crate::cosim::verilate::{Coverage, Flags, Optimisation, Trace};

    /// RTL machines for any configuration.
    pub struct Machines {
        provider: Provider,
    }

    impl Machines {
        /// Opens the user's cache.
        ///
        /// # Errors
        /// The cache directory cannot be used.
        pub fn open() -> Result<Self, CliError> {
            let directory = cache_directory()?;
            let provider =
                Provider::open(&directory, Cache::DEFAULT_LIMIT_BYTES).map_err(|error| {
                    CliError::new(error, "name another cache directory in XDG_CACHE_HOME")
                })?;
            Ok(Self { provider })
        }

        /// The machine of a configuration: linked in, from the cache, or built now, which takes seconds and is said on standard error.
        ///
        /// # Errors
        /// Verilator or the C++ compiler is missing or refuses; the cache cannot be used.
        pub fn library(
            &self,
            config: &Config,
            stretch: Stretch,
            context: &mut Context,
        ) -> Result<Library, CliError> {
            self.library_with(config, flags(stretch), context)
        }

        /// The same for minutes, able to write waves.
        ///
        /// # Errors
        /// As [`Machines::library`].
        pub fn library_with_waves(
            &self,
            config: &Config,
            context: &mut Context,
        ) -> Result<Library, CliError> {
            let flags = Flags {
                trace: Trace::Fst,
                ..flags(Stretch::Minutes)
            };
            self.library_with(config, flags, context)
        }

        /// The machine of a configuration, able to count its lines and branches, and also its bits. With bits there is ten times as much to
        /// compile, and it is not optimised.
        ///
        /// # Errors
        /// As [`Machines::library`].
        pub fn library_with_coverage(
            &self,
            config: &Config,
            toggles: bool,
            context: &mut Context,
        ) -> Result<Library, CliError> {
            let flags = if toggles {
                Flags {
                    coverage: Coverage::Toggles,
                    ..flags(Stretch::Moments)
                }
            } else {
                Flags {
                    coverage: Coverage::Lines,
                    ..flags(Stretch::Minutes)
                }
            };
            self.library_with(config, flags, context)
        }

        /// The machines of several configurations, in their order; on every processor, because what takes longest, compiling, does not
        /// divide.
        pub fn libraries(
            &self,
            configs: &[Config],
            stretch: Stretch,
            context: &mut Context,
        ) -> Vec<Result<Library, CliError>> {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let next = AtomicUsize::new(0);
            let (reports, steps) = mpsc::channel();
            let build = |reports: mpsc::Sender<Step>| {
                let mut built = Vec::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(config) = configs.get(index) else {
                        return built;
                    };
                    let mut say = |step| {
                        let _ = reports.send(step);
                    };
                    built.push((index, self.found_or_built(config, flags(stretch), &mut say)));
                }
            };
            std::thread::scope(|scope| {
                let build = &build;
                let builders: Vec<_> = (0..threads.min(configs.len()))
                    .map(|_| {
                        let reports = reports.clone();
                        scope.spawn(move || build(reports))
                    })
                    .collect();
                drop(reports);
                for step in steps {
                    note(step, context);
                }
                let mut built: Vec<_> = builders
                    .into_iter()
                    .flat_map(|builder| {
                        // A panic goes on as one.
                        builder
                            .join()
                            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                    })
                    .collect();
                built.sort_by_key(|(index, _)| *index);
                built.into_iter().map(|(_, library)| library).collect()
            })
        }

        fn library_with(
            &self,
            config: &Config,
            flags: Flags,
            context: &mut Context,
        ) -> Result<Library, CliError> {
            self.found_or_built(config, flags, &mut |step| note(step, context))
        }

        fn found_or_built(
            &self,
            config: &Config,
            flags: Flags,
            say: &mut dyn FnMut(Step),
        ) -> Result<Library, CliError> {
            super::require_rtl(config)?;
            self.provider
                .library(&Recipe::new(config, flags), say)
                .map_err(|error| CliError::new(&error, remedy(&error)))
        }

        /// The machine of a user's design: from the cache, or built now.
        ///
        /// # Errors
        /// As [`Machines::library`]; the design is refused.
        pub fn guest_library(
            &self,
            design: &Design,
            trace: Trace,
            context: &mut Context,
        ) -> Result<Library, CliError> {
            let recipe = design.recipe(Flags {
                trace,
                ..flags(Stretch::Minutes)
            });
            let mut say = |step: Step| match step {
                Step::Cache(_) => {}
                Step::Runtime => context.note("compiling Verilator's runtime, once"),
                Step::Verilate => context.note("verilating the design"),
                Step::Compile => context.note("compiling it"),
            };
            self.provider
                .loaded_library(&recipe, &mut say)
                .map_err(|error| CliError::new(&error, remedy(&error)))
        }

        /// A machine of a user's design, in reset; registers begin at random values drawn from `seed`.
        ///
        /// # Errors
        /// It cannot be made, or a parameter of its top is too narrow for its value.
        pub fn guest(design: &Design, library: &Library, seed: u64) -> Result<Rtl, CliError> {
            let parameters = &design.spec.parameters;
            Rtl::with_parameters(parameters, library, InitialRegisters::Random(seed)).map_err(
                |error| match &error {
                    RtlError::Parameter { name, rtl, config } => CliError::new(
                        format_args!(
                            "{}: design.parameters.{name} = {config} is refused: the design is elaborated with {rtl}",
                            design.spec.path.display()
                        ),
                        format_args!("give {name} a value that its type in `{}` holds", design.spec.top),
                    ),
                    _ => CliError::new(
                        &error,
                        "remove the cache of machines (twinwalk in XDG_CACHE_HOME) and try again",
                    ),
                },
            )
        }

        /// A machine of `library`, in reset; registers begin at random values drawn from `seed`.
        ///
        /// # Errors
        /// It cannot be made.
        pub fn instance(config: &Config, library: &Library, seed: u64) -> Result<Rtl, CliError> {
            Rtl::new(config, library, InitialRegisters::Random(seed)).map_err(|error| {
                CliError::new(
                    error,
                    "remove the cache of machines (twinwalk in XDG_CACHE_HOME) and try again",
                )
            })
        }
    }

    /// Says what the user waits for.
    fn note(step: Step, context: &mut Context) {
        match step {
            Step::Cache(_) => {}
            Step::Runtime => context.note("compiling Verilator's runtime, once"),
            Step::Verilate => context.note("verilating the RTL for this machine, once"),
            Step::Compile => context.note("compiling it"),
        }
    }

    fn flags(stretch: Stretch) -> Flags {
        Flags {
            optimisation: match stretch {
                Stretch::Moments => Optimisation::None,
                Stretch::Minutes => Optimisation::Basic,
            },
            ..Flags::DEFAULT
        }
    }

    /// What to do where a machine could not be built.
    fn remedy(error: &LibraryError) -> String {
        let remedy = match error {
            LibraryError::GuestPorts { remedy, .. } => remedy,
            LibraryError::Guest { .. } => {
                "mend what Verilator names; if it names a file of none of yours, see docs/byo.md"
            }
            LibraryError::Tool(_) => {
                "this command runs the RTL: install Verilator 5.006 or later and g++ (on Debian: apt-get install verilator g++)"
            }
            LibraryError::Verilate { .. } | LibraryError::Patch { .. } => {
                "use a Verilator that the RTL is tested with, 5.006 or later"
            }
            LibraryError::Compile { .. } => {
                "make room there, or name another cache directory in XDG_CACHE_HOME; if that is not it, use a compiler for C++17"
            }
            LibraryError::Cache(_) | LibraryError::Write { .. } => {
                "make room in the cache of machines, or name another directory in XDG_CACHE_HOME"
            }
            LibraryError::Load(_) => {
                "remove the cache of machines (twinwalk in XDG_CACHE_HOME) and try again"
            }
        };
        remedy.to_owned()
    }

    fn cache_directory() -> Result<PathBuf, CliError> {
        let given = |name: &str| {
            std::env::var_os(name)
                .filter(|value: &OsString| !value.is_empty())
                .map(PathBuf::from)
        };
        let base = given("XDG_CACHE_HOME")
            .or_else(|| given("HOME").map(|home| home.join(".cache")))
            .or_else(|| given("LOCALAPPDATA"));
        base.map(|base| base.join("twinwalk")).ok_or_else(|| {
            CliError::new(
                "there is no place to keep verilated machines: neither XDG_CACHE_HOME nor HOME is set",
                "set XDG_CACHE_HOME to a directory of yours",
            )
        })
    }
}

#[cfg(not(feature = "rtl"))]
mod without_rtl {
    use super::{CliError, Config, Context, NO_RTL, Stretch};
    use crate::cosim::twin::NoTwin;

    /// The RTL machines of a build that has none.
    pub struct Machines;

    impl Machines {
        /// Refuses.
        ///
        /// # Errors
        /// Always: this build has no RTL.
        pub fn open() -> Result<Self, CliError> {
            Err(CliError::new(NO_RTL.0, NO_RTL.1))
        }

        /// Refuses.
        ///
        /// # Errors
        /// Always.
        pub fn library(
            &self,
            _config: &Config,
            _stretch: Stretch,
            _context: &mut Context,
        ) -> Result<(), CliError> {
            Err(CliError::new(NO_RTL.0, NO_RTL.1))
        }

        /// Refuses.
        ///
        /// # Errors
        /// Always.
        pub fn library_with_coverage(
            &self,
            _config: &Config,
            _toggles: bool,
            _context: &mut Context,
        ) -> Result<(), CliError> {
            Err(CliError::new(NO_RTL.0, NO_RTL.1))
        }

        /// Refuses each.
        pub fn libraries(
            &self,
            configs: &[Config],
            _stretch: Stretch,
            _context: &mut Context,
        ) -> Vec<Result<(), CliError>> {
            let refuse = |_| Err(CliError::new(NO_RTL.0, NO_RTL.1));
            configs.iter().map(refuse).collect()
        }

        /// Refuses.
        ///
        /// # Errors
        /// Always.
        pub fn instance(_config: &Config, _library: &(), _seed: u64) -> Result<NoTwin, CliError> {
            Err(CliError::new(NO_RTL.0, NO_RTL.1))
        }
    }
}
