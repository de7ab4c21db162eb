//! The named configurations that every binary carries: the default machine, and machines that each press on one part of it.
//!
//! Contract: none; each is a choice of the parameters of section 2. SDM: none. Counterpart: `presets/*.toml`.

/// A named configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// What `preset:NAME` calls it.
    pub name: &'static str,
    /// Its TOML file, to be laid on the default machine.
    pub toml: &'static str,
}

impl Preset {
    /// What it is for: the first comment of its file, in one line.
    pub fn about(&self) -> String {
        let lines: Vec<&str> = self
            .toml
            .lines()
            .map_while(|line| line.strip_prefix('#'))
            .map(str::trim)
            .collect();
        lines.join(" ")
    }
}

macro_rules! presets {
    ($($name:literal),+ $(,)?) => {
        &[$(Preset {
            name: $name,
            toml: include_str!(concat!("../../presets/", $name, ".toml")),
        }),+]
    };
}

/// Every preset, the default machine first.
pub const ALL: &[Preset] = presets![
    "default",
    "tiny",
    "no-psc",
    "narrow",
    "wide",
    "l1-only",
    "stlb-only",
    "patchwork",
    "blocking",
    "crowded",
    "parallel",
    "prefetch",
    "mixed",
    "inclusive",
    "textbook",
    "skylake-sp",
    "ice-lake-sp",
    "sapphire-rapids",
    "granite-rapids",
    "zen2",
    "zen3",
    "zen4",
];

/// The preset of that name.
pub fn find(name: &str) -> Option<&'static Preset> {
    ALL.iter().find(|preset| preset.name == name)
}
