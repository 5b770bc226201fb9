//! What a configuration may say and what it is told when it may not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::domain::{Announce, Mode, Status};
use crate::protocol::Protocol;

/// A key that must never be seen again.
pub(super) const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";
/// One integration that lacks nothing.
pub(super) const SHOP: &str = "[integrations.shop]\nprotocol = \"paynow-zimbabwe\"\nid = \"1201\"\nkey_files = [\"shop.key\"]\ncurrency = \"USD\"\n";

/// A directory with a configuration, a key, and an environment of its own.
pub(super) struct House {
    home: tempfile::TempDir,
    environment: Environment,
}

impl House {
    /// `text` as `daemon.toml`, with a good key in `shop.key`.
    pub(super) fn with(text: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let environment = Environment { cwd: home.path().to_owned(), ..Environment::default() };
        let house = Self { home, environment };
        fs::write(house.path("daemon.toml"), text).unwrap();
        house.secret("shop.key", KEY);
        house
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A file that nobody else may read.
    pub(super) fn secret(&self, name: &str, content: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(super) fn var(mut self, name: &str, value: &str) -> Self {
        self.environment.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) const fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(super) fn load(&self) -> Result<(Config, Vec<Finding>), Findings> {
        Config::load(None, &self.environment)
    }

    pub(super) fn config(&self) -> Config {
        self.load().unwrap_or_else(|findings| panic!("{findings}")).0
    }

    /// What is found, as it is printed; errors and warnings alike.
    pub(super) fn findings(&self) -> String {
        match self.load() {
            Ok((_, warnings)) => Findings(warnings).to_string(),
            Err(findings) => findings.to_string(),
        }
    }
}

/// What is found in one integration with `line` added.
fn shop_with(line: &str) -> String {
    House::with(&format!("{SHOP}{line}\n")).findings()
}

#[test]
fn one_integration_is_all_that_must_be_written() {
    let config = House::with(SHOP).config();
    let shop = &config.integrations[0];
    assert_eq!((shop.name.as_str(), shop.protocol, shop.id.as_deref()), ("shop", Protocol::Zimbabwe, Some("1201")));
    assert_eq!(shop.origin.as_str(), "https://www.paynow.co.zw");
    assert_eq!((shop.terms.mode, shop.terms.announce), (Mode::Live, Announce::Confirmed));
    assert!(shop.terms.confirmable);
    assert!(shop.terms.notify_on.contains(&Status::Paid));
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8087");
    assert_eq!(config.mail.from.to_string(), "paynowd <paynowd@localhost>");
}

#[test]
fn a_button_needs_no_id_and_cannot_be_confirmed() {
    let text =
        "[integrations.b]\nprotocol = \"paynow-zimbabwe-button\"\nkey_files = [\"shop.key\"]\ncurrency = \"ZiG\"";
    let config = House::with(text).config();
    assert!(!config.integrations[0].terms.confirmable);
    assert_eq!(config.integrations[0].terms.currency.code(), "ZWG");
}

/// A Polish integration that lacks nothing but what `api_key_file` says.
const SKLEP: &str =
    "[integrations.sklep]\nprotocol = \"paynow-poland\"\nkey_files = [\"shop.key\"]\ncurrency = \"PLN\"\n";

#[test]
fn poland_is_asked_by_a_key_of_its_own_and_needs_no_id() {
    let house = House::with(&format!("{SKLEP}api_key_file = \"api.key\""));
    house.secret("api.key", "97a55694-5478-43b5-b406-fb49ebfdd2b5\n");
    let config = house.config();
    let sklep = &config.integrations[0];
    assert_eq!((sklep.protocol, sklep.id.as_deref()), (Protocol::Poland, None));
    assert_eq!(sklep.origin.as_str(), "https://api.paynow.pl");
    assert!(sklep.terms.confirmable);
    assert!(!format!("{config:?}").contains("97a55694"));
}

#[test]
fn the_key_that_names_us_is_required_where_there_is_one_and_refused_elsewhere() {
    let told = House::with(SKLEP).findings();
    assert!(told.contains("integrations.sklep.api_key_file: is required: name the file"), "{told}");
    let told = House::with(&format!("{SKLEP}api_key_file = \"none.key\"")).findings();
    assert!(told.contains("api_key_file: none.key: no such file"), "{told}");
    let house = House::with(&format!("{SKLEP}api_key_file = \"api.key\""));
    house.secret("api.key", "two words");
    assert!(house.findings().contains("api_key_file: api.key: does not hold an integration key"));
    let told = House::with(&format!("{SKLEP}api_key_file = \"{KEY}\"")).findings();
    assert!(told.contains("api_key_file: is itself a key") && !told.contains("3e9f"), "{told}");
    let told = shop_with("api_key_file = \"api.key\"");
    assert!(told.contains("integrations.shop.api_key_file: this protocol has no such key"), "{told}");
    let told = House::with(&format!("{SKLEP}api_key = \"{KEY}\"")).findings();
    assert!(told.contains("name it in api_key_file") && !told.contains("3e9f"), "{told}");
}

#[test]
fn everything_wrong_is_said_at_once_each_with_its_line_and_key() {
    let house = House::with(
        "[server]\nlisten = \"localhost\"\nmax_body = \"64 parsecs\"\nmax_fields = 0\n\n[poll]\npending = [\"15s x8\", \"sometimes\"]\n\n\
         [reconcile]\ntimezone = \"Mars/Olympus\"\n\n[integrations.shop]\nprotocol = \"paynow-zimbabwe\"\nmode = \"prod\"\n",
    );
    let found = house.load().unwrap_err();
    assert!(found.0.iter().all(|finding| finding.level == Level::Error));
    let told = found.to_string();
    let expected = [
        "daemon.toml:2: server.listen: must be an IP address and a port like 127.0.0.1:8087 or [::1]:8087, not \"localhost\"",
        "daemon.toml:3: server.max_body: must be a size from 1KiB to 8MiB, like 512B, 64KiB or 1MiB, not \"64 parsecs\"",
        "daemon.toml:4: server.max_fields: must be a whole number from 8 to 1024, not \"0\"",
        "daemon.toml:7: poll.pending: entry 2 must be like \"15s x8\" (eight times) or",
        "daemon.toml:10: reconcile.timezone: must be an IANA time zone like \"Africa/Harare\" or \"UTC\", not \"Mars/Olympus\"",
        "daemon.toml:12: integrations.shop.id: is required: ",
        "daemon.toml:12: integrations.shop.key_files: is required: ",
        "daemon.toml:12: integrations.shop.currency: is required: ",
        "daemon.toml:14: integrations.shop.mode: must be \"live\" or \"test\", not \"prod\"",
    ];
    for line in expected {
        assert!(told.contains(line), "missing: {line}\n{told}");
    }
    assert_eq!(found.0.len(), expected.len(), "{told}");
}

#[test]
fn unknown_keys_and_sections_are_findings_that_guess_what_was_meant() {
    let told = House::with(&format!("[servr]\n\n[server]\nmax_bdy = \"1MiB\"\ncolour = \"red\"\n\n{SHOP}notfy = []\n"))
        .findings();
    for line in [
        "daemon.toml:1: servr: is not a section we know; did you mean server?",
        "daemon.toml:4: server.max_bdy: is not a key we know; did you mean max_body?",
        "daemon.toml:5: server.colour: is not a key we know; remove it, or compare with the shipped daemon.toml",
        "daemon.toml:12: integrations.shop.notfy: is not a key we know; did you mean notify?",
    ] {
        assert!(told.contains(line), "missing: {line}\n{told}");
    }
    assert_eq!(told.lines().count(), 4, "{told}");
}

#[test]
fn a_key_pasted_as_a_name_is_not_repeated_and_names_stay_on_their_line() {
    let told =
        House::with(&format!("\"a\\u2028b\" = 1\n{SHOP}3E9FED89-60e1-4ce5-ab6e-6b1eb2d4f977 = \"\"\n")).findings();
    for line in [
        "daemon.toml: ab: is not a section we know; remove it, or compare with the shipped daemon.toml",
        "integrations.shop.…: is not a key we know; remove it, or compare with the shipped daemon.toml",
    ] {
        assert!(told.contains(line), "missing: {line}\n{told}");
    }
    assert!(!told.to_ascii_lowercase().contains("3e9fed89"), "{told}");
    let twice = |name: &str| House::with(&format!("\"{name}\" = 1\n\"{name}\" = 1\n")).findings();
    assert_eq!(twice("a\\u0007b"), "daemon.toml:2: not TOML: duplicate key `ab` in document root");
    assert_eq!(
        twice("3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977"),
        "daemon.toml:2: not TOML: duplicate key `…` in document root"
    );
}

#[test]
fn a_section_that_stands_there_twice_is_named_with_both_lines_and_what_to_do() {
    let twice = |header: &str| House::with(&format!("[{header}]\n\n[{header}]\n")).findings();
    let told = |name: &str| {
        format!(
            "daemon.toml:3: not TOML: duplicate section [{name}], which begins on line 1; give one of the two another \
             name, or put all its keys under one header"
        )
    };
    assert_eq!(twice("integrations.shop"), told("integrations.shop"));
    assert_eq!(twice("3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977"), told("…"));
    let escaped = twice("\"3e9fed89\\u002d60e1-4ce5-ab6e-6b1eb2d4f977\"");
    assert!(escaped.starts_with("daemon.toml:3: not TOML: ") && !escaped.contains("60e1"), "{escaped}");
}

#[test]
fn variables_override_keys_and_are_named_when_they_are_wrong() {
    let house = House::with(SHOP)
        .var("PAYNOWD_INTEGRATIONS__SHOP__MODE", "test")
        .var("PAYNOWD_INTEGRATIONS__SHOP__ID", "0042")
        .var("PAYNOWD_INTEGRATIONS__SHOP__NOTIFY", "a@shop.example, b@shop.example")
        .var("PAYNOWD_POLL__CONFIRM", "[\"1s\", \"2s\"]")
        .var("PAYNOWD_SERVER__QUEUE", "7")
        .var("PAYNOWD_CONFIG", "daemon.toml")
        .var("PAYNOWD_HANG", "1");
    let config = house.config();
    let shop = &config.integrations[0];
    assert_eq!((shop.terms.mode, shop.id.as_deref()), (Mode::Test, Some("0042")));
    assert_eq!(shop.terms.recipients, ["a@shop.example", "b@shop.example"]);
    assert_eq!(config.poll.schedule.confirm, [1, 2].map(Duration::from_secs));
    assert_eq!(config.server.queue, 7);
    let told = House::with(SHOP).var("PAYNOWD_SERVER__QUEUE", "many").var("PAYNOWD_SERVR__X", "1").findings();
    assert!(told.contains("PAYNOWD_SERVER__QUEUE: server.queue: must be a whole number"), "{told}");
    assert!(told.contains("PAYNOWD_SERVR__X: servr: is not a section we know; did you mean server?"), "{told}");
    let told = House::with(SHOP).var("PAYNOWD_SERVER__", "x").findings();
    assert_eq!(told, "PAYNOWD_SERVER__: names no key: write PAYNOWD_SECTION__KEY");
    let told = House::with(SHOP).var("PAYNOWD_LEDGER_PATH", "x").var("PAYNOWD_MAIL_SMTP_PORT", "1").findings();
    let meant = ["LEDGER__PATH", "MAIL__SMTP__PORT"].map(|key| {
        let written = key.replace("__", "_");
        format!("PAYNOWD_{written}: is read by nobody: write PAYNOWD_{key}")
    });
    assert_eq!(told.lines().collect::<Vec<_>>(), meant);
}

#[test]
fn an_integration_can_be_given_by_variables_alone() {
    let config = House::with("")
        .var("PAYNOWD_INTEGRATIONS__SHOP__PROTOCOL", "paynow-zimbabwe")
        .var("PAYNOWD_INTEGRATIONS__SHOP__ID", "1201")
        .var("PAYNOWD_INTEGRATIONS__SHOP__KEY_FILES", "shop.key")
        .var("PAYNOWD_INTEGRATIONS__SHOP__CURRENCY", "USD")
        .config();
    assert_eq!(config.integrations[0].id.as_deref(), Some("1201"));
}

#[test]
fn numbers_are_taken_for_text_where_text_is_wanted() {
    let text = SHOP.replace("\"1201\"", "1201");
    assert_eq!(House::with(&text).config().integrations[0].id.as_deref(), Some("1201"));
}

#[test]
fn a_file_without_integrations_is_refused() {
    assert_eq!(
        House::with("").findings(),
        "daemon.toml: integrations: no integration is configured: add a section [integrations.NAME]"
    );
}

#[test]
fn gateways_are_https_or_on_this_machine() {
    assert!(shop_with("gateway = \"http://www.paynow.co.zw\"").contains("gateway: must be an origin like https://"));
    assert_eq!(shop_with("gateway = \"http://127.0.0.1:9000\""), "");
    let told = shop_with("gateway = \"https://user:hunter2@host\"");
    assert!(told.contains("gateway: must be") && !told.contains("hunter2"), "{told}");
}

#[test]
fn mail_without_protection_goes_only_to_this_machine() {
    let smtp = |host: &str, more: &str| {
        let mail = "[mail]\ntransport = \"smtp\"\nfrom = \"a@shop.example\"\n[mail.smtp]\n";
        House::with(&format!("{mail}host = \"{host}\"\n{more}\n{SHOP}"))
    };
    assert!(
        smtp("mail.example", "security = \"none\"").findings().contains("mail.smtp.security: \"none\" is only for")
    );
    for (host, security, port) in [("localhost", "none", 25), ("::1", "none", 25), ("mail.example", "tls", 465)] {
        let config = smtp(host, &format!("security = \"{security}\"")).config();
        assert!(matches!(config.mail.transport, Transport::Smtp(smtp) if smtp.port == port), "{host}");
    }
    let told = smtp("mail.example", "username = \"ledger\"").findings();
    assert!(told.contains("give both or neither"), "{told}");
    let told = House::with(&format!("[mail]\ntransport = \"smtp\"\n{SHOP}")).findings();
    assert!(told.contains("mail.from: is required") && told.contains("mail.smtp.host: is required"), "{told}");
}

#[test]
fn the_sandbox_is_taken_for_test_money_only() {
    let poland = |lines: &str| {
        let text = "[integrations.sklep]\nprotocol = \"paynow-poland\"\nkey_files = [\"sklep.key\"]\n\
                    api_key_file = \"sklep.api.key\"\ncurrency = \"PLN\"\n";
        let house = House::with(&format!("{text}{lines}\n"));
        house.secret("sklep.key", KEY);
        house.secret("sklep.api.key", "97a55694-5478");
        house.findings()
    };
    let sandbox = "gateway = \"https://API.sandbox.paynow.pl/\"";
    for live in [sandbox.to_owned(), format!("{sandbox}\nmode = \"live\"")] {
        let told = poland(&live);
        assert!(told.starts_with("daemon.toml:6: integrations.sklep.gateway: is the sandbox"), "{told}");
        assert!(told.contains("mode = \"test\"") && told.lines().count() == 1, "{told}");
    }
    assert_eq!(poland(&format!("{sandbox}\nmode = \"test\"")), "");
    assert_eq!(poland(""), "");
}

#[test]
fn an_integration_of_variables_alone_is_blamed_on_them() {
    let house = House::with(SHOP).var("PAYNOWD_INTEGRATIONS__NEW__MODE", "test");
    let told = house.findings();
    assert!(told.contains("PAYNOWD_INTEGRATIONS__NEW__MODE: integrations.new.protocol: is required"), "{told}");
    assert!(!told.contains("daemon.toml"), "{told}");
    // What is missing where the file has something, too, is missing in the file.
    let half = House::with("[integrations.new]\nprotocol = \"paynow-zimbabwe-button\"\n")
        .var("PAYNOWD_INTEGRATIONS__NEW__MODE", "test");
    assert!(half.findings().contains("daemon.toml:1: integrations.new.currency: is required"), "{}", half.findings());
}

#[test]
fn every_range_is_named_when_it_is_left() {
    for (text, range) in [
        ("[server]\nmax_connections = 0", "from 1 to 65536"),
        ("[server]\nmax_body = 9000000", "from 1KiB to 8MiB"),
        ("[server]\nheader_timeout = \"1h\"", "from 100ms to 5m"),
        ("[server]\nheader_timeout = 10", "like 250ms, 30s"),
        ("[ledger]\nquarantine_max_age = \"0s\"", "from 1s to 3650d"),
        ("[poll]\nconcurrency = -1", "from 1 to 256"),
        ("[poll]\nconfirm = []", "must have 1 to 20 entries"),
        ("[poll]\nconfirm = \"5s\"", "must be a list"),
        ("[poll]\nheld = [\"1ms until 90d\"]", "from 100ms to 365d"),
        ("[poll]\nheld = [\"1h until 2d\", \"1h until 1d\"]", "later than the one before"),
        ("[poll]\nconnect_timeout = \"20s\"", "must not be longer than poll.timeout"),
        ("[mail]\nfrom = \"a@b.example, c@d.example\"", "a sender like"),
        ("[mail]\ndirectory = \"\"", "one line, not empty"),
        ("[log]\nlevel = \"inof\"", "a level (off, error, warn, info, debug, trace)"),
        ("[server]\ntrusted_proxies = [\"10.0.0.0/33\"]", "a network like 10.0.0.0/8"),
        ("[admin]\nlisten = \"127.0.0.1:8087\"", "must differ from server.listen"),
        ("[mail.smtp]\nport = 65536", "from 1 to 65535"),
    ] {
        let told = House::with(&format!("{text}\n{SHOP}")).findings();
        assert!(told.contains(range) && told.lines().count() == 1, "{text}:\n{told}");
    }
    for (line, rule) in [
        ("notify = [\"owner\"]", "entry 1 must be a mail address"),
        ("notify = [\"a@b.example\", \"A@b.example\"]", "entry 2 is there twice"),
        ("notify_on = [\"payed\"]", "one of unknown, created"),
        ("mode = [\"live\"]", "must be \"live\" or \"test\""),
        ("announce_after = \"1d2h\"", "a duration from 0s to 14d"),
    ] {
        assert!(shop_with(line).contains(rule), "{line}:\n{}", shop_with(line));
    }
    let told = House::with(&SHOP.replace("integrations.shop", "integrations.\"a.shop\"")).findings();
    assert!(told.contains("daemon.toml:1: integrations.a.shop: the name of the integration must be"), "{told}");
    let told = House::with("[integrations.Shop]\nprotocol = \"paypal\"\n").findings();
    assert!(
        told.contains("daemon.toml:1: integrations.Shop: the name of the integration must be 1 to 64 of a-z"),
        "{told}"
    );
    assert!(
        told.contains("protocol: must be \"paynow-zimbabwe\" or \"paynow-zimbabwe-button\" or \"paynow-poland\", not"),
        "{told}"
    );
}

#[test]
fn a_table_where_a_value_belongs_and_the_other_way_round_is_a_finding() {
    let told = House::with(&format!("mail = 3\n[server.listen]\nport = 1\n{SHOP}")).findings();
    assert!(told.contains("daemon.toml:1: mail: must be a section: [mail]"), "{told}");
    assert!(told.contains("server.listen: must be an IP address"), "{told}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn no_file_makes_it_panic(text in "[\\[\\]=.#\"a-c\n 0-9]{0,80}", value in "[ -~é\n]{0,40}") {
        let house = House::with(&text).var("PAYNOWD_SERVER__LISTEN", &value).var("PAYNOWD_A__B", &value);
        let _ = house.load();
        let house = House::with(SHOP).var("PAYNOWD_INTEGRATIONS__SHOP__NOTIFY", &value)
            .var("PAYNOWD_RECONCILE__SCHEDULE", &value).var("PAYNOWD_LOG__LEVEL", &value)
            .var("PAYNOWD_MAIL__FROM", &value).var("PAYNOWD_INTEGRATIONS__SHOP__GATEWAY", &value);
        let _ = house.load();
    }
}
