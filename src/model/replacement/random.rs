//! Random: a shift register that steps with each fill that displaces its choice.
//!
//! Contract: 1.6, policy 4. SDM: none. Counterpart: `rtl/policy_random.sv`.

/// The register after reset.
const SEED: u16 = 0xace1;
/// What is mixed in when a 1 is shifted out.
const TAPS: u16 = 0xb400;

/// The register of one array.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::model) struct Random {
    ways: usize,
    register: u16,
}

impl Random {
    /// The register after reset. `ways` is 0 to 64.
    pub const fn new(ways: usize) -> Self {
        Self {
            ways,
            register: SEED,
        }
    }

    /// Brings back the register after reset.
    pub const fn reset(&mut self) {
        self.register = SEED;
    }

    /// The way that the register chooses, in any set. There must be ways.
    #[inline]
    pub const fn victim(&self) -> usize {
        self.register as usize % self.ways
    }

    /// The choice was filled.
    #[inline]
    pub const fn step(&mut self) {
        let taps = if self.register & 1 != 0 { TAPS } else { 0 };
        self.register = self.register >> 1 ^ taps;
    }
}
