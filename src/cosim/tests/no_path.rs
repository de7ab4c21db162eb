//! No input reaches an output within a cycle (contract 1.2): every input is changed between edges, and no output may move.
//!
//! Contract: sections 1.2 (outputs are functions of state) and 3 (ports). Counterpart: `probe` in `shim/harness.cpp`.

use crate::config::Config;
use crate::cosim::library::Recipe;
use crate::cosim::rtl::{InitialRegisters, Rtl};
use crate::model::mmu_pkg::{
    CTRL_INVLPG, CTRL_MOV_CR0, CTRL_MOV_CR3, CTRL_MOV_CR4, CTRL_WRMSR_EFER, Inputs, KIND_FETCH,
    MemoryIn, Outputs,
};

/// Control registers on the way to 4-level paging, then an INVLPG: (operation, data).
const SET_UP: [(u8, u64); 5] = [
    (CTRL_MOV_CR4, 1 << 5),
    (CTRL_WRMSR_EFER, 1 << 8 | 1 << 11),
    (CTRL_MOV_CR3, 0x1000),
    (CTRL_MOV_CR0, 1 << 31 | 1),
    (CTRL_INVLPG, 0x5000),
];

/// Drives a machine through everything it has: control writes, then requests whose walks are answered with random entries.
struct Traffic {
    random: u64,
    next_control: usize,
    next_id: u8,
    answer: Option<MemoryIn>,
}

impl Traffic {
    fn new() -> Self {
        Self {
            random: 0x9e37_79b9_7f4a_7c15,
            next_control: 0,
            next_id: 0,
            answer: None,
        }
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// The inputs of the next cycle, after one that showed `shown`. Valids stay until their transfer, as the contract wants it.
    fn next(&mut self, last: &Inputs, shown: &Outputs, ports: usize) -> Inputs {
        let mut inputs = Inputs { rst_n: 1, ..*last };
        for port in 0..ports {
            let (input, output) = (&mut inputs.ports[port], &shown.ports[port]);
            input.resp_ready = u8::from(!self.random().is_multiple_of(4));
            if input.req_valid == 1 && output.req_ready == 0 {
                continue;
            }
            input.req_valid = u8::from(!self.random().is_multiple_of(3));
            input.req_va = (self.random() & 0x7) << 12 | (self.random() & 0x3) << 21;
            input.req_id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            input.req_kind = if port == 0 {
                KIND_FETCH
            } else {
                self.random() as u8 & 1
            };
            input.req_size_bytes = 8;
        }
        self.control(&mut inputs, shown);
        self.memory(&mut inputs, shown);
        inputs
    }

    fn control(&mut self, inputs: &mut Inputs, shown: &Outputs) {
        let control = &mut inputs.control;
        control.resp_ready = 1;
        if control.valid == 1 && shown.control.ready == 1 {
            self.next_control += 1;
            control.valid = 0;
        }
        // The registers once, then one INVLPG after the other, seldom.
        let (op, data) = SET_UP[self.next_control.min(SET_UP.len() - 1)];
        if control.valid == 0
            && (self.next_control < SET_UP.len() || self.random().is_multiple_of(32))
        {
            (control.valid, control.op, control.data) = (1, op, data);
        }
    }

    fn memory(&mut self, inputs: &mut Inputs, shown: &Outputs) {
        let accepted = shown.memory.req_valid == 1 && inputs.memory.req_ready == 1;
        inputs.memory = self.answer.take().unwrap_or_default();
        if accepted {
            // Present, writable, user, accessed and dirty, mostly; a large page now and then.
            let entry = 0x67
                | (self.random() & 0xf) << 12
                | u64::from(self.random().is_multiple_of(8)) << 7;
            self.answer = Some(MemoryIn {
                resp_valid: 1,
                resp_id: shown.memory.req_id,
                resp_last: 1,
                resp_data: if self.random().is_multiple_of(16) {
                    0
                } else {
                    entry
                },
                ..MemoryIn::default()
            });
        }
        inputs.memory.req_ready = u8::from(!self.random().is_multiple_of(4));
    }
}

/// Every variant of `inputs` that differs in one field, each field taken to its complement. Reset is left alone: it is an input of
/// registers only, but holds no traffic.
fn variants(inputs: &Inputs, ports: usize) -> Vec<(String, Inputs)> {
    let mut found = Vec::new();
    let mut add = |name: &str, edit: &dyn Fn(&mut Inputs)| {
        let mut changed = *inputs;
        edit(&mut changed);
        found.push((name.to_owned(), changed));
    };
    macro_rules! fields {
        ($($place:ident . $field:ident),+ $(,)?) => { $(
            add(concat!(stringify!($place), ".", stringify!($field)), &|inputs| inputs.$place.$field = !inputs.$place.$field);
        )+ };
    }
    fields!(
        control.valid,
        control.op,
        control.data,
        control.addr,
        control.kind,
        control.resp_ready
    );
    fields!(
        memory.req_ready,
        memory.resp_valid,
        memory.resp_id,
        memory.resp_data,
        memory.resp_error,
        memory.resp_last
    );
    for port in 0..ports {
        macro_rules! port_fields {
            ($($field:ident),+ $(,)?) => { $(
                add(&format!("ports[{port}].{}", stringify!($field)), &|inputs| {
                    inputs.ports[port].$field = !inputs.ports[port].$field;
                });
            )+ };
        }
        port_fields!(
            req_valid,
            req_id,
            req_va,
            req_kind,
            req_size_bytes,
            req_cpl,
            req_ac
        );
        port_fields!(req_implicit_supervisor, req_pkru, resp_ready);
    }
    found
}

/// The first input that moves an output, if there is one. `probe` shows what a machine shows for inputs, without an edge.
fn moved_by(
    inputs: &Inputs,
    ports: usize,
    mut probe: impl FnMut(&Inputs) -> Outputs,
) -> Option<String> {
    let shown = probe(inputs);
    let moved = variants(inputs, ports)
        .into_iter()
        .find(|(_, changed)| probe(changed) != shown);
    // Back to the inputs of the cycle, in case the caller goes on.
    probe(inputs);
    moved.map(|(name, _)| name)
}

#[test]
fn no_input_reaches_an_output_within_a_cycle() {
    let config = Config::default();
    let ports = config.ports() as usize;
    let library = super::library(&Recipe::new(&config, super::QUICK));
    let mut rtl =
        Rtl::new(&config, &library, InitialRegisters::Random(1)).expect("the machine can be made");
    rtl.tick(&Inputs::default());
    rtl.tick(&Inputs::default());
    let mut traffic = Traffic::new();
    let (mut inputs, mut walks, mut responses) = (
        Inputs {
            rst_n: 1,
            ..Inputs::default()
        },
        0,
        0,
    );
    for cycle in 0..6000 {
        if cycle % 4 == 0 {
            let moved = moved_by(&inputs, ports, |inputs| *rtl.probe(inputs));
            assert_eq!(
                moved, None,
                "in cycle {cycle} an output moves with this input"
            );
        }
        let shown = *rtl.tick(&inputs);
        walks += u32::from(shown.monitor.walk[0].op != 0);
        responses += u32::from(shown.ports[1].resp_valid);
        inputs = traffic.next(&inputs, &shown, ports);
    }
    assert_eq!(rtl.error_count(), 0, "{:?}", rtl.errors().first());
    // Else the machine was not awake, and the test says nothing.
    assert!(
        walks > 100 && responses > 100,
        "{walks} walks, {responses} responses"
    );
}

#[test]
fn an_input_that_reaches_an_output_is_found() {
    let inputs = Inputs {
        rst_n: 1,
        ..Inputs::default()
    };
    let leaky = |inputs: &Inputs| {
        let mut outputs = Outputs::default();
        outputs.ports[0].req_ready = inputs.ports[1].resp_ready & 1;
        outputs
    };
    assert_eq!(
        moved_by(&inputs, 2, leaky).as_deref(),
        Some("ports[1].resp_ready")
    );
    let far = |inputs: &Inputs| {
        let mut outputs = Outputs::default();
        outputs.memory.req_addr = inputs.memory.resp_data >> 63;
        outputs
    };
    assert_eq!(
        moved_by(&inputs, 2, far).as_deref(),
        Some("memory.resp_data")
    );
}
