//! The types of mail certificate that the S/MIME Baseline Requirements know (7.1.6.1), and their policies.

use std::fmt;

use crate::asn1::{Oid, oid};
use crate::lint::facts::Facts;

/// Whom a mail certificate names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// A mailbox, and nobody by name.
    Mailbox = 1,
    /// An organisation.
    Organization = 2,
    /// A person of an organisation, which vouches for them.
    Sponsor = 3,
    /// A person.
    Individual = 4,
}

/// How strict a profile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// The loosest, not issued since July 2025.
    Legacy = 1,
    /// For mail and other things.
    Multipurpose = 2,
    /// For mail alone.
    Strict = 3,
}

/// A type of mail certificate by the S/MIME Baseline Requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaselineType {
    /// Whom it names.
    pub validation: Validation,
    /// How strict the profile is.
    pub generation: Generation,
}

const VALIDATIONS: [(Validation, &str); 4] = [
    (Validation::Mailbox, "mailbox"),
    (Validation::Organization, "organization"),
    (Validation::Sponsor, "sponsor"),
    (Validation::Individual, "individual"),
];

const GENERATIONS: [(Generation, &str); 3] =
    [(Generation::Legacy, "legacy"), (Generation::Multipurpose, "multipurpose"), (Generation::Strict, "strict")];

/// Every type with its policy, `2.23.140.1.5.VALIDATION.GENERATION`.
const POLICIES: [(Validation, Generation, Oid); 12] = {
    use Generation::{Legacy, Multipurpose, Strict};
    use Validation::{Individual, Mailbox, Organization, Sponsor};
    [
        (Mailbox, Legacy, oid::SMIME_MAILBOX_LEGACY),
        (Mailbox, Multipurpose, oid::SMIME_MAILBOX_MULTIPURPOSE),
        (Mailbox, Strict, oid::SMIME_MAILBOX_STRICT),
        (Organization, Legacy, oid::SMIME_ORGANIZATION_LEGACY),
        (Organization, Multipurpose, oid::SMIME_ORGANIZATION_MULTIPURPOSE),
        (Organization, Strict, oid::SMIME_ORGANIZATION_STRICT),
        (Sponsor, Legacy, oid::SMIME_SPONSOR_LEGACY),
        (Sponsor, Multipurpose, oid::SMIME_SPONSOR_MULTIPURPOSE),
        (Sponsor, Strict, oid::SMIME_SPONSOR_STRICT),
        (Individual, Legacy, oid::SMIME_INDIVIDUAL_LEGACY),
        (Individual, Multipurpose, oid::SMIME_INDIVIDUAL_MULTIPURPOSE),
        (Individual, Strict, oid::SMIME_INDIVIDUAL_STRICT),
    ]
};

impl BaselineType {
    /// What is asked of the fewest.
    pub(super) const LEAST: Self = Self { validation: Validation::Mailbox, generation: Generation::Legacy };

    /// The type that a policy stands for.
    pub fn from_policy(policy: &Oid) -> Option<Self> {
        let (validation, generation, _) = POLICIES.into_iter().find(|row| row.2 == *policy)?;
        Some(Self { validation, generation })
    }

    /// The type called so, as `sponsor-multipurpose`.
    pub fn from_name(name: &str) -> Option<Self> {
        let (validation, generation) = name.split_once('-')?;
        Some(Self {
            validation: VALIDATIONS.iter().find(|row| row.1 == validation)?.0,
            generation: GENERATIONS.iter().find(|row| row.1 == generation)?.0,
        })
    }

    /// Every name.
    pub fn names() -> Vec<String> {
        VALIDATIONS.iter().flat_map(|v| GENERATIONS.iter().map(move |g| format!("{}-{}", v.1, g.1))).collect()
    }

    /// Its policy.
    pub fn policy(self) -> Oid {
        let of_type = |row: &&(Validation, Generation, Oid)| row.0 == self.validation && row.1 == self.generation;
        // every pair stands in the table
        POLICIES.iter().find(of_type).map_or(oid::ANY_POLICY, |row| row.2)
    }

    pub(super) const fn is_strict(self) -> bool {
        matches!(self.generation, Generation::Strict)
    }

    pub(super) const fn is_legacy(self) -> bool {
        matches!(self.generation, Generation::Legacy)
    }
}

impl fmt::Display for BaselineType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let validation = VALIDATIONS.iter().find(|row| row.0 == self.validation).map_or("", |row| row.1);
        let generation = GENERATIONS.iter().find(|row| row.0 == self.generation).map_or("", |row| row.1);
        write!(f, "{validation}-{generation}")
    }
}

/// What a certificate without such a policy looks like.
pub(super) fn guess(facts: &Facts<'_>) -> BaselineType {
    let has_person = [oid::GIVEN_NAME, oid::SURNAME, oid::PSEUDONYM].into_iter().any(|name| facts.has_attribute(name));
    let organization = facts.values(oid::ORGANIZATION).next();
    let named = facts.values(oid::COMMON_NAME).any(|name| !name.contains('@') && Some(name) != organization);
    let validation = match organization {
        Some(_) if has_person || named => Validation::Sponsor,
        Some(_) => Validation::Organization,
        None if has_person => Validation::Individual,
        None => Validation::Mailbox,
    };
    BaselineType { validation, generation: Generation::Legacy }
}

/// Says what is wrong with an organizationIdentifier (S/MIME BR 7.1.4.2.2 d, appendix A): `NTRDE-HRB1234`, `VATEL-123456789`, `NTRUS+CA-1234`,
/// `LEIXG-…`, `GOVUS`, `INTXG`.
pub fn organization_identifier(value: &str, country: Option<&str>) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("the organization identifier {value} {what}"));
    let (front, reference) = match value.split_once('-') {
        Some((front, reference)) => (front, Some(reference)),
        None => (value, None),
    };
    let (front, state) = match front.split_once('+') {
        Some((front, state)) => (front, Some(state)),
        None => (front, None),
    };
    let (Some((scheme, place)), true) = (front.split_at_checked(3), front.len() == 5) else {
        return wrong("is not of the form SCHEME (3 letters) COUNTRY (2 letters) - REFERENCE, as NTRDE-HRB1234");
    };
    if !matches!(scheme, "NTR" | "VAT" | "PSD" | "LEI" | "GOV" | "INT") {
        return wrong("is of no known scheme (NTR, VAT, PSD, LEI, GOV, INT)");
    }
    let is_alone = matches!(scheme, "GOV" | "INT");
    match reference {
        None if !is_alone => return wrong("has no reference behind a hyphen"),
        Some(_) if is_alone => return wrong("has a reference, which this scheme knows none of"),
        Some("") => return wrong("has an empty reference"),
        _ => {}
    }
    let is_state = |state: &str| (1..=3).contains(&state.len()) && state.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match state {
        Some(state) if !is_state(state) => return wrong("has a state that is none of ISO 3166-2"),
        Some(_) if !matches!(scheme, "NTR" | "GOV") => return wrong("has a state, which this scheme knows none of"),
        _ => {}
    }
    let is_global = matches!(scheme, "LEI" | "INT");
    if is_global != (place == "XG") {
        return wrong("has a country that does not fit its scheme (LEI and INT have XG, and no others)");
    }
    // Greece has its old code there; Northern Ireland one of its own (Council Directive 2006/112/EC, article 215)
    let of_tax = |place: &str| match (scheme, place) {
        ("VAT", "EL") => Some("GR"),
        ("VAT", "XI") => Some("GB"),
        _ => None,
    };
    let land = of_tax(place).unwrap_or(place);
    if !is_global && !is_country(land) {
        return wrong("has a country that is none of ISO 3166-1");
    }
    match country {
        Some(country) if !is_global && country != land => {
            Err(format!("the organization identifier {value} is of another country than {country}"))
        }
        _ => Ok(()),
    }
}

/// Whether this is a country code of ISO 3166-1, or XX, which the Baseline Requirements take where there is none.
pub(super) fn is_country(code: &str) -> bool {
    code.len() == 2 && COUNTRIES.split(' ').any(|known| known == code)
}

const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC \
CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL \
GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI \
LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE \
PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ \
TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XX YE YT ZA ZM ZW";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_policy_and_its_name() {
        for name in BaselineType::names() {
            let baseline = BaselineType::from_name(&name).expect("a name");
            assert_eq!((BaselineType::from_policy(&baseline.policy()), baseline.to_string()), (Some(baseline), name));
        }
        assert_eq!(BaselineType::from_name("sponsor-multipurpose").expect("one").policy().to_string(), "2.23.140.1.5.3.2");
        assert_eq!(BaselineType::from_policy(&oid::ANY_POLICY), None);
    }

    #[test]
    fn organization_identifiers_are_those_of_the_requirements() {
        for (value, country) in [
            ("NTRGB-12345678", Some("GB")),
            ("NTRUS+CA-12345678", None),
            ("PSDBE-NBB-1234.567.890", Some("BE")),
            ("VATEL-123456789", Some("GR")),
            ("LEIXG-5493000IBP32UQZ0KL24", Some("DE")),
            ("GOVUS", None),
            ("GOVUS+CA", Some("US")),
            ("INTXG", None),
        ] {
            assert_eq!(organization_identifier(value, country), Ok(()), "{value}");
        }
        for (value, reason) in [
            ("12345678", "not of the form"),
            ("NTRGB", "no reference"),
            ("NTRGB-", "empty reference"),
            ("GOVUS-1", "knows none of"),
            ("ABCDE-1", "no known scheme"),
            ("NTRXG-1", "does not fit its scheme"),
            ("LEIDE-1", "does not fit its scheme"),
            ("NTRQQ-1", "none of ISO 3166-1"),
            ("NTRUS+CALI-1", "none of ISO 3166-2"),
            ("VATDE+BY-1", "knows none of"),
        ] {
            let refused = organization_identifier(value, None).expect_err(value);
            assert!(refused.contains(reason), "{value}: {refused}");
        }
        assert!(organization_identifier("NTRDE-1", Some("FR")).is_err_and(|why| why.ends_with("another country than FR")));
    }
}
