//! The project's RTL as a user's design: its DESIGN.toml, and a wrapper without a monitor that errs as an access says.
//!
//! Contract: section 3 (ports). SDM: none. Counterpart: `tests/byo.rs`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use twinwalk::config::Config;
use twinwalk::config::load::{Source, load};
use twinwalk::cosim::ports::{PORTS, Port, Shape};

/// A small machine.
fn small() -> Config {
    load(&Source::Preset("tiny".to_owned()), &[])
        .expect("a preset")
        .config
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The project's sources, packages first.
fn own_files() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("rtl")).expect("the RTL");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "sv"))
        .collect();
    files.sort_by_key(|path| (!path.ends_with("mmu_pkg.sv"), path.clone()));
    files
}

/// A DESIGN.toml of the project's RTL with these files behind it, and some text.
pub fn own_design(top: &str, more: &[&str], text: &str) -> String {
    let files = own_files().into_iter();
    let files = files.chain(more.iter().map(PathBuf::from));
    let files: Vec<String> = files
        .map(|path| format!("{:?}", path.display().to_string()))
        .collect();
    let parameters = small().rtl_parameters().into_iter();
    let parameters: String = parameters
        .map(|(name, value)| format!("{name} = {value}\n"))
        .collect();
    format!(
        "[design]\nname = \"own\"\ntop = \"{top}\"\nfiles = [{}]\n[machine]\nconfig = \"preset:tiny\"\n[bounds]\nhang_cycles = 3000\n\
         [design.parameters]\n{parameters}{text}",
        files.join(", ")
    )
}

/// What the wrapper does wrong, once an access says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Mode {
    Nothing,
    /// Each response comes 5 cycles later, and the next is not looked at before.
    Late,
    /// Bit 12 of one translation is wrong.
    FlippedFrame,
    /// No answer from some time on.
    Silent,
    /// One id that nobody asked with.
    WrongId,
    /// `req_ready` looks at `req_valid` in the same cycle.
    Combinational,
    /// A memory request is withdrawn and comes again.
    Withdrawn,
    /// Marks set a bit of software's, too.
    WrongMark,
    /// Marks are read and not made.
    NoMark,
}

/// PKRU of the access that sets the mode, without the mode. No user-mode access looks at it with paging off.
pub const MAGIC: u32 = 0xb0b0_1230;

/// The machine `mmu` without a monitor, behind a wrapper that errs as an access before all others says.
pub fn wrapper() -> String {
    let config = small();
    let parameters = config.rtl_parameters();
    let required: Vec<&Port> = PORTS.iter().filter(|port| port.group.is_none()).collect();
    let mut text = String::from("module wrapper #(\n");
    for (name, value) in &parameters {
        let _ = writeln!(text, "  parameter int unsigned {name} = {value},");
    }
    text.push_str("  localparam int unsigned PORTS = 1 + DATA_PORTS\n) (\n");
    let declare = |port: &Port, name: &str| {
        let array = if port.shape == Shape::Ports {
            " [PORTS]"
        } else {
            ""
        };
        format!("logic [{}:0] {name}{array}", port.bits - 1)
    };
    let list: Vec<String> = required
        .iter()
        .map(|port| {
            let direction = if port.is_input() { "input" } else { "output" };
            format!("  {direction} {}", declare(port, port.name))
        })
        .collect();
    let _ = writeln!(text, "{}\n);", list.join(",\n"));
    // Where the wrapper steps in, the machine has a signal of its own.
    let own = [
        "req_ready_o",
        "resp_valid_o",
        "resp_ready_i",
        "resp_id_o",
        "resp_pa_o",
        "mem_req_valid_o",
        "mem_req_ready_i",
        "mem_req_op_o",
        "mem_req_wdata_o",
    ];
    for port in required.iter().filter(|port| own.contains(&port.name)) {
        let _ = writeln!(text, "  {};", declare(port, &format!("m_{}", port.name)));
    }
    let pins: Vec<String> = required
        .iter()
        .map(|port| match own.contains(&port.name) {
            true => format!(".{}(m_{})", port.name, port.name),
            false => format!(".{}", port.name),
        })
        .collect();
    let names: Vec<String> = parameters
        .iter()
        .map(|(name, _)| format!(".{name}({name})"))
        .collect();
    let _ = writeln!(
        text,
        "  mmu #({}) u_mmu ({});",
        names.join(", "),
        pins.join(", ")
    );
    let _ = writeln!(
        text,
        "{}\nendmodule",
        WRAPPER.replace("MAGIC", &format!("28'h{:x}", MAGIC >> 4))
    );
    text
}

const WRAPPER: &str = "
  logic [3:0] mode_q;
  logic [15:0] answers_q;
  logic [2:0] wait_q [PORTS];
  logic done_q, even_q;
  logic taken [PORTS];
  always_ff @(posedge clk_i) begin
    even_q <= rst_ni && !even_q;
    if (!rst_ni) begin
      mode_q <= '0;
      answers_q <= '0;
      done_q <= '0;
      wait_q <= '{default: '0};
    end else begin
      for (int p = 0; p < PORTS; p++) begin
        if (req_valid_i[p] && req_ready_o[p] && req_pkru_i[p][31:4] == MAGIC) mode_q <= req_pkru_i[p][3:0];
        if (taken[p]) wait_q[p] <= '0;
        else if (m_resp_valid_o[p] && wait_q[p] < 3'd5) wait_q[p] <= wait_q[p] + 3'd1;
      end
      if (taken[1]) begin
        answers_q <= answers_q + 16'd1;
        if (answers_q >= 16'd20 && resp_status_o[1] == '0) done_q <= '1;
      end
    end
  end
  for (genvar p = 0; p < PORTS; p++) begin : gen_port
    wire errs = p == 1 && answers_q >= 16'd20 && !done_q;
    wire shows = !(mode_q == 1 && wait_q[p] < 3'd5) && !(mode_q == 3 && answers_q >= 16'd20);
    assign taken[p] = resp_valid_o[p] && resp_ready_i[p];
    assign resp_valid_o[p] = m_resp_valid_o[p] && shows;
    assign m_resp_ready_i[p] = resp_ready_i[p] && shows;
    assign resp_id_o[p] = m_resp_id_o[p] ^ (mode_q == 4 && errs ? 8'h80 : 8'h00);
    assign resp_pa_o[p] = m_resp_pa_o[p] ^ (mode_q == 2 && errs && resp_status_o[p] == '0 ? 52'h1000 : 52'h0);
    assign req_ready_o[p] = m_req_ready_o[p] && (mode_q != 5 || req_valid_i[p]);
  end
  wire offers = mode_q != 6 || even_q;
  assign mem_req_valid_o = m_mem_req_valid_o && offers;
  assign m_mem_req_ready_i = mem_req_ready_i && offers;
  assign mem_req_op_o = mode_q == 8 ? 2'd0 : m_mem_req_op_o;
  assign mem_req_wdata_o = mode_q == 8 ? '0 : m_mem_req_wdata_o | (mode_q == 7 && m_mem_req_op_o == 2'd2 ? 64'h200 : 64'h0);
";
