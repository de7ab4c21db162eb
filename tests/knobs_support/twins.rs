//! The two machines of a row in both twins: the same references, and whatever is counted must be the same.
//!
//! Contract: 10 (monitor), 13.1. SDM: none. Counterpart: none.

use serde_json::{Value as Json, json};
use twinwalk::arch::{Access, AccessKind};
use twinwalk::cli::run::requests;
use twinwalk::config::Config;
use twinwalk::cosim::library::Recipe;
use twinwalk::cosim::rtl::{InitialRegisters, Rtl};
use twinwalk::cosim::ticked::Ticked;
use twinwalk::cosim::twin::Twin;
use twinwalk::explain::map::MapSpec;
use twinwalk::explain::situation::Controls;
use twinwalk::explain::split::mode_of;
use twinwalk::explain::tables;
use twinwalk::model::{FrontEnd, Memory, Mmu, Operation, Request};

use super::Row;
use super::work::{ADDRESS, Rule, Work};
use crate::machines_support::{QUICK, provider};

/// The port of data.
const DATA_PORT: usize = 1;

/// The RTL of machines, built where they are not built yet.
pub fn rtl(config: &Config) -> Rtl {
    let library = provider()
        .library(&Recipe::new(config, QUICK), &mut |_| {})
        .expect("the machine can be built");
    Rtl::new(config, &library, InitialRegisters::Random(1)).expect("it starts")
}

/// What a twin that is ticked counts and answers.
pub fn seen(config: &Config, work: &Work, twin: impl Twin) -> Json {
    match work {
        Work::Run(rule) | Work::First(rule) => of_run(config, rule, twin),
        Work::Access(bits, map) => of_access(config, *bits, map, twin),
    }
}

fn memory_of(config: &Config, rule: &Rule) -> (Memory, [Operation; 4]) {
    let mapping = requests::mapping(config).expect("it can be mapped");
    let mut memory = Memory::new(&config.memory, config.mapping.seed);
    for entry in mapping.build(rule.addresses()).expect("no conflict") {
        memory
            .write_u64(entry.address.raw(), entry.value)
            .expect("inside memory");
    }
    (memory, requests::boot(config, &mapping))
}

/// What passes the blocks of fetches.
fn asked(config: &Config, rule: &Rule) -> Vec<Request> {
    let mut translated = twinwalk::trace::Translated::by_blocks(config.front_end.fetch_block_bytes);
    let references = rule.references();
    let parts = references
        .iter()
        .flat_map(|reference| translated.parts(reference));
    parts
        .map(|part| requests::request(&part, requests::privilege(config)).1)
        .collect()
}

fn of_run(config: &Config, rule: &Rule, twin: impl Twin) -> Json {
    let (memory, boot) = memory_of(config, rule);
    let mut ticked = Ticked::new(config, twin, memory, true);
    for operation in &boot {
        assert_eq!(ticked.control(operation), Ok(false));
    }
    for request in asked(config, rule) {
        ticked.present(&request).expect("it answers");
    }
    ticked.finish().expect("it answers");
    assert_eq!(ticked.twin().first_failed_assertion(), None);
    json!([ticked.cycles(), format!("{:?}", ticked.statistics())])
}

/// The same by arithmetic on time, as `run` does it.
pub fn by_arithmetic(config: &Config, rule: &Rule) -> Json {
    let (memory, boot) = memory_of(config, rule);
    let mut front_end = FrontEnd::new(config, memory);
    for operation in &boot {
        assert!(!front_end.control(operation, &mut |_| {}));
    }
    for request in asked(config, rule) {
        front_end.translate(&request, &mut |_| {});
    }
    front_end.finish(&mut |_| {});
    json!([front_end.cycles(), format!("{:?}", front_end.statistics())])
}

fn of_access(config: &Config, bits: u32, map: &str, twin: impl Twin) -> Json {
    let mode = mode_of(bits).expect("there is one");
    let map = MapSpec::parse(map, mode).expect("a mapping");
    let image = tables::build(&[map], mode, config.memory_size_bytes()).expect("there is room");
    let mut memory = Memory::new(&config.memory, config.mapping.seed);
    for (at, value) in &image.words {
        memory.write_u64(*at, *value).expect("inside memory");
    }
    let controls = Controls::default();
    let mut ticked = Ticked::new(config, twin, memory, true);
    // On a machine that has no such mode some are refused.
    let refused: Vec<bool> = controls
        .boot(mode, image.root)
        .iter()
        .map(|operation| ticked.control(operation).expect("it answers"))
        .collect();
    let request = Request {
        va: ADDRESS,
        access: Access::new(AccessKind::Read, 3),
        id: 0,
    };
    let response = ticked.translate(DATA_PORT, &request).expect("it answers");
    assert_eq!(ticked.twin().first_failed_assertion(), None);
    json!([
        ticked.cycles(),
        format!("{:?}", ticked.statistics()),
        refused,
        format!("{response:?}")
    ])
}

/// Holds both machines of `row` in the RTL against the model.
///
/// # Errors
/// The twins differ, or the model by arithmetic from the model ticked.
pub fn judge(row: &Row) -> Result<(), String> {
    for config in row.pair() {
        let model = seen(&config, &row.work, Mmu::new(&config));
        let hardware = seen(&config, &row.work, rtl(&config));
        if let Work::Run(rule) = &row.work
            && by_arithmetic(&config, rule) != model
        {
            return Err(format!("{}: the model differs from itself", row.key));
        }
        if model != hardware {
            return Err(format!(
                "{}: the model says {model}, the RTL {hardware}",
                row.key
            ));
        }
    }
    Ok(())
}
