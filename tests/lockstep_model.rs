//! The harness around a twin, held up with the model on both sides: what is the same passes, and what differs is found, first of all by
//! the comparator whose business it is.
//!
//! Contract: sections 1, 3, 10, 13. SDM: none. Counterpart: `lockstep_rtl.rs`, the same with the RTL.

use std::ops::ControlFlow;

use twinwalk::config::Config;
use twinwalk::config::load::{Source, load};
use twinwalk::config::presets;
use twinwalk::cosim::comparators::{Comparator, Silenced};
use twinwalk::cosim::divergence::{Finding, write_replay};
use twinwalk::cosim::generator::RandomStream;
use twinwalk::cosim::lockstep::{Lockstep, Options, Report};
use twinwalk::cosim::shrink::{DEFAULT_TRIALS, Trial, shrink};
use twinwalk::cosim::stimulus::Stimulus;
use twinwalk::cosim::stimulus::parse::parse;
use twinwalk::cosim::twin::Twin;
use twinwalk::golden::suite;
use twinwalk::golden::trace::record;
use twinwalk::model::Mmu;
use twinwalk::model::liveness::liveness_bound_cycles;
use twinwalk::model::mmu_pkg::{
    ARRAY_FILL, Inputs, LOOKUP_DENIED, LOOKUP_MISS, MEM_COMPARE_AND_SET, Outputs, WALK_TRANSLATED,
};

fn preset(name: &str) -> Config {
    load(&Source::Preset(name.to_owned()), &[])
        .expect("a preset is valid")
        .config
}

fn run_alone(stream: &RandomStream, options: Options) -> Report {
    let RandomStream {
        config,
        setup,
        generator,
    } = stream;
    Lockstep::alone(config, setup, generator.clone(), Mmu::new(config), options)
        .with_reference(config, setup)
        .run(&mut |_| ControlFlow::Continue(()))
}

fn run_pair(stream: &RandomStream, other: impl Twin, options: Options) -> Report {
    let RandomStream {
        config,
        setup,
        generator,
    } = stream;
    Lockstep::pair(
        config,
        setup,
        generator.clone(),
        Mmu::new(config),
        other,
        options,
    )
    .run(&mut |_| ControlFlow::Continue(()))
}

/// A whole stimulus of a stream's first operations.
fn stimulus(stream: &RandomStream, operations: usize) -> Stimulus {
    use twinwalk::cosim::stimulus::OperationSource;
    let mut generator = stream.generator.clone();
    let operations = std::iter::from_fn(|| generator.next_operation())
        .take(operations)
        .collect();
    Stimulus {
        setup: stream.setup.clone(),
        operations,
    }
}

#[test]
fn the_model_agrees_with_itself_and_with_the_reference_on_every_preset() {
    for each in presets::ALL {
        let config = preset(each.name);
        for stream in 0..3 {
            let stream = RandomStream::new(&config, 11, stream, 4_000);
            let alone = run_alone(&stream, Options::default());
            assert_eq!(alone.finding, None, "{}", each.name);
            assert_eq!(alone.operations, 4_000);
            let pair = run_pair(&stream, Mmu::new(&stream.config), Options::default());
            assert_eq!(pair.finding, None, "{}", each.name);
            assert!(pair.counters.entries_compared > 20);
        }
    }
}

#[test]
fn passing_over_quiet_cycles_changes_not_one_byte() {
    for each in presets::ALL {
        let config = preset(each.name);
        for stream in 0..4 {
            let stream = RandomStream::new(&config, 23, stream, 2_500);
            let ticked = Options {
                no_skip: true,
                ..Options::default()
            };
            assert_eq!(
                run_alone(&stream, Options::default()),
                run_alone(&stream, ticked),
                "{}",
                each.name
            );
            let whole = stimulus(&stream, 1_500);
            let trace = |twin: &dyn Fn() -> Box<dyn Twin>| {
                record("x", &whole, &stream.config, twin()).expect("it runs")
            };
            let skipping = trace(&|| Box::new(Mmu::new(&stream.config)));
            let ticking = trace(&|| Box::new(Restless(Mmu::new(&stream.config))));
            assert_eq!(skipping, ticking, "{}", each.name);
            // And cycle by cycle, the one that skips beside the one that does not.
            let pair = run_pair(
                &stream,
                Restless(Mmu::new(&stream.config)),
                Options::default(),
            );
            assert_eq!(pair.finding, None, "{}", each.name);
        }
    }
}

/// A twin that does not know a quiet cycle.
struct Restless(Mmu);

impl Twin for Restless {
    fn name(&self) -> &'static str {
        "model"
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        self.0.tick(inputs, outputs);
    }
}

/// A model whose outputs a bug changes, from some cycle on.
struct Faulty<F> {
    inner: Mmu,
    bug: F,
    cycle: u64,
}

impl<F: FnMut(u64, &mut Outputs)> Faulty<F> {
    fn new(config: &Config, bug: F) -> Self {
        Self {
            inner: Mmu::new(config),
            bug,
            cycle: 0,
        }
    }
}

impl<F: FnMut(u64, &mut Outputs)> Twin for Faulty<F> {
    fn name(&self) -> &'static str {
        "rtl"
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        self.inner.tick(inputs, outputs);
        if inputs.rst_n != 0 {
            (self.bug)(self.cycle, outputs);
            self.cycle += 1;
        }
    }
}

fn stream() -> RandomStream {
    RandomStream::new(&preset("tiny"), 5, 0, 3_000)
}

fn find(bug: impl FnMut(u64, &mut Outputs), silenced: Silenced) -> Option<Finding> {
    let stream = stream();
    let faulty = Faulty::new(&stream.config, bug);
    run_pair(
        &stream,
        faulty,
        Options {
            silenced,
            ..Options::default()
        },
    )
    .finding
}

/// The comparator that is named finds the bug first; silenced, the bug slips through, because it shows nowhere else.
fn is_found_by(comparator: Comparator, signal: &str, bug: fn(u64, &mut Outputs)) {
    let finding = find(bug, Silenced::NONE).expect("the bug is found");
    assert_eq!(
        (finding.comparator, finding.signal.as_str()),
        (comparator, signal)
    );
    assert!(
        finding.context.iter().all(|(_, events)| !events.is_empty()),
        "{finding:?}"
    );
    assert_eq!(
        find(bug, Silenced::NONE.with(comparator)),
        None,
        "{comparator}"
    );
}

#[test]
fn a_wrong_response_is_found_by_the_responses() {
    is_found_by(Comparator::Responses, "resp_pa_o[1]", |cycle, outputs| {
        let port = &mut outputs.ports[1];
        if cycle > 900 && port.resp_valid != 0 && port.resp_status == 0 {
            port.resp_pa ^= 1 << 20;
        }
    });
}

#[test]
fn a_wrong_register_is_found_by_control() {
    is_found_by(Comparator::Control, "cr3_o", |cycle, outputs| {
        if cycle > 900 {
            outputs.control.cr3 ^= 1 << 40;
        }
    });
}

#[test]
fn a_wrong_victim_is_found_by_the_fills() {
    is_found_by(
        Comparator::Fills,
        "mon_tlb_victim_data_o[8]",
        |_, outputs| {
            let event = &mut outputs.monitor.tlb[8];
            if event.op == ARRAY_FILL && event.removed != 0 {
                event.victim_data ^= 1;
            }
        },
    );
}

#[test]
fn a_wrong_walk_event_is_found_by_the_walks() {
    is_found_by(Comparator::Walks, "mon_walk_filled_o[0]", |_, outputs| {
        let event = &mut outputs.monitor.walk[0];
        if event.op == WALK_TRANSLATED {
            event.filled ^= 1;
        }
    });
}

#[test]
fn a_wrong_lookup_code_is_found_by_the_lookups() {
    is_found_by(Comparator::Lookups, "mon_stlb_lookup_o", |_, outputs| {
        if outputs.monitor.stlb_lookup == LOOKUP_MISS {
            outputs.monitor.stlb_lookup = LOOKUP_DENIED;
        }
    });
}

#[test]
fn a_wrong_count_is_found_by_the_counters() {
    is_found_by(Comparator::Counters, "perf_o[31]", |cycle, outputs| {
        if cycle > 900 {
            outputs.perf[31] += 1;
        }
    });
    // As if quiet cycles, which the model passes over, were not counted.
    let finding = find(
        |_, outputs| outputs.perf[5] = outputs.perf[6].min(outputs.perf[5] / 2),
        Silenced::NONE,
    )
    .expect("the bug is found");
    assert_eq!(
        (finding.comparator, finding.signal.as_str()),
        (Comparator::Counters, "perf_o[5]")
    );
    assert!(finding.model.contains("dtlb_load_misses.walk_pending"));
}

#[test]
fn a_wrong_update_of_an_entry_is_found_on_the_bus_and_else_in_memory() {
    let bug = |_: u64, outputs: &mut Outputs| {
        if outputs.memory.req_valid != 0 && outputs.memory.req_op == MEM_COMPARE_AND_SET {
            outputs.memory.req_wdata |= 1 << 10;
        }
    };
    let finding = find(bug, Silenced::NONE).expect("the bug is found");
    assert_eq!(
        (finding.comparator, finding.signal.as_str()),
        (Comparator::Bus, "mem_req_wdata_o")
    );
    // The cell is another one by then, and what was read of it differs.
    let quiet = Silenced::all_but(Comparator::Memory);
    let finding = find(bug, quiet).expect("the images differ");
    assert_eq!(finding.comparator, Comparator::Memory);
}

#[test]
fn a_twin_that_stops_answering_is_a_hang_that_names_who_waits() {
    let finding = find(
        |cycle, outputs| {
            if cycle > 700 {
                outputs
                    .ports
                    .iter_mut()
                    .for_each(|port| *port = Default::default());
            }
        },
        Silenced::all_but(Comparator::Hangs),
    )
    .expect("it is found");
    assert_eq!(
        (
            finding.comparator,
            finding.model.as_str(),
            finding.rtl.as_str()
        ),
        (Comparator::Hangs, "moves", "hangs")
    );
    assert!(
        finding
            .details
            .iter()
            .any(|line| line.starts_with("rtl: port")),
        "{:?}",
        finding.details
    );
}

#[test]
fn a_response_to_nobody_is_found_even_if_responses_keep_quiet() {
    let finding = find(
        |cycle, outputs| {
            if cycle == 300 {
                outputs.ports[0].resp_valid = 1;
                outputs.ports[0].resp_id = 200;
            }
        },
        Silenced::all_but(Comparator::Hangs),
    );
    // The driver may have stalled the response in that one cycle: then nobody has seen it.
    assert!(finding.is_none_or(|finding| finding.comparator == Comparator::Protocol));
}

#[test]
fn a_replay_file_is_the_run_again_and_shrinks_to_a_story() {
    let stream = stream();
    let bug = |_: u64, outputs: &mut Outputs| {
        // A 2 MiB translation by the DTLB loses a bit of its address.
        if outputs.monitor.lookup[1] == 2 {
            outputs.ports[1].reserved[0] = 1;
        }
    };
    let faulty = Faulty::new(&stream.config, bug);
    let report = run_pair(&stream, faulty, Options::default());
    let finding = report.finding.expect("the bug is found");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("replay.stim");
    write_replay(
        &path,
        &stream.setup,
        &mut stream.generator.clone(),
        report.operations,
    )
    .expect("it is written");
    let (again, config) = suite::load(&path).expect("it is read");
    assert_eq!((&config, &again.setup), (&stream.config, &stream.setup));
    let run = |stimulus: &Stimulus| {
        let operations = stimulus.operations.clone().into_iter();
        let faulty = Faulty::new(&config, bug);
        Lockstep::pair(
            &config,
            &stimulus.setup,
            operations,
            Mmu::new(&config),
            faulty,
            Options::default(),
        )
        .run(&mut |_| ControlFlow::Continue(()))
    };
    let second = run(&again).finding.expect("it is found again");
    assert_eq!(
        (second.cycle, &second.signal),
        (finding.cycle, &finding.signal)
    );
    assert_eq!(second.context, finding.context);
    let shrunk = shrink(&again, DEFAULT_TRIALS, &mut |candidate| {
        let report = run(candidate);
        match report.finding {
            Some(_) => Trial::Fails {
                operations: report.operations,
            },
            None => Trial::Passes,
        }
    });
    assert!(
        shrunk.stimulus.operations.len() < 25,
        "{}",
        shrunk.stimulus.to_text()
    );
    assert!(run(&shrunk.stimulus).finding.is_some());
}

#[test]
fn a_run_is_stopped_when_its_watcher_says_so() {
    let stream = RandomStream::new(&preset("tiny"), 5, 0, 1_000_000);
    let RandomStream {
        config,
        setup,
        generator,
    } = &stream;
    let mut pulses = 0;
    let report = Lockstep::alone(
        config,
        setup,
        generator.clone(),
        Mmu::new(config),
        Options::default(),
    )
    .run(&mut |_| {
        pulses += 1;
        if pulses == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(report.stopped && report.finding.is_none());
    assert_eq!(report.counters.cycles, 3 * 4096);
}

/// A machine that accepts what the second data port is asked, and never answers; everybody else goes on.
struct Starves(Mmu);

impl Twin for Starves {
    fn name(&self) -> &'static str {
        "starves"
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        let mut inputs = *inputs;
        inputs.ports[2].req_valid = 0;
        self.0.tick(&inputs, outputs);
    }
}

#[test]
fn a_request_that_is_passed_over_while_others_go_on_is_late_after_the_bound_of_the_contract() {
    let config = preset("blocking");
    let bound = liveness_bound_cycles(&config);
    let mut text = "twinwalk-stim 1\nconfig preset:blocking\nspace s 4\nmap 0x401000 -> 0x9000 4k A\nboot s\nread 0x401000 port=2\n".to_owned();
    for page in 0..bound / 8 {
        // Not mapped: each walks, faults, and is an answer that a requester sees.
        text += &format!("read {:#x}\n", 0x50_0000 + 0x1000 * (page % 64));
    }
    let stimulus = parse("starves", &text).expect("it is a stimulus");
    let run = |bound_cycles| {
        let options = Options {
            liveness_bound_cycles: bound_cycles,
            ..Options::default()
        };
        let operations = stimulus.operations.clone().into_iter();
        let twin = Starves(Mmu::new(&config));
        Lockstep::alone(&config, &stimulus.setup, operations, twin, options)
            .run(&mut |_| ControlFlow::Continue(()))
    };
    let finding = run(None).finding.expect("it is late");
    assert_eq!(finding.comparator, Comparator::Hangs);
    assert_eq!(finding.signal, "a request past its bound");
    assert!(finding.cycle > bound && finding.cycle < bound + 100);
    let chain = finding
        .details
        .iter()
        .find(|line| line.contains("port 2 id 0"));
    assert!(chain.is_some(), "{:?}", finding.details);
    // With a bound that never comes it goes on until nothing moves any more.
    let later = run(Some(u64::MAX)).finding.expect("it hangs in the end");
    assert!(later.signal.contains("no progress") && later.cycle > finding.cycle);
}
