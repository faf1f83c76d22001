//! The header fields of a message, in their order.

use crate::names::{Name, key_of, name_of};
use crate::text::Text;

/// One header field. Lists inside a value are not cut.
#[derive(Debug, Clone)]
pub struct Field {
    pub(crate) name: Name,
    pub(crate) value: Text,
}

impl Field {
    /// A field of ours.
    #[must_use]
    pub fn new(name: &str, value: &str) -> Self {
        Self { name: name_of(name), value: Text::from(value) }
    }

    pub(crate) fn is(&self, key: &str) -> bool {
        *self.name.key == *key
    }

    /// As it is written.
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.name.written
    }

    /// Without the blanks around it.
    #[must_use]
    pub fn value(&self) -> &Text {
        &self.value
    }
}

/// An ordered list of header fields; names are matched without case and in their compact forms too.
///
/// Content-Length is not among them: it is written from the body. It never changes; each edit gives a new one.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    fields: Vec<Field>,
}

impl FromIterator<Field> for Headers {
    fn from_iter<Fields: IntoIterator<Item = Field>>(fields: Fields) -> Self {
        Self { fields: fields.into_iter().collect() }
    }
}

/// Equal names and values in the same order, however the names are spelt.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        let pairs = |headers: &Self| -> Vec<(Text, Text)> {
            headers.fields.iter().map(|field| (field.name.key.clone(), field.value.clone())).collect()
        };
        pairs(self) == pairs(other)
    }
}

impl Eq for Headers {}

impl Headers {
    /// The fields in their order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The value of the first field called `name`.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&Text> {
        self.under(&key_of(name))
    }

    /// The values of all fields called `name`, one per field.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Text> {
        let key = key_of(name);
        self.fields.iter().filter(move |field| field.is(&key)).map(|field| &field.value)
    }

    /// The fields called any of `names`, in order.
    pub fn named<Named: AsRef<str>>(&self, names: &[Named]) -> impl Iterator<Item = &Field> {
        let keys = keys(names);
        self.fields.iter().filter(move |field| keys.contains(&field.name.key))
    }

    /// With this field in front of all others.
    #[must_use]
    pub fn with_first(&self, field: Field) -> Self {
        let mut fields = Vec::with_capacity(self.fields.len() + 1);
        fields.push(field);
        fields.extend_from_slice(&self.fields);
        Self { fields }
    }

    /// With these fields at the end.
    #[must_use]
    pub fn with_added(&self, more: impl IntoIterator<Item = Field>) -> Self {
        self.fields.iter().cloned().chain(more).collect()
    }

    /// With another value in the first field of this name; the others of its name stay.
    #[must_use]
    pub fn with_first_value(&self, name: &str, value: &str) -> Self {
        let key = key_of(name);
        let mut fields = self.fields.clone();
        if let Some(field) = fields.iter_mut().find(|field| field.is(&key)) {
            field.value = Text::from(value);
        }
        Self { fields }
    }

    /// With this field where the first of its name stood, or at the end; the others of its name go.
    #[must_use]
    pub fn with_replaced(&self, field: &Field) -> Self {
        let mut one = Some(field.clone());
        let mut fields: Vec<Field> = Vec::with_capacity(self.fields.len() + 1);
        for old in &self.fields {
            if old.is(&field.name.key) {
                fields.extend(one.take());
            } else {
                fields.push(old.clone());
            }
        }
        fields.extend(one);
        Self { fields }
    }

    /// Without the fields of these names.
    #[must_use]
    pub fn without<Named: AsRef<str>>(&self, names: &[Named]) -> Self {
        let keys = keys(names);
        self.fields.iter().filter(|field| !keys.contains(&field.name.key)).cloned().collect()
    }

    /// The first value under a name that is in the form of [`key_of`].
    pub(crate) fn under(&self, key: &str) -> Option<&Text> {
        self.fields.iter().find(|field| field.is(key)).map(|field| &field.value)
    }
}

fn keys<Named: AsRef<str>>(names: &[Named]) -> Vec<Text> {
    names.iter().map(|name| key_of(name.as_ref())).collect()
}
