//! The text form of a stimulus, written. What is written reads back as the same stimulus.
//!
//! Contract: none. SDM: none. Counterpart: `parse.rs`; the grammar is `docs/stim.md`.

use std::fmt::{self, Display, Formatter};
use std::io;

use super::parse::{DEFAULT_SIZE_BYTES, MAGIC};
use super::{Action, Control, ControlKind, FORMAT_VERSION, Operation, Request, Setup, Stimulus};
use crate::arch::AccessKind;
use crate::cosim::stall::Link;

/// Writes header and memory image, ready for operations to follow, one a line.
///
/// # Errors
/// Those of `out`.
pub fn write_setup(out: &mut dyn io::Write, setup: &Setup) -> io::Result<()> {
    writeln!(out, "{MAGIC} {FORMAT_VERSION}")?;
    for line in &setup.about {
        writeln!(out, "about {}", one_line(line).trim())?;
    }
    if let Some(base) = &setup.config.base {
        writeln!(out, "config {base}")?;
    }
    for assignment in &setup.config.overrides {
        writeln!(out, "set {}", one_line(assignment).trim())?;
    }
    if let Some(hash) = &setup.config.hash {
        writeln!(out, "config-hash {hash}")?;
    }
    writeln!(out, "seed {}", setup.seed)?;
    for link in Link::all() {
        let permille = setup.stalls.get(link);
        if permille > 0 {
            writeln!(out, "stall {link} {permille}")?;
        }
    }
    if setup.front_end {
        writeln!(out, "front-end")?;
    }
    for (address, value) in &setup.image {
        writeln!(out, "cell {address:#x} = {value:#x}")?;
    }
    Ok(())
}

/// The text without line ends, which the line-based form cannot hold. A carriage return elsewhere is a character like any other.
fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

impl Stimulus {
    /// The text form.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::new();
        // Writing into memory does not fail.
        let _ = write_setup(&mut bytes, &self.setup);
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        for operation in &self.operations {
            text.push_str(&operation.to_string());
            text.push('\n');
        }
        text
    }
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.gap_cycles > 0 {
            write!(f, "+{} ", self.gap_cycles)?;
        }
        write!(f, "{}", self.action)
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(request) => write!(f, "{request}"),
            Self::Control(control) => write!(f, "{control}"),
            Self::Store(store) => write!(f, "store {:#x} = {:#x}", store.address, store.value),
            Self::StoreHalf(store) => {
                write!(f, "store4 {:#x} = {:#x}", store.address, store.value)
            }
            Self::Drain => f.write_str("drain"),
            Self::Idle { cycles } => write!(f, "idle {cycles}"),
            Self::Hold { link, cycles } => write!(f, "hold {link} {cycles}"),
        }
    }
}

impl Display for Request {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let access = &self.access;
        write!(f, "{} {:#x}", access.kind, self.va)?;
        match access.cpl {
            0 => {}
            3 => f.write_str(" user")?,
            cpl => write!(f, " cpl={cpl}")?,
        }
        if access.ac {
            f.write_str(" ac")?;
        }
        if access.implicit_supervisor {
            f.write_str(" implicit")?;
        }
        if access.pkru != 0 {
            write!(f, " pkru={:#x}", access.pkru)?;
        }
        let room = 0x1000 - (self.va & 0xfff);
        if u64::from(self.size_bytes) != room.min(DEFAULT_SIZE_BYTES.into()) {
            write!(f, " size={}", self.size_bytes)?;
        }
        let usual_port = u8::from(access.kind != AccessKind::Fetch);
        if self.port != usual_port {
            write!(f, " port={}", self.port)?;
        }
        Ok(())
    }
}

impl Display for Control {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if self.kind != ControlKind::Invpcid {
            return write!(f, " {:#x}", self.data);
        }
        write!(f, " {}", self.invpcid_type)?;
        match self.data {
            0 => {}
            1..=0xfff => write!(f, " pcid={}", self.data)?,
            more => write!(f, " desc={more:#x}")?,
        }
        if self.addr != 0 {
            write!(f, " va={:#x}", self.addr)?;
        }
        Ok(())
    }
}
