//! UTF-8, with a short way for the short ASCII text that telemetry is made of.

const HIGH_BITS: u128 = 0x8080_8080_8080_8080_8080_8080_8080_8080;

/// From this length on the vector instructions of `simdutf8` are faster than asking for ASCII first.
const LONG: usize = 128;

/// Whether this is UTF-8.
#[inline]
pub(super) fn is_utf8(text: &[u8]) -> bool {
    (text.len() < LONG && is_ascii(text)) || simdutf8::basic::from_utf8(text).is_ok()
}

/// Whether no byte has its high bit set. For short text: sixteen bytes at a time, the last sixteen once more for the
/// rest, so that there is no loop over single bytes.
#[inline(always)]
fn is_ascii(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        return is_ascii_below_16(text);
    };
    let chunks = text.as_chunks().0.iter();
    chunks.fold(u128::from_le_bytes(*last), |all, chunk| all | u128::from_le_bytes(*chunk)) & HIGH_BITS == 0
}

#[inline]
fn is_ascii_below_16(text: &[u8]) -> bool {
    let all = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => u64::from_le_bytes(*first) | u64::from_le_bytes(*last),
        _ => match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first) | u32::from_le_bytes(*last)),
            _ => text.iter().fold(0, |all, byte| all | u64::from(*byte)),
        },
    };
    u128::from(all) & HIGH_BITS == 0
}

/// What is left of `rest` behind the attributes at its front that are written as nearly all of them are: the given tag,
/// a key and a scalar value, every length in one byte, all text ASCII. The others are left to the walk.
#[inline]
pub(super) fn skip_plain_attributes(tag: u8, mut rest: &[u8]) -> &[u8] {
    while let [first, len, after @ ..] = rest
        && *first == tag
        && *len < 0x80
        && let Some((content, next)) = after.split_at_checked(usize::from(*len))
        && is_plain_attribute(content)
    {
        rest = next;
    }
    rest
}

/// Whether the content of a `KeyValue`, less than 128 bytes long, is as described above. Since nothing in it is 128
/// bytes long, no length can be meant to go on in the next byte.
#[inline(always)]
fn is_plain_attribute(content: &[u8]) -> bool {
    let [0x0a, key_len, rest @ ..] = content else {
        return false;
    };
    let Some((key, [0x12, value_len, value_tag, value @ ..])) = rest.split_at_checked(usize::from(*key_len)) else {
        return false;
    };
    if usize::from(*value_len) != value.len() + 1 {
        return false;
    }
    match (value_tag, value) {
        // All of it is ASCII if the key and the value are: tags and lengths are.
        (0x0a, [text_len, text @ ..]) => usize::from(*text_len) == text.len() && is_ascii(content),
        (0x10 | 0x18, [number]) => *number < 0x80 && is_ascii(key),
        (0x10 | 0x18, [first, second]) => *first >= 0x80 && *second < 0x80 && is_ascii(key),
        (0x21, [_, _, _, _, _, _, _, _]) => is_ascii(key),
        _ => false,
    }
}
