//! JSON, one document or several, walked as events.

use std::{
    fmt,
    io::{self, Read},
};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::inventory::{
    Error, Inventory,
    embedded::Host,
    scan::{MAX_TEXT_BYTES, Scan},
};

/// Reads JSON documents up to the end.
pub(crate) fn read(
    input: &mut impl Read,
    inventory: &mut Inventory,
    host: &Host,
) -> Result<(), Error> {
    let mut scan = Scan::new(inventory, host);
    let mut json = serde_json::Deserializer::from_reader(Bounded::new(input));
    loop {
        let events = scan.events();
        let read = JsonNode(&mut scan).deserialize(&mut json);
        if let Some(error) = scan.take_error() {
            return Err(error);
        }
        match read {
            Ok(()) => {}
            Err(error) if error.is_eof() && scan.events() == events => return Ok(()),
            Err(error) if error.is_io() => return Err(io::Error::from(error).into()),
            Err(error) => {
                return Err(Error::Syntax {
                    line: error.line(),
                    reason: error.to_string(),
                });
            }
        }
    }
}

/// A value that goes to the scan as events.
struct JsonNode<'s, 'i>(&'s mut Scan<'i>);

impl JsonNode<'_, '_> {
    fn scalar<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.0.scalar(text).map_err(|()| E::custom("stopped"))
    }
}

impl<'de> DeserializeSeed<'de> for JsonNode<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonNode<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.scalar(text)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.scalar("")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.scalar(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        self.scalar(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        self.scalar(&number.to_string())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.scalar("")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let stopped = |()| de::Error::custom("stopped");
        self.0.begin_list().map_err(stopped)?;
        while items.next_element_seed(JsonNode(self.0))?.is_some() {}
        self.0.end().map_err(stopped)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let stopped = |()| de::Error::custom("stopped");
        self.0.begin_map().map_err(stopped)?;
        // A key is a value to the scan, which knows its place.
        while members.next_key_seed(JsonNode(self.0))?.is_some() {
            members.next_value_seed(JsonNode(self.0))?;
        }
        self.0.end().map_err(stopped)
    }
}

/// Input whose texts have a limit: the parser holds each text whole.
struct Bounded<R> {
    input: R,
    /// Bytes of the text that is being read; `None` outside of texts.
    text: Option<usize>,
    is_escaped: bool,
}

impl<R: Read> Bounded<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            text: None,
            is_escaped: false,
        }
    }

    fn count(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            self.text = match (self.text, byte) {
                (None, b'"') => Some(0),
                (None, _) => None,
                (Some(_), b'"') if !self.is_escaped => None,
                (Some(MAX_TEXT_BYTES), _) => {
                    return Err(io::Error::other("a text of more than 4 MiB"));
                }
                (Some(length), _) => Some(length + 1),
            };
            self.is_escaped = self.text.is_some() && *byte == b'\\' && !self.is_escaped;
        }
        Ok(())
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.count(&buffer[..read])?;
        Ok(read)
    }
}
