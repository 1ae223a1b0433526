//! JSON that every reader reads alike.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IntoDeserializer as _, MapAccess, Visitor};

/// What is read from an object by the names of its members.
pub trait Object<'de>: Sized {
    /// The members that mean something here.
    const NAMES: &'static [&'static str];

    /// Reads the members; one that is there twice is an error.
    ///
    /// # Errors
    /// The deserializer's.
    fn read<D: Deserializer<'de>>(members: D) -> Result<Self, D::Error>;
}

/// Reads an object. Refused is a list in its place, and a member whose name differs in case alone from one of
/// [`Object::NAMES`]: to Go's readers that is the same member, to others it is another.
///
/// # Errors
/// The deserializer's, and for what is refused.
pub fn object<'de, T: Object<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(ObjectVisitor(PhantomData))
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Object<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::read(MapAccessDeserializer::new(Members { members, names: T::NAMES }))
    }
}

struct Members<A> {
    members: A,
    names: &'static [&'static str],
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(key) = self.members.next_key::<String>()? else { return Ok(None) };
        if let Some(name) = self.names.iter().find(|name| **name != key && alike(name, &key)) {
            return Err(A::Error::custom(format_args!("a member's name looks like `{name}` but is not")));
        }
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.members.next_value_seed(seed)
    }
}

/// Case is folded as `encoding/json` of Go does: two characters outside ASCII fold to letters of it.
fn alike(name: &str, key: &str) -> bool {
    let folded = key.chars().map(|character| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    name.chars().map(|character| character.to_ascii_lowercase()).eq(folded)
}
