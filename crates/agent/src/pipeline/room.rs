//! Memory that an exporter needs beside the request in its hands: a copy in one piece, JSON that is made of it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::Chain;

use super::{Hold, Parcel};

/// Where the memory for a request comes from: the budget or, where that has no room, the one place that each exporter has
/// without it. What waits for the place waits for the request before it, so the exporter goes on, and makes room by that.
#[derive(Debug, Clone, Copy)]
pub struct Room<'a>(Option<(&'a Hold, &'a Arc<Semaphore>)>);

/// The place without budget of an exporter.
#[derive(Debug, Clone)]
pub(super) struct OnePlace(Arc<Semaphore>);

/// Stands for memory as long as it is in use.
#[derive(Debug)]
pub struct Kept {
    _hold: Option<Hold>,
    _place: Option<OwnedSemaphorePermit>,
}

struct KeptBytes {
    bytes: Bytes,
    _kept: Kept,
}

impl Default for OnePlace {
    fn default() -> OnePlace {
        OnePlace(Arc::new(Semaphore::new(1)))
    }
}

impl OnePlace {
    /// The room for a request that holds this.
    pub(super) fn beside<'a>(&'a self, hold: &'a Hold) -> Room<'a> {
        Room(Some((hold, &self.0)))
    }
}

impl Room<'_> {
    /// Without bound.
    #[cfg(test)]
    pub fn endless() -> Room<'static> {
        Room(None)
    }

    /// Room for so many bytes in the budget; `None` if there is none.
    #[must_use]
    pub fn in_budget(self, bytes: usize) -> Option<Kept> {
        let Some((hold, _)) = self.0 else { return Some(Kept { _hold: None, _place: None }) };
        Some(Kept { _hold: Some(hold.another(bytes).ok()?), _place: None })
    }

    /// Waits for the place without budget. Whoever has it must not ask for it again.
    pub async fn in_turn(self) -> Kept {
        let place = match self.0 {
            Some((_, place)) => Arc::clone(place).acquire_owned().await.ok(),
            None => None,
        };
        Kept { _hold: None, _place: place }
    }
}

impl Kept {
    /// These bytes, which keep it.
    #[must_use]
    pub fn by(self, bytes: impl Into<Bytes>) -> Bytes {
        Bytes::from_owner(KeptBytes { bytes: bytes.into(), _kept: self })
    }
}

impl AsRef<[u8]> for KeptBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Parcel<'_> {
    /// The request in one piece. Where it is in several, it is copied, and the copy has room of its own.
    pub async fn in_one_piece(&self) -> Bytes {
        if self.body.slices().len() <= 1 {
            return self.body.contiguous();
        }
        let kept = match self.room.in_budget(self.body.len()) {
            Some(kept) => kept,
            None => self.room.in_turn().await,
        };
        kept.by(self.body.contiguous())
    }

    /// What `make` makes of the request in one piece, which may be longer than it. Where the budget has no room for what came
    /// out, it is thrown away and made again when it is this request's turn.
    ///
    /// # Errors
    /// Those of `make`.
    pub async fn make<E, F: Future<Output = Result<Bytes, E>>>(&self, make: impl Fn(Chain) -> F) -> Result<Bytes, E> {
        let made = make(self.in_one_piece().await.into()).await?;
        if let Some(kept) = self.room.in_budget(made.len()) {
            return Ok(kept.by(made));
        }
        drop(made);
        let kept = self.room.in_turn().await;
        Ok(kept.by(make(self.body.contiguous().into()).await?))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use tokio::time::timeout;
    use wire::Signal;

    use super::*;
    use crate::pipeline::{Budget, Origin};

    fn in_two(length: usize) -> Chain {
        [Bytes::from(vec![b'a'; length / 2]), Bytes::from(vec![b'b'; length - length / 2])].into_iter().collect()
    }

    struct Setup {
        budget: Budget,
        hold: Hold,
        place: OnePlace,
        body: Chain,
        origin: Origin,
    }

    /// A request of 100 bytes in two pieces, under a budget of `budget` bytes.
    fn setup(budget: usize) -> Setup {
        let budget = Budget::new(budget);
        let hold = budget.try_hold(100).unwrap();
        Setup { budget, hold, place: OnePlace::default(), body: in_two(100), origin: Origin::default() }
    }

    impl Setup {
        fn parcel(&self) -> Parcel<'_> {
            let room = self.place.beside(&self.hold);
            Parcel { signal: Signal::Logs, body: &self.body, items: 1, origin: &self.origin, room }
        }
    }

    async fn waits<T>(future: impl Future<Output = T>) -> bool {
        timeout(Duration::from_secs(1), future).await.is_err()
    }

    async fn twice(request: Chain) -> Result<Bytes, Infallible> {
        assert_eq!(request.slices().len(), 1);
        Ok([request.contiguous(), request.contiguous()].concat().into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_is_in_the_budget_for_as_long_as_a_part_of_it_is() {
        let setup = setup(1000);
        let whole = setup.parcel().in_one_piece().await;
        assert_eq!((&whole[..], setup.budget.usage()), (&setup.body.to_vec()[..], 200));
        let part = whole.slice(10..20);
        drop(whole);
        assert_eq!(setup.budget.usage(), 200);
        drop(part);
        assert_eq!(setup.budget.usage(), 100);
        let one = Setup { body: Bytes::from("in one piece").into(), ..setup };
        let whole = one.parcel().in_one_piece().await;
        assert_eq!((&whole[..], one.budget.usage()), (&b"in one piece"[..], 100), "nothing is copied");
    }

    #[tokio::test(start_paused = true)]
    async fn without_room_one_request_at_a_time_is_copied() {
        let setup = setup(150);
        let first = setup.parcel().in_one_piece().await;
        assert_eq!(setup.budget.usage(), 100);
        assert!(waits(setup.parcel().in_one_piece()).await);
        drop(first);
        assert_eq!(setup.parcel().in_one_piece().await.len(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_made_of_it_is_in_the_budget_or_made_in_turn() {
        for (budget, usage) in [(1000, 300), (350, 300), (299, 100), (150, 100)] {
            let setup = setup(budget);
            let made = setup.parcel().make(twice).await.unwrap();
            assert_eq!((made.len(), setup.budget.usage()), (200, usage), "{budget}");
            assert_eq!(waits(setup.parcel().make(twice)).await, usage == 100, "{budget}");
            drop(made);
            assert_eq!(setup.parcel().make(twice).await.unwrap().len(), 200);
            assert_eq!(setup.budget.usage(), 100, "{budget}");
        }
    }
}
