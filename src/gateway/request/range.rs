//! Byte ranges of blobs ([RFC 9110, 14](https://www.rfc-editor.org/rfc/rfc9110#section-14)).

/// The bytes of a blob that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteRange {
    /// All of them.
    Whole,
    /// From one to another, both included.
    Part { first: u64, last: u64 },
    /// None that the blob has.
    Unsatisfiable,
}

impl ByteRange {
    /// Reads a `Range` header for a blob of this size. A header that makes no sense, or asks for
    /// several ranges, counts as none.
    pub(crate) fn parse(header: Option<&str>, size: u64) -> Self {
        let Some(range) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else {
            return Self::Whole;
        };
        let Some((first, last)) = range.split_once('-') else {
            return Self::Whole;
        };
        let number = |text: &str| match text.trim() {
            "" => Some(None),
            text if text.bytes().all(|b| b.is_ascii_digit()) => {
                Some(Some(text.parse().unwrap_or(u64::MAX)))
            }
            _ => None,
        };
        let end = size.saturating_sub(1);
        match (number(first), number(last)) {
            (Some(None), Some(Some(0))) => Self::Unsatisfiable,
            (Some(None), Some(Some(suffix))) if size > 0 => Self::Part {
                first: size.saturating_sub(suffix),
                last: end,
            },
            (Some(Some(first)), Some(Some(last))) if last < first => Self::Whole,
            (Some(Some(first)), Some(_)) if first >= size => Self::Unsatisfiable,
            (Some(Some(first)), Some(last)) => Self::Part {
                first,
                last: last.unwrap_or(end).min(end),
            },
            _ => Self::Whole,
        }
    }
}

#[cfg(test)]
mod tests;
