//! All ways of a set asked at once.
//!
//! Contract: 4.4. SDM: none. Counterpart: none; the RTL compares all ways side by side, and so does this, as far as the computer can.

/// A bit for each of the words, at most 64, of which `is` holds.
///
/// Which way matches cannot be foretold, so that to ask one after the other until one answers costs more than to ask all.
#[inline(always)]
pub(super) fn matching(words: &[u64], is: impl Fn(u64) -> bool) -> u64 {
    // The common numbers of ways are known to the compiler, which then leaves no loop.
    match words.len() {
        4 => of(words.first_chunk::<4>(), is),
        8 => of(words.first_chunk::<8>(), is),
        12 => of(words.first_chunk::<12>(), is),
        32 => of(words.first_chunk::<32>(), is),
        _ => {
            let words = words.iter().enumerate();
            words.fold(0, |all, (way, word)| all | u64::from(is(*word)) << way)
        }
    }
}

#[inline(always)]
fn of<const WAYS: usize>(words: Option<&[u64; WAYS]>, is: impl Fn(u64) -> bool) -> u64 {
    let mut all = 0;
    if let Some(words) = words {
        for (way, word) in words.iter().enumerate() {
            all |= u64::from(is(*word)) << way;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::matching;

    #[test]
    fn each_way_that_matches_has_its_bit() {
        for ways in 0..=64u64 {
            let words: Vec<u64> = (0..ways).map(|way| way % 5).collect();
            for wanted in 0..6 {
                let expected = (0..ways)
                    .filter(|way| way % 5 == wanted)
                    .fold(0, |all, way| all | 1 << way);
                assert_eq!(matching(&words, |word| word == wanted), expected, "{ways}");
            }
        }
    }
}
