//! Operations made as they are needed: a window in memory, whatever the length of the stream.
//!
//! Contract: section 13 (both twins share the immutable stimulus only). SDM: none. Counterpart: none.
//!
//! Two drivers read one [`Feed`] by index. While the twins agree they stand at the same operation; once they part, one may run
//! ahead, and the window spans the distance.

use std::collections::VecDeque;

use super::Operation;

/// Where operations come from: a list, a generator, a trace.
///
/// The sequence must be the same however it is pulled, since a replay file is written by pulling it a second time.
pub trait OperationSource {
    /// The next operation, or `None` for good.
    fn next_operation(&mut self) -> Option<Operation>;
}

/// The operations of a stimulus that is in memory as a whole.
impl OperationSource for std::vec::IntoIter<Operation> {
    fn next_operation(&mut self) -> Option<Operation> {
        self.next()
    }
}

impl<S: OperationSource + ?Sized> OperationSource for Box<S> {
    fn next_operation(&mut self) -> Option<Operation> {
        (**self).next_operation()
    }
}

/// A source with a window of the operations that some driver has still to read.
#[derive(Debug)]
pub struct Feed<S> {
    source: S,
    window: VecDeque<Operation>,
    /// Index of the window's first operation in the stream.
    first: u64,
    ended: bool,
}

impl<S: OperationSource> Feed<S> {
    /// A feed at the start of `source`.
    pub fn new(source: S) -> Self {
        Self {
            source,
            window: VecDeque::new(),
            first: 0,
            ended: false,
        }
    }

    /// The operation number `index`, counted from 0; `None` beyond the end of the stream, and for what was released.
    pub fn get(&mut self, index: u64) -> Option<Operation> {
        let offset = usize::try_from(index.checked_sub(self.first)?).ok()?;
        while self.window.len() <= offset && !self.ended {
            match self.source.next_operation() {
                Some(operation) => self.window.push_back(operation),
                None => self.ended = true,
            }
        }
        self.window.get(offset).copied()
    }

    /// Lets go of the operations before `index`: no driver reads them any more.
    pub fn release(&mut self, index: u64) {
        while self.first < index && self.window.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// The source, of which the window has taken what was needed so far.
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// The source back.
    pub fn into_source(self) -> S {
        self.source
    }

    /// How many operations are in memory.
    pub fn window_len(&self) -> usize {
        self.window.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosim::stimulus::Action;

    struct Count(u32);

    impl OperationSource for Count {
        fn next_operation(&mut self) -> Option<Operation> {
            let cycles = self.0;
            self.0 += 1;
            (cycles < 1_000_000).then_some(Operation::now(Action::Idle { cycles }))
        }
    }

    #[test]
    fn a_long_stream_is_never_in_memory_as_a_whole() {
        let mut feed = Feed::new(Count(0));
        for index in 0..1_000_000 {
            let cycles = u32::try_from(index).unwrap();
            assert_eq!(
                feed.get(index),
                Some(Operation::now(Action::Idle { cycles }))
            );
            feed.release(index);
            assert!(feed.window_len() <= 2);
        }
        assert_eq!(feed.get(1_000_000), None);
    }

    #[test]
    fn a_reader_that_lags_sees_the_same_operations() {
        let mut feed = Feed::new(Count(0));
        assert!(feed.get(99).is_some());
        assert_eq!(
            feed.get(5),
            Some(Operation::now(Action::Idle { cycles: 5 }))
        );
        feed.release(6);
        assert_eq!(feed.get(5), None);
        assert_eq!(
            feed.get(6),
            Some(Operation::now(Action::Idle { cycles: 6 }))
        );
    }
}
