//! What a wave shows beside the RTL's own signals: the model's outputs under the RTL's names, the events of both sides as text, and
//! whether the two differ.
//!
//! Contract: section 3 (ports), 10 (monitor). SDM: none. Counterpart: the outputs of `rtl/mmu.sv`; `wave_beside` in `shim/harness.cpp`.
//!
//! Machines that write FST are built with two modules more ([`modules`]), bound into the top under a scope of their own. Nothing in them
//! ever moves by itself: the harness copies the words of [`Beside`] onto their signals before the cycle is dumped.
//!
//! | signal, below `TOP.mmu.twinwalk` | shows |
//! | --- | --- |
//! | `model.resp_pa_o[0]`, ... | the model's outputs |
//! | `model.event`, `rtl.event` | what happened, in ASCII |
//! | `model.differs` | 1 where a comparator finds the outputs of the two sides different |
//! | `model.differing` | the names of the signals that differ, in ASCII |

use std::fmt::Write as _;

use crate::cosim::signals::{Name, Signal, signals};
use crate::model::mmu_pkg::{MAX_MISS_QUEUE_ENTRIES, MAX_PORTS, MAX_WALKERS, Outputs};

/// Name of the scope in the top.
pub const SCOPE: &str = "twinwalk";
/// Characters of a text signal. What is longer ends in dots.
pub const TEXT_BYTES: usize = 256;
const TEXT_WORDS: usize = TEXT_BYTES / 8;
const TEXT_BITS: usize = TEXT_BYTES * 8;
/// Text signals: the model's event, the RTL's event, the names that differ.
const TEXTS: usize = 3;

/// Bits of each output, as `rtl/mmu.sv` declares it; of arrays those of an element.
const WIDTHS: &[(&str, u32)] = &[
    ("req_ready_o", 1),
    ("resp_valid_o", 1),
    ("resp_id_o", 8),
    ("resp_status_o", 2),
    ("resp_pa_o", 52),
    ("resp_page_size_o", 2),
    ("resp_pwt_o", 1),
    ("resp_pcd_o", 1),
    ("resp_pat_o", 1),
    ("resp_error_code_o", 16),
    ("resp_va_o", 64),
    ("ctrl_ready_o", 1),
    ("ctrl_resp_valid_o", 1),
    ("ctrl_resp_gp_o", 1),
    ("cr0_o", 64),
    ("cr3_o", 64),
    ("cr4_o", 64),
    ("efer_o", 64),
    ("mem_req_valid_o", 1),
    ("mem_req_op_o", 2),
    ("mem_req_id_o", 8),
    ("mem_req_addr_o", 52),
    ("mem_req_beats_o", 8),
    ("mem_req_be_o", 8),
    ("mem_req_wdata_o", 64),
    ("mem_req_expected_o", 64),
    ("mem_resp_ready_o", 1),
    ("mon_lookup_o", 4),
    ("mon_lookup_entry_o", 4),
    ("mon_lookup_retry_o", 1),
    ("mon_stlb_lookup_o", 3),
    ("mon_stlb_port_o", 2),
    ("mon_stlb_entry_o", 5),
    ("mon_walk_op_o", 3),
    ("mon_walk_port_o", 2),
    ("mon_walk_entry_o", 5),
    ("mon_walk_psc_level_o", 3),
    ("mon_walk_filled_o", 1),
    ("mon_tlb_op_o", 2),
    ("mon_tlb_set_o", 12),
    ("mon_tlb_way_o", 6),
    ("mon_tlb_removed_o", 64),
    ("mon_tlb_tag_o", 64),
    ("mon_tlb_data_o", 64),
    ("mon_tlb_victim_tag_o", 64),
    ("mon_tlb_victim_data_o", 64),
    ("mon_psc_op_o", 2),
    ("mon_psc_set_o", 6),
    ("mon_psc_way_o", 6),
    ("mon_psc_removed_o", 64),
    ("mon_psc_tag_o", 64),
    ("mon_psc_data_o", 64),
    ("mon_psc_victim_tag_o", 64),
    ("mon_psc_victim_data_o", 64),
    ("mon_miss_o", 32),
    ("mon_walker_o", 32),
    ("mon_prefetch_o", 64),
    ("perf_o", 64),
];

/// Bits of an output, by the name of its port; 64 of one that is not known.
pub fn width_bits(base: &str) -> u32 {
    let found = WIDTHS.iter().find(|(name, _)| *name == base);
    found.map_or(64, |(_, bits)| *bits)
}

/// The names of the outputs, in the order of the contract.
pub fn outputs() -> impl Iterator<Item = &'static str> {
    WIDTHS.iter().map(|(name, _)| *name)
}

/// Elements of the arrays whose length is the machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Ports: 2 or 3.
    pub ports: usize,
    /// Walkers: 1 to 4.
    pub walkers: usize,
    /// Entries of the miss queue: 1 to 16.
    pub miss_queue_entries: usize,
}

impl Extent {
    /// Of the largest machine.
    pub const MOST: Self = Self {
        ports: MAX_PORTS,
        walkers: MAX_WALKERS,
        miss_queue_entries: MAX_MISS_QUEUE_ENTRIES,
    };

    fn has(&self, name: Name) -> bool {
        let elements = match name.base() {
            "mon_miss_o" => self.miss_queue_entries,
            base if base.starts_with("mon_walk") => self.walkers,
            base if ["req_", "resp_", "mon_lookup"]
                .iter()
                .any(|prefix| base.starts_with(prefix)) =>
            {
                self.ports
            }
            _ => usize::MAX,
        };
        name.index().is_none_or(|index| index < elements)
    }
}

/// The modules, and what binds them into the module `top`.
pub fn modules(top: &str, extent: &Extent) -> String {
    let list = signals(&Outputs::ZERO);
    let mut model = Module::default();
    let mut at = 0;
    while let Some(first) = list.iter().map(|signal| signal.name).nth(at) {
        at += 1;
        // Declared with its first element; the others of the array need not stand beside it in the list.
        if first.index().unwrap_or(0) == 0 {
            model.output(first.base(), &list, extent);
        }
    }
    let texts = list.len();
    model.text("\\event ", texts);
    model.text("differing", texts + 2 * TEXT_WORDS);
    model.declare("differs", "logic", texts + TEXTS * TEXT_WORDS);
    let mut rtl = Module::default();
    rtl.text("\\event ", texts + TEXT_WORDS);
    format!(
        "{}{}module twinwalk_beside;\n  twinwalk_model model ();\n  twinwalk_rtl rtl ();\nendmodule\n\
         bind {top} twinwalk_beside {SCOPE} ();\n",
        model.finish("twinwalk_model"),
        rtl.finish("twinwalk_rtl"),
    )
}

#[derive(Default)]
struct Module {
    declarations: String,
    places: String,
}

impl Module {
    fn output(&mut self, base: &str, list: &[Signal], extent: &Extent) {
        let bits = width_bits(base);
        let range = match bits {
            1 => String::new(),
            bits => format!(" [{}:0]", bits - 1),
        };
        let of_base = list.iter().enumerate();
        let elements: Vec<(usize, Name)> = of_base
            .map(|(word, signal)| (word, signal.name))
            .filter(|(_, name)| name.base() == base && extent.has(*name))
            .collect();
        if let [(word, name)] = elements[..]
            && name.index().is_none()
        {
            self.declare(base, &format!("logic{range}"), word);
            return;
        }
        // Writing into a string does not fail.
        let _ = writeln!(
            self.declarations,
            "  logic{range} {base} [{}] /*verilator public_flat_rw*/;",
            elements.len()
        );
        for (word, name) in elements {
            self.place(word, &name.to_string());
        }
    }

    fn text(&mut self, name: &str, word: usize) {
        self.declare(name, &format!("logic [{}:0]", TEXT_BITS - 1), word);
    }

    fn declare(&mut self, name: &str, kind: &str, word: usize) {
        let _ = writeln!(
            self.declarations,
            "  {kind} {name} /*verilator public_flat_rw*/;"
        );
        self.place(word, name);
    }

    fn place(&mut self, word: usize, signal: &str) {
        let _ = writeln!(
            self.places,
            "    $c(\"twinwalk_place({word}, \", {signal}, \");\");"
        );
    }

    fn finish(self, name: &str) -> String {
        format!(
            "module {name};\n{}  initial begin\n{}  end\nendmodule\n",
            self.declarations, self.places
        )
    }
}

/// What is shown of one cycle.
#[derive(Debug, Default)]
pub struct Beside<'a> {
    /// The model's outputs.
    pub model: Outputs,
    /// What happened in the model.
    pub model_event: &'a str,
    /// What happened in the RTL.
    pub rtl_event: &'a str,
    /// The names of the signals that differ; empty where none does.
    pub differing: &'a str,
}

impl Beside<'_> {
    /// The words, in the layout that [`modules`] was given: the outputs in the order of [`signals`], the texts, whether anything differs.
    pub fn words(&self) -> Vec<u64> {
        let list = signals(&self.model);
        let mut words: Vec<u64> = list.iter().map(|signal| signal.value).collect();
        for text in [self.model_event, self.rtl_event, self.differing] {
            words.extend(text_words(text));
        }
        words.push(u64::from(!self.differing.is_empty()));
        words
    }
}

/// A text as the value of a vector: the last character in the lowest byte, zero bytes before the first.
fn text_words(text: &str) -> [u64; TEXT_WORDS] {
    let mut shown: String = text
        .chars()
        .map(|c| if c.is_ascii_graphic() { c } else { ' ' })
        .collect();
    if shown.len() > TEXT_BYTES {
        shown.truncate(TEXT_BYTES - 3);
        shown.push_str("...");
    }
    let mut words = [0; TEXT_WORDS];
    for (place, byte) in shown.bytes().rev().enumerate() {
        words[place / 8] |= u64::from(byte) << (place % 8 * 8);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (name, bits, whether it is an array) of each output that a text of SystemVerilog declares.
    fn declared(text: &str) -> Vec<(String, u32, bool)> {
        let lines = text.lines().map(str::trim);
        let outputs = lines.filter_map(|line| line.strip_prefix("output logic"));
        outputs
            .map(|line| {
                let line = line.trim().trim_end_matches(',');
                let (range, rest) = match line.strip_prefix('[') {
                    Some(rest) => rest.split_once(":0]").expect("a range"),
                    None => ("0", line),
                };
                let name = rest.split_whitespace().next().expect("a name");
                let bits = range.parse::<u32>().expect("a number") + 1;
                (name.to_owned(), bits, rest.contains('['))
            })
            .collect()
    }

    #[test]
    fn each_output_of_the_top_is_shown_of_the_model_with_its_width() {
        let outputs = declared(include_str!("../../../rtl/mmu.sv"));
        assert!(outputs.len() > 50, "{outputs:?}");
        let text = modules("mmu", &Extent::MOST);
        for (name, bits, array) in &outputs {
            assert_eq!(width_bits(name), *bits, "{name}");
            let range = match bits {
                1 => String::new(),
                bits => format!(" [{}:0]", bits - 1),
            };
            let declaration = format!("  logic{range} {name} {}", if *array { "[" } else { "/*" });
            assert_eq!(text.matches(&declaration).count(), 1, "{declaration}");
        }
        assert_eq!(outputs.len(), WIDTHS.len());
    }

    #[test]
    fn arrays_have_as_many_elements_as_the_machine() {
        let extent = Extent {
            ports: 2,
            walkers: 1,
            miss_queue_entries: 5,
        };
        let text = modules("mmu", &extent);
        for declaration in [
            "logic [51:0] resp_pa_o [2]",
            "logic [31:0] mon_miss_o [5]",
            "logic [31:0] mon_walker_o [1]",
            "logic [63:0] mon_tlb_tag_o [12]",
            "logic [63:0] perf_o [32]",
        ] {
            assert_eq!(text.matches(declaration).count(), 1, "{declaration}");
        }
        assert!(!text.contains("resp_pa_o[2]"));
    }

    #[test]
    fn a_text_is_right_justified_and_a_long_one_ends_in_dots() {
        assert_eq!(text_words("ab\n")[0], 0x61_62_20);
        assert_eq!(text_words("").iter().max(), Some(&0));
        let words = text_words(&"x".repeat(300));
        assert_eq!(words[0], 0x7878_7878_782e_2e2e);
        assert_eq!(words[TEXT_WORDS - 1], 0x7878_7878_7878_7878);
    }

    #[test]
    fn the_words_are_the_outputs_the_texts_and_whether_they_differ() {
        let mut beside = Beside::default();
        beside.model.control.cr3 = 0x1234;
        let words = beside.words();
        let list = signals(&Outputs::ZERO);
        let place = list
            .iter()
            .position(|signal| signal.name.to_string() == "cr3_o");
        assert_eq!(place.map(|place| words[place]), Some(0x1234));
        assert_eq!(words.len(), list.len() + TEXTS * TEXT_WORDS + 1);
        assert_eq!(words.last(), Some(&0));
        beside.differing = "cr3_o";
        assert_eq!(beside.words().last(), Some(&1));
    }
}
