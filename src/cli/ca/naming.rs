//! Whom a certificate shall name, as options and as columns of a table say it.

use clap::Args;

use sealpost::ca::{Organization, Person, Shape};

/// Whom the certificate names
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Whom it names")]
pub(super) struct Naming {
    /// The type by the Baseline Requirements (default: what the names given here make it)
    #[arg(long, value_parser = PROFILES)]
    pub(super) profile: Option<String>,
    /// The person's name as it is shown; split into given name and surname at its last blank where these are not given
    #[arg(long)]
    pub(super) name: Option<String>,
    /// The person's given name
    #[arg(long)]
    pub(super) given_name: Option<String>,
    /// The person's surname
    #[arg(long)]
    pub(super) surname: Option<String>,
    /// A name instead of the person's own
    #[arg(long, conflicts_with_all = ["name", "given_name", "surname"])]
    pub(super) pseudonym: Option<String>,
    /// The person's role or title
    #[arg(long)]
    pub(super) title: Option<String>,
    /// The organisation (default: the CA's)
    #[arg(long, value_name = "NAME")]
    pub(super) organization: Option<String>,
    /// Where the organisation is registered, and under which number, as NTRDE-HRB1234 (default: the CA's)
    #[arg(long, value_name = "ID")]
    pub(super) organization_id: Option<String>,
    /// The country, two letters (default: the CA's, where an organisation is named)
    #[arg(long, value_name = "CC")]
    pub(super) country: Option<String>,
}

pub(super) const PROFILES: [&str; 4] = ["mailbox", "organization", "sponsor", "individual"];

impl Naming {
    /// The shape of the certificate; what it says of the organisation is that of the authority unless something else is given.
    pub(super) fn shape(&self, authority: Option<&Organization>) -> Result<Shape, String> {
        let person = self.person();
        let names_organization = self.organization.is_some() || self.organization_id.is_some();
        let usual = match (&person, names_organization) {
            (Some(_), true) => "sponsor",
            (Some(_), false) => "individual",
            (None, true) => "organization",
            (None, false) => "mailbox",
        };
        let profile = self.profile.as_deref().unwrap_or(usual);
        let refuse = |what: &str| Err(format!("a certificate of the profile {profile} {what}"));
        match (profile, person) {
            ("mailbox", Some(_)) => refuse("names nobody – take the name away, or give --profile individual or sponsor"),
            ("mailbox", None) if names_organization || self.country.is_some() => refuse("names neither organization nor country"),
            ("mailbox", None) => Ok(Shape::Mailbox),
            ("organization", Some(_)) => refuse("names no person – give --profile sponsor for a person of an organization"),
            ("organization", None) => Ok(Shape::Organization(self.organization(authority)?)),
            ("individual", Some(_)) if names_organization => refuse("names no organization – give --profile sponsor"),
            ("individual", Some(person)) => Ok(Shape::Individual(self.country.iter().fold(person, Person::country))),
            ("sponsor", Some(person)) => Ok(Shape::Sponsor(self.organization(authority)?, person)),
            (_, None) => refuse("names a person – give --name, --given-name and --surname, or --pseudonym"),
            (other, _) => Err(format!("the profile {other} is not known – {}", PROFILES.join(", "))),
        }
    }

    fn person(&self) -> Option<Person> {
        let named = match (&self.given_name, &self.surname) {
            (Some(given), Some(surname)) => Some(Person::new(given, surname)),
            (None, Some(surname)) => Some(Person::surname(surname)),
            (Some(given), None) => Some(Person::given(given)),
            (None, None) => None,
        };
        let person = match (named, &self.name, &self.pseudonym) {
            (Some(person), Some(name), _) => person.shown(name),
            (Some(person), None, _) => person,
            (None, Some(name), _) => Person::called(name),
            (None, None, Some(pseudonym)) => Person::pseudonym(pseudonym),
            (None, None, None) => return None,
        };
        Some(self.title.iter().fold(person, Person::title))
    }

    fn organization(&self, authority: Option<&Organization>) -> Result<Organization, String> {
        let given = self.organization.as_deref().map(Organization::new);
        // the number of one organisation is not that of another
        let is_own = |own: &&Organization| self.organization.as_deref().is_none_or(|name| name == own.name());
        let organization =
            authority.filter(is_own).cloned().or(given).ok_or("the organization has no name – give --organization")?;
        let organization = self.organization_id.iter().fold(organization, Organization::identifier);
        Ok(self.country.iter().fold(organization, Organization::country))
    }
}
