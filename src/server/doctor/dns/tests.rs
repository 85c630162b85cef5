use super::*;

/// A DNS of a few records: name, type, data.
#[derive(Clone)]
pub(in crate::server::doctor) struct Zone(Vec<(String, String, String)>);

impl Zone {
    pub(in crate::server::doctor) fn new(records: &[(&str, &str, &str)]) -> Self {
        let own = |(name, kind, data): &(&str, &str, &str)| ((*name).to_owned(), (*kind).to_owned(), (*data).to_owned());
        Self(records.iter().map(own).collect())
    }

    pub(in crate::server::doctor) fn with(&self, name: &str, kind: &str, data: &str) -> Self {
        let mut zone = self.clone();
        zone.0.push((name.to_owned(), kind.to_owned(), data.to_owned()));
        zone
    }

    fn without(&self, name: &str, kind: &str) -> Self {
        Self(self.0.iter().filter(|(known, of, _)| known != name || of != kind).cloned().collect())
    }

    fn get(&self, name: &str, kind: &str) -> Vec<String> {
        self.0.iter().filter(|(known, of, _)| known == name && of == kind).map(|(_, _, data)| data.clone()).collect()
    }
}

impl Resolve for Zone {
    fn mx(&self, domain: &str) -> Result<Vec<(u16, String)>, String> {
        let read = |data: &String| data.split_once(' ').and_then(|(number, name)| Some((number.parse().ok()?, name.to_owned())));
        Ok(self.get(domain, "MX").iter().filter_map(read).collect())
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        Ok(self.get(name, "TXT"))
    }

    fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let all = [self.get(host, "A"), self.get(host, "AAAA")].concat();
        Ok(all.iter().filter_map(|data| data.parse().ok()).collect())
    }

    fn names(&self, address: IpAddr) -> Result<Vec<String>, String> {
        Ok(self.get(reverse(address).trim_end_matches('.'), "PTR"))
    }

    fn tlsa(&self, name: &str) -> Result<Vec<Record>, String> {
        Ok(self.get(name, "TLSA").iter().filter_map(|_| Record::new(3, 1, 1, &[7; 32]).ok()).collect())
    }

    fn policy(&self, domain: &str) -> Option<Result<String, String>> {
        self.get(domain, "POLICY").into_iter().next().map(Ok)
    }
}

fn good() -> Zone {
    Zone::new(&[
        ("a.example", "MX", "10 mail.a.example."),
        ("mail.a.example", "A", "192.0.2.1"),
        ("mail.a.example", "AAAA", "2001:db8::1"),
        ("1.2.0.192.in-addr.arpa", "PTR", "mail.a.example."),
        ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "PTR", "mail.a.example."),
        // not `mx`: the cases below take the MX away
        ("a.example", "TXT", "v=spf1 a:mail.a.example -all"),
        ("s1._domainkey.a.example", "TXT", "v=DKIM1; k=rsa; p=QUJD"),
        ("_dmarc.a.example", "TXT", "v=DMARC1; p=reject"),
        ("_mta-sts.a.example", "TXT", "v=STSv1; id=1"),
        ("mta-sts.a.example", "A", "192.0.2.1"),
    ])
}

fn keys() -> [DkimKey; 1] {
    let (name, record) = ("s1._domainkey.a.example".to_owned(), "v=DKIM1; k=rsa; p=QUJD".to_owned());
    [DkimKey { domain: "a.example".to_owned(), name, record }]
}

fn judge(zone: &Zone, reach: Reach) -> Vec<Finding> {
    let keys = keys();
    let us = Host { hostname: "mail.a.example", reach, certificate: None, dkim: Some(&keys) };
    let mut found = host(zone, &us).expect("it answers");
    found.extend(domain(zone, &us, "a.example").expect("it answers"));
    found
}

#[test]
fn a_zone_that_is_whole_has_no_finding() {
    assert_eq!(judge(&good(), Reach::World), []);
}

#[test]
fn each_record_that_is_missing_or_wrong_is_told_with_the_one_to_publish() {
    let cases: [(Zone, &str, &str); 14] = [
        (good().without("a.example", "MX"), "mx-missing", "a.example. IN MX 10 mail.a.example."),
        (good().without("a.example", "MX").with("a.example", "MX", "0 ."), "mx-null", "a.example. IN MX 10 mail.a.example."),
        (
            good().without("a.example", "MX").with("a.example", "MX", "10 in.b.example.").with("in.b.example", "A", "192.0.2.9"),
            "mx-elsewhere",
            "a.example. IN MX 10 mail.a.example.",
        ),
        (good().with("a.example", "MX", "20 gone.a.example."), "mx-no-address", "gone.a.example. IN A ADDRESS"),
        (good().without("1.2.0.192.in-addr.arpa", "PTR"), "ptr-missing", "1.2.0.192.in-addr.arpa. IN PTR mail.a.example."),
        (
            good().without("1.2.0.192.in-addr.arpa", "PTR").with("1.2.0.192.in-addr.arpa", "PTR", "host.provider.example."),
            "ptr-unconfirmed",
            "1.2.0.192.in-addr.arpa. IN PTR mail.a.example.",
        ),
        (good().without("a.example", "TXT"), "spf-missing", "a.example. IN TXT \"v=spf1 mx -all\""),
        (good().with("a.example", "TXT", "v=spf1 -all"), "spf-invalid", "a.example. IN TXT \"v=spf1 mx -all\""),
        (
            good().without("a.example", "TXT").with("a.example", "TXT", "v=spf1 ip6:2001:db8::/32 -all"),
            "spf-not-us",
            "a.example. IN TXT \"v=spf1 mx ip4:192.0.2.1 -all\"",
        ),
        (
            good().without("s1._domainkey.a.example", "TXT"),
            "dkim-missing",
            "s1._domainkey.a.example. IN TXT \"v=DKIM1; k=rsa; p=QUJD\"",
        ),
        (
            good().without("s1._domainkey.a.example", "TXT").with("s1._domainkey.a.example", "TXT", "v=DKIM1; p=REVG"),
            "dkim-other",
            "s1._domainkey.a.example. IN TXT \"v=DKIM1; k=rsa; p=QUJD\"",
        ),
        (
            good().without("_dmarc.a.example", "TXT"),
            "dmarc-missing",
            "_dmarc.a.example. IN TXT \"v=DMARC1; p=quarantine; rua=mailto:postmaster@a.example\"",
        ),
        (
            good().with("_mta-sts.a.example", "TXT", "v=STSv1; id=2"),
            "mta-sts-invalid",
            "_mta-sts.a.example. IN TXT \"v=STSv1; id=1\"",
        ),
        (good().without("mta-sts.a.example", "A"), "mta-sts-host", "mta-sts.a.example. IN A ADDRESS"),
    ];
    for (zone, code, fix) in cases {
        let found = judge(&zone, Reach::World);
        let [finding] = found.as_slice() else { panic!("{code}: {found:#?}") };
        assert_eq!((finding.code, finding.fix.as_deref()), (code, Some(fix)));
        assert!(judge(&zone, Reach::Machine).iter().all(|finding| finding.severity < Severity::Error), "{code}");
    }
    let found = judge(&good().without("mail.a.example", "A").without("mail.a.example", "AAAA"), Reach::World);
    let codes: Vec<_> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["host-no-address", "mx-no-address"]);
}

#[test]
fn a_policy_names_every_server_of_its_domain() {
    let us = Host { hostname: "mail.a.example", reach: Reach::World, certificate: None, dkim: None };
    let told = |text: &str| {
        let found = domain(&good().with("a.example", "POLICY", text), &us, "a.example").expect("it answers");
        found.iter().map(|finding| finding.text.clone()).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(told("version: STSv1\nmode: enforce\nmx: *.a.example\nmax_age: 86400\n"), "");
    assert!(
        told("version: STSv1\nmode: enforce\nmx: in.a.example\nmax_age: 86400\n").contains("add the line `mx: mail.a.example`")
    );
    assert!(told("<html>\n").contains("is no use"));
}

#[test]
fn a_domain_below_another_one_has_its_dmarc_record() {
    let zone = Zone::new(&[("_dmarc.a.example", "TXT", "v=DMARC1; p=none")]);
    let us = Host { hostname: "mail.a.example", reach: Reach::World, certificate: None, dkim: None };
    let found = dmarc(&zone, &us, "news.a.example").expect("it answers");
    assert_eq!(found.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["dmarc-none"]);
}

#[test]
fn tlsa_records_fit_the_certificate_or_mail_stops() {
    let pem = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/certs/alice.pem"));
    let Some(own) = pem.ok().and_then(|bytes| crate::pki::load::certificates(&bytes).ok()?.into_iter().next()) else { return };
    let us = Host { hostname: "mail.a.example", reach: Reach::World, certificate: Some(&own), dkim: None };
    let found = host(&good().with("_25._tcp.mail.a.example", "TLSA", "x"), &us).expect("it answers");
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    let fix = format!("_25._tcp.mail.a.example. IN TLSA 3 1 1 {}", key_digest(&own));
    assert_eq!((finding.code, finding.fix.as_deref()), ("tlsa-other", Some(fix.as_str())));
}

#[test]
fn names_of_this_network_are_not_asked_for() {
    for (domain, wanted) in [
        ("localhost", true),
        ("a.example", true),
        ("x.example.com", true),
        ("intranet", true),
        ("office.local", true),
        ("example.de", false),
        ("a.example.de", false),
    ] {
        assert_eq!(is_reserved(domain), wanted, "{domain}");
    }
}
