//! What the architectural check knows of a response that it has refused: for people, who want to see why.
//!
//! Contract: none of its own. SDM vol. 3A, 4.10. Counterpart: none in hardware; `crate::cosim::account` puts it into words.

use crate::arch::{
    Decoded, Entry, EntrySlot, Invalidation, Level, PageSize, PagingMode, Pcid, PhysicalAddress,
    VirtualAddress,
};
use crate::model::mmu_pkg::PortOut;

use super::finding::InvalidationKind;
use super::history::{Candidate, NOW};
use super::horizon::{Horizons, Snapshot};
use super::image::Untouched;
use super::observer::Request;
use super::payload;
use super::search::{Goal, Match, Question, Scratch, search};
use super::walk::{WalkStep, trace};

/// Most invalidations that an account names.
const MOST_COVERING: usize = 3;

/// Something that removed translations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// What did it.
    pub kind: InvalidationKind,
    /// What it covers.
    pub invalidation: Invalidation,
    /// The earliest cycle in which it can have taken effect: that of its accept, or of the accept of the request that a fault answers.
    pub effective_cycle: u64,
    /// Requests accepted from this cycle on are covered.
    pub completed_cycle: u64,
}

/// An entry that the walk of memory as it stands comes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryAccount {
    /// Its level.
    pub level: Level,
    /// Where it stands.
    pub address: u64,
    /// What it holds now.
    pub now: Entry,
    /// What that means.
    pub decoded: Decoded,
    /// Other values that the request may legally have met there, the last one first, with the last cycle in which each could be seen.
    pub older: Vec<Candidate>,
}

/// An entry value that explains the response, and that nobody may use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outdated {
    /// Level of the entry; `None`: it is CR3, and the value the root table.
    pub level: Option<Level>,
    /// Where it stands.
    pub address: u64,
    /// The value that the response follows from.
    pub value: u64,
    /// The last cycle in which it could be seen.
    pub last_cycle: u64,
}

/// The account of a refused response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The request.
    pub request: Request,
    /// What the machine answered.
    pub response: PortOut,
    /// The mode in which it was translated.
    pub mode: PagingMode,
    /// The PCID that was current.
    pub pcid: Pcid,
    /// What a walk of memory says now.
    pub now: PortOut,
    /// What else was legal, besides `now`, as far as the search went.
    pub legal: Vec<PortOut>,
    /// The entries of that walk, from the root down.
    pub entries: Vec<EntryAccount>,
    /// The last invalidations that cover the request's page, the last one first.
    pub covering: Vec<Removal>,
    /// What would explain the response if nothing had been invalidated: the values that are older than that. Empty if no
    /// values that memory is known to have held do.
    pub outdated: Vec<Outdated>,
    /// Whether values that memory held explain the response: those of `outdated`, beside others that still stand.
    pub once_legal: bool,
}

/// The account of `response`, to what `question` asks. `removals` are those on record, oldest first.
pub(super) fn account<'a>(
    question: &Question<'_>,
    response: PortOut,
    legal: Vec<PortOut>,
    removals: impl DoubleEndedIterator<Item = &'a Removal>,
    capabilities: &crate::arch::Capabilities,
) -> Account {
    let Question {
        request, registers, ..
    } = *question;
    let (mode, pcid) = (registers.paging_mode(), registers.current_pcid());
    let now = payload::of_memory(request, registers, capabilities, question.image);
    let before = match mode {
        PagingMode::Off => None,
        _ => explained_without_invalidations(question, response),
    };
    let covers = |removal: &&Removal| {
        let page = VirtualAddress::new_truncate(request.va, mode);
        let sizes = mode.array_page_sizes().iter();
        let mut covered = sizes.map(|size: &PageSize| {
            let of = |global| {
                removal
                    .invalidation
                    .covers_tlb_entry(page, *size, pcid, global)
            };
            of(false) || of(true)
        });
        removal.completed_cycle <= request.accepted_cycle && covered.any(|covered| covered)
    };
    Account {
        request: *request,
        response,
        mode,
        pcid,
        now,
        legal: legal.into_iter().filter(|other| *other != now).collect(),
        entries: entries(question, capabilities),
        covering: match mode {
            PagingMode::Off => Vec::new(),
            _ => removals
                .rev()
                .filter(covers)
                .take(MOST_COVERING)
                .copied()
                .collect(),
        },
        outdated: before
            .as_ref()
            .map_or_else(Vec::new, |matched| outdated(question, matched)),
        once_legal: before.is_some(),
    }
}

/// The entries that a walk of memory comes by now, each with the older values that are legal.
fn entries(question: &Question<'_>, capabilities: &crate::arch::Capabilities) -> Vec<EntryAccount> {
    let request = question.request;
    let walk = trace(
        question.registers,
        capabilities,
        &request.access,
        request.va,
        &mut Untouched(question.image),
    );
    let read = walk.steps.iter().filter_map(|step| match *step {
        WalkStep::Read {
            level,
            address,
            entry,
            ..
        } => Some(EntryAccount {
            level,
            address: address.raw(),
            now: entry,
            decoded: question.rules.decode(level, entry),
            older: older(question, address, entry),
        }),
        _ => None,
    });
    read.collect()
}

/// Values of the entry at `at` other than `now` that are within the horizons of the request: those of a translation that is not global, or
/// of a leaf that is.
fn older(question: &Question<'_>, at: PhysicalAddress, now: Entry) -> Vec<Candidate> {
    let snapshot = question.snapshot;
    let globals = question.registers.pge();
    let bound = if globals {
        snapshot.non_global[0].min(snapshot.global[0])
    } else {
        snapshot.non_global[0]
    };
    let mut values = seen(question, at, bound);
    values.retain(|it| {
        let global = globals && Entry(it.value).global() && it.last >= snapshot.global[0];
        it.value != now.raw() && (it.last >= snapshot.non_global[0] || global)
    });
    values.sort_by_key(|it| std::cmp::Reverse(it.last));
    values
}

/// Every value that the entry at `at` is known to have held since `bound` under the current PCID.
fn seen(question: &Question<'_>, at: PhysicalAddress, bound: u64) -> Vec<Candidate> {
    let slot = EntrySlot::of(question.registers.paging_mode(), at);
    let mut values = Vec::new();
    // Whether some were forgotten does not matter to an account: it names what is known.
    let _ = question.history.values(
        question.image,
        EntrySlot::cell(at).raw(),
        question.registers.current_pcid(),
        NOW,
        bound,
        &mut values,
    );
    for it in &mut values {
        it.value = slot.extract(it.value).raw();
    }
    values
}

/// A chain that gives `response` if nothing had ever been invalidated.
fn explained_without_invalidations(question: &Question<'_>, response: PortOut) -> Option<Match> {
    let horizons = Horizons::new(question.reading);
    let snapshot = Snapshot {
        non_global: [0; 3],
        global: [0; 3],
        psc: 0,
        everything: 0,
    };
    let lenient = Question {
        snapshot: &snapshot,
        horizons: &horizons,
        ..*question
    };
    search(&lenient, Goal::Response(response), &mut Scratch::default()).matched
}

/// The values of a chain that stood until before the horizons of the request only.
fn outdated(question: &Question<'_>, matched: &Match) -> Vec<Outdated> {
    let registers = question.registers;
    let mut found = Vec::new();
    let mut roots = Vec::new();
    let _ = question
        .history
        .roots(registers.current_pcid(), 0, &mut roots);
    let root = roots.iter().find(|root| root.value == matched.chain.root);
    let levels = registers.paging_mode().spec().levels.iter();
    let entries = &matched.chain.entries[..matched.chain.len];
    let used: Vec<_> = levels.zip(entries).collect();
    // By the size of the page that the chain ends in.
    let index = used.last().map_or(0, |(row, (_, value))| {
        match question.rules.decode(row.level, Entry(*value)) {
            Decoded::Leaf(size) => size.array_index(),
            _ => 0,
        }
    });
    let bound = question.snapshot.non_global[index];
    if let Some(root) = root
        && root.last < bound
        && !matched.global
    {
        found.push(Outdated {
            level: None,
            address: 0,
            value: root.value,
            last_cycle: root.last,
        });
    }
    let count = used.len();
    for (number, (row, (address, value))) in used.into_iter().enumerate() {
        let bound = match (matched.global, number + 1 == count) {
            (false, _) => bound,
            (true, true) => question.snapshot.global[index],
            // What stands above a global page may be as old as the paging-structure caches of its time.
            (true, false) => continue,
        };
        let at = PhysicalAddress::new(*address);
        let last = seen(question, at, 0)
            .iter()
            .filter(|it| it.value == *value)
            .map(|it| it.last)
            .max();
        if let Some(last_cycle) = last
            && last_cycle < bound
        {
            found.push(Outdated {
                level: Some(row.level),
                address: *address,
                value: *value,
                last_cycle,
            });
        }
    }
    found
}
