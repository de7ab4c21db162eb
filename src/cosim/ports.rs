//! The ports that a user's top must have, and may have: the contract's list, held against the class that Verilator made of the top.
//!
//! Contract: section 3. SDM: none. Counterpart: `shim/harness.cpp`, which uses these names; `rtl/mmu.sv`.
//!
//! The check comes before the C++ is compiled, so that what a user reads is a sentence about a port and not a compiler's.

use std::fmt::Write as _;

use super::groups::{Group, Groups};

/// How many elements a port has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It is no array.
    Single,
    /// One a port of the machine.
    Ports,
    /// As many as the design likes, at most so many.
    AtMost(u32),
    /// So many.
    Exactly(u32),
}

/// A port of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: &'static str,
    /// Bits of an element.
    pub bits: u32,
    /// How many elements.
    pub shape: Shape,
    /// The group that it belongs to; `None`: it is required.
    pub group: Option<Group>,
}

impl Port {
    /// Whether the machine takes it in.
    pub fn is_input(&self) -> bool {
        self.name.ends_with("_i") || self.name.ends_with("_ni")
    }
}

macro_rules! ports {
    ($($group:expr, $shape:expr => $($name:literal $bits:literal),*;)*) => {
        &[$($(Port { name: $name, bits: $bits, shape: $shape, group: $group },)*)*]
    };
}

/// Every port, in the order of the contract.
pub const PORTS: &[Port] = ports! {
    None, Shape::Single => "clk_i" 1, "rst_ni" 1;
    None, Shape::Ports => "req_valid_i" 1, "req_ready_o" 1, "req_id_i" 8, "req_va_i" 64, "req_kind_i" 2, "req_size_bytes_i" 7, "req_cpl_i" 2,
        "req_ac_i" 1, "req_implicit_supervisor_i" 1, "req_pkru_i" 32, "resp_valid_o" 1, "resp_ready_i" 1, "resp_id_o" 8, "resp_status_o" 2,
        "resp_pa_o" 52, "resp_page_size_o" 2, "resp_pwt_o" 1, "resp_pcd_o" 1, "resp_pat_o" 1, "resp_error_code_o" 16, "resp_va_o" 64;
    None, Shape::Single => "ctrl_valid_i" 1, "ctrl_ready_o" 1, "ctrl_op_i" 3, "ctrl_data_i" 64, "ctrl_addr_i" 64, "ctrl_type_i" 64,
        "ctrl_resp_valid_o" 1, "ctrl_resp_ready_i" 1, "ctrl_resp_gp_o" 1, "cr0_o" 64, "cr3_o" 64, "cr4_o" 64, "efer_o" 64,
        "mem_req_valid_o" 1, "mem_req_ready_i" 1, "mem_req_op_o" 2, "mem_req_id_o" 8, "mem_req_addr_o" 52, "mem_req_beats_o" 8,
        "mem_req_be_o" 8, "mem_req_wdata_o" 64, "mem_req_expected_o" 64, "mem_resp_valid_i" 1, "mem_resp_ready_o" 1, "mem_resp_id_i" 8,
        "mem_resp_data_i" 64, "mem_resp_error_i" 1, "mem_resp_last_i" 1;
    Some(Group::Lookup), Shape::Ports => "mon_lookup_o" 4, "mon_lookup_entry_o" 4, "mon_lookup_retry_o" 1;
    Some(Group::Stlb), Shape::Single => "mon_stlb_lookup_o" 3, "mon_stlb_port_o" 2, "mon_stlb_entry_o" 5;
    Some(Group::Walk), Shape::AtMost(4) => "mon_walk_op_o" 3, "mon_walk_port_o" 2, "mon_walk_entry_o" 5, "mon_walk_psc_level_o" 3,
        "mon_walk_filled_o" 1;
    Some(Group::Tlb), Shape::Exactly(12) => "mon_tlb_op_o" 2, "mon_tlb_set_o" 12, "mon_tlb_way_o" 6, "mon_tlb_removed_o" 64,
        "mon_tlb_tag_o" 64, "mon_tlb_data_o" 64, "mon_tlb_victim_tag_o" 64, "mon_tlb_victim_data_o" 64;
    Some(Group::Psc), Shape::Exactly(4) => "mon_psc_op_o" 2, "mon_psc_set_o" 6, "mon_psc_way_o" 6, "mon_psc_removed_o" 64,
        "mon_psc_tag_o" 64, "mon_psc_data_o" 64, "mon_psc_victim_tag_o" 64, "mon_psc_victim_data_o" 64;
    Some(Group::Queues), Shape::AtMost(16) => "mon_miss_o" 32;
    Some(Group::Queues), Shape::AtMost(4) => "mon_walker_o" 32;
    Some(Group::Queues), Shape::Single => "mon_prefetch_o" 64;
    Some(Group::Perf), Shape::Exactly(32) => "perf_o" 64;
};

/// A port as the class of the verilated top declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    name: String,
    direction: Direction,
    bits: u32,
    /// Elements; `None` of what is no array. Of an array of arrays 0.
    elements: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    In,
    Out,
    InOut,
}

/// A top that cannot be driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong, one line for each port.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// The ports in the header of the class: lines such as `VL_OUT64((&resp_pa_o)[2],51,0);`.
pub fn of_header(header: &str) -> Vec<Found> {
    header.lines().filter_map(of_line).collect()
}

fn of_line(line: &str) -> Option<Found> {
    let line = line.trim();
    let (direction, rest) = [
        ("VL_INOUT", Direction::InOut),
        ("VL_IN", Direction::In),
        ("VL_OUT", Direction::Out),
    ]
    .into_iter()
    .find_map(|(word, direction)| Some((direction, line.strip_prefix(word)?)))?;
    let (_, rest) = rest.split_once('(')?;
    let mut arguments = rest.trim_end_matches([')', ';']).split(',');
    let place = arguments.next()?;
    let high: u32 = arguments.next()?.trim().parse().ok()?;
    let low: u32 = arguments.next()?.trim().parse().ok()?;
    let (name, dimensions) = match place.split_once('[') {
        Some((name, dimensions)) => (name, Some(dimensions.trim_end_matches(']'))),
        None => (place, None),
    };
    Some(Found {
        name: name.trim_matches(['(', '&', ')', ' ']).to_owned(),
        direction,
        bits: high.abs_diff(low) + 1,
        elements: dimensions.map(|text| text.parse().unwrap_or(0)),
    })
}

/// Holds the ports of `top` against the contract's, for a machine of `ports` ports: the groups that are there.
///
/// # Errors
/// Every port that is missing or has another direction, width or number of elements; inputs that nothing would drive; groups that are
/// there in part.
pub fn check(top: &str, found: &[Found], ports: u32) -> Result<(), Refused> {
    let mut lines = String::new();
    let mut say = |line: String| {
        // Writing into a string does not fail.
        let _ = writeln!(lines, "{line}");
    };
    let has = |port: &Port| found.iter().find(|found| found.name == port.name);
    let begun = |group: Group| {
        let mut of_group = PORTS.iter().filter(|port| port.group == Some(group));
        of_group.find(|port| has(port).is_some())
    };
    for port in PORTS {
        match (has(port), port.group) {
            (Some(found), _) => {
                if let Some(line) = misfit(top, port, found, ports) {
                    say(line);
                }
            }
            (None, None) => say(format!(
                "the top `{top}` has no port `{}` ({}, contract 3): add it to the adapter",
                port.name,
                describe(port, ports)
            )),
            (None, Some(group)) => {
                if let Some(there) = begun(group) {
                    say(format!(
                        "the top `{top}` has `{}` of the group {}, and not `{}`: a group is there whole or not at all",
                        there.name,
                        group.name(),
                        port.name
                    ));
                }
            }
        }
    }
    for other in found
        .iter()
        .filter(|found| PORTS.iter().all(|port| port.name != found.name))
    {
        let is_monitor = other.name.starts_with("mon_") || other.name.starts_with("perf");
        match other.direction {
            Direction::Out if !is_monitor => {}
            Direction::Out => say(format!(
                "the top `{top}` has an output `{}`, and the contract has no such monitor: give it the name of contract 3, or another beginning",
                other.name
            )),
            Direction::In | Direction::InOut => say(format!(
                "the top `{top}` has an input `{}`, which the contract does not have, and nothing would drive it: tie it off in the adapter",
                other.name
            )),
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    lines.truncate(lines.trim_end().len());
    Err(Refused {
        message: lines,
        remedy: "mend the adapter; docs/byo.md has the table of the ports".to_owned(),
    })
}

/// The groups whose ports are all there.
pub fn groups(found: &[Found]) -> Groups {
    let whole = |group: &Group| {
        let mut of_group = PORTS.iter().filter(|port| port.group == Some(*group));
        of_group.all(|port| found.iter().any(|found| found.name == port.name))
    };
    let groups = Group::ALL.into_iter().filter(whole);
    groups.fold(Groups::NONE, Groups::with)
}

fn describe(port: &Port, ports: u32) -> String {
    let direction = if port.is_input() { "input" } else { "output" };
    let bits = if port.bits == 1 { "bit" } else { "bits" };
    let elements = match port.shape {
        Shape::Single => String::new(),
        Shape::Ports => format!(", an unpacked array of {ports}"),
        Shape::AtMost(most) => format!(", an unpacked array of 1 to {most}"),
        Shape::Exactly(count) => format!(", an unpacked array of {count}"),
    };
    format!("{direction}, {} {bits}{elements}", port.bits)
}

/// What is wrong with a port that is there.
fn misfit(top: &str, port: &Port, found: &Found, ports: u32) -> Option<String> {
    let direction_fits = found.direction
        == if port.is_input() {
            Direction::In
        } else {
            Direction::Out
        };
    let elements_fit = match (port.shape, found.elements) {
        (Shape::Single, None) => true,
        (Shape::Ports, Some(count)) => count == ports,
        (Shape::AtMost(most), Some(count)) => (1..=most).contains(&count),
        (Shape::Exactly(due), Some(count)) => count == due,
        _ => false,
    };
    if direction_fits && elements_fit && found.bits == port.bits {
        return None;
    }
    let direction = match found.direction {
        Direction::In => "input",
        Direction::Out => "output",
        Direction::InOut => "inout",
    };
    let bits = if found.bits == 1 { "bit" } else { "bits" };
    let elements = match found.elements {
        None => String::new(),
        Some(0) => ", an array of arrays".to_owned(),
        Some(count) => format!(", an unpacked array of {count}"),
    };
    let hint = match port.shape {
        Shape::Ports if !elements_fit => {
            format!("; the machine has {ports} ports, 1 and [machine] ports.data_ports")
        }
        _ => String::new(),
    };
    Some(format!(
        "port `{}` of the top `{top}` is {direction}, {} {bits}{elements}; contract 3 has {}{hint}",
        port.name,
        found.bits,
        describe(port, ports)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header that Verilator would write of a top with these ports.
    fn header(ports: u32, keep: impl Fn(&Port) -> bool) -> String {
        let line = |port: &Port| {
            let direction = if port.is_input() { "IN" } else { "OUT" };
            let elements = match port.shape {
                Shape::Single => None,
                Shape::Ports => Some(ports),
                Shape::AtMost(count) | Shape::Exactly(count) => Some(count),
            };
            let place = match elements {
                None => format!("&{}", port.name),
                Some(count) => format!("(&{})[{count}]", port.name),
            };
            format!("    VL_{direction}8({place},{},0);\n", port.bits - 1)
        };
        let kept = PORTS.iter().filter(|port| keep(port));
        format!("class Vmmu {{\n{}}};\n", kept.map(line).collect::<String>())
    }

    fn refusal(header: &str, ports: u32) -> String {
        check("adapter", &of_header(header), ports)
            .expect_err("refused")
            .message
    }

    /// Name, width and array of every port stand in the contract; nothing else does.
    #[test]
    fn the_ports_are_those_of_the_contract() {
        let page = include_str!("../../docs/contract.md");
        let section = page.split("## 3. Ports").nth(1).expect("section 3");
        let block = section.split("```").nth(1).expect("the list");
        let mut words: Vec<String> = Vec::new();
        for line in block.lines() {
            let line = line.split(" -- ").next().unwrap_or_default();
            for word in line
                .split(' ')
                .filter(|word| !line.starts_with("--") && !word.is_empty())
            {
                let name: String = word
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                if name.ends_with("_i") || name.ends_with("_o") || name.ends_with("_ni") {
                    words.push(word.trim_end_matches(',').trim_end_matches(':').to_owned());
                }
            }
        }
        assert_eq!(words.len(), PORTS.len());
        for (word, port) in words.iter().zip(PORTS) {
            let shape = match port.shape {
                Shape::Single => "",
                Shape::Ports => "[P]",
                Shape::AtMost(16) => "[Q]",
                Shape::AtMost(_) => "[W]",
                Shape::Exactly(12) => "[12]",
                Shape::Exactly(4) => "[4]",
                Shape::Exactly(_) => "[32]",
            };
            let begin = format!("{}{shape}", port.name);
            let rest = word.strip_prefix(&begin);
            let rest = rest.unwrap_or_else(|| panic!("{word} against {begin}"));
            let bits = rest.trim_matches(['(', ')']).parse().unwrap_or(1);
            assert_eq!(bits, port.bits, "{word}");
        }
    }

    #[test]
    fn a_top_with_every_port_and_one_with_the_required_ones_pass() {
        for ports in [2, 3] {
            let whole = of_header(&header(ports, |_| true));
            assert_eq!(check("mmu", &whole, ports), Ok(()));
            assert_eq!(groups(&whole), Groups::ALL);
            let bare = of_header(&header(ports, |port| port.group.is_none()));
            assert_eq!(check("mmu", &bare, ports), Ok(()));
            assert_eq!(groups(&bare), Groups::NONE);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let text = header(2, |port| port.name != "resp_pa_o");
        assert_eq!(
            refusal(&text, 2),
            "the top `adapter` has no port `resp_pa_o` (output, 52 bits, an unpacked array of 2, contract 3): add it to the adapter"
        );
        let text = header(2, |port| port.name != "mon_walk_filled_o");
        assert_eq!(
            refusal(&text, 2),
            "the top `adapter` has `mon_walk_op_o` of the group walk, and not `mon_walk_filled_o`: a group is there whole or not at all"
        );
    }

    #[test]
    fn a_port_of_another_kind_is_refused() {
        let text = header(2, |_| true);
        let narrow = text.replace("(&resp_pa_o)[2],51", "(&resp_pa_o)[2],39");
        assert_eq!(
            refusal(&narrow, 2),
            "port `resp_pa_o` of the top `adapter` is output, 40 bits, an unpacked array of 2; contract 3 has output, 52 bits, an unpacked array of 2"
        );
        assert!(refusal(&text, 3).contains("the machine has 3 ports"));
        let turned = text.replace("VL_OUT8(&cr3_o", "VL_IN8(&cr3_o");
        assert!(refusal(&turned, 2).contains("`cr3_o` of the top `adapter` is input"));
        let more = format!(
            "{text}    VL_IN8(&scan_i,0,0);\n    VL_OUT8(&mon_lookups_o,0,0);\n    VL_OUT8(&led_o,0,0);\n"
        );
        let lines = refusal(&more, 2);
        assert!(
            lines.contains("`scan_i`") && lines.contains("`mon_lookups_o`"),
            "{lines}"
        );
        assert!(!lines.contains("led_o"));
    }
}
