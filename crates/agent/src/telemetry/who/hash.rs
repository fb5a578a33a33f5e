//! Hashes of series. They need be well mixed, not secret: a sender that makes its own series collide harms its own count.

/// Hashes bytes: eight at a time, each mixed in.
pub(super) fn bytes(content: &[u8]) -> u64 {
    let mut hash = mix(content.len() as u64);
    let mut chunks = content.chunks_exact(8);
    for chunk in &mut chunks {
        hash = mix(hash ^ u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
    }
    let rest = chunks.remainder().iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
    mix(hash ^ rest)
}

/// The finisher of `SplitMix64`: every bit of the input changes half of the output.
pub(super) fn mix(value: u64) -> u64 {
    let mut value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
