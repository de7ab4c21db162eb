//! From the logs of the sides to the story: what it is about, and which lines matter.
//!
//! Contract: sections 4 (formats), 10 (monitor). SDM: none. Counterpart: none.

use std::collections::BTreeSet;

use super::fields::{
    Kind, NOTHING, Part, address_of, entry_name, entry_of, lookup_name, of_response, parts,
    status_name, walk_name,
};
use super::log::{Happening, Log, Owner, What, current_pcid, va_of};
use super::mirror::{Held, Mirror};
use super::{Differing, Field, Judgement, Line, Set, Story, Subject, Way};
use crate::arch::{Decoded, PageFaultCode, PageSize};
use crate::config::Config;
use crate::cosim::account::Words;
use crate::cosim::comparators::Comparator;
use crate::cosim::divergence::{Finding, TWINS};
use crate::cosim::events::{
    ArrayNames, CellBits, EntryBits, PscEntry, TlbEntry, paging_mode, port_name,
};
use crate::cosim::stimulus::ControlKind;
use crate::model::mmu_pkg::{
    ARRAY_FILL, LOOKUP_HIT_1G, MEM_READ, TLB_ARRAYS, WALK_RESTART, WALK_START,
};
use crate::reference::account::Account;

/// Most lines of what happened before.
const MOST_BEFORE: usize = 9;
/// The same where a design is judged: what came before an invalidation is why, and no sets are shown beside it.
const MOST_BEFORE_JUDGED: usize = 12;
/// Most of these that are writes of registers.
const MOST_REGISTER_WRITES: usize = 4;
/// Most lines of a walk.
const MOST_OF_WALK: usize = 10;
/// Most parts that differ: that of the finding, and what came with it.
const MOST_PARTS: usize = 3;
/// Most fields of a part behind the first.
const MOST_FIELDS_BEHIND: usize = 2;
/// Most lines of sets.
const MOST_WAYS: usize = 12;

/// What the story is about.
#[derive(Debug, Clone, Copy, Default)]
struct Focus {
    va: Option<u64>,
    request: Option<u32>,
    /// The array of the finding and its set.
    place: Option<(usize, u64)>,
    /// The last control operation is concerned, and no page.
    size: Option<PageSize>,
}

/// Tells the story of `finding`; one log, or those of model and RTL.
pub(super) fn tell(config: &Config, finding: &Finding, logs: &[&Log]) -> Story {
    let names = ArrayNames::new(config);
    let all: Vec<Vec<Part>> = logs
        .iter()
        .filter_map(|log| log.last.as_ref())
        .map(|(_, outputs)| parts(outputs, &names))
        .collect();
    let focus = focus(finding, logs, &all);
    let page_size = focus.size.unwrap_or(PageSize::Size4K);
    let subject = Subject {
        va: focus.va,
        page: focus.va.map(|va| page_of(va, page_size)),
        page_size: page_size.name(),
        pcid: logs
            .first()
            .and_then(|log| log.last.as_ref())
            .map_or(0, |(_, outputs)| current_pcid(outputs)),
        request: focus
            .request
            .map(|number| request_text(logs, number))
            .unwrap_or_default(),
    };
    let teller = Teller {
        names,
        focus,
        page_size,
        tables: None,
    };
    let before: Vec<_> = logs.iter().map(|log| teller.before(log)).collect();
    let mut before = merge(before);
    let before_left_out = before.len().saturating_sub(MOST_BEFORE);
    before.drain(..before_left_out);
    let walk: Vec<_> = logs.iter().map(|log| teller.walk(log)).collect();
    let mut walk = merge(walk);
    // Where it began, and its end.
    let too_many = walk.len().saturating_sub(MOST_OF_WALK);
    if too_many > 0 {
        walk.drain(1..=too_many);
    }
    Story {
        sides: TWINS[..logs.len().min(2)].to_vec(),
        subject,
        differs: differing(finding, &all),
        judgement: None,
        before,
        before_left_out,
        walk,
        sets: teller.sets(logs),
    }
}

/// The same of a design that was judged. `account` is of a response that the reference refused.
pub(super) fn tell_judged(
    config: &Config,
    finding: &Finding,
    log: &Log,
    account: Option<&Account>,
) -> Story {
    let mut story = tell(config, finding, &[log]);
    story.sides = vec![TWINS[1]];
    if log
        .happenings
        .iter()
        .all(|it| !matches!(it.what, What::Filled { .. }))
    {
        // It does not show its arrays.
        story.sets.clear();
    }
    let Some(account) = account else {
        return story;
    };
    let request = &account.request;
    let leaf = account.entries.last().map(|entry| entry.decoded);
    let page_size = match leaf {
        Some(Decoded::Leaf(size)) => size,
        _ => PageSize::Size4K,
    };
    story.subject = Subject {
        va: Some(request.va),
        page: Some(page_of(request.va, page_size)),
        page_size: page_size.name(),
        pcid: account.pcid.raw().into(),
        request: format!(
            "{} #{} {} {:#x} cpl {}, accepted in cycle {}",
            port_name(request.port.into()),
            request.id,
            request.access.kind,
            request.va,
            request.access.cpl,
            request.accepted_cycle
        ),
    };
    let fields = of_response(&account.now)
        .into_iter()
        .zip(of_response(&account.response));
    let fields = fields
        .map(|((name, model), (_, rtl))| Field {
            name,
            differs: model != rtl,
            model,
            rtl,
        })
        .filter(|field| field.model != NOTHING || field.rtl != NOTHING);
    let fields: Vec<Field> = fields.collect();
    story.differs = if fields.iter().any(|field| field.differs) {
        let part = format!("response of {}", port_name(request.port.into()));
        vec![Differing { part, fields }]
    } else {
        Vec::new()
    };
    let words = Words {
        account,
        unit: "cycle",
    };
    story.judgement = Some(Judgement {
        reason: words.reason(),
        legal: words.legal(),
        walk: words.walk(),
        outdated: words.outdated(),
        covering: words.covering(),
    });
    let entries = account.entries.iter().map(|entry| entry.address & !7);
    let outdated = account.outdated.iter().filter(|old| old.level.is_some());
    let outdated = outdated.map(|old| old.address & !7);
    let teller = Teller {
        names: ArrayNames::new(config),
        focus: Focus {
            va: Some(request.va),
            ..Focus::default()
        },
        page_size,
        tables: Some(entries.chain(outdated).collect()),
    };
    story.before = merge(vec![teller.before(log)]);
    story.before_left_out = story.before.len().saturating_sub(MOST_BEFORE_JUDGED);
    story.before.drain(..story.before_left_out);
    story
}

fn page_of(va: u64, size: PageSize) -> u64 {
    va >> size.shift() << size.shift()
}

/// What the finding is about: by its signal, else by what happened last.
fn focus(finding: &Finding, logs: &[&Log], all: &[Vec<Part>]) -> Focus {
    let part = all
        .first()
        .into_iter()
        .flatten()
        .find(|part| part.has(&finding.signal));
    let mut focus = Focus::default();
    for log in logs {
        if focus.va.is_none()
            && let Some((_, outputs)) = &log.last
        {
            focus = of_part(part, log, outputs, finding);
        }
    }
    if focus.va.is_none() && finding.comparator == Comparator::Hangs {
        let oldest = logs.iter().filter_map(|log| log.unanswered().min()).min();
        focus.request = oldest;
        focus.va = oldest.and_then(|number| logs[0].requests.get(number as usize).copied());
    }
    if focus.va.is_none() {
        let last = |log: &&Log| {
            let mut back = log.happenings.iter().rev();
            back.find(|it| it.va.is_some()).copied()
        };
        if let Some(last) = logs.iter().filter_map(last).max_by_key(|it| it.cycle) {
            focus.va = last.va;
            focus.request = number_of(last.owner);
        }
    }
    if let Some(va) = focus.va {
        let known = logs.iter().find_map(|log| log.mirror.page_size(va));
        focus.size = focus.size.or(known);
    }
    focus
}

fn number_of(owner: Owner) -> Option<u32> {
    match owner {
        Owner::Request(number) => Some(number),
        Owner::Nobody | Owner::Prefetch => None,
    }
}

/// The focus that the part of the finding's signal gives on one side.
fn of_part(
    part: Option<&Part>,
    log: &Log,
    outputs: &crate::model::mmu_pkg::Outputs,
    finding: &Finding,
) -> Focus {
    let of = |owner: Owner| Focus {
        va: log.va(owner),
        request: number_of(owner),
        ..Focus::default()
    };
    let of_number =
        |number: Option<u32>| number.map_or_else(Focus::default, |it| of(Owner::Request(it)));
    let Some(part) = part else {
        if let Some(cell) = finding.signal.strip_prefix("memory cell 0x") {
            let cell = u64::from_str_radix(cell, 16).unwrap_or_default();
            let mut back = log.happenings.iter().rev();
            let last =
                back.find(|it| matches!(it.what, What::Asked { address, .. } if address == cell));
            return last.map_or_else(Focus::default, |it| of(it.owner));
        }
        let answered = log.answered.iter().flatten().next().copied();
        return of_number(answered);
    };
    match part.kind {
        Kind::Response => of_number(log.answered[part.index]),
        Kind::Lookup => of_number(log.looked_up[part.index]),
        Kind::Stlb if outputs.monitor.stlb_lookup != 0 => {
            of(log.owner_of_entry(outputs.monitor.stlb_entry))
        }
        Kind::Walk | Kind::Walker => of(log.walkers[part.index]),
        Kind::Miss => of(log.owner_of_entry(part.index as u8)),
        Kind::Prefetch => of(Owner::Prefetch),
        Kind::Memory => of(log.walkers[usize::from(outputs.memory.req_id) % log.walkers.len()]),
        Kind::Tlb | Kind::Psc => {
            let array = part.index
                + if part.kind == Kind::Psc {
                    TLB_ARRAYS
                } else {
                    0
                };
            let mut events = outputs.monitor.tlb.iter().chain(&outputs.monitor.psc);
            let Some(event) = events.nth(array) else {
                return Focus::default();
            };
            if event.op == ARRAY_FILL {
                let code = (event.tag >> 60 & 3) as u8;
                let size = if array < TLB_ARRAYS {
                    PageSize::from_code(code)
                } else {
                    None
                };
                // For whom: the walk of the same address, else the look-up in the STLB.
                let filled = Some(va_of(array, event));
                let is_of = |va: u64| Mirror::covers(array, event.tag, va);
                let walked = log.walkers.iter().copied();
                let busy = walked
                    .zip(outputs.queues.walker)
                    .filter(|(_, word)| word & 7 != 0)
                    .map(|(owner, _)| owner);
                let owner = busy
                    .into_iter()
                    .find(|owner| log.va(*owner).is_some_and(is_of));
                let owner = owner.or_else(|| {
                    let back = log.happenings.iter().rev().take(200);
                    let mut of = back
                        .filter(|it| it.va.is_some_and(is_of))
                        .map(|it| it.owner);
                    of.find(|owner| *owner != Owner::Nobody)
                });
                let owner = owner.unwrap_or_default();
                return Focus {
                    va: log.va(owner).or(filled),
                    request: number_of(owner),
                    place: Some((array, event.set.into())),
                    size,
                };
            }
            let place = (event.op != 0).then_some((array, event.set.into()));
            Focus {
                va: invalidated(log),
                place,
                ..Focus::default()
            }
        }
        Kind::Stlb | Kind::Accept | Kind::Control | Kind::Counter => Focus::default(),
    }
}

/// The address of the last control operation, if it was the invalidation of one.
fn invalidated(log: &Log) -> Option<u64> {
    let mut back = log.happenings.iter().rev();
    let what = back.find_map(|it| match it.what {
        What::Control {
            op,
            data,
            addr,
            kind,
        } => Some((op, data, addr, kind)),
        _ => None,
    });
    match what? {
        (op, data, ..) if op == ControlKind::Invlpg as u8 => Some(data),
        (op, _, addr, 0) if op == ControlKind::Invpcid as u8 => Some(addr),
        _ => None,
    }
}

/// The parts that differ, that of the finding first.
fn differing(finding: &Finding, all: &[Vec<Part>]) -> Vec<Differing> {
    let [ours, theirs] = all else {
        return Vec::new();
    };
    let mut pairs: Vec<_> = ours
        .iter()
        .zip(theirs)
        .filter(|(ours, theirs)| ours.fields != theirs.fields)
        .collect();
    pairs.sort_by_key(|(ours, _)| !ours.has(&finding.signal));
    let shown = pairs.into_iter().take(MOST_PARTS).enumerate();
    shown
        .map(|(index, (ours, theirs))| {
            let fields = ours.fields.iter().zip(&theirs.fields);
            let fields = fields.map(|((name, model), (_, rtl))| Field {
                name,
                model: model.clone(),
                rtl: rtl.clone(),
                differs: model != rtl,
            });
            let nothing = |field: &Field| field.model == NOTHING && field.rtl == NOTHING;
            Differing {
                part: ours.name.clone(),
                fields: fields
                    .filter(|field| field.differs || index == 0 && !nothing(field))
                    .take(if index == 0 {
                        usize::MAX
                    } else {
                        MOST_FIELDS_BEHIND
                    })
                    .collect(),
            }
        })
        .collect()
}

/// The lines of the sides as one list: what both have stands there once.
pub(super) fn merge(sides: Vec<Vec<(u64, String)>>) -> Vec<Line> {
    let mut sides = sides.into_iter();
    let ours = sides.next().unwrap_or_default();
    let Some(mut theirs) = sides.next() else {
        let lines = ours.into_iter();
        return lines
            .map(|(cycle, text)| Line {
                cycle,
                side: None,
                text,
            })
            .collect();
    };
    let side = |side, (cycle, text): (u64, String)| Line { cycle, side, text };
    let mut lines = Vec::with_capacity(ours.len());
    theirs.reverse();
    for line in ours {
        if theirs.contains(&line) {
            while let Some(other) = theirs.pop() {
                if other == line {
                    break;
                }
                lines.push(side(Some(TWINS[1]), other));
            }
            lines.push(side(None, line));
        } else {
            lines.push(side(Some(TWINS[0]), line));
        }
    }
    let rest = theirs.into_iter().rev();
    lines.extend(rest.map(|line| side(Some(TWINS[1]), line)));
    lines.sort_by_key(|line| line.cycle);
    lines
}

fn kind_name(kind: u8) -> &'static str {
    ["read", "write", "fetch", "kind?"][usize::from(kind & 3)]
}

/// `data1 #3 write 0x1234 cpl 3`, of a request by its number.
fn request_text(logs: &[&Log], number: u32) -> String {
    let accepted = |log: &&Log| {
        let mut all = log.happenings.iter();
        let is_it = |it: &&Happening| {
            it.owner == Owner::Request(number) && matches!(it.what, What::Accepted { .. })
        };
        all.find(is_it)
            .map(|it| format!("{}, accepted in cycle {}", accept_text(it), it.cycle))
    };
    logs.iter().find_map(accepted).unwrap_or_default()
}

fn accept_text(it: &Happening) -> String {
    let What::Accepted {
        port,
        id,
        kind,
        cpl,
        supervisor,
        pkru,
    } = it.what
    else {
        return String::new();
    };
    let va = it.va.unwrap_or_default();
    let mut text = format!(
        "{} #{id} {} {va:#x} cpl {cpl}",
        port_name(port.into()),
        kind_name(kind)
    );
    if supervisor != 0 {
        text.push_str(" implicit");
    }
    if pkru != 0 {
        text.push_str(&format!(" pkru {pkru:#x}"));
    }
    text
}

struct Teller {
    names: ArrayNames,
    focus: Focus,
    page_size: PageSize,
    /// Of a design that shows its ports alone: the cells of the page's entries, as the reference walks them.
    tables: Option<BTreeSet<u64>>,
}

impl Teller {
    fn is_of_page(&self, va: Option<u64>) -> bool {
        match (self.focus.va, va) {
            (Some(ours), Some(va)) => page_of(ours, self.page_size) == page_of(va, self.page_size),
            _ => false,
        }
    }

    /// Whether what a TLB array holds under `tag` is of the page.
    fn is_held_of_page(&self, array: usize, tag: u64) -> bool {
        let covers = |va| Mirror::covers(array, tag, va);
        array < TLB_ARRAYS && self.focus.va.is_some_and(covers)
    }

    /// What touched the page, its tables' cells, or everything.
    fn before(&self, log: &Log) -> Vec<(u64, String)> {
        let mode = log
            .last
            .map(|(_, outputs)| paging_mode(&outputs.control))
            .unwrap_or_default();
        let of_page = log.happenings.iter().filter(|it| self.is_of_page(it.va));
        let mut cells: BTreeSet<u64> = of_page
            .filter_map(|it| match it.what {
                What::Asked { address, .. } => Some(address),
                _ => None,
            })
            .collect();
        cells.extend(self.tables.iter().flatten());
        let mut lines = Vec::new();
        let mut register_writes = 0;
        // From the last one back, so that a long run costs no more text than a short one.
        for (index, it) in log.happenings.iter().enumerate().rev() {
            if lines.len() > 4 * MOST_BEFORE_JUDGED {
                break;
            }
            let text = match it.what {
                What::Accepted { .. } if self.is_of_page(it.va) => {
                    format!(
                        "{}{}",
                        accept_text(it),
                        outcome(&log.happenings[index..], it.owner)
                    )
                }
                What::Stored { address, value } if cells.contains(&address) => {
                    let value = CellBits { value, mode };
                    format!("store by another agent to {address:#x}: {value}")
                }
                What::Asked {
                    op,
                    enables,
                    address,
                    data,
                    expected,
                    ..
                } if op != MEM_READ && self.tables.is_some() && cells.contains(&address) => {
                    let at = address_of(enables, address);
                    let (old, new) = (entry_of(enables, expected), entry_of(enables, data));
                    format!("rtl sets {at:#x} from {old:#x} to {}", EntryBits(new))
                }
                What::Lost {
                    array,
                    set,
                    way,
                    tag,
                } if self.is_held_of_page(array.into(), tag) => {
                    format!(
                        "{} set {set} way {way} loses it",
                        self.array_name(array.into())
                    )
                }
                What::Control {
                    op,
                    kind,
                    data,
                    addr,
                } => {
                    let is_write = op < ControlKind::Invlpg as u8;
                    register_writes += usize::from(is_write);
                    if is_write && register_writes > MOST_REGISTER_WRITES {
                        continue;
                    }
                    let named = match op {
                        op if op == ControlKind::Invlpg as u8 => Some(data),
                        op if op == ControlKind::Invpcid as u8 && kind == 0 => Some(addr),
                        _ => None,
                    };
                    if named.is_some() && !self.is_of_page(named) {
                        continue;
                    }
                    let what = control_text(op, kind, data, addr);
                    format!("{what}{}", control_outcome(&log.happenings[index..]))
                }
                _ => continue,
            };
            lines.push((it.cycle, text));
        }
        lines.reverse();
        lines
    }

    /// The last walk of the page, entry by entry.
    fn walk(&self, log: &Log) -> Vec<(u64, String)> {
        let begins = |it: &Happening| {
            matches!(it.what, What::Walk { op: WALK_START, .. }) && self.is_of_page(it.va)
        };
        let Some(start) = log.happenings.iter().rposition(begins) else {
            return Vec::new();
        };
        let What::Walk { walker, .. } = log.happenings[start].what else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        for it in &log.happenings[start..] {
            let text = match it.what {
                What::Walk {
                    walker: of,
                    op,
                    psc_level,
                    filled,
                } if of == walker => {
                    let is_begin = matches!(op, WALK_START | WALK_RESTART);
                    if op == WALK_START && !lines.is_empty() {
                        break;
                    }
                    let va = it.va.unwrap_or_default();
                    let mut text = format!("walker {walker} {} for {va:#x}", walk_name(op));
                    match (is_begin, psc_level) {
                        (true, 0) => text.push_str(", from CR3"),
                        (true, level) => {
                            text.push_str(&format!(", below a cached {}", entry_name(level)))
                        }
                        (false, _) if op == 3 && filled == 0 => text.push_str(", may not fill"),
                        _ => {}
                    }
                    text
                }
                What::Given {
                    walker: of,
                    level,
                    op,
                    enables,
                    address,
                    data,
                    error,
                } if of == walker => {
                    let at = address_of(enables, address);
                    let entry = EntryBits(entry_of(enables, data));
                    let name = entry_name(level);
                    match (op, error) {
                        (_, 1..) => format!("{name} at {at:#x}: bus error"),
                        (MEM_READ, _) => format!("reads {name} at {at:#x}: {entry}"),
                        _ => format!("{name} at {at:#x} held {entry} before"),
                    }
                }
                What::Asked {
                    walker: of,
                    level,
                    op,
                    enables,
                    address,
                    data,
                    expected,
                } if of == walker && op != MEM_READ => {
                    let at = address_of(enables, address);
                    let new = EntryBits(entry_of(enables, data));
                    let old = entry_of(enables, expected);
                    format!(
                        "sets {} at {at:#x} from {old:#x} to {new}",
                        entry_name(level)
                    )
                }
                What::Asked {
                    walker: of,
                    level,
                    enables,
                    address,
                    ..
                } if of == walker && Some(it.cycle + 1) == Some(log.cycle) => {
                    format!(
                        "asks for {} at {:#x}",
                        entry_name(level),
                        address_of(enables, address)
                    )
                }
                What::Filled {
                    array,
                    set,
                    way,
                    evicts,
                } if self.is_of_page(it.va) || self.covers_cache(array, it.va) => {
                    let evicts = if evicts {
                        ", evicting what it held"
                    } else {
                        ""
                    };
                    format!(
                        "fills {} set {set} way {way}{evicts}",
                        self.array_name(array.into())
                    )
                }
                _ => continue,
            };
            lines.push((it.cycle, text));
        }
        lines
    }

    /// Whether what a paging-structure cache is filled with at `va` is of the page.
    fn covers_cache(&self, array: u8, va: Option<u64>) -> bool {
        let cache = usize::from(array).checked_sub(TLB_ARRAYS);
        match (cache, va, self.focus.va) {
            (Some(cache), Some(va), Some(ours)) => {
                let shift = 21 + 9 * cache as u32;
                va >> shift == ours >> shift
            }
            _ => false,
        }
    }

    fn array_name(&self, array: usize) -> &str {
        match array.checked_sub(TLB_ARRAYS) {
            None => self.names.tlb(array),
            Some(cache) => self.names.psc(cache),
        }
    }

    /// The sets in which the page may stand; that of the finding first.
    fn sets(&self, logs: &[&Log]) -> Vec<Set> {
        let Some((_, outputs)) = logs.first().and_then(|log| log.last.as_ref()) else {
            return Vec::new();
        };
        let mode = paging_mode(&outputs.control);
        let mut places = match self.focus.va {
            Some(va) => logs[0].mirror.places(va, mode),
            None => Vec::new(),
        };
        if let Some(place) = self.focus.place {
            places.retain(|other| *other != place);
            places.insert(0, place);
        }
        let mut left = MOST_WAYS;
        let mut sets = Vec::new();
        for (array, set) in places {
            let is_focus = self.focus.place == Some((array, set));
            let mut shown = self.ways(logs, array, set, is_focus);
            shown.truncate(left);
            left -= shown.len();
            sets.push(Set {
                array: self.array_name(array).to_owned(),
                set,
                ways: logs[0].mirror.ways(array),
                valid: logs
                    .iter()
                    .map(|log| log.mirror.set(array, set).count())
                    .collect(),
                shown,
            });
        }
        sets
    }

    /// The ways to look at: all of the finding's set; of others those of the page, and those that differ.
    fn ways(&self, logs: &[&Log], array: usize, set: u64, all: bool) -> Vec<Way> {
        let held: Vec<Vec<(u64, Held)>> = logs
            .iter()
            .map(|log| log.mirror.set(array, set).collect())
            .collect();
        let va = self.focus.va;
        let mut ways = Vec::new();
        for (number, side) in held.iter().enumerate() {
            for (way, it) in side {
                let of_the_page = va.is_some_and(|va| Mirror::covers(array, it.tag, va));
                let other = held.get(1 - number.min(1)).filter(|_| held.len() > 1);
                let alike = other.is_none_or(|other| other.contains(&(*way, *it)));
                if alike && (number > 0 || !(all || of_the_page)) {
                    continue;
                }
                let (tag, data) = (it.tag, it.data);
                ways.push(Way {
                    way: *way,
                    side: (!alike).then_some(TWINS[number.min(1)]),
                    of_the_page,
                    entry: match array < TLB_ARRAYS {
                        true => TlbEntry { tag, data }.text(self.names.holds_several(array)),
                        false => PscEntry { tag, data }.to_string(),
                    },
                    filled: it.filled,
                    hit: it.hit,
                });
            }
        }
        ways.sort_by_key(|way| (way.way, way.side));
        ways
    }
}

/// What came of a request: from its look-up to its answer.
fn outcome(happenings: &[Happening], owner: Owner) -> String {
    let mut text = String::new();
    for it in happenings.iter().filter(|it| it.owner == owner) {
        match it.what {
            What::LookedUp { code, retry, .. } => {
                let again = if retry != 0 { "again " } else { "" };
                text.push_str(&format!("; {again}{}", lookup_name(code)));
            }
            What::StlbLookedUp { code } if code <= LOOKUP_HIT_1G => {
                text.push_str(&format!("; stlb {}", lookup_name(code)));
            }
            What::Walk {
                op: WALK_START,
                walker,
                ..
            } => text.push_str(&format!("; walk {walker}")),
            What::Answered {
                status,
                size,
                code,
                pa,
                ..
            } => {
                let answer = match status {
                    0 => format!("pa {pa:#x} {}", super::fields::size_name(size.into())),
                    1 => format!("page fault {}", PageFaultCode(u32::from(code))),
                    other => status_name(other).to_owned(),
                };
                return format!("{text} -> {answer} at {}", it.cycle);
            }
            _ => {}
        }
    }
    format!("{text} -> no answer yet")
}

fn control_text(op: u8, kind: u64, data: u64, addr: u64) -> String {
    match ControlKind::ALL.get(usize::from(op)) {
        Some(ControlKind::Invpcid) => format!("invpcid type {kind} pcid {data:#x} va {addr:#x}"),
        Some(ControlKind::Invlpg) => format!("invlpg {data:#x}"),
        Some(register) => format!("{} = {data:#x}", register.name()),
        None => format!("control operation {op}"),
    }
}

fn control_outcome(happenings: &[Happening]) -> String {
    let done = happenings.iter().find_map(|it| match it.what {
        What::ControlDone { gp } => Some((it.cycle, gp)),
        _ => None,
    });
    match done {
        None => " -> not done yet".to_owned(),
        Some((cycle, 0)) => format!(" -> done at {cycle}"),
        Some((cycle, _)) => format!(" -> #GP at {cycle}"),
    }
}
