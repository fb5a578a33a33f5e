use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::net::body::{Full, Reserve};

/// Memory without end that remembers how much was held at most.
#[derive(Default)]
pub(crate) struct Held {
    now: usize,
    most: usize,
    limit: Option<usize>,
}

impl Reserve for Held {
    fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        if self.limit.is_some_and(|limit| self.now + bytes > limit) {
            return Err(Full {
                wanted: bytes,
                used: self.now,
                limit: self.limit.unwrap_or_default(),
                of_sender: false,
            });
        }
        self.now += bytes;
        self.most = self.most.max(self.now);
        Ok(())
    }

    fn shrink_to(&mut self, bytes: usize) {
        self.now = self.now.min(bytes);
    }
}

const CAP: usize = 1 << 20;

fn packed(encoding: Encoding, plain: &[u8]) -> Bytes {
    compress(encoding, None, [plain]).unwrap()
}

fn inflated(encoding: Encoding, body: &Bytes) -> Result<Bytes, InflateError> {
    inflate(encoding, body, CAP, &mut Held::default())
}

proptest! {
    #[test]
    fn what_was_compressed_inflates_to_itself(plain in prop::collection::vec(0..4_u8, 0..5000), at in 0..5000_usize) {
        let (head, tail) = plain.split_at(at.min(plain.len()));
        for encoding in Encoding::ALL {
            let body = compress(encoding, Some(1), [head, tail]).unwrap();
            prop_assert_eq!(&inflated(encoding, &body).unwrap()[..], &plain[..], "{}", encoding);
        }
    }

    #[test]
    fn random_bodies_never_pass_the_cap(body in prop::collection::vec(any::<u8>(), 0..400), keep in 0..12_usize) {
        for encoding in Encoding::ALL {
            let mut bytes = packed(encoding, b"some text, some text").to_vec();
            bytes.truncate(keep);
            bytes.extend_from_slice(&body);
            let mut held = Held::default();
            let _ = inflate(encoding, &Bytes::from(bytes), 1000, &mut held);
            prop_assert!(held.most <= 1000 + 12 * (1 << 20), "{} held {}", encoding, held.most);
        }
    }
}

#[test]
fn a_truncated_body_is_broken() {
    for encoding in Encoding::ALL {
        let body = packed(encoding, &[7; 3000]);
        let body = body.slice(..body.len() - 5);
        assert!(matches!(inflated(encoding, &body), Err(InflateError::Broken(_))), "{encoding}");
    }
}

#[test]
fn an_empty_body_is_broken_where_a_header_is_missing() {
    for encoding in Encoding::ALL {
        let broken = matches!(encoding, Encoding::Gzip | Encoding::Zlib | Encoding::Snappy);
        assert_eq!(inflated(encoding, &Bytes::new()).is_err(), broken, "{encoding}");
    }
}

#[test]
fn a_bomb_ends_at_the_cap_and_holds_no_more_than_it() {
    for encoding in Encoding::ALL {
        let body = packed(encoding, &vec![0; 64 << 20]);
        let mut held = Held::default();
        assert_eq!(inflate(encoding, &body, CAP, &mut held), Err(InflateError::TooLarge), "{encoding}");
        let scratch = if encoding == Encoding::Lz4 { 12 << 20 } else { 0 };
        assert!(held.most <= CAP + scratch, "{encoding} held {}", held.most);
    }
}

#[test]
fn exactly_the_cap_is_allowed() {
    for encoding in Encoding::ALL {
        let body = packed(encoding, &vec![1; CAP]);
        assert_eq!(inflated(encoding, &body).unwrap().len(), CAP, "{encoding}");
        let body = packed(encoding, &vec![1; CAP + 1]);
        assert_eq!(inflated(encoding, &body), Err(InflateError::TooLarge), "{encoding}");
    }
}

#[test]
fn memory_is_asked_for_as_the_bytes_come() {
    for encoding in Encoding::ALL {
        let body = packed(encoding, &vec![1; CAP]);
        let mut held = Held { limit: Some(200_000), ..Held::default() };
        let result = inflate(encoding, &body, CAP, &mut held);
        assert!(matches!(result, Err(InflateError::Full(_))), "{encoding}: {result:?}");
    }
}

#[test]
fn a_claimed_size_costs_nothing() {
    // 4 GiB claimed by a gzip trailer, by a zstd frame and by a snappy block of a few bytes.
    let gzip = {
        let mut body = packed(Encoding::Gzip, b"x").to_vec();
        let size = body.len() - 4;
        body[size..].copy_from_slice(&[0xff; 4]);
        body
    };
    let zstd = [&b"\x28\xb5\x2f\xfd\xa0"[..], &[0xff, 0xff, 0xff, 0xf0, 1, 0, 0]].concat();
    let snappy = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    for (encoding, body) in [(Encoding::Gzip, gzip), (Encoding::Zstd, zstd), (Encoding::Snappy, snappy)] {
        let mut held = Held::default();
        assert!(inflate(encoding, &Bytes::from(body), usize::MAX, &mut held).is_err(), "{encoding}");
        assert!(held.most < 8192, "{encoding} held {}", held.most);
    }
}

#[test]
fn snappy_over_http_may_be_framed() {
    let framed = packed(Encoding::SnappyFramed, b"telemetry");
    assert_eq!(&inflated(Encoding::Snappy, &framed).unwrap()[..], b"telemetry");
}

#[test]
fn several_gzip_members_are_one_body() {
    let body = [packed(Encoding::Gzip, b"one, "), packed(Encoding::Gzip, b"two")].concat();
    assert_eq!(&inflated(Encoding::Gzip, &Bytes::from(body)).unwrap()[..], b"one, two");
}

#[test]
fn a_zstd_frame_without_its_size_inflates() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(&vec![3; 700_000]).unwrap();
    let body = Bytes::from(encoder.finish().unwrap());
    assert_eq!(inflated(Encoding::Zstd, &body).unwrap().len(), 700_000);
}

#[test]
fn names_are_the_collectors() {
    let http = |name| Encoding::from_http(name);
    assert_eq!(http(""), Some(Encoding::Identity));
    assert_eq!(http("GZIP"), Some(Encoding::Gzip));
    assert_eq!((http("deflate"), http("zlib")), (Some(Encoding::Zlib), Some(Encoding::Zlib)));
    assert_eq!((http("snappy"), http("x-snappy-framed")), (Some(Encoding::Snappy), Some(Encoding::SnappyFramed)));
    assert_eq!((http("br"), http("gzip, gzip")), (None, None));
    assert_eq!(Encoding::from_grpc("snappy"), Some(Encoding::SnappyFramed));
    assert_eq!(Encoding::from_grpc("lz4"), None);
}

#[test]
fn broken_gzip_is_told_in_the_collectors_words() {
    let broken = |what: &str| Err(InflateError::Broken(what.to_owned()));
    assert_eq!(inflated(Encoding::Gzip, &Bytes::from_static(b"not gzip at all")), broken("gzip: invalid header"));
    let body = packed(Encoding::Gzip, b"telemetry");
    assert_eq!(inflated(Encoding::Gzip, &body.slice(..body.len() - 9)), broken("unexpected EOF"));
}
