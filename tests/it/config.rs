//! Configuration: the example holds every key and loads; each bad file gives its exact message.

use std::path::Path;

use edgar_watch::config::{EXAMPLE, doubts, parse};
use edgar_watch::subscription::{IssuerKey, KindFilter, WrittenSubscription};

const GOOD: &str = "[edgar]\nuser_agent = \"Example Research ops@example.com\"\n[watch]\nissuers = [\"RBBN\"]\n\
                    [mail]\nfrom = \"a@example.com\"\nowner = \"b@example.com\"\n";

fn faults(text: &str) -> Vec<String> {
    match parse(text, "config.toml", Path::new("/etc/edgar-watch")) {
        Ok(_) => Vec::new(),
        Err(error) => error.faults().iter().map(|fault| without_place(fault)).collect(),
    }
}

/// `config.toml: fault` of `config.toml:9:1: fault`.
fn without_place(fault: &str) -> String {
    let rest = fault.strip_prefix("config.toml:").unwrap_or(fault);
    let words = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
    format!("config.toml:{words}")
}

/// A good file with one thing replaced, and the one fault that makes.
fn check(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from} is not in the good file");
    assert_eq!(faults(&GOOD.replacen(from, to, 1)), [expected]);
}

/// The good file with lines added, and the one fault that makes.
fn check_added(added: &str, expected: &str) {
    assert_eq!(faults(&format!("{GOOD}{added}")), [expected]);
}

#[test]
fn the_good_file_is_good() {
    assert_eq!(faults(GOOD), Vec::<String>::new());
}

#[test]
fn the_example_loads_as_it_is() {
    let settings = parse(EXAMPLE, "config.example.toml", Path::new("/etc/edgar-watch")).expect("the example");
    assert_eq!(settings.watch.issuers, [IssuerKey::All]);
    assert_eq!(settings.pace.per_second(), 5);
    assert_eq!(settings.store.to_string(), "/var/lib/edgar-watch/state.db");
    assert_eq!(settings.subscriptions[0].terms.filter.kinds, KindFilter::Default);
}

#[test]
fn the_example_holds_every_key_and_its_defaults_are_the_defaults() {
    for (table, header) in [
        ("", ""),
        ("edgar", "[edgar]"),
        ("watch", "[watch]"),
        ("poll", "[poll]"),
        ("store", "[store]"),
        ("mail", "[mail]"),
        ("mail.smtp", "[mail.smtp]"),
        ("mail.dkim", "[[mail.dkim]]"),
        ("mail.route", "[[mail.route]]"),
        ("webhook", "[[webhook]]"),
        ("http", "[http]"),
        ("reading", "[reading]"),
        ("log", "[log]"),
        ("metrics", "[metrics]"),
        ("subscription", "[[subscription]]"),
        ("pattern", "[[pattern]]"),
    ] {
        // What the program expects where it finds a key it does not know.
        let faults = faults(&format!("{header}\nno_such_key_at_all = 1\n"));
        let fault = faults.iter().find(|fault| fault.contains("no_such_key_at_all")).expect("a fault");
        let (_, known) = fault.split_once("expected one of ").unwrap_or_else(|| panic!("{table}: {fault}"));
        for key in known.split(", ") {
            let found = EXAMPLE.lines().any(|line| {
                let line = line.trim_start_matches("# ");
                line.starts_with(&format!("{key} = "))
                    || [
                        format!("[{key}]"),
                        format!("[[{key}]]"),
                        format!("[{table}.{key}]"),
                        format!("[[{table}.{key}]]"),
                    ]
                    .iter()
                    .any(|header| line == header)
            });
            assert!(found, "{table}.{key} is not in the example");
        }
    }
    // Uncommented, the defaults change nothing but what only makes sense together.
    let (settings, pattern) = EXAMPLE.split_once("# [[pattern]]").expect("the example of a pattern");
    // Tables that stand commented out as a whole are examples; each ends at an empty line.
    let mut is_example = false;
    let uncommented: String = settings
        .lines()
        .filter(|line| {
            is_example = (is_example || line.starts_with("# [[")) && !line.is_empty();
            !is_example
        })
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => key,
            _ => line,
        })
        .filter(|line| {
            // What has no neutral value, and what means something with a digest alone.
            const LEFT_OUT: [&str; 21] = [
                "heartbeat_url",
                "ca_file",
                "username",
                "password_file",
                "max_connections",
                "keys_file",
                "name",
                "bases",
                "exchanges",
                "at =",
                "on =",
                "quiet_hours",
                "paused_until",
                "late_filers",
                "inbound",
                "listen",
                "admin_listen",
                "file =",
                "public_url",
                "public =",
                "trusted_proxies",
            ];
            !LEFT_OUT.iter().any(|key| line.starts_with(key))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let folder = Path::new("/etc/edgar-watch");
    let load = |text: &str, name| {
        let mut settings = parse(text, name, folder).unwrap_or_else(|error| panic!("{error}"));
        // What was written differs, what it means does not.
        settings.subscriptions.iter_mut().for_each(|own| own.written = WrittenSubscription::default());
        settings
    };
    let plain = load(EXAMPLE, "plain");
    let full = load(&uncommented, "full");
    assert_eq!(format!("{plain:?}"), format!("{full:?}"));
    let pattern: String = pattern.lines().map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
    let with_pattern = parse(&format!("{EXAMPLE}\n[[pattern]]\n{pattern}"), "pattern", folder).expect("its pattern");
    assert_eq!(with_pattern.reading.patterns.len(), 1);
}

#[test]
fn a_pattern_of_ones_own_must_hold_its_examples() {
    let check = |pattern: &str, expected: &[&str]| {
        assert_eq!(faults(&format!("{GOOD}[[pattern]]\nname = \"own\"\n{pattern}")), expected);
    };
    check(
        "signal = \"notice\"\nregex = \"missive\"\nmatches = [\"a Missive came\"]\nnear_misses = [\"a letter\"]\n",
        &[],
    );
    check(
        "signal = \"notice\"\nregex = \"missive\"\nmatches = [\"a letter\"]\nnear_misses = [\"a missive\"]\n",
        &[
            "config.toml: pattern own does not find \"a letter\"",
            "config.toml: pattern own also finds the near miss \"a missive\"",
        ],
    );
    check(
        "signal = \"notice\"\nregex = \"missive\"\nmatches = []\nnear_misses = []\n",
        &["config.toml: pattern own needs at least one sentence in matches and one in near_misses"],
    );
    check_added("[reading]\ncheck_below = 1.5\n", "config.toml: reading.check_below: expected 0 to 1, found 1.5");
}

#[test]
fn each_fault_has_its_message() {
    let agent = "user_agent = \"Example Research ops@example.com\"";
    check(
        agent,
        "",
        "config.toml: edgar.user_agent is missing: EDGAR refuses clients that name no contact \
         (example: \"Example Research ops@example.com\")",
    );
    check(
        agent,
        "user_agent = \"curl/8.0\"",
        "config.toml: edgar.user_agent: expected a name and an e-mail address \
         (example: \"Example Research ops@example.com\"), found \"curl/8.0\"",
    );
    check(
        "[\"RBBN\"]",
        "[\"32O193\"]",
        "config.toml: watch.issuers[0]: expected a CIK of 1 to 10 digits, found \"32O193\"",
    );
    check(
        "[\"RBBN\"]",
        "[\"A B/C,D\"]",
        "config.toml: watch.issuers[0]: expected a ticker, a CIK or \"*\", found \"A B/C,D\"",
    );
    check(
        "issuers = [\"RBBN\"]",
        "",
        "config.toml: watch.issuers is missing: name tickers or CIKs, or \"*\" for every issuer",
    );
    check("owner = \"b@example.com\"", "", "config.toml: mail.owner is missing (example: \"ops@example.com\")");
    check_added("[poll]\nintervall = \"10s\"\n", "config.toml: unknown key \"intervall\", did you mean \"interval\"?");
    check_added(
        "[poll]\ninterval = \"soon\"\n",
        "config.toml: poll.interval: expected a duration such as \"60s\", found \"soon\"",
    );
    check_added("[poll]\ninterval = \"0s\"\n", "config.toml: poll.interval: expected at least 100ms, found \"0s\"");
    check_added(
        "[store]\nurl = \"mysql://u:secret@host/db\"\n",
        "config.toml: store.url: expected sqlite:///path/to/state.db or postgres://user@host/database, found \"mysql://***@host/db\"",
    );
    check_added(
        "transport = \"pigeon\"\n",
        "config.toml: mail.transport: expected smtp, sendmail or folder, found \"pigeon\"",
    );
    check_added(
        "[mail.smtp]\nhost = \"relay.example.com\"\nusername = \"me\"\npassword_file = \"secret\"\n",
        "config.toml: mail.smtp.tls is \"none\" and a password would go to \"relay.example.com\" in the clear: \
         set starttls or implicit",
    );
    // The service may have the password as a credential: what sends nothing does without.
    let credential = format!("{GOOD}[mail.smtp]\nusername = \"me\"\n");
    let settings = parse(&credential, "config.toml", Path::new("/")).expect("good as far as can be seen");
    assert_eq!(
        settings.require_credentials().expect_err("no password").to_string(),
        "mail.smtp.username is set without a password: set mail.smtp.password_file, or give the service \
         the credential smtp-password",
    );
    check_added(
        "[[subscription]]\nemail = \"desk@example.com\"\nkinds = [\"staff_determinations\"]\n",
        "config.toml: subscription[0].kinds[0]: expected one of staff_determination, deficiency_notice, \
         hearing_requested, extension_granted, panel_decision, council_review, compliance_regained, delisting, \
         anticipated, found \"staff_determinations\"",
    );
    check_added(
        "[[subscription]]\nemail = \"desk@example.com\"\ndelivery = \"hourly\"\n",
        "config.toml: subscription[0].delivery: expected immediate, daily or weekly, found \"hourly\"",
    );
}

#[test]
fn the_ceiling_binds_under_sec_gov_and_nowhere_else() {
    let rate = |rate: u32, url: &str| {
        faults(&GOOD.replacen("[edgar]\n", &format!("[edgar]\nmax_requests_per_second = {rate}\n{url}"), 1))
    };
    assert_eq!(rate(11, ""), ["config.toml: edgar.max_requests_per_second: expected 1 to 10 under sec.gov, found 11"]);
    let mirror = "www_url = \"http://mirror.example\"\ndata_url = \"http://mirror.example\"\n";
    assert_eq!(rate(500, mirror), Vec::<String>::new());
    let half = "www_url = \"http://mirror.example\"\n";
    assert_eq!(
        rate(11, half),
        ["config.toml: edgar.max_requests_per_second: expected 1 to 10 under sec.gov, found 11"]
    );
    let lookalike = "www_url = \"http://www.sec.gov.example\"\ndata_url = \"http://notsec.gov\"\n";
    assert_eq!(rate(11, lookalike), Vec::<String>::new());
}

#[test]
fn a_password_in_the_clear_may_stay_on_this_machine() {
    for host in ["localhost", "127.0.0.1", "::1"] {
        let smtp = format!("[mail.smtp]\nhost = \"{host}\"\nusername = \"me\"\npassword_file = \"secret\"\n");
        assert_eq!(faults(&format!("{GOOD}{smtp}")), Vec::<String>::new(), "{host}");
    }
}

#[test]
fn secrets_in_urls_are_refused_and_never_printed() {
    for url in ["http://:hunter2@localhost:1/", "ftp://u:hunter2@host", "http://u:hunter2@h:54x2/"] {
        let fault = faults(&GOOD.replacen("[edgar]\n", &format!("[edgar]\nwww_url = \"{url}\"\n"), 1)).join("");
        assert!(fault.starts_with("config.toml: edgar.www_url: ") && !fault.contains("hunter2"), "{fault}");
    }
    let fault = faults(&format!("{GOOD}[store]\nurl = \"postgres://u:hunter2@h:54x2/db\"\n")).join("");
    assert!(!fault.is_empty() && !fault.contains("hunter2"), "{fault}");
}

#[test]
fn all_faults_are_told_at_once() {
    let text = GOOD.replacen("RBBN", "32O193", 1).replacen("b@example.com", "nobody", 1);
    assert_eq!(faults(&text).len(), 2, "{:?}", faults(&text));
}

#[test]
fn a_subscription_says_what_is_wrong_with_it() {
    let check = |keys: &str, expected: &str| {
        let expected = format!("config.toml: subscription[0].{expected}");
        check_added(&format!("[[subscription]]\nemail = \"desk@example.com\"\n{keys}\n"), &expected);
    };
    check("min_confidence = 2.0", "min_confidence: expected 0 to 1, found 2");
    check("quiet_hours = \"22:00\"", "quiet_hours: expected hours such as \"22:00-07:00\", found \"22:00\"");
    check(
        "quiet_hours = \"07:00-07:00\"",
        "quiet_hours: expected hours such as \"22:00-07:00\", found \"07:00-07:00\"",
    );
    check("time_zone = \"Berlin\"", "time_zone: expected a zone such as \"Europe/Berlin\", found \"Berlin\"");
    check("dates = \"german\"", "dates: expected \"en\", \"iso\" or a locale such as \"de_DE\", found \"german\"");
    check("paused_until = \"soon\"", "paused_until: expected a date such as \"2026-12-24\", found \"soon\"");
    check("at = \"08:00\"", "at means nothing with delivery = \"immediate\"");
    check("delivery = \"daily\"\non = \"monday\"", "on means nothing with delivery = \"daily\"");
    check("delivery = \"weekly\"\non = \"someday\"", "on: expected a day such as \"monday\", found \"someday\"");
    check("name = \"two words\"", "name: expected letters, digits, - _ and ., found \"two words\"");
    let group = "[groups]\nlate = [\"RBBN\"]\n[[subscription]]\nemail = \"a@example.com\"\nissuers = [\"group:lat\"]\n";
    check_added(
        group,
        "config.toml: subscription[0].issuers[0]: there is no group \"lat\": did you mean \"group:late\"?",
    );
    let twice = "[[subscription]]\nname = \"a\"\nemail = \"a@example.com\"\n[[subscription]]\nname = \"a\"\nemail = \"b@example.com\"\n";
    check_added(twice, "config.toml: subscription[1].name: \"a\" is used twice");
}

#[test]
fn pages_webhooks_and_relays_say_what_is_wrong_with_them() {
    check_added(
        "[http]\nlisten = \"127.0.0.1:8080\"\n",
        "config.toml: http.public_url is missing: links are built from it (example: \"https://alerts.example.com\")",
    );
    check_added(
        "[http]\nlisten = \"8080\"\npublic_url = \"https://alerts.example.com\"\n",
        "config.toml: http.listen: expected an address such as \"127.0.0.1:8080\", found \"8080\"",
    );
    check_added(
        "[http]\npublic_url = \"alerts.example.com\"\n",
        "config.toml: http.public_url: expected a URL such as \"https://alerts.example.com\", found \"alerts.example.com\"",
    );
    check_added(
        "[http]\nlisten = \"127.0.0.1:80\"\npublic_url = \"https://a.example\"\ntrusted_proxies = [\"proxy\"]\n",
        "config.toml: http.trusted_proxies[0]: expected an address or a network such as \"127.0.0.1\" or \"10.0.0.0/8\", \
         found \"proxy\"",
    );
    check_added(
        "inbound = \"a+b@example.com\"\n",
        "config.toml: mail.inbound: expected a bare address such as \"edgar-watch@example.com\", found \"a+b@example.com\"",
    );
    check_added(
        "[[mail.route]]\ndomains = [\"example.net\"]\n",
        "config.toml: mail.route[0].host is missing (example: \"relay.example.com\")",
    );
    check_added("[mail.smtp]\nconnections = 0\n", "config.toml: mail.smtp.connections: expected 1 to 100, found 0");
    // Its path is a secret.
    check_added(
        "[[webhook]]\nname = \"chat\"\nurl = \"http://hooks.example.com/hunter2\"\n",
        "config.toml: webhook[0].url: expected a https URL",
    );
    check_added(
        "[[webhook]]\nurl = \"https://hooks.example.com/\"\nformat = \"xml\"\n",
        "config.toml: webhook[0].format: expected json, slack or discord, found \"xml\"",
    );
}

#[test]
fn a_dkim_key_is_taken_or_refused_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key.pem");
    let refusal = |pem: &str| {
        std::fs::write(&file, pem).expect("a file");
        let fault = faults(&format!("{GOOD}[[mail.dkim]]\nselector = \"s\"\nkey_file = \"{}\"\n", file.display()));
        fault.join("").replace(&file.display().to_string(), "FILE")
    };
    // Shapes alone: what is inside is not looked at first.
    let pem = |kind: &str| format!("-----BEGIN {kind}-----\nMAA=\n-----END {kind}-----\n");
    assert_eq!(
        refusal(&pem("RSA PRIVATE KEY")),
        "config.toml: mail.dkim[0].key_file: FILE is no PKCS#8 key; convert it: \
         openssl pkcs8 -topk8 -nocrypt -in FILE -out FILE.pkcs8"
    );
    assert_eq!(
        refusal(&pem("ENCRYPTED PRIVATE KEY")),
        "config.toml: mail.dkim[0].key_file: FILE is encrypted; convert it: \
         openssl pkcs8 -in FILE -out FILE.pkcs8 -topk8 -nocrypt"
    );
    assert_eq!(
        refusal("not a key"),
        "config.toml: mail.dkim[0].key_file: FILE holds no private key in PEM (BEGIN PRIVATE KEY)"
    );
    assert!(refusal(&pem("PRIVATE KEY")).contains("neither an Ed25519 key nor an RSA key of 2048 to 4096 bits"));
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    assert_eq!(refusal(&key.serialize_pem()), "");
}

#[test]
fn every_fault_is_told_at_once_and_where_it_is() {
    let text = "[edgar]\nuser_agent = \"curl\"\n\n[poll]\nintervall = \"10s\"\n  interval = 10\n\n[mail]\nfrom = 3\n\
                transport = \"pigeon\"\n[mail.smtp]\nport = 70000\nhots = \"x\"\n[[subscription]]\nemail = \"a@example.com\"\n\
                [[subscription]]\nemail = \"b@example.com\"\nkinds = [\"default\", \"determination\"]\n";
    let error = parse(text, "config.toml", Path::new("/etc/edgar-watch")).expect_err("nothing of it is good");
    let told: Vec<String> = error.faults().iter().map(|fault| fault.chars().take(64).collect()).collect();
    assert_eq!(
        told,
        [
            "config.toml:2:1: edgar.user_agent: expected a name and an e-mail",
            "config.toml:5:1: unknown key \"intervall\", did you mean \"interval",
            "config.toml:6:14: invalid type: integer `10`, expected a string",
            "config.toml:8:1: mail.owner is missing (example: \"ops@example.co",
            "config.toml:9:8: invalid type: integer `3`, expected a string",
            "config.toml:10:1: mail.transport: expected smtp, sendmail or fol",
            "config.toml:13:1: unknown key \"hots\", did you mean \"host\"?",
            "config.toml:18:21: subscription[1].kinds[1]: expected one of sta",
            "config.toml: watch.issuers is missing: name tickers or CIKs, or ",
        ],
        "mail.from was given, if wrongly: that it is missing is not told as well; a relay that is not used is not looked at"
    );
}

#[test]
fn what_is_no_toml_is_told_line_by_line_and_nothing_else() {
    let text = "[edgar]\nuser_agent = \"Example\n[watch\nissuers = [\"*\"]\n";
    let error = parse(text, "config.toml", Path::new("/etc/edgar-watch")).expect_err("no TOML");
    let lines: Vec<&str> = error.faults().iter().filter_map(|fault| fault.split(':').nth(1)).collect();
    assert_eq!(lines, ["2", "3"], "{error}");
}

fn doubts_of(text: &str, folder: &Path) -> Vec<String> {
    let settings = parse(text, "config.toml", folder).unwrap_or_else(|error| panic!("{error}"));
    doubts(&settings, &folder.join("config.toml"))
}

#[test]
fn what_is_doubtful_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(doubts_of(GOOD, folder.path()), Vec::<String>::new());
    let fast = format!("{GOOD}[poll]\ninterval = \"100ms\"\n");
    assert_eq!(
        doubts_of(&fast, folder.path()),
        ["poll.interval: 1 queries every 100ms are 10 requests a second, and edgar.max_requests_per_second gives 5: \
          polls will come late, and filings later"]
    );
    let never = format!(
        "{GOOD}[groups]\nnone = []\n[[subscription]]\nemail = \"a@example.com\"\nkinds = [\"default\"]\n\
         exchanges = [\"nyse\"]\n[[subscription]]\nemail = \"a@example.com\"\nmin_confidence = 1.0\n\
         [[subscription]]\nemail = \"a@example.com\"\n"
    );
    assert_eq!(
        doubts_of(&never.replace("none = []", "some = [\"RBBN\"]"), folder.path()),
        [
            "subscription[0]: config:1 can never match: no news is of these kinds, bases, exchanges and confidence at once",
            "subscription[1]: config:2 can never match: no news is of these kinds, bases, exchanges and confidence at once",
        ]
    );
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a password\n").expect("a file");
    let login = format!("{GOOD}[mail.smtp]\nhost = \"localhost\"\nusername = \"me\"\npassword_file = \"secret\"\n");
    for (mode, n_doubts) in [(0o644, 1), (0o640, 0), (0o600, 0)] {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).expect("a mode");
        let doubts = doubts_of(&login, folder.path());
        assert_eq!(doubts.len(), n_doubts, "{mode:o}: {doubts:?}");
        let named = format!("mail.smtp.password_file: every user of this machine may read {}", secret.display());
        assert!(doubts.iter().all(|doubt| doubt.starts_with(&named)), "{doubts:?}");
    }
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o750)).expect("a mode");
    assert_eq!(doubts_of(&login, folder.path()), Vec::<String>::new(), "nobody else gets as far as the file");
}

#[test]
fn a_port_alone_is_one_of_this_machine() {
    let listen = |text: &str| {
        let text = format!("{GOOD}[http]\nadmin_listen = \"{text}\"\n");
        parse(&text, "config.toml", Path::new("/")).map(|settings| settings.admin_listen.map(|at| at.to_string()))
    };
    for (written, meant) in
        [("9464", "127.0.0.1:9464"), (":9464", "127.0.0.1:9464"), ("10.0.0.1:9464", "10.0.0.1:9464")]
    {
        assert_eq!(listen(written), Ok(Some(meant.to_owned())));
    }
    check_added(
        "[http]\nadmin_listen = \"yes\"\n",
        "config.toml: http.admin_listen: expected an address or a port such as \"127.0.0.1:9464\", found \"yes\"",
    );
}

#[test]
fn each_pattern_with_a_fault_is_named_and_none_hides_another() {
    let good = "signal = \"notice\"\nregex = \"missive\"\nmatches = [\"a missive\"]\nnear_misses = [\"a letter\"]\n";
    let text = format!(
        "{GOOD}[[pattern]]\nname = \"one\"\n{}[[pattern]]\nname = \"two\"\n{}[[pattern]]\nname = \"three\"\n{}",
        good.replace("\"notice\"", "\"notise\""),
        good.replace("matches = [\"a missive\"]\n", ""),
        good.replace("\"missive\"", "\"miss(ive\""),
    );
    let error = parse(&text, "config.toml", Path::new("/")).expect_err("three faults");
    let told: Vec<String> = error.faults().iter().map(|fault| fault.chars().take(60).collect()).collect();
    assert_eq!(told.len(), 3, "{error}");
    assert!(told[0].starts_with("config.toml:10:10: unknown word \"notise\", did you mean"), "{error}");
    assert!(told[1].starts_with("config.toml:14:1: missing field `matches`"), "{error}");
    assert!(told[2].starts_with("config.toml:19:1: pattern three: "), "{error}");
}

#[test]
fn mail_in_a_folder_lies_beside_the_store_unless_the_folder_is_named() {
    use edgar_watch::config::Transport;
    let folder = |keys: &str| {
        let text = format!("{GOOD}transport = \"folder\"\n{keys}[store]\nurl = \"sqlite:///var/lib/desk/state.db\"\n");
        match parse(&text, "config.toml", Path::new("/etc/desk")).expect("a configuration").mail.transport {
            Transport::Folder(folder) => folder.path,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(folder(""), Path::new("/var/lib/desk/mail"));
    assert_eq!(folder("folder = \"box\"\n"), Path::new("/etc/desk/box"));
}
