//! Tables in: values separated by commas, semicolons or tabs, from any office program, row by row. Memory is bounded by
//! one row, however long the file.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use csv::{ByteRecord, ReaderBuilder, Terminator};

/// How long a heading may be, in bytes.
const HEADING: u64 = 16 << 10;
/// How long a row may be, in bytes. One that is longer has most likely an open quote, and what follows it cannot be
/// told.
const ROW: u64 = 64 << 10;
/// How much is read at a time, in bytes.
const CHUNK: usize = 8 << 10;
/// How many columns a table may have.
const COLUMNS: usize = 256;

/// A file from its first line, which has been looked at, to its end.
type Whole<R> = io::Chain<Cursor<Vec<u8>>, BufReader<R>>;

/// A table that is being read.
pub(super) struct Sheet<R: Read> {
    table: csv::Reader<Metered<Whole<R>>>,
    heading: Vec<String>,
    row: ByteRecord,
    ended: bool,
}

/// Why a table cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum BadSheet {
    /// It is no table, or not this one.
    #[error("{0}")]
    Heading(String),
    /// The file itself could not be read.
    #[error("cannot be read: {0}")]
    File(#[from] io::Error),
}

/// Why a row is not taken. The rows after it are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// The line of the file on which the row begins.
    pub line: u64,
    /// The column, as the file calls it; empty if it is the row as a whole.
    pub column: String,
    /// What is wrong.
    pub reason: String,
}

/// `line 7: amount: is empty`
impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.column.is_empty() {
            write!(f, "{}: ", self.column)?;
        }
        f.write_str(&self.reason)
    }
}

/// A row that is not taken, or the end of what could be read.
#[derive(Debug)]
pub enum NoRow {
    /// This row is bad.
    Bad(BadRow),
    /// The file could not be read on.
    File(io::Error),
}

impl<R: Read> Sheet<R> {
    /// Reads the heading. A byte order mark and the line `sep=;` of some office programs are passed over.
    pub(super) fn open(input: R) -> Result<Self, BadSheet> {
        let mut input = BufReader::with_capacity(CHUNK, input);
        let mut first = first_line(&mut input)?;
        let mut passed = 0;
        if let Some(mark) = first.strip_prefix("sep=") {
            let separator = mark.trim_end().bytes().next().filter(|byte| SEPARATORS.contains(byte));
            first = first_line(&mut input)?;
            passed = 1;
            return Self::over(first, separator, passed, input);
        }
        Self::over(first, None, passed, input)
    }

    fn over(first: String, separator: Option<u8>, passed: u64, input: BufReader<R>) -> Result<Self, BadSheet> {
        let separator = separator.unwrap_or_else(|| likely_separator(&first));
        // So that lines are counted from the beginning of the file.
        let start = [vec![b'\n'; usize::try_from(passed).unwrap_or(0)], first.into_bytes()].concat();
        let metered = Metered { input: Cursor::new(start).chain(input), left: 0, exhausted: false };
        // A line ends with its line feed, so that lines are counted right; a carriage return before it is a blank.
        let table = ReaderBuilder::new()
            .delimiter(separator)
            .terminator(Terminator::Any(b'\n'))
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(CHUNK)
            .from_reader(metered);
        let mut sheet = Self { table, heading: Vec::new(), row: ByteRecord::new(), ended: false };
        match sheet.next_row() {
            Some(Ok(row)) => sheet.heading = row.cells().map(|(_, cell)| cell.to_owned()).collect(),
            Some(Err(NoRow::Bad(bad))) => return Err(BadSheet::Heading(format!("the heading: {}", bad.reason))),
            Some(Err(NoRow::File(error))) => return Err(error.into()),
            None => {}
        }
        if sheet.heading.iter().all(String::is_empty) {
            return Err(BadSheet::Heading("is empty: the first line must name the columns".into()));
        }
        if sheet.heading.len() > COLUMNS {
            return Err(BadSheet::Heading(format!("has more than {COLUMNS} columns")));
        }
        Ok(sheet)
    }

    /// What the columns are called, in their order.
    pub(super) fn heading(&self) -> &[String] {
        &self.heading
    }

    /// The next row that is not empty.
    pub(super) fn next_row(&mut self) -> Option<Result<Row<'_>, NoRow>> {
        loop {
            if self.ended {
                return None;
            }
            let begin = self.table.position().line();
            let meter = self.table.get_mut();
            meter.left = ROW + u64::try_from(CHUNK).unwrap_or(ROW);
            meter.exhausted = false;
            match self.table.read_byte_record(&mut self.row) {
                Ok(true) => {}
                Ok(false) => {
                    self.ended = true;
                    return None;
                }
                Err(error) => return Some(Err(self.broken(error, begin))),
            }
            if !self.row.iter().all(is_blank) {
                break;
            }
        }
        let line = self.row.position().map_or(0, csv::Position::line);
        let bad = |at: Option<usize>, reason: &str| {
            let column = at.and_then(|at| self.heading.get(at)).cloned().unwrap_or_default();
            Some(Err(NoRow::Bad(BadRow { line, column, reason: reason.into() })))
        };
        if let Err(error) =
            self.row.iter().enumerate().try_for_each(|(at, cell)| std::str::from_utf8(cell).map(drop).map_err(|_| at))
        {
            return bad(Some(error), "is not UTF-8; save the file as CSV UTF-8");
        }
        let columns = self.heading.len();
        if columns > 0 && !self.row.iter().skip(columns).all(is_blank) {
            return bad(None, "has more cells than the heading; a text that contains the separator must be in quotes");
        }
        Some(Ok(Row { line, cells: &self.row }))
    }

    /// The reading came to an end before the table did.
    fn broken(&mut self, error: csv::Error, line: u64) -> NoRow {
        self.ended = true;
        if self.table.get_ref().exhausted {
            let reason = "is longer than 64KiB, so neither it nor what follows was read; is a quote left open?";
            return NoRow::Bad(BadRow { line, column: String::new(), reason: reason.into() });
        }
        NoRow::File(error.into())
    }
}

/// One row, every cell of it text.
pub(super) struct Row<'a> {
    /// The line of the file on which it begins.
    pub(super) line: u64,
    cells: &'a ByteRecord,
}

impl<'a> Row<'a> {
    /// The cell of this column, without blanks around it; empty if the row ends before.
    pub(super) fn cell(&self, column: usize) -> &'a str {
        self.cells.get(column).and_then(|cell| std::str::from_utf8(cell).ok()).unwrap_or_default().trim()
    }

    fn cells(&self) -> impl Iterator<Item = (usize, &'a str)> {
        (0..self.cells.len()).map(|column| (column, self.cell(column)))
    }
}

fn is_blank(cell: &[u8]) -> bool {
    cell.trim_ascii().is_empty()
}

/// What separates cells, where the file does not say.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// What separates the cells of this heading: whichever of them it has most of.
fn likely_separator(heading: &str) -> u8 {
    let count = |separator: u8| heading.bytes().filter(|byte| *byte == separator).count();
    SEPARATORS.into_iter().rev().max_by_key(|separator| count(*separator)).unwrap_or(b',')
}

/// The first line, with its end, without a byte order mark.
fn first_line(input: &mut impl BufRead) -> Result<String, BadSheet> {
    let mut line = Vec::new();
    input.take(HEADING).read_until(b'\n', &mut line)?;
    // What stands before the line feed may be several of them.
    if line.trim_ascii_end().contains(&b'\r') {
        return Err(BadSheet::Heading(
            "has lines that end as on old Macintoshes, with a carriage return alone; save the file as CSV UTF-8, or with \
             the line ends of Windows or Unix"
                .into(),
        ));
    }
    if u64::try_from(line.len()).unwrap_or(HEADING) >= HEADING {
        return Err(BadSheet::Heading("the first line, which must name the columns, is longer than 16KiB".into()));
    }
    if line.starts_with(&[0xFF, 0xFE]) || line.starts_with(&[0xFE, 0xFF]) || line.contains(&0) {
        return Err(BadSheet::Heading("is not UTF-8 text; save the file as CSV UTF-8".into()));
    }
    let text = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line);
    let text = std::str::from_utf8(text);
    text.map(str::to_owned).map_err(|_| BadSheet::Heading("is not UTF-8 text; save the file as CSV UTF-8".into()))
}

/// A reader that gives out only so much before it is allowed more.
struct Metered<R> {
    input: R,
    left: u64,
    exhausted: bool,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            self.exhausted = true;
            return Err(io::ErrorKind::InvalidData.into());
        }
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.input.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left -= u64::try_from(read).unwrap_or(self.left);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Heading and rows, each with its line; bad rows as words.
    fn read(text: &[u8]) -> Result<Vec<String>, String> {
        let mut sheet = Sheet::open(text).map_err(|error| error.to_string())?;
        let mut rows = vec![sheet.heading().join("|")];
        while let Some(row) = sheet.next_row() {
            rows.push(match row {
                Ok(row) => format!("{}:{}", row.line, row.cells().map(|(_, cell)| cell).collect::<Vec<_>>().join("|")),
                Err(NoRow::Bad(bad)) => bad.to_string(),
                Err(NoRow::File(error)) => error.to_string(),
            });
        }
        Ok(rows)
    }

    #[test]
    fn what_office_programs_write_is_read_the_same() {
        for text in [
            "a,b\n1,2\n3,4\n",
            "a;b\r\n1;2\r\n3;4",
            "\u{FEFF}a\tb\n1\t2\n3\t4\n",
            "\"a\",\"b\"\n\"1\",\"2\"\n\"3\",\" 4 \"\n",
        ] {
            assert_eq!(read(text.as_bytes()).unwrap(), ["a|b", "2:1|2", "3:3|4"], "{text:?}");
        }
        assert_eq!(read(b"sep=;\r\na;b,c\r\n1;2\r\n").unwrap(), ["a|b,c", "3:1|2"]);
    }

    #[test]
    fn quoted_line_ends_and_empty_lines_keep_the_count_of_lines() {
        assert_eq!(read(b"a,b\r\n\"x\r\ny\",2\r\n\r\n,\r\n3,4\r\n").unwrap(), ["a|b", "2:x\r\ny|2", "6:3|4"]);
    }

    #[test]
    fn a_bad_row_is_told_and_the_next_one_read() {
        let rows = read(b"a,b\n1,2,3\n\xFF,2\n5,6\n7\n").unwrap();
        assert!(rows[1].starts_with("line 2: has more cells"), "{rows:?}");
        assert!(rows[2].starts_with("line 3: a: is not UTF-8"), "{rows:?}");
        assert_eq!(rows[3..], ["4:5|6", "5:7"]);
    }

    #[test]
    fn an_open_quote_ends_the_reading_within_bounds_and_says_so() {
        let text = format!("a,b\n1,2\n\"{}", "x,y\n".repeat(100_000));
        let rows = read(text.as_bytes()).unwrap();
        assert_eq!(rows.len(), 3);
        assert!(rows[2].starts_with("line 3: ") && rows[2].contains("is a quote left open?"), "{rows:?}");
    }

    #[test]
    fn what_is_no_table_is_refused_as_a_whole() {
        for (text, reason) in [
            (&b""[..], "is empty"),
            (b"\n\n", "is empty"),
            (b"\xFF\xFEa\0,\0b\0", "UTF-8"),
            (&b"x".repeat(20_000), "longer than 16KiB"),
            (b"a,b\r1,2\r3,4\r", "a carriage return alone"),
            (b"sep=,\ra,b\r1,2\r", "a carriage return alone"),
            (&b"a,b\r".repeat(20_000), "a carriage return alone"),
        ] {
            assert!(read(text).unwrap_err().contains(reason), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[a,;\"\r\n\t=]{0,60}") {
            let _ = (read(&bytes), read(text.as_bytes()));
        }
    }
}
