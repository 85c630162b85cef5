use super::*;

/// The exchange of RFC 7677 3.
const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const CHALLENGE: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SIGNATURE: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn pencil() -> Keys {
    let salt = decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
    Keys::derive(&Secret::new(b"pencil".to_vec()), salt.expose(), 4096)
}
use scram::Keys;

fn known() -> Answer {
    Answer::Keys("user".to_owned(), pencil(), "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned())
}

fn channel() -> Channel {
    Channel { exporter: Some(vec![7; 32]), end_point: Some(vec![9; 32]), certificate: None }
}

#[test]
fn the_example_of_rfc_7677_is_served() {
    let (mut server, turn) = Exchange::begin(Mechanism::Scram, &Channel::default(), Names::Users, Some(FIRST.as_bytes()));
    assert_eq!(turn, Turn::Ask(Question::Keys("user".to_owned())));
    assert_eq!(server.answer(known()), Turn::Challenge(CHALLENGE.into()));
    assert_eq!(server.receive(FINAL.as_bytes()), Turn::Challenge(SIGNATURE.into()));
    assert_eq!(server.receive(b""), Turn::Accepted("user".to_owned()));
}

#[test]
fn the_example_of_rfc_7677_is_spoken() {
    let credentials = Credentials { user: "user".to_owned(), password: Secret::new(b"pencil".to_vec()) };
    let mut client = ClientExchange::new(Mechanism::Scram, credentials, &Channel::default(), "rOprNGfwEbeRWgbNEkqO");
    assert_eq!(client.first().expect("with the command").expose(), FIRST.as_bytes());
    assert_eq!(client.respond(CHALLENGE.as_bytes()).expect("read").expose(), FINAL.as_bytes());
    assert!(!client.is_proven(), "a server that says yes now has proven nothing");
    assert!(client.respond(SIGNATURE.as_bytes()).expect("proven").expose().is_empty());
    assert!(client.is_proven());
}

#[test]
fn a_client_leaves_a_server_that_does_not_know_the_password_or_asks_for_too_little() {
    let client = |challenge: &str, last: &str| {
        let credentials = Credentials { user: "user".to_owned(), password: Secret::new(b"pencil".to_vec()) };
        let mut client = ClientExchange::new(Mechanism::Scram, credentials, &Channel::default(), "rOprNGfwEbeRWgbNEkqO");
        drop(client.first());
        client.respond(challenge.as_bytes()).and_then(|_| client.respond(last.as_bytes())).map(|_| ()).expect_err("refused")
    };
    assert!(client(CHALLENGE, &SIGNATURE.replace("6rri", "6rrj")).contains("does not know"));
    assert!(client(CHALLENGE, "e=invalid-proof").contains("proof is wrong"));
    assert!(client(&CHALLENGE.replace("i=4096", "i=4095"), "").contains("rounds"));
    assert!(client(&CHALLENGE.replace("i=4096", "i=4000000000"), "").contains("rounds"));
    assert!(client(&CHALLENGE.replace("r=rOpr", "r=rOpq"), "").contains("nonce"));
    assert!(client("e=other-error", "").contains("cannot be read"));
}

#[test]
fn what_is_kept_has_the_form_of_rfc_5803_and_is_read_again() {
    let text = pencil().to_text();
    // computed with Python's hashlib and hmac
    assert!(text.expose().starts_with("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="), "{}", text.expose());
    assert_eq!(Keys::parse(text.expose()), Some(pencil()));
    for broken in
        ["", "SCRAM-SHA-256$", "SCRAM-SHA-1$1:AA==$AA==:AA==", "SCRAM-SHA-256$0:AA==$AA==:AA==", "SCRAM-SHA-256$1:AA==$AA==:AA=="]
    {
        assert_eq!(Keys::parse(broken), None, "{broken}");
    }
}

/// Runs a whole exchange between our two sides.
fn talk(mechanism: Mechanism, password: &[u8], (ours, theirs): (&Channel, &Channel)) -> Turn {
    let credentials = Credentials { user: "j=a,ne".to_owned(), password: Secret::new(password.to_vec()) };
    let mut client = ClientExchange::new(mechanism, credentials, ours, "abc");
    let (mut server, mut turn) =
        Exchange::begin(mechanism, theirs, Names::Users, Some(client.first().expect("with the command").expose()));
    loop {
        turn = match turn {
            Turn::Ask(Question::Keys(name)) => {
                assert_eq!(name, "j=a,ne");
                server.answer(Answer::Keys(
                    name,
                    Keys::derive(&Secret::new("se\u{a0}cret\u{ad}\u{fb01}".into()), b"salt", 4096),
                    "def".to_owned(),
                ))
            }
            Turn::Challenge(challenge) => match client.respond(&challenge) {
                Ok(response) => server.receive(response.expose()),
                Err(why) => panic!("{why}"),
            },
            other => return other,
        };
    }
}

#[test]
fn a_proof_is_good_on_its_own_channel_only() {
    let (own, other) = (channel(), Channel { exporter: Some(vec![8; 32]), ..channel() });
    let user = Turn::Accepted("j=a,ne".to_owned());
    // prepared: the same password typed in another way
    assert_eq!(talk(Mechanism::ScramPlus, "se cretfi".as_bytes(), (&own, &own)), user);
    assert_eq!(talk(Mechanism::ScramPlus, b"secret", (&own, &own)), Turn::Refused);
    assert_eq!(talk(Mechanism::ScramPlus, "se cretfi".as_bytes(), (&own, &other)), Turn::Refused, "somebody is in between");
    let end_point = Channel { exporter: None, ..channel() };
    assert_eq!(talk(Mechanism::ScramPlus, "se cretfi".as_bytes(), (&end_point, &own)), user);
    // the client could bind, and somebody took -PLUS out of the offer
    assert_eq!(talk(Mechanism::Scram, "se cretfi".as_bytes(), (&own, &own)), Turn::Refused, "downgraded");
    assert_eq!(talk(Mechanism::Scram, "se cretfi".as_bytes(), (&Channel::default(), &own)), user);
}

#[test]
fn refuses_first_messages_that_say_too_much_or_too_little() {
    let first = |mechanism, text: &str| Exchange::begin(mechanism, &channel(), Names::Users, Some(text.as_bytes())).1;
    for text in [
        "",
        "n",
        "n,",
        "n,,",
        "n,,n=",
        "n,,n=user",
        "n,,n=user,r=",
        "n,,r=abc,n=user",
        "n,,m=x,n=user,r=abc",
        "n,,n=us=er,r=abc",
        "n,,n=us=2c,r=abc",
        "x,,n=user,r=abc",
        "p=tls-exporter,,n=user,r=abc",
        "n,b=x,n=user,r=abc",
        "n,,n=user,r=a c",
        "n,,n=us\u{1}er,r=abc",
    ] {
        assert_eq!(first(Mechanism::Scram, text), Turn::Malformed, "{text}");
    }
    assert_eq!(first(Mechanism::Scram, "n,a=joe,n=user,r=abc"), Turn::Refused);
    assert_eq!(first(Mechanism::Scram, "n,a=user,n=user,r=abc"), Turn::Ask(Question::Keys("user".to_owned())));
    assert_eq!(first(Mechanism::ScramPlus, "n,,n=user,r=abc"), Turn::Malformed);
    assert_eq!(first(Mechanism::ScramPlus, "p=tls-unique,,n=user,r=abc"), Turn::Refused);
    let (mut twice, _) = Exchange::begin(Mechanism::Scram, &channel(), Names::Users, Some(b"n,,n=user,r=abc"));
    assert_eq!(twice.receive(b"n,,n=user,r=abc"), Turn::Malformed, "the service has not answered");
}

#[test]
fn refuses_last_messages_that_do_not_fit_the_first() {
    let last = |text: &str| {
        let (mut server, _) = Exchange::begin(Mechanism::Scram, &Channel::default(), Names::Users, Some(FIRST.as_bytes()));
        drop(server.answer(known()));
        server.receive(text.as_bytes())
    };
    for text in ["", "c=biws", "c=biws,p=AA==", &FINAL.replace(",p=", ",x="), &FINAL.replace("=biws", "=bi ws")] {
        assert_eq!(last(text), Turn::Malformed, "{text}");
    }
    for text in [
        &FINAL.replace("p=dHz", "p=dHy"),
        &FINAL.replace("c=biws", "c=eSws"),
        &FINAL.replace("$k0", "$k1"),
        &FINAL.replace("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "p="),
    ] {
        assert_eq!(last(text), Turn::Refused, "{text}");
    }
}

#[test]
fn a_certificate_lets_in_whom_it_names_and_nobody_else() {
    let shown = Channel { certificate: Some("jane@a.example".to_owned()), ..Channel::default() };
    let external =
        |channel: &Channel, message: &[u8]| Exchange::begin(Mechanism::External, channel, Names::Users, Some(message)).1;
    let asked = Turn::Ask(Question::Certificate("jane@a.example".to_owned()));
    assert_eq!(external(&shown, b""), asked);
    assert_eq!(external(&shown, b"Jane@A.example"), asked);
    assert_eq!(external(&shown, b"joe@a.example"), Turn::Refused);
    assert_eq!(external(&Channel::default(), b"jane@a.example"), Turn::Refused);
    assert!(!Channel::default().offered(Kept::Scram).contains(&Mechanism::External));
}

#[test]
fn where_names_are_of_mailboxes_the_service_is_asked_about_the_user_and_the_folder_is_kept() {
    for (name, split) in [
        ("joe@a.example/Junk", ("joe@a.example", Some("Junk"))),
        ("a/b@a.example", ("a/b@a.example", None)),
        ("a/b@a.example/Lists/x@b.example", ("a/b@a.example", Some("Lists/x@b.example"))),
        ("joe/Junk", ("joe/Junk", None)),
        ("joe@a.example/", ("joe@a.example", Some(""))),
        ("@", ("@", None)),
    ] {
        assert_eq!(mailbox(name), split, "{name}");
    }
    let shown = Channel { certificate: Some("joe@a.example".to_owned()), ..channel() };
    let begin = |mechanism, names, first: &str| Exchange::begin(mechanism, &shown, names, Some(first.as_bytes()));
    let name = "joe@a.example/Junk";
    let firsts = [
        (Mechanism::Plain, format!("\0{name}\0secret")),
        (Mechanism::Plain, format!("{name}\0{name}\0secret")),
        (Mechanism::Scram, format!("n,,n={name},r=abc")),
        (Mechanism::ScramPlus, format!("p=tls-exporter,a={name},n={name},r=abc")),
        (Mechanism::External, name.to_owned()),
    ];
    for (mechanism, first) in firsts {
        let (exchange, turn) = begin(mechanism, Names::Mailboxes, &first);
        let Turn::Ask(question) = turn else { panic!("{first}: {turn:?}") };
        assert_eq!((question.name(), exchange.into_folder().as_deref()), ("joe@a.example", Some("Junk")), "{first}");
    }
    let (mut login, _) = begin(Mechanism::Login, Names::Mailboxes, name);
    assert!(matches!(login.receive(b"secret"), Turn::Ask(question) if question.name() == "joe@a.example"));
    assert_eq!(login.into_folder().as_deref(), Some("Junk"));
    // who sends is a user
    assert!(
        matches!(begin(Mechanism::Plain, Names::Users, &format!("\0{name}\0x")), (_, Turn::Ask(asked)) if asked.name() == name)
    );
    assert_eq!(begin(Mechanism::External, Names::Users, name).1, Turn::Refused);
    assert_eq!(begin(Mechanism::External, Names::Mailboxes, "jane@a.example/Junk").1, Turn::Refused);
    assert_eq!(begin(Mechanism::Plain, Names::Mailboxes, &format!("jane@a.example/Junk\0{name}\0x")).1, Turn::Refused);
}

#[test]
fn plain_and_login_ask_for_the_password_and_refuse_to_act_for_another() {
    let credentials = || Question::Password(Credentials { user: "jane".to_owned(), password: Secret::new(b"secret".to_vec()) });
    let plain = |message: &[u8]| Exchange::begin(Mechanism::Plain, &channel(), Names::Users, Some(message)).1;
    assert_eq!(plain(b"\0jane\0secret"), Turn::Ask(credentials()));
    assert_eq!(plain(b"jane\0jane\0secret"), Turn::Ask(credentials()));
    for message in [&b""[..], b"jane", b"\0jane", b"\0\0secret", b"\0jane\0secret\0", b"\0ja\nne\0secret", b"\0\xff\0secret"] {
        assert_eq!(plain(message), Turn::Malformed, "{message:?}");
    }
    assert_eq!(plain(b"joe\0jane\0secret"), Turn::Refused);
    let (mut login, turn) = Exchange::begin(Mechanism::Login, &channel(), Names::Users, None);
    assert_eq!(turn, Turn::Challenge(b"Username:".to_vec()));
    assert_eq!(login.receive(b"jane"), Turn::Challenge(b"Password:".to_vec()));
    assert_eq!(login.receive(b"secret"), Turn::Ask(credentials()));
    assert_eq!(login.answer(Answer::User("jane@a.example".to_owned())), Turn::Accepted("jane@a.example".to_owned()));
}

#[test]
fn a_client_says_name_and_password_one_after_the_other() {
    let credentials = Credentials { user: "jane".to_owned(), password: Secret::new(b"secret".to_vec()) };
    let mut client = ClientExchange::new(Mechanism::Login, credentials.clone(), &channel(), "");
    assert_eq!(client.command(Mechanism::Login), "AUTH LOGIN");
    assert_eq!(client.respond(b"Username:").expect("asked").expose(), b"jane");
    assert!(!client.is_proven());
    assert_eq!(client.respond(b"Password:").expect("asked").expose(), b"secret");
    assert!(client.is_proven() && client.respond(b"more?").is_err());
    let mut client = ClientExchange::new(Mechanism::Plain, credentials, &channel(), "");
    assert_eq!(client.command(Mechanism::Plain), "AUTH PLAIN AGphbmUAc2VjcmV0");
}

#[test]
fn nobody_has_the_same_salt_every_time_and_no_password() {
    let secret = Secret::new(b"of this server".to_vec());
    let (one, again, other) = (Keys::of_nobody(&secret, "x"), Keys::of_nobody(&secret, "x"), Keys::of_nobody(&secret, "y"));
    assert!(one == again && one.salt != other.salt && one.salt.len() == scram::SALT);
    assert_ne!(Keys::of_nobody(&Secret::new(b"of another".to_vec()), "x").salt, one.salt);
}

#[test]
fn the_strongest_that_both_sides_have_is_chosen() {
    let all = "LOGIN PLAIN SCRAM-SHA-256 scram-sha-256-plus EXTERNAL";
    let chosen = |offered: &str, channel: &Channel, nonce| choose(offered.split(' '), channel, nonce);
    assert_eq!(chosen(all, &channel(), Some("n")), Some(Mechanism::ScramPlus));
    assert_eq!(chosen(all, &Channel::default(), Some("n")), Some(Mechanism::Scram));
    assert_eq!(chosen(all, &channel(), None), Some(Mechanism::Plain));
    assert_eq!(chosen("LOGIN CRAM-MD5", &channel(), Some("n")), Some(Mechanism::Login));
    assert_eq!(chosen("CRAM-MD5 EXTERNAL", &channel(), Some("n")), None);
}
