//! What a machine can do at all, as far as the predicates of the crosses depend on it.
//!
//! Contract: 2 (parameters, arrays). SDM: none. Counterpart: none.

use crate::arch::PageSize;
use crate::config::{Config, Level, Serves};

/// Values of the axis of modes, in the order of [`MODES`].
pub const OFF: usize = 0;
/// 32-bit paging.
pub const TWO_LEVEL: usize = 1;
/// 4-level paging.
pub const FOUR_LEVEL: usize = 2;
/// 5-level paging.
pub const FIVE_LEVEL: usize = 3;
/// The modes.
pub const MODES: &[&str] = &["paging off", "32-bit", "4-level", "5-level"];

/// Levels of a mode.
pub const fn levels(mode: usize) -> usize {
    match mode {
        OFF => 0,
        TWO_LEVEL => 2,
        FOUR_LEVEL => 4,
        _ => 5,
    }
}

/// The size of a leaf of a level in a mode, if one may stand there.
pub const fn leaf_size(config: &Config, mode: usize, level: usize) -> Option<PageSize> {
    match (mode, level) {
        (OFF, _) => None,
        (_, 1) => Some(PageSize::Size4K),
        (TWO_LEVEL, 2) => Some(PageSize::Size4M),
        (TWO_LEVEL, _) => None,
        (_, 2) => Some(PageSize::Size2M),
        (_, 3) if config.capabilities.page_1g => Some(PageSize::Size1G),
        _ => None,
    }
}

/// Whether the machine has the mode.
pub const fn has_mode(config: &Config, mode: usize) -> bool {
    mode != FIVE_LEVEL || config.capabilities.five_level
}

/// Whether a walk in a mode may begin right above `level`, or higher, at an entry of a paging-structure cache.
pub fn cached_start(config: &Config, mode: usize, level: usize) -> bool {
    // Caches are numbered from that of PDEs, of level 2, on.
    let caches = config.psc_arrays().map(|cache| cache.entries() > 0);
    (level.max(1) + 1..=levels(mode)).any(|above| caches.get(above - 2).is_some_and(|has| *has))
}

/// Whether a level keeps pages of that size for requests of a kind.
pub fn keeps(config: &Config, level: Level, kind: Serves, size: PageSize) -> bool {
    // In 32-bit paging the arrays for 2 MiB hold pages of 4 MiB.
    let size = match size {
        PageSize::Size4M => PageSize::Size2M,
        size => size,
    };
    config.kept_size(level, kind, size).is_some()
}

/// Whether a level keeps any page of a mode for requests of a kind.
pub fn keeps_any(config: &Config, level: Level, kind: Serves, mode: usize) -> bool {
    (1..=levels(mode))
        .filter_map(|table| leaf_size(config, mode, table))
        .any(|size| keeps(config, level, kind, size))
}

/// Whether a write may hit an entry with D clear in that level: one that a read has brought there.
pub fn dirty_clear(config: &Config, level: Level, mode: usize) -> bool {
    let mut sizes = (1..=levels(mode)).filter_map(|table| leaf_size(config, mode, table));
    sizes.any(|size| {
        let small = match size {
            PageSize::Size4M => PageSize::Size2M,
            size => size,
        };
        let kept = [Serves::Reads, Serves::Writes].map(|kind| config.kept_size(level, kind, small));
        let arrays = config.arrays(level);
        let mut both = arrays
            .iter()
            .filter(|array| array.is_present() && array.serves == Serves::All);
        kept[0].is_some()
            && kept[0] == kept[1]
            && kept[1].is_some_and(|size| both.any(|array| array.holds(size)))
    })
}

/// Whether a walk in a mode may meet a place where no memory stands: random streams of a machine that does not say how much there is leave
/// some out, in some streams also below 4 GiB.
pub fn bus_errors(config: &Config, mode: usize) -> bool {
    let Some(size_bytes) = config.memory.size_bytes else {
        return mode != OFF;
    };
    match mode {
        OFF => false,
        TWO_LEVEL => size_bytes < 1 << 32,
        _ => size_bytes <= config.arch_capabilities().maxphyaddr.mask(),
    }
}

/// The most walks that are under way at a time.
pub fn most_walks(config: &Config) -> usize {
    let requests = config.miss_queue.entries as usize;
    let asked = requests + usize::from(config.prefetch.next_page);
    asked.min(config.walkers.count as usize)
}
