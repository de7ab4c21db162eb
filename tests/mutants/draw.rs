//! Which mutants are drawn: of each file some, and of each operator.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::collections::BTreeMap;

use twinwalk::cosim::generator::prng::Prng;

use crate::mutate::{Mutation, Operator, Shown, mutations};

/// Mutants of a file at least, if it has so many.
const FEWEST_OF_A_FILE: usize = 3;

/// A mutant by what a person sees of it: the same in another run, whatever moved.
pub type Name = (String, String, String, String, usize);

/// A file's mutants, in the order in which they are drawn.
pub struct Deck {
    pub file: String,
    pub cards: Vec<(Mutation, Shown, usize)>,
    sites: usize,
    pub quota: usize,
    pub next: usize,
    pub valid: usize,
    pub in_flight: usize,
}

impl Deck {
    pub fn name(&self, card: usize) -> Name {
        let (_, shown, copy) = &self.cards[card];
        (
            self.file.clone(),
            shown.within.clone(),
            shown.before.clone(),
            shown.after.clone(),
            *copy,
        )
    }

    pub fn wants(&self) -> bool {
        self.valid + self.in_flight < self.quota && self.next < self.cards.len()
    }
}

pub fn is_wanted(name: &str, file: Option<&str>) -> bool {
    // Assertions are no hardware.
    !name.ends_with("_sva.sv")
        && file.is_none_or(|file| file.strip_prefix("rtl/").unwrap_or(file) == name)
}

/// The mutants of a file, shuffled: of each operator in turn, so that those with many places do not crowd out the others.
pub fn deck(file: &str, text: &str, seed: u64) -> Deck {
    let name = blake3::hash(file.as_bytes());
    let stream = name
        .as_bytes()
        .iter()
        .take(8)
        .fold(0, |stream, byte| stream << 8 | u64::from(*byte));
    let mut prng = Prng::new(seed, stream);
    let mut by_operator: BTreeMap<Operator, Vec<Mutation>> = BTreeMap::new();
    let all = mutations(text);
    let sites = all.len();
    for mutation in all {
        by_operator
            .entry(mutation.operator)
            .or_default()
            .push(mutation);
    }
    let mut cards = Vec::new();
    let mut copies: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    while !by_operator.is_empty() {
        let mut operators: Vec<Operator> = by_operator.keys().copied().collect();
        while !operators.is_empty() {
            let operator = operators.swap_remove(prng.below(operators.len() as u64) as usize);
            let Some(left) = by_operator.get_mut(&operator) else {
                continue;
            };
            let mutation = left.swap_remove(prng.below(left.len() as u64) as usize);
            if left.is_empty() {
                by_operator.remove(&operator);
            }
            let shown = mutation.shown(text);
            let copy = copies
                .entry((
                    shown.within.clone(),
                    shown.before.clone(),
                    shown.after.clone(),
                ))
                .or_default();
            cards.push((mutation, shown, *copy));
            *copy += 1;
        }
    }
    Deck {
        file: file.to_owned(),
        cards,
        sites,
        quota: 0,
        next: 0,
        valid: 0,
        in_flight: 0,
    }
}

/// Deals `count` mutants out to the files, by their numbers of places.
pub fn deal(decks: &mut [Deck], count: usize) {
    let sites: usize = decks.iter().map(|deck| deck.sites).sum::<usize>().max(1);
    for deck in decks.iter_mut() {
        deck.quota = (count * deck.sites / sites)
            .max(FEWEST_OF_A_FILE)
            .min(deck.sites);
    }
    top_up(decks, count);
}

/// More of the files with the most places, until `count` are wanted, or there are no more.
pub fn top_up(decks: &mut [Deck], count: usize) {
    let reachable = |deck: &Deck| {
        if deck.next < deck.cards.len() {
            deck.quota
        } else {
            deck.valid
        }
    };
    while decks.iter().map(reachable).sum::<usize>() < count {
        let with_more = decks
            .iter_mut()
            .filter(|deck| deck.next < deck.cards.len() && deck.quota < deck.sites);
        let Some(deck) = with_more.max_by_key(|deck| deck.sites / (deck.quota + 1)) else {
            return;
        };
        deck.quota += 1;
    }
}
