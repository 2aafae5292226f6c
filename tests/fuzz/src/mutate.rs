//! Spoils inputs, by a seed: bytes and bits, pieces cut, doubled and put elsewhere, two seeds in one, numbers replaced by
//! extreme ones, members of JSON objects doubled, left out or exchanged, and deep nesting.

/// Longest input that is made, bytes.
const LENGTH_MAX: usize = 1 << 17;

/// Numbers at the ends of the types that hold them, and texts that are nearly numbers.
const NUMBERS: [&str; 22] = [
    "0",
    "-0",
    "-1",
    "00",
    "1e5",
    "0.1",
    "1.",
    ".5",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "170141183460469231731687303715884105727",
    "340282366920938463463374607431768211456",
    "0.0000000000000000000000000000000000000001",
    "1e400",
    "1e-2147483648",
    "1e2147483647",
];

/// Pieces of what our parsers read.
const PIECES: [&str; 24] = [
    "null", "true", "false", "\"\"", "[]", "{}", "[[]]", "\\u0000", "\\ud800", "\u{feff}", "\n", "\r\n", "\0", " ",
    "\"", "\\", ",", ":", "=", ".", "snapshot", "update", "\u{e9}", "-",
];

/// The same numbers and pieces as libFuzzer takes them: a quoted text a line, every byte escaped.
pub fn dictionary() -> String {
    let escaped = |piece: &str| piece.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    NUMBERS.iter().chain(&PIECES).map(|piece| format!("\"{}\"\n", escaped(piece))).collect()
}

/// Numbers drawn from a seed; SplitMix64.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// From this seed.
    pub const fn new(seed: u64) -> Draw {
        Draw(seed)
    }
    /// The next one.
    ///
    /// Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (2014).
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// One of `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.number() % (n.max(1) as u64)).unwrap_or(0)
    }
    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// One of `seeds`, spoiled once or a few times.
pub fn mutate(draw: &mut Draw, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds.get(draw.below(seeds.len())).cloned().unwrap_or_default();
    for _ in 0..=draw.below(4) {
        once(draw, &mut bytes, seeds);
        bytes.truncate(LENGTH_MAX);
    }
    bytes
}

fn once(draw: &mut Draw, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = draw.below(bytes.len() + 1);
    match draw.below(12) {
        0 => flip(draw, bytes),
        1 => bytes.truncate(at),
        2 => put(bytes, at, at, draw.of(&PIECES).as_bytes()),
        3 => {
            let piece = part(draw, bytes).to_vec();
            put(bytes, at, at, &piece);
        }
        4 => {
            let end = (at + draw.below(32)).min(bytes.len());
            put(bytes, at, end, b"");
        }
        5 | 6 => number(draw, bytes),
        7 | 8 => member(draw, bytes),
        9 => {
            let other = seeds.get(draw.below(seeds.len())).cloned().unwrap_or_default();
            let from = draw.below(other.len() + 1);
            put(bytes, at, bytes.len(), &other[from..]);
        }
        10 => lines(draw, bytes, seeds),
        _ => nest(draw, bytes, at),
    }
}

fn put(bytes: &mut Vec<u8>, from: usize, to: usize, piece: &[u8]) {
    bytes.splice(from..to, piece.iter().copied());
}

fn flip(draw: &mut Draw, bytes: &mut [u8]) {
    let at = draw.below(bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte = if draw.below(2) == 0 { *byte ^ (1 << draw.below(8)) } else { draw.number().to_le_bytes()[0] };
    }
}

fn part<'a>(draw: &mut Draw, bytes: &'a [u8]) -> &'a [u8] {
    let from = draw.below(bytes.len() + 1);
    let to = (from + draw.below(64)).min(bytes.len());
    &bytes[from..to]
}

/// Replaces a run of digits, with its point.
fn number(draw: &mut Draw, bytes: &mut Vec<u8>) {
    let start = draw.below(bytes.len() + 1);
    let is_digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let Some(from) = bytes[start..].iter().position(u8::is_ascii_digit).map(|n| start + n) else { return };
    let to = bytes[from..].iter().position(|byte| !is_digit(byte)).map_or(bytes.len(), |n| from + n);
    put(bytes, from, to, draw.of(&NUMBERS).as_bytes());
}

/// Doubles, leaves out, or moves what stands between two commas at about the same depth.
fn member(draw: &mut Draw, bytes: &mut Vec<u8>) {
    let start = draw.below(bytes.len() + 1);
    let begins = |byte: &u8| matches!(byte, b',' | b'{' | b'[');
    let Some(from) = bytes[start..].iter().position(begins).map(|n| start + n + 1) else { return };
    let to = from + end_of_member(&bytes[from..]);
    let piece = bytes[from..to].to_vec();
    let mut doubled = piece.clone();
    doubled.push(b',');
    match draw.below(3) {
        0 => put(bytes, from, from, &doubled),
        1 => {
            let with_comma = to + usize::from(bytes.get(to) == Some(&b','));
            put(bytes, from, with_comma, b"");
        }
        _ => {
            put(bytes, from, to, draw.of(&["null", "\"\"", "0", "[]", "{}"]).as_bytes());
        }
    }
}

/// How far it is to the comma or bracket that ends a member, text and what is inside brackets passed over.
fn end_of_member(bytes: &[u8]) -> usize {
    let (mut depth, mut quoted) = (0usize, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
    }
    bytes.len()
}

/// Doubles, leaves out, or exchanges lines; puts one of another seed between them.
fn lines(draw: &mut Draw, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (at, other) = (draw.below(lines.len()), draw.below(lines.len()));
    match draw.below(4) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[other].clone()),
        2 => lines.swap(at, other),
        _ => lines.insert(at, seeds.get(draw.below(seeds.len())).cloned().unwrap_or_default()),
    }
    *bytes = lines.join(&b'\n');
}

/// Brackets in brackets, closed or not.
fn nest(draw: &mut Draw, bytes: &mut Vec<u8>, at: usize) {
    let deep = [3, 40, 130, 1000][draw.below(4)];
    let (open, close) = [("[", "]"), ("{\"a\":", "}"), ("*1\r\n", ""), ("(", ")")][draw.below(4)];
    let close = if draw.below(2) == 0 { close } else { "" };
    put(bytes, at, at, (open.repeat(deep) + &close.repeat(deep)).as_bytes());
}
