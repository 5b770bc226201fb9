//! Finds and reads key and password files. The only place that holds a secret as text, and only until it is wrapped;
//! findings name the key of the configuration and the places, never a content, and no name that might be one.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::reader::Section;
use crate::domain::Timestamp;
use crate::domain::names::guid_bytes;
use crate::protocol::{Key, Keys, Protocol, ReadKey};

/// How large a key or password file may be, in bytes.
const LARGEST: u64 = 4096;
/// How many keys one integration may accept at once: the current one, and those it replaces.
const MOST_KEYS: usize = 8;
/// How long a secret is by which a person is let in, lest it be guessed; in bytes.
const GUESSABLE: usize = 16;
/// What names of secret files end with. A name without such an ending might be a secret in the wrong place.
const ENDINGS: [&str; 6] = ["key", "keys", "password", "token", "secret", "txt"];
/// The permission bits of everybody but the owner who may read.
const OTHERS_READ: u32 = 0o044;

/// A key file, as far as everybody may know of it.
#[derive(Clone, Debug)]
pub struct KeyFile {
    /// Its name as configured, or its place in the list where the name does not look like one.
    pub name: String,
    /// When the file was last written or put in its place.
    pub changed: Option<Timestamp>,
}

/// Where secrets are kept.
#[derive(Debug)]
pub(super) struct Vault {
    credentials: Option<PathBuf>,
    beside: PathBuf,
}

/// A secret as read, and what should be mended about its file.
struct Found {
    secret: SecretString,
    warning: Option<String>,
}

impl Vault {
    /// Looks in `credentials` first, then in `beside`, the directory of the configuration file.
    pub(super) const fn new(credentials: Option<PathBuf>, beside: PathBuf) -> Self {
        Self { credentials, beside }
    }

    /// The keys in the files that `key_files` names, the current one first; none while nobody knows for what.
    pub(super) fn keys(&self, section: &mut Section<'_>, protocol: Option<Protocol>) -> Option<(Keys, Vec<KeyFile>)> {
        let key = "key_files";
        section.require(key, "name the file that holds the integration key, for example [\"shop.key\"]");
        let names = section.list(key, 1..=MOST_KEYS, "the name of a file", |name| Some(name.to_owned()))?;
        if let Some(twice) = (1..names.len()).find(|at| names.iter().take(*at).any(|name| Some(name) == names.get(*at)))
        {
            section.error(key, format!("entry {} is there twice; remove one", twice + 1));
        }
        let protocol = protocol?;
        let mut keys = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let entry = format!("entry {} ", at + 1);
            keys.extend(self.read_key(section, key, &entry, name, protocol.dialect().key));
        }
        let mut keys = keys.into_iter();
        let files = names.iter().enumerate().map(|(at, name)| self.key_file(at, name)).collect();
        Some((Keys::new(keys.next()?, keys.collect()), files))
    }

    fn key_file(&self, at: usize, name: &str) -> KeyFile {
        let shown = if shown(name) == name { name.to_owned() } else { format!("entry {}", at + 1) };
        let metadata = self.find(name).and_then(|path| path.metadata().ok());
        KeyFile { name: shown, changed: metadata.and_then(|file| Timestamp::from_timestamp(file.ctime(), 0)) }
    }

    /// The key in the file that `key` names.
    pub(super) fn key(&self, section: &mut Section<'_>, key: &'static str, read: ReadKey) -> Option<Key> {
        let name = section.text(key)?;
        self.read_key(section, key, "", &name, read)
    }

    /// The key in the file `name`, or a finding.
    fn read_key(
        &self,
        section: &Section<'_>,
        key: &'static str,
        entry: &str,
        name: &str,
        read: ReadKey,
    ) -> Option<Key> {
        let found = self.reported(section, key, entry, name, |text| guid_bytes(text).is_some())?;
        match read(found.expose_secret()) {
            Ok(read) => Some(read),
            Err(wrong) => {
                section.error(key, format!("{entry}{}: {wrong}", shown(name)));
                None
            }
        }
    }

    /// The password in the file that `key` names.
    pub(super) fn password(&self, section: &mut Section<'_>, key: &'static str) -> Option<SecretString> {
        let name = section.text(key)?;
        self.reported(section, key, "", &name, |_| false)
    }

    /// The token in the file that `key` names: it travels in a header, and whoever has it is let in.
    pub(super) fn token(&self, section: &mut Section<'_>, key: &'static str) -> Option<SecretString> {
        let token = self.password(section, key)?;
        let text = token.expose_secret();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            section.error(key, "the file must hold one word of letters, digits and punctuation");
        } else if text.len() < GUESSABLE {
            section.warning(key, format!("the token is short; use at least {GUESSABLE} random characters"));
        }
        Some(token)
    }

    /// The secret in the file `name`, with everything wrong about it noted.
    fn reported(
        &self,
        section: &Section<'_>,
        key: &'static str,
        entry: &str,
        name: &str,
        is_secret: impl Fn(&str) -> bool,
    ) -> Option<SecretString> {
        if is_secret(name) {
            section.error(key, format!("{entry}is itself a key: put it in a file of its own and name that file here"));
            return None;
        }
        match self.read(name) {
            Ok(found) => {
                if let Some(warning) = found.warning {
                    section.warning(key, format!("{entry}{}: {warning}", shown(name)));
                }
                Some(found.secret)
            }
            Err(reason) => {
                section.error(key, format!("{entry}{}: {reason}", shown(name)));
                None
            }
        }
    }

    fn read(&self, name: &str) -> Result<Found, String> {
        let path = self.find(name).ok_or_else(|| self.nowhere(name))?;
        let secret = content(&path)?;
        let kept = self.credentials.as_ref().is_some_and(|credentials| path.starts_with(credentials));
        let mode = path.metadata().map(|metadata| metadata.permissions().mode()).unwrap_or_default();
        let open = !kept && mode & OTHERS_READ != 0;
        let warning = open.then(|| "can be read by others than its owner; let it be: chmod 600".to_owned());
        Ok(Found { secret, warning })
    }

    /// Where the file of this name is, or cannot be looked for.
    fn find(&self, name: &str) -> Option<PathBuf> {
        self.places(name).into_iter().find(|path| path.try_exists().unwrap_or(true))
    }

    /// Where a file of this name may lie, in the order of looking.
    fn places(&self, name: &str) -> Vec<PathBuf> {
        if Path::new(name).is_absolute() {
            return vec![PathBuf::from(name)];
        }
        let credentials = self
            .credentials
            .iter()
            .flat_map(|credentials| [credentials.join(name), credentials.join(format!("paynowd_{name}"))]);
        credentials.chain([self.beside.join(name)]).collect()
    }

    /// Why nothing was found, naming the places.
    fn nowhere(&self, name: &str) -> String {
        if Path::new(name).is_absolute() {
            return "no such file".to_owned();
        }
        let beside = self.beside.display();
        match &self.credentials {
            Some(credentials) => format!(
                "no such file in {} (as named, or with paynowd_ before it), nor in {beside}",
                credentials.display()
            ),
            None => format!("no such file in {beside}, and $CREDENTIALS_DIRECTORY is not set"),
        }
    }
}

/// What a secret file holds, without the blanks and line ends after it.
fn content(path: &Path) -> Result<SecretString, String> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::InvalidData => "is not text".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::with_capacity(8192);
    let length = file.take(LARGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    let text = SecretString::from(text);
    let trimmed = text.expose_secret().trim_end();
    if u64::try_from(length).unwrap_or(u64::MAX) > LARGEST {
        return Err("is larger than 4KiB: not a secret".to_owned());
    }
    if trimmed.starts_with('\u{feff}') {
        return Err(
            "begins with a byte order mark, which some editors put there unseen; save it as UTF-8 without one".into()
        );
    }
    if trimmed.is_empty() {
        return Err("is empty".to_owned());
    }
    if trimmed.chars().any(char::is_control) {
        return Err("holds more than one line".to_owned());
    }
    Ok(SecretString::from(trimmed))
}

/// The name of a file, if it looks like one; else words, for it might be a secret in the wrong place.
fn shown(name: &str) -> &str {
    let file = Path::new(name);
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
    if plain && name.len() <= 255 && ENDINGS.contains(&ending) { name } else { "the file named here" }
}
