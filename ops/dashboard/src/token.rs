//! The token: who has it may change things from the page. It is random, made when the page starts, in a file that only
//! its owner can read, and never in an answer, a log or a request's address.

use nix::unistd::geteuid;
use settings::Home;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// 128 bit.
const BYTES: usize = 16;

/// A token. Printed for debugging it is `***`.
#[derive(Clone)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

impl Token {
    /// Makes the token of this home and writes it down. A page that died left its token behind; that one goes on to
    /// count, so that open pages need not be opened again.
    ///
    /// # Errors
    /// When the system has no random numbers, or `run/board.token` cannot be written.
    pub fn make(home: &Home) -> io::Result<Token> {
        let path = Token::path(home);
        if let Some(token) = Token::left_behind(&path) {
            return Ok(token);
        }
        let token = Token::random()?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // New, so that nobody else's file or link is written to.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(token.0.as_bytes())?;
        Ok(token)
    }

    /// A token that is written nowhere.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> io::Result<Token> {
        let mut bytes = [0; BYTES];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Token(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Where the token of this home is.
    pub fn path(home: &Home) -> PathBuf {
        home.run().join("board.token")
    }

    /// The token itself, for the address that is handed to the user.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// True for this token. Takes the same time wherever the first difference is.
    pub fn is(&self, given: &str) -> bool {
        let (ours, given) = (self.0.as_bytes(), given.as_bytes());
        let differing = ours.iter().zip(given).fold(0, |all, (a, b)| all | (a ^ b));
        ours.len() == given.len() && std::hint::black_box(differing) == 0
    }

    fn left_behind(path: &Path) -> Option<Token> {
        let mut file = File::open(path).ok()?;
        let about = file.metadata().ok()?;
        let ours = about.is_file() && about.uid() == geteuid().as_raw() && about.mode() & 0o077 == 0;
        let mut text = String::new();
        (ours && about.len() == 2 * BYTES as u64).then(|| file.read_to_string(&mut text).ok())??;
        text.bytes().all(|b| b.is_ascii_hexdigit()).then_some(Token(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_ours_alone_and_outlives_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(dir.path()));
        home.prepare().unwrap();
        let token = Token::make(&home).unwrap();
        assert_eq!(token.reveal().len(), 32);
        assert_eq!(fs::metadata(Token::path(&home)).unwrap().mode() & 0o777, 0o600);
        assert!(Token::make(&home).unwrap().is(token.reveal()), "open pages go on");
        assert!(!token.is("") && !token.is(&token.reveal()[1..]) && !token.is(&"0".repeat(32)));
        assert_eq!(format!("{token:?}"), "Token(***)");
        // One that others could have read, or that was cut, is not taken over.
        fs::set_permissions(Token::path(&home), fs::Permissions::from_mode(0o644)).unwrap();
        let second = Token::make(&home).unwrap();
        assert!(!second.is(token.reveal()));
        fs::write(Token::path(&home), "short").unwrap();
        assert!(!Token::make(&home).unwrap().is(second.reveal()));
    }
}
