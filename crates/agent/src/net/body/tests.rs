use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::Context;

use http_body::{Frame, SizeHint};

use super::*;

/// What is held now, at most, and may be.
struct Held {
    now: usize,
    most: usize,
    limit: usize,
}

impl Held {
    fn up_to(limit: usize) -> Self {
        Self { now: 0, most: 0, limit }
    }
}

impl Reserve for Held {
    fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        if self.now + bytes > self.limit {
            return Err(Full { wanted: bytes, used: self.now, limit: self.limit, of_sender: false });
        }
        self.now += bytes;
        self.most = self.most.max(self.now);
        Ok(())
    }

    fn shrink_to(&mut self, bytes: usize) {
        self.now = self.now.min(bytes);
    }
}

/// A body of given frames with a claimed length, one frame each `every`.
struct Slow {
    frames: VecDeque<Bytes>,
    claims: Option<u64>,
    every: Duration,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

fn frames(sizes: &[usize]) -> Slow {
    let frames = sizes.iter().map(|size| Bytes::from(vec![7; *size])).collect();
    Slow { frames, claims: None, every: Duration::ZERO, sleep: None }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.every.is_zero() {
            let every = self.every;
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(every)));
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
        Poll::Ready(self.frames.pop_front().map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        self.claims.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

const LIMITS: Limits =
    Limits { bytes: 1 << 20, pace: Pace { grace: Duration::from_secs(30), bytes_per_second: 1024, most: None } };

async fn read_with(mut body: Slow, held: &mut Held) -> Result<Bytes, BodyError> {
    Ok(read(&mut body, &LIMITS, Encoding::Identity, held).await?.bytes)
}

#[tokio::test]
async fn frames_become_one_body_and_the_permit_fits_it() {
    for sizes in [&[][..], &[0], &[5], &[9000], &[100, 0, 70_000, 3], &[16_384; 40]] {
        for claims in [true, false] {
            let total: usize = sizes.iter().sum();
            let mut held = Held::up_to(usize::MAX);
            let body = Slow { claims: claims.then_some(total as u64), ..frames(sizes) };
            let bytes = read_with(body, &mut held).await.unwrap();
            assert_eq!((bytes.len(), held.now), (total, total), "{sizes:?}");
            assert!(bytes.iter().all(|byte| *byte == 7));
        }
    }
}

#[tokio::test]
async fn one_large_frame_is_not_copied() {
    let frame = Bytes::from(vec![1; 10_000]);
    let at = frame.as_ptr();
    let body = Slow { frames: [frame].into(), ..frames(&[]) };
    assert_eq!(read_with(body, &mut Held::up_to(usize::MAX)).await.unwrap().as_ptr(), at);
}

#[tokio::test]
async fn a_claimed_length_reserves_a_step_and_the_next_when_bytes_come() {
    for (bytes, reserved) in [(10, 4 * 1024), (5000, 64 * 1024), (100_000, 100_000)] {
        let mut held = Held::up_to(usize::MAX);
        let body = Slow { claims: Some(1 << 20), ..frames(&[bytes]) };
        read_with(body, &mut held).await.unwrap();
        assert_eq!(held.most, reserved, "{bytes} bytes came");
    }
}

#[tokio::test]
async fn too_large_is_refused_before_a_byte_is_read() {
    let mut held = Held::up_to(usize::MAX);
    let body = Slow { claims: Some(1 << 30), ..frames(&[]) };
    assert!(matches!(read_with(body, &mut held).await, Err(BodyError::TooLarge)));
    assert_eq!(held.most, 0);
    assert!(matches!(read_with(frames(&[1 << 20, 1]), &mut held).await, Err(BodyError::TooLarge)));
}

#[tokio::test]
async fn a_body_without_room_in_the_budget_is_refused() {
    let claimed = Slow { claims: Some(5000), ..frames(&[5000]) };
    assert!(matches!(read_with(claimed, &mut Held::up_to(4000)).await, Err(BodyError::Full(_))));
    assert!(matches!(read_with(frames(&[3000, 3000]), &mut Held::up_to(4000)).await, Err(BodyError::Full(_))));
}

#[tokio::test(start_paused = true)]
async fn a_body_slower_than_a_byte_a_second_ends() {
    let started = tokio::time::Instant::now();
    let body = Slow { every: Duration::from_millis(1100), ..frames(&[1; 10_000]) };
    assert!(matches!(read_with(body, &mut Held::up_to(usize::MAX)).await, Err(BodyError::TooSlow)));
    assert!(started.elapsed() < Duration::from_secs(31));
}

#[tokio::test(start_paused = true)]
async fn a_slow_but_steady_body_is_read() {
    let body = Slow { every: Duration::from_secs(1), ..frames(&[2048; 100]) };
    assert_eq!(read_with(body, &mut Held::up_to(usize::MAX)).await.unwrap().len(), 204_800);
}

#[tokio::test]
async fn a_compressed_body_is_inflated_and_its_permit_is_the_inflated_size() {
    let packed = compression::compress(Encoding::Gzip, None, [&[9_u8; 50_000][..]]).unwrap();
    let mut held = Held::up_to(usize::MAX);
    let sent = packed.len();
    let mut body = Slow { frames: [packed].into(), ..frames(&[]) };
    let received = read(&mut body, &LIMITS, Encoding::Gzip, &mut held).await.unwrap();
    assert_eq!((received.bytes.len(), received.sent, held.now), (50_000, sent, 50_000));
}
