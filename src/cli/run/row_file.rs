//! A table that is written row by row to a file: CSV, or Parquet, by the file's name.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! The file stands under a temporary name beside its place until it is complete. Memory does not grow with it, but for some hundred bytes of
//! directory for every 65,536 rows of Parquet.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tempfile::NamedTempFile;

use crate::cli::error::CliError;
use crate::trace::{resolve_target, temporary_beside};

/// Rows of a row group of Parquet, which are in memory until it is complete.
const GROUP_ROWS: usize = 1 << 16;
/// Compression of `.csv.zst`.
const ZSTD_LEVEL: i32 = 3;

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Whole,
    /// Whole numbers, in CSV as `0x` and hexadecimal digits.
    Hexadecimal,
    /// Real numbers.
    Real,
    /// Words.
    Text,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name: lower-case letters, digits and underscores.
    pub name: String,
    /// What its cells are.
    pub kind: Kind,
    /// Cells may be empty.
    pub nullable: bool,
}

/// A cell; its kind must be that of its column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Of [`Kind::Whole`] and [`Kind::Hexadecimal`].
    Whole(u64),
    /// Of [`Kind::Real`].
    Real(f64),
    /// Of [`Kind::Text`].
    Text(&'static str),
}

/// The form of a file, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    CsvZstd,
    Parquet,
}

/// The path of a file with rows, for the command line.
///
/// # Errors
/// The name has none of the known ends.
pub fn parse_path(name: &str) -> Result<PathBuf, String> {
    form_of(name).map(|_| PathBuf::from(name)).ok_or_else(|| {
        "the file's name says its form: it must end with .csv, .csv.zst or .parquet".to_owned()
    })
}

fn form_of(name: &str) -> Option<Form> {
    [
        (".csv", Form::Csv),
        (".csv.zst", Form::CsvZstd),
        (".parquet", Form::Parquet),
    ]
    .into_iter()
    .find_map(|(end, form)| name.ends_with(end).then_some(form))
}

type Sink = BufWriter<NamedTempFile>;

enum Writer {
    Csv(csv::Writer<Sink>),
    CsvZstd(csv::Writer<zstd::Encoder<'static, Sink>>),
    Parquet(Box<Groups>),
}

/// A file in the making. Dropped before [`RowFile::finish`] it leaves no trace, and what stood at its place stays.
pub struct RowFile {
    name: String,
    target: PathBuf,
    columns: Vec<Column>,
    form: Writer,
    /// The text of a cell of CSV.
    text: String,
}

impl RowFile {
    /// Begins a file that is to stand at `path`, with a headline of the columns.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path, columns: Vec<Column>) -> Result<Self, CliError> {
        let name = path.display().to_string();
        let begin = || -> io::Result<(PathBuf, Writer)> {
            let target = resolve_target(path)?;
            let sink = BufWriter::new(temporary_beside(&target)?);
            let form = match form_of(&name).unwrap_or(Form::Csv) {
                Form::Csv => Writer::Csv(headed(sink, &columns)?),
                Form::CsvZstd => {
                    let packer = zstd::Encoder::new(sink, ZSTD_LEVEL)?;
                    Writer::CsvZstd(headed(packer, &columns)?)
                }
                Form::Parquet => Writer::Parquet(Box::new(Groups::new(sink, &columns)?)),
            };
            Ok((target, form))
        };
        let (target, form) = begin().map_err(|error| unwritable(&name, &error))?;
        Ok(Self {
            name,
            target,
            columns,
            form,
            text: String::new(),
        })
    }

    /// Writes the next row, a cell a column.
    ///
    /// # Errors
    /// It cannot be written, such as on a full disk.
    pub fn push(&mut self, cells: &[Cell]) -> Result<(), CliError> {
        debug_assert_eq!(cells.len(), self.columns.len());
        let pushed = match &mut self.form {
            Writer::Csv(writer) => push_csv(writer, &self.columns, cells, &mut self.text),
            Writer::CsvZstd(writer) => push_csv(writer, &self.columns, cells, &mut self.text),
            Writer::Parquet(groups) => groups.push(cells),
        };
        pushed.map_err(|error| unwritable(&self.name, &error))
    }

    /// Completes the file, and puts it in its place.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> Result<(), CliError> {
        let Self {
            name, target, form, ..
        } = self;
        let end = || -> io::Result<()> {
            let unbuffered = |sink: Sink| sink.into_inner().map_err(io::Error::from);
            let unwrapped = |error: csv::IntoInnerError<_>| io::Error::other(error.to_string());
            let temporary = match form {
                Writer::Csv(writer) => unbuffered(writer.into_inner().map_err(unwrapped)?)?,
                Writer::CsvZstd(writer) => {
                    let packer = writer
                        .into_inner()
                        .map_err(|error| io::Error::other(error.to_string()))?;
                    unbuffered(packer.finish()?)?
                }
                Writer::Parquet(groups) => unbuffered(groups.finish()?)?,
            };
            temporary.as_file().sync_all()?;
            temporary.persist(&target).map_err(|failed| failed.error)?;
            Ok(())
        };
        end().map_err(|error| unwritable(&name, &error))
    }
}

fn unwritable(name: &str, error: &io::Error) -> CliError {
    CliError::new(
        format_args!("{name}: cannot be written: {error}"),
        "name a file in a directory that exists and can be written, with room for it",
    )
}

fn headed<W: Write>(sink: W, columns: &[Column]) -> io::Result<csv::Writer<W>> {
    let mut writer = csv::Writer::from_writer(sink);
    writer.write_record(columns.iter().map(|column| &column.name))?;
    Ok(writer)
}

fn push_csv<W: Write>(
    writer: &mut csv::Writer<W>,
    columns: &[Column],
    cells: &[Cell],
    text: &mut String,
) -> io::Result<()> {
    use std::fmt::Write as _;

    for (column, cell) in columns.iter().zip(cells) {
        text.clear();
        // Writing into a string does not fail.
        let _ = match cell {
            Cell::Empty => Ok(()),
            Cell::Whole(number) if column.kind == Kind::Hexadecimal => write!(text, "{number:#x}"),
            Cell::Whole(number) => write!(text, "{number}"),
            Cell::Real(number) => write!(text, "{number}"),
            Cell::Text(word) => text.write_str(word),
        };
        writer.write_field(text.as_bytes())?;
    }
    writer.write_record(None::<&[u8]>)?;
    Ok(())
}

/// The cells of a column of the row group in the making.
enum Cells {
    Whole(Vec<i64>),
    Real(Vec<f64>),
    Text(Vec<ByteArray>),
}

/// A file of Parquet: its row groups follow each other.
struct Groups {
    writer: SerializedFileWriter<Sink>,
    columns: Vec<Cells>,
    /// By column: which cells there are, 1 or 0; empty for a column that has all.
    present: Vec<Option<Vec<i16>>>,
    rows: usize,
}

impl Groups {
    fn new(sink: Sink, columns: &[Column]) -> Result<Self, ParquetError> {
        let mut message = "message rows {\n".to_owned();
        for column in columns {
            let presence = if column.nullable {
                "optional"
            } else {
                "required"
            };
            let (physical, logical) = match column.kind {
                Kind::Whole | Kind::Hexadecimal => ("INT64", " (INTEGER(64,false))"),
                Kind::Real => ("DOUBLE", ""),
                Kind::Text => ("BYTE_ARRAY", " (STRING)"),
            };
            message += &format!("{presence} {physical} {}{logical};\n", column.name);
        }
        message.push('}');
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .build();
        let schema = Arc::new(parse_message_type(&message)?);
        let empty = |column: &Column| match column.kind {
            Kind::Whole | Kind::Hexadecimal => Cells::Whole(Vec::new()),
            Kind::Real => Cells::Real(Vec::new()),
            Kind::Text => Cells::Text(Vec::new()),
        };
        Ok(Self {
            writer: SerializedFileWriter::new(sink, schema, Arc::new(properties))?,
            columns: columns.iter().map(empty).collect(),
            present: columns
                .iter()
                .map(|column| column.nullable.then(Vec::new))
                .collect(),
            rows: 0,
        })
    }

    fn push(&mut self, cells: &[Cell]) -> io::Result<()> {
        let columns = self.columns.iter_mut().zip(&mut self.present);
        for (cell, (column, present)) in cells.iter().zip(columns) {
            if let Some(present) = present {
                present.push(i16::from(*cell != Cell::Empty));
            }
            match (cell, column) {
                (Cell::Empty, _) => {}
                // The schema says that they have no sign.
                (Cell::Whole(number), Cells::Whole(numbers)) => numbers.push(*number as i64),
                (Cell::Real(number), Cells::Real(numbers)) => numbers.push(*number),
                (Cell::Text(word), Cells::Text(words)) => words.push(ByteArray::from(*word)),
                _ => return Err(io::Error::other("a cell is not of its column's kind")),
            }
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for (column, present) in self.columns.iter_mut().zip(&mut self.present) {
            let Some(mut writer) = group.next_column()? else {
                break;
            };
            let levels = present.as_deref();
            match column {
                Cells::Whole(cells) => {
                    let typed = writer.typed::<Int64Type>();
                    typed.write_batch(cells, levels, None)?;
                    cells.clear();
                }
                Cells::Real(cells) => {
                    let typed = writer.typed::<DoubleType>();
                    typed.write_batch(cells, levels, None)?;
                    cells.clear();
                }
                Cells::Text(cells) => {
                    let typed = writer.typed::<ByteArrayType>();
                    typed.write_batch(cells, levels, None)?;
                    cells.clear();
                }
            }
            writer.close()?;
            if let Some(present) = present {
                present.clear();
            }
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Sink, ParquetError> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    fn columns() -> Vec<Column> {
        [
            ("number", Kind::Whole, false),
            ("va", Kind::Hexadecimal, false),
            ("mpki", Kind::Real, true),
            ("kind", Kind::Text, false),
        ]
        .map(|(name, kind, nullable)| Column {
            name: name.to_owned(),
            kind,
            nullable,
        })
        .into()
    }

    fn write(path: &Path, rows: u64) {
        let mut file = RowFile::create(path, columns()).expect("it can be created");
        for number in 0..rows {
            let rate = match number % 3 {
                0 => Cell::Empty,
                _ => Cell::Real(number as f64 / 2.0),
            };
            let cells = [
                Cell::Whole(number),
                Cell::Whole(u64::MAX - number),
                rate,
                Cell::Text("read"),
            ];
            file.push(&cells).expect("it can be written");
        }
        assert!(!path.exists(), "it is not there before it is complete");
        file.finish().expect("it can be written");
    }

    #[test]
    fn csv_has_a_headline_and_a_line_a_row_compressed_or_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let (plain, packed) = (
            directory.path().join("a.csv"),
            directory.path().join("a.csv.zst"),
        );
        write(&plain, 2);
        write(&packed, 2);
        let text = std::fs::read(&plain).expect("it is there");
        let unpacked = zstd::decode_all(std::fs::File::open(packed).expect("there"));
        assert_eq!(unpacked.expect("zstd"), text);
        let expected =
            "number,va,mpki,kind\n0,0xffffffffffffffff,,read\n1,0xfffffffffffffffe,0.5,read\n";
        assert_eq!(String::from_utf8(text).expect("UTF-8"), expected);
        assert_eq!(
            std::fs::read_dir(directory.path()).expect("there").count(),
            2
        );
    }

    #[test]
    fn parquet_gives_back_what_was_written_over_several_row_groups() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.parquet");
        let rows = 2 * GROUP_ROWS as u64 + 5;
        write(&path, rows);
        let file = std::fs::File::open(&path).expect("it is there");
        let reader = SerializedFileReader::new(file).expect("Parquet");
        assert_eq!(reader.metadata().num_row_groups(), 3);
        let mut number = 0;
        for row in reader.get_row_iter(None).expect("rows") {
            let row = row.expect("a row");
            assert_eq!(row.get_ulong(0).expect("whole"), number);
            assert_eq!(row.get_ulong(1).expect("whole"), u64::MAX - number);
            let rate = row.get_double(2).ok();
            assert_eq!(rate, (number % 3 > 0).then_some(number as f64 / 2.0));
            assert_eq!(row.get_string(3).expect("text"), "read");
            number += 1;
        }
        assert_eq!(number, rows);
    }

    #[test]
    fn a_file_that_is_not_finished_leaves_what_stood_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.csv");
        std::fs::write(&path, "old").expect("written");
        let mut file = RowFile::create(&path, columns()).expect("it can be created");
        let row = [Cell::Whole(1), Cell::Whole(1), Cell::Empty, Cell::Text("")];
        file.push(&row).expect("it can be written");
        drop(file);
        assert_eq!(std::fs::read(&path).expect("there"), b"old");
        assert_eq!(
            std::fs::read_dir(directory.path()).expect("there").count(),
            1
        );
        assert!(parse_path("rows.txt").is_err() && parse_path("rows.csv.zst").is_ok());
        assert!(RowFile::create(Path::new("/missing/a.csv"), columns()).is_err());
    }
}
