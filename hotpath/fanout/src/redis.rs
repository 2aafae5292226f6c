//! As much of Redis' protocol (RESP2) as it takes: commands sent together, replies read one by one. Blocking, with a limit
//! on every wait. No password and no TLS: the server is on this machine, or behind a tunnel.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
/// Longest reply that is read, bytes.
const REPLY_MAX: usize = 1 << 20;
/// How deep replies may be nested.
const NESTED_MAX: u8 = 8;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A text; `None` for none.
    Text(Option<String>),
    /// A number.
    Number(i64),
    /// Several.
    Many(Vec<Reply>),
    /// The server says no.
    Error(String),
}

impl Reply {
    /// Reads one reply off the front of `from`.
    ///
    /// # Errors
    /// When there is no whole one, or what is there is none.
    pub fn read(from: &mut impl BufRead) -> io::Result<Reply> {
        read(from, 0)
    }
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects to `address`, `host:port`.
    ///
    /// # Errors
    /// When nobody answers there in time.
    pub fn connect(address: &str) -> io::Result<Client> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the address leads nowhere");
        for place in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&place, PATIENCE) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    stream.set_nodelay(true)?;
                    return Ok(Client { stream: BufReader::new(stream) });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends the commands together and reads a reply for each. After an error the connection is of no more use.
    ///
    /// # Errors
    /// When the connection fails or what comes is no reply.
    pub fn ask(&mut self, commands: &[Vec<String>]) -> io::Result<Vec<Reply>> {
        let mut bytes = Vec::new();
        for command in commands {
            write!(bytes, "*{}\r\n", command.len())?;
            for word in command {
                write!(bytes, "${}\r\n{word}\r\n", word.len())?;
            }
        }
        self.stream.get_mut().write_all(&bytes)?;
        commands.iter().map(|_| Reply::read(&mut self.stream)).collect()
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("that is no reply of Redis: {what}"))
}

fn read(from: &mut impl BufRead, nested: u8) -> io::Result<Reply> {
    let mut line = String::new();
    from.take(REPLY_MAX as u64).read_line(&mut line)?;
    let line = line.strip_suffix("\r\n").ok_or_else(|| wrong("it is cut short"))?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| wrong("it is empty"))?;
    let number = || rest.parse::<i64>().map_err(|_| wrong(line));
    match kind {
        "+" => Ok(Reply::Text(Some(rest.to_owned()))),
        "-" => Ok(Reply::Error(rest.to_owned())),
        ":" => number().map(Reply::Number),
        "$" => match usize::try_from(number()?) {
            Err(_) => Ok(Reply::Text(None)),
            Ok(length) if length <= REPLY_MAX => {
                let mut bytes = vec![0; length + 2];
                from.read_exact(&mut bytes)?;
                if !bytes.ends_with(b"\r\n") {
                    return Err(wrong("it is longer than it says"));
                }
                bytes.truncate(length);
                String::from_utf8(bytes).map(|text| Reply::Text(Some(text))).map_err(|_| wrong("it is no text"))
            }
            Ok(_) => Err(wrong("it is too long")),
        },
        "*" if nested < NESTED_MAX => {
            let count = usize::try_from(number()?).unwrap_or(0);
            if count > REPLY_MAX {
                return Err(wrong("it is too long"));
            }
            (0..count).map(|_| read(from, nested + 1)).collect::<io::Result<_>>().map(Reply::Many)
        }
        _ => Err(wrong(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> io::Result<Reply> {
        Reply::read(&mut text.as_bytes())
    }

    /// The examples of the protocol's specification.
    #[test]
    fn replies_are_read_as_the_specification_says() {
        let text = |t: &str| Reply::Text(Some(t.to_owned()));
        assert_eq!(parse("+OK\r\n").unwrap(), text("OK"));
        assert_eq!(parse("-Error message\r\n").unwrap(), Reply::Error("Error message".to_owned()));
        assert_eq!(parse(":1000\r\n").unwrap(), Reply::Number(1000));
        assert_eq!(parse("$5\r\nhello\r\n").unwrap(), text("hello"));
        assert_eq!(parse("$0\r\n\r\n").unwrap(), text(""));
        assert_eq!(parse("$-1\r\n").unwrap(), Reply::Text(None));
        assert_eq!(parse("*0\r\n").unwrap(), Reply::Many(vec![]));
        assert_eq!(
            parse("*2\r\n$5\r\nhello\r\n$5\r\nworld\r\n").unwrap(),
            Reply::Many(vec![text("hello"), text("world")])
        );
        for bad in
            ["", "+OK", "x\r\n", ":a\r\n", "$9\r\nhello\r\n", "$9999999\r\n", "HTTP/1.1 400\r\n", &"*1\r\n".repeat(20)]
        {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    /// Else the rest of it would be read as the reply to the next command.
    #[test]
    fn a_text_longer_than_it_says_is_no_reply() {
        assert!(parse("$5\r\nhello you\r\n").is_err());
        assert!(parse("*1\r\n$2\r\n\r\n\n\r\n").is_err());
    }
}
