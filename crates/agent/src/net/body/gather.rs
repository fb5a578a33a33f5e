//! Puts the frames of a body into one piece.

use bytes::Bytes;

use super::{Full, Reserve};

/// Asked for before the first byte, at most. What a length merely claims costs no more than this, so that a thousand
/// bodies that never come leave room for others.
const FIRST_STEP: usize = 4 * 1024;

/// The next step of a body of which more than the first has come.
const SECOND_STEP: usize = 64 * 1024;

/// A frame at least this long that is the whole body is kept as it is. A shorter one is copied: it would keep the
/// connection's read buffer, which is many times its size, alive for as long as the batch lives.
const WORTH_KEEPING: usize = 8 * 1024;

/// A body on its way into one piece. Frames lie in the connection's read buffers with frame headers between them, so
/// more than one have to be copied; a single large one does not.
pub struct Gather {
    claimed: usize,
    reserved: usize,
    state: State,
}

enum State {
    Empty,
    One(Bytes),
    Many(Vec<u8>),
}

impl Gather {
    /// Takes the permit for the first step of a body that is said to have `claimed` bytes (0: it is not said).
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub fn expecting(claimed: usize, reserve: &mut dyn Reserve) -> Result<Self, Full> {
        let reserved = claimed.min(FIRST_STEP);
        reserve.grow(reserved)?;
        Ok(Self { claimed, reserved, state: State::Empty })
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        match &self.state {
            State::Empty => 0,
            State::One(one) => one.len(),
            State::Many(many) => many.len(),
        }
    }

    /// Whether there are none so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the next frame.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub fn push(&mut self, data: Bytes, reserve: &mut dyn Reserve) -> Result<(), Full> {
        if data.is_empty() {
            return Ok(());
        }
        let len = self.len() + data.len();
        self.make_room(len, reserve)?;
        let room = self.reserved;
        self.state = match std::mem::replace(&mut self.state, State::Empty) {
            State::Empty if data.len() >= WORTH_KEEPING => State::One(data),
            State::Empty => State::Many(copy(&[&data], room)),
            State::One(first) => State::Many(copy(&[&first, &data], room)),
            State::Many(mut many) => {
                many.reserve_exact(room.saturating_sub(many.len()));
                many.extend_from_slice(&data);
                State::Many(many)
            }
        };
        Ok(())
    }

    /// Grows the permit to at least `len`: to the second step, then to double, but not past what is claimed while that is more.
    fn make_room(&mut self, len: usize, reserve: &mut dyn Reserve) -> Result<(), Full> {
        if len <= self.reserved {
            return Ok(());
        }
        let double = self.reserved.saturating_mul(2);
        let wanted =
            if self.claimed > self.reserved { double.max(SECOND_STEP).min(self.claimed) } else { double }.max(len);
        reserve.grow(wanted - self.reserved)?;
        self.reserved = wanted;
        Ok(())
    }

    /// The body in one piece.
    pub fn into_bytes(self) -> Bytes {
        match self.state {
            State::Empty => Bytes::new(),
            State::One(one) => one,
            State::Many(mut many) => {
                many.shrink_to_fit();
                Bytes::from(many)
            }
        }
    }
}

fn copy(parts: &[&Bytes], room: usize) -> Vec<u8> {
    let mut joined = Vec::with_capacity(room);
    for part in parts {
        joined.extend_from_slice(part);
    }
    joined
}
