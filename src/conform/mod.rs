//! Paging vectors: what an implementation that nobody here wrote did with page tables, held against reference, model and RTL.
//!
//! Contract: none; the contract's twins are what is tested. SDM vol. 3A, 4.5 to 4.8. Counterpart: none. `docs/conform.md` has the form.
//!
//! | module | does |
//! | --- | --- |
//! | [`mod@read`] | a file of vectors, line by line, in constant memory |
//! | [`vector`] | one line as a [`Case`], or an error that names file, line and field |
//! | `node` | a JSON value that knows where it stands |
//! | [`implementation`] | who performs a case: the reference |
//! | [`machine`] | the same for a twin, by control operations and requests |
//! | [`mod@judge`] | what was expected against what came out |
//! | [`mod@show`] | a mismatch for a person who checks it by hand |
//! | [`suite`] | batches of cases through several implementations |

pub mod implementation;
pub mod judge;
pub mod machine;
mod node;
pub mod read;
pub mod show;
pub mod suite;
pub mod vector;

pub use implementation::{Answer, Implementation, Observed, Performance, Reference};
pub use judge::{Difference, Mismatch, judge};
pub use machine::Twins;
pub use read::Reader;
pub use show::show;
pub use suite::{Counts, Finding, Suite, Tally};
pub use vector::{Case, Listed, Step, VectorError};

#[cfg(test)]
mod tests;
