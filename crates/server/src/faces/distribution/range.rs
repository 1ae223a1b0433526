//! `Range` of a blob, `Content-Range` of a chunk.

use std::ops::Range;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, IF_RANGE, RANGE};
use shorepass_registry::ContentRange;

use crate::error::ApiError;

/// Which part of a blob a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    All,
    Part(Range<u64>),
    /// Begins behind the end.
    Unsatisfiable,
}

/// Reads `Range: bytes=…`. One range is served; of several, or of another unit, nothing is known and all is sent, as
/// RFC 9110 14.2 allows. A range that ends before it begins is unsatisfiable here, as the OCI conformance suite wants it.
pub fn wanted(headers: &HeaderMap, size: u64, digest: &str) -> Wanted {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(IF_RANGE).is_some_and(|tag| tag.trim_matches('"') != digest) {
        return Wanted::All;
    }
    let Some(range) = text(RANGE).and_then(|value| value.strip_prefix("bytes=")) else { return Wanted::All };
    let Some((first, last)) = range.split_once('-') else { return Wanted::All };
    let parsed = match (number(first), number(last)) {
        (Some(first), Some(last)) => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(length)) if first.is_empty() => size.saturating_sub(length)..size,
        _ => return Wanted::All,
    };
    if parsed.is_empty() { Wanted::Unsatisfiable } else { Wanted::Part(parsed) }
}

/// Reads `Content-Range: <first>-<last>` of a chunk (`bytes <first>-<last>/<size>` is understood too).
///
/// # Errors
/// When it is malformed, or not as long as `Content-Length` says.
pub fn chunk(headers: &HeaderMap) -> Result<Option<ContentRange>, ApiError> {
    let Some(value) = headers.get(CONTENT_RANGE) else { return Ok(None) };
    let malformed = || ApiError::bad_request("BLOB_UPLOAD_INVALID", "Content-Range must be `<first byte>-<last byte>`");
    let text = value.to_str().map_err(|_| malformed())?;
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let text = text.split('/').next().unwrap_or(text);
    let (first, last) = text.split_once('-').ok_or_else(malformed)?;
    let (Some(first), Some(last)) = (number(first), number(last)) else { return Err(malformed()) };
    if first > last {
        return Err(malformed());
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(number);
    if length.is_some_and(|length| length != (last - first).saturating_add(1)) {
        return Err(ApiError::bad_request("SIZE_INVALID", "Content-Length is not the length of Content-Range"));
    }
    Ok(Some(ContentRange { first, last }))
}

/// Digits only: no sign, no space.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn ranges_are_cut_to_the_blob() {
        for (range, expected) in [
            ("bytes=500-1499", Wanted::Part(500..1500)),
            ("bytes=500-", Wanted::Part(500..2048)),
            ("bytes=-500", Wanted::Part(1548..2048)),
            ("bytes=-5000", Wanted::Part(0..2048)),
            ("bytes=2000-5000", Wanted::Part(2000..2048)),
            ("bytes=0-18446744073709551615", Wanted::Part(0..2048)),
            ("bytes=500-0", Wanted::Unsatisfiable),
            ("bytes=5000-10000", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=x-y", Wanted::All),
            ("bytes=99999999999999999999-", Wanted::All),
            ("lines=0-1", Wanted::All),
        ] {
            assert_eq!(wanted(&headers(&[("range", range)]), 2048, "d"), expected, "{range}");
        }
        let other = headers(&[("range", "bytes=0-1"), ("if-range", "\"other\"")]);
        assert_eq!(wanted(&other, 2048, "d"), Wanted::All);
    }

    #[test]
    fn chunks_must_be_as_long_as_they_say() {
        assert_eq!(chunk(&headers(&[])).unwrap(), None);
        let read = chunk(&headers(&[("content-range", "0-511"), ("content-length", "512")])).unwrap();
        assert_eq!(read, Some(ContentRange { first: 0, last: 511 }));
        for bad in ["5-4", "a-b", "-5", "5-", "+1-2", "0-18446744073709551616"] {
            assert!(chunk(&headers(&[("content-range", bad)])).is_err(), "{bad}");
        }
        assert!(chunk(&headers(&[("content-range", "0-511"), ("content-length", "511")])).is_err());
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in "[ -~]{0,60}", size in any::<u64>()) {
            let both = headers(&[("range", &text), ("content-range", &text)]);
            if let Wanted::Part(part) = wanted(&both, size, "d") {
                prop_assert!(part.start < part.end && part.end <= size);
            }
            let _ = chunk(&both);
        }
    }
}
