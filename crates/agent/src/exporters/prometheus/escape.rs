//! Names for clients that do not take every character in them.

use std::borrow::Cow;
use std::fmt::Write;

use super::negotiate::Escaping;
use crate::telemetry::exposition::text::is_classic_name;

/// A name as the client takes it. Classic names stay as they are.
pub(super) fn name(name: &str, escaping: Escaping) -> Cow<'_, str> {
    if escaping == Escaping::AllowUtf8 || is_classic_name(name) {
        return Cow::Borrowed(name);
    }
    let mut escaped = String::with_capacity(name.len() + 8);
    if escaping == Escaping::Values {
        escaped.push_str("U__");
    }
    for (at, c) in name.chars().enumerate() {
        let is_classic = c.is_ascii_alphabetic() || c == ':' || c.is_ascii_digit() && at > 0;
        match escaping {
            Escaping::Dots if c == '.' => escaped.push_str("_dot_"),
            Escaping::Dots | Escaping::Values if c == '_' => escaped.push_str("__"),
            _ if is_classic || c == '_' => escaped.push(c),
            Escaping::Dots => escaped.push_str("__"),
            Escaping::Values => {
                let _ = write!(escaped, "_{:x}_", u32::from(c));
            }
            _ => escaped.push('_'),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_the_client_wishes() {
        let check = |text: &str, dots: &str, values: &str, underscores: &str| {
            assert_eq!(name(text, Escaping::Dots), dots);
            assert_eq!(name(text, Escaping::Values), values);
            assert_eq!(name(text, Escaping::Underscores), underscores);
            assert_eq!(name(text, Escaping::AllowUtf8), text);
        };
        check("http_requests", "http_requests", "http_requests", "http_requests");
        check("http.status_code", "http_dot_status__code", "U__http_2e_status__code", "http_status_code");
        check("größe", "gr____e", "U__gr_f6__df_e", "gr__e");
        check("2x", "__x", "U___32_x", "_x");
    }
}
