//! A place within an expression.

/// A place within an expression, in bytes from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Position(pub(crate) usize);

impl Position {
    /// Line and column, both from one. Columns are bytes, as in Prometheus.
    pub(crate) fn line_and_column(self, text: &str) -> (u32, u32) {
        let end = self.0.min(text.len());
        let before = &text.as_bytes()[..end];
        let line = before.iter().filter(|&&byte| byte == b'\n').count();
        let begin = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        // An expression is at most MAX_EXPRESSION_BYTES long.
        (line as u32 + 1, (end - begin) as u32 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        let text = "ab\ncd";
        assert_eq!(Position(0).line_and_column(text), (1, 1));
        assert_eq!(Position(2).line_and_column(text), (1, 3));
        assert_eq!(Position(3).line_and_column(text), (2, 1));
        assert_eq!(Position(99).line_and_column(text), (2, 3));
    }
}
