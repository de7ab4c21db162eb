//! `twinwalk explain`: one address, one translation, one reference of a trace, step by step.
//!
//! Contract: 12 (the formula beside each latency). SDM vol. 3A, 4.5 to 4.8. Counterpart: none. `docs/explain.md` explains the output.

mod report;
mod text;

use std::path::PathBuf;

use clap::Args as ClapArgs;

use self::report::{InTrace, Report, Situated};
use super::Outcome;
use super::config::ConfigArgs;
use super::error::CliError;
use super::output::{Context, grouped};
use super::trace::{FormatArgs, open};
use crate::arch::{Access, AccessKind, Capabilities, PagingMode, PhysicalAddress, Registers};
use crate::config::{Config, Loaded};
use crate::cosim::ticked::Hang;
use crate::explain::in_trace::{self, InTraceError};
use crate::explain::map::MapSpec;
use crate::explain::situation::{Controls, Situation, registers};
use crate::explain::split::{mode_of, split};
use crate::explain::tables::{Image, build};
use crate::explain::timeline::Timeline;
use crate::explain::walk::{Walked, explain};
use crate::explain::{ExplainError, machine};
use crate::reference::SparseMemory;
use crate::tables::units::parse_number;
use crate::trace::References;

/// Bits of a linear address unless others are asked for.
const DEFAULT_MODE: u32 = 48;
/// The widths that `--mode` knows.
const MODES: [u32; 3] = [32, 48, 57];
/// The most accesses that `--access` takes.
const MAX_ACCESSES: usize = 16;

/// Explain one translation: the bits of an address, its entries field by field, and what the machine does in each cycle
///
/// The address alone is split into indices, page numbers and offsets. With --map, --access, --cpl or --cr an access is made: tables are
/// built that hold the mappings, each entry that the walk reads is decoded, rights are summed up and judged, and the cycle model makes
/// the access twice, cold and again, cycle by cycle. With --trace it is a reference of that trace, after all that came before it.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The linear address: decimal or 0x...
    address: String,
    /// Bits of a linear address: 32, 48 or 57. Without it 48, with --trace those of mapping.levels
    #[arg(long, value_name = "BITS", value_parser = parse_mode)]
    mode: Option<u32>,
    /// A page that is mapped: VA=PA and attributes, see below; may be given again
    #[arg(long, value_name = "VA=PA[,ATTR]...", conflicts_with = "trace")]
    map: Vec<String>,
    /// The accesses: read, write or fetch. Several are made one after the other; one is made twice
    #[arg(long, value_name = "KIND[,KIND]...", conflicts_with = "trace")]
    access: Option<String>,
    /// The privilege level of the accesses; 3 is user mode. Without it 3
    #[arg(long, value_name = "0..3", value_parser = clap::value_parser!(u8).range(0..=3), conflicts_with = "trace")]
    cpl: Option<u8>,
    /// Control bits, see below; may be given again
    #[arg(long, value_name = "NAME=VALUE[,...]", conflicts_with = "trace")]
    cr: Vec<String>,
    /// A trace, run up to a reference to the address's page, mapped as `run` maps it; - is standard input
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
    /// Which reference to the page, from 1
    #[arg(long, value_name = "N", requires = "trace", value_parser = clap::value_parser!(u64).range(1..))]
    occurrence: Option<u64>,
    #[command(flatten)]
    machine: ConfigArgs,
}

const AFTER_HELP: &str = "\
Attributes of --map, in any order; without any, a 4k page that is present, writable, for user mode, accessed and dirty:
  4k 2m 1g; with --mode 32: 4k 4m the page's size
  user super rw ro x nx global    U/S, R/W, XD and G of the entry that maps the page
  present absent                  its P
  FIELD=VALUE                     a field by the manual's name: p rw us pwt pcd a d pat g key xd, address, addr_high
  bitN=0|1, raw=VALUE             one bit (a reserved one, say), or the whole entry
  LEVEL.ATTR                      the same in an entry above it: pml5e, pml4e, pdpte or pde, as in pde.us=0
Control bits of --cr: pg=1 wp=1 pse=1 pge=1 smep=0 smap=0 pke=1 nxe=1 pkru=0 ac=0 implicit=0 pcid=0, which are these unless given.

Examples: twinwalk explain 0x7fff12340abc
          twinwalk explain 0x401abc --map 0x401000=0x1234000
          twinwalk explain 0x40abcd --map 0x400000=0x1200000,2m,ro --access write --cpl 0 --cr wp=0
          twinwalk explain 0x401000 --map 0x401000=0x1234000,d=0 --access read,write
          twinwalk explain 0x401000 --map 0x401000=0x1234000,pde.absent
          twinwalk explain 0x401000 --map 0x401000=0x1234000,key=2 --cr pkru=0x10
          twinwalk explain 0x401abc --mode 32 --map 0x400000=0x1280000000,4m
          twinwalk explain 0x4035abc --trace traces/gcc10m.twt.zst --occurrence 3";

fn parse_mode(text: &str) -> Result<u32, String> {
    let bits = text.parse().ok().filter(|bits| MODES.contains(bits));
    bits.ok_or_else(|| "a linear address has 32, 48 or 57 bits".to_owned())
}

impl From<ExplainError> for CliError {
    fn from(error: ExplainError) -> Self {
        Self::new(&error, &error.remedy)
    }
}

impl From<Hang> for CliError {
    fn from(error: Hang) -> Self {
        Self::new(error, "report it: the model should always answer")
    }
}

impl Args {
    /// Whether an access is to be made.
    fn has_access(&self) -> bool {
        !self.map.is_empty() || self.access.is_some() || self.cpl.is_some() || !self.cr.is_empty()
    }
}

/// Runs `twinwalk explain`.
///
/// # Errors
/// The address, a mapping, a control bit, the machine or the trace is refused.
pub fn run(mut args: Args, context: &mut Context) -> Result<Outcome, CliError> {
    if args.trace.is_none() && args.format.trace_format.is_some() {
        return Err(CliError::new(
            "--trace-format is given without a trace",
            "give --trace FILE, or leave out --trace-format",
        ));
    }
    let raw = address(&args.address)?;
    if let (Some(bits), true) = (args.mode, args.trace.is_some()) {
        let levels = mapped_levels(mode(bits)?)?;
        args.machine.set.push(format!("mapping.levels={levels}"));
    }
    let loaded = args.machine.load()?;
    let mode = match (&args.trace, loaded.config.mapping.mode()) {
        (Some(_), Some(mode)) => mode,
        _ => mode(args.mode.unwrap_or(DEFAULT_MODE))?,
    };
    let mut report = Report::new(split(raw, mode), &loaded);
    if args.trace.is_some() {
        report.trace = Some(in_trace(&args, raw, &loaded, context)?);
    } else if args.has_access() {
        report.access = Some(situated(&args, raw, mode, &loaded)?);
    }
    context.object(&report)?;
    context.text(&text::text(&report))?;
    Ok(Outcome::Held)
}

fn address(text: &str) -> Result<u64, CliError> {
    parse_number(text.trim()).map_err(|error| {
        CliError::new(
            format_args!(
                "ADDRESS {text:?}, character {}: {}",
                error.character, error.problem
            ),
            "give a linear address: decimal, or 0x... such as 0x7fff12340abc",
        )
    })
}

fn mode(bits: u32) -> Result<PagingMode, CliError> {
    mode_of(bits).ok_or_else(|| CliError::new(format_args!("--mode {bits}"), "give 32, 48 or 57"))
}

/// The levels of the tables of `mode` in which a trace is mapped.
fn mapped_levels(mode: PagingMode) -> Result<usize, CliError> {
    if mode == PagingMode::TwoLevel {
        return Err(CliError::new(
            "--mode 32 with --trace: traces are mapped in 4- or 5-level tables only",
            "give --mode 48 or 57; or, in 32-bit paging, --map VA=PA in place of the trace",
        ));
    }
    Ok(mode.spec().levels.len())
}

/// The accesses of `--access`.
fn kinds(text: &str) -> Result<Vec<AccessKind>, CliError> {
    let parts = crate::explain::parts(text, 1);
    let kinds: Vec<AccessKind> = parts
        .map(|(place, name)| {
            let found = AccessKind::ALL
                .into_iter()
                .find(|kind| kind.to_string() == name);
            found.ok_or_else(|| {
                let problem = format!("{name:?} is no access");
                ExplainError::at(
                    "--access",
                    text,
                    place,
                    problem,
                    "give read, write or fetch",
                )
            })
        })
        .collect::<Result<_, _>>()?;
    if kinds.len() > MAX_ACCESSES {
        return Err(CliError::new(
            format_args!("--access has {} accesses", kinds.len()),
            format_args!("give {MAX_ACCESSES} at most"),
        ));
    }
    Ok(kinds)
}

/// An access in a situation that the arguments give.
fn situated(
    args: &Args,
    raw: u64,
    mode: PagingMode,
    loaded: &Loaded,
) -> Result<Situated, CliError> {
    let config = &loaded.config;
    let capabilities = config.arch_capabilities();
    let parse = |text: &String| MapSpec::parse(text, mode);
    let maps: Vec<MapSpec> = args.map.iter().map(parse).collect::<Result<_, _>>()?;
    let memory_bytes = config
        .memory_size_bytes()
        .min(capabilities.maxphyaddr.mask() + 1);
    let image = build(&maps, mode, memory_bytes)?;
    let mut controls = Controls::default();
    for text in &args.cr {
        controls.read(text)?;
    }
    let boot = controls.boot(mode, image.root);
    let registers = registers(&boot, &capabilities)?;
    let kinds = kinds(args.access.as_deref().unwrap_or("read"))?;
    let cpl = args.cpl.unwrap_or(3);
    let mut accesses: Vec<Access> = kinds
        .iter()
        .map(|kind| controls.access(*kind, cpl))
        .collect();
    let walks = walks(&registers, &capabilities, &accesses, raw, &image, config);
    if let [only] = accesses[..] {
        accesses.push(only);
    }
    let records = machine::run(config, &boot, &image.words, raw, &accesses)?;
    let runs = records
        .iter()
        .filter_map(|record| Timeline::of(record, config));
    Ok(Situated {
        situation: Situation::of(&registers),
        mappings: maps.iter().map(|map| map.text.clone()).collect(),
        tables: image.tables,
        walks,
        runs: runs.collect(),
    })
}

/// The accesses as the manual has them, one after the other.
fn walks(
    registers: &Registers,
    capabilities: &Capabilities,
    accesses: &[Access],
    raw: u64,
    image: &Image,
    config: &Config,
) -> Vec<Walked> {
    let mut memory = SparseMemory::new(config.memory_size_bytes());
    for (at, value) in &image.words {
        // Tables are laid where memory is.
        let stored = memory.poke(
            PhysicalAddress::new_truncate(*at, capabilities.maxphyaddr),
            *value,
        );
        debug_assert!(stored.is_ok());
    }
    accesses
        .iter()
        .map(|access| explain(registers, capabilities, access, raw, &mut memory))
        .collect()
}

/// A reference of the trace.
fn in_trace(
    args: &Args,
    raw: u64,
    loaded: &Loaded,
    context: &Context,
) -> Result<InTrace, CliError> {
    let path = args.trace.clone().unwrap_or_default();
    let references = References::new(open(&path, args.format.trace_format, context)?);
    let occurrence = args.occurrence.unwrap_or(1);
    let found = in_trace::find(&loaded.config, references, raw, occurrence);
    let explained = found.map_err(|error| refused(error, &path.display().to_string()))?;
    let run = Timeline::of(&explained.record, &loaded.config);
    Ok(InTrace {
        file: path.display().to_string(),
        mapping: loaded.config.mapping.clone(),
        front_end: loaded.config.front_end.to_string(),
        situation: Situation::of(&explained.registers),
        found: explained.found,
        walk: explained.walked,
        run: run.ok_or_else(|| CliError::new("the reference has no answer", "report it"))?,
    })
}

fn refused(error: InTraceError, file: &str) -> CliError {
    match error {
        InTraceError::Trace(error) => error.into(),
        InTraceError::Mapping(error) => error.into(),
        InTraceError::Hang(error) => error.into(),
        InTraceError::Absent {
            page,
            found,
            wanted,
            references,
            nearest,
        } => {
            let message = match found {
                0 => format!(
                    "{file}: none of its {} references is to the page at {page:#x}",
                    grouped(references)
                ),
                _ => format!(
                    "{file}: --occurrence {wanted}: it has {} references to the page at {page:#x}",
                    grouped(found)
                ),
            };
            let remedy = match (found, nearest.as_slice()) {
                (0, []) => "give another trace: this one is empty".to_owned(),
                (0, nearest) => {
                    let nearest: Vec<_> = nearest.iter().map(|page| format!("{page:#x}")).collect();
                    format!(
                        "give an address in a page that it touches; nearest: {}",
                        nearest.join(" and ")
                    )
                }
                (found, _) => format!("give 1 to {found}"),
            };
            CliError::new(message, remedy)
        }
    }
}
