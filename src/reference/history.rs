//! Which values each word of memory held, and under which PCIDs a processor could have seen them.
//!
//! Contract: 4.3 (current PCID), 13 (stores). SDM vol. 3A, 4.10.1 (PCIDs), 4.10.2, 4.10.3 (what is cached, and for whom).
//! Counterpart: none in hardware.
//!
//! # What it guarantees
//! For a word and a PCID, [`History::values`] returns every value that the word held in some cycle in which the PCID was the current
//! one, with the last such cycle, as far as that lies at or after the bound that is asked for. The same for the roots of a PCID.
//! If some of them had to be forgotten, it says so.
//!
//! # What it merges
//! An update of A and D by the machine does not begin a new value: the word counts as if it had the bits from the beginning. Nobody
//! could have used the word before without setting A, and D does not show in a translation that is not a write; so no
//! outcome is lost, and memory that is only ever walked takes no room here.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::arch::Pcid;

use super::image::Image;

/// "Still": the cycle of something that holds now.
pub const NOW: u64 = u64::MAX;
/// Pairs of value and PCID that are kept of one word.
pub const WORD_LIMIT: usize = 192;
/// Roots that are kept of one PCID.
pub const ROOT_LIMIT: usize = 64;
/// PCIDs that are kept.
pub const CONTEXT_LIMIT: usize = 256;

/// A value, and between which cycles it could be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The value.
    pub value: u64,
    /// The first cycle, or an earlier one.
    pub first: u64,
    /// The last cycle; [`NOW`] if it still stands.
    pub last: u64,
}

/// A value that a word no longer holds, as one PCID could see it.
#[derive(Debug, Clone, Copy)]
struct Held {
    value: u64,
    pcid: u16,
    first: u64,
    last: u64,
}

/// A word whose value has changed.
#[derive(Debug, Clone, Default)]
struct Word {
    /// The current value stands since then.
    since: u64,
    older: Vec<Held>,
    /// Something that could be seen until this cycle was forgotten; 0 if nothing was.
    forgotten: u64,
}

/// A PCID under which the machine translated.
#[derive(Debug, Clone)]
struct Context {
    pcid: u16,
    last: u64,
    roots: Vec<Candidate>,
    forgotten: u64,
}

/// The history. Cheap for memory that is not stored to: such a word takes no room.
#[derive(Debug, Clone)]
pub struct History {
    words: HashMap<u64, Word, FixedState>,
    contexts: Vec<Context>,
    forgotten_contexts: u64,
    prune_at: usize,
}

/// Words with history before a first pruning.
const PRUNE_FLOOR: usize = 4096;

impl Default for History {
    fn default() -> Self {
        Self {
            words: HashMap::with_hasher(FixedState::default()),
            contexts: Vec::new(),
            forgotten_contexts: 0,
            prune_at: PRUNE_FLOOR,
        }
    }
}

impl History {
    /// From `cycle` on `pcid` with the root table at `root` may be current, besides what is.
    pub fn begin(&mut self, pcid: Pcid, root: u64, cycle: u64) {
        let context = match self
            .contexts
            .iter()
            .position(|context| context.pcid == pcid.raw())
        {
            Some(position) => &mut self.contexts[position],
            None => {
                self.make_room();
                let forgotten = self.forgotten_contexts;
                self.contexts.push(Context {
                    pcid: pcid.raw(),
                    last: NOW,
                    roots: Vec::new(),
                    forgotten,
                });
                let last = self.contexts.len() - 1;
                &mut self.contexts[last]
            }
        };
        context.last = NOW;
        if let Some(known) = context.roots.iter_mut().find(|known| known.value == root) {
            known.last = NOW;
            return;
        }
        if context.roots.len() == ROOT_LIMIT {
            let forgotten = oldest(&context.roots);
            context.forgotten = context.forgotten.max(context.roots.remove(forgotten).last);
        }
        context.roots.push(Candidate {
            value: root,
            first: cycle,
            last: NOW,
        });
    }

    /// `current`, a PCID and its root, is the only one from `cycle` on; `None` with paging off. Another root was followed
    /// until `until` only, which is before the write took effect: what it left behind is not younger than what the write invalidated.
    pub fn settle(&mut self, current: Option<(Pcid, u64)>, until: u64, cycle: u64) {
        for context in &mut self.contexts {
            let root = current
                .filter(|(pcid, _)| pcid.raw() == context.pcid)
                .map(|(_, root)| root);
            if context.last == NOW && root.is_none() {
                context.last = cycle;
            }
            for known in &mut context.roots {
                if known.last == NOW && root != Some(known.value) {
                    known.last = until;
                }
            }
        }
    }

    fn make_room(&mut self) {
        if self.contexts.len() < CONTEXT_LIMIT {
            return;
        }
        let oldest = (0..self.contexts.len()).min_by_key(|index| self.contexts[*index].last);
        if let Some(index) = oldest {
            let context = self.contexts.swap_remove(index);
            self.forgotten_contexts = self.forgotten_contexts.max(context.last);
        }
    }

    /// Every PCID that was current in `bound` or later, with the last cycle in which it was.
    ///
    /// With it, whether one was forgotten.
    pub fn contexts(&self, bound: u64) -> (impl Iterator<Item = (Pcid, u64)> + '_, bool) {
        let known = self
            .contexts
            .iter()
            .filter(move |context| context.last >= bound);
        (
            known.map(|context| (Pcid::new_truncate(context.pcid.into()), context.last)),
            self.forgotten_contexts != 0 && self.forgotten_contexts >= bound,
        )
    }

    /// The last cycle in which `pcid` was current.
    pub fn last_current(&self, pcid: Pcid) -> Option<u64> {
        self.contexts
            .iter()
            .find(|context| context.pcid == pcid.raw())
            .map(|context| context.last)
    }

    /// The word at `address` held `before` until `last_cycle`, and holds another agent's value from `since_cycle` on.
    pub fn replace(&mut self, address: u64, before: u64, last_cycle: u64, since_cycle: u64) {
        let word = self.words.entry(address).or_default();
        for context in &self.contexts {
            if context.last >= word.since {
                let last = context.last.min(last_cycle);
                word.hold(Held {
                    value: before,
                    pcid: context.pcid,
                    first: word.since,
                    last,
                });
            }
        }
        word.since = since_cycle;
    }

    /// Collects the values of the word at `address` that could be seen under `pcid` in cycle `bound` or later; `current_until` is the
    /// last cycle in which `pcid` was current, [`NOW`] if it is. Returns false if some were forgotten.
    #[inline]
    pub fn values(
        &self,
        image: &Image,
        address: u64,
        pcid: Pcid,
        current_until: u64,
        bound: u64,
        found: &mut Vec<Candidate>,
    ) -> bool {
        found.clear();
        let Some(word) = self.words.get(&address) else {
            found.push(Candidate {
                value: image.read(address),
                first: 0,
                last: current_until,
            });
            return true;
        };
        if current_until >= word.since {
            found.push(Candidate {
                value: image.read(address),
                first: word.since,
                last: current_until,
            });
        }
        for held in &word.older {
            if held.pcid == pcid.raw() && held.last >= bound {
                found.push(Candidate {
                    value: held.value,
                    first: held.first,
                    last: held.last,
                });
            }
        }
        word.forgotten < bound || word.forgotten == 0
    }

    /// Collects the roots of `pcid` likewise.
    pub fn roots(&self, pcid: Pcid, bound: u64, found: &mut Vec<Candidate>) -> bool {
        found.clear();
        let Some(context) = self
            .contexts
            .iter()
            .find(|context| context.pcid == pcid.raw())
        else {
            return true;
        };
        found.extend(context.roots.iter().rev().filter(|root| root.last >= bound));
        context.forgotten < bound || context.forgotten == 0
    }

    /// Whether it is time to call [`History::prune`].
    #[inline]
    pub fn wants_pruning(&self) -> bool {
        self.words.len() >= self.prune_at
    }

    /// Forgets what no query may ask for any more: for a PCID, what ended before `floor` of it.
    pub fn prune(&mut self, floor: impl Fn(Pcid) -> u64) {
        let floor = |pcid: u16| floor(Pcid::new_truncate(pcid.into()));
        self.contexts
            .retain(|context| context.last >= floor(context.pcid));
        for context in &mut self.contexts {
            let floor = floor(context.pcid);
            context.roots.retain(|root| root.last >= floor);
        }
        let oldest_end = self
            .contexts
            .iter()
            .map(|context| context.last)
            .min()
            .unwrap_or(NOW);
        let oldest_floor = self
            .contexts
            .iter()
            .map(|context| floor(context.pcid))
            .min()
            .unwrap_or(0);
        self.words.retain(|_, word| {
            word.older.retain(|held| held.last >= floor(held.pcid));
            if word.forgotten < oldest_floor {
                word.forgotten = 0;
            }
            // Without a word on record its value counts as having stood for ever: right once every live context has seen it.
            !word.older.is_empty() || word.forgotten != 0 || word.since > oldest_end
        });
        self.prune_at = PRUNE_FLOOR.max(2 * self.words.len());
    }
}

impl Word {
    fn hold(&mut self, held: Held) {
        let same = |known: &&mut Held| known.value == held.value && known.pcid == held.pcid;
        if let Some(known) = self.older.iter_mut().find(same) {
            known.last = held.last;
            return;
        }
        if self.older.len() == WORD_LIMIT {
            let oldest = (0..self.older.len()).min_by_key(|index| self.older[*index].last);
            if let Some(index) = oldest {
                let dropped = self.older.swap_remove(index);
                self.forgotten = self.forgotten.max(dropped.last);
            }
        }
        self.older.push(held);
    }
}

/// The position of the candidate that ended first; 0 in an empty list.
fn oldest(list: &[Candidate]) -> usize {
    (0..list.len())
        .min_by_key(|index| list[*index].last)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Pcid = Pcid::new_truncate(1);
    const TWO: Pcid = Pcid::new_truncate(2);

    fn values(history: &History, image: &Image, pcid: Pcid, bound: u64) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        let last = history.last_current(pcid).unwrap_or(0);
        assert!(history.values(image, 8, pcid, last, bound, &mut found));
        found
            .iter()
            .map(|candidate| (candidate.value, candidate.last))
            .collect()
    }

    #[test]
    fn a_value_is_credited_to_the_contexts_that_could_see_it() {
        let mut image = Image::new(0x1000, [(8, 10)]);
        let mut history = History::default();
        history.begin(ONE, 0, 0);
        history.settle(Some((ONE, 0)), 0, 1);
        history.replace(8, 10, 4, 5);
        image.write(8, 11);
        history.begin(TWO, 0, 7);
        history.settle(Some((TWO, 0)), 6, 8);
        history.replace(8, 11, 9, 10);
        image.write(8, 12);
        assert_eq!(values(&history, &image, ONE, 0), [(10, 4), (11, 8)]);
        assert_eq!(values(&history, &image, ONE, 5), [(11, 8)]);
        assert_eq!(values(&history, &image, TWO, 0), [(12, NOW), (11, 9)]);
    }

    #[test]
    fn roots_of_a_context_are_kept_with_their_last_cycle() {
        let mut history = History::default();
        history.begin(ONE, 0x1000, 0);
        history.settle(Some((ONE, 0x1000)), 0, 1);
        history.begin(ONE, 0x2000, 6);
        history.settle(Some((ONE, 0x2000)), 5, 7);
        let mut found = Vec::new();
        assert!(history.roots(ONE, 0, &mut found));
        let roots: Vec<_> = found.iter().map(|root| (root.value, root.last)).collect();
        assert_eq!(roots, [(0x2000, NOW), (0x1000, 5)]);
    }

    #[test]
    fn a_full_word_forgets_the_oldest_and_says_so() {
        let image = Image::new(0x1000, []);
        let mut history = History::default();
        history.begin(ONE, 0, 0);
        for cycle in 1..=WORD_LIMIT as u64 + 1 {
            history.replace(8, 100 + cycle, cycle, cycle + 1);
        }
        let mut found = Vec::new();
        assert!(!history.values(&image, 8, ONE, NOW, 1, &mut found));
        assert!(history.values(&image, 8, ONE, NOW, 2, &mut found));
        assert_eq!(found.len(), WORD_LIMIT + 1);
    }

    #[test]
    fn one_context_too_many_forgets_the_one_that_ended_first_and_says_so() {
        let mut history = History::default();
        let mut forgotten = Vec::new();
        for number in 0..=CONTEXT_LIMIT as u64 {
            let cycle = 10 * number;
            history.begin(Pcid::new_truncate(number), 0, cycle);
            history.settle(Some((Pcid::new_truncate(number), 0)), cycle, cycle + 1);
            let (known, was_forgotten) = history.contexts(0);
            let known: Vec<_> = known.map(|(pcid, _)| pcid.raw()).collect();
            assert!(known.len() <= CONTEXT_LIMIT && known.contains(&(number as u16)));
            assert_eq!(known.contains(&0), !was_forgotten);
            forgotten.push(was_forgotten);
        }
        let last = forgotten.pop();
        assert!(forgotten.iter().all(|was_forgotten| !was_forgotten));
        assert_eq!(last, Some(true));
    }

    #[test]
    fn pruning_drops_what_ended_before_the_floor() {
        let image = Image::new(0x1000, []);
        let mut history = History::default();
        history.begin(ONE, 0, 0);
        history.replace(8, 1, 4, 5);
        history.replace(16, 1, 9, 10);
        history.prune(|_| 8);
        assert_eq!(history.words.len(), 1);
        assert_eq!(values(&history, &image, ONE, 0), [(0, NOW)]);
    }
}
