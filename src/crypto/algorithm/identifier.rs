//! AlgorithmIdentifier: an object identifier and its parameters as received (RFC 5280 4.1.1.2).

use crate::asn1::{Cursor, Error, Oid, encode, oid};

/// Names an algorithm and keeps its parameters as received.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AlgorithmIdentifier {
    /// Which algorithm.
    pub oid: Oid,
    /// The parameters as one encoded value, if there are any.
    pub parameters: Option<Vec<u8>>,
}

impl AlgorithmIdentifier {
    /// An algorithm without parameters.
    pub fn bare(oid: Oid) -> Self {
        Self { oid, parameters: None }
    }

    /// An algorithm with NULL parameters.
    pub fn with_null(oid: Oid) -> Self {
        Self { oid, parameters: Some(encode::null()) }
    }

    /// An algorithm with these encoded parameters.
    pub fn with(oid: Oid, parameters: Vec<u8>) -> Self {
        Self { oid, parameters: Some(parameters) }
    }

    /// Reads the next value as an AlgorithmIdentifier.
    pub fn from_cursor(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        Self::from_fields(cursor.sequence()?)
    }

    /// Reads the fields of an AlgorithmIdentifier whose tag is implicit.
    pub fn from_fields(mut fields: Cursor<'_>) -> Result<Self, Error> {
        let oid = fields.oid()?;
        let parameters = if fields.is_empty() { None } else { Some(fields.any()?.raw.to_vec()) };
        fields.finish()?;
        Ok(Self { oid, parameters })
    }

    /// Reads a whole encoded AlgorithmIdentifier.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes);
        let identifier = Self::from_cursor(&mut cursor)?;
        cursor.finish()?;
        Ok(identifier)
    }

    /// Writes it.
    pub fn to_der(&self) -> Vec<u8> {
        encode::sequence(&[encode::oid(&self.oid), self.parameters.clone().unwrap_or_default()])
    }

    /// The parameters, where they are there and not NULL.
    pub fn real_parameters(&self) -> Option<&[u8]> {
        self.parameters.as_deref().filter(|bytes| *bytes != [5, 0])
    }

    /// The name of the algorithm, or its dotted number.
    pub fn name(&self) -> String {
        oid::name(&self.oid).map_or_else(|| self.oid.to_string(), str::to_owned)
    }
}
