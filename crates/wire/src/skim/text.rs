//! UTF-8, with a short way for the short ASCII strings that telemetry is made of.

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Whether this is UTF-8.
#[inline]
pub(super) fn is_utf8(text: &[u8]) -> bool {
    is_ascii(text) || simdutf8::basic::from_utf8(text).is_ok()
}

/// Whether no byte has its high bit set.
#[inline]
pub(super) fn is_ascii(text: &[u8]) -> bool {
    let mut words = text.chunks_exact(8);
    let all =
        words.by_ref().fold(0, |all, word| all | word.first_chunk().map_or(u64::MAX, |word| u64::from_le_bytes(*word)));
    all & HIGH_BITS == 0 && words.remainder().is_ascii()
}
