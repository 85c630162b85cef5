//! S/MIME Baseline Requirements 7.1.4.2.2 to 7.1.4.2.6: whom a mail certificate of each type names.

use crate::asn1::{Oid, oid};
use crate::lint::baseline::{self, Validation};
use crate::lint::facts::Facts;
use crate::lint::{Rule, error, list_of, notice, say, warning};

pub(super) const RULES: &[Rule] = &[
    error("cabf.mail.attribute-missing", "S/MIME BR 7.1.4.2.4, 7.1.4.2.5", |facts| {
        let needed: &[Oid] = match facts.baseline.validation {
            Validation::Organization | Validation::Sponsor => &[oid::ORGANIZATION, oid::ORGANIZATION_IDENTIFIER],
            Validation::Mailbox | Validation::Individual => &[],
        };
        let missing = needed.iter().filter(|oid| !facts.has_attribute(**oid)).filter_map(oid::name);
        list_of("the subject lacks attributes that its type must have", missing)
    }),
    error("cabf.mail.person-missing", "S/MIME BR 7.1.4.2.5 note 2, 7.1.4.2.6 note 2", |facts| {
        let is_person = matches!(facts.baseline.validation, Validation::Sponsor | Validation::Individual);
        let enough: &[Oid] = match facts.baseline.is_legacy() {
            true => &[oid::GIVEN_NAME, oid::SURNAME, oid::PSEUDONYM, oid::COMMON_NAME],
            false => &[oid::GIVEN_NAME, oid::SURNAME, oid::PSEUDONYM],
        };
        let has_one = enough.iter().any(|oid| facts.has_attribute(*oid));
        say(is_person && !has_one, "the subject has neither given name, surname nor pseudonym, and names a person")
    }),
    error("cabf.mail.attribute-prohibited", "S/MIME BR 7.1.4.2.3 to 7.1.4.2.6", |facts| {
        let wrong = facts.subject.iter().filter(|attribute| !may_have(facts, attribute.oid));
        let name = |oid: &Oid| oid::name(oid).map_or_else(|| oid.to_string(), str::to_owned);
        list_of("the subject has attributes that its type must not have", wrong.map(|attribute| name(&attribute.oid)))
    }),
    error("cabf.mail.pseudonym-and-name", "S/MIME BR 7.1.4.2.2 e, f", |facts| {
        let has_name = facts.has_attribute(oid::GIVEN_NAME) || facts.has_attribute(oid::SURNAME);
        say(has_name && facts.has_attribute(oid::PSEUDONYM), "the subject has a pseudonym beside a given name or surname")
    }),
    error("cabf.mail.common-name", "S/MIME BR 7.1.4.2.2 a", |facts| {
        list_of(
            "the common name is not what its type may have there",
            facts.values(oid::COMMON_NAME).filter(|name| !may_be_called(facts, name)),
        )
    }),
    error("cabf.mail.address-not-in-san", "S/MIME BR 7.1.4.2.1", |facts| {
        let texts = facts.subject.iter().map(|attribute| attribute.text.as_str());
        let addresses = texts.filter(|text| text.contains('@') && !text.contains(' '));
        list_of(
            "addresses of the subject are not in subjectAltName",
            addresses.filter(|address| !facts.addresses().any(|known| known == *address)),
        )
    }),
    error("cabf.mail.address-several", "S/MIME BR 7.1.4.2.2 h", |facts| {
        say(facts.values(oid::EMAIL_ADDRESS).count() > 1, "the subject has more than one emailAddress")
    }),
    error("cabf.mail.attribute-dependent", "S/MIME BR 7.1.4.2.2 j to m", |facts| {
        let has = |oid| facts.has_attribute(oid);
        let lacks_place = has(oid::STREET) && !has(oid::LOCALITY) && !has(oid::STATE);
        let is_placed = has(oid::LOCALITY) || has(oid::STATE) || has(oid::POSTAL_CODE);
        say(
            lacks_place || is_placed && !has(oid::COUNTRY),
            "the subject has a street without a town, or a town without a country",
        )
    }),
    error("cabf.country", "S/MIME BR 7.1.4.2.2 n", |facts| {
        list_of(
            "the subject has a country that is none of ISO 3166-1",
            facts.values(oid::COUNTRY).filter(|code| !baseline::is_country(code)),
        )
    }),
    error("cabf.mail.organization-identifier", "S/MIME BR 7.1.4.2.2 d", |facts| {
        let country = facts.values(oid::COUNTRY).next();
        let check = |value: &str| baseline::organization_identifier(value, country).err();
        facts.values(oid::ORGANIZATION_IDENTIFIER).find_map(check)
    }),
    warning("cabf.mail.german-identifier", "S/MIME BR 7.1.4.2.2 d note 3", |facts| {
        // DE, register, a dot, number: `DER3306.HRB12345`
        let is_euid = |reference: &str| reference.starts_with("DE") && reference.get(2..).is_some_and(|rest| rest.contains('.'));
        let other = |value: &&str| value.strip_prefix("NTRDE").is_some_and(|rest| !rest.strip_prefix('-').is_some_and(is_euid));
        list_of(
            "a German organization is not identified by its EUID, as NTRDE-DER3306.HRB12345",
            facts.values(oid::ORGANIZATION_IDENTIFIER).filter(other),
        )
    }),
    error("cabf.attribute-meaningless", "S/MIME BR 7.1.4.2", |facts| {
        let says_nothing = |text: &&str| !text.chars().any(char::is_alphanumeric);
        let texts = facts.subject.iter().map(|attribute| attribute.text.as_str());
        list_of("attributes of the subject say nothing", texts.filter(says_nothing))
    }),
    notice("cabf.names-beside", "RFC 5280 4.1.2.4", |facts| {
        say(
            facts.has_names_beside(),
            "several attributes of the subject stand in one relative name, which many programs do not read",
        )
    }),
];

/// The tables of 7.1.4.2.3 to 7.1.4.2.6.
fn may_have(facts: &Facts<'_>, attribute: Oid) -> bool {
    let baseline = facts.baseline;
    let (is_organization, is_person) = match baseline.validation {
        Validation::Mailbox => (false, false),
        Validation::Organization => (true, false),
        Validation::Sponsor => (true, true),
        Validation::Individual => (false, true),
    };
    match attribute {
        oid::COMMON_NAME | oid::SERIAL_NUMBER | oid::EMAIL_ADDRESS => true,
        oid::ORGANIZATION | oid::ORGANIZATIONAL_UNIT | oid::ORGANIZATION_IDENTIFIER => is_organization,
        oid::GIVEN_NAME | oid::SURNAME | oid::PSEUDONYM | oid::TITLE => is_person,
        oid::LOCALITY | oid::STATE | oid::COUNTRY => is_organization || is_person,
        oid::STREET | oid::POSTAL_CODE => (is_organization || is_person) && !baseline.is_strict(),
        _ => (is_organization || is_person) && baseline.is_legacy(),
    }
}

fn may_be_called(facts: &Facts<'_>, name: &str) -> bool {
    if facts.addresses().any(|address| address == name) {
        return true;
    }
    match facts.baseline.validation {
        Validation::Mailbox => false,
        Validation::Organization => facts.values(oid::ORGANIZATION).any(|known| known == name),
        Validation::Sponsor | Validation::Individual => {
            let has_name = facts.has_attribute(oid::GIVEN_NAME) || facts.has_attribute(oid::SURNAME);
            let has_pseudonym = facts.has_attribute(oid::PSEUDONYM);
            let is_pseudonym = facts.values(oid::PSEUDONYM).any(|known| known == name);
            is_pseudonym || has_name || facts.baseline.is_legacy() && !has_pseudonym
        }
    }
}
