//! A JSON value that knows where in its line it stands, so that what is wrong with it can be said with its place.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt;

use serde_json::Value;

/// What is wrong with one field of a vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field, as in `steps[0].after[2]`.
    pub field: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// A value and the way to it.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    value: &'a Value,
    way: Way<'a>,
}

#[derive(Clone, Copy)]
enum Way<'a> {
    Root,
    Key(&'a Node<'a>, &'a str),
    Index(&'a Node<'a>, usize),
}

impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.way {
            Way::Root => Ok(()),
            Way::Key(parent, key) => match parent.way {
                Way::Root => f.write_str(key),
                _ => write!(f, "{parent}.{key}"),
            },
            Way::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl<'a> Node<'a> {
    /// The value of a whole line.
    pub const fn root(value: &'a Value) -> Self {
        Self {
            value,
            way: Way::Root,
        }
    }

    /// An error at this place.
    #[cold]
    pub fn error(&self, problem: impl fmt::Display, remedy: impl fmt::Display) -> FieldError {
        FieldError {
            field: self.to_string(),
            problem: problem.to_string(),
            remedy: remedy.to_string(),
        }
    }

    /// The field of that name, which must be there.
    pub fn get(&'a self, key: &'a str) -> Result<Self, FieldError> {
        let Value::Object(fields) = self.value else {
            return Err(self.unexpected("an object"));
        };
        match fields.get(key) {
            Some(value) => Ok(Self {
                value,
                way: Way::Key(self, key),
            }),
            None => {
                let missing = Self {
                    value: &Value::Null,
                    way: Way::Key(self, key),
                };
                Err(missing.error(
                    "is missing",
                    "add the field; docs/conform.md lists those that a vector must have",
                ))
            }
        }
    }

    /// The field of that name, if it is there and not null.
    pub fn optional(&'a self, key: &'a str) -> Option<Self> {
        let value = self.value.get(key)?;
        (!value.is_null()).then_some(Self {
            value,
            way: Way::Key(self, key),
        })
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        self.value.is_null()
    }

    /// The elements of a list.
    pub fn list(&'a self) -> Result<impl ExactSizeIterator<Item = Self>, FieldError> {
        let Value::Array(elements) = self.value else {
            return Err(self.unexpected("a list"));
        };
        let elements = elements.iter().enumerate();
        Ok(elements.map(|(index, value)| Self {
            value,
            way: Way::Index(self, index),
        }))
    }

    /// A list of three.
    pub fn triple(&'a self) -> Result<[Self; 3], FieldError> {
        let elements: Vec<Self> = self.list()?.collect();
        <[Self; 3]>::try_from(elements).map_err(|elements| {
            self.error(
                format_args!("has {} elements, not 3", elements.len()),
                "give [level, physical address, value]",
            )
        })
    }

    /// A string.
    pub fn text(&self) -> Result<&'a str, FieldError> {
        match self.value {
            Value::String(text) => Ok(text),
            _ => Err(self.unexpected("a string")),
        }
    }

    /// A number of `low` to `high`.
    pub fn number(&self, low: u64, high: u64) -> Result<u64, FieldError> {
        let Some(number) = self.value.as_u64() else {
            return Err(self.unexpected(&format!("a whole number, {low} to {high}")));
        };
        if (low..=high).contains(&number) {
            return Ok(number);
        }
        Err(self.error(
            format_args!("is {number}, out of range"),
            format_args!("give a whole number, {low} to {high}"),
        ))
    }

    /// A number of at most `bits` bits, written as a hexadecimal string.
    pub fn hex(&self, bits: u32) -> Result<u64, FieldError> {
        let form = "a hexadecimal string such as \"0x1f000\"";
        let Value::String(text) = self.value else {
            return Err(self.unexpected(form));
        };
        let digits = text
            .strip_prefix("0x")
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(digits) = digits.filter(|digits| !digits.is_empty()) else {
            return Err(self.unexpected(form));
        };
        let number = u64::from_str_radix(digits, 16).ok();
        match number.filter(|number| bits >= 64 || number >> bits == 0) {
            Some(number) => Ok(number),
            None => Err(self.error(
                format_args!("{} does not fit in {bits} bits", shown(self.value)),
                format_args!("give a number below 2^{bits}"),
            )),
        }
    }

    #[cold]
    fn unexpected(&self, wanted: &str) -> FieldError {
        self.error(
            format_args!("is {}, not {wanted}", shown(self.value)),
            format_args!("give {wanted}"),
        )
    }
}

/// A value in a message: short, on one line.
fn shown(value: &Value) -> String {
    const CHARACTERS_MAX: usize = 40;
    match value {
        Value::Null => "null".to_owned(),
        Value::Array(elements) => format!("a list of {}", elements.len()),
        Value::Object(_) => "an object".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let text = value.to_string();
            let mut shown: String = text.chars().take(CHARACTERS_MAX).collect();
            if shown.len() < text.len() {
                shown.push_str("...");
            }
            shown
        }
    }
}
