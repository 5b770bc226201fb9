//! The disk, the clock and the resolver under a daemon: `disk.c`, built once by the C compiler of this machine and
//! preloaded into the daemon alone. Commands of the house see the real disk. There is always a compiler, as SQLite is
//! compiled as well: where the shim cannot be built its tests fail and say why. None of them passes without it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::house::dice::Dice;
use crate::house::{House, Settings};

/// What of a disk is written at once, and so is there after a power loss or is not.
const SECTOR: usize = 512;

/// A directory that can lose power, fill up and fail, and the clock beside it.
pub struct Disk {
    /// What the daemon sees.
    root: PathBuf,
    /// What is durable of it, and what is wrong with it.
    home: PathBuf,
}

/// Ledger and letters on one disk.
pub fn on_a_disk(settings: Settings) -> Settings {
    settings.set("ledger.path", "disk/paynowd.db").set("mail.directory", "disk/mail")
}

impl Disk {
    /// Puts a disk under a house that was built [`on_a_disk`] and is not open yet.
    pub fn under(house: &mut House) -> Self {
        let shim = shim();
        let at = house.path("").canonicalize().unwrap();
        let disk = Self { root: at.join("disk"), home: at.join("shim") };
        for directory in ["disk", "shim", "shim/content", "shim/names"] {
            fs::DirBuilder::new().mode(0o700).create(at.join(directory)).unwrap();
        }
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        house.daemon_environment = vec![
            ("LD_PRELOAD".to_owned(), path(shim)),
            ("SHIM_ROOT".to_owned(), path(&disk.root)),
            ("SHIM_HOME".to_owned(), path(&disk.home)),
        ];
        disk
    }

    /// From now on the disk fails like this, for example `write=28`; an empty text ends it.
    pub fn fail(&self, words: &str) {
        self.tell("faults", words);
    }

    /// From now on the daemon's clock is wrong by so much.
    pub fn set_clock_wrong_by(&self, seconds: i64) {
        self.tell("clock", &seconds.to_string());
    }

    /// From now on the daemon's resolver says nothing, for ever.
    pub fn silence_the_resolver(&self) {
        self.tell("resolver", "silent");
    }

    /// Whether somebody waits for it.
    pub fn is_resolving(&self) -> bool {
        self.home.join("resolving").exists()
    }

    fn tell(&self, name: &str, text: &str) {
        fs::write(self.home.join("draft"), text).unwrap();
        fs::rename(self.home.join("draft"), self.home.join(name)).unwrap();
    }

    /// Takes the power from under a daemon that is dead. What was synced stays. Of what was not, nothing stays, or, if
    /// there are dice, those sectors that the disk happened to have written, in whatever order.
    pub fn lose_power(&self, mut dice: Option<&mut Dice>) {
        let mut durable = files(&self.home.join("names"));
        for (name, bytes) in &mut durable {
            if let (Some(dice), Ok(written)) = (dice.as_deref_mut(), fs::read(self.root.join(name))) {
                scatter(bytes, &written, dice);
            }
        }
        for directory in [&self.root, &self.home.join("names"), &self.home.join("content")] {
            fs::remove_dir_all(directory).unwrap();
            fs::create_dir(directory).unwrap();
        }
        for (name, bytes) in durable {
            let file = self.root.join(&name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &bytes).unwrap();
            let content = self.home.join("content").join(fs::metadata(&file).unwrap().ino().to_string());
            fs::write(&content, &bytes).unwrap();
            let kept = self.home.join("names").join(&name);
            fs::create_dir_all(kept.parent().unwrap()).unwrap();
            fs::hard_link(content, kept).unwrap();
        }
    }
}

/// Some sectors of `written` get onto `durable`. Its length is a matter of luck, too.
fn scatter(durable: &mut Vec<u8>, written: &[u8], dice: &mut Dice) {
    if dice.below(2) == 0 {
        durable.resize(written.len(), 0);
    }
    for (old, new) in durable.chunks_mut(SECTOR).zip(written.chunks(SECTOR)) {
        if dice.below(2) == 0 {
            let length = old.len().min(new.len());
            old[..length].copy_from_slice(&new[..length]);
        }
    }
}

/// Everything below a directory, by its path from there.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = PathBuf::from(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|(below, bytes)| (name.join(below), bytes)));
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// The built shim; built when the first test asks.
fn shim() -> &'static Path {
    static SHIM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let shim = SHIM.get_or_init(build);
    shim.as_deref().unwrap_or_else(|why| panic!("no disk can be put under the daemon: {why}"))
}

fn build() -> Result<PathBuf, String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/shim/disk.c");
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    // Others may build it, too, or have it loaded.
    let (shim, draft) = (home.join("disk.so"), home.join(format!("disk-{}.so", std::process::id())));
    let flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"];
    let compiled = Command::new("cc").args(flags).arg(&draft).arg(source).output();
    let compiled =
        compiled.map_err(|error| format!("cc cannot be run ({error}); install gcc or clang, and libc's headers"))?;
    if !compiled.status.success() {
        return Err(format!("cc says: {}", String::from_utf8_lossy(&compiled.stderr)));
    }
    fs::rename(draft, &shim).map_err(|error| error.to_string())?;
    Ok(shim)
}
