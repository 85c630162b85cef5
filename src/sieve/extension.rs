//! The extensions that a script may require.

/// One extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extension {
    FileInto,
    Envelope,
    EncodedCharacter,
    Reject,
    Ereject,
    Copy,
    Body,
    Relational,
    Variables,
    Subaddress,
    Imap4Flags,
    Vacation,
    VacationSeconds,
    Date,
    Index,
    Octet,
    Casemap,
    Numeric,
}

impl Extension {
    /// Every one, with its name and where it is written down.
    pub(super) const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::FileInto, "fileinto", "RFC 5228 4.1"),
        (Self::Envelope, "envelope", "RFC 5228 5.4"),
        (Self::EncodedCharacter, "encoded-character", "RFC 5228 2.4.2.4"),
        (Self::Reject, "reject", "RFC 5429 2.2"),
        (Self::Ereject, "ereject", "RFC 5429 2.1"),
        (Self::Copy, "copy", "RFC 3894"),
        (Self::Body, "body", "RFC 5173"),
        (Self::Relational, "relational", "RFC 5231"),
        (Self::Variables, "variables", "RFC 5229"),
        (Self::Subaddress, "subaddress", "RFC 5233"),
        (Self::Imap4Flags, "imap4flags", "RFC 5232"),
        (Self::Vacation, "vacation", "RFC 5230"),
        (Self::VacationSeconds, "vacation-seconds", "RFC 6131"),
        (Self::Date, "date", "RFC 5260 4"),
        (Self::Index, "index", "RFC 5260 6"),
        (Self::Octet, "comparator-i;octet", "RFC 4790 9.3"),
        (Self::Casemap, "comparator-i;ascii-casemap", "RFC 4790 9.2"),
        (Self::Numeric, "comparator-i;ascii-numeric", "RFC 4790 9.1"),
    ];

    /// The one of a name; names are told apart by case (RFC 5228 2.10.5).
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(extension, ..)| *extension)
    }

    /// The name that `require` takes.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(known, ..)| *known == self).map_or("", |(_, name, _)| name)
    }
}
