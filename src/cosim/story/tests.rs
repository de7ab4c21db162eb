use super::text::COLUMNS;
use super::*;
use crate::cosim::stimulus::Stimulus;
use crate::cosim::stimulus::parse::parse;
use crate::model::mmu_pkg::{ARRAY_FILL, Inputs, Outputs};

/// The model with a bug at the border, called the RTL.
struct Broken {
    model: Mmu,
    bug: fn(&mut Outputs),
}

impl Twin for Broken {
    fn name(&self) -> &'static str {
        "rtl"
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        self.model.tick(inputs, outputs);
        (self.bug)(outputs);
    }
}

const TEXT: &str = "twinwalk-stim 1\nconfig preset:tiny\nspace s 4\nmap 0x1000 -> 0x9000 4k rw\n\
                    map 0x2000 -> 0xa000 4k rw\nboot s\nread 0x1000\ndrain\nread 0x2000\ndrain\n\
                    invlpg 0x2000\ninvlpg 0x1000\ndrain\nwrite 0x1008\ndrain\n";

/// Stimulus, machine and finding of a run against a twin with that bug, and the story.
fn told(text: &str, bug: fn(&mut Outputs)) -> (Option<Finding>, Option<Story>) {
    let stimulus: Stimulus = parse("x", text).unwrap();
    let config = stimulus.setup.machine("x").unwrap();
    let setup = &stimulus.setup;
    let broken = || Broken {
        model: Mmu::new(&config),
        bug,
    };
    let operations = || stimulus.operations.clone().into_iter();
    let (model, options) = (Mmu::new(&config), Options::default());
    let finding = Lockstep::pair(&config, setup, operations(), model, broken(), options)
        .with_reference(&config, setup)
        .run(&mut |_| ControlFlow::Continue(()))
        .finding;
    let story = finding
        .as_ref()
        .and_then(|finding| of_pair(&config, setup, operations(), broken(), options, finding));
    (finding, story)
}

fn wrong_frame(outputs: &mut Outputs) {
    let port = &mut outputs.ports[1];
    if port.resp_valid != 0 && port.resp_pa == 0x9008 {
        port.resp_pa = 0x8008;
    }
}

fn wrong_way(outputs: &mut Outputs) {
    let event = &mut outputs.monitor.tlb[4];
    if event.op == ARRAY_FILL && event.tag & 0xff == 1 {
        event.data |= 1 << 41;
    }
}

#[test]
fn a_wrong_response_is_told_with_its_page_the_past_of_that_page_and_its_walk() {
    let (finding, story) = told(TEXT, wrong_frame);
    let (finding, story) = (finding.unwrap(), story.unwrap());
    let subject = &story.subject;
    assert_eq!(
        (subject.va, subject.page, subject.page_size),
        (Some(0x1008), Some(0x1000), "4k")
    );
    assert!(
        subject
            .request
            .starts_with("data1 #2 write 0x1008 cpl 0, accepted in cycle ")
    );
    let differing: Vec<_> = story.differs[0]
        .fields
        .iter()
        .filter(|field| field.differs)
        .map(|field| (field.name, field.model.as_str(), field.rtl.as_str()))
        .collect();
    assert_eq!(differing, [("pa", "0x9008", "0x8008")]);
    assert_eq!(story.differs[0].part, "response of data1");
    let before: Vec<&str> = story.before.iter().map(|line| line.text.as_str()).collect();
    let has = |text: &str| before.iter().any(|line| line.contains(text));
    assert!(
        has("read 0x1000") && has("invlpg 0x1000 -> done"),
        "{before:?}"
    );
    assert!(!has("0x2000"), "another page is left out: {before:?}");
    let walk: Vec<&str> = story.walk.iter().map(|line| line.text.as_str()).collect();
    assert!(walk[0].starts_with("walker 0 start for 0x1008"), "{walk:?}");
    assert!(
        walk.iter().any(|line| line.starts_with("reads PTE at ")),
        "{walk:?}"
    );
    assert!(
        walk.iter()
            .any(|line| line.starts_with("fills dtlb.4k set ")),
        "{walk:?}"
    );
    let text = finding.report(Some(&story));
    assert!(text.lines().count() <= 60, "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= COLUMNS),
        "{text}"
    );
    let json = serde_json::to_value(&story).unwrap();
    assert_eq!(json["differs"][0]["fields"][2]["rtl"], "0x8008");
    assert_eq!(json["subject"]["page"], 0x1000);
}

#[test]
fn a_wrong_fill_is_told_field_by_field_and_stands_in_the_sets_of_one_side() {
    let (_, story) = told(TEXT, wrong_way);
    let story = story.unwrap();
    let differing: Vec<_> = story.differs[0]
        .fields
        .iter()
        .filter(|field| field.differs)
        .map(|field| (field.name, field.model.as_str(), field.rtl.as_str()))
        .collect();
    assert_eq!(differing, [("rights", "rw supervisor", "rw user")]);
    assert_eq!(story.subject.va, Some(0x1000));
    assert_eq!(story.sets[0].array, "dtlb.4k");
}

#[test]
fn lines_that_one_side_has_alone_stand_where_they_happened_with_its_name() {
    let line = |cycle, text: &str| (cycle, text.to_owned());
    let ours = vec![line(1, "a"), line(5, "b"), line(5, "d"), line(9, "e")];
    let theirs = vec![line(1, "a"), line(5, "c"), line(5, "d"), line(7, "x")];
    let merged = tell::merge(vec![ours, theirs]);
    let shown: Vec<_> = merged
        .iter()
        .map(|line| (line.cycle, line.side.unwrap_or("both"), line.text.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (1, "both", "a"),
            (5, "model", "b"),
            (5, "rtl", "c"),
            (5, "both", "d"),
            (7, "rtl", "x"),
            (9, "model", "e"),
        ]
    );
}

#[test]
fn where_nothing_is_wrong_or_it_does_not_happen_again_there_is_no_story() {
    let (finding, story) = told(TEXT, |_| ());
    assert_eq!((finding, story), (None, None));
    let (finding, _) = told(TEXT, wrong_frame);
    let stimulus = parse("x", TEXT).unwrap();
    let config = stimulus.setup.machine("x").unwrap();
    let operations = stimulus.operations.into_iter();
    let options = Options::default();
    let story = of_model(
        &config,
        &stimulus.setup,
        operations,
        options,
        &finding.unwrap(),
    );
    assert_eq!(story, None);
}

/// What a design that is judged alone is told of itself, with that bug.
fn judged(text: &str, bug: fn(&mut Outputs)) -> (Finding, Story) {
    let stimulus: Stimulus = parse("x", text).unwrap();
    let config = stimulus.setup.machine("x").unwrap();
    let (setup, options) = (&stimulus.setup, Options::default());
    let design = || Broken {
        model: Mmu::new(&config),
        bug,
    };
    let operations = || stimulus.operations.clone().into_iter();
    let finding = Judged::new(&config, setup, operations(), design(), options)
        .run(&mut |_| ControlFlow::Continue(()))
        .finding
        .unwrap();
    let story = of_design(
        &config,
        setup,
        operations(),
        design(),
        (options, None),
        &finding,
    );
    (finding, story.unwrap())
}

/// The page of 0x1000 is remapped and invalidated, and the design answers as before.
const REMAPPED: &str = "twinwalk-stim 1\nconfig preset:tiny\nspace s 4\nmap 0x1000 -> 0x9000 4k rw\n\
                        boot s\nread 0x1000\ndrain\nstore pte@0x1000 = page 4k 0x8000 rw A D\ninvlpg 0x1000\ndrain\n\
                        read 0x1008\ndrain\n";

fn old_frame(outputs: &mut Outputs) {
    let port = &mut outputs.ports[1];
    if port.resp_valid != 0 && port.resp_pa == 0x8008 {
        port.resp_pa = 0x9008;
    }
}

#[test]
fn a_design_that_answers_from_before_an_invalidation_is_told_what_it_answers_from() {
    let (finding, story) = judged(REMAPPED, old_frame);
    assert_eq!(finding.comparator, Comparator::Staleness);
    let judgement = story.judgement.as_ref().unwrap();
    let has = |list: &[String], text: &str| list.iter().any(|line| line.contains(text));
    assert!(
        judgement
            .reason
            .starts_with("it follows from the value 0x9"),
        "{judgement:?}"
    );
    assert!(
        judgement.reason.contains("INVLPG of 0x1000"),
        "{judgement:?}"
    );
    assert!(
        judgement.legal.contains("translated to 0x8008"),
        "{judgement:?}"
    );
    assert!(
        has(&judgement.walk, "a page of 4k at 0x8000"),
        "{judgement:?}"
    );
    assert!(
        has(&judgement.covering, "INVLPG of 0x1000"),
        "{judgement:?}"
    );
    assert!(has(&judgement.outdated, "(P RW"), "{judgement:?}");
    let differing: Vec<_> = story.differs[0]
        .fields
        .iter()
        .filter(|field| field.differs)
        .map(|field| (field.name, field.model.as_str(), field.rtl.as_str()))
        .collect();
    assert_eq!(differing, [("pa", "0x8008", "0x9008")]);
    let before: Vec<&str> = story.before.iter().map(|line| line.text.as_str()).collect();
    let has = |text: &str| before.iter().any(|line| line.contains(text));
    assert!(
        has("store by another agent to ") && has("invlpg 0x1000 -> done") && has("read 0x1000"),
        "{before:?}"
    );
    let text = finding.report(Some(&story));
    // This one shows its walk and every array; a design of which nothing but the ports is known has a third less.
    assert!(text.lines().count() <= 70, "{text}");
    let of_story = story.to_string();
    assert!(
        of_story.lines().all(|line| line.chars().count() <= COLUMNS),
        "{text}"
    );
}

#[test]
fn a_design_that_answers_from_nowhere_is_told_so() {
    let (_, story) = judged(TEXT, wrong_frame);
    let judgement = story.judgement.unwrap();
    assert_eq!(
        judgement.reason,
        "it follows from no values that memory is known to have held"
    );
    assert!(judgement.outdated.is_empty());
}
