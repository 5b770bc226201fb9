//! Letters as files, one `.eml` each: for shops without a mail server, for tests, and for looking. It reads no mail and
//! never deletes any.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Composed, Failure};

/// A directory that letters are written to. It is made, for its owner only, when the first letter comes.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Letters go to `path`.
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Writes the letter to `MESSAGE-ID.eml`, whole or not at all; a repeat replaces its earlier self. `Ok` means that
    /// it is on disk.
    ///
    /// # Errors
    /// [`Failure::Misconfigured`] if the directory cannot be used as it is, [`Failure::Deferred`] for anything that
    /// may pass, such as a full disk.
    pub async fn deliver(&self, composed: &Composed) -> Result<(), Failure> {
        let (directory, name) = (self.path.clone(), format!("{}.eml", composed.message_id()));
        let bytes = composed.bytes().to_vec();
        let written = tokio::task::spawn_blocking(move || write(&directory, &name, &bytes)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(blamed(&self.path, &error)),
            Err(stopped) => Err(Failure::Deferred(format!("writing into {} stopped: {stopped}", self.path.display()))),
        }
    }
}

/// Temporary name, fsync, rename, fsync: after a crash there is the whole letter or none.
fn write(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    make(directory)?;
    let unfinished = directory.join(format!(".{name}.{}.tmp", std::process::id()));
    let finished = save(&unfinished, bytes).and_then(|()| std::fs::rename(&unfinished, directory.join(name)));
    if finished.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    finished?;
    File::open(directory)?.sync_all()
}

/// The directory, made if it is missing.
fn make(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    match directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// A new file, for its owner only, with these bytes on disk.
fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn blamed(directory: &Path, error: &io::Error) -> Failure {
    let text = format!("cannot write into {}: {error}", directory.display());
    match error.kind() {
        ErrorKind::PermissionDenied
        | ErrorKind::NotADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::ReadOnlyFilesystem => Failure::Misconfigured(text),
        _ => Failure::Deferred(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailer::letter::tests::composed;
    use std::os::unix::fs::PermissionsExt;

    fn entries(directory: &Path) -> Vec<String> {
        let names = std::fs::read_dir(directory).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_letter_becomes_one_private_file_and_a_repeat_replaces_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state/mail");
        let directory = Directory::new(path.clone());
        let letter = composed("one@shop.example", "owner@shop.example");
        directory.deliver(&letter).await.unwrap();
        let repeat = composed("one@shop.example", "owner@shop.example");
        directory.deliver(&repeat).await.unwrap();
        assert_eq!(entries(&path), ["one@shop.example.eml"]);
        let file = path.join("one@shop.example.eml");
        assert_eq!(std::fs::read(&file).unwrap(), repeat.bytes());
        assert_eq!((mode(&path), mode(&file)), (0o700, 0o600));
    }

    #[tokio::test]
    async fn a_letter_left_half_written_by_a_crash_does_not_stand_in_the_way() {
        let home = tempfile::tempdir().unwrap();
        let left = home.path().join(format!(".one@shop.example.eml.{}.tmp", std::process::id()));
        std::fs::write(&left, "half").unwrap();
        Directory::new(home.path().into()).deliver(&composed("one@shop.example", "o@shop.example")).await.unwrap();
        assert_eq!(entries(home.path()), ["one@shop.example.eml"]);
    }

    #[tokio::test]
    async fn a_directory_that_is_a_file_is_a_matter_for_a_person() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("mail");
        std::fs::write(&path, "").unwrap();
        let failure = Directory::new(path).deliver(&composed("one@shop.example", "o@shop.example")).await.unwrap_err();
        assert!(matches!(&failure, Failure::Misconfigured(text) if text.contains("mail: ")), "{failure}");
    }
}
