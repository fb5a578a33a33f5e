//! Text that is handed on piece by piece, so that a large request is never in memory as text.

use std::fmt;

/// How long a piece is at most.
const PIECE: usize = 64 * 1024;

/// What is written goes on to somebody, in pieces that end with a line wherever there is one.
pub(super) struct Pieces<'a> {
    text: String,
    to: &'a mut dyn FnMut(&str),
}

impl<'a> Pieces<'a> {
    pub(super) fn new(to: &'a mut dyn FnMut(&str)) -> Pieces<'a> {
        Pieces { text: String::new(), to }
    }

    /// Hands on what is left.
    pub(super) fn finish(self) {
        if !self.text.is_empty() {
            (self.to)(&self.text);
        }
    }

    fn hand_on(&mut self) {
        let end = self.text.rfind('\n').map_or(self.text.len(), |at| at + 1);
        (self.to)(&self.text[..end]);
        self.text.drain(..end);
    }
}

impl fmt::Write for Pieces<'_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while self.text.len() + text.len() > PIECE {
            let (fits, rest) = text.split_at(text.floor_char_boundary(PIECE - self.text.len()));
            self.text.push_str(fits);
            self.hand_on();
            text = rest;
        }
        self.text.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn pieces(lines: &[&str]) -> Vec<String> {
        let mut handed = Vec::new();
        let mut take = |piece: &str| handed.push(piece.to_owned());
        let mut pieces = Pieces::new(&mut take);
        lines.iter().for_each(|line| writeln!(pieces, "{line}").unwrap());
        pieces.finish();
        handed
    }

    #[test]
    fn pieces_end_with_a_line_and_are_never_longer_than_they_may_be() {
        assert_eq!(pieces(&[]), [""; 0]);
        assert_eq!(pieces(&["a", "b"]), ["a\nb\n"]);
        let line = "x".repeat(1000);
        let handed = pieces(&[line.as_str(); 200]);
        assert_eq!(handed.concat(), format!("{line}\n").repeat(200));
        assert!(handed.iter().all(|piece| piece.len() <= PIECE && piece.ends_with('\n')));
        assert_eq!(handed.len(), 4);
    }

    #[test]
    fn a_line_that_is_longer_than_a_piece_is_cut_between_two_characters() {
        let line = "ü".repeat(PIECE);
        let handed = pieces(&["short", &line, "short"]);
        assert_eq!(handed.concat(), format!("short\n{line}\nshort\n"));
        assert!(handed.iter().all(|piece| !piece.is_empty() && piece.len() <= PIECE));
    }
}
