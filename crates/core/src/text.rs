//! Texts of strangers, as errors and the audit show them.

/// The first characters of a text that may be megabytes long, escaped so that they are printable.
#[must_use]
pub fn escaped(input: &str, shown: usize) -> String {
    input.chars().take(shown).flat_map(char::escape_default).collect()
}

/// The same, with a mark where something is left out.
#[must_use]
pub fn excerpt(input: &str, shown: usize) -> String {
    let mut text = escaped(input, shown);
    if input.chars().nth(shown).is_some() {
        text.push('…');
    }
    text
}
