//! `[integrations.NAME]`: one Paynow account or button, its keys proven to be keys, its gateway ready to read. What a
//! message means is the protocol's and the domain's.

use std::sync::Arc;
use std::time::Duration;

use lettre::Address;

use super::reader::Section;
use super::secrets::{KeyFile, Vault};
use crate::domain::{Amount, Announce, Currency, IntegrationName, Mode, Origin, PollSchedule, Status, Terms};
use crate::protocol::{Gateway, Key, Keys, Protocol, Setup};

/// The states a merchant hears about without asking: what calls for an action, and what ends an order.
const NOTIFY_ON: [Status; 8] = [
    Status::Paid,
    Status::AwaitingDelivery,
    Status::Delivered,
    Status::Cancelled,
    Status::Failed,
    Status::Disputed,
    Status::Refunded,
    Status::Expired,
];
/// How many people one integration may write to.
const MOST_RECIPIENTS: usize = 50;
/// How long an integration's id may be; a key is longer.
const LONGEST_ID: usize = 24;
/// Where keys belong.
const NOT_HERE: &str = "a key does not belong in the configuration: put it in a file and name it in key_files";
/// Where the key belongs that names us.
const NOT_HERE_EITHER: &str =
    "a key does not belong in the configuration: put it in a file and name it in api_key_file";
/// Why nobody should name a file for it.
const NO_API_KEY: &str = "this protocol has no such key: remove the line";

/// One Paynow account or button template.
#[derive(Clone, Debug)]
pub struct IntegrationConfig {
    /// What we call it; `/paynow/NAME` is where its posts arrive.
    pub name: IntegrationName,
    /// Which language it speaks.
    pub protocol: Protocol,
    /// The gateway's number for it, where it has one.
    pub id: Option<String>,
    /// What proves its messages, the current key first.
    pub keys: Keys,
    /// The files of these keys, in the same order.
    pub key_files: Vec<KeyFile>,
    /// Where its gateway lives.
    pub origin: Origin,
    /// Reads its posts and phrases our questions.
    pub gateway: Arc<dyn Gateway>,
    /// What the merchant decided for it.
    pub terms: Arc<Terms>,
}

impl IntegrationConfig {
    /// `None` where something it cannot be without is missing or wrong; a finding says what.
    pub(super) fn read(
        mut section: Section<'_>,
        vault: &Vault,
        schedule: &Arc<PollSchedule>,
        max_fields: usize,
    ) -> Option<Self> {
        for key in ["key", "keys", "integration_key", "signature_key", "secret"] {
            section.forbid(key, NOT_HERE);
        }
        section.forbid("api_key", NOT_HERE_EITHER);
        let name = IntegrationName::parse(section.name());
        if let Err(rule) = &name {
            section.error("", format!("the name of the integration {rule}"));
        }
        let protocol = protocol(&mut section);
        let id = id(&mut section, protocol);
        let keys = vault.keys(&mut section, protocol);
        let wants_api_key = protocol.is_some_and(|protocol| protocol.dialect().api_key.is_some());
        let api_key = api_key(&mut section, vault, protocol);
        let origin = origin(&mut section, protocol);
        let terms = terms(&mut section, schedule);
        if let (Some(protocol), Some(origin), Some(terms)) = (protocol, &origin, &terms) {
            hold_sandbox_apart(&section, protocol, origin, terms.mode);
        }
        section.finish();
        let (name, protocol, (keys, key_files), origin, terms) = (name.ok()?, protocol?, keys?, origin?, terms?);
        if wants_api_key && api_key.is_none() {
            return None;
        }
        let setup = Setup {
            integration: name.clone(),
            id: id.clone(),
            keys: keys.clone(),
            api_key,
            origin: origin.clone(),
            max_fields,
        };
        let gateway: Arc<dyn Gateway> = Arc::from(protocol.gateway(setup));
        let terms = Arc::new(Terms { confirmable: gateway.confirmable(), ..terms });
        Some(Self { name, protocol, id, keys, key_files, origin, gateway, terms })
    }
}

fn protocol(section: &mut Section<'_>) -> Option<Protocol> {
    let codes: Vec<String> = Protocol::ALL.iter().map(|protocol| format!("\"{}\"", protocol.code())).collect();
    let codes = codes.join(" or ");
    section.require("protocol", format!("write {codes}"));
    section.read("protocol", codes, Protocol::from_code)
}

fn id(section: &mut Section<'_>, protocol: Option<Protocol>) -> Option<String> {
    if protocol.is_some_and(|protocol| protocol.dialect().has_id) {
        section.require("id", "the integration id that Paynow shows beside the integration key, for example \"1201\"");
    }
    let short = |text: &str| {
        let sound = text.len() <= LONGEST_ID && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        sound.then(|| text.to_owned())
    };
    section.read("id", "the gateway's short number for the integration, which is not its key", short)
}

/// The key that names us, where the protocol has one; elsewhere a file named for it is a mistake.
fn api_key(section: &mut Section<'_>, vault: &Vault, protocol: Option<Protocol>) -> Option<Key> {
    let Some(read) = protocol?.dialect().api_key else {
        section.forbid("api_key_file", NO_API_KEY);
        return None;
    };
    section.require("api_key_file", "name the file that holds the Api-Key, for example \"poland.api.key\"");
    vault.key(section, "api_key_file", read)
}

fn origin(section: &mut Section<'_>, protocol: Option<Protocol>) -> Option<Origin> {
    let rule =
        "an origin like https://www.paynow.co.zw: scheme, host and optional port only; http is for loopback hosts";
    let asked = section.read("gateway", rule, |text| text.parse().ok());
    asked.or_else(|| protocol?.default_origin().parse().ok())
}

/// Money of the sandbox is not real, and must not be counted as if it were.
fn hold_sandbox_apart(section: &Section<'_>, protocol: Protocol, origin: &Origin, mode: Mode) {
    if mode == Mode::Live && protocol.dialect().sandbox == Some(origin.as_str()) {
        section
            .error("gateway", "is the sandbox, where no money is real: say mode = \"test\", too, or remove the line");
    }
}

/// The merchant's decisions; `confirmable` is not one and is filled in by the caller.
fn terms(section: &mut Section<'_>, schedule: &Arc<PollSchedule>) -> Option<Terms> {
    section.require("currency", "what its amounts are counted in; an ISO 4217 code, for example \"USD\"");
    let currency =
        section.read("currency", "an ISO 4217 code like USD, ZWG (ZiG) or PLN", |text| text.parse::<Currency>().ok());
    let modes = [Mode::Live, Mode::Test].map(|mode| (mode.code(), mode));
    let moments = [Announce::Confirmed, Announce::Reported].map(|announce| (announce.code(), announce));
    let statuses = Status::ALL.map(Status::code).join(", ");
    let terms = Terms {
        currency: currency.or_else(|| "USD".parse().ok())?,
        mode: section.choice("mode", Mode::Live, &modes),
        announce: section.choice("announce", Announce::Confirmed, &moments),
        announce_after: section.duration(
            "announce_after",
            Duration::from_mins(15),
            Duration::ZERO..=Duration::from_hours(14 * 24),
        ),
        tolerance: section
            .read("tolerance", "an amount like \"0.05\", in quotes", |text| text.parse().ok())
            .unwrap_or(Amount::ZERO),
        notify_on: section
            .list("notify_on", 0..=Status::ALL.len(), format!("one of {statuses}"), Status::from_code)
            .unwrap_or_else(|| NOTIFY_ON.to_vec()),
        recipients: addresses(section, "notify"),
        confirmable: false,
        schedule: Arc::clone(schedule),
    };
    currency.map(|_| terms)
}

/// The mail addresses under `key`, none of them twice.
pub(super) fn addresses(section: &mut Section<'_>, key: &'static str) -> Vec<String> {
    let address = |text: &str| text.parse::<Address>().ok().map(|address| address.to_string());
    let rule = "a mail address like owner@shop.example";
    let recipients = section.list(key, 0..=MOST_RECIPIENTS, rule, address).unwrap_or_default();
    let twice = recipients
        .iter()
        .enumerate()
        .find(|(at, one)| recipients.iter().take(*at).any(|other| other.eq_ignore_ascii_case(one)));
    if let Some((at, _)) = twice {
        section.error(key, format!("entry {} is there twice; remove one", at + 1));
    }
    recipients
}
