//! Each policy against the table of contract 1.6, word for word, and what the short cut for pages hit last stands on.

use proptest::prelude::*;

use super::literal::LiteralPolicy;
use crate::config::Replacement;
use crate::model::replacement::Policy;

#[derive(Clone, Copy, Debug)]
enum Act {
    Hit(usize, usize),
    Fill(usize, usize),
    FillVictim(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0usize..3, 0usize..64).prop_map(|(set, way)| Act::Hit(set, way)),
        1 => (0usize..3, 0usize..64).prop_map(|(set, way)| Act::Fill(set, way)),
        3 => (0usize..3).prop_map(Act::FillVictim),
    ]
}

fn shape() -> impl Strategy<Value = (Replacement, usize)> {
    (
        proptest::sample::select(&Replacement::ALL[..]),
        prop_oneof![1usize..=9, Just(16), Just(17), Just(63), Just(64)],
    )
        .prop_map(|(policy, ways)| match policy {
            Replacement::TreePlru => (policy, ways.next_power_of_two()),
            _ => (policy, ways),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_policy_does_what_the_table_says_word_for_word(
        (replacement, ways) in shape(),
        acts in prop::collection::vec(act(), 0..300),
    ) {
        let mut policy = Policy::new(replacement, 3, ways);
        let mut literal = LiteralPolicy::new(replacement, 3, ways);
        for act in acts {
            match act {
                Act::Hit(set, way) => {
                    policy.hit(set, way % ways);
                    literal.hit(set, way % ways);
                }
                Act::Fill(set, way) => {
                    policy.fill(set, way % ways, false);
                    literal.fill(set, way % ways, false);
                }
                Act::FillVictim(set) => {
                    let way = literal.victim(set);
                    policy.fill(set, way, true);
                    literal.fill(set, way, true);
                }
            }
            for set in 0..3 {
                prop_assert_eq!(policy.victim(set), literal.victim(set));
            }
        }
        policy.reset();
        prop_assert!(policy == Policy::new(replacement, 3, ways));
    }

    #[test]
    fn a_way_that_was_hit_and_none_of_its_set_touched_since_may_be_hit_again_without_a_change(
        (replacement, ways) in shape(),
        acts in prop::collection::vec(act(), 0..100),
        (last, other, way) in (act(), act(), 0usize..64),
    ) {
        let mut policy = Policy::new(replacement, 4, ways);
        let mut literal = LiteralPolicy::new(replacement, 4, ways);
        let step = |policy: &mut Policy, act: Act| {
            let (set, way, hit, victim) = match act {
                Act::Hit(set, way) => (set, way % ways, true, false),
                Act::Fill(set, way) => (set, way % ways, false, false),
                Act::FillVictim(set) => (set, policy.victim(set), false, true),
            };
            if hit {
                policy.hit(set, way);
            } else {
                policy.fill(set, way, victim);
            }
            (set, way)
        };
        for act in acts {
            step(&mut policy, act);
        }
        let (set, touched) = step(&mut policy, last);
        policy.hit(set, touched);
        // Another set may be touched in between.
        let elsewhere = match other {
            Act::Hit(..) => Act::Hit(3, way),
            Act::Fill(..) => Act::Fill(3, way),
            Act::FillVictim(_) => Act::FillVictim(3),
        };
        step(&mut policy, elsewhere);
        let before = policy.clone();
        policy.hit(set, touched);
        prop_assert!(policy == before);
        // The same of the table itself, in one set.
        literal.fill(0, touched, false);
        literal.hit(0, way % ways);
        let before = literal.clone();
        literal.hit(0, way % ways);
        prop_assert!(literal == before);
    }
}

#[test]
fn a_hit_behind_that_of_another_way_of_the_set_does_change_five_policies() {
    let changes = Replacement::ALL.map(|replacement| {
        let mut policy = Policy::new(replacement, 1, 4);
        policy.fill(0, 2, true);
        policy.hit(0, 1);
        let before = policy.clone();
        policy.hit(0, 2);
        policy.hit(0, 3);
        policy.hit(0, 0);
        policy != before
    });
    assert_eq!(changes, [true, true, false, true, false, true, true]);
}

#[test]
fn the_first_hit_behind_a_fill_changes_srrip_and_lip_alone() {
    let changes = Replacement::ALL.map(|replacement| {
        let mut policy = Policy::new(replacement, 1, 4);
        policy.fill(0, 2, true);
        let filled = policy.clone();
        policy.hit(0, 2);
        let hit = policy.clone();
        policy.hit(0, 2);
        assert!(policy == hit, "{replacement:?}");
        assert_eq!(policy.hits_as_filled(), hit == filled, "{replacement:?}");
        hit != filled
    });
    assert_eq!(changes, [false, false, false, false, false, true, true]);
}

#[test]
fn srrip_gives_up_what_was_filled_and_not_hit_before_what_was_hit() {
    let mut policy = Policy::new(Replacement::Srrip, 1, 4);
    // All 3; each fill makes a way 2.
    for way in 0..4 {
        assert_eq!(policy.victim(0), way);
        policy.fill(0, way, true);
    }
    // All 2: the lowest. A hit spares it.
    assert_eq!(policy.victim(0), 0);
    policy.hit(0, 0);
    assert_eq!(policy.victim(0), 1);
    // 0, 2, 2, 2 become 1, 3, 3, 3, and way 1 gets 2.
    policy.fill(0, 1, true);
    assert_eq!(policy.victim(0), 2);
    policy.hit(0, 2);
    policy.hit(0, 3);
    // 1, 2, 0, 0: way 1 again, by which the others become 2, 1, 1.
    assert_eq!(policy.victim(0), 1);
    policy.fill(0, 1, true);
    policy.hit(0, 1);
    assert_eq!(policy.victim(0), 0);
}

#[test]
fn of_lip_pages_used_once_pass_through_one_way_and_what_was_hit_stays() {
    for ways in [4, 17] {
        let mut policy = Policy::new(Replacement::Lip, 1, ways);
        for way in 0..ways {
            policy.fill(0, way, false);
            policy.hit(0, way);
        }
        for _ in 0..100 {
            assert_eq!(policy.victim(0), 0);
            policy.fill(0, 0, true);
        }
        policy.hit(0, 0);
        assert_eq!(policy.victim(0), 1);
    }
}

#[test]
fn the_choices_of_the_random_register_are_those_of_its_first_steps() {
    let mut policy = Policy::new(Replacement::Random, 2, 64);
    let mut chosen = Vec::new();
    for step in 0..4 {
        // One register for all sets; a fill of another way than the victim leaves it.
        policy.fill(0, 5, false);
        assert_eq!(policy.victim(0), policy.victim(1));
        chosen.push(policy.victim(0));
        policy.fill(step % 2, chosen[step], true);
    }
    // 0xace1, 0xe270, 0x7138, 0x389c.
    assert_eq!(chosen, [0x21, 0x30, 0x38, 0x1c]);
}
