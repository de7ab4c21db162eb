//! Sizes as people write them: `16M` read, `4 MiB` and `2^36` printed.
//!
//! Contract: none. SDM: none. Counterpart: none.

/// Units of 2^10, 2^20 and so on, smallest first.
const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
/// log2 of the step from a unit to the next.
const STEP_BITS: usize = 10;
/// A number from which on powers of two are written as such.
const POWER_FROM: u64 = 1 << 10;

/// A size in the largest binary unit that it reaches: `4 MiB` where it is whole, else cut after three decimals, as in `4.003 MiB`.
///
/// ```
/// use twinwalk::tables::units::binary_size;
/// assert_eq!(binary_size(20 << 10), "20 KiB");
/// assert_eq!(binary_size((4 << 20) + 4096), "4.003 MiB");
/// ```
pub fn binary_size(size_bytes: u128) -> String {
    let mut unit = 0;
    while unit + 1 < UNITS.len() && size_bytes >> ((unit + 1) * STEP_BITS) != 0 {
        unit += 1;
    }
    let shift = unit * STEP_BITS;
    let whole = size_bytes >> shift;
    let rest = size_bytes - (whole << shift);
    let name = if size_bytes == 1 { "byte" } else { UNITS[unit] };
    if rest == 0 {
        return format!("{whole} {name}");
    }
    format!("{whole}.{:03} {name}", (rest * 1000) >> shift)
}

/// A count: `2^36` for a large power of two, else its digits.
pub fn power(count: u64) -> String {
    if count >= POWER_FROM && count.is_power_of_two() {
        format!("2^{}", count.ilog2())
    } else {
        count.to_string()
    }
}

/// Why a number cannot be read: where in the text, counted in characters from 1, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberError {
    /// The place in the text of the number: 1 is its first character.
    pub character: usize,
    /// What is wrong.
    pub problem: String,
}

/// Reads a number of bytes: decimal, or hexadecimal after `0x`; `_` may stand between digits; after it K, M, G, T or P (also KiB, and
/// so on) for 2^10, 2^20, 2^30, 2^40 and 2^50.
///
/// # Errors
/// [`NumberError`]: no digit, a character that belongs to no number, or 2^64 and more.
pub fn parse_number(text: &str) -> Result<u64, NumberError> {
    let error = |character: usize, problem: String| NumberError { character, problem };
    let (radix, prefix) = match text.get(..2) {
        Some("0x" | "0X") => (16, 2),
        _ => (10, 0),
    };
    let too_large = || error(1, "the number is 2^64 or more".to_owned());
    let mut value: u64 = 0;
    let mut digits = 0;
    let mut suffix = "";
    let mut place = prefix;
    for (offset, character) in text[prefix..].char_indices() {
        if let Some(digit) = character.to_digit(radix) {
            value = value
                .checked_mul(u64::from(radix))
                .and_then(|value| value.checked_add(u64::from(digit)))
                .ok_or_else(too_large)?;
            digits += 1;
        } else if character != '_' || digits == 0 {
            suffix = &text[prefix + offset..];
            break;
        }
        place += 1;
    }
    if digits == 0 {
        return Err(error(place + 1, "a digit is missing".to_owned()));
    }
    let bits = suffix_bits(suffix)
        .ok_or_else(|| error(place + 1, format!("{suffix:?} is neither digit nor unit")))?;
    value.checked_mul(1 << bits).ok_or_else(too_large)
}

/// log2 of what a suffix multiplies by.
fn suffix_bits(suffix: &str) -> Option<u32> {
    let bits = match suffix.chars().next() {
        None => return Some(0),
        Some('k' | 'K') => 10,
        Some('m' | 'M') => 20,
        Some('g' | 'G') => 30,
        Some('t' | 'T') => 40,
        Some('p' | 'P') => 50,
        Some(_) => return None,
    };
    // The first character is one of ASCII.
    matches!(&suffix[1..], "" | "iB").then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_printed_in_the_largest_unit_that_they_reach() {
        for (size_bytes, shown) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (400 << 20, "400 MiB"),
            (1 << 57, "128 PiB"),
            ((1 << 30) - 1, "1023.999 MiB"),
            (1 << 90, "1073741824 EiB"),
        ] {
            assert_eq!(binary_size(size_bytes), shown);
        }
    }

    #[test]
    fn counts_are_powers_where_they_are() {
        assert_eq!(power(1 << 36), "2^36");
        assert_eq!(power(512), "512");
        assert_eq!(power(1025), "1025");
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal_with_a_binary_unit() {
        for (text, value) in [
            ("0", 0),
            ("4096", 4096),
            ("0x40_0000", 0x40_0000),
            ("16M", 16 << 20),
            ("2k", 2048),
            ("1GiB", 1 << 30),
            ("0x1T", 1 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_number(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused_at_its_place() {
        for (text, character) in [
            ("", 1),
            ("0x", 3),
            ("x", 1),
            ("_1", 1),
            ("12X", 3),
            ("1_2q", 4),
            ("1MB", 2),
            ("1Mi", 2),
            ("1\u{e9}", 2),
            ("0xfz", 4),
            ("18446744073709551616", 1),
            ("17179869184G", 1),
        ] {
            let error = parse_number(text).expect_err(text);
            assert_eq!(error.character, character, "{text}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_read_back_in_either_base(value in any::<u64>(), text in "\\PC{0,12}") {
            prop_assert_eq!(parse_number(&format!("{value}")), Ok(value));
            prop_assert_eq!(parse_number(&format!("{value:#x}")), Ok(value));
            // Whatever the text: an answer, and no panic.
            if let Err(error) = parse_number(&text) {
                prop_assert!(error.character >= 1 && error.character <= text.chars().count() + 1);
            }
        }
    }
}
