//! The text form of a stimulus, read. The grammar is `docs/stim.md`.
//!
//! Contract: section 3 (what a request may be). SDM: none. Counterpart: `print.rs`.

use std::path::Path;

use super::expressions as expr;
use super::layout::Layout;
use super::lines::{StimulusError, Trouble, Word, Words, clip};
use super::{
    Action, Control, ControlKind, FORMAT_VERSION, HalfStore, Operation, Request, Stimulus, Store,
};
use crate::arch::registers::{cr0, cr4, efer};
use crate::arch::{Access, AccessKind, PagingMode};
use crate::cosim::stall::{Link, StallRates};
use crate::model::mmu_pkg::MAX_PORTS;

/// First word of the first line of every file.
pub const MAGIC: &str = "twinwalk-stim";
/// Bytes of a request that a file does not give: as a machine's word.
pub const DEFAULT_SIZE_BYTES: u8 = 8;
/// Most cycles that a gap or an `idle` may have.
pub const MAX_GAP_CYCLES: u64 = 1_000_000;

/// Words that begin a line, for the error message.
const LINE_FORM: &str = "a line begins with about, config, set, config-hash, seed, stall, tables, space, table, map, cell, cell4; or, after an \
     optional +GAP, with boot, fetch, read, write, cr0, cr3, cr4, efer, invlpg, invpcid, store, store4, drain, idle";

/// Reads a stimulus file.
///
/// # Errors
/// [`StimulusError`] with the place and the remedy; also if the file cannot be read or is not UTF-8.
pub fn load(path: &Path) -> Result<Stimulus, StimulusError> {
    let name = path.display().to_string();
    let whole = |line, problem: String, remedy: &str| StimulusError {
        file: name.clone(),
        line,
        column: 0,
        problem,
        remedy: remedy.to_owned(),
    };
    let bytes = std::fs::read(path).map_err(|error| {
        whole(
            0,
            format!("cannot be read: {error}"),
            "name an existing, readable .stim file",
        )
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        whole(
            line,
            format!("byte {} is not UTF-8 text", error.valid_up_to()),
            "give a .stim text file (docs/stim.md)",
        )
    })?;
    parse(&name, text)
}

/// Reads a stimulus from `text`; `file` names it in errors.
///
/// # Errors
/// [`StimulusError`] with the place and the remedy.
pub fn parse(file: &str, text: &str) -> Result<Stimulus, StimulusError> {
    let mut parser = Parser::default();
    let mut last_line = 0;
    for (index, line) in text.lines().enumerate() {
        last_line = index + 1;
        parser
            .line(line)
            .map_err(|trouble| trouble.at(file, last_line))?;
    }
    if !parser.begun {
        let trouble = Trouble::new(
            0,
            "the file is empty",
            format_args!("begin it with `{MAGIC} {FORMAT_VERSION}`"),
        );
        return Err(trouble.at(file, last_line));
    }
    let mut stimulus = parser.stimulus;
    stimulus.setup.image = parser.layout.image;
    Ok(stimulus)
}

#[derive(Default)]
struct Parser {
    stimulus: Stimulus,
    layout: Layout,
    /// The line with format and version was read.
    begun: bool,
    seed_given: bool,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), Trouble> {
        let mut words = Words::of(line);
        let Some(first) = words.take() else {
            return Ok(());
        };
        if !self.begun {
            return self.first_line(first, &mut words);
        }
        if first.text == "about" {
            let text = line.trim_start().get("about".len()..).unwrap_or("").trim();
            self.stimulus.setup.about.push(text.to_owned());
            return Ok(());
        }
        if let Some(gap) = first.text.strip_prefix('+') {
            let number = Word {
                text: gap,
                column: first.column + 1,
            };
            let gap_cycles = gap_number(number)?;
            let form = "+GAP OPERATION";
            let verb = words.expect("an operation", form)?;
            return if self.operation(verb, &mut words, gap_cycles)? {
                Ok(())
            } else {
                Err(verb.trouble(
                    format_args!("`{}` is not an operation", clip(verb.text)),
                    "only operations take a +GAP (docs/stim.md)",
                ))
            };
        }
        if self.header(first, &mut words)?
            || self.image(first, &mut words)?
            || self.operation(first, &mut words, 0)?
        {
            return Ok(());
        }
        Err(first.trouble(
            format_args!("`{}` is not known here", clip(first.text)),
            LINE_FORM,
        ))
    }

    fn first_line(&mut self, first: Word, words: &mut Words) -> Result<(), Trouble> {
        let form = format!("{MAGIC} {FORMAT_VERSION}");
        if first.text != MAGIC {
            return Err(first.trouble(
                "this is not a stimulus",
                format_args!("begin the file with `{form}`"),
            ));
        }
        let version = words.expect("the format version", &form)?;
        if version.number()? != u64::from(FORMAT_VERSION) {
            return Err(version.trouble(
                format_args!("format version {} is not known", clip(version.text)),
                format_args!(
                    "this build reads version {FORMAT_VERSION}; use the build that wrote the file"
                ),
            ));
        }
        words.expect_end(&form)?;
        self.begun = true;
        Ok(())
    }

    /// A header line. `false`: it is not one.
    fn header(&mut self, first: Word, words: &mut Words) -> Result<bool, Trouble> {
        let setup = &mut self.stimulus.setup;
        match first.text {
            "config" => {
                let form = "config preset:NAME";
                let name = words.expect("a preset", form)?;
                if !name.text.starts_with("preset:") {
                    return Err(name.trouble(
                        format_args!("`{}` is not a preset", clip(name.text)),
                        format_args!("write: {form} (other machines: set KEY=VALUE)"),
                    ));
                }
                if setup.config.base.is_some() {
                    return Err(
                        first.trouble("the preset is given twice", "keep one `config` line")
                    );
                }
                setup.config.base = Some(name.text.to_owned());
                words.expect_end(form)?;
            }
            "set" => {
                let form = "set KEY=VALUE";
                let mut text = words.expect("KEY=VALUE", form)?.text.to_owned();
                // A value in TOML may have blanks; one is as good as several.
                while let Some(more) = words.take() {
                    text.push(' ');
                    text.push_str(more.text);
                }
                setup.config.overrides.push(text);
            }
            "config-hash" => {
                let form = "config-hash 16_HEX_DIGITS";
                let hash = words.expect("a hash", form)?;
                let digits = hash.text.bytes().all(|b| b.is_ascii_hexdigit());
                if hash.text.len() != 16 || !digits || setup.config.hash.is_some() {
                    return Err(hash.trouble(
                        "this is not a configuration's one hash",
                        format_args!("write once: {form}"),
                    ));
                }
                setup.config.hash = Some(hash.text.to_ascii_lowercase());
                words.expect_end(form)?;
            }
            "seed" => {
                let form = "seed NUMBER";
                if self.seed_given {
                    return Err(first.trouble("the seed is given twice", "keep one `seed` line"));
                }
                setup.seed = words.expect("the seed", form)?.number()?;
                self.seed_given = true;
                words.expect_end(form)?;
            }
            "stall" => stall_line(&mut setup.stalls, words)?,
            "front-end" => {
                words.expect_end("front-end")?;
                setup.front_end = true;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A line of the memory image. `false`: it is not one.
    fn image(&mut self, first: Word, words: &mut Words) -> Result<bool, Trouble> {
        if !matches!(
            first.text,
            "tables" | "space" | "table" | "map" | "cell" | "cell4"
        ) {
            return Ok(false);
        }
        if !self.stimulus.operations.is_empty() {
            return Err(first.trouble(
                format_args!("`{}` after the first operation", first.text),
                "move it before the operations, or use `store`",
            ));
        }
        match first.text {
            "tables" => {
                let form = "tables ADDRESS [accessed]";
                let word = words.expect("an address", form)?;
                let address = word.number()?;
                if address % 0x1000 != 0 || address >= 1 << 52 {
                    return Err(word.trouble(
                        format_args!("{address:#x} is not the address of a frame"),
                        "give a multiple of 4096 below 2^52",
                    ));
                }
                let accessed = words.peek().is_some();
                if accessed {
                    words.expect_exactly("accessed", form)?;
                }
                self.layout.set_tables(address, accessed);
                words.expect_end(form)?;
            }
            "space" => {
                let form = "space NAME 2|4|5";
                let name = new_name(words, form)?;
                let word = words.expect("the number of levels", form)?;
                let levels = word.number_in("the number of levels", 2, 5)? as u8;
                if levels == 3 {
                    return Err(word.trouble(
                        "three levels are those of PAE paging, which this machine does not have",
                        format_args!("write: {form}"),
                    ));
                }
                words.expect_end(form)?;
                let added = self.layout.add_space(name.text, levels);
                added.map_err(|problem| name.trouble(problem, "choose another name"))?;
            }
            "table" => {
                let form = "table NAME";
                let name = new_name(words, form)?;
                words.expect_end(form)?;
                let added = self.layout.add_table(name.text);
                added.map_err(|problem| name.trouble(problem, "choose another name"))?;
            }
            "map" => self.map_line(words)?,
            "cell4" => {
                let form = "cell4 ADDRESS = VALUE";
                let address = words.expect("an address", form)?;
                let address = expr::half_address(address, &self.layout)?;
                words.expect_exactly("=", form)?;
                let value = expr::half_value(words, &self.layout, form)?;
                self.layout
                    .set_entry(PagingMode::TwoLevel, address, value.into());
            }
            _ => {
                let form = "cell ADDRESS = VALUE";
                let address = words.expect("an address", form)?;
                let address = expr::cell_address(address, &self.layout)?;
                words.expect_exactly("=", form)?;
                let value = expr::value(words, &self.layout, form)?;
                self.layout.image.insert(address, value);
            }
        }
        Ok(true)
    }

    fn map_line(&mut self, words: &mut Words) -> Result<(), Trouble> {
        let form = "map [SPACE:]VA -> PA SIZE [FLAG...]";
        let target = words.expect("a virtual address", form)?;
        let (space, va) = match target.split_once(':') {
            Some((space, va)) => (Some(space.text), va),
            None => (None, target),
        };
        let address = va.number()?;
        words.expect_exactly("->", form)?;
        let pa = words.expect("a physical address", form)?;
        let size = expr::page_size(words.expect("a page size", form)?)?;
        let leaf = expr::leaf(words, size, pa)?;
        self.layout
            .space(space)
            .and_then(|space| self.layout.map(space, address, size, leaf))
            .map_err(|problem| {
                target.trouble(
                    problem,
                    "declare the space first, map each page once, and give a page that the space can have (docs/stim.md)",
                )
            })
    }

    /// An operation. `false`: it is not one.
    fn operation(
        &mut self,
        verb: Word,
        words: &mut Words,
        gap_cycles: u32,
    ) -> Result<bool, Trouble> {
        let action = match verb.text {
            "boot" => return self.boot(words, gap_cycles).map(|()| true),
            "fetch" => request(AccessKind::Fetch, words)?,
            "read" => request(AccessKind::Read, words)?,
            "write" => request(AccessKind::Write, words)?,
            "store" => {
                let form = "store ADDRESS = VALUE";
                let word = words.expect("an address", form)?;
                let address = expr::cell_address(word, &self.layout)?;
                words.expect_exactly("=", form)?;
                let value = expr::value(words, &self.layout, form)?;
                Action::Store(Store { address, value })
            }
            "store4" => {
                let form = "store4 ADDRESS = VALUE";
                let word = words.expect("an address", form)?;
                let address = expr::half_address(word, &self.layout)?;
                words.expect_exactly("=", form)?;
                let value = expr::half_value(words, &self.layout, form)?;
                Action::StoreHalf(HalfStore { address, value })
            }
            "drain" => {
                words.expect_end("drain")?;
                Action::Drain
            }
            "idle" => {
                let form = "idle CYCLES";
                let cycles = gap_number(words.expect("a number of cycles", form)?)?;
                words.expect_end(form)?;
                Action::Idle { cycles }
            }
            "hold" => {
                let form = "hold LINK CYCLES";
                let name = words.expect("a link", form)?;
                let link = Link::from_name(name.text).ok_or_else(|| no_link(&name, ""))?;
                let cycles = gap_number(words.expect("a number of cycles", form)?)?;
                words.expect_end(form)?;
                Action::Hold { link, cycles }
            }
            name => {
                let Some(kind) = ControlKind::ALL.into_iter().find(|k| k.name() == name) else {
                    return Ok(false);
                };
                Action::Control(self.control(kind, words)?)
            }
        };
        self.push(gap_cycles, action);
        Ok(true)
    }

    fn push(&mut self, gap_cycles: u32, action: Action) {
        self.stimulus
            .operations
            .push(Operation { gap_cycles, action });
    }

    fn control(&self, kind: ControlKind, words: &mut Words) -> Result<Control, Trouble> {
        match kind {
            ControlKind::Invlpg => {
                let form = "invlpg VA";
                let va = words.expect("an address", form)?.number()?;
                words.expect_end(form)?;
                Ok(Control::new(kind, va))
            }
            ControlKind::Invpcid => invpcid(words),
            _ => {
                let form = format!("{} VALUE", kind.name());
                let word = words.expect("a value", &form)?;
                let value = expr::register_value(word, kind, &self.layout)?;
                words.expect_end(&form)?;
                Ok(Control::new(kind, value))
            }
        }
    }

    /// `boot SPACE [FLAG...]`: the writes that bring the machine from reset into paging, and a `drain`.
    fn boot(&mut self, words: &mut Words, gap_cycles: u32) -> Result<(), Trouble> {
        let form = "boot SPACE [WP] [NXE] [PSE] [PGE] [PCIDE] [SMEP] [SMAP] [PKE]";
        let name = words.expect("an address space", form)?;
        let space = self.layout.space(Some(name.text));
        let space = space.map_err(|p| name.trouble(p, "declare it first: space NAME 2|4|5"))?;
        let mut cr0_value = cr0::PE | cr0::PG;
        let (mut cr4_value, mut efer_value) = match space.mode() {
            PagingMode::TwoLevel => (0, 0),
            PagingMode::FiveLevel => (cr4::PAE | cr4::LA57, efer::LME),
            PagingMode::FourLevel | PagingMode::Off => (cr4::PAE, efer::LME),
        };
        let mut pcide = false;
        while let Some(flag) = words.take() {
            match flag.text {
                "WP" => cr0_value |= cr0::WP,
                "NXE" => efer_value |= efer::NXE,
                "PCIDE" if space.mode() == PagingMode::TwoLevel => {
                    return Err(flag.trouble(
                        "CR4.PCIDE cannot be set in 32-bit paging",
                        "leave it out, or boot an address space of 4 or 5 levels",
                    ));
                }
                "PCIDE" => pcide = true,
                "PSE" => cr4_value |= cr4::PSE,
                "PGE" => cr4_value |= cr4::PGE,
                "SMEP" => cr4_value |= cr4::SMEP,
                "SMAP" => cr4_value |= cr4::SMAP,
                "PKE" => cr4_value |= cr4::PKE,
                other => {
                    return Err(flag.trouble(
                        format_args!("`{}` is not a flag of boot", clip(other)),
                        format_args!("write: {form}"),
                    ));
                }
            }
        }
        let mut writes = vec![
            (ControlKind::WrmsrEfer, efer_value),
            (ControlKind::MovCr4, cr4_value),
            (ControlKind::MovCr3, space.root),
            (ControlKind::MovCr0, cr0_value),
        ];
        if pcide {
            // PCIDE may become 1 only once paging is on.
            writes.push((ControlKind::MovCr4, cr4_value | cr4::PCIDE));
        }
        for (index, (kind, value)) in writes.into_iter().enumerate() {
            let gap = if index == 0 { gap_cycles } else { 0 };
            self.push(gap, Action::Control(Control::new(kind, value)));
        }
        self.push(0, Action::Drain);
        Ok(())
    }
}

fn gap_number(word: Word) -> Result<u32, Trouble> {
    word.number_in("the number of cycles", 0, MAX_GAP_CYCLES)
        .map(|cycles| cycles as u32)
}

/// A name: a letter, then letters, digits, `_` and `-`.
fn new_name<'a>(words: &mut Words<'a>, form: &str) -> Result<Word<'a>, Trouble> {
    let name = words.expect("a name", form)?;
    let legal = name
        .text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if legal && name.text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        Ok(name)
    } else {
        Err(name.trouble(
            format_args!("`{}` is not a name", clip(name.text)),
            "begin with a letter, go on with letters, digits, _ and -",
        ))
    }
}

fn stall_line(rates: &mut StallRates, words: &mut Words) -> Result<(), Trouble> {
    let form = "stall LINK|all PERMILLE";
    let name = words.expect("a link", form)?;
    let most = u64::from(StallRates::MAX_PERMILLE);
    let permille = words
        .expect("a rate in thousandths", form)?
        .number_in("the rate", 0, most)? as u16;
    words.expect_end(form)?;
    if name.text == "all" {
        *rates = StallRates::uniform(permille);
        return Ok(());
    }
    match Link::from_name(name.text) {
        Some(link) => rates.set(link, permille),
        None => return Err(no_link(&name, "all, ")),
    }
    Ok(())
}

/// A word that should name a link; `also`: what else it might be.
fn no_link(name: &Word, also: &str) -> Trouble {
    let names: Vec<String> = Link::all().map(|link| link.to_string()).collect();
    name.trouble(
        format_args!("`{}` is not a link", clip(name.text)),
        format_args!("links are {also}{}", names.join(", ")),
    )
}

/// A request from the words after its kind.
fn request(kind: AccessKind, words: &mut Words) -> Result<Action, Trouble> {
    let form =
        "fetch|read|write VA [user] [cpl=0..3] [ac] [implicit] [pkru=N] [size=1..64] [port=N]";
    let va_word = words.expect("an address", form)?;
    let va = va_word.number()?;
    let mut access = Access::new(kind, 0);
    let mut size_bytes = None;
    let mut port = if kind == AccessKind::Fetch { 0 } else { 1 };
    while let Some(word) = words.take() {
        match (word.text, word.split_once('=')) {
            ("user", _) => access.cpl = 3,
            ("ac", _) => access.ac = true,
            ("implicit", _) => access.implicit_supervisor = true,
            (_, Some((key, value))) => match key.text {
                "cpl" => access.cpl = value.number_in("the CPL", 0, 3)? as u8,
                "pkru" => access.pkru = value.number_in("PKRU", 0, 0xffff_ffff)? as u32,
                "size" => size_bytes = Some(value.number_in("the size", 1, 64)? as u8),
                "port" => port = port_number(kind, value)?,
                _ => return Err(unknown_option(word, form)),
            },
            _ => return Err(unknown_option(word, form)),
        }
    }
    let room = 0x1000 - (va & 0xfff);
    // What a file does not say must not be refused: the default shrinks at the end of a page.
    let size_bytes = size_bytes.unwrap_or(DEFAULT_SIZE_BYTES.min(room.min(255) as u8));
    if u64::from(size_bytes) > room {
        return Err(va_word.trouble(
            format_args!("{size_bytes} bytes at {va:#x} cross a page"),
            "split the access at the multiple of 4096",
        ));
    }
    Ok(Action::Request(Request {
        port,
        va,
        access,
        size_bytes,
    }))
}

fn port_number(kind: AccessKind, value: Word) -> Result<u8, Trouble> {
    let last = MAX_PORTS as u64 - 1;
    if kind == AccessKind::Fetch {
        return value
            .number_in("the port of a fetch", 0, 0)
            .map(|p| p as u8);
    }
    value
        .number_in("the port of a data access", 1, last)
        .map(|p| p as u8)
}

fn unknown_option(word: Word, form: &str) -> Trouble {
    word.trouble(
        format_args!("`{}` is not known here", clip(word.text)),
        format_args!("write: {form}"),
    )
}

/// `invpcid TYPE [pcid=N] [va=N] [desc=N]`; `desc` is the whole lower quadword, for what is refused.
fn invpcid(words: &mut Words) -> Result<Control, Trouble> {
    let form = "invpcid TYPE [pcid=0..4095 | desc=NUMBER] [va=ADDRESS]";
    let mut control = Control::new(ControlKind::Invpcid, 0);
    control.invpcid_type = words.expect("a type", form)?.number()?;
    while let Some(word) = words.take() {
        let Some((key, value)) = word.split_once('=') else {
            return Err(unknown_option(word, form));
        };
        match key.text {
            "pcid" => control.data = value.number_in("the PCID", 0, 0xfff)?,
            "desc" => control.data = value.number()?,
            "va" => control.addr = value.number()?,
            _ => return Err(unknown_option(word, form)),
        }
    }
    Ok(control)
}
