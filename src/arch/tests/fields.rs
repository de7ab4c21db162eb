//! Tests of the table of fields: complete, and the same in meaning as the hot path's shifts and masks.
//!
//! Contract: none of its own. SDM vol. 3A, 4.5. Counterpart: none.

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use x86_64::structures::paging::PageTableFlags;

use super::{any_capabilities, any_word};
use crate::arch::entry::bit;
use crate::arch::fields::{EntryKind, EntryView, Field, Role, describe};
use crate::arch::{Capabilities, Entry, Level, PagingMode, Registers};

fn any_kind() -> impl Strategy<Value = EntryKind> {
    (0..EntryKind::ALL.len()).prop_map(|index| EntryKind::ALL[index])
}

/// A kind, and any bits that an entry of it may be.
fn any_entry() -> impl Strategy<Value = (EntryKind, u64)> {
    (any_kind(), any_word()).prop_map(|(kind, raw)| (kind, raw & all_bits(kind)))
}

/// A mask of the bits that an entry of `kind` has.
fn all_bits(kind: EntryKind) -> u64 {
    u64::MAX >> (64 - 8 * mode_of(kind).entry_bytes())
}

/// Whether `fields` cover `bits` bits from bit 0 up, without gap or overlap.
fn cover_every_bit_once(fields: &[Field], bits: u8) -> bool {
    let mut next = 0;
    for field in fields {
        if field.low != next || field.high < field.low {
            return false;
        }
        next = field.high + 1;
    }
    next == bits
}

/// The mode whose entries are of `kind`.
fn mode_of(kind: EntryKind) -> PagingMode {
    match kind {
        EntryKind::Pde32Table | EntryKind::Pde32Page | EntryKind::Pte32 => PagingMode::TwoLevel,
        _ => PagingMode::FiveLevel,
    }
}

#[test]
fn the_fields_of_every_kind_cover_every_bit_once() {
    for kind in EntryKind::ALL {
        let bits = 8 * mode_of(kind).entry_bytes() as u8;
        assert!(cover_every_bit_once(kind.fields(), bits), "{kind:?}");
    }
}

#[test]
fn a_gap_an_overlap_and_a_missing_end_are_noticed() {
    let whole = EntryKind::Pte.fields();
    let mut gap = whole.to_vec();
    gap.remove(3);
    let mut overlap = whole.to_vec();
    overlap[10].low = 11;
    assert!(!cover_every_bit_once(&gap, 64));
    assert!(!cover_every_bit_once(&overlap, 64));
    assert!(!cover_every_bit_once(&whole[..whole.len() - 1], 64));
}

#[test]
fn the_names_of_a_kind_are_unique() {
    for kind in EntryKind::ALL {
        let named = kind
            .fields()
            .iter()
            .filter(|field| !matches!(field.role, Role::Ignored) && field.name != "reserved");
        for field in named {
            assert_eq!(kind.field(field.name), Some(field), "{kind:?}");
        }
        assert_eq!(kind.field("ignored"), None);
        assert_eq!(kind.field("reserved"), None);
    }
}

#[test]
fn every_kind_is_found_by_its_level_and_whether_it_is_a_leaf() {
    for kind in EntryKind::ALL {
        let leaf = kind.page_size().is_some();
        assert_eq!(EntryKind::of(mode_of(kind), kind.level(), leaf), Some(kind));
        if let Some(size) = kind.page_size() {
            assert_eq!(size.leaf_level(), kind.level());
        }
    }
    let of = EntryKind::of;
    assert_eq!(of(PagingMode::FourLevel, Level::Pml4, true), None);
    assert_eq!(of(PagingMode::FourLevel, Level::Pt, false), None);
    assert_eq!(of(PagingMode::TwoLevel, Level::Pt, false), None);
    assert_eq!(of(PagingMode::TwoLevel, Level::Pdpt, false), None);
}

#[test]
fn flags_stand_where_the_crate_x86_64_has_them() {
    let flags = [
        ("P", PageTableFlags::PRESENT),
        ("R/W", PageTableFlags::WRITABLE),
        ("U/S", PageTableFlags::USER_ACCESSIBLE),
        ("PWT", PageTableFlags::WRITE_THROUGH),
        ("PCD", PageTableFlags::NO_CACHE),
        ("A", PageTableFlags::ACCESSED),
        ("D", PageTableFlags::DIRTY),
        ("PS", PageTableFlags::HUGE_PAGE),
        ("G", PageTableFlags::GLOBAL),
        ("XD", PageTableFlags::NO_EXECUTE),
    ];
    for kind in EntryKind::ALL {
        for (name, theirs) in flags {
            let ours = kind.field(name).map(Field::mask);
            let leaf_only = matches!(name, "D" | "G") && kind.page_size().is_none();
            let small = matches!(kind, EntryKind::Pte | EntryKind::Pte32);
            let narrow = mode_of(kind) == PagingMode::TwoLevel;
            let missing = leaf_only || (name == "PS" && small) || (name == "XD" && narrow);
            let want = (!missing).then(|| theirs.bits());
            assert_eq!(ours, want, "{name} of {kind:?}");
        }
    }
}

#[test]
fn the_hot_path_masks_stand_where_the_crate_x86_64_has_them() {
    let masks = [
        (bit::P, PageTableFlags::PRESENT),
        (bit::RW, PageTableFlags::WRITABLE),
        (bit::US, PageTableFlags::USER_ACCESSIBLE),
        (bit::PWT, PageTableFlags::WRITE_THROUGH),
        (bit::PCD, PageTableFlags::NO_CACHE),
        (bit::A, PageTableFlags::ACCESSED),
        (bit::D, PageTableFlags::DIRTY),
        (bit::PS, PageTableFlags::HUGE_PAGE),
        (bit::G, PageTableFlags::GLOBAL),
        (bit::XD, PageTableFlags::NO_EXECUTE),
    ];
    for (ours, theirs) in masks {
        assert_eq!(ours, theirs.bits());
    }
}

/// Where the hot path reads `entry` of `kind` otherwise than the bit view does; `read` is the hot path's entry, which a test
/// may falsify.
fn first_difference(kind: EntryKind, entry: Entry, read: Entry) -> Option<&'static str> {
    let view = EntryView::new(kind, entry);
    let flag = |name| view.get(name).map(|value| value == 1);
    let mut pairs = vec![
        ("P", flag("P"), Some(read.present())),
        ("R/W", flag("R/W"), Some(read.writable())),
        ("U/S", flag("U/S"), Some(read.user())),
        ("A", flag("A"), Some(read.accessed())),
        (
            "XD",
            flag("XD").or(Some(false)),
            Some(read.execute_disable()),
        ),
    ];
    match kind.page_size() {
        None => {
            let address = view.address() == read.table().raw();
            pairs.push(("address", Some(true), Some(address)));
        }
        Some(size) => {
            let memory_type = read.memory_type(size);
            let key = view.get("key").unwrap_or(0) == u64::from(read.protection_key());
            pairs.extend([
                ("D", flag("D"), Some(read.dirty())),
                ("G", flag("G"), Some(read.global())),
                ("PAT", flag("PAT"), Some(memory_type.pat)),
                ("PCD", flag("PCD"), Some(memory_type.pcd)),
                ("PWT", flag("PWT"), Some(memory_type.pwt)),
                ("key", Some(true), Some(key)),
                (
                    "address",
                    Some(true),
                    Some(view.address() == read.frame(size).raw()),
                ),
            ]);
        }
    }
    pairs
        .into_iter()
        .find(|(_, table, hot_path)| table != hot_path)
        .map(|(name, ..)| name)
}

#[test]
fn a_wrong_bit_on_the_hot_path_is_noticed_in_every_named_field() {
    for kind in EntryKind::ALL {
        for field in kind.fields() {
            let table_only = kind.page_size().is_none() && matches!(field.name, "PWT" | "PCD");
            if table_only || matches!(field.name, "ignored" | "reserved" | "PS") {
                continue;
            }
            for position in field.low..=field.high {
                let wrong = Entry(1 << position);
                let found = first_difference(kind, Entry(0), wrong);
                let name = match field.role {
                    Role::HighAddress => "address",
                    _ => field.name,
                };
                assert_eq!(found, Some(name), "bit {position} of {kind:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn the_hot_path_reads_every_field_as_the_bit_view_does((kind, raw) in any_entry()) {
        prop_assert_eq!(first_difference(kind, Entry(raw), Entry(raw)), None);
    }

    #[test]
    fn the_hot_path_writes_accessed_and_dirty_as_the_bit_view_does(
        kind in any_kind(), raw in any_word(), write in any::<bool>(),
    ) {
        let mut view = EntryView::new(kind, Entry(raw));
        prop_assert!(view.set("A", 1));
        let hot_path = if kind.page_size().is_some() {
            if write {
                prop_assert!(view.set("D", 1));
            }
            Entry(raw).after_use_as_leaf(write)
        } else {
            prop_assert!(!view.set("D", 1));
            Entry(raw).after_use_as_table()
        };
        prop_assert_eq!(view.entry(), hot_path);
    }

    #[test]
    fn an_entry_taken_apart_and_put_together_again_is_the_same((kind, raw) in any_entry()) {
        let from = EntryView::new(kind, Entry(raw));
        let mut to = EntryView::new(kind, Entry(!raw & all_bits(kind)));
        for field in kind.fields() {
            to.store(field, from.load(field));
        }
        prop_assert_eq!(to.entry(), Entry(raw));
        prop_assert_eq!(to.bits().count_ones(), raw.count_ones() as usize);
        prop_assert_eq!(to, from);
    }

    #[test]
    fn writing_a_field_touches_no_other(kind in any_kind(), raw in any_word(), value in any::<u64>()) {
        for field in kind.fields() {
            let mut view = EntryView::new(kind, Entry(raw));
            view.store(field, value);
            prop_assert_eq!(view.entry().raw() & !field.mask(), raw & !field.mask());
            let kept = view.load(field) ^ value;
            prop_assert_eq!(kept << (63 - (field.high - field.low)), 0);
        }
    }

    #[test]
    fn a_description_says_the_whole_entry(
        raw in any_word(), level in 0..5usize, capabilities in any_capabilities(),
    ) {
        let level = Level::ALL[level];
        let description = describe(level, Entry(raw), &Registers::RESET, &capabilities);
        let whole = description.lines.iter().fold(0, |whole, line| {
            let in_place = match line.field.role {
                Role::Address => line.value,
                _ => line.value << line.field.low,
            };
            whole | in_place
        });
        prop_assert_eq!(whole, raw);
        let reserved = matches!(description.decoded, crate::arch::Decoded::Reserved { .. });
        prop_assert_eq!(description.lines.iter().any(|line| line.violation), reserved);
    }
}

fn machine() -> (Registers, Capabilities) {
    let capabilities = Capabilities::new(40, true, true).expect("a width in range");
    let registers = Registers::load(0x8001_0001, 0, 0x20, 0x900, &capabilities);
    (registers.expect("legal values"), capabilities)
}

#[test]
fn a_leaf_is_printed_field_by_field() {
    let (registers, capabilities) = machine();
    let entry = Entry(0xa800_0012_3460_11e7);
    let printed = describe(Level::Pd, entry, &registers, &capabilities).to_string();
    let want = "\
PDE (2 MiB page) 0xa8000012346011e7
     63  XD        1                   execute disable, while EFER.NXE = 1
  62:59  key       0x5                 protection key, while CR4.PKE = 1
  58:52  ignored   0x0                 software's to use
  51:21  address   0x1234600000        the page's address
  20:13  reserved  0x0                 must be 0
     12  PAT       1                   page-attribute table
   11:9  ignored   0x0                 software's to use
      8  G         1                   global, while CR4.PGE = 1
      7  PS        1                   page size: maps a page
      6  D         1                   dirty
      5  A         1                   accessed
      4  PCD       0                   page-level cache disable
      3  PWT       0                   page-level write-through
      2  U/S       1                   user-mode accesses allowed
      1  R/W       1                   writes allowed
      0  P         1                   present";
    assert_eq!(printed, want);
}

#[test]
fn a_reserved_bit_is_named_where_it_stands() {
    let (registers, capabilities) = machine();
    let entry = Entry(1 << 45 | bit::PS | bit::P);
    let description = describe(Level::Pml4, entry, &registers, &capabilities);
    let printed = description.to_string();
    assert!(printed.starts_with("PML4E 0x0000200000000081: reserved bits set (0x200000000080)\n"));
    let named: Vec<_> = description
        .lines
        .iter()
        .filter(|line| line.violation)
        .map(|line| line.field.name)
        .collect();
    assert_eq!(named, ["address", "PS"]);
}

#[test]
fn an_entry_that_is_not_present_is_printed_without_fields() {
    let (registers, capabilities) = machine();
    let printed = describe(Level::Pt, Entry(0xff00), &registers, &capabilities).to_string();
    let want = "\
PTE 0x000000000000ff00: not present
   63:1  ignored   0x7f80              software's to use
      0  P         0                   present";
    assert_eq!(printed, want);
}
