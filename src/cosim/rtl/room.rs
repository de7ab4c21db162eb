//! Whether a disk has room for a file of Verilator's runtime, and whether such a file came out whole.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! The runtime does not look at what its writes return: on a full disk it leaves a file that is cut off without a word, and its writer
//! of FST, which maps what it believes to have written, even ends the process by a signal. So room is made sure of before a file is
//! begun and before it is ended, and what was written is looked at.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Room that must be there when a wave begins: more than the names of all signals, and a window of some thousand cycles.
pub const FOR_A_BEGIN_BYTES: u64 = 16 << 20;
/// Room that must be there when a wave ends: more than what the runtime still holds back.
pub const FOR_AN_END_BYTES: u64 = 4 << 20;

/// Makes sure of room on the disk of the file `beside`, by writing a file next to it that is gone afterwards.
///
/// # Errors
/// There is no room, or no file can be made there.
pub fn make_sure(beside: &Path, bytes: u64) -> io::Result<()> {
    let directory = match beside.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Zeros that are written take their place; a length that is only set does not.
    let mut file = tempfile::tempfile_in(directory)?;
    io::copy(&mut io::repeat(0).take(bytes), &mut file)?;
    file.flush()
}

/// Whether a file in FST form is whole: a header, blocks up to its last byte, and among them the names of the signals.
///
/// # Errors
/// It is not, or it cannot be read.
pub fn whole_fst(path: &Path) -> io::Result<()> {
    const HEADER: u8 = 0;
    const NAMES: [u8; 3] = [4, 6, 7];
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the wave was cut off");
    let mut file = fs::File::open(path)?;
    let end = file.metadata()?.len();
    let (mut at, mut has_names) = (0, false);
    while at < end {
        // A block: its type, its length without the type, what is in it.
        let mut block = [0; 9];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut block).map_err(|_| cut())?;
        let [kind, length @ ..] = block;
        if (kind == HEADER) != (at == 0) {
            return Err(cut());
        }
        has_names |= NAMES.contains(&kind);
        at = u64::from_be_bytes(length)
            .checked_add(at + 1)
            .filter(|next| *next <= end && *next >= at + 9)
            .ok_or_else(cut)?;
    }
    if has_names { Ok(()) } else { Err(cut()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_no_disk_has_is_an_error_and_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        make_sure(&directory.path().join("wave"), 1 << 16).expect("64 KiB are there");
        let left = fs::read_dir(directory.path()).expect("a listing").count();
        assert_eq!(left, 0);
        assert!(make_sure(&directory.path().join("none/wave"), 1).is_err());
    }

    #[test]
    fn a_wave_that_lacks_its_last_byte_its_end_or_everything_is_not_whole() {
        let block = |kind: u8, bytes: &[u8]| {
            let mut block = vec![kind];
            block.extend((bytes.len() as u64 + 8).to_be_bytes());
            block.extend(bytes);
            block
        };
        let whole = [block(0, &[7; 321]), block(8, &[1, 2]), block(6, &[3])].concat();
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("wave.fst");
        let judge = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("a file");
            whole_fst(&path).is_ok()
        };
        assert!(judge(&whole));
        for length in 0..whole.len() {
            assert!(!judge(&whole[..length]), "cut off at {length}");
        }
        assert!(!judge(&[whole.as_slice(), &[255; 9]].concat()));
        assert!(!judge(&[0; 1000]));
    }
}
