//! What one side did, kept from cycle 0 to a finding: the material of a [story](super).
//!
//! Contract: sections 3 (ports), 10 (monitor). SDM: none. Counterpart: none.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::mirror::Mirror;
use crate::arch::registers::cr4;
use crate::config::Config;
use crate::cosim::comparators::Comparator;
use crate::cosim::counters::Counters;
use crate::cosim::lockstep::{Checker, CheckerFinding};
use crate::cosim::stimulus::Store;
use crate::cosim::twin::Twin;
use crate::model::liveness::WalkerWord;
use crate::model::mmu_pkg::{
    ARRAY_FILL, ArrayEvent, Inputs, LOOKUP_BYPASS, LOOKUP_HIT_1G, MAX_MISS_QUEUE_ENTRIES,
    MAX_PORTS, MAX_WALKERS, Outputs, PREFETCH_ENTRY, TLB_ARRAYS, WALK_RESTART, WALK_START,
};

/// Most happenings that are kept: a trace has no end of them, and a story is about the last ones.
const MOST_HAPPENINGS: usize = 1 << 21;

/// A request, or the prefetch, for which something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Owner {
    /// Nobody is known.
    #[default]
    Nobody,
    /// The request of that number, counted over all ports.
    Request(u32),
    /// A prefetch.
    Prefetch,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Accepted {
        port: u8,
        id: u8,
        kind: u8,
        cpl: u8,
        supervisor: u8,
        pkru: u32,
    },
    Answered {
        status: u8,
        size: u8,
        code: u16,
        pa: u64,
        fault_va: u64,
    },
    LookedUp {
        port: u8,
        code: u8,
        entry: u8,
        retry: u8,
    },
    StlbLookedUp {
        code: u8,
    },
    Walk {
        walker: u8,
        op: u8,
        psc_level: u8,
        filled: u8,
    },
    Asked {
        walker: u8,
        level: u8,
        op: u8,
        enables: u8,
        address: u64,
        data: u64,
        expected: u64,
    },
    Given {
        walker: u8,
        level: u8,
        op: u8,
        enables: u8,
        address: u64,
        data: u64,
        error: u8,
    },
    /// Of a TLB array, or of a cache from [`TLB_ARRAYS`] on.
    Filled {
        array: u8,
        set: u16,
        way: u8,
        evicts: bool,
    },
    /// An array or cache no longer holds this.
    Lost {
        array: u8,
        set: u16,
        way: u8,
        tag: u64,
    },
    Control {
        op: u8,
        kind: u64,
        data: u64,
        addr: u64,
    },
    ControlDone {
        gp: u8,
    },
    Stored {
        address: u64,
        value: u64,
    },
}

/// Something that happened, when, and on whose behalf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Happening {
    pub cycle: u64,
    /// The address that it is about, if it is about one.
    pub va: Option<u64>,
    pub owner: Owner,
    pub what: What,
}

/// What was hit.
#[derive(Debug, Clone, Copy)]
enum Hit {
    /// A TLB, by its level.
    Level,
    /// A paging-structure cache, by its number.
    Cache,
}

/// The PCID that counts in a cycle (contract 4.3).
pub(super) const fn current_pcid(outputs: &Outputs) -> u64 {
    if outputs.control.cr4 & cr4::PCIDE == 0 {
        0
    } else {
        outputs.control.cr3 & 0xfff
    }
}

/// A transfer of a walker that memory has not answered.
#[derive(Debug, Clone, Copy, Default)]
struct Transfer {
    level: u8,
    op: u8,
    enables: u8,
    address: u64,
}

/// What a side did.
pub(super) struct Log {
    pub happenings: Vec<Happening>,
    /// The arrays at the start of the last cycle.
    pub mirror: Mirror,
    /// Inputs and outputs of the last cycle.
    pub last: Option<(Inputs, Outputs)>,
    /// The cycle that comes next.
    pub cycle: u64,
    /// The addresses of the requests, by number.
    pub requests: Vec<u64>,
    waiting: [VecDeque<u32>; MAX_PORTS],
    outstanding: BTreeMap<(u8, u8), u32>,
    entries: [Owner; MAX_MISS_QUEUE_ENTRIES],
    /// For whom each walker works, and what it asked.
    pub walkers: [Owner; MAX_WALKERS],
    transfers: [Transfer; MAX_WALKERS],
    prefetch_va: u64,
    /// Hits of the last cycle: level or cache, its number, the address and the PCID.
    hits: Vec<(Hit, usize, u64)>,
    /// The request that each port looks up in the last cycle, and the one that it answers.
    pub looked_up: [Option<u32>; MAX_PORTS],
    pub answered: [Option<u32>; MAX_PORTS],
}

impl Log {
    fn new(config: &Config) -> Self {
        Self {
            happenings: Vec::new(),
            mirror: Mirror::new(config),
            last: None,
            cycle: 0,
            requests: Vec::new(),
            waiting: Default::default(),
            outstanding: BTreeMap::new(),
            entries: [Owner::Nobody; MAX_MISS_QUEUE_ENTRIES],
            walkers: [Owner::Nobody; MAX_WALKERS],
            transfers: [Transfer::default(); MAX_WALKERS],
            prefetch_va: 0,
            hits: Vec::new(),
            looked_up: [None; MAX_PORTS],
            answered: [None; MAX_PORTS],
        }
    }

    /// The address of the owner.
    pub fn va(&self, owner: Owner) -> Option<u64> {
        match owner {
            Owner::Nobody => None,
            Owner::Request(number) => self.requests.get(number as usize).copied(),
            Owner::Prefetch => Some(self.prefetch_va),
        }
    }

    /// Who has the entry of the miss queue.
    pub fn owner_of_entry(&self, entry: u8) -> Owner {
        if entry == PREFETCH_ENTRY {
            return Owner::Prefetch;
        }
        let owner = self.entries.get(usize::from(entry));
        owner.copied().unwrap_or_default()
    }

    fn add(&mut self, owner: Owner, what: What) {
        let va = self.va(owner);
        self.happenings.push(Happening {
            cycle: self.cycle,
            va,
            owner,
            what,
        });
    }

    fn note(&mut self, inputs: &Inputs, outputs: &Outputs) {
        if let Some((_, before)) = self.last.take() {
            let cycle = self.cycle - 1;
            let pcid = current_pcid(&before);
            for (hit, number, va) in self.hits.drain(..) {
                match hit {
                    Hit::Level => self.mirror.hit(cycle, number, va, pcid),
                    Hit::Cache => self.mirror.hit_cache(cycle, number, va, pcid),
                }
            }
            for (array, set, way, tag) in self.mirror.apply(cycle, &before) {
                self.happenings.push(Happening {
                    cycle,
                    va: None,
                    owner: Owner::Nobody,
                    what: What::Lost {
                        array: array as u8,
                        set: set as u16,
                        way: way as u8,
                        tag,
                    },
                });
            }
        }
        self.looked_up = [None; MAX_PORTS];
        self.answered = [None; MAX_PORTS];
        if outputs.queues.prefetch & 3 != 0 {
            self.prefetch_va = sign_extended(outputs.queues.prefetch & 0x01ff_ffff_ffff_f000);
        }
        self.note_memory(inputs, outputs);
        self.note_lookups(outputs);
        self.note_walks(outputs);
        self.note_fills(outputs);
        self.note_answers(inputs, outputs);
        self.note_control(inputs, outputs);
        self.note_requests(inputs, outputs);
        self.last = Some((*inputs, *outputs));
        self.cycle += 1;
        if self.happenings.len() >= MOST_HAPPENINGS {
            self.happenings.drain(..MOST_HAPPENINGS / 2);
        }
    }

    fn note_requests(&mut self, inputs: &Inputs, outputs: &Outputs) {
        for (port, (pins, shown)) in inputs.ports.iter().zip(&outputs.ports).enumerate() {
            if pins.req_valid & shown.req_ready == 0 {
                continue;
            }
            let number = self.requests.len() as u32;
            self.requests.push(pins.req_va);
            self.waiting[port].push_back(number);
            self.outstanding.insert((port as u8, pins.req_id), number);
            let what = What::Accepted {
                port: port as u8,
                id: pins.req_id,
                kind: pins.req_kind,
                cpl: pins.req_cpl,
                supervisor: pins.req_implicit_supervisor,
                pkru: pins.req_pkru,
            };
            self.add(Owner::Request(number), what);
        }
    }

    fn note_lookups(&mut self, outputs: &Outputs) {
        let monitor = &outputs.monitor;
        for port in 0..MAX_PORTS {
            let (code, entry, retry) = (
                monitor.lookup[port],
                monitor.lookup_entry[port],
                monitor.lookup_retry[port],
            );
            if code == 0 {
                continue;
            }
            let owner = if retry != 0 {
                self.owner_of_entry(entry)
            } else {
                self.waiting[port]
                    .pop_front()
                    .map_or(Owner::Nobody, Owner::Request)
            };
            if let Owner::Request(number) = owner {
                self.looked_up[port] = Some(number);
            }
            if code > LOOKUP_HIT_1G
                && code != LOOKUP_BYPASS
                && let Some(slot) = self.entries.get_mut(usize::from(entry))
            {
                *slot = owner;
            }
            self.add(
                owner,
                What::LookedUp {
                    port: port as u8,
                    code,
                    entry,
                    retry,
                },
            );
            if let (1..=LOOKUP_HIT_1G, Some(va)) = (code, self.va(owner)) {
                self.hits.push((Hit::Level, usize::from(port != 0), va));
            }
        }
        if monitor.stlb_lookup != 0 {
            let owner = self.owner_of_entry(monitor.stlb_entry);
            self.add(
                owner,
                What::StlbLookedUp {
                    code: monitor.stlb_lookup,
                },
            );
            if let (1..=LOOKUP_HIT_1G, Some(va)) = (monitor.stlb_lookup, self.va(owner)) {
                self.hits.push((Hit::Level, 2, va));
            }
        }
    }

    fn note_walks(&mut self, outputs: &Outputs) {
        for (walker, event) in outputs.monitor.walk.iter().enumerate() {
            if event.op == 0 {
                continue;
            }
            let owner = self.owner_of_entry(event.entry);
            self.walkers[walker] = owner;
            let what = What::Walk {
                walker: walker as u8,
                op: event.op,
                psc_level: event.psc_level,
                filled: event.filled,
            };
            self.add(owner, what);
            if let (WALK_START | WALK_RESTART, 2.., Some(va)) =
                (event.op, event.psc_level, self.va(owner))
            {
                self.hits
                    .push((Hit::Cache, usize::from(event.psc_level) - 2, va));
            }
        }
    }

    fn note_memory(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let (pins, shown) = (&inputs.memory, &outputs.memory);
        if pins.resp_valid & shown.resp_ready != 0 {
            let walker = usize::from(pins.resp_id) % MAX_WALKERS;
            let Transfer {
                level,
                op,
                enables,
                address,
            } = self.transfers[walker];
            let what = What::Given {
                walker: walker as u8,
                level,
                op,
                enables,
                address,
                data: pins.resp_data,
                error: pins.resp_error,
            };
            self.add(self.walkers[walker], what);
        }
        if pins.req_ready & shown.req_valid != 0 {
            let walker = usize::from(shown.req_id) % MAX_WALKERS;
            let word = WalkerWord::new(walker, outputs.queues.walker[walker]);
            self.transfers[walker] = Transfer {
                level: word.level as u8,
                op: shown.req_op,
                enables: shown.req_be,
                address: shown.req_addr,
            };
            let what = What::Asked {
                walker: walker as u8,
                level: word.level as u8,
                op: shown.req_op,
                enables: shown.req_be,
                address: shown.req_addr,
                data: shown.req_wdata,
                expected: shown.req_expected,
            };
            self.add(self.walkers[walker], what);
        }
    }

    fn note_fills(&mut self, outputs: &Outputs) {
        let arrays = outputs.monitor.tlb.iter().chain(&outputs.monitor.psc);
        for (array, event) in arrays.enumerate() {
            if event.op != ARRAY_FILL {
                continue;
            }
            self.happenings.push(Happening {
                cycle: self.cycle,
                va: Some(va_of(array, event)),
                owner: Owner::Nobody,
                what: What::Filled {
                    array: array as u8,
                    set: event.set,
                    way: event.way,
                    evicts: event.removed != 0,
                },
            });
        }
    }

    fn note_answers(&mut self, inputs: &Inputs, outputs: &Outputs) {
        for (port, (pins, shown)) in inputs.ports.iter().zip(&outputs.ports).enumerate() {
            if shown.resp_valid == 0 {
                continue;
            }
            let key = (port as u8, shown.resp_id);
            self.answered[port] = self.outstanding.get(&key).copied();
            if pins.resp_ready == 0 {
                continue;
            }
            let owner = self
                .outstanding
                .remove(&key)
                .map_or(Owner::Nobody, Owner::Request);
            let what = What::Answered {
                status: shown.resp_status,
                size: shown.resp_page_size,
                code: shown.resp_error_code,
                pa: shown.resp_pa,
                fault_va: shown.resp_va,
            };
            self.add(owner, what);
        }
    }

    fn note_control(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let (pins, shown) = (&inputs.control, &outputs.control);
        if shown.resp_valid & pins.resp_ready != 0 {
            self.add(Owner::Nobody, What::ControlDone { gp: shown.resp_gp });
        }
        if pins.valid & shown.ready != 0 {
            let what = What::Control {
                op: pins.op,
                kind: pins.kind,
                data: pins.data,
                addr: pins.addr,
            };
            self.add(Owner::Nobody, what);
        }
    }

    /// Requests that are not answered, by number.
    pub fn unanswered(&self) -> impl Iterator<Item = u32> {
        self.outstanding.values().copied()
    }
}

/// An address whose bits above 56 repeat bit 56.
pub(super) const fn sign_extended(va: u64) -> u64 {
    ((va << 7) as i64 >> 7) as u64
}

/// The address of what an array is filled with.
pub(super) const fn va_of(array: usize, event: &ArrayEvent) -> u64 {
    if array < TLB_ARRAYS {
        sign_extended((event.tag & ((1 << 45) - 1)) << 12)
    } else {
        sign_extended((event.tag & ((1 << 36) - 1)) << 21)
    }
}

/// A log that a twin in a run writes, and that is read after the run.
pub(super) type SharedLog = Rc<RefCell<Log>>;

/// A new log of a side of a machine of `config`.
pub(super) fn shared(config: &Config) -> SharedLog {
    Rc::new(RefCell::new(Log::new(config)))
}

/// A twin that is watched. It is ticked in every cycle.
pub(super) struct Watched<T> {
    twin: T,
    log: SharedLog,
}

impl<T> Watched<T> {
    pub const fn new(twin: T, log: SharedLog) -> Self {
        Self { twin, log }
    }
}

impl<T: Twin> Twin for Watched<T> {
    fn name(&self) -> &'static str {
        self.twin.name()
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        self.twin.tick(inputs, outputs);
        if inputs.rst_n != 0 {
            self.log.borrow_mut().note(inputs, outputs);
        }
    }

    fn failed_assertions(&self) -> u64 {
        self.twin.failed_assertions()
    }

    fn first_failed_assertion(&self) -> Option<(Option<u64>, String)> {
        self.twin.first_failed_assertion()
    }
}

/// A twin that is watched where no checker hears of the stores.
pub(super) struct WatchedAlone<T>(pub Watched<T>);

impl<T: Twin> Twin for WatchedAlone<T> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        self.0.tick(inputs, outputs);
    }

    fn hear_stores(&mut self, stores: &[Store]) {
        let mut log = self.0.log.borrow_mut();
        let cycle = log.cycle;
        log.happenings.extend(stored(cycle, stores));
    }

    fn failed_assertions(&self) -> u64 {
        self.0.failed_assertions()
    }

    fn first_failed_assertion(&self) -> Option<(Option<u64>, String)> {
        self.0.first_failed_assertion()
    }
}

fn stored(cycle: u64, stores: &[Store]) -> impl Iterator<Item = Happening> {
    stores.iter().map(move |store| Happening {
        cycle,
        va: None,
        owner: Owner::Nobody,
        what: What::Stored {
            address: store.address,
            value: store.value,
        },
    })
}

/// A checker that allows everything, and tells the logs of what other agents store.
pub(super) struct Stores(pub Vec<SharedLog>);

impl Checker for Stores {
    fn comparator(&self) -> Comparator {
        Comparator::Protocol
    }

    fn observe(
        &mut self,
        cycle: u64,
        _inputs: &Inputs,
        _outputs: &Outputs,
        stores: &[Store],
    ) -> Result<(), CheckerFinding> {
        for log in &self.0 {
            log.borrow_mut().happenings.extend(stored(cycle, stores));
        }
        Ok(())
    }

    fn count(&self, _counters: &mut Counters) {}
}
