//! A machine that can be made: its table of functions, and where the code comes from.
//!
//! Contract: none. Counterpart: `shim/twinwalk.h`, whose table [`Api`] mirrors. Why this is sound: see the parent module.

use std::ffi::{CStr, c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use super::RtlError;
use crate::cosim::groups::Groups;
use crate::model::mmu_pkg::{Inputs, Outputs};

/// Version of the table of functions; changes together with `ABI_VERSION` in `shim/twinwalk.h`.
const ABI_VERSION: u32 = 4;

/// Mirror of `twinwalk::Api` (`shim/twinwalk.h`).
#[repr(C)]
pub(super) struct Api {
    abi_version: u32,
    pub(super) features: u32,
    inputs_bytes: u32,
    outputs_bytes: u32,
    groups: u32,
    reserved: u32,
    build_key: *const c_char,
    verilator_version: *const c_char,
    parameter_names: *const c_char,
    create: unsafe extern "C" fn(
        i32,
        u64,
        Option<extern "C" fn(i32)>,
        *const Inputs,
        *mut c_char,
        usize,
    ) -> *mut c_void,
    destroy: unsafe extern "C" fn(*mut c_void),
    pub(super) tick: unsafe extern "C" fn(*mut c_void, *const Inputs, *mut Outputs) -> u32,
    pub(super) probe: unsafe extern "C" fn(*mut c_void, *const Inputs, *mut Outputs),
    parameter: unsafe extern "C" fn(*mut c_void, u32, *mut u64) -> i32,
    pub(super) messages: unsafe extern "C" fn(*mut c_void, *mut c_char, usize) -> usize,
    pub(super) wave_open: unsafe extern "C" fn(*mut c_void, *const c_char, *mut c_void) -> i32,
    pub(super) wave_close: unsafe extern "C" fn(*mut c_void),
    pub(super) wave_beside: unsafe extern "C" fn(*mut c_void, *const u64, usize) -> i32,
    pub(super) coverage_write: unsafe extern "C" fn(*mut c_void, *const c_char) -> i32,
}

/// What registers hold before reset. No behaviour may depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitialRegisters {
    /// Every bit 0.
    Zeros,
    /// Every bit 1.
    Ones,
    /// Random, the same for the same seed.
    Random(u64),
}

impl InitialRegisters {
    /// Verilator's code of the mode, and the seed.
    fn code(self) -> (i32, u64) {
        match self {
            Self::Zeros => (0, 0),
            Self::Ones => (1, 0),
            Self::Random(seed) => (2, seed),
        }
    }
}

/// A machine that can be made. Cheap to clone.
#[derive(Clone)]
pub struct Library(Arc<Loaded>);

struct Loaded {
    api: NonNull<Api>,
    path: PathBuf,
    linked: bool,
    /// Keeps the code mapped; `None` for the linked machine.
    _library: Option<libloading::Library>,
}

// SAFETY: the table is immutable, its functions may be called from any thread (the harness serialises creation), and the mapping
// it lies in is owned by the same value.
unsafe impl Send for Loaded {}
// SAFETY: as above; no function of the table changes the library itself.
unsafe impl Sync for Loaded {}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library")
            .field("path", &self.0.path)
            .field("linked", &self.0.linked)
            .finish()
    }
}

#[cfg(feature = "rtl-static")]
unsafe extern "C" {
    fn twinwalk_api() -> *const Api;
}

impl Library {
    /// Loads a shared library that was built under `key`.
    ///
    /// # Errors
    /// If it cannot be opened, or is not the machine that was asked for.
    pub fn load(path: &Path, key: &str) -> Result<Self, RtlError> {
        let open = |error: libloading::Error| RtlError::Open {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        // SAFETY: the library is one that we built (key, below); its initialisers are those of Verilator's runtime and of the C++
        // library, which have no preconditions. libloading opens it RTLD_LOCAL, so its symbols meet no other machine's.
        let library = unsafe { libloading::Library::new(path) }.map_err(open)?;
        // SAFETY: the symbol has this type in every library that exports it (shim/twinwalk.h).
        let api = unsafe { library.get::<unsafe extern "C" fn() -> *const Api>(b"twinwalk_api\0") }
            .map_err(open)?;
        // SAFETY: the function has no preconditions and returns a pointer to a static table.
        let api = unsafe { api() };
        Self::new(api, path.to_owned(), false, Some(library))?.expect_key(key)
    }

    /// The machine that is linked into this program, if there is one (feature `rtl-static`).
    ///
    /// # Errors
    /// If program and machine are not of one build.
    #[cfg(feature = "rtl-static")]
    pub fn linked() -> Result<Option<Self>, RtlError> {
        // SAFETY: the function has no preconditions and returns a pointer to a static table.
        let api = unsafe { twinwalk_api() };
        Self::new(api, PathBuf::from("linked"), true, None)?
            .expect_key("linked")
            .map(Some)
    }

    /// The machine that is linked into this program, if there is one (feature `rtl-static`).
    ///
    /// # Errors
    /// None without that feature.
    #[cfg(not(feature = "rtl-static"))]
    pub fn linked() -> Result<Option<Self>, RtlError> {
        Ok(None)
    }

    fn new(
        api: *const Api,
        path: PathBuf,
        linked: bool,
        library: Option<libloading::Library>,
    ) -> Result<Self, RtlError> {
        let Some(api) = NonNull::new(api.cast_mut()) else {
            return Err(RtlError::Open {
                path,
                reason: "it has no table of functions".into(),
            });
        };
        let loaded = Loaded {
            api,
            path,
            linked,
            _library: library,
        };
        // SAFETY: the table begins with its version in every version; the sizes follow it in this one.
        let found = unsafe {
            let api = api.as_ptr();
            (
                (*api).abi_version,
                (*api).inputs_bytes,
                (*api).outputs_bytes,
            )
        };
        let checks = [
            ("the version of its table", found.0, ABI_VERSION as usize),
            ("the size of Inputs", found.1, size_of::<Inputs>()),
            ("the size of Outputs", found.2, size_of::<Outputs>()),
        ];
        for (what, found, expected) in checks {
            if found as usize != expected {
                let (found, expected) = (found.to_string(), expected.to_string());
                return Err(RtlError::Mismatch {
                    path: loaded.path.clone(),
                    what,
                    found,
                    expected,
                });
            }
        }
        Ok(Self(Arc::new(loaded)))
    }

    fn expect_key(self, key: &str) -> Result<Self, RtlError> {
        let found = self.text(|api| api.build_key);
        if found == key {
            return Ok(self);
        }
        Err(RtlError::Mismatch {
            path: self.0.path.clone(),
            what: "its key",
            found,
            expected: key.to_owned(),
        })
    }

    fn api(&self) -> &Api {
        // SAFETY: the table is static in a mapping that `self` keeps, and its version was checked.
        unsafe { self.0.api.as_ref() }
    }

    fn text(&self, field: impl Fn(&Api) -> *const c_char) -> String {
        // SAFETY: the table's texts are static C strings.
        unsafe { CStr::from_ptr(field(self.api())) }
            .to_string_lossy()
            .into_owned()
    }

    /// The shared library, or `linked`. An entry of the cache may have got another name since, or be gone.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether this is the linked machine.
    pub fn is_linked(&self) -> bool {
        self.0.linked
    }

    /// The groups of outputs that the machine has: all of the project's own, of a user's those that its adapter shows.
    pub fn groups(&self) -> Groups {
        Groups::from_bits(self.api().groups)
    }

    /// Version of Verilator's runtime, as the runtime says it.
    pub fn verilator_version(&self) -> String {
        #[cfg(feature = "rtl-static")]
        if self.0.linked {
            let [name, version] = [verilated::product_name(), verilated::product_version()];
            return format!("{} {}", name.to_string_lossy(), version.to_string_lossy());
        }
        format!("Verilator {}", self.text(|api| api.verilator_version))
    }

    /// The parameters as the RTL was elaborated, in the contract's order.
    ///
    /// # Errors
    /// If no machine can be made: only a machine knows.
    pub fn parameters(&self) -> Result<Vec<(String, u64)>, RtlError> {
        Ok(Machine::new(self, InitialRegisters::Zeros)?.parameters())
    }
}

/// A handle of the harness, with the library it is of.
pub(super) struct Machine {
    pub(super) handle: NonNull<c_void>,
    pub(super) library: Library,
}

impl Machine {
    pub(super) fn new(library: &Library, initial: InitialRegisters) -> Result<Self, RtlError> {
        let (mode, seed) = initial.code();
        let mut error = [0u8; 512];
        let inputs = Inputs::default();
        let govern = if library.0.linked { GOVERN } else { None };
        // SAFETY: the pointers are valid for the call, `error` for its length; the harness lets no exception out.
        let handle = unsafe {
            (library.api().create)(
                mode,
                seed,
                govern,
                &raw const inputs,
                error.as_mut_ptr().cast(),
                error.len(),
            )
        };
        NonNull::new(handle)
            .map(|handle| Self {
                handle,
                library: library.clone(),
            })
            .ok_or_else(|| {
                let text = CStr::from_bytes_until_nul(&error)
                    .map(CStr::to_string_lossy)
                    .unwrap_or_default();
                RtlError::Create(text.into_owned())
            })
    }

    pub(super) fn api(&self) -> &Api {
        self.library.api()
    }

    pub(super) fn parameters(&self) -> Vec<(String, u64)> {
        let names = self.library.text(|api| api.parameter_names);
        let value = |index: usize| {
            let mut value = 0;
            // SAFETY: the handle is live and the pointer valid for the call; an index out of range leaves the value alone.
            unsafe { (self.api().parameter)(self.handle.as_ptr(), index as u32, &raw mut value) };
            value
        };
        names
            .lines()
            .enumerate()
            .map(|(index, name)| (name.to_owned(), value(index)))
            .collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: the handle came from `create` and is given up here, once.
        unsafe { (self.api().destroy)(self.handle.as_ptr()) };
    }
}

#[cfg(feature = "rtl-static")]
const GOVERN: Option<extern "C" fn(i32)> = Some(govern);
#[cfg(not(feature = "rtl-static"))]
const GOVERN: Option<extern "C" fn(i32)> = None;

/// Called by the harness with the new machine's context current: `verilated` speaks to the current context.
#[cfg(feature = "rtl-static")]
extern "C" fn govern(mode: i32) {
    let mode = match mode {
        0 => verilated::RandomMode::AllZeros,
        1 => verilated::RandomMode::AllBits,
        _ => verilated::RandomMode::Randomize,
    };
    verilated::set_rand_reset(mode);
    verilated::trace_ever_on(true);
}
