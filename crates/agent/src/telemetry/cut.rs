//! Texts of senders, made short: they may be of any length, and what is shown or remembered of them may not.

/// The first bytes of a text, at a boundary of characters.
#[must_use]
pub fn cut(text: &str, most: usize) -> &str {
    text.split_at(text.floor_char_boundary(most)).0
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("häuser", 100), "häuser");
        assert_eq!(cut("häuser", 3), "hä");
        assert_eq!(cut("häuser", 2), "h");
        assert_eq!(cut("", 0), "");
    }
}
