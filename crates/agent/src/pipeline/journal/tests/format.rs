use super::super::format::{Found, Head, Kind, entry_head, scan};

/// A segment with these payloads.
fn segment(salt: u32, payloads: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Head::new(1, salt).encode().to_vec();
    for payload in payloads {
        bytes.extend_from_slice(&entry_head(salt, Kind::Record, &[payload]).unwrap());
        bytes.extend_from_slice(payload);
    }
    bytes
}

#[test]
fn telemetry_that_looks_like_an_entry_is_not_taken_for_one() {
    // What a sender that knows the format, but not the salt, would write into its data.
    let forged = segment(0, &[b"forged"]).split_off(32);
    let bytes = segment(7, &[b"first", &forged, b"last"]);
    let payloads = |bytes: &[u8]| {
        let found: Vec<Found> = scan(7, bytes).collect();
        let of = |found: &Found| match found {
            Found::Entry(Kind::Record, range) => Some(bytes[range.clone()].to_vec()),
            _ => None,
        };
        found.iter().filter_map(of).collect::<Vec<_>>()
    };
    assert_eq!(payloads(&bytes), [b"first".to_vec(), forged.clone(), b"last".to_vec()]);
    // Also when the entry around it is damaged, so that what is inside is looked through.
    let mut damaged = bytes.clone();
    damaged[32 + 16 + 5 + 1] ^= 1;
    assert_eq!(payloads(&damaged), [b"first".to_vec(), b"last".to_vec()]);
}

#[test]
fn looking_for_the_next_entry_is_quick_in_bytes_that_are_made_to_slow_it_down() {
    // A million markers, each with a length that reaches to the end.
    let mut bytes = segment(7, &[]);
    let mut fake = entry_head(0, Kind::Record, &[]).unwrap();
    fake[8..12].copy_from_slice(&100_000_u32.to_le_bytes());
    (0..250_000).for_each(|_| bytes.extend_from_slice(&fake));
    let started = std::time::Instant::now();
    let found: Vec<Found> = scan(7, &bytes).collect();
    assert_eq!(found, [Found::Cut(32..bytes.len())]);
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}
