//! `twinwalk trace`: bring traces in, record them, look into them.
//!
//! Contract: none. SDM: none. Counterpart: none. `docs/traces.md` has the formats.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use super::Outcome;
use super::error::CliError;
use super::output::{Context, grouped, table};
use crate::trace::record::ProgramOutput;
use crate::trace::{
    self, Content, Counts, OpenOptions, Opened, RecordOptions, TraceError, TraceFormat, TraceInfo,
    TraceReader, Written,
};

impl From<TraceError> for CliError {
    fn from(error: TraceError) -> Self {
        Self::new(&error, error.remedy())
    }
}

/// A trace that a command reads.
#[derive(Debug, Clone, ClapArgs)]
pub struct FormatArgs {
    /// The format of the trace; without it, it is found by content
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    pub trace_format: Option<TraceFormat>,
}

fn parse_format(name: &str) -> Result<TraceFormat, String> {
    TraceFormat::from_name(name).ok_or_else(|| {
        let names = TraceFormat::ALL.map(TraceFormat::name).join(", ");
        format!("the formats are {names}")
    })
}

/// Import, record or look into traces of memory references
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Import(ImportArgs),
    Record(RecordArgs),
    Info(InfoArgs),
}

/// Write a trace in the project's compact, checksummed form
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example: valgrind --tool=lackey --trace-mem=yes --log-fd=9 ls 9>&1 >/dev/null | twinwalk trace import - ls.twt.zst")]
struct ImportArgs {
    /// The trace to read; - is standard input. gzip, xz and zstd are unpacked
    input: PathBuf,
    /// The file to write; .gz, .xz or .zst at the end of its name compresses it
    output: PathBuf,
    /// Stop after that many references
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Write runs on pages in place of the references: smaller, and faster to run one reference at a time
    #[arg(long)]
    runs: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// Run a program under valgrind and write what it references
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example: twinwalk trace record --count 10000000 --out sort.twt.zst -- sort /etc/services")]
struct RecordArgs {
    /// The file to write; .gz, .xz or .zst at the end of its name compresses it. Without it PROGRAM.twt.zst, if there is none yet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// End the program after that many references
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// The program and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Count what is in a trace: references, instructions, pages
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example: twinwalk trace info ls.twt.zst")]
struct InfoArgs {
    /// The trace to read; - is standard input
    trace: PathBuf,
    #[command(flatten)]
    format: FormatArgs,
}

/// Runs `twinwalk trace`.
///
/// # Errors
/// A trace cannot be read, written or recorded, or standard output cannot be written.
pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CliError> {
    match args.command {
        Command::Import(args) => import(&args, context)?,
        Command::Record(args) => record(args, context)?,
        Command::Info(args) => info(&args, context)?,
    }
    Ok(Outcome::Held)
}

/// Opens a trace, with its progress on standard error; `-` is standard input.
///
/// # Errors
/// The trace cannot be opened or is in no known format.
pub fn open(
    path: &Path,
    format: Option<TraceFormat>,
    context: &Context,
) -> Result<Box<dyn TraceReader>, CliError> {
    let options = OpenOptions {
        format,
        progress: Some(file_progress(path, context)),
    };
    Ok(trace::open::open(path, options)?)
}

/// The same of a trace that may have runs.
///
/// # Errors
/// As [`open`].
pub fn open_either(
    path: &Path,
    format: Option<TraceFormat>,
    context: &Context,
) -> Result<Opened, CliError> {
    let options = OpenOptions {
        format,
        progress: Some(file_progress(path, context)),
    };
    Ok(trace::open::open_either(path, options)?)
}

/// Progress through the bytes of the file at `path`, on standard error.
pub(super) fn file_progress(path: &Path, context: &Context) -> trace::Progress {
    let length = match fs::metadata(path) {
        Ok(found) if found.is_file() => found.len(),
        // Standard input and pipes have no length that could be known.
        _ => 0,
    };
    bytes_progress(length, context)
}

fn bytes_progress(length: u64, context: &Context) -> trace::Progress {
    let progress = context.progress(length, "bytes");
    Box::new(move |done| progress.set(done))
}

fn import(args: &ImportArgs, context: &mut Context) -> Result<(), CliError> {
    let mut reader = open(&args.input, args.format.trace_format, context)?;
    let content = if args.runs {
        Content::Runs
    } else {
        Content::References
    };
    let written = trace::import_as(content, &mut *reader, &args.output, args.count)?;
    drop(reader);
    // Read back: what is said about the file is what the file says.
    let found = look_into(&args.output, None, context)?;
    let object = WrittenObject::new(&args.output, &found);
    context.object(&object)?;
    context.text(&written_line(&args.output, &written))?;
    context.text(&summary(&found))
}

fn record(args: RecordArgs, context: &mut Context) -> Result<(), CliError> {
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(CliError::new(
            "there is no command to record",
            "give it after --, as in `twinwalk trace record -- ls`",
        ));
    };
    let path = match args.out {
        Some(path) => path,
        None => default_output(program)?,
    };
    let options = RecordOptions {
        limit: args.count,
        output: if context.is_json() {
            ProgramOutput::ToStandardError
        } else {
            ProgramOutput::Inherited
        },
        progress: Some(bytes_progress(0, context)),
        ..RecordOptions::default()
    };
    let recorded = trace::record(program, arguments, &path, options)?;
    let found = look_into(&path, None, context)?;
    let mut object = WrittenObject::new(&path, &found);
    object.status = Some(recorded.status.clone());
    object.stopped = Some(recorded.stopped);
    context.object(&object)?;
    context.text(&written_line(&path, &recorded.written))?;
    context.text(&if recorded.stopped {
        "The program was ended there, as --count asks.\n".to_owned()
    } else {
        format!("The program ended with {}.\n", recorded.status)
    })?;
    context.text(&summary(&found))
}

/// Where a recording goes that was given no file: beside nothing that could be lost.
fn default_output(program: &OsString) -> Result<PathBuf, CliError> {
    let mut name = Path::new(program)
        .file_name()
        .unwrap_or(program)
        .to_os_string();
    name.push(".twt.zst");
    let path = PathBuf::from(name);
    if path.symlink_metadata().is_ok() {
        return Err(CliError::new(
            format_args!("{}: is there already", path.display()),
            "say where to write with --out FILE; a file that is named there is replaced",
        ));
    }
    Ok(path)
}

fn info(args: &InfoArgs, context: &mut Context) -> Result<(), CliError> {
    let found = look_into(&args.trace, args.format.trace_format, context)?;
    context.object(&WrittenObject::new(&args.trace, &found))?;
    context.text(&summary(&found))
}

fn look_into(
    path: &Path,
    format: Option<TraceFormat>,
    context: &Context,
) -> Result<TraceInfo, CliError> {
    Ok(match open_either(path, format, context)? {
        Opened::References(mut reader) => trace::info(&mut *reader)?,
        Opened::Runs(mut reader) => trace::info_of_runs(&mut reader)?,
    })
}

/// The `--json` object of each subcommand: what is in the file.
#[derive(Serialize)]
struct WrittenObject<'a> {
    file: String,
    #[serde(flatten)]
    info: &'a TraceInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<bool>,
}

impl<'a> WrittenObject<'a> {
    fn new(path: &Path, info: &'a TraceInfo) -> Self {
        Self {
            file: path.display().to_string(),
            info,
            status: None,
            stopped: None,
        }
    }
}

fn written_line(path: &Path, written: &Written) -> String {
    let references = written.counts.total();
    format!(
        "Wrote {}: {} references in {} bytes, {:.2} bytes each.\n",
        path.display(),
        grouped(references),
        grouped(written.file_bytes),
        written.file_bytes as f64 / references.max(1) as f64
    )
}

/// What a person must know of figures from a trace that was first read from `source`: a line each.
pub(super) fn caveats(source: Option<TraceFormat>) -> Vec<String> {
    let assumptions = source.map_or(&[][..], TraceFormat::assumptions);
    let assumed = assumptions.iter().map(|text| format!("Assumed: {text}.\n"));
    let incomplete = source.and_then(TraceFormat::incomplete);
    let incomplete = incomplete.map(|text| format!("Incomplete: {text}.\n"));
    assumed.chain(incomplete).collect()
}

fn summary(info: &TraceInfo) -> String {
    let counts = |name: &str, counts: &Counts| {
        let mut row = vec![name.to_owned(), grouped(counts.total())];
        row.extend([counts.fetches, counts.loads, counts.stores].map(grouped));
        row
    };
    let mut rows = vec![counts("references", &info.counts)];
    rows.extend(
        info.translations
            .map(|found| counts("translations", &found)),
    );
    let compression = info
        .compression
        .map_or(String::new(), |compression| format!(", {compression}"));
    let source = info
        .source
        .filter(|source| *source != info.format)
        .map_or(String::new(), |source| format!(", made from {source}"));
    let runs = info
        .runs
        .map_or(String::new(), |runs| format!(", {} runs", grouped(runs)));
    let instructions = info.instructions.map_or("not known".to_owned(), grouped);
    format!(
        "{}Format: {}{runs}{compression}{source}; {} bytes.\n{}Instructions: {instructions}.\n\
         Distinct pages, if all were of one size: {} of 4 KiB, {} of 2 MiB, {} of 1 GiB.\n",
        table(&["", "all", "fetches", "loads", "stores"], &rows),
        info.format,
        grouped(info.file_bytes),
        caveats(info.source).concat(),
        grouped(info.pages.size_4k),
        grouped(info.pages.size_2m),
        grouped(info.pages.size_1g),
    )
}
