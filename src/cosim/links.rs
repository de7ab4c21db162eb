//! What a machine offers on a link stays until it is taken.
//!
//! Contract: section 1.3 (links). SDM: none. Counterpart: `rtl/link_sva.sv`, which asserts it of the project's own RTL.

use crate::model::mmu_pkg::{Inputs, MAX_PORTS, MemoryOut, Outputs, PortOut};

/// A link on which an offer was withdrawn or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The link, by its `valid`.
    pub link: String,
    /// What was offered in the cycle before.
    pub before: String,
    /// What is there now.
    pub now: String,
}

/// Watches the links on which a machine offers something.
#[derive(Debug, Clone, Default)]
pub struct Links {
    responses: [Option<PortOut>; MAX_PORTS],
    /// Whether the answer says #GP.
    control: Option<u8>,
    memory: Option<MemoryOut>,
}

impl Links {
    /// Takes a cycle into account.
    ///
    /// # Errors
    /// The first offer that did not stay.
    pub fn observe(&mut self, inputs: &Inputs, outputs: &Outputs) -> Result<(), Broken> {
        for (port, shown) in outputs.ports.iter().enumerate() {
            let shown = PortOut {
                req_ready: 0,
                ..*shown
            };
            let offer = (shown.resp_valid != 0).then_some(shown);
            stays(
                &format_args!("resp_valid_o[{port}]"),
                self.responses[port],
                offer,
            )?;
            self.responses[port] = offer.filter(|_| inputs.ports[port].resp_ready == 0);
        }
        let control = &outputs.control;
        let offer = (control.resp_valid != 0).then_some(control.resp_gp);
        stays(&"ctrl_resp_valid_o", self.control, offer)?;
        self.control = offer.filter(|_| inputs.control.resp_ready == 0);
        let memory = MemoryOut {
            resp_ready: 0,
            ..outputs.memory
        };
        let offer = (memory.req_valid != 0).then_some(memory);
        stays(&"mem_req_valid_o", self.memory, offer)?;
        self.memory = offer.filter(|_| inputs.memory.req_ready == 0);
        Ok(())
    }
}

fn stays<T: PartialEq + std::fmt::Debug>(
    link: &dyn std::fmt::Display,
    before: Option<T>,
    now: Option<T>,
) -> Result<(), Broken> {
    match before {
        Some(before) if now.as_ref() != Some(&before) => Err(Broken {
            link: link.to_string(),
            before: format!("{before:?}"),
            now: now.map_or_else(|| "nothing is offered".to_owned(), |now| format!("{now:?}")),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offers something on a link, with that payload.
    type Offer = fn(&mut Outputs, u8);

    fn after(first: &Outputs, taken: u8, second: &Outputs) -> Option<String> {
        let mut links = Links::default();
        let mut inputs = Inputs::default();
        inputs.ports[1].resp_ready = taken;
        inputs.control.resp_ready = taken;
        inputs.memory.req_ready = taken;
        links
            .observe(&inputs, first)
            .expect("nothing was offered before");
        links
            .observe(&inputs, second)
            .err()
            .map(|broken| broken.link)
    }

    #[test]
    fn an_offer_that_is_not_taken_stays_as_it_is() {
        let zero = Outputs::default();
        let set: [(Offer, &str); 3] = [
            (
                |outputs, id| (outputs.ports[1].resp_valid, outputs.ports[1].resp_id) = (1, id),
                "resp_valid_o[1]",
            ),
            (
                |outputs, gp| (outputs.control.resp_valid, outputs.control.resp_gp) = (1, gp),
                "ctrl_resp_valid_o",
            ),
            (
                |outputs, id| (outputs.memory.req_valid, outputs.memory.req_id) = (1, id),
                "mem_req_valid_o",
            ),
        ];
        for (offer, name) in set {
            let (mut first, mut other) = (zero, zero);
            offer(&mut first, 0);
            offer(&mut other, 1);
            assert_eq!(after(&first, 0, &first), None);
            assert_eq!(after(&first, 0, &zero).as_deref(), Some(name));
            assert_eq!(after(&first, 0, &other).as_deref(), Some(name));
            assert_eq!(after(&first, 1, &other), None);
        }
        // Ready of the other side may change.
        let (mut first, mut second) = (zero, zero);
        (
            first.memory.req_valid,
            second.memory.req_valid,
            second.memory.resp_ready,
        ) = (1, 1, 1);
        assert_eq!(after(&first, 0, &second), None);
    }
}
