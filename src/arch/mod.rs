//! The architecture as the manual states it: addresses, entries, modes, rights, faults, control registers.
//!
//! Contract: sections 4, 8.4, 9.3 and 11. SDM vol. 3A, paging chapter, 4.1 to 4.10.
//! Counterpart: `rtl/mmu_pkg.sv` says the same in hardware; `crate::reference` puts these pieces in order.
//!
//! Nothing here knows time, caches or memory. Every type is `Copy`, nothing allocates on a path that a model takes per
//! request, and the only state is [`Registers`], which a caller owns. What the hot path does by shift and mask
//! ([`entry`]) is stated a second time as a table of the manual's fields ([`fields`]), and tests hold the two equal.
//!
//! | module | says |
//! | --- | --- |
//! | [`address`] | linear addresses that carry their paging mode, physical addresses, page sizes |
//! | [`mode`] | the paging modes as a data table |
//! | [`cell`] | where an entry stands in the 8 bytes that memory transfers |
//! | [`entry`] | an entry's bits, and what an entry means at a level: the hot path |
//! | [`fields`] | one table of fields per kind of entry: the bit view and the printed form |
//! | [`access`] | who asks for what |
//! | [`rights`] | what a path allows, and whether an access may |
//! | [`fault`] | page-fault error codes, general protection, bus errors |
//! | [`registers`] | CR0, CR3, CR4, EFER: writes, their faults, and the flush that each implies |
//! | [`invalidation`] | what an operation removes from TLBs and paging-structure caches |

pub mod access;
pub mod address;
pub mod cell;
pub mod entry;
pub mod fault;
pub mod fields;
pub mod invalidation;
pub mod mode;
pub mod registers;
pub mod rights;

#[cfg(test)]
mod tests;

pub use access::{Access, AccessKind};
pub use address::{
    AddressError, Capabilities, MaxPhyAddr, NonCanonical, PageSize, PhysicalAddress, VirtualAddress,
};
pub use cell::EntrySlot;
pub use entry::{Decoded, Entry, EntryRules, MemoryTypeBits};
pub use fault::{BusError, GeneralProtection, Outcome, PageFaultCode};
pub use fields::{Description, EntryKind, EntryView, Field, describe};
pub use invalidation::{Invalidation, InvpcidDescriptor, Pcid};
pub use mode::{LeafRule, Level, LevelSpec, ModeSpec, PagingMode};
pub use registers::Registers;
pub use rights::{Denials, PageRights};
