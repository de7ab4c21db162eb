//! Structures and numbers that cross the border, laid out as `include/twinwalk_reference.h` has them.
//!
//! Contract: 3 (request kinds, states, operations have the same numbers). SDM: none. Counterpart: `include/twinwalk_reference.h`.

use std::ffi::c_void;

/// Changes when a function or a structure changes so that what was compiled against the old header is wrong.
pub const API_VERSION: u32 = 1;

/// What the judge says of an event: not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Verdict {
    /// Legal, and what memory as it stands says.
    Legal = 0,
    /// Legal, though memory as it stands says something else: a cached translation that no invalidation covers.
    LegalStale = 1,
    /// Not legal. The explanation says why.
    Illegal = 2,
    /// Neither, because too old history had to be forgotten.
    Unjudged = 3,
}

/// What went wrong with a call: negative. Nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    /// A pointer is null.
    Null = -1,
    /// `struct_size` is not that of this library: header and library do not fit.
    StructSize = -2,
    /// A value is out of range.
    Argument = -3,
    /// No request with this tag is outstanding.
    UnknownTag = -4,
    /// A request with this tag is outstanding already.
    DuplicateTag = -5,
    /// More requests are outstanding than are followed.
    TooMany = -6,
    /// The call does not fit what was reported before.
    Order = -7,
    /// The registers cannot have these values.
    Registers = -8,
    /// A rule was broken that leaves the judge without a footing, or an earlier call has panicked: reset it, or make another.
    Lost = -9,
    /// A defect of this library.
    Panic = -10,
}

/// What the machine can do. Everything else that SDM vol. 3A, 4.1.4 lists is turned on by registers.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// `sizeof(twinwalk_features)`.
    pub struct_size: u32,
    /// MAXPHYADDR, 36 to 52.
    pub maxphyaddr_bits: u32,
    /// 1: a PDPTE may map 1 GiB.
    pub page_1g: u8,
    /// 1: CR4.LA57 may be set.
    pub five_level: u8,
    /// 0.
    pub reserved: [u8; 6],
    /// Where memory ends, a multiple of 8; a walk beyond is a bus error. 0: at 2^MAXPHYADDR.
    pub memory_size_bytes: u64,
}

/// Who asks for what.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Access {
    /// `sizeof(twinwalk_access)`.
    pub struct_size: u32,
    /// PKRU.
    pub pkru: u32,
    /// 0 read, 1 write, 2 fetch.
    pub kind: u8,
    /// 0 to 3.
    pub cpl: u8,
    /// EFLAGS.AC.
    pub ac: u8,
    /// 1: an implicit supervisor access.
    pub implicit_supervisor: u8,
    /// 0.
    pub reserved: [u8; 4],
}

/// How a translation ends.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// `sizeof(twinwalk_outcome)`.
    pub struct_size: u32,
    /// Page fault: the error code.
    pub error_code: u32,
    /// 0 translated, 1 page fault, 2 general protection, 3 bus error.
    pub status: u8,
    /// Translated: 0 4 KiB, 1 2 MiB, 2 1 GiB, 3 4 MiB.
    pub page_size: u8,
    /// Translated: PWT of the leaf.
    pub pwt: u8,
    /// Translated: PCD of the leaf.
    pub pcd: u8,
    /// Translated: PAT of the leaf.
    pub pat: u8,
    /// 0.
    pub reserved: [u8; 3],
    /// Translated: the physical address.
    pub pa: u64,
    /// Page fault: the linear address, as CR2 gets it.
    pub va: u64,
}

/// An entry that a walk read.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EntryUse {
    /// Its physical address: a multiple of 8, in 32-bit paging of 4.
    pub address: u64,
    /// As the walk read it.
    pub before: u64,
    /// As the walk leaves it: with A, and in the leaf of a write D.
    pub after: u64,
    /// 1 PTE to 5 PML5E.
    pub level: u32,
    /// 0.
    pub reserved: u32,
}

/// Most entries of a walk.
pub const MOST_ENTRIES: usize = 5;

/// A walk: its outcome, and the entries that it read, from the root down.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walk {
    /// `sizeof(twinwalk_walk)`.
    pub struct_size: u32,
    /// How many of `entries` count.
    pub entry_count: u32,
    /// The outcome.
    pub outcome: Outcome,
    /// The entries.
    pub entries: [EntryUse; MOST_ENTRIES],
}

/// What was judged since the reference was made.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// `sizeof(twinwalk_figures)`.
    pub struct_size: u32,
    /// Requests without an answer.
    pub outstanding: u32,
    /// Events that were reported.
    pub events: u64,
    /// Responses judged.
    pub responses: u64,
    /// Of these, with one legal outcome only.
    pub single_outcome: u64,
    /// Of these, legal and stale.
    pub stale_observed: u64,
    /// Of these, not judged.
    pub unjudged: u64,
    /// Updates of A and D by the machine that were judged.
    pub entry_updates: u64,
    /// Events that were not legal.
    pub illegal: u64,
    /// Delivered translations that an invalidation or a page fault has covered since.
    pub removed: u64,
    /// Of these, stale by then.
    pub stale_removed: u64,
}

/// The user's own memory: reads 8 bytes at an address that is a multiple of 8 into `value`; not 0 if no memory is there.
pub type ReadMemory =
    unsafe extern "C" fn(context: *mut c_void, address: u64, value: *mut u64) -> i32;

/// Where [`crate::border::twinwalk_translate`] reads entries.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// `sizeof(twinwalk_memory)`.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Is handed to `read`.
    pub context: *mut c_void,
    /// Reads; null: the memory that stores and updates were reported of.
    pub read: Option<ReadMemory>,
}

macro_rules! sized {
    ($($number:literal $type:ty),*) => {
        $(impl Sized32 for $type {
            fn struct_size(&self) -> u32 {
                self.struct_size
            }
        })*
        /// The size of the structure of that number, 0 of a number that has none.
        pub const fn struct_size(number: u32) -> u32 {
            match number {
                $($number => size_of::<$type>() as u32,)*
                _ => 0,
            }
        }
    };
}

/// A structure that says how big its maker took it to be.
pub trait Sized32 {
    /// What it says.
    fn struct_size(&self) -> u32;
    /// Whether that is right.
    fn fits(&self) -> bool
    where
        Self: Sized,
    {
        self.struct_size() as usize == size_of::<Self>()
    }
}

sized! { 0 Features, 1 Access, 2 Outcome, 3 Walk, 4 Figures, 5 Memory }
