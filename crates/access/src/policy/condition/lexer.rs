//! The words of a condition.

use std::iter::Peekable;
use std::str::CharIndices;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    OpenBrace,
    CloseBrace,
    Comma,
    Not,
    And,
    Or,
    /// `@Request[name]`: the source and the name.
    Attribute(&'a str, &'a str),
    /// An operator or a GUID.
    Word(&'a str),
    /// What is between two `'`.
    Text(&'a str),
}

/// A token and the byte it begins at.
pub(super) type Placed<'a> = (usize, Token<'a>);

/// Where reading stopped, and why.
pub(super) type Stop = (usize, &'static str);

pub(super) fn tokens(text: &str) -> Result<Vec<Placed<'_>>, Stop> {
    let mut found = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, character)) = rest.next() {
        let token = match character {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '{' => Token::OpenBrace,
            '}' => Token::CloseBrace,
            ',' => Token::Comma,
            '!' => Token::Not,
            '&' if rest.next_if(|(_, c)| *c == '&').is_some() => Token::And,
            '|' if rest.next_if(|(_, c)| *c == '|').is_some() => Token::Or,
            '\'' => Token::Text(until(text, at + 1, &mut rest, '\'').ok_or((at, "this text has no end: add `'`"))?),
            '@' => attribute(text, at, &mut rest)?,
            c if is_word(c) => word(text, at, &mut rest),
            _ => return Err((at, "this character has no meaning here")),
        };
        found.push((at, token));
    }
    Ok(found)
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, ':' | '-' | '_' | '.')
}

/// What stands between `start` and the next `end`, which is consumed.
fn until<'a>(text: &'a str, start: usize, rest: &mut Peekable<CharIndices<'a>>, end: char) -> Option<&'a str> {
    rest.find(|(_, c)| *c == end).and_then(|(at, _)| text.get(start..at))
}

fn attribute<'a>(text: &'a str, at: usize, rest: &mut Peekable<CharIndices<'a>>) -> Result<Token<'a>, Stop> {
    const FORM: &str = "an attribute is `@Request[name]`";
    let source = until(text, at + 1, rest, '[').ok_or((at, FORM))?;
    let start = at + 1 + source.len() + 1;
    let name = until(text, start, rest, ']').ok_or((at, FORM))?;
    Ok(Token::Attribute(source, name))
}

fn word<'a>(text: &'a str, at: usize, rest: &mut Peekable<CharIndices<'a>>) -> Token<'a> {
    let mut end = at + 1;
    while let Some((next, _)) = rest.next_if(|(_, c)| is_word(*c)) {
        end = next + 1;
    }
    let word = text.get(at..end).unwrap_or_default();
    match word {
        w if w.eq_ignore_ascii_case("and") => Token::And,
        w if w.eq_ignore_ascii_case("or") => Token::Or,
        w if w.eq_ignore_ascii_case("not") => Token::Not,
        word => Token::Word(word),
    }
}
