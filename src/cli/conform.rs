//! `twinwalk conform`: paging vectors of independent implementations, held against reference, model and RTL.
//!
//! Contract: none of its own. SDM vol. 3A, 4.5 to 4.8. Counterpart: none. `docs/conform.md` has the form of the vectors.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::{Value as Json, json};

use super::config::ConfigArgs;
use super::error::CliError;
use super::machine::{Machines, Stretch, require_rtl, rtl_none};
use super::output::{Context, grouped, table};
use super::{Outcome, trace};
use crate::config::{Config, Loaded, Origin};
use crate::conform::{
    Case, Finding, Implementation, Reader, Reference, Suite, Twins, VectorError, show,
};
use crate::model::Mmu;

/// Cases that are in memory at a time.
const BATCH_CASES: usize = 512;
/// Cycles of a memory access where nobody asks for another number: no vector speaks of time.
const MEMORY_LATENCY_CYCLES: u32 = 1;
/// Registers of the RTL begin at random values drawn from this seed.
const RTL_SEED: u64 = 1;

/// Hold paging vectors of an independent implementation against reference, model and RTL
///
/// Each case sets memory and control registers, by real control operations on model and RTL, and makes its accesses with nothing cached at
/// first. Exception, error code, CR2, physical address and every page-table entry afterwards must be as the vector says, bit for bit.
/// Model and RTL are built for each MAXPHYADDR that occurs; other parameters are those of the machine. Memory answers in the next
/// cycle unless memory.latency_cycles is given.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples: twinwalk conform tests/vectors/*.jsonl.gz
          zcat tests/vectors/qemu-m52-l5.jsonl.gz | head -100 | twinwalk conform - --on model
          twinwalk conform vectors.jsonl.xz --config preset:tiny --json")]
pub struct Args {
    /// Files of vectors, one JSON object a line; - is standard input. gzip, xz and zstd are unpacked
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Who performs them
    #[arg(long, value_enum, default_value_t = On::All)]
    on: On,
    #[command(flatten)]
    machine: ConfigArgs,
}

/// Who performs the cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum On {
    /// The walk as the manual states it
    Reference,
    /// The cycle model
    Model,
    /// The RTL, verilated
    Rtl,
    /// All three
    All,
}

impl From<VectorError> for CliError {
    fn from(error: VectorError) -> Self {
        Self::new(&error, error.remedy())
    }
}

#[cfg(feature = "rtl")]
type RtlMachine = crate::cosim::rtl::Rtl;
#[cfg(not(feature = "rtl"))]
type RtlMachine = crate::cosim::twin::NoTwin;

/// Those who perform the cases, and what it takes to build them.
struct Performers {
    base: Config,
    reference: Option<Reference>,
    model: Option<Twins<Mmu>>,
    rtl: Option<(Machines, Twins<RtlMachine>)>,
}

impl Performers {
    fn new(on: On, base: Config) -> Result<Self, CliError> {
        let asked = |one: On| on == one || on == On::All;
        let rtl = if asked(On::Rtl) {
            require_rtl(&base)?;
            Some((Machines::open()?, Twins::new("rtl")))
        } else {
            None
        };
        Ok(Self {
            base,
            reference: asked(On::Reference).then_some(Reference),
            model: asked(On::Model).then(|| Twins::new("model")),
            rtl,
        })
    }

    /// Builds the machines of that MAXPHYADDR, if there are none yet.
    fn prepare(&mut self, case: &Case, context: &mut Context) -> Result<(), CliError> {
        let bits = case.capabilities.maxphyaddr.bits();
        let has_model = self.model.as_ref().is_none_or(|twins| twins.has(bits));
        let has_rtl = self.rtl.as_ref().is_none_or(|(_, twins)| twins.has(bits));
        if has_model && has_rtl {
            return Ok(());
        }
        let mut config = self.base.clone();
        config.capabilities.maxphyaddr_bits = bits;
        config.validate()?;
        if let Some(twins) = &mut self.model {
            twins.add(&config, Mmu::new(&config));
        }
        if let Some((machines, twins)) = &mut self.rtl {
            let rtl = Machines::instance(
                &config,
                &machines.library(&config, Stretch::Minutes, context)?,
                RTL_SEED,
            )?;
            twins.add(&config, rtl);
        }
        Ok(())
    }

    fn all(&mut self) -> Vec<&mut dyn Implementation> {
        let mut all: Vec<&mut dyn Implementation> = Vec::new();
        if let Some(reference) = &mut self.reference {
            all.push(reference);
        }
        if let Some(model) = &mut self.model {
            all.push(model);
        }
        if let Some((_, rtl)) = &mut self.rtl {
            all.push(rtl);
        }
        all
    }
}

/// Runs `twinwalk conform`.
///
/// # Errors
/// A file is refused, the machine is, or the RTL was asked for and cannot be built.
pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CliError> {
    let loaded = args.machine.load()?;
    let mut performers = Performers::new(args.on, base(&loaded)?)?;
    let mut suite = Suite::default();
    let mut files = Vec::new();
    let mut ended = Ok(());
    for path in &args.files {
        let before = (suite.counts.cases, suite.counts.steps);
        ended = run_file(path, &mut performers, &mut suite, context);
        files.push(json!({
            "file": path.display().to_string(),
            "cases": suite.counts.cases - before.0,
            "steps": suite.counts.steps - before.1,
        }));
        if ended.is_err() {
            break;
        }
    }
    let names: Vec<_> = performers.all().iter().map(|one| one.name()).collect();
    if let Err(error) = ended {
        // What was found before the place where reading ended is worth having; the figures would be those of a part.
        context.text(&findings(&suite, &names))?;
        return Err(error);
    }
    context.object(&object(&suite, &names, &files, &loaded))?;
    context.text(&findings(&suite, &names))?;
    context.text(&summary(&suite, &names, &loaded))?;
    Ok(if suite.mismatches() == 0 {
        Outcome::Held
    } else {
        Outcome::Difference
    })
}

/// The machine but for its MAXPHYADDR. Its memory is the whole physical space: vectors have tables anywhere in it.
fn base(loaded: &Loaded) -> Result<Config, CliError> {
    let mut config = loaded.config.clone();
    let needed = [
        ("page_1g", config.capabilities.page_1g),
        ("five_level", config.capabilities.five_level),
    ];
    for (key, has) in needed {
        if !has {
            return Err(CliError::new(
                format_args!(
                    "capabilities.{key} is false in the machine {}, and vectors are of machines that have it",
                    loaded.name
                ),
                format_args!("add --set capabilities.{key}=true"),
            ));
        }
    }
    let is_default = |key: &str| {
        let values = loaded.values();
        let value = values.into_iter().find(|value| value.key == key);
        value.is_some_and(|value| value.origin == Origin::Default)
    };
    config.memory.size_bytes = None;
    if is_default("memory.latency_cycles") {
        config.memory.latency_cycles = MEMORY_LATENCY_CYCLES;
    }
    Ok(config)
}

fn run_file(
    path: &std::path::Path,
    performers: &mut Performers,
    suite: &mut Suite,
    context: &mut Context,
) -> Result<(), CliError> {
    let mut reader = Reader::open(path, Some(trace::file_progress(path, context)))?;
    let file = reader.file().to_owned();
    let mut batch = Vec::with_capacity(BATCH_CASES);
    loop {
        let read = reader.next_case();
        let ended = !matches!(read, Ok(Some(_)));
        let failed = match read {
            Ok(case) => {
                batch.extend(case);
                None
            }
            Err(error) => Some(error),
        };
        if let Some(case) = batch.last().filter(|_| !ended) {
            performers.prepare(case, context)?;
        }
        if ended || batch.len() == BATCH_CASES {
            suite.run(&file, &batch, &mut performers.all());
            batch.clear();
        }
        match failed {
            Some(error) => return Err(error.into()),
            None if ended => return Ok(()),
            None => {}
        }
    }
}

fn object(suite: &Suite, names: &[&str], files: &[Json], loaded: &Loaded) -> Json {
    let counts = &suite.counts;
    let codes: BTreeMap<String, u64> = counts
        .page_faults
        .iter()
        .map(|(code, count)| (format!("{code:#x}"), *count))
        .collect();
    let tallies = || names.iter().zip(&suite.tallies);
    let mismatches: serde_json::Map<String, Json> = tallies()
        .map(|(name, tally)| ((*name).to_owned(), tally.mismatches.into()))
        .collect();
    let first: Vec<Json> = tallies()
        .flat_map(|(name, tally)| tally.findings.iter().map(|finding| found(name, finding)))
        .collect();
    json!({
        "cases": counts.cases,
        "steps": counts.steps,
        "entries_compared": counts.entries,
        "translated": counts.translated,
        "general_protections": counts.general_protections,
        "page_faults": codes,
        "quirks": counts.quirks,
        "implementations": names,
        "mismatches": mismatches,
        "first_mismatches": first,
        "files": files,
        "machine": loaded.name,
        "config_hash": loaded.config.hash(),
        "rtl": loaded.config.rtl(),
    })
}

fn found(name: &str, finding: &Finding) -> Json {
    let fields: Vec<String> = finding
        .mismatch
        .differences
        .iter()
        .map(|d| d.field())
        .collect();
    json!({
        "implementation": name,
        "file": finding.file,
        "line": finding.case.line,
        "id": finding.case.id,
        "step": finding.mismatch.step.map(|step| step + 1),
        "fields": fields,
        "failure": finding.mismatch.failure,
        "fails_alone": finding.fails_alone,
        "text": show(finding, name),
    })
}

fn findings(suite: &Suite, names: &[&str]) -> String {
    let mut out = String::new();
    for (name, tally) in names.iter().zip(&suite.tallies) {
        for finding in &tally.findings {
            out.push_str(&show(finding, name));
            out.push('\n');
        }
        let more = tally.mismatches - tally.findings.len() as u64;
        if more > 0 {
            out.push_str(&format!("{name}: {} mismatches more\n\n", grouped(more)));
        }
    }
    out
}

fn summary(suite: &Suite, names: &[&str], loaded: &Loaded) -> String {
    let counts = &suite.counts;
    let rows: Vec<Vec<String>> = names
        .iter()
        .zip(&suite.tallies)
        .map(|(name, tally)| {
            let figures = [counts.cases, counts.steps, counts.entries, tally.mismatches];
            let mut row = vec![(*name).to_owned()];
            row.extend(figures.map(grouped));
            row
        })
        .collect();
    let faults: u64 = counts.page_faults.values().sum();
    format!(
        "{}Expected: {} translations, {} page faults of {} error codes, {} general protections.\n\
         Machine: {}, with MAXPHYADDR as each case says; cold at the first step of each case, one access at a time.\n{}",
        table(
            &["", "cases", "steps", "entries compared", "mismatches"],
            &rows
        ),
        grouped(counts.translated),
        grouped(faults),
        counts.page_faults.len(),
        grouped(counts.general_protections),
        loaded.name,
        rtl_none(&loaded.config).map_or(String::new(), |line| format!("{line}\n")),
    )
}
