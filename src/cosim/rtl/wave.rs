//! Files that a machine writes: waves of a window, and coverage counts.
//!
//! Contract: none. Counterpart: `shim/harness.cpp` (`wave_open`, `wave_beside`, `coverage_write`). Why this is sound: see the parent module.

use std::ffi::{CStr, CString};
use std::fs;
use std::path::{Path, PathBuf};

use super::{Rtl, RtlError, room};

/// Bits of the table's `features`, as in `shim/twinwalk.h`.
const FEATURE_VCD: u32 = 2;
const FEATURE_FST: u32 = 4;

/// Which waves a machine can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaveFormat {
    /// Value change dump.
    Vcd,
    /// Fast signal trace.
    Fst,
}

/// A wave that is being written, under a temporary name beside its own.
pub(super) struct Wave {
    temporary: PathBuf,
    path: PathBuf,
    #[cfg(feature = "rtl-static")]
    vcd: Option<verilated::vcd::Vcd>,
}

impl Rtl {
    /// The waves that this machine can write, or `None`.
    pub fn wave_format(&self) -> Option<WaveFormat> {
        match self.machine.api().features & (FEATURE_VCD | FEATURE_FST) {
            0 => None,
            FEATURE_VCD => Some(WaveFormat::Vcd),
            _ => Some(WaveFormat::Fst),
        }
    }

    /// Writes waves from the next cycle on, until [`close_wave`](Self::close_wave). A cycle is 10 ns, its edge in the middle; the
    /// contract's cycle number is shown as `mmu.u_twinwalk_probe.cycle_q`. The file appears under its name when it is closed.
    ///
    /// # Errors
    /// If the machine was built without waves, or the file cannot be written.
    pub fn open_wave(&mut self, path: &Path) -> Result<(), RtlError> {
        self.close_wave()?;
        let temporary = temporary_beside(path)?;
        let opened = room::make_sure(path, room::FOR_A_BEGIN_BYTES)
            .map_err(|source| cannot_write(path, source))
            .and_then(|()| c_path(&temporary))
            .and_then(|name| self.start_wave(&name, path, &temporary));
        if opened.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        self.wave = Some(opened?);
        Ok(())
    }

    #[cfg(feature = "rtl-static")]
    fn start_wave(&mut self, name: &CStr, path: &Path, temporary: &Path) -> Result<Wave, RtlError> {
        let wave = |vcd| Wave {
            temporary: temporary.to_owned(),
            path: path.to_owned(),
            vcd,
        };
        if !self.machine.library.is_linked() {
            self.start_own_wave(name)?;
            return Ok(wave(None));
        }
        let mut vcd = verilated::vcd::Vcd::default();
        // SAFETY: the handle is live; the pointer is a VerilatedVcdC of the same runtime, and is detached (`wave_close`) before it
        // is dropped.
        let done = unsafe {
            (self.machine.api().wave_open)(
                self.machine.handle.as_ptr(),
                name.as_ptr(),
                vcd.0.cast(),
            )
        };
        if done == 0 {
            return Err(RtlError::NotBuilt("waves"));
        }
        if let Err(source) = vcd.open(temporary) {
            // SAFETY: the handle is live.
            unsafe { (self.machine.api().wave_close)(self.machine.handle.as_ptr()) };
            return Err(cannot_write(path, source));
        }
        Ok(wave(Some(vcd)))
    }

    #[cfg(not(feature = "rtl-static"))]
    fn start_wave(&mut self, name: &CStr, path: &Path, temporary: &Path) -> Result<Wave, RtlError> {
        self.start_own_wave(name)?;
        Ok(Wave {
            temporary: temporary.to_owned(),
            path: path.to_owned(),
        })
    }

    /// Waves of a loaded machine, which writes them itself.
    fn start_own_wave(&mut self, name: &CStr) -> Result<(), RtlError> {
        // SAFETY: the handle is live and the name a C string; no VCD object is needed for FST.
        let done = unsafe {
            match self.wave_format() {
                Some(WaveFormat::Fst) => (self.machine.api().wave_open)(
                    self.machine.handle.as_ptr(),
                    name.as_ptr(),
                    std::ptr::null_mut(),
                ),
                _ => 0,
            }
        };
        if done == 0 {
            Err(RtlError::NotBuilt("waves"))
        } else {
            Ok(())
        }
    }

    /// What the wave shows beside the machine's own signals from the next cycle on: the words that [`beside`](crate::cosim::wave::beside)
    /// lays out. Whether the machine has such signals; those that write FST do.
    pub fn show_beside(&mut self, words: &[u64]) -> bool {
        // SAFETY: the handle is live and the words valid for their count; the harness copies only words that are among them.
        let done = unsafe {
            (self.machine.api().wave_beside)(
                self.machine.handle.as_ptr(),
                words.as_ptr(),
                words.len(),
            )
        };
        done != 0
    }

    /// Ends the wave and gives the file its name. Without an open wave it does nothing.
    ///
    /// # Errors
    /// If the disk is full, or the file cannot get its name; then it is gone, and a file that had its name before is as it was.
    pub fn close_wave(&mut self) -> Result<(), RtlError> {
        let Some(wave) = self.wave.take() else {
            return Ok(());
        };
        let room = room::make_sure(&wave.path, room::FOR_AN_END_BYTES);
        if room.is_err() {
            // What is there is of no use, and its room lets the runtime end the file in peace.
            let _ = fs::File::create(&wave.temporary);
        }
        // SAFETY: the handle is live.
        unsafe { (self.machine.api().wave_close)(self.machine.handle.as_ptr()) };
        #[cfg(feature = "rtl-static")]
        drop(wave.vcd);
        let closed = room
            .and_then(|()| match self.wave_format() {
                Some(WaveFormat::Fst) => room::whole_fst(&wave.temporary),
                _ => Ok(()),
            })
            .and_then(|()| fs::rename(&wave.temporary, &wave.path));
        closed.map_err(|source| {
            let _ = fs::remove_file(&wave.temporary);
            cannot_write(&wave.path, source)
        })
    }

    /// Writes the coverage counts, for `verilator_coverage`.
    ///
    /// # Errors
    /// If the machine was built without coverage, or the file cannot be written.
    pub fn write_coverage(&mut self, path: &Path) -> Result<(), RtlError> {
        // Made by us first: where the runtime cannot open a file, it ends the process.
        let temporary = temporary_beside(path)?;
        let name = c_path(&temporary)?;
        // SAFETY: the handle is live and the name a C string.
        let done = unsafe {
            (self.machine.api().coverage_write)(self.machine.handle.as_ptr(), name.as_ptr())
        };
        if done == 0 {
            let _ = fs::remove_file(&temporary);
            return Err(RtlError::NotBuilt("coverage"));
        }
        fs::rename(&temporary, path).map_err(|source| {
            let _ = fs::remove_file(&temporary);
            cannot_write(path, source)
        })
    }
}

/// Makes an empty file beside `path`: proof that the runtime will be able to open it.
fn temporary_beside(path: &Path) -> Result<PathBuf, RtlError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.partial", std::process::id()));
    match fs::File::create(&temporary) {
        Ok(_) => Ok(temporary),
        Err(source) => Err(cannot_write(path, source)),
    }
}

fn cannot_write(path: &Path, source: std::io::Error) -> RtlError {
    RtlError::Write {
        path: path.to_owned(),
        source,
    }
}

fn c_path(path: &Path) -> Result<CString, RtlError> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| RtlError::Path(path.to_owned()))
}
