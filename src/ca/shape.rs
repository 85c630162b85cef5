//! Whom a mail certificate names: the four types of the S/MIME Baseline Requirements (7.1.4.2).

use crate::asn1::{Oid, oid};
use crate::ca::Error;
use crate::lint::{self, BaselineType, Generation, Validation};
use crate::pki::Name;

/// An organisation, as certificates name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    name: String,
    identifier: Option<String>,
    country: Option<String>,
}

impl Organization {
    /// An organisation of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), identifier: None, country: None }
    }

    /// Where it is registered, and under which number: `NTRDE-HRB1234`, `VATFR-12345678901`, `LEIXG-…`, `GOVUS`, `INTXG`.
    #[must_use]
    pub fn identifier(mut self, identifier: impl Into<String>) -> Self {
        self.identifier = Some(identifier.into());
        self
    }

    /// Its country, two letters of ISO 3166-1.
    #[must_use]
    pub fn country(mut self, country: impl Into<String>) -> Self {
        self.country = Some(country.into());
        self
    }

    /// The organisation that a subject names.
    pub fn of(subject: &Name) -> Option<Self> {
        let value =
            |oid: Oid| subject.attributes().find(|attribute| attribute.oid == oid).map(|attribute| attribute.value.clone());
        Some(Self {
            name: value(oid::ORGANIZATION)?,
            identifier: value(oid::ORGANIZATION_IDENTIFIER),
            country: value(oid::COUNTRY),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks what it says of itself.
    pub(in crate::ca) fn check(&self) -> Result<(), Error> {
        check_country(self.country.as_deref())?;
        let Some(identifier) = &self.identifier else { return Ok(()) };
        lint::organization_identifier(identifier, self.country.as_deref()).map_err(Error::Refused)
    }

    /// Country, name and identifier, the country first as names have it.
    pub(in crate::ca) fn attributes(&self) -> Vec<(Oid, &str)> {
        let country = self.country.as_deref().map(|country| (oid::COUNTRY, country));
        let identifier = self.identifier.as_deref().map(|identifier| (oid::ORGANIZATION_IDENTIFIER, identifier));
        country.into_iter().chain([(oid::ORGANIZATION, self.name.as_str())]).chain(identifier).collect()
    }
}

impl From<&str> for Organization {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// A person, as certificates name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    naming: Naming,
    shown: Option<String>,
    title: Option<String>,
    country: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Naming {
    Name { given: Option<String>, surname: Option<String> },
    Pseudonym(String),
}

impl Person {
    /// A person with given name and surname.
    pub fn new(given: impl Into<String>, surname: impl Into<String>) -> Self {
        Self::from_naming(Naming::Name { given: Some(given.into()), surname: Some(surname.into()) })
    }

    /// A person by the name that they are called: its last word is taken for the surname, which is right for many names and not for all –
    /// then give both to [`Person::new`], and what is shown to [`Person::shown`]. Who has a single name has it as surname (S/MIME BR
    /// 7.1.4.2.2 e).
    pub fn called(name: &str) -> Self {
        let words: Vec<&str> = name.split_whitespace().collect();
        let (surname, given) = words.split_last().map_or((name, &[][..]), |(last, rest)| (*last, rest));
        let given = (!given.is_empty()).then(|| given.join(" "));
        Self::from_naming(Naming::Name { given, surname: Some(surname.to_owned()) }).shown(name)
    }

    /// A person by surname alone.
    pub fn surname(surname: impl Into<String>) -> Self {
        Self::from_naming(Naming::Name { given: None, surname: Some(surname.into()) })
    }

    /// A person by given name alone.
    pub fn given(given: impl Into<String>) -> Self {
        Self::from_naming(Naming::Name { given: Some(given.into()), surname: None })
    }

    /// A person who is not named.
    pub fn pseudonym(pseudonym: impl Into<String>) -> Self {
        Self::from_naming(Naming::Pseudonym(pseudonym.into()))
    }

    const fn from_naming(naming: Naming) -> Self {
        Self { naming, shown: None, title: None, country: None }
    }

    /// The name as it is shown; given name and surname where nothing else is said. A pseudonym is shown as it is.
    #[must_use]
    pub fn shown(mut self, name: impl Into<String>) -> Self {
        self.shown = Some(name.into());
        self
    }

    /// A role or a title.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The country of somebody who stands for themselves.
    #[must_use]
    pub fn country(mut self, country: impl Into<String>) -> Self {
        self.country = Some(country.into());
        self
    }

    fn common_name(&self) -> String {
        match (&self.naming, &self.shown) {
            (Naming::Pseudonym(pseudonym), _) => pseudonym.clone(),
            (_, Some(shown)) => shown.clone(),
            (Naming::Name { given, surname }, None) => {
                [given, surname].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ")
            }
        }
    }

    fn attributes(&self) -> Vec<(Oid, &str)> {
        let mut found = Vec::new();
        found.extend(self.title.as_deref().map(|title| (oid::TITLE, title)));
        match &self.naming {
            Naming::Name { given, surname } => {
                found.extend(surname.as_deref().map(|surname| (oid::SURNAME, surname)));
                found.extend(given.as_deref().map(|given| (oid::GIVEN_NAME, given)));
            }
            Naming::Pseudonym(pseudonym) => found.push((oid::PSEUDONYM, pseudonym)),
        }
        found
    }
}

/// Whom a mail certificate names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Shape {
    /// The mailbox alone.
    #[default]
    Mailbox,
    /// An organisation, for an address that no one person reads.
    Organization(Organization),
    /// A person of an organisation, which vouches for their name.
    Sponsor(Organization, Person),
    /// A person.
    Individual(Person),
}

impl Shape {
    /// Its type. The generation is the multipurpose one: certificates of the strict one must not be put on hold (S/MIME BR 7.2.2), which this
    /// authority can do; those of the legacy one are not issued any more (7.1.6.1).
    pub fn baseline(&self) -> BaselineType {
        let validation = match self {
            Self::Mailbox => Validation::Mailbox,
            Self::Organization(_) => Validation::Organization,
            Self::Sponsor(..) => Validation::Sponsor,
            Self::Individual(_) => Validation::Individual,
        };
        BaselineType { validation, generation: Generation::Multipurpose }
    }

    /// The subject (7.1.4.2.2). An address that is longer than a common name may be is in subjectAltName alone.
    pub(in crate::ca) fn subject(&self, addresses: &[String]) -> Result<Name, Error> {
        let first = addresses.first().map(String::as_str).unwrap_or_default();
        match self {
            Self::Mailbox if first.chars().count() > 64 => Ok(Name::from_attributes(&[])),
            Self::Mailbox => Ok(Name::from_attributes(&[(oid::COMMON_NAME, first)])),
            Self::Organization(organization) => {
                complete(organization)?;
                let mut attributes = organization.attributes();
                attributes.push((oid::COMMON_NAME, &organization.name));
                Ok(Name::from_attributes(&attributes))
            }
            Self::Sponsor(organization, person) => {
                complete(organization)?;
                let (name, mut attributes) = (person.common_name(), organization.attributes());
                attributes.extend(person.attributes());
                attributes.push((oid::COMMON_NAME, &name));
                Ok(Name::from_attributes(&attributes))
            }
            Self::Individual(person) => {
                check_country(person.country.as_deref())?;
                let country = person.country.as_deref().map(|country| (oid::COUNTRY, country));
                let (name, mut attributes) = (person.common_name(), country.into_iter().collect::<Vec<_>>());
                attributes.extend(person.attributes());
                attributes.push((oid::COMMON_NAME, &name));
                Ok(Name::from_attributes(&attributes))
            }
        }
    }
}

/// Country codes are written as PrintableString: anything else would not be what it says.
fn check_country(country: Option<&str>) -> Result<(), Error> {
    match country {
        Some(code) if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            Err(Error::Refused(format!("{code} is not a country – two capital letters, as DE")))
        }
        _ => Ok(()),
    }
}

/// An organisation that is vouched for needs its number (7.1.4.2.4, 7.1.4.2.5).
fn complete(organization: &Organization) -> Result<(), Error> {
    organization.check()?;
    if organization.identifier.is_none() {
        return Err(Error::Refused(format!(
            "a certificate that names {} needs its organization identifier, as NTRDE-HRB1234, VATFR-12345678901 or GOVUS",
            organization.name
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(shape: &Shape) -> String {
        shape.subject(&["jane@a.example".to_owned()]).expect("a name").to_string()
    }

    #[test]
    fn each_shape_names_what_its_type_demands() {
        let example = || Organization::new("Example Org").identifier("NTRGB-12345678").country("GB");
        let jane = || Person::new("Jane", "Doe").title("Clerk");
        assert_eq!(shown(&Shape::Mailbox), "CN=jane@a.example");
        assert_eq!(
            shown(&Shape::Organization(example())),
            "CN=Example Org, organizationIdentifier=NTRGB-12345678, O=Example Org, C=GB"
        );
        assert_eq!(
            shown(&Shape::Sponsor(example(), jane())),
            "CN=Jane Doe, GN=Jane, SN=Doe, title=Clerk, organizationIdentifier=NTRGB-12345678, O=Example Org, C=GB"
        );
        assert_eq!(shown(&Shape::Individual(jane().country("FR"))), "CN=Jane Doe, GN=Jane, SN=Doe, title=Clerk, C=FR");
        assert_eq!(shown(&Shape::Individual(Person::pseudonym("The Clerk"))), "CN=The Clerk, pseudonym=The Clerk");
        assert_eq!(shown(&Shape::Individual(Person::called("Ana de la Cruz"))), "CN=Ana de la Cruz, GN=Ana de la, SN=Cruz");
        assert_eq!(shown(&Shape::Individual(Person::called("Suharto"))), "CN=Suharto, SN=Suharto");
    }

    #[test]
    fn refuses_an_organisation_without_its_number_and_one_of_another_country() {
        let subject = |organization| Shape::Organization(organization).subject(&[]).expect_err("refused").to_string();
        assert!(subject(Organization::new("Example Org")).contains("needs its organization identifier"));
        let other = Organization::new("Example Org").identifier("NTRGB-12345678").country("FR");
        assert_eq!(subject(other), "the organization identifier NTRGB-12345678 is of another country than FR");
        assert!(subject(Organization::new("Example Org").identifier("GOVUS").country("usa")).contains("two capital letters"));
    }

    #[test]
    fn a_long_address_is_no_common_name() {
        let long = format!("{}@a.example", "x".repeat(60));
        assert!(Shape::Mailbox.subject(&[long]).expect("a name").is_empty());
    }
}
