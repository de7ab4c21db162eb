//! From a trace to what one machine is asked: what [`crate::cosim::requester`] says, as the model takes it.
//!
//! Contract: section 3 (what a requester owes the ports). SDM: none of its own. Counterpart: `src/cosim/traced.rs`, the same for a pair
//! of twins.

pub use crate::cosim::requester::{mapping, privilege};

use crate::arch::{Access, AccessKind};
use crate::config::Config;
use crate::cosim::requester;
use crate::model::{Asked, Operation, Request, Run};
use crate::trace::{self, Mapping, MemoryReference};

/// The operations that bring a machine out of reset into the paging of `mapping`.
pub fn boot(config: &Config, mapping: &Mapping) -> [Operation; 4] {
    requester::boot(config, mapping).map(|control| Operation::new(control.kind as u8, control.data))
}

/// A reference, which must not cross a page, as a request, and the port that it goes to.
#[inline]
pub fn request(reference: &MemoryReference, privilege: u8) -> (usize, Request) {
    let (port, access) = requester::access(reference, privilege);
    let request = Request {
        va: reference.address(),
        access,
        id: 0,
    };
    (usize::from(port), request)
}

/// What all accesses of a trace have in common.
pub const fn access(privilege: u8) -> Access {
    Access::new(AccessKind::Read, privilege)
}

/// A reference, which may cross a page, as the model takes many of them.
#[inline(always)]
pub const fn asked(reference: MemoryReference) -> Asked {
    let second = match reference.split() {
        (_, Some(second)) => Some(second.address()),
        (_, None) => None,
    };
    Asked {
        kind: reference.kind().access_kind(),
        va: reference.address(),
        second,
    }
}

/// A run, as the model takes them.
#[inline(always)]
pub const fn run(run: trace::Run) -> Run {
    Run {
        kind: run.kind().access_kind(),
        va: run.address(),
        fetches: run.fetches(),
        data: run.data(),
    }
}
