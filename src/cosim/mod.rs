//! Co-simulation: verilate, load and drive the RTL, and hold the model against it.
//!
//! | module | does |
//! | --- | --- |
//! | [`verilate`] | the command lines from SystemVerilog to a machine, shared with `build.rs` |
//! | [`cache`] | a private directory of finished builds: locks, checks, eviction |
//! | [`library`] | a machine for any parameter set, from the cache or newly built |
//! | [`design`] | a user's own RTL: its files, and the recipe of its machine |
//! | [`guest`] | that machine as a twin, held to outputs that are functions of state |
//! | [`ports`] | the ports that its top must have |
//! | [`groups`] | the outputs that it may lack |
//! | [`judged`] | that machine under a driver of its own, judged by the reference alone |
//! | [`links`] | what is offered on a link stays until it is taken |
//! | [`latency`] | the cycles of each request on two sides that drift apart |
//! | [`rtl`] | one verilated machine behind a safe type: the only unsafe code |
//! | [`stimulus`] | what happens to a twin from outside: operations, and their text form |
//! | [`driver`] | turns operations into the inputs of one twin |
//! | [`stall`] | stalls of the links around a twin |
//! | [`twin`] | what the harness needs of a twin |
//! | [`side`] | a twin with its own driver, memory and stalls |
//! | [`lockstep`] | both sides, cycle by cycle, compared and judged |
//! | [`campaign`] | many random streams on many threads, with one answer |
//! | [`floors`] | what a random run must have exercised |
//! | [`generator`] | random operations of the hard kind |
//! | [`request_log`] | one row a request: what became of it, and where its cycles went |
//! | [`requester`] | what a real trace asks of which port, and the way into paging |
//! | [`ticked`] | one machine ticked through references and operations, one at a time or in a window |
//! | [`traced`] | the references of a real trace as operations |
//! | [`checkers`] | the reference's checkers of a stream |
//! | [`comparators`] | what is compared, signal by signal |
//! | [`signals`] | the outputs of a cycle as a list, by the contract's names |
//! | [`coverage`] | lines of the RTL that ran, and crosses of what the twins agreed on |
//! | [`counters`] | what a run exercised and compared |
//! | [`divergence`] | the report of a difference, and the replay file |
//! | [`story`] | what a person wants to know of a divergence: the page, its past, its walk, its sets |
//! | [`shrink`] | delta debugging of a stimulus that fails |
//! | [`watchdog`] | each request answered within its bound, or who waits for whom |
//! | [`watched`] | a twin whose cycles somebody looks at |
//! | [`chrome`] | a window of both sides as spans on tracks, for trace viewers |
//! | [`wave`] | one wave of the failing window, with the RTL's signals and the model's |
//! | [`account`] | why a response is refused, in words |
//! | [`events`] | a cycle as lines of text |

pub mod account;
#[cfg(feature = "rtl")]
pub mod cache;
pub mod campaign;
pub mod checkers;
pub mod chrome;
pub mod comparators;
pub mod counters;
pub mod coverage;
#[cfg(feature = "rtl")]
pub mod design;
pub mod divergence;
pub mod driver;
pub mod events;
pub mod floors;
pub mod generator;
pub mod groups;
#[cfg(feature = "rtl")]
pub mod guest;
pub mod judged;
pub mod latency;
#[cfg(feature = "rtl")]
pub mod library;
pub mod links;
pub mod lockstep;
pub mod matrix;
pub mod ports;
pub mod request_log;
pub mod requester;
#[cfg(feature = "rtl")]
pub mod rtl;
pub mod shrink;
pub mod side;
pub mod signals;
pub mod stall;
pub mod stimulus;
pub mod story;
pub mod ticked;
pub mod traced;
pub mod twin;
#[cfg(feature = "rtl")]
pub mod verilate;
pub mod watchdog;
pub mod watched;
#[cfg(feature = "rtl")]
pub mod wave;
