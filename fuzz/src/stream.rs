//! Bytes as a stream of operations: through the model, held against the reference; and through both twins in lockstep.
//!
//! Contract: every section. SDM: none. Counterpart: `src/cosim/generator/`, which draws such streams at random.
//!
//! The world is small, so that few bytes make pages alias, tables share frames and caches hold what is stale: 12 frames of tables, of
//! which each may stand at each level, and some frames of data.

use std::ops::ControlFlow;

use twinwalk::arch::registers::{cr0, cr4, efer};
use twinwalk::arch::{Access, AccessKind};
use twinwalk::config::Config;
use twinwalk::config::load::{Source, load};
use twinwalk::cosim::lockstep::{Lockstep, Options, Report};
#[cfg(feature = "rtl-static")]
use twinwalk::cosim::rtl::{InitialRegisters, Library, Rtl};
use twinwalk::cosim::stall::StallRates;
use twinwalk::cosim::stimulus::config_text::check_operation;
use twinwalk::cosim::stimulus::{
    Action, ConfigText, Control, ControlKind, HalfStore, Operation, Request, Setup, Stimulus, Store,
};
use twinwalk::model::Mmu;

/// Machines that the first byte chooses from.
const MACHINES: [&str; 12] = [
    "default",
    "tiny",
    "no-psc",
    "stlb-only",
    "l1-only",
    "prefetch",
    "parallel",
    "inclusive",
    "patchwork",
    "mixed",
    "narrow",
    "crowded",
];
/// The frames that hold tables are 1 to this.
const TABLES: u64 = 12;
/// Flags of an entry that one byte sets or leaves; present unless bit 7 says otherwise.
const FLAGS: [u64; 7] = [1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1 << 63];
/// Most operations of a stream, so that a run stays short.
const MOST_OPERATIONS: usize = 120;

/// A stream of operations through the model of the machine that the first byte chooses; everything is as the reference allows, and the same
/// when the model ticks in every cycle.
pub fn operations(bytes: &[u8]) {
    operations_judged_as(bytes, |_| {});
}

/// The same, judged by the reference of the machine that `change` makes of the model's.
pub fn operations_judged_as(bytes: &[u8], change: fn(&mut Config)) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let name = MACHINES[usize::from(*first) % MACHINES.len()];
    let stimulus = stimulus_of(rest, name);
    let config = stimulus
        .setup
        .machine("fuzzed")
        .expect("a machine of the list");
    let mut judged_as = config.clone();
    change(&mut judged_as);
    let run = |no_skip: bool| {
        let options = Options {
            no_skip,
            ..Options::default()
        };
        let source = stimulus.operations.clone().into_iter();
        let model = Mmu::new(&config);
        Lockstep::alone(&config, &stimulus.setup, source, model, options)
            .with_reference(&judged_as, &stimulus.setup)
            .run(&mut |_| ControlFlow::Continue(()))
    };
    let report = run(false);
    assert_holds(&report, &stimulus);
    assert_eq!(report, run(true), "passing over cycles changes something");
}

/// The same through the default machine in both twins.
#[cfg(feature = "rtl-static")]
pub fn lockstep(bytes: &[u8]) {
    let stimulus = stimulus_of(bytes, MACHINES[0]);
    let config = stimulus
        .setup
        .machine("fuzzed")
        .expect("the default machine");
    let library = Library::linked()
        .expect("of this build")
        .expect("linked in");
    let seed = InitialRegisters::Random(stimulus.setup.seed);
    let rtl = Rtl::new(&config, &library, seed).expect("the default machine");
    let model = Mmu::new(&config);
    let source = stimulus.operations.clone().into_iter();
    let report = Lockstep::pair(
        &config,
        &stimulus.setup,
        source,
        model,
        rtl,
        Options::default(),
    )
    .with_reference(&config, &stimulus.setup)
    .run(&mut |_| ControlFlow::Continue(()));
    assert_holds(&report, &stimulus);
}

/// Prints the stimulus of a finding in the form that `twinwalk replay` takes.
fn assert_holds(report: &Report, stimulus: &Stimulus) {
    if let Some(finding) = &report.finding {
        panic!("{}\n{}", finding.report(None), stimulus.to_text());
    }
}

/// What the bytes say: two bytes of seed and stalls, then operations until they end.
fn stimulus_of(bytes: &[u8], machine: &str) -> Stimulus {
    let mut bytes = Bytes(bytes);
    let base = Source::Preset(machine.to_owned());
    let settings = ["memory.size_bytes=0x40000".to_owned()];
    let config = load(&base, &settings)
        .expect("a preset with less memory")
        .config;
    let seed = u64::from(bytes.next());
    let stalls = StallRates::uniform(u16::from(bytes.next() & 3) * 150);
    let mut setup = Setup {
        config: ConfigText::of(&config),
        seed,
        stalls,
        ..Setup::default()
    };
    // From table 1 down to table 4: pages 0 to 7 at frames 16 to 23.
    for table in 1..4 {
        setup.image.insert(table << 12, (table + 1) << 12 | 7);
    }
    for page in 0..8 {
        setup
            .image
            .insert(4 << 12 | page << 3, (16 + page) << 12 | 7);
    }
    let mut operations = boot();
    while !bytes.0.is_empty() && operations.len() < MOST_OPERATIONS {
        let operation = operation(&mut bytes, &config);
        if check_operation(&operation, &config).is_ok() {
            operations.push(operation);
        }
    }
    Stimulus { setup, operations }
}

/// From reset into paging with 4 levels and PCIDs, root in table 1.
fn boot() -> Vec<Operation> {
    let registers = cr4::PAE | cr4::PGE | cr4::PCIDE;
    [
        (ControlKind::WrmsrEfer, efer::LME | efer::NXE),
        (ControlKind::MovCr4, registers & !cr4::PCIDE),
        (ControlKind::MovCr3, 1 << 12),
        (ControlKind::MovCr0, cr0::PE | cr0::PG | cr0::WP),
        (ControlKind::MovCr4, registers),
    ]
    .into_iter()
    .map(|(kind, value)| Operation::now(Action::Control(Control::new(kind, value))))
    .collect()
}

/// Bytes from front to back; zeros behind the end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn bits(&mut self, count: u32) -> u64 {
        u64::from(self.next()) & ((1 << count) - 1)
    }

    /// An address in one of few pages: 1 bit for each of the upper levels, 2 and 3 for the lower, and one that puts it outside the canonical.
    fn address(&mut self) -> u64 {
        let byte = u64::from(self.next());
        let pages = (byte & 7) << 12
            | (byte >> 3 & 3) << 21
            | (byte >> 5 & 1) << 30
            | (byte >> 6 & 1) << 39;
        if byte >> 7 == 0 {
            return pages;
        }
        match self.next() & 3 {
            0 => pages | 1 << 47,
            1 => pages | 0xffff_8000_0000_0000,
            2 => pages | 0x00ff_0000_0000_0000,
            _ => pages | 1 << 22,
        }
    }

    /// An entry: which frame, which flags, and by a further byte what is rare.
    fn entry(&mut self) -> u64 {
        let place = u64::from(self.next());
        let flags = self.next();
        let mut entry = (place & 0x1f) << 12 | u64::from(flags >> 7 == 0);
        for (bit, flag) in FLAGS.into_iter().enumerate() {
            if flags >> bit & 1 != 0 {
                entry |= flag;
            }
        }
        if place >> 7 != 0 {
            let rare = u64::from(self.next());
            entry |=
                (rare & 3) << 3 | (rare >> 2 & 1) << 51 | (rare >> 3 & 1) << 12 | (rare >> 4) << 59;
        }
        // A large page lies where its size allows it, most often.
        if entry >> 7 & 1 != 0 && place >> 6 & 1 != 0 {
            entry &= !0x1f_f000;
        }
        entry
    }
}

fn operation(bytes: &mut Bytes, config: &Config) -> Operation {
    let head = bytes.next();
    let gap_cycles = match head >> 4 & 3 {
        3 => bytes.bits(6) as u32,
        short => u32::from(short),
    };
    let action = match head & 15 {
        0..=5 => request(bytes, config),
        6..=8 => {
            let table = 1 + u64::from(head >> 6) * 3 + bytes.bits(2);
            let address = (table.min(TABLES) << 12) | bytes.bits(4) << 3;
            Action::Store(Store {
                address,
                value: bytes.entry(),
            })
        }
        9 => Action::Control(Control::new(ControlKind::Invlpg, bytes.address())),
        10 => Action::Control(Control {
            kind: ControlKind::Invpcid,
            data: bytes.bits(2),
            addr: bytes.address(),
            invpcid_type: bytes.bits(3),
        }),
        11 => {
            let root = 1 + bytes.bits(2) * 4;
            let keep = u64::from(head >> 6 & 1) << 63;
            let value = root.min(TABLES) << 12 | bytes.bits(2) | keep;
            Action::Control(Control::new(ControlKind::MovCr3, value))
        }
        12 => register(bytes),
        13 => Action::Drain,
        14 => Action::Idle {
            cycles: bytes.bits(7) as u32,
        },
        _ => Action::StoreHalf(HalfStore {
            address: (1 + bytes.bits(2)) << 12 | bytes.bits(5) << 2,
            value: bytes.entry() as u32,
        }),
    };
    Operation { gap_cycles, action }
}

fn request(bytes: &mut Bytes, config: &Config) -> Action {
    let who = bytes.next();
    let kind = AccessKind::ALL[usize::from(who & 3) % 3];
    let data_ports = u8::try_from(config.ports() - 1).unwrap_or(1).max(1);
    let mut access = Access::new(kind, who >> 2 & 3);
    if who >> 4 & 1 != 0 {
        access.ac = true;
    }
    if who >> 5 & 1 != 0 && kind != AccessKind::Fetch {
        access.implicit_supervisor = true;
    }
    if who >> 6 & 1 != 0 {
        access.pkru = u32::from(bytes.next()) * 0x0101_0101;
    }
    let port = if kind == AccessKind::Fetch {
        0
    } else {
        1 + (who >> 7) % data_ports
    };
    Action::Request(Request {
        port,
        va: bytes.address(),
        access,
        size_bytes: 8,
    })
}

/// A write of CR0, CR4 or EFER: what the machine runs with, and some bits changed.
fn register(bytes: &mut Bytes) -> Action {
    let changed = bytes.next();
    let bit = |index: u8, mask: u64| if changed >> index & 1 != 0 { mask } else { 0 };
    let control = match changed >> 6 {
        0 => Control::new(
            ControlKind::MovCr0,
            (cr0::PE | cr0::PG | cr0::WP) ^ bit(0, cr0::WP) ^ bit(1, cr0::PG) ^ bit(2, cr0::PE),
        ),
        1 => Control::new(
            ControlKind::WrmsrEfer,
            (efer::LME | efer::NXE) ^ bit(0, efer::NXE) ^ bit(1, efer::LME),
        ),
        _ => Control::new(
            ControlKind::MovCr4,
            (cr4::PAE | cr4::PGE | cr4::PCIDE)
                ^ bit(0, cr4::PGE)
                ^ bit(1, cr4::PCIDE)
                ^ bit(2, cr4::SMEP)
                ^ bit(3, cr4::SMAP)
                ^ bit(4, cr4::PKE)
                ^ bit(5, cr4::PSE)
                ^ bit(6, cr4::LA57),
        ),
    };
    Action::Control(control)
}
