//! Tables as text (RFC 4180): a row of names, then rows of fields, any of which may stand in quotation marks.

/// A table whose first row named the columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// One row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The line that it begins in.
    pub(super) line: usize,
    fields: Vec<String>,
}

impl Table {
    /// Reads a table; an error says the line.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        // Excel writes a mark that says UTF-8
        let mut rows = rows(text.strip_prefix('\u{feff}').unwrap_or(text))?.into_iter();
        let head = rows.next().ok_or("the table is empty – its first line names the columns")?;
        let columns: Vec<String> = head.fields.iter().map(|name| name.trim().to_ascii_lowercase().replace('-', "_")).collect();
        if let Some(twice) =
            columns.iter().enumerate().find(|(at, name)| columns.iter().skip(at.saturating_add(1)).any(|n| n == *name))
        {
            return Err(format!("line 1: the column {} stands twice", twice.1));
        }
        Ok(Self { columns, rows: rows.collect() })
    }

    /// Refuses a row that has not as many fields as there are columns.
    pub(super) fn check(&self, row: &Row) -> Result<(), String> {
        let (fields, columns) = (row.fields.len(), self.columns.len());
        if fields == columns { Ok(()) } else { Err(format!("{fields} fields where there are {columns} columns")) }
    }

    /// A field of a row; `None` where there is no such column, or the field is empty.
    pub(super) fn field<'a>(&self, row: &'a Row, column: &str) -> Option<&'a str> {
        let at = self.columns.iter().position(|name| name == column)?;
        row.fields.get(at).map(|field| field.trim()).filter(|field| !field.is_empty())
    }
}

/// Where the reader is.
enum State {
    /// A field begins.
    Start,
    /// Inside a field without quotation marks.
    Plain,
    /// Inside quotation marks.
    Quoted,
    /// Behind a quotation mark that ended the field, or was the first of two that stand for one.
    Ended,
}

fn rows(text: &str) -> Result<Vec<Row>, String> {
    let (mut rows, mut row, mut field) = (Vec::new(), Row { line: 1, fields: Vec::new() }, String::new());
    let (mut line, mut opened, mut state) = (1_usize, 1, State::Start);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let ends_line = letter == '\n' || letter == '\r' && letters.peek() == Some(&'\n');
        match (&state, letter) {
            (State::Quoted, '"') => state = State::Ended,
            (State::Quoted, _) => field.push(letter),
            (State::Ended, '"') => {
                field.push('"');
                state = State::Quoted;
            }
            (_, ',') => {
                row.fields.push(std::mem::take(&mut field));
                state = State::Start;
            }
            (_, _) if ends_line => {
                if letter == '\r' {
                    letters.next();
                }
                finish(&mut row, &mut field, &mut rows);
                row.line = line.saturating_add(1);
                state = State::Start;
            }
            (State::Start, '"') => {
                opened = line;
                state = State::Quoted;
            }
            (State::Plain, '"') => return Err(format!("line {line}: a quotation mark inside of a field without them")),
            (State::Ended, _) => return Err(format!("line {line}: something stands behind a quotation mark that ends a field")),
            (State::Start | State::Plain, _) => {
                field.push(letter);
                state = State::Plain;
            }
        }
        // outside of quotation marks a CRLF was taken whole
        if letter == '\n' || ends_line && !matches!(state, State::Quoted) {
            line = line.saturating_add(1);
        }
    }
    if matches!(state, State::Quoted) {
        return Err(format!("line {opened}: a quotation mark is not closed"));
    }
    finish(&mut row, &mut field, &mut rows);
    Ok(rows)
}

/// Takes up a row; an empty line is none.
fn finish(row: &mut Row, field: &mut String, rows: &mut Vec<Row>) {
    row.fields.push(std::mem::take(field));
    let fields = std::mem::take(&mut row.fields);
    if fields.iter().any(|field| !field.trim().is_empty()) || fields.len() > 1 {
        rows.push(Row { line: row.line, fields });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_in_quotation_marks_with_everything_inside() {
        let table = Table::read("\u{feff}Address,given-name\r\n\"a@b.example\",\"J \"\"x\"\", y\r\nz\"\r\n\r\nc@b.example,\n")
            .expect("read");
        assert_eq!(table.columns, ["address", "given_name"]);
        let fields = |at: usize, column: &str| table.field(&table.rows[at], column);
        assert_eq!((fields(0, "address"), fields(0, "given_name")), (Some("a@b.example"), Some("J \"x\", y\r\nz")));
        assert_eq!((fields(1, "address"), fields(1, "given_name"), fields(1, "days")), (Some("c@b.example"), None, None));
        assert_eq!(table.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 5]);
    }

    #[test]
    fn says_the_line_of_what_is_wrong() {
        for (text, said) in [
            ("", "the table is empty"),
            ("a,b,a\n", "line 1: the column a stands twice"),
            ("a\n\"1\n2\n", "line 2: a quotation mark is not closed"),
            ("a\n1\n2\"3\n", "line 3: a quotation mark inside"),
            ("a\n\"1\"2\n", "line 2: something stands behind"),
        ] {
            let error = Table::read(text).expect_err(text);
            assert!(error.starts_with(said), "{text:?}: {error}");
        }
        let table = Table::read("a,b\n1,2\n3\n").expect("read");
        let checked: Vec<_> = table.rows.iter().map(|row| table.check(row)).collect();
        assert_eq!(checked, [Ok(()), Err("1 fields where there are 2 columns".to_owned())]);
    }
}
